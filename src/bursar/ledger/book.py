"""One key's book: look, plan a page, write it if nobody wrote since; else look again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bursar.errors import LedgerDamaged, LedgerUnavailable
from bursar.ledger.pages import (
    Claim,
    Operation,
    Page,
    Question,
    Seen,
    Taken,
    claim_name,
    consent_range,
    operation_name,
    read_consent,
    read_first_seen,
    receipt_name,
    receipt_range,
    recipient_name,
    spend_range,
)
from bursar.ledger.receipts import (
    Head,
    Receipt,
    canonical,
    following,
    read_receipt,
    read_recent,
)
from bursar.ledger.store import HEAD, Change, OutcomeUnknown, OutOfTurn, Store

Plan = Callable[[Seen], Page]
# How many pages' entries the head repeats: those before were written long ago, as transactions go.
_RECENT: Final = 4


def _now() -> datetime:
    return datetime.now(UTC)


def _dice() -> float:
    import random  # only a collision throws dice, and a cold start should not pay for it

    return random.random()  # noqa: S311  it spreads writers out; nothing is secret


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a page may take to be written, in seconds: `deadline` in all; waits grow from `first_wait`."""

    deadline: float = 8.0
    first_wait: float = 0.01
    longest_wait: float = 0.5
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = _now
    random: Callable[[], float] = _dice


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a store holds, with what the last pages wrote laid over it. `check` raises where time is up."""

    store: Store
    book: str
    recent: Mapping[str, str]
    check: Callable[[], None]

    def get(self, names: Collection[str]) -> dict[str, str]:
        self.check()
        found = self.store.get(self.book, names)
        return found | {name: self.recent[name] for name in names if name in self.recent}

    def between(self, names: object) -> Iterator[tuple[str, str]]:
        if not isinstance(names, tuple):
            return
        first, last = names
        for name, text in self.store.between(self.book, first, last):
            self.check()
            if name not in self.recent:
                yield name, text
        yield from ((n, text) for n, text in self.recent.items() if first <= n <= last)


class Book:
    """The ledger of one key in a store. `name` is the key's."""

    def __init__(self, store: Store, name: str, pace: Pace | None = None) -> None:
        self.store = store
        self.name = name
        self._pace = pace or Pace()

    def write(self, question: Question, plan: Plan) -> tuple[Page, Receipt]:
        """Write the page that `plan` makes of what the ledger holds, and return it with its receipt.

        `plan` is asked anew whenever somebody else wrote in between, so it must do nothing but think. What it
        raises is raised here, and nothing is written.

        Raises:
            OutcomeUnknown: the page may have been written, and the store does not say so in time.
            LedgerUnavailable: the store could not be reached, or others always came first.
            LedgerDamaged: what the store holds cannot be read.
            LedgerError: the store refused.
        """
        end = self._pace.monotonic() + self._pace.deadline
        doubtful: list[tuple[Page, Receipt]] = []
        try:
            return self._turn(question, plan, end, doubtful)
        except LedgerUnavailable as error:
            if doubtful:
                raise OutcomeUnknown(error.message, hint=error.hint) from None
            raise

    def _turn(
        self, question: Question, plan: Plan, end: float, doubtful: list[tuple[Page, Receipt]]
    ) -> tuple[Page, Receipt]:
        attempt = 0
        while True:
            stuck = False
            seen, head_text = self.look(question, end)
            # A page whose fate is unknown may arrive late, but never once the head has passed its number.
            for page, receipt in doubtful:
                if receipt.number <= seen.head.number and self._is_written(receipt):
                    return page, receipt
            page = plan(seen)
            receipt = following(seen.head, self.name, seen.now, page.event, page.body)
            try:
                self._put(page, receipt, head_text)
            except OutOfTurn:
                stuck = self._is_stuck(receipt, head_text)
            except OutcomeUnknown:
                doubtful.append((page, receipt))
                if self._is_written(receipt):
                    return page, receipt
            else:
                return page, receipt
            attempt += 1
            self._wait(attempt, end, stuck=stuck)

    def look(self, question: Question, end: float | None = None) -> tuple[Seen, str | None]:
        """Return what the ledger holds of a question, and the head's own text. The head is read first.

        `end` is when it has to be done, by the pace's own clock.

        Raises:
            LedgerUnavailable, LedgerDamaged, LedgerError: as `write`.
        """
        head_text = self.store.get(self.name, [HEAD]).get(HEAD)
        now = self._pace.now()
        # A transaction's entries may be seen one after the other, the head among the first: what the last pages
        # wrote is therefore read from the head itself.
        recent = {name: text for page in read_recent(head_text) for name, text in page.items()}
        reading = _Reading(self.store, self.name, recent, lambda: self._require_time(end))
        found = reading.get(question.names)
        claims = {each: found.get(claim_name(each)) for each in question.claims}
        first = {each: found.get(recipient_name(each)) for each in question.recipients}
        seen = Seen(
            now,
            Head.read(head_text),
            Operation.read(found.get(operation_name(question.operation))),
            {each: Claim.read(text) for each, text in claims.items() if text is not None},
            {each: read_first_seen(text) for each, text in first.items() if text is not None},
            tuple(
                read_consent(*entry)
                for entry in reading.between(question.digest and consent_range(question.digest))
            ),
            tuple(
                Taken.read(*entry)
                for entry in reading.between(
                    question.seconds and spend_range(now, question.seconds)
                )
            ),
        )
        self._require_time(end)
        return seen, head_text

    def receipts(self, first: int = 1) -> Iterator[str]:
        """Yield the receipts' own texts from one number on, in order.

        Raises:
            LedgerUnavailable, LedgerError: the store could not be read.
        """
        for _, text in self.store.between(self.name, *receipt_range(first)):
            yield text

    def head(self) -> Head:
        """Return where the chain ends.

        Raises:
            LedgerUnavailable, LedgerDamaged, LedgerError: as `write`.
        """
        return Head.read(self.store.get(self.name, [HEAD]).get(HEAD))

    def _is_stuck(self, receipt: Receipt, head_text: str | None) -> bool:
        """Tell whether the next receipt is there and the head does not know of it: not yet, or never."""
        name = receipt_name(receipt.number)
        there = name in self.store.get(self.name, [name])
        return there and self.store.get(self.name, [HEAD]).get(HEAD) == head_text

    def _require_time(self, end: float | None) -> None:
        # A store that answers slowly must not outlast whoever waits for the page.
        if end is not None and self._pace.monotonic() >= end:
            raise LedgerUnavailable(
                "the key's ledger takes too long to read",
                hint="ask again in a moment; if it stays so, the longest window holds too many payments: give the "
                "function more memory, or keep windows shorter",
            )

    def _put(self, page: Page, receipt: Receipt, head_text: str | None) -> None:
        entries = page.entries()
        recent = [*read_recent(head_text), entries][-_RECENT:]
        change = Change(
            head_text,
            receipt.head.to_text(recent),
            {receipt_name(receipt.number): canonical(receipt.to_dict())},
            entries,
        )
        self.store.put(self.name, change)

    def _is_written(self, receipt: Receipt) -> bool:
        name = receipt_name(receipt.number)
        text = self.store.get(self.name, [name]).get(name)
        return text is not None and read_receipt(text)[1] == receipt.hash

    def _wait(self, attempt: int, end: float, *, stuck: bool) -> None:
        # Jittered, so that those who collided do not collide again.
        ceiling = min(self._pace.longest_wait, self._pace.first_wait * 2.0 ** min(attempt, 16))
        pause = self._pace.random() * ceiling
        if self._pace.monotonic() + pause >= end:
            if stuck:
                raise LedgerDamaged(
                    "the next receipt is in the ledger, and the head does not know of it: no signer wrote it",
                    hint="find out who can write the ledger: bursar aws access-review",
                )
            raise LedgerUnavailable(
                "the key's ledger was always written by somebody else first",
                hint="ask again in a moment; asking twice is safe",
            )
        self._pace.sleep(pause)
