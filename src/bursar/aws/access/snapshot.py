"""What was gathered of an account and of one stack in it: the documents that decide who can sign. Pure.

A snapshot is data alone. It goes to JSON and back without loss, so that a review can be done again from the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be looked at, and the permission that it needs."""

    what: str
    needs: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.what}, needs {self.needs}"


@dataclass(frozen=True, slots=True)
class Entity:
    """An IAM user, role or group: its policies, written into it (`inline`, by name) or attached (by ARN).

    `groups` are the names of a user's groups, `trust` is who may assume a role, `boundary` the ARN of a
    permissions boundary. `last_used` is a time of AWS's, None where nothing was used or nothing is known.
    """

    kind: str
    arn: str
    name: str
    unique_id: str = ""
    inline: Mapping[str, Json] = field(default_factory=dict)
    attached: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    boundary: str | None = None
    trust: Json | None = None
    last_used: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant on the key: `grantee` may do `operations` (Sign, CreateGrant…), whatever IAM says."""

    id: str
    grantee: str
    operations: tuple[str, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a review is made from. `taken` is in UTC, ISO 8601; `caller` the ARN of who gathered it.

    `function_policies` are by the ARN they belong to; `methods` are the API's, with their authorization, by method
    and path; `managed` are IAM's managed policies by ARN; `ledger_policy` is the table's own;
    `template_key_policy` is the key policy that the stack deployed, unresolved. `gaps` are what could not be
    looked at.
    """

    taken: str
    caller: str
    account: str
    region: str
    partition: str
    stack: str
    stack_id: str
    outputs: Mapping[str, str]
    key_policy: Json | None = None
    template_key_policy: Json | None = None
    grants: tuple[Grant, ...] = ()
    function_policies: Mapping[str, Json] = field(default_factory=dict)
    api_policy: Json | None = None
    methods: Mapping[str, str] = field(default_factory=dict)
    entities: tuple[Entity, ...] = ()
    managed: Mapping[str, Json] = field(default_factory=dict)
    trails: tuple[str, ...] = ()
    ledger_policy: Json | None = None
    gaps: tuple[Gap, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the snapshot as JSON, hex: what a report was made from."""
        text = json.dumps(to_json(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def to_json(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as JSON values."""
    made: dict[str, Any] = json.loads(json.dumps(asdict(snapshot)))
    return made


def from_json(data: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot that `to_json` made JSON of.

    Raises:
        KeyError, TypeError: it is not one.
    """
    entities = tuple(
        Entity(**{**each, "attached": tuple(each["attached"]), "groups": tuple(each["groups"])})
        for each in data["entities"]
    )
    grants = tuple(
        Grant(**{**each, "operations": tuple(each["operations"])}) for each in data["grants"]
    )
    rest = {
        "entities": entities,
        "grants": grants,
        "trails": tuple(data["trails"]),
        "gaps": tuple(Gap(**each) for each in data["gaps"]),
    }
    return Snapshot(**{**data, **rest})
