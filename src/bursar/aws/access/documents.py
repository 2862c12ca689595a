"""Policy documents of AWS, read into statements. Pure.

Source: IAM user guide, "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
Named = Mapping[str, tuple[str, ...]]

EVERYONE = "*"


class UnreadablePolicy(ValueError):
    """A policy document that is not in IAM's grammar. The message names the document and what is wrong."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of a condition block: it holds where the key has one of the values, in the operator's way."""

    operator: str
    key: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        """Say it as a policy does, on one line."""
        return f"{self.operator} {self.key} {', '.join(self.values)}"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `document` says where it stands, `label` is its Sid or its number there.

    `principals` maps a kind (AWS, Service, Federated…) to names; None in identity policies. What is None is not
    there; of each pair at most one is.
    """

    document: str
    label: str
    allow: bool
    actions: tuple[str, ...] | None = None
    not_actions: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    not_resources: tuple[str, ...] | None = None
    principals: Named | None = None
    not_principals: Named | None = None
    conditions: tuple[Condition, ...] = ()

    @property
    def where(self) -> str:
        """The document and the statement in it."""
        return f"{self.document}: {self.label}"


def read_document(text: str) -> Json:
    """Return a policy document that an API gave as text.

    API Gateway gives it with its quotes escaped, as if it stood in a JSON string (`GetRestApi`, `policy`).

    Raises:
        UnreadablePolicy: neither is JSON.
    """
    for candidate in (text, f'"{text}"'):
        try:
            found = json.loads(candidate)
            found = json.loads(found) if isinstance(found, str) else found
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    raise UnreadablePolicy("a policy document is not JSON")


def parse_document(document: Any, name: str) -> tuple[Statement, ...]:
    """Return the statements of a policy document.

    Raises:
        UnreadablePolicy: not in IAM's grammar, so that nothing could be said of what it allows.
    """
    if not isinstance(document, Mapping):
        raise UnreadablePolicy(f"{name} is not a policy document")
    found = document.get("Statement", [])
    listed = [found] if isinstance(found, Mapping) else found
    if not isinstance(listed, list):
        raise UnreadablePolicy(f"{name} has no list of statements")
    return tuple(_statement(each, name, number) for number, each in enumerate(listed, 1))


def _statement(raw: Any, name: str, number: int) -> Statement:
    where = f"{name}, statement {number}"
    if not isinstance(raw, Mapping) or raw.get("Effect") not in ("Allow", "Deny"):
        raise UnreadablePolicy(f"{where} neither allows nor denies")
    if "Action" not in raw and "NotAction" not in raw:
        raise UnreadablePolicy(f"{where} names no action")
    sid = raw.get("Sid")
    return Statement(
        document=name,
        label=sid if isinstance(sid, str) and sid else f"statement {number}",
        allow=raw["Effect"] == "Allow",
        actions=_texts(raw, "Action", where),
        not_actions=_texts(raw, "NotAction", where),
        resources=_texts(raw, "Resource", where),
        not_resources=_texts(raw, "NotResource", where),
        principals=_named(raw, "Principal", where),
        not_principals=_named(raw, "NotPrincipal", where),
        conditions=_conditions(raw.get("Condition", {}), where),
    )


def _texts(raw: Json, element: str, where: str) -> tuple[str, ...] | None:
    return _listed(raw[element], where) if element in raw else None


def _listed(value: Any, where: str) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(each, (str, bool, int, float)) for each in listed):
        raise UnreadablePolicy(f"{where} has something else where a text belongs")
    # A policy writes true and 300 as it likes, and IAM reads them as texts.
    return tuple(str(each).lower() if isinstance(each, bool) else str(each) for each in listed)


def _named(raw: Json, element: str, where: str) -> Named | None:
    if element not in raw:
        return None
    value = raw[element]
    if value == EVERYONE:
        return {"AWS": (EVERYONE,)}
    if not isinstance(value, Mapping):
        raise UnreadablePolicy(f"{where} has a principal of no kind")
    return {str(kind): _listed(names, where) for kind, names in value.items()}


def _conditions(block: Any, where: str) -> tuple[Condition, ...]:
    if not isinstance(block, Mapping) or not all(isinstance(k, Mapping) for k in block.values()):
        raise UnreadablePolicy(f"{where} has a condition that is none")
    return tuple(
        Condition(str(operator), str(key), _listed(values, where))
        for operator, keys in block.items()
        for key, values in keys.items()
    )
