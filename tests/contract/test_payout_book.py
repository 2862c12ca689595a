"""A payout in the journal, on SQLite and on PostgreSQL: begun once, stopped and gone on with, counted rightly."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from bursar.chains import evm
from bursar.errors import (
    CrossmintUnavailable,
    NotCancellable,
    PayoutError,
    PlanChanged,
    PlanRejected,
    TransferConflict,
    UnknownPayout,
    UnknownTransfer,
)
from bursar.payouts.book import CANCELLED, DONE, PAUSED, WITHDRAWN, Beginning, Payout, PayoutBook
from bursar.payouts.plan import Plan
from bursar.payouts.taken import taken
from bursar.transfers import batches, feeding, orders
from bursar.transfers.feeding import RUNNING
from bursar.transfers.journal import Filter, Journal, NewTransfer, Overtaken
from bursar.transfers.record import Key, Lane, Place, Transfer
from bursar.transfers.states import Event, EventKind, Stage
from bursar.transfers.tables import EVENTS, TRANSFERS
from tests.unit.payouts.payroll import csv_of, planned

TOLD = {"reason": "cancelled by Ada", "code": "cancelled"}


@dataclass
class Crossmint:
    """Says of which transactions it has an approval, of which it knows nothing, and is told who asked."""

    approved: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def __call__(self, transfer: Transfer) -> bool:
        name = transfer.standing.known.get("transaction")
        if name is None:
            return False
        self.asked.append(name)
        if name in self.silent:
            raise CrossmintUnavailable("Crossmint does not answer")
        return name in self.approved


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

    def break_off(self, *amounts: str, batch: int = 1) -> Payout:
        """Begin a payout in a process that dies once its lines are written."""
        plan, how = self.plan(*amounts), Beginning(self.name, "Ada", batch)
        with pytest.raises(Died):
            self.book.begin(plan, how, die)
        return self.book.named(self.name)

    def stages(self, *names: str) -> list[Stage]:
        return [self.get(name).standing.stage for name in names]

    def rows(self) -> int:
        """How many transfers the wallet has, and events of them."""
        with self.journal.reading() as connection:
            return sum(
                connection.execute(
                    sa.select(sa.func.count()).where(each.c.treasury == self.address.lower())
                ).scalar_one()
                for each in (TRANSFERS, EVENTS)
            )

    def get(self, name: str) -> Transfer:
        return self.journal.get(Key(self.address.lower(), name))

    def happen(self, name: str, *kinds: EventKind, **data: str) -> None:
        transfer = self.get(name)
        for kind in kinds:
            transfer = self.journal.append(transfer, Event(kind, data))

    def batches(self) -> list[Transfer]:
        wanted = Filter(treasury=self.address.lower(), payout=self.name, is_batch=True)
        return list(self.journal.transfers(wanted))


class Died(Exception):
    """What a process's death is here."""


def die(_lines: int) -> None:
    raise Died


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
    plan, how = office.plan("1", "2", "3"), Beginning(office.name, "Ada", batch=2)
    office.break_off("1", "2", "3", batch=2)
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
    cancelled, count = office.book.cancel(payout, "Ada", Crossmint())
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


# Cancelling


def test_what_was_approved_elsewhere_goes_on_and_the_rest_is_cancelled(office: Office) -> None:
    payout = office.begin("1", "2", "3", "4")
    for name in ("p-1", "p-2", "p-3"):
        office.happen(name, EventKind.ASKED)
        office.happen(name, EventKind.CREATED, transaction=f"tx-{name}")
    office.happen("p-2", EventKind.REVIEWED, message="0x", digest="0x", nonce="0x1")
    office.happen("p-3", EventKind.HELD, hold="trouble", reason="no")
    crossmint = Crossmint(approved={"tx-p-1", "tx-p-3"})
    told: list[int] = []
    _, count = office.book.cancel(payout, "Ada", crossmint, told.append)
    assert (count, told) == (2, [4])
    stages = [Stage.APPROVED, Stage.CANCELLED, Stage.APPROVED, Stage.CANCELLED]
    assert office.stages("p-1", "p-2", "p-3", "p-4") == stages
    assert office.get("p-3").standing.hold is None
    assert sorted(crossmint.asked) == ["tx-p-1", "tx-p-2", "tx-p-3"]


