"""The shared budget over a file: who waits, for how long, and what happens when nobody can know."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from bursar.crossmint.calls import ApiKey
from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.limits import Clock, Limits
from bursar.errors import (
    ConfigError,
    CrossmintNotFound,
    CrossmintRateLimited,
    JournalError,
    JournalUnavailable,
)
from bursar.sandbox.crossmint.keys import mint_api_key
from bursar.transfers.budget import SharedBudget
from bursar.transfers.pace import Lane

HOUR = 3600.0
SPACING = 0.523077  # seconds between two writes of 120 a minute
ALL_AT_ONCE = 3  # the line's first and the reserve's two


@dataclass
class FakeTime:
    """A machine's two clocks, which move only when somebody sleeps; it may sleep longer than it should."""

    wall: float = 1_790_000_000.0
    own: float = 5.0
    oversleeps: list[float] = field(default_factory=list)
    sleeps: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(round(seconds, 6))
        self.pass_by(seconds + (self.oversleeps.pop(0) if self.oversleeps else 0))

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.own += seconds

    def clock(self) -> Clock:
        return Clock(
            now=lambda: self.own, sleep=self.sleep, jitter=lambda: 0.0, wall=lambda: self.wall
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite3"


@pytest.fixture
def engine(path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 0.1})
    yield engine
    engine.dispose()


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@dataclass
class Project:
    """One project's budgets: as many as there are callers."""

    engine: sa.Engine
    time: FakeTime

    def budget(self, lane: Lane = Lane.BULK, name: str = "p", **limits: Any) -> SharedBudget:
        budget = SharedBudget(
            self.engine, name, lane=lane, limits=Limits(**limits), clock=self.time.clock()
        )
        budget.prepare()
        return budget

    def row(self, kind: str = "write") -> dict[str, int]:
        with self.engine.connect() as connection:
            query = sa.text("SELECT * FROM crossmint_budget WHERE kind = :kind AND project = 'p'")
            return dict(connection.execute(query, {"kind": kind}).mappings().one())


@pytest.fixture
def project(engine: sa.Engine, time: FakeTime) -> Project:
    return Project(engine, time)


def test_bulk_calls_of_all_budgets_of_a_project_go_one_after_another(
    project: Project, time: FakeTime
) -> None:
    budgets = [project.budget(), project.budget()]
    for number in range(6):
        budgets[number % 2].take(write=True)
    assert time.sleeps == [SPACING] * 5


def test_writes_reads_and_projects_have_budgets_of_their_own(
    project: Project, time: FakeTime
) -> None:
    project.budget().take(write=True)
    project.budget().take(write=False)
    project.budget(name="another").take(write=True)
    assert time.sleeps == []
    project.budget().take(write=False)
    assert time.sleeps == [0.174359]


def test_a_priority_call_does_not_wait_behind_bulk_calls(project: Project, time: FakeTime) -> None:
    bulk, priority = project.budget(), project.budget(Lane.PRIORITY)
    for _ in range(50):
        bulk._reserve(1e9, write=True)
    priority.take(write=True)
    priority.take(write=True)
    assert time.sleeps == []


def test_a_wait_that_is_too_long_is_refused_with_its_length_and_reserves_nothing(
    project: Project, time: FakeTime
) -> None:
    budget = project.budget(writes_per_minute=2, longest_wait=5.0)
    budget.take(write=True)
    before = project.row()
    for _ in range(3):
        with pytest.raises(CrossmintRateLimited) as caught:
            budget.take(write=True)
        assert caught.value.retryable
        assert caught.value.status is None
        assert caught.value.retry_after == pytest.approx(61.2, abs=0.001)
    assert project.row() == before
    time.pass_by(61.3)
    budget.take(write=True)
    assert time.sleeps == []


def test_all_waits_of_a_call_together_are_bounded(project: Project, time: FakeTime) -> None:
    other = project.budget()

    def sleep_while_another_is_refused(seconds: float) -> None:
        time.sleep(seconds)
        other.refused(write=True, retry_after=2)

    other.refused(write=True, retry_after=2)
    clock = Clock(
        now=lambda: time.own, sleep=sleep_while_another_is_refused, wall=lambda: time.wall
    )
    budget = SharedBudget(project.engine, "p", limits=Limits(longest_wait=5.0), clock=clock)
    with pytest.raises(CrossmintRateLimited):
        budget.take(write=True)
    assert time.sleeps == [2.0, 2.0]


