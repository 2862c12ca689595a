"""A worker with its workflow engine, over SQLite and PostgreSQL: what waits keeps nothing else from going on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from bursar.errors import ComplianceInProgress
from bursar.signing_contract import BareSigner
from bursar.transfers import deployment, feeding
from bursar.transfers.desk import Desk, Next, Tools
from bursar.transfers.engine import engine_url
from bursar.transfers.journal import Journal, NewTransfer, utc_now
from bursar.transfers.record import Key, Transfer
from bursar.transfers.states import Event, EventKind, Stage
from bursar.transfers.troubles import happened
from bursar.transfers.worker import Worker
from bursar.transfers.workflow import Runner, Work
from tests.contract.payday import Office
from tests.fakes.scripted_crossmint import CountingSigner, Moments, ScriptedCrossmint, intent

# Seconds: many, for the machine is shared with all other tests.
PATIENCE: Final = 60.0
CONCURRENCY: Final = 4
CHECKING: Final = ComplianceInProgress("identity checks are running", status=400)
Act = Callable[[Transfer], Next]


class Acting(Desk):
    """A desk whose one step is what `acts` has for a transfer; one that it has nothing for is over."""

    def __init__(self, journal: Journal) -> None:
        client = ScriptedCrossmint().client()
        super().__init__(journal, Tools(client, BareSigner(CountingSigner())))
        self.acts: dict[str, Act] = {}
        self.steps: list[str] = []

    def advance(self, key: Key, turn: int | None = None) -> Next:
        transfer = self.journal.get(key)
        if turn != transfer.turn or transfer.standing.is_final:
            return Next(None, transfer)
        self.steps.append(key.id)
        return self.acts.get(key.id, self.end)(transfer)

    def end(self, transfer: Transfer) -> Next:
        proved = {"reason": "-", "undone": True}
        return Next(None, self.journal.append(transfer, Event(EventKind.FAILED, proved)))

    def check(self, transfer: Transfer) -> Next:
        """Hear that its recipient is being checked, and that once more for the longest time."""
        event = happened(CHECKING, Stage.RECORDED, 9, utc_now(), 1.0)
        return Next(60.0, self.journal.append(transfer, event))

    def look(self, transfer: Transfer) -> Next:
        """See that it is approved and has not landed."""
        if transfer.standing.stage is not Stage.APPROVED:
            for kind in (EventKind.CREATED, EventKind.APPROVED):
                transfer = self.journal.append(transfer, Event(kind))
        return Next(15.0, transfer)


class Day:
    """A worker at payout `a`, whose rounds are had done."""

    def __init__(self, office: Office, desk: Acting, runner: Runner) -> None:
        self.office, self.desk, self.runner, self.journal = office, desk, runner, desk.journal
        self.worker = Worker(runner, office.treasury, CONCURRENCY)

    def until(self, so: Callable[[], bool]) -> None:
        """Have rounds done until something is so."""
        end = time.monotonic() + PATIENCE
        while not so():
            assert time.monotonic() < end, self.desk.steps
            assert self.worker.round().error is None
            time.sleep(0.1)

    def over(self) -> int:
        payout = self.office.book.find(self.office.treasury, "a")
        assert payout is not None
        return sum(each.standing.is_final for each in self.office.book.transfers(payout))

    def is_put_off(self, name: str) -> bool:
        due = self.office.get(name).standing.retry_at
        return due is not None and due > self.journal.now

    def make_due(self, name: str) -> None:
        feeding.put_off(self.journal, self.office.get(name), 0)


@pytest.fixture(params=["sqlite", "postgres"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    where = tmp_path / "journal.sqlite3"
    if request.param == "postgres":
        where = request.getfixturevalue("postgres_url")
    # Everything here was written down a while ago.
    with Office.open(where, Moments(datetime.now(UTC) - timedelta(minutes=30))) as made:
        yield made


@contextmanager
def at_work(office: Office, *, works: bool = True) -> Iterator[Day]:
    url = office.journal.engine.url.render_as_string(hide_password=False)
    with Journal.open(url) as journal:
        desk = Acting(journal)
        work = Work(office.treasury, CONCURRENCY) if works else None
        with Runner(desk, work) as runner:
            yield Day(office, desk, runner)


@pytest.fixture
def day(office: Office) -> Iterator[Day]:
    assert deployment.may_go(office.journal, Key(office.treasury, "before"))
    deployment.is_there(office.journal, office.treasury)
    with at_work(office) as made:
        yield made


@pytest.mark.parametrize("what", ["check", "look"])
def test_lines_that_wait_keep_no_others_from_being_paid(day: Day, what: str) -> None:
    waiting = [line.id for line in day.office.payout("a", 30)[:CONCURRENCY]]
    day.desk.acts |= {name: getattr(day.desk, what) for name in waiting}
    day.until(lambda: day.over() == 26)
    assert all(day.is_put_off(name) for name in waiting)
    day.desk.acts.clear()
    for name in waiting:
        day.make_due(name)
    day.until(lambda: day.over() == 30)


@pytest.mark.parametrize("end", ["pause", "cancel"])
def test_what_has_a_transaction_comes_to_its_end_though_its_payout_stands_still(
    day: Day, end: str
) -> None:
    begun, unbegun = day.office.payout("a", 2)
    for each in (begun, unbegun):
        day.journal.mark_fed(each)
    day.office.happen(begun, EventKind.CREATED, EventKind.APPROVED)
    payout = day.office.book.find(day.office.treasury, "a")
    assert payout is not None
    if end == "pause":
        day.office.book.pause(payout)
    else:
        day.office.book.cancel(payout, "Ada", lambda _: False)
    day.until(lambda: day.office.get(begun.id).standing.is_final)
    assert day.desk.steps == [begun.id]


def test_what_others_have_in_hand_keeps_no_worker_from_its_own(day: Day) -> None:
    day.office.clock.now = datetime.now(UTC)
    lines = day.office.payout("a", 30)
    for line in lines[:20]:
        day.journal.mark_fed(line)
    day.until(lambda: day.over() == 10)
    assert not set(day.desk.steps) & {line.id for line in lines[:20]}


def test_no_more_is_handed_out_than_the_worker_will_soon_be_at(day: Day) -> None:
    lines = day.office.payout("a", 30)
    go_on = threading.Event()

    def wait(transfer: Transfer) -> Next:
        assert go_on.wait(PATIENCE)
        return day.desk.end(transfer)

    day.desk.acts |= {line.id: wait for line in lines}
    try:
        day.until(lambda: len(day.desk.steps) == CONCURRENCY)
        fed = [day.worker.round().fed for _ in range(5)]
        assert fed[1:] == [0] * 4
        left = feeding.hungry(day.journal, day.office.treasury, 30)
        assert len(left) == 30 - CONCURRENCY - 3 * CONCURRENCY
    finally:
        go_on.set()
    day.until(lambda: day.over() == 30)


def test_until_the_wallet_is_there_lines_are_handed_out_one_by_one(office: Office) -> None:
    office.payout("a", 5)
    with at_work(office) as day:
        assert day.worker.round().fed == 1
        assert deployment.may_go(day.journal, Key(office.treasury, "a-1"))
        deployment.is_there(day.journal, office.treasury)
        assert day.worker.round().fed == 4


def test_a_webhook_has_what_was_put_off_looked_at_now(day: Day) -> None:
    day.office.payout("a", 1)
    day.desk.acts["a-1"] = day.desk.look
    day.until(lambda: day.is_put_off("a-1"))
    day.desk.acts.clear()
    day.runner.hurry(day.office.get("a-1"))
    assert not day.is_put_off("a-1")
    day.until(lambda: day.over() == 1)


@pytest.mark.parametrize("single", [True, False])
def test_the_signer_is_asked_again_for_consent_and_the_same_answer_is_not_written(
    day: Day,
    single: bool,  # noqa: FBT001  pytest names it
) -> None:
    line = single_transfer(day) if single else day.office.payout("a", 1)[0]
    held = day.office.happen(line, EventKind.HELD, hold="approval")
    day.desk.acts[line.id] = lambda transfer: Next(120.0, transfer)

    def is_answered(times: int) -> bool:
        return len(day.desk.steps) == times and day.is_put_off(line.id)

    day.until(lambda: is_answered(1))
    day.make_due(line.id)
    day.until(lambda: is_answered(2))
    assert day.office.get(line.id).version == held.version


def single_transfer(day: Day, name: str = "rent") -> Transfer:
    asked = intent(f"{name}-{day.office.treasury[2:10]}")
    new = NewTransfer(Key(day.office.treasury, asked.id), asked, confirmed_by="Ada")
    return day.office.journal.record(new)


def test_the_engine_keeps_nothing_of_turns_that_have_ended(day: Day) -> None:
    day.office.payout("a", 8)
    day.desk.acts["a-1"] = day.desk.look
    day.until(lambda: day.over() == 7 and day.is_put_off("a-1"))
    day.until(lambda: sum(rows(day).values()) == 0)
    day.make_due("a-1")
    day.desk.acts.clear()
    day.until(lambda: day.over() == 8)


def test_driving_a_transfer_of_its_own_leaves_at_most_itself_behind(office: Office) -> None:
    with at_work(office, works=False) as day:
        for name in ("rent", "power", "water"):
            ended = day.runner.run(single_transfer(day, name).key)
            assert ended.standing.is_final
        assert rows(day)["workflow_status"] <= 2


def rows(day: Day) -> dict[str, int]:
    """Return how many rows of the workflow engine's tables are about this wallet's transfers."""
    engine = sa.create_engine(engine_url(day.journal.engine.url))
    schema = None if engine.dialect.name == "sqlite" else "dbos"
    found = {}
    try:
        with engine.connect() as connection:
            for name in ("workflow_status", "workflow_input", "operation_outputs"):
                table = sa.table(name, sa.column("workflow_uuid", sa.Text), schema=schema)
                mine = table.c.workflow_uuid.startswith(f"{day.office.treasury}:")
                count = sa.select(sa.func.count()).select_from(table).where(mine)
                found[name] = int(connection.execute(count).scalar_one())
    finally:
        engine.dispose()
    return found
