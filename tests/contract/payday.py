"""Payouts in a journal, of a wallet of which nobody wrote yet."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bursar.crossmint.locators import RecipientLocator, TokenLocator, WalletLocator
from bursar.payouts.book import PayoutBook
from bursar.transfers import feeding
from bursar.transfers.feeding import RUNNING
from bursar.transfers.intent import TransferIntent, TransferType
from bursar.transfers.journal import Journal, NewTransfer
from bursar.transfers.record import Key, Lane, Place, Transfer
from bursar.transfers.states import Event, EventKind
from bursar.transfers.tables import PAYOUTS
from tests.fakes.scripted_crossmint import Moments


@dataclass(frozen=True)
class Office:
    """A journal, whose clock moves when it is told to, and a wallet of nobody else's."""

    journal: Journal
    clock: Moments
    treasury: str = field(default_factory=lambda: f"0x{uuid.uuid4().hex}")

    @classmethod
    @contextmanager
    def open(cls, where: str | Path, clock: Moments | None = None) -> Iterator[Office]:
        clock = clock or Moments()
        with Journal.open(where, clock) as journal:
            yield cls(journal, clock)

    @property
    def book(self) -> PayoutBook:
        return PayoutBook(self.journal)

    def payout(self, name: str, lines: int, state: str = RUNNING) -> list[Transfer]:
        """Write a payout down, a second after any before, whose lines are named after it: `a-1`, `a-2`."""
        self.clock.forward(1)
        now = self.journal.now
        values: dict[str, Any] = {
            "treasury": self.treasury,
            "id": name,
            "hash": "h",
            "state": state,
        }
        values |= {"lines": lines, "data": "{}", "created_at": now, "updated_at": now}
        with self.journal.writing() as connection:
            connection.execute(sa.insert(PAYOUTS).values(values))
        # The last line first: the order must not be that in which they were written.
        numbers = reversed(range(1, lines + 1))
        return self.journal.record_all([self._line(name, number) for number in numbers])[::-1]

    def _line(self, payout: str, number: int) -> NewTransfer:
        asked = TransferIntent(
            f"{payout}-{number}",
            WalletLocator.treasury("feeding"),
            TokenLocator.parse("base-sepolia:usdc"),
            RecipientLocator.parse(f"0x{number:040x}"),
            "1.00",
            TransferType.DIRECT,
        )
        key = Key(self.treasury, asked.id)
        return NewTransfer(key, asked, Lane.PAYOUT, Place(payout, number), "somebody")

    def get(self, name: str) -> Transfer:
        return self.journal.get(Key(self.treasury, name))

    def put_off(self, transfer: Transfer, wait: float) -> Transfer:
        return feeding.put_off(self.journal, transfer, wait)

    def hungry(self, limit: int = 100) -> list[str]:
        return [each.id for each in feeding.hungry(self.journal, self.treasury, limit)]

    def happen(self, transfer: Transfer, *kinds: EventKind, **data: str) -> Transfer:
        for kind in kinds:
            transfer = self.journal.append(transfer, Event(kind, data))
        return transfer
