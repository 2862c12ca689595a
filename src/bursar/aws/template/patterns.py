"""The patterns of CloudWatch's metric filters over events in JSON, put together. Pure.

`*` at either end of a value stands for any text. A comparison with a field that an event does not have never
matches, whichever way it goes, so every "is not" has to say what to do where there is none.
Source: the CloudWatch Logs user guide, "Filter pattern syntax for metric filters".
"""

from __future__ import annotations

from collections.abc import Iterable

from bursar.errors import ConfigError

# CloudWatch Logs API reference, PutMetricFilter: filterPattern.
LONGEST_PATTERN = 1024
# How long what CloudFormation fills in can be, in characters.
_LONGEST = {
    "${AWS::Partition}": 10,
    "${AWS::Region}": 14,
    "${AWS::AccountId}": 12,
    "${AWS::StackName}": 40,
    "${FunctionRole.Arn}": 100,
    "${FunctionRole}": 64,
    "${FunctionLog}": 148,
    "${Function}": 64,
    "${SigningKey}": 36,
    "${TrailLog}": 153,
    "${AlarmTopic}": 160,
    "${TrailBucket}": 63,
    "${RecordsKey}": 36,
    "${Api}": 10,
}


def call(source: str, names: Iterable[str]) -> tuple[str, str]:
    """Return the terms for calls of a service by one of these names."""
    return is_("$.eventSource", source), any_of(*(is_("$.eventName", name) for name in names))


def is_(field: str, value: str) -> str:
    """Return the term for a field that has this value."""
    return f'{field} = "{value}"'


def is_not(field: str, value: str) -> str:
    """Return the term for a field that is there and has another value."""
    return f'{field} != "{value}"'


def absent(field: str) -> str:
    """Return the term for a field that is not there."""
    return f"{field} NOT EXISTS"


def all_of(*terms: str) -> str:
    """Return the term that matches where all of them do."""
    return _joined("&&", terms)


def any_of(*terms: str) -> str:
    """Return the term that matches where one of them does."""
    return _joined("||", terms)


def in_braces(term: str) -> str:
    """Return a term as a pattern."""
    return f"{{ {term} }}"


def longest(pattern: str) -> int:
    """Return how long a pattern can become once CloudFormation has filled it in, in characters."""
    for name, length in _LONGEST.items():
        pattern = pattern.replace(name, "x" * length)
    return len(in_braces(pattern))


def fitting(pattern: str) -> str:
    """Return a pattern that CloudWatch takes, however long the names are that CloudFormation fills in.

    Raises:
        ConfigError: it has too many signers to name.
    """
    if longest(pattern) > LONGEST_PATTERN:
        raise ConfigError(
            "key.users: so many signers that a filter of the trail could not tell them from others",
            hint="let fewer principals sign, or give them one role to take on",
        )
    return pattern


def _joined(operator: str, terms: tuple[str, ...]) -> str:
    return terms[0] if len(terms) == 1 else f" {operator} ".join(f"({term})" for term in terms)
