"""What can be said of a wildcard or a condition from what is known: yes, no, or maybe. Pure.

Sources: IAM user guide, "IAM JSON policy elements: Condition operators", "Policy elements: Variables and tags",
"IAM JSON policy elements: Resource".
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from bursar.aws.access.documents import Condition

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_WILD = re.compile(r"[*?$]")
_ACCOUNT = re.compile(r"\A[0-9]{12}\Z", re.ASCII)


class Truth(IntEnum):
    """The weakest of several is what holds of all of them, the strongest what holds of any."""

    NO = 0
    MAYBE = 1
    YES = 2

    def negated(self) -> Truth:
        """Return what holds of the contrary."""
        return Truth(Truth.YES - self)


@dataclass(frozen=True, slots=True)
class SomeoneOf:
    """The account or ARN of a caller of whom only the account is known; or only one that it is not."""

    account: str | None = None
    outside: str | None = None

    def may_be(self, pattern: str) -> Truth:
        """Tell whether this can be what a pattern describes: NO, or MAYBE."""
        parts = pattern.split(":")
        account = parts[4] if len(parts) > 5 else pattern
        if not _ACCOUNT.match(account):
            return Truth.MAYBE
        other = account == self.outside if self.account is None else account != self.account
        return Truth.NO if other else Truth.MAYBE


Known = Mapping[str, str | SomeoneOf]


def action_matches(pattern: str, action: str) -> bool:
    """Tell whether an action is one that a pattern means. Letter case does not count."""
    return _matches(_literal_brackets(pattern.lower()), action.lower())


def resource_matches(pattern: str, resource: str, known: Known) -> Truth:
    """Tell whether a pattern covers a resource.

    MAYBE: it holds a variable that nothing is known of, or a `*` that would have to reach over a colon, which
    IAM's documentation leaves open.
    """
    if pattern == "*":
        return Truth.YES
    filled, is_open = _fill(pattern, known)
    if not _matches(filled, resource):
        return Truth.NO
    return Truth.MAYBE if is_open else max(Truth.MAYBE, _arn_matches(filled, resource))


def undecided(tests: tuple[Condition, ...], known: Known) -> tuple[Truth, tuple[Condition, ...]]:
    """Return what holds of all tests together, and those that cannot be decided."""
    outcomes = [(decide(test, known), test) for test in tests]
    truth = min((outcome for outcome, _ in outcomes), default=Truth.YES)
    return truth, tuple(test for outcome, test in outcomes if outcome is Truth.MAYBE)


def decide(test: Condition, known: Known) -> Truth:
    """Tell whether one test holds. What is not known, or compares in another way than text, is MAYBE."""
    operator = test.operator.removesuffix("IfExists")
    value = known.get(test.key.lower())
    if value is None or ":" in operator:
        return Truth.MAYBE
    if operator == "Null":
        return _null(test, value)
    compare = _COMPARISONS.get(operator.replace("Not", ""))
    if compare is None:
        return Truth.MAYBE
    found = max((_holds(compare, each, value, known) for each in test.values), default=Truth.NO)
    if "Not" in operator:
        return found.negated()
    # An unsigned caller has no account, and then the test is passed over.
    unsigned = operator != test.operator and isinstance(value, SomeoneOf)
    return max(found, Truth.MAYBE) if unsigned else found


def _null(test: Condition, value: str | SomeoneOf) -> Truth:
    if isinstance(value, SomeoneOf):
        return Truth.MAYBE
    return Truth.YES if test.values == ("false",) else Truth.NO


Comparison = Callable[[str, str], Truth]


def _holds(compare: Comparison, pattern: str, value: str | SomeoneOf, known: Known) -> Truth:
    if isinstance(value, SomeoneOf):
        return value.may_be(pattern)
    filled, is_open = _fill(pattern, known)
    if is_open:
        return Truth.MAYBE if _matches(filled.lower(), value.lower()) else Truth.NO
    plain = pattern if "${" not in pattern else _without_brackets(filled)
    return compare(plain if compare in _PLAIN else filled, value)


def _without_brackets(filled: str) -> str:
    """Return the text of a filled pattern, for comparisons that know no wildcard."""
    return re.sub(r"\[(.)\]", r"\1", filled)


def _equal(pattern: str, value: str) -> Truth:
    return Truth.YES if pattern == value else Truth.NO


def _equal_but_for_case(pattern: str, value: str) -> Truth:
    return _equal(pattern.lower(), value.lower())


def _like(pattern: str, value: str) -> Truth:
    return Truth.YES if _matches(pattern, value) else Truth.NO


def _arn_matches(pattern: str, value: str) -> Truth:
    # Each of the six parts of an ARN is compared for itself; the last may hold more colons.
    patterns, values = pattern.split(":", 5), value.split(":", 5)
    if len(patterns) != len(values):
        return Truth.NO
    pairs = zip(patterns, values, strict=True)
    return Truth.YES if all(_matches(p, v) for p, v in pairs) else Truth.NO


_PLAIN = (_equal, _equal_but_for_case)
_COMPARISONS: Mapping[str, Comparison] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _equal_but_for_case,
    "StringLike": _like,
    "ArnEquals": _arn_matches,
    "ArnLike": _arn_matches,
    "Bool": _equal_but_for_case,
}


def _fill(pattern: str, known: Known) -> tuple[str, bool]:
    """Return a pattern with its variables filled in, and whether one of them is unknown: then it is a `*`."""
    if "${" not in pattern:
        return _literal_brackets(pattern), False
    pieces = _VARIABLE.split(pattern)
    text, is_open = "", False
    for position, piece in enumerate(pieces):
        value = _value(piece, known) if position % 2 else None
        if position % 2 == 0:
            text += _literal_brackets(piece)
        elif value is None:
            text, is_open = text + "*", True
        else:
            text += re.sub(r"([*?\[])", r"[\1]", value)
    return text, is_open


def _value(variable: str, known: Known) -> str | None:
    if variable in ("*", "?", "$"):
        return variable
    found = known.get(variable.strip().lower())
    return found if isinstance(found, str) else None


def _literal_brackets(pattern: str) -> str:
    # fnmatch knows [sets], IAM does not.
    return pattern.replace("[", "[[]")


@lru_cache(maxsize=65536)
def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).match(text) is not None


@lru_cache(maxsize=8192)
def _compiled(pattern: str) -> re.Pattern[str]:
    # The standard library's translation is free of exponential backtracking.
    return re.compile(fnmatch.translate(pattern))
