"""CloudWatch Logs' JSON filter patterns, as far as ours go: which events a metric filter counts.

The rules are those of the CloudWatch Logs user guide, "Filter pattern syntax for metric filters": `*` is any
text; a comparison with a field that is not there does not match, whichever way it goes; a value of null is there.
"""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<mark>[()]|&&|\|\|)|(?P<field>\$[\w.\[\]]+)\s*"
    r'(?:(?P<absent>NOT EXISTS)|(?P<op>!?=)\s*"(?P<value>[^"]*)"))'
)
_ABSENT = object()


def matches(pattern: str, event: dict[str, Any]) -> bool:
    """Tell whether a pattern in braces matches an event."""
    inside = re.fullmatch(r"\{(.*)\}", pattern.strip(), re.DOTALL)
    assert inside, pattern
    tokens = _tokens(inside[1].strip())
    found = _alternatives(tokens, event)
    assert not tokens, f"left over: {tokens}"
    return found


def _tokens(text: str) -> list[re.Match[str]]:
    found, at = [], 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        assert token, text[at:]
        found.append(token)
        at = token.end()
    return found


def _alternatives(tokens: list[re.Match[str]], event: dict[str, Any]) -> bool:
    found = _conjunction(tokens, event)
    while tokens and tokens[0]["mark"] == "||":
        tokens.pop(0)
        found |= _conjunction(tokens, event)
    return found


def _conjunction(tokens: list[re.Match[str]], event: dict[str, Any]) -> bool:
    found = _term(tokens, event)
    while tokens and tokens[0]["mark"] == "&&":
        tokens.pop(0)
        found &= _term(tokens, event)
    return found


def _term(tokens: list[re.Match[str]], event: dict[str, Any]) -> bool:
    token = tokens.pop(0)
    if token["mark"] == "(":
        found = _alternatives(tokens, event)
        assert tokens.pop(0)["mark"] == ")"
        return found
    value = _value(token["field"], event)
    if token["absent"]:
        return value is _ABSENT
    if not isinstance(value, str):
        return False
    wanted = ".*".join(map(re.escape, token["value"].split("*")))
    same = re.fullmatch(wanted, value, re.DOTALL) is not None
    return same == (token["op"] == "=")


def _value(path: str, event: dict[str, Any]) -> Any:
    value: Any = event
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        try:
            value = value[int(index)] if index else value[name]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value