def test_a_batch_that_was_approved_elsewhere_goes_on_with_all_its_lines(office: Office) -> None:
    payout = office.begin("1", "2", batch=2)
    [batch] = office.batches()
    office.happen(batch.id, EventKind.ASKED)
    office.happen(batch.id, EventKind.CREATED, transaction="tx-1")
    _, count = office.book.cancel(payout, "Ada", Crossmint(approved={"tx-1"}))
    assert (count, office.get(batch.id).standing.stage) == (0, Stage.APPROVED)
    assert office.stages("p-1", "p-2") == [Stage.BATCHED] * 2


def test_where_crossmint_does_not_answer_the_rest_is_cancelled_and_the_same_order_again_ends_it(
    office: Office,
) -> None:
    payout = office.begin("1", "2", "3")
    for name in ("p-1", "p-2"):
        office.happen(name, EventKind.ASKED)
        office.happen(name, EventKind.CREATED, transaction=f"tx-{name}")
    with pytest.raises(PayoutError, match="2 lines were cancelled now; of 1 transactions") as said:
        office.book.cancel(payout, "Ada", Crossmint(silent={"tx-p-1"}))
    assert said.value.hint == f"once it answers, do it again: bursar payout cancel {payout.id}"
    kept = office.book.named(payout.id)
    assert (kept.state, *office.stages("p-1", "p-2")) == (CANCELLED, Stage.CREATED, Stage.CANCELLED)
    assert [office.book.cancel(kept, "Ada", Crossmint())[1] for _ in range(2)] == [1, 0]
    assert office.stages("p-1", "p-2", "p-3") == [Stage.CANCELLED] * 3


def test_what_moved_while_it_was_cancelled_is_looked_at_again(office: Office) -> None:
    payout = office.begin("1")
    office.happen("p-1", EventKind.ASKED)
    office.happen("p-1", EventKind.CREATED, transaction="tx-1")
    crossmint = Crossmint()
    moves: list[Callable[[], None]] = [
        lambda: office.happen("p-1", EventKind.REVIEWED, message="0x", nonce="0x1"),
        lambda: crossmint.approved.add("tx-1"),
    ]

    def look(transfer: Transfer) -> bool:
        found = crossmint(transfer)
        if moves:
            moves.pop(0)()
        return found

    assert office.book.cancel(payout, "Ada", look)[1] == 1
    assert crossmint.asked == ["tx-1", "tx-1"]


def test_a_batch_that_is_cancelled_alone_takes_its_lines_with_it(office: Office) -> None:
    payout = office.begin("1", "2", "3", batch=2)
    [batch] = office.batches()
    orders.stop(office.journal, Crossmint(), batch, TOLD)
    assert office.get(batch.id).standing.stage is Stage.CANCELLED
    assert office.stages("p-1", "p-2", "p-3") == [*[Stage.CANCELLED] * 2, Stage.RECORDED]
    assert (office.get("p-1").batch, office.get("p-1").standing.reason) == (None, TOLD["reason"])
    assert office.book.counts(payout).open == 1
    assert office.book.cancel(payout, "Ada", Crossmint())[1] == 1


def test_a_line_that_a_batch_pays_says_so_and_is_not_cancelled(office: Office) -> None:
    office.begin("1", "2", batch=2)
    [batch] = office.batches()
    with pytest.raises(NotCancellable, match=f"p-1 is paid by batch {batch.id}") as said:
        orders.stop(office.journal, Crossmint(), office.get("p-1"), TOLD)
    ways = (f"bursar transfer cancel {batch.id}", f"bursar payout cancel {office.name}")
    assert said.value.hint == f"cancel all of that batch: {ways[0]}; or its payout: {ways[1]}"
    assert office.stages("p-1", "p-2") == [Stage.BATCHED] * 2


# Begun, and never written to the end


def test_a_payout_whose_beginning_broke_off_is_taken_out_and_uses_no_id_up(office: Office) -> None:
    payout = office.break_off("1", "2", "3", batch=2)
    assert office.rows() > 0
    ended, count = office.book.cancel(payout, "Ada", Crossmint())
    assert (ended, count) == (replace(payout, state=WITHDRAWN), 0)
    assert (office.rows(), office.book.find(payout.treasury, payout.id)) == (0, None)
    assert office.begin("1", "2", batch=2).state == RUNNING
    assert office.stages("p-1", "p-2") == [Stage.BATCHED] * 2