def test_whoever_oversleeps_queues_anew(project: Project, time: FakeTime) -> None:
    budget = project.budget()
    budget.take(write=True)
    time.oversleeps = [1.201]
    budget.take(write=True)
    assert time.sleeps == [SPACING]
    assert project.row()["line"] == round((time.wall + SPACING) * 1e6)


def test_whoever_is_a_little_late_goes(project: Project, time: FakeTime) -> None:
    budget = project.budget()
    budget.take(write=True)
    time.oversleeps = [1.19]
    budget.take(write=True)
    assert project.row()["line"] == round((time.wall - 1.19 + SPACING) * 1e6)


def test_a_machine_that_slept_on_while_its_clock_was_set_back_is_noticed(
    project: Project, time: FakeTime
) -> None:
    budget = project.budget()
    budget.take(write=True)
    place = budget._reserve(1e9, write=True)
    time.own += 100
    time.wall -= HOUR
    assert not budget._holds(place, write=True)


# --- 429 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lane", Lane)
def test_a_429_keeps_everybody_back_until_the_server_said(
    project: Project, time: FakeTime, lane: Lane
) -> None:
    project.budget().refused(write=True, retry_after=7)
    project.budget(lane).take(write=True)
    assert time.sleeps == [7.0]
    project.budget(lane).take(write=False)
    assert time.sleeps == [7.0]


def test_a_429_reaches_those_who_sleep(project: Project, time: FakeTime) -> None:
    budget, other = project.budget(), project.budget()
    budget.take(write=True)
    sleep = time.sleep

    def sleep_while_another_is_refused(seconds: float) -> None:
        if not time.sleeps:
            other.refused(write=True, retry_after=20)
        sleep(seconds)

    clock = Clock(
        now=lambda: time.own, sleep=sleep_while_another_is_refused, wall=lambda: time.wall
    )
    SharedBudget(project.engine, "p", lane=Lane.BULK, clock=clock).take(write=True)
    assert time.sleeps == [SPACING, pytest.approx(20 - SPACING, abs=0.001)]


def test_a_429_of_years_holds_nobody_back_for_more_than_ten_minutes(
    project: Project, time: FakeTime
) -> None:
    budget = project.budget(Lane.PRIORITY)
    budget.refused(write=True, retry_after=1e9)
    with pytest.raises(CrossmintRateLimited) as caught:
        budget.take(write=True)
    assert caught.value.retry_after == 600
    assert time.sleeps == []


def test_a_429_that_says_nothing_is_a_short_break_for_all(project: Project, time: FakeTime) -> None:
    project.budget().refused(write=False, retry_after=None)
    project.budget(Lane.PRIORITY).take(write=False)
    assert time.sleeps == [1.2]


# --- clocks -----------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_an_hour_stalls_nobody(project: Project, time: FakeTime) -> None:
    budget = project.budget()
    budget.take(write=True)
    time.wall -= HOUR
    for _ in range(5):
        budget.take(write=True)
    assert time.sleeps == [SPACING] * 5


def test_a_clock_that_is_set_back_does_not_end_a_429(project: Project, time: FakeTime) -> None:
    budget = project.budget()
    budget.refused(write=True, retry_after=7)
    time.wall -= HOUR
    budget.take(write=True)
    assert time.sleeps == [7.0]


def test_a_clock_that_is_set_back_while_somebody_sleeps_keeps_their_slot(
    project: Project, time: FakeTime
) -> None:
    budget = project.budget()
    budget.take(write=True)
    place = budget._reserve(1e9, write=True)
    time.pass_by(place.wait)
    time.wall -= HOUR
    assert budget._holds(place, write=True)


def test_a_clock_that_is_set_forward_makes_those_who_sleep_queue_anew(
    project: Project, time: FakeTime
) -> None:
    budget = project.budget()
    budget.take(write=True)
    place = budget._reserve(1e9, write=True)
    time.pass_by(place.wait)
    time.wall += HOUR
    assert not budget._holds(place, write=True)


# --- when nobody can know ---------------------------------------------------------------------------------


def test_a_locked_file_lets_nobody_through(project: Project, engine: sa.Engine) -> None:
    budget = project.budget()
    with engine.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(JournalUnavailable, match="BUSY") as caught:
            budget.take(write=True)
        with pytest.raises(JournalUnavailable):
            budget.refused(write=True, retry_after=1)
    assert caught.value.retryable
    assert project.row()["line"] == 0


