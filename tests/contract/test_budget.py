"""The shared budget over SQLite and PostgreSQL: many processes, one row, and its own record of what they took."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Semaphore
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from bursar.errors import CrossmintRateLimited, JournalError, JournalUnavailable
from bursar.transfers.budget import SharedBudget
from bursar.transfers.pace import MICROSECONDS, Lane, Pace
from tests.contract.budgets import BudgetWorld, Sleeper
from tests.contract.stores import finish
from tests.unit.transfers.test_pace import most_within

MINUTE = 60 * MICROSECONDS
WRITES = Pace.of(120, MINUTE)


def plain(url: str) -> str:
    return url.replace("+psycopg", "")


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BudgetWorld]:
    url = f"sqlite+pysqlite:///{tmp_path / 'journal.sqlite3'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    world = BudgetWorld(url, uuid.uuid4().hex)
    world.prepare()
    yield world
    world.close()


@pytest.fixture
def on_server(postgres_url: str) -> Iterator[BudgetWorld]:
    world = BudgetWorld(postgres_url, uuid.uuid4().hex)
    world.prepare()
    yield world
    world.close()


TAKE_WITHOUT_SLEEPING = """
from concurrent.futures import ThreadPoolExecutor
budget = world.budget(Lane(arguments[0]), unhurried())
with ThreadPoolExecutor(4) as threads:
    list(threads.map(lambda _: budget.take(write=True), range(int(arguments[1]))))
"""


def test_processes_that_take_at_once_get_each_slot_once_and_never_more_than_the_limit(
    world: BudgetWorld,
) -> None:
    lanes = [Lane.BULK, Lane.BULK, Lane.PRIORITY]
    for process in [world.start(TAKE_WITHOUT_SLEEPING, lane, "100") for lane in lanes]:
        finish(process)
    slots = world.slots(WRITES, write=True)
    assert len(slots) == 300
    in_line = [slot for slot, lane in slots if lane is Lane.BULK]
    assert len(set(in_line)) == len(in_line)
    assert most_within([slot for slot, _ in slots], MINUTE + WRITES.grace) <= 120
    assert sum(lane is Lane.PRIORITY for _, lane in slots) >= 2


def test_processes_of_bulk_use_95_percent_of_the_limit(world: BudgetWorld) -> None:
    for process in [world.start(TAKE_WITHOUT_SLEEPING, Lane.BULK, "125") for _ in range(2)]:
        finish(process)
    slots = [slot for slot, _ in world.slots(WRITES, write=True)]
    used = sum(slot < slots[0] + 2 * MINUTE for slot in slots)
    assert used >= 2 * 120 * 95 / 100


TAKE = """
from concurrent.futures import ThreadPoolExecutor
budget = world.budget(Lane(arguments[0]), writes_per_minute=60, window=3.0)
with ThreadPoolExecutor(6) as threads:
    list(threads.map(lambda _: budget.take(write=True), range(int(arguments[1]))))
"""


def test_processes_that_do_sleep_are_within_the_limit_of_a_short_window(world: BudgetWorld) -> None:
    processes = [
        world.start(TAKE, lane, count)
        for lane, count in [(Lane.BULK, "50"), (Lane.BULK, "50"), (Lane.PRIORITY, "20")]
    ]
    for process in processes:
        finish(process)
    pace = Pace.of(60, 3 * MICROSECONDS)
    slots = [slot for slot, _ in world.slots(pace, write=True)]
    assert len(slots) >= 120
    assert most_within(slots, 3 * MICROSECONDS + pace.grace) <= 60


def test_a_priority_call_finds_the_reserve_free_behind_two_hundred_bulk_calls(
    world: BudgetWorld,
) -> None:
    finish(world.start(TAKE_WITHOUT_SLEEPING, Lane.BULK, "200"))
    sleeper = Sleeper()
    budget = world.budget(Lane.PRIORITY, sleeper.clock())
    budget.take(write=True)
    budget.take(write=True)
    assert sleeper.sleeps == []
    budget.take(write=True)
    assert 0 < sleeper.sleeps[0] < 31


def test_a_429_reaches_other_processes(world: BudgetWorld) -> None:
    finish(world.start("world.budget().refused(write=True, retry_after=500)"))
    sleeper = Sleeper()
    world.budget(Lane.PRIORITY, sleeper.clock()).take(write=False)
    assert sleeper.sleeps == []
    with pytest.raises(CrossmintRateLimited) as caught:
        world.budget(Lane.PRIORITY, longest_wait=65.0).take(write=True)
    assert 400 < (caught.value.retry_after or 0) <= 500
    assert len(world.rows(write=True)) == 2


ONE_CALL = "world.budget().take(write=True)"


def test_a_process_that_was_stopped_over_its_slot_queues_anew(world: BudgetWorld) -> None:
    sleeper = Sleeper()
    for _ in range(12):
        world.budget(clock=sleeper.clock()).take(write=True)
    process = world.start(ONE_CALL)
    while len(world.rows(write=True)) < 1 + 13:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    slot = world.slots(WRITES, write=True)[-1][0]
    while world.now() <= slot + WRITES.grace:
        time.sleep(0.05)
    process.send_signal(signal.SIGCONT)
    finish(process)
    assert len(world.slots(WRITES, write=True)) == 14


MANY_AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
budget = world.budget()
with ThreadPoolExecutor(16) as threads:
    list(threads.map(lambda _: budget.take(write=True), range(1000)))
"""