def test_another_payout_is_left_as_it_is_when_one_is_taken_out(office: Office) -> None:
    plan = office.plan("1")
    lines = tuple(replace(each, id="other") for each in plan.lines)
    other = office.book.begin(replace(plan, lines=lines), Beginning("other", "Ada"))
    office.book.cancel(office.break_off("1", "2"), "Ada", Crossmint())
    assert office.stages("other") == [Stage.RECORDED]
    assert [each.kind for each in office.journal.history(office.get("other").key)] == ["recorded"]
    assert office.book.find(other.treasury, "other") == other


def test_where_something_happened_to_a_line_it_is_cancelled_as_any_other(office: Office) -> None:
    payout = office.break_off("1", "2", "3")
    orders.stop(office.journal, Crossmint(), office.get("p-2"), TOLD)
    before = office.rows()
    ended, count = office.book.cancel(payout, "Ada", Crossmint())
    assert (ended.state, count) == (CANCELLED, 2)
    assert office.stages("p-1", "p-2", "p-3") == [Stage.CANCELLED] * 3
    assert office.rows() == before + 2


def test_whoever_still_writes_a_payout_that_was_taken_out_writes_nothing_more(
    office: Office,
) -> None:
    plan, how = office.plan(*["1"] * 501), Beginning(office.name, "Ada", batch=2)

    def cancel(lines: int) -> None:
        if lines == 500:
            office.book.cancel(office.book.named(office.name), "Bob", Crossmint())

    with pytest.raises(PayoutError, match="somebody else went on with payout"):
        office.book.begin(plan, how, cancel)
    assert (office.rows(), office.book.find(office.address.lower(), office.name)) == (0, None)
    with pytest.raises(UnknownTransfer):
        office.get("p-1")


def test_whoever_still_writes_a_payout_that_was_begun_anew_does_not_let_it_run(
    office: Office,
) -> None:
    plan, how = office.plan("1", "2"), Beginning(office.name, "Ada")

    def begin_anew(_lines: int) -> None:
        office.book.cancel(office.book.named(office.name), "Bob", Crossmint())
        office.break_off("1", "2")

    with pytest.raises(Overtaken):
        office.book.begin(plan, how, begin_anew)
    assert office.book.named(office.name).state == "writing"


def test_an_id_that_is_taken_between_the_look_and_the_write_leaves_nothing_that_blocks(
    office: Office,
) -> None:
    plan, how = office.plan(*["1"] * 501), Beginning(office.name, "Ada", batch=50)
    line = plan.lines[500]

    def take(_lines: int) -> None:
        other = replace(line.intent(plan.wallet), amount="9")
        office.journal.record(NewTransfer(Key(office.address.lower(), line.id), other))

    with pytest.raises(TransferConflict, match="its amount is 9"):
        office.book.begin(plan, how, take)
    assert office.rows() == 2  # that other payment, and its event
    put_right = replace(plan, lines=plan.lines[:500])
    assert office.book.begin(put_right, how).state == RUNNING


def test_another_file_for_a_beginning_that_broke_off_is_told_how_to_take_that_out(
    office: Office,
) -> None:
    payout = office.break_off("1", "2")
    with pytest.raises(PlanChanged) as said:
        office.begin("1", "3")
    assert f"bursar payout cancel {payout.id}" in (said.value.hint or "")
    with pytest.raises(PayoutError, match="it cannot be resumed") as resumed:
        office.book.resume(payout)
    assert "run its file again" in (resumed.value.hint or "")


# Two wallets


def test_a_payout_of_two_wallets_is_found_by_its_wallet(office: Office) -> None:
    first = office.begin("1", "2")
    other = replace(office, address=evm.checksum_address(secrets.token_bytes(20)))
    second = office.book.begin(other.plan("1", "2"), Beginning(office.name, "Ada"))
    book = office.book
    assert {each.treasury for each in book.having(office.name)} == {first.treasury, second.treasury}
    assert book.named(office.name, second.treasury) == second
    with pytest.raises(UnknownPayout) as said:
        book.named(office.name)
    assert first.treasury in said.value.message
    assert second.treasury in said.value.message
    assert said.value.hint == "name one with --wallet"
    assert book.pause(book.named(office.name, first.treasury)).state == PAUSED
    assert book.named(office.name, second.treasury).state == RUNNING
    with pytest.raises(UnknownPayout, match="not of wallet 0x00"):
        book.named(office.name, "0x00")
