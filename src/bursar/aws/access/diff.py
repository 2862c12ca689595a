"""Two reviews of one stack compared: who can do something new, no longer, or by other ways. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bursar.errors import ConfigError

Json = Mapping[str, Any]
FORMAT = "bursar.access-review/1"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `wider`: somebody can do what they could not, or no longer under conditions only."""

    kind: Literal["new", "gone", "changed"]
    ability: str
    principal: Json
    wider: bool
    details: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        return {
            "kind": self.kind,
            "ability": self.ability,
            "principal": dict(self.principal),
            "wider": self.wider,
            "details": list(self.details),
        }


def compare(before: Json, after: Json) -> tuple[Change, ...]:
    """Return what changed from an earlier review document to a later one, in the order of the findings.

    Raises:
        ConfigError: the earlier document is no review, or one of another stack or key.
    """
    _require_same(before, after)
    old, new = _by_key(before), _by_key(after)
    changes: list[Change] = []
    for key, finding in new.items():
        if key not in old:
            ways = tuple(f"+ {each}" for each in _ways(finding))
            changes.append(Change("new", key[0], finding["principal"], wider=True, details=ways))
        elif details := _details(old[key], finding):
            wider = old[key]["conditional"] and not finding["conditional"]
            wider = wider or _another(old[key], finding)
            changes.append(Change("changed", key[0], finding["principal"], wider, details))
    gone = [key for key in old if key not in new]
    changes += [Change("gone", key[0], old[key]["principal"], wider=False) for key in gone]
    return tuple(changes)


def _require_same(before: Json, after: Json) -> None:
    if before.get("format") != FORMAT:
        raise ConfigError(
            "the earlier review is no review of this version of bursar",
            hint="give a file that `bursar aws access-review --save` wrote",
        )
    for name, words in (("account", "account"), ("stack", "stack"), ("key_arn", "key")):
        if before.get(name) != after.get(name):
            raise ConfigError(
                f"the earlier review is of another {words}: {before.get(name)}, now {after.get(name)}",
                hint="compare reviews of one stack and key",
            )


def _by_key(document: Json) -> dict[tuple[str, str], Json]:
    try:
        found = {(each["ability"], each["principal"]["id"]): each for each in document["findings"]}
        for each in found.values():
            _ways(each)
            _ = each["conditional"], each["expected"], each["principal"]["unique_id"]
    except (KeyError, TypeError):
        raise ConfigError("the earlier review is damaged: its findings cannot be read") from None
    return found


def _details(old: Json, new: Json) -> tuple[str, ...]:
    before, after = _ways(old), _ways(new)
    found = [f"+ {each}" for each in after if each not in before]
    found += [f"- {each}" for each in before if each not in after]
    if _another(old, new):
        found.append("it is another principal of the same name, made since")
    if old["expected"] and not new["expected"]:
        found.append("it is no longer expected")
    return tuple(found)


def _another(old: Json, new: Json) -> bool:
    then, now = old["principal"]["unique_id"], new["principal"]["unique_id"]
    return bool(then != now)


def _ways(finding: Json) -> list[str]:
    return [
        f"{', '.join(path['actions'])} by {' with '.join(path['statements'])}"
        + (f", if {'; and '.join(path['conditions'])}" if path["conditions"] else "")
        for path in finding["paths"]
    ]