def test_a_process_that_is_killed_takes_no_more_than_one_slot_along(world: BudgetWorld) -> None:
    process = world.start(MANY_AT_ONCE)
    while len(world.rows(write=True)) < 1 + 4:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    slots = [slot for slot, _ in world.slots(WRITES, write=True)]
    made = [row.seen for row in world.rows(write=True)[1:]]
    assert max(slot - at for slot, at in zip(slots, made, strict=True)) <= WRITES.spacing


def test_a_clock_that_was_set_back_an_hour_stalls_nobody(world: BudgetWorld) -> None:
    sleeper = Sleeper()
    for _ in range(5):
        world.budget(clock=sleeper.clock()).take(write=True)
    world.set_clock_back(3600)
    for _ in range(5):
        world.budget(clock=sleeper.clock()).take(write=True)
    assert max(sleeper.sleeps) < 10 * WRITES.spacing / MICROSECONDS


def test_a_clock_that_was_set_back_an_hour_does_not_end_or_prolong_a_429(
    world: BudgetWorld,
) -> None:
    world.budget().refused(write=True, retry_after=500)
    world.set_clock_back(3600)
    with pytest.raises(CrossmintRateLimited) as caught:
        world.budget(longest_wait=1.0).take(write=True)
    assert 400 < (caught.value.retry_after or 0) <= 500


def test_a_clock_that_was_set_forward_starts_anew(world: BudgetWorld) -> None:
    sleeper = Sleeper()
    for _ in range(50):
        world.budget(clock=sleeper.clock()).take(write=True)
    world.set_clock_back(-3600)
    sleeper.sleeps.clear()
    world.budget(clock=sleeper.clock()).take(write=True)
    assert sleeper.sleeps == []


# --- when nobody can know ---------------------------------------------------------------------------------


def test_many_may_prepare_at_once(tmp_path: Path, postgres_url: str) -> None:
    with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
        admin.execute("CREATE DATABASE budgets_at_once")
    places = [
        f"sqlite+pysqlite:///{tmp_path / 'new.sqlite3'}",
        postgres_url.replace("/postgres", "/budgets_at_once"),
    ]
    for place in places:
        world = BudgetWorld(place, "p")
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _, world=world: world.budget().prepare(), range(8)))
        world.budget().take(write=True)
        world.close()


def test_a_database_that_is_gone_lets_nobody_through(postgres_url: str) -> None:
    with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
        admin.execute("CREATE DATABASE soon_gone")
        world = BudgetWorld(postgres_url.replace("/postgres", "/soon_gone"), "p")
        world.prepare()
        world.budget().take(write=True)
        admin.execute("DROP DATABASE soon_gone WITH (FORCE)")
    for _ in range(2):
        with pytest.raises(JournalUnavailable) as caught:
            world.budget().take(write=True)
        assert caught.value.retryable
    password = str(world.engine.url.password)
    assert password not in f"{caught.value!r} {caught.value.to_dict()} {caught.value.__cause__}"
    world.close()


def test_a_connection_lost_while_committing_lets_nobody_through(
    postgres_url: str, on_server: BudgetWorld
) -> None:
    def lose(connection: Any) -> None:
        pid = connection.connection.dbapi_connection.info.backend_pid
        with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    sa.event.listen(on_server.engine, "commit", lose)
    with pytest.raises(JournalUnavailable):
        on_server.budget().take(write=True)
    sa.event.remove(on_server.engine, "commit", lose)
    on_server.budget().take(write=True)


def test_whoever_freezes_with_the_row_in_hand_is_cut_off(on_server: BudgetWorld) -> None:
    def freeze() -> None:
        with on_server.budget()._turn(write=True):
            frozen.release()
            time.sleep(7)

    frozen = Semaphore(0)
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(freeze)
        frozen.acquire()
        time.sleep(1)
        on_server.budget().take(write=True)
        with pytest.raises(JournalUnavailable):
            result.result()


def test_a_row_that_somebody_keeps_locked_lets_nobody_through(
    postgres_url: str, on_server: BudgetWorld
) -> None:
    with psycopg.connect(plain(postgres_url)) as other:
        other.execute("SELECT * FROM crossmint_budget FOR UPDATE")
        with pytest.raises(JournalUnavailable):
            on_server.budget().take(write=True)
    assert on_server.rows(write=True)[1:] == []


def test_a_user_who_may_not_is_told_what_is_needed(
    postgres_url: str, on_server: BudgetWorld
) -> None:
    with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
        admin.execute("CREATE ROLE onlooker LOGIN PASSWORD 'secret'")
        admin.execute("GRANT SELECT ON crossmint_budget TO onlooker")
    url = sa.engine.make_url(postgres_url).set(username="onlooker", password="secret")
    engine = sa.create_engine(url)
    budget = SharedBudget(engine, on_server.project)
    budget.prepare()
    with pytest.raises(JournalError) as caught:
        budget.take(write=True)
    engine.dispose()
    assert not caught.value.retryable
    assert "UPDATE" in (caught.value.hint or "")
