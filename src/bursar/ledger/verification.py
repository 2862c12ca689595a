"""Whether a chain of receipts is whole, and accounts for every signature in it; from its texts alone. Pure.

What a chain alone cannot show: whoever may write where it is kept can write it anew from any receipt on, or cut
off its end. Against that stand heads that were remembered elsewhere (`Known.heads`), and CloudTrail, which counts
KMS's calls (`bursar aws audit`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from bursar.errors import LedgerDamaged, RequestError
from bursar.ledger.accounting import Accounting
from bursar.ledger.findings import Fault, Findings, Remark, Verification
from bursar.ledger.receipts import Head, Receipt, canonical, moment_of, read_receipt

# Writers' clocks differ; beyond this, one of them is wrong.
_CLOCKS: Final = timedelta(minutes=10)
_HEAD: Final = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known from elsewhere, and the chain is held to. None of it is needed.

    `address` is whose signatures they must be; `book` the key's name; `start` where a part of a chain begins: its
    first receipt follows this one; `heads` receipts that must be in it, remembered from earlier; `policy_hashes`
    the only policies that may have allowed anything, with or without `sha256:`.
    """

    address: str | None = None
    book: str | None = None
    start: Head = field(default_factory=Head)
    heads: Collection[Head] = ()
    policy_hashes: Collection[str] | None = None


def verify(texts: Iterable[str | bytes], known: Known | None = None) -> Verification:
    """Read the texts of receipts in order, and return everything that is wrong with them.

    They are read one by one: memory grows with decisions whose outcome is not known, not with receipts.

    Raises:
        AddressError: the known address is none.
    """
    chain = _Chain(known or Known())
    for text in texts:
        chain.take(text)
    return chain.finish()


def parse_head(text: str) -> Head:
    """Return the head in `NUMBER:HASH`.

    Raises:
        RequestError: it is none.
    """
    match = _HEAD.fullmatch(text)
    if match is None:
        raise RequestError(
            "a head is a receipt's number and hash: NUMBER:HASH",
            hint="the number counts from 1, and the hash is 64 hex digits in small letters",
        )
    return Head(int(match.group(1)), match.group(2))


class _Chain:
    """Where the reading of a chain stands. `_previous` are the hashes the next receipt may name, None for any."""

    def __init__(self, known: Known) -> None:
        self._findings = Findings()
        self._accounting = Accounting(
            self._findings, known.address, known.policy_hashes, known.start.number
        )
        self._book = known.book
        self._head = known.start
        self._previous: set[str] | None = {known.start.hash}
        self._at: datetime | None = None
        self._first: tuple[int, str] | None = None
        self._last: tuple[int, str] | None = None
        self._wanted: dict[int, set[str]] = {}
        for head in known.heads:
            self._wanted.setdefault(head.number, set()).add(head.hash)
        self._compare_heads(known.start)

    def take(self, text: str | bytes) -> None:
        """Check the next receipt."""
        self._findings.counts.receipts += 1
        try:
            receipt, stated = read_receipt(text)
        except LedgerDamaged as problem:
            self._head = Head(self._head.number + 1, "")
            self._previous = None
            self._problem(self._head.number, Fault.NOT_A_RECEIPT, problem.message)
            return
        head = receipt.head
        self._check_text(receipt, head.hash, stated, text)
        self._check_place(receipt)
        self._check_time(receipt)
        self._compare_heads(head)
        self._accounting.take(receipt)
        self._head = head
        # Of an edited receipt it was said that its hash is wrong. That is not said of the next one again.
        self._previous = {head.hash, stated}
        self._last = (receipt.number, receipt.at)
        self._first = self._first or self._last

    def finish(self) -> Verification:
        """Return what was found, once the last receipt was taken."""
        found = self._findings
        if not found.counts.receipts:
            found.note(self._head.number, Remark.EMPTY, "there are no receipts")
        for number in sorted(self._wanted):
            if number:
                self._problem(
                    number,
                    Fault.HEAD_MISSING,
                    f"the receipt of a head that was remembered is not there: it ends at {self._head.number}",
                )
        self._accounting.finish()
        return Verification(
            self._book,
            self._accounting.address,
            found.counts,
            self._first,
            self._last,
            self._head,
            tuple(found.problems),
            tuple(found.notes),
            found.unlisted,
        )

    def _check_text(self, receipt: Receipt, digest: str, stated: str, text: str | bytes) -> None:
        if stated != digest:
            self._problem(
                receipt.number, Fault.WRONG_HASH, "the hash in it is not its own: it was edited"
            )
            return
        written = text if isinstance(text, str) else text.decode()
        if written != canonical(receipt.to_dict()):
            self._problem(
                receipt.number,
                Fault.NOT_CANONICAL,
                "it says what it said, and is not written as the ledger wrote it",
            )

    def _check_place(self, receipt: Receipt) -> None:
        expected = self._head.number + 1
        number = receipt.number
        if number > expected:
            which = (
                f"{expected} is" if number == expected + 1 else f"{expected} to {number - 1} are"
            )
            self._problem(number, Fault.MISSING, f"{which} missing before it")
        elif number < expected:
            self._problem(number, Fault.REPEATED, f"it comes after {expected - 1}")
        elif self._previous is not None and receipt.previous not in self._previous:
            self._problem(
                number,
                Fault.BROKEN_LINK,
                "it does not follow the receipt before it: one of the two was edited, put in or taken out",
            )
        self._book = self._book or receipt.book
        if receipt.book != self._book:
            self._problem(
                number, Fault.OTHER_BOOK, f"it is of another book: {receipt.book[:200]!r}"
            )

    def _check_time(self, receipt: Receipt) -> None:
        try:
            at = moment_of(receipt.at)
        except LedgerDamaged:
            self._problem(receipt.number, Fault.BAD_TIME, "its time is none")
            return
        if self._at is not None and at < self._at - _CLOCKS:
            self._findings.note(
                receipt.number,
                Remark.CLOCK_WENT_BACK,
                f"it was written {self._at - at} before the one before it, by its writer's clock",
            )
        self._at = at

    def _compare_heads(self, head: Head) -> None:
        wanted = self._wanted.pop(head.number, set())
        if wanted - {head.hash}:
            self._problem(
                head.number,
                Fault.HEAD_DIFFERS,
                "its hash is not the one that was remembered: it was written anew",
            )

    def _problem(self, number: int, code: Fault, message: str) -> None:
        self._findings.problem(number, code, message)
