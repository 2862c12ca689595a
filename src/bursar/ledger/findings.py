"""What checking a chain of receipts found. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from bursar.ledger.receipts import Head

# A file of a million damaged lines is not listed line by line.
MOST_LISTED: Final = 1000


class Fault(StrEnum):
    """What can be wrong with a receipt, with its place in the chain, or with what it says."""

    NOT_A_RECEIPT = "not_a_receipt"
    NOT_CANONICAL = "not_canonical"
    WRONG_HASH = "wrong_hash"
    BROKEN_LINK = "broken_link"
    MISSING = "missing"
    REPEATED = "repeated"
    OTHER_BOOK = "other_book"
    BAD_TIME = "bad_time"
    HEAD_DIFFERS = "head_differs"
    HEAD_MISSING = "head_missing"
    BAD_BODY = "bad_body"
    WRONG_OPERATION = "wrong_operation"
    WRONG_DIGEST = "wrong_digest"
    NOT_ALLOWED = "not_allowed"
    OTHER_POLICY = "other_policy"
    WRONG_SIGNATURE = "wrong_signature"
    OTHER_ADDRESS = "other_address"
    NO_DECISION = "no_decision"
    NO_CONSENT = "no_consent"
    SECOND_OUTCOME = "second_outcome"
    OTHER_OPERATION = "other_operation"


class Remark(StrEnum):
    """What is no fault of the chain, and should be looked at or known."""

    EMPTY = "empty"
    CLOCK_WENT_BACK = "clock_went_back"
    OUTCOME_UNKNOWN = "outcome_unknown"
    DECISION_BEFORE = "decision_before"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the receipt's number (or that it should have had), what, and in words."""

    number: int
    code: Fault
    message: str


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to know, as `Problem`."""

    number: int
    code: Remark
    message: str


@dataclass(slots=True)
class Counts:
    """How many of each there are.

    `allowed`, `needs_approval` and `refused` are decisions; `repeated` are those of `allowed` that handed out
    again what was signed before. `unanswered` are attempts at KMS whose answer was
    lost: CloudTrail may have as many more signatures than there are here.
    """

    receipts: int = 0
    allowed: int = 0
    repeated: int = 0
    needs_approval: int = 0
    refused: int = 0
    signatures: int = 0
    failures: int = 0
    consents: int = 0
    unanswered: int = 0


@dataclass(slots=True)
class Findings:
    """Where problems and notes are gathered while a chain is read. At most `MOST_LISTED` of each are kept."""

    counts: Counts = field(default_factory=Counts)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    unlisted: int = 0

    def problem(self, number: int, code: Fault, message: str) -> None:
        """Add a problem."""
        if len(self.problems) < MOST_LISTED:
            self.problems.append(Problem(number, code, message))
        else:
            self.unlisted += 1

    def note(self, number: int, code: Remark, message: str) -> None:
        """Add a note."""
        if len(self.notes) < MOST_LISTED:
            self.notes.append(Note(number, code, message))
        else:
            self.unlisted += 1


@dataclass(frozen=True, slots=True)
class Verification:
    """What a chain was found to be.

    `first` and `last` are number and time of its ends, None where there are no receipts; `head` is where it ends.
    `address` is the account whose signatures they are, None where there are none and none was named. `unlisted`
    counts problems and notes beyond the first thousand of each.
    """

    book: str | None
    address: str | None
    counts: Counts
    first: tuple[int, str] | None
    last: tuple[int, str] | None
    head: Head
    problems: tuple[Problem, ...]
    notes: tuple[Note, ...]
    unlisted: int

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong. Notes do not count."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "sound": self.sound,
            "book": self.book,
            "address": self.address,
            "first": _end(self.first),
            "last": _end(self.last),
            "head": str(self.head),
            "counts": asdict(self.counts),
            "problems": [asdict(each) for each in self.problems],
            "notes": [asdict(each) for each in self.notes],
            "unlisted": self.unlisted,
        }


def _end(end: tuple[int, str] | None) -> Mapping[str, Any] | None:
    return end and {"number": end[0], "at": end[1]}
