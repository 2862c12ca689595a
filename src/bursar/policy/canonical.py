"""One hash for one meaning: the canonical form of a policy. Pure.

The form is drawn from the model, not from the file: comments, order, spacing, letter case of an address,
"250" or "250.00", "day" or "24h" make no difference. Every field of the model is in it, because the walk asks the
dataclasses themselves. Integers are decimal text, so that a reader whose numbers are floats cannot change them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from bursar.policy.model import Policy

FORMAT: Final = "bursar.policy/1"


def canonical(policy: Policy) -> bytes:
    """Return a policy's canonical JSON: ASCII, no spaces, keys sorted, sets sorted and without doubles."""
    return _text({"format": FORMAT, "policy": _plain(policy)}).encode("ascii")


def policy_hash(policy: Policy) -> str:
    """Return SHA-256 of the canonical JSON as `sha256:` and 64 hex digits."""
    return f"sha256:{hashlib.sha256(canonical(policy)).hexdigest()}"


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple | frozenset):
        # Equal members are one: saying a rule twice means what saying it once means.
        return [json.loads(member) for member in sorted({_text(_plain(each)) for each in value})]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no canonical form")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
