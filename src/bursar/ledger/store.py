"""The seam: what a ledger needs of whatever keeps it. A store keeps texts under names, and knows nothing more."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from bursar.errors import LedgerUnavailable

HEAD: Final = "head"


@dataclass(frozen=True, slots=True)
class Change:
    """What is written at once, or not at all. Names to texts.

    `seen` is the head's text as it was read, None where the book was empty; `head` is the new one. `new` must not
    be there yet; `entries` are written whatever was there.
    """

    seen: str | None
    head: str
    new: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, str] = field(default_factory=dict)


class Store(Protocol):
    """Keeps books of entries. Reads see every write that was confirmed before they began."""

    def get(self, book: str, names: Collection[str]) -> dict[str, str]:
        """Return the texts of these entries; those that are not there are left out.

        Raises:
            LedgerUnavailable, LedgerError: it could not be read.
        """
        ...

    def between(self, book: str, first: str, last: str) -> Iterator[tuple[str, str]]:
        """Yield the entries whose names are from `first` to `last`, both included, in the order of their bytes.

        Raises:
            LedgerUnavailable, LedgerError: it could not be read.
        """
        ...

    def put(self, book: str, change: Change) -> None:
        """Write a change, if the head is still the one that was seen and nothing of `new` is there.

        Raises:
            OutOfTurn: it is not; nothing was written.
            OutcomeUnknown: it may have been written, or may still be.
            LedgerUnavailable, LedgerError: nothing was written.
        """
        ...


class OutOfTurn(LedgerUnavailable):
    """Somebody else wrote since the head was read. Nothing was written: read again."""

    code = "ledger_out_of_turn"


class OutcomeUnknown(LedgerUnavailable):
    """A change may have been written: look before it is written again."""

    code = "ledger_outcome_unknown"
