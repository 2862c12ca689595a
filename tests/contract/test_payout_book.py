"""A payout in the journal, on SQLite and on PostgreSQL: begun once, stopped and gone on with, counted rightly."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bursar.chains import evm
from bursar.errors import PayoutError, PlanChanged, PlanRejected, UnknownPayout
from bursar.payouts.book import CANCELLED, DONE, PAUSED, Beginning, Payout, PayoutBook
from bursar.payouts.plan import Plan
from bursar.payouts.taken import taken
from bursar.transfers import batches, feeding
from bursar.transfers.feeding import RUNNING
from bursar.transfers.journal import Filter, Journal, NewTransfer
from bursar.transfers.record import Key, Lane, Place, Transfer
from bursar.transfers.states import Event, EventKind, Stage
from tests.unit.payouts.payroll import csv_of, planned


@dataclass(frozen=True)
class Office:
    """A journal, and a wallet in it of which nobody wrote yet."""

    journal: Journal
    address: str

    @property
    def book(self) -> PayoutBook:
        return PayoutBook(self.journal)

    @property
    def name(self) -> str:
        """A payout's id that no other test has."""
        return f"payroll-{self.address[2:10]}"

    def plan(self, *amounts: str) -> Plan:
        lines = [f"p-{n},0x{n:040x},{amount},direct" for n, amount in enumerate(amounts, 1)]
        body = csv_of(*lines, header="id,recipient,amount,type")
        return planned(body, address=self.address)

    def begin(self, *amounts: str, batch: int = 1) -> Payout:
        return self.book.begin(self.plan(*amounts), Beginning(self.name, "Ada", batch))

    def get(self, name: str) -> Transfer:
        return self.journal.get(Key(self.address.lower(), name))

    def happen(self, name: str, *kinds: EventKind, **data: str) -> None:
        transfer = self.get(name)
        for kind in kinds:
            transfer = self.journal.append(transfer, Event(kind, data))

    def batches(self) -> list[Transfer]:
        wanted = Filter(treasury=self.address.lower(), payout=self.name, is_batch=True)
        return list(self.journal.transfers(wanted))


