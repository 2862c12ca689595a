"""Which lines workers are handed next, over SQLite and PostgreSQL, without a look at all the others."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bursar.crossmint.locators import RecipientLocator, TokenLocator, WalletLocator
from bursar.payouts.book import PAUSED, PayoutBook
from bursar.transfers import batches, feeding
from bursar.transfers.feeding import RUNNING
from bursar.transfers.intent import TransferIntent, TransferType
from bursar.transfers.journal import Journal, NewTransfer
from bursar.transfers.record import Key, Lane, Place, Transfer
from bursar.transfers.states import Event, EventKind
from bursar.transfers.tables import PAYOUTS

LATER = "9999"


@dataclass(frozen=True)
class Office:
    """A journal, and a wallet in it of which nobody wrote yet."""

    journal: Journal
    treasury: str

    @property
    def book(self) -> PayoutBook:
        return PayoutBook(self.journal)

    def payout(self, name: str, lines: int, state: str = RUNNING) -> list[Transfer]:
        """Write a payout down whose lines are named after it: `a-1`, `a-2`."""
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

    def hungry(self, limit: int = 100) -> list[str]:
        return [each.id for each in feeding.hungry(self.journal, self.treasury, limit)]

    def happen(self, transfer: Transfer, *kinds: EventKind, **data: str) -> Transfer:
        for kind in kinds:
            transfer = self.journal.append(transfer, Event(kind, data))
        return transfer


@pytest.fixture(params=["sqlite", "postgres"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    where = tmp_path / "journal.sqlite3"
    if request.param == "postgres":
        where = request.getfixturevalue("postgres_url")
    with Journal.open(where) as journal:
        yield Office(journal, f"0x{uuid.uuid4().hex}")


def test_payouts_are_handed_out_one_after_another_line_by_line(office: Office) -> None:
    office.payout("b", 3)
    office.payout("a", 3)
    assert office.hungry() == ["b-1", "b-2", "b-3", "a-1", "a-2", "a-3"]
    assert office.hungry(4) == ["b-1", "b-2", "b-3", "a-1"]
    assert office.hungry(1) == ["b-1"]


def test_what_is_not_running_is_not_handed_out(office: Office) -> None:
    office.payout("a", 2, PAUSED)
    office.payout("b", 2)
    assert office.hungry() == ["b-1", "b-2"]


def test_what_was_handed_out_is_in_hand_until_it_is_over_or_held(office: Office) -> None:
    lines = office.payout("a", 4)
    for line in lines[:3]:
        office.journal.mark_fed(line)
    assert office.hungry() == ["a-4"]
    assert feeding.in_hand(office.journal, office.treasury) == 3
    office.happen(lines[0], EventKind.FAILED)
    office.happen(lines[1], EventKind.HELD, hold="approval")
    assert feeding.in_hand(office.journal, office.treasury) == 1
    assert office.hungry() == ["a-4"]
    [waits] = feeding.awaiting_consent(office.journal, office.treasury, LATER, 9)
    [stalls] = feeding.stalled(office.journal, office.treasury, LATER, 9)
    assert (waits.id, stalls.id) == ("a-2", "a-3")


def test_a_line_whose_work_is_begun_anew_is_handed_out_again(office: Office) -> None:
    line, _other = office.payout("a", 2)
    office.journal.mark_fed(line)
    assert office.hungry() == ["a-2"]
    office.happen(line, EventKind.TURNED)
    assert office.hungry() == ["a-1", "a-2"]


def test_a_batch_is_handed_out_in_place_of_its_lines(office: Office) -> None:
    lines = office.payout("a", 5)
    gather(office, "a.batch", lines[1:4])
    assert office.hungry() == ["a-1", "a.batch", "a-5"]


def gather(office: Office, name: str, lines: Sequence[Transfer]) -> None:
    new = NewTransfer(
        Key(office.treasury, name),
        batches.batch_of(name, lines),
        Lane.PAYOUT,
        lines[0].place,
        "somebody",
    )
    with office.journal.writing() as connection:
        batches.gather(office.journal, connection, new, lines)


def test_resuming_touches_only_what_was_handed_out_or_held(office: Office) -> None:
    lines = office.payout("a", 4, PAUSED)
    office.journal.mark_fed(lines[0])
    office.happen(lines[1], EventKind.HELD, hold="trouble")
    paused = office.book.find(office.treasury, "a")
    assert paused is not None
    resumed = office.book.resume(paused)
    versions = [office.journal.get(each.key).version for each in lines]
    assert versions == [2, 2, 1, 1]
    assert office.hungry() == ["a-1", "a-3", "a-4"]
    office.book.resume(resumed, held=True)
    assert office.hungry() == ["a-1", "a-2", "a-3", "a-4"]


def test_each_question_goes_to_an_index_of_its_own(office: Office) -> None:
    office.payout("a", 2)
    asked: list[tuple[str, Any]] = []

    @sa.event.listens_for(office.journal.engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, text: str, values: Any, *_: object) -> None:
        asked.append((text, values))

    feeding.hungry(office.journal, office.treasury, 10)
    feeding.in_hand(office.journal, office.treasury)
    feeding.stalled(office.journal, office.treasury, LATER, 10)
    feeding.awaiting_consent(office.journal, office.treasury, LATER, 10)
    questions = [each for each in asked if each[0].startswith("SELECT")]
    indexes = ["to_hand_out", "to_hand_out", "handed_out", "handed_out", "held"]
    for question, index in zip(questions, indexes, strict=True):
        assert f"transfers_{index}" in plan(office, *question), question


def plan(office: Office, text: str, values: Any) -> str:
    """Return how the database answers a question, where it has a choice and every table is large."""
    on_file = office.journal.engine.dialect.name == "sqlite"
    with office.journal.reading() as connection:
        if not on_file:
            connection.exec_driver_sql("SET enable_seqscan = off")
            connection.exec_driver_sql("SET enable_bitmapscan = off")
        rows = connection.exec_driver_sql(
            ("EXPLAIN QUERY PLAN " if on_file else "EXPLAIN ") + text, values
        )
        return "\n".join(str(tuple(row)) for row in rows)