def test_whoever_waits_too_long_for_another_thread_is_not_let_through(project: Project) -> None:
    budget = project.budget()
    with budget._one_thread(), pytest.raises(JournalUnavailable) as caught:
        budget.take(write=True)
    assert caught.value.retryable
    budget.take(write=True)


def test_a_file_that_is_gone_lets_nobody_through(
    project: Project, engine: sa.Engine, path: Path
) -> None:
    budget = project.budget()
    engine.dispose()
    path.rename(path.with_name("moved"))
    path.mkdir()
    with pytest.raises(JournalUnavailable):
        budget.take(write=True)


def test_a_file_that_goes_while_somebody_sleeps_lets_them_not_through(
    project: Project, engine: sa.Engine, path: Path
) -> None:
    budget = project.budget()
    budget.take(write=True)
    place = budget._reserve(1e9, write=True)
    engine.dispose()
    path.rename(path.with_name("moved"))
    path.mkdir()
    project.time.pass_by(place.wait)
    with pytest.raises(JournalUnavailable):
        budget._holds(place, write=True)


def test_a_budget_that_was_never_prepared_says_so(engine: sa.Engine) -> None:
    budget = SharedBudget(engine, "p")
    with pytest.raises(JournalError, match="budget") as caught:
        budget.take(write=True)
    assert not caught.value.retryable
    assert "prepare" in (caught.value.hint or "")
    SharedBudget(engine, "another").prepare()
    with pytest.raises(JournalError, match="no row"):
        budget.take(write=True)


def test_a_file_that_is_no_database_is_no_passing_trouble(engine: sa.Engine, path: Path) -> None:
    path.write_bytes(b"not a database, and long enough to be sure of that" * 100)
    with pytest.raises(JournalError) as caught:
        SharedBudget(engine, "p").prepare()
    assert not caught.value.retryable


def test_to_prepare_again_changes_nothing(project: Project) -> None:
    budget = project.budget()
    budget.take(write=True)
    before = project.row()
    budget.prepare()
    project.budget()
    assert project.row() == before


@pytest.mark.parametrize(
    "limits",
    [
        {"writes_per_minute": 0},
        {"reads_per_minute": -1},
        *({"window": seconds} for seconds in (0.0, -60.0, float("nan"), float("inf"))),
    ],
    ids=str,
)
def test_a_budget_of_nothing_is_refused(engine: sa.Engine, limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SharedBudget(engine, "p", limits=Limits(**limits))


# --- the client -------------------------------------------------------------------------------------------


def client(project: Project, budget: SharedBudget, *replies: httpx2.Response) -> CrossmintClient:
    left = list(replies)
    return CrossmintClient(
        mint_api_key("some-project").key,
        transport=httpx2.MockTransport(lambda _: left.pop(0)),
        clock=project.time.clock(),
        allowance=budget,
    )


def test_the_client_asks_before_each_attempt_and_tells_of_each_429(
    project: Project, time: FakeTime
) -> None:
    limited = httpx2.Response(429, headers={"Retry-After": "7"}, json={})
    missing = httpx2.Response(404, json={"error": True, "message": "none"})
    budget = project.budget()
    with client(project, budget, limited, missing) as crossmint, pytest.raises(CrossmintNotFound):
        crossmint.get_wallet("evm:smart:alias:treasury")
    assert time.sleeps[0] == 7.0
    assert project.row("read")["refused_until"] == round((1_790_000_000 + 7) * 1e6)
    assert project.row("read")["line"] >= round((1_790_000_000 + 7) * 1e6)
    assert project.row("write")["line"] == 0


def test_without_its_database_the_client_sends_nothing(project: Project, engine: sa.Engine) -> None:
    budget = project.budget()
    with engine.connect() as other, client(project, budget) as crossmint:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(JournalUnavailable):
            crossmint.get_wallet("evm:smart:alias:treasury")


def test_the_api_key_is_nowhere_in_the_database(
    project: Project, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    minted = mint_api_key("some-project")
    name = ApiKey(minted.key).project
    project.budget(name=name).take(write=True)
    for text in (minted.key[-20:].encode(), b"some-project"):
        assert text not in path.read_bytes()
    assert name.encode() in path.read_bytes()
    assert minted.key not in caplog.text


def test_a_budget_shows_no_password() -> None:
    engine = sa.create_engine("postgresql+psycopg://me:hunter2@127.0.0.1:1/x")
    assert "hunter2" not in repr(SharedBudget(engine, "p"))