@pytest.fixture(params=["sqlite", "postgres"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    where = str(tmp_path / "journal.sqlite3")
    if request.param == "postgres":
        where = request.getfixturevalue("postgres_url")
    with Journal.open(where) as journal:
        yield Office(journal, evm.checksum_address(secrets.token_bytes(20)))


def test_a_payout_is_begun_once_and_gone_on_with_after(office: Office) -> None:
    told: list[int] = []
    plan = office.plan("1", "2", "3")
    how = Beginning(office.name, "Ada")
    begun = office.book.begin(plan, how, told.append)
    assert (begun.state, begun.lines, begun.hash, told) == (RUNNING, 3, plan.hash, [3])
    assert office.book.begin(plan, how) == begun
    assert [office.get(f"p-{n}").version for n in (1, 2, 3)] == [1, 1, 1]
    assert office.get("p-2").place == Place(office.name, 3)  # the file's first line has names
    assert office.book.named(office.name) == begun


def test_another_file_under_the_same_id_is_refused(office: Office) -> None:
    office.begin("1", "2")
    with pytest.raises(PlanChanged):
        office.begin("1", "3")


def test_a_line_that_came_before_is_found_before_anything_is_written(office: Office) -> None:
    plan = office.plan("1", "2", "3")
    first, second = plan.lines[0], plan.lines[1]
    key = Key(office.address.lower(), first.id)
    office.journal.record(NewTransfer(key, first.intent(plan.wallet)))
    other = office.plan("1", "9", "3").lines[1]
    key = Key(office.address.lower(), second.id)
    place = Place("october", 5)
    office.journal.record(NewTransfer(key, other.intent(plan.wallet), Lane.PAYOUT, place))
    with pytest.raises(PlanRejected) as caught:
        office.book.begin(plan, Beginning(office.name, "Ada"))
    found = [(each["line"], each["column"], each["what"]) for each in caught.value.problems]
    assert found == [
        (2, "id", "p-1 is a transfer of its own already (recorded)"),
        (3, "id", "p-2 is another payment's id: its amount is 9, but 2 is asked for"),
    ]
    assert office.journal.find(Key(office.address.lower(), "p-3")) is None
    with pytest.raises(UnknownPayout):
        office.book.named(office.name)


def test_a_plan_s_own_lines_are_not_taken_for_others(office: Office) -> None:
    office.begin("1", "2")
    plan = office.plan("1", "2")
    assert taken(office.journal, plan, office.name) == ()
    assert [each.line for each in taken(office.journal, plan, "another")] == [2, 3]


def test_a_beginning_that_broke_off_is_begun_again(office: Office) -> None:
    class Stop(Exception):
        pass

    def stop(_lines: int) -> None:
        raise Stop

    plan, how = office.plan("1", "2", "3"), Beginning(office.name, "Ada", batch=2)
    with pytest.raises(Stop):
        office.book.begin(plan, how, stop)
    assert feeding.hungry(office.journal, office.address.lower(), 10) == []
    assert office.book.begin(plan, how).state == RUNNING
    assert [office.get(f"p-{n}").standing.stage for n in (1, 2, 3)] == [
        Stage.BATCHED,
        Stage.BATCHED,
        Stage.RECORDED,
    ]
    assert len(office.batches()) == 1


def test_lines_wait_with_their_batch(office: Office) -> None:
    payout = office.begin("1", "2", "3", batch=2)
    [batch] = office.batches()
    office.happen(batch.id, EventKind.HELD, hold="approval", reason="somebody has to agree")
    counts = office.book.counts(payout)
    assert (counts.total, counts.open, counts.held) == (3, 3, 2)
    office.happen("p-3", EventKind.HELD, hold="trouble", reason="no")
    assert office.book.counts(payout).held == 3


def test_what_is_over_is_done_and_nothing_else(office: Office) -> None:
    payout = office.begin("1", "2")
    treasury = office.address.lower()
    assert office.book.finish_all(treasury) == []
    office.happen("p-1", EventKind.FAILED, reason="no", code="x")
    assert office.book.finish_all(treasury) == []
    office.happen("p-2", EventKind.FAILED, reason="no", code="x")
    assert [each.id for each in office.book.finish_all(treasury)] == [payout.id]
    assert office.book.named(payout.id).state == DONE
    assert office.book.finish_all(treasury) == []


def test_while_it_is_paused_nothing_is_handed_out(office: Office) -> None:
    payout = office.begin("1", "2")
    treasury = office.address.lower()
    [first, _] = feeding.hungry(office.journal, treasury, 10)
    office.journal.mark_fed(first)
    paused = office.book.pause(payout)
    assert (paused.state, feeding.hungry(office.journal, treasury, 10)) == (PAUSED, [])
    assert office.book.resume(paused).state == RUNNING
    assert [each.id for each in feeding.hungry(office.journal, treasury, 10)] == ["p-1", "p-2"]


def test_what_trouble_held_goes_on_when_that_is_asked_for(office: Office) -> None:
    payout = office.begin("1", "2")
    office.happen("p-1", EventKind.HELD, hold="trouble", reason="no")
    payout = office.book.resume(payout)
    assert office.get("p-1").standing.hold
    office.book.resume(payout, held=True)
    assert office.get("p-1").standing.hold is None


def test_what_nobody_can_have_been_paid_by_is_cancelled(office: Office) -> None:
    payout = office.begin("1", "2", "3", "4", batch=2)
    [first, second] = office.batches()
    office.happen(first.id, EventKind.ASKED)
    office.happen(first.id, EventKind.CREATED, transaction="tx-1")
    office.happen(first.id, EventKind.APPROVED)
    cancelled, count = office.book.cancel(payout, "Ada")
    assert cancelled.state == CANCELLED
    assert [office.get(f"p-{n}").standing.stage for n in (1, 2, 3, 4)] == [
        *[Stage.BATCHED] * 2,
        *[Stage.CANCELLED] * 2,
    ]
    assert office.get(second.id).standing.stage is Stage.CANCELLED
    assert count == 2
    with pytest.raises(PayoutError):
        office.book.resume(cancelled)


def test_a_batch_s_end_is_its_payments_end(office: Office) -> None:
    payout = office.begin("1", "2", batch=2)
    [batch] = office.batches()
    for kind, data in (
        (EventKind.ASKED, {}),
        (EventKind.CREATED, {"transaction": "tx-1"}),
        (EventKind.APPROVED, {}),
    ):
        office.happen(batch.id, kind, **data)
    batches.conclude(office.journal, office.get(batch.id), Event(EventKind.SETTLED, {}))
    counts = office.book.counts(payout)
    assert (counts.of(Stage.SETTLED), counts.open, counts.held) == (2, 0, 0)
    assert office.book.finish(payout, counts).state == DONE
