"""A transfer whose process is killed, at any point, is paid once by whoever resumes it.

`make crashes` runs every combination and prints the table; here is every point on SQLite, and on PostgreSQL those
around what must not happen twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.chaos import cases
from tests.chaos.cases import Case
from tests.chaos.nursery import KILLED, Nursery
from tests.chaos.scene import Scene
from tests.contract.postgres import postgres
from tests.e2e.standin import World

# What is asserted never depends on time; this only ends what hangs.
pytestmark = pytest.mark.timeout(900)
Nurseries = tuple[Nursery, ...]
# A part of the cases is a test, so that several processes can share them.
_PARTS = 3


@pytest.fixture(scope="module")
def nurseries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nurseries]:
    folder = tmp_path_factory.mktemp("nurseries")
    with Nursery(folder / "one") as one, Nursery(folder / "other") as other:
        yield one, other


@pytest.fixture(scope="module")
def on_sqlite(
    standin: World, nurseries: Nurseries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    where = tmp_path_factory.mktemp("crashes") / "journal.sqlite3"
    with Scene.open(standin, "SQLite", str(where), nurseries) as scene:
        scene.put_on_chain()
        yield scene


@pytest.fixture(scope="module")
def on_postgres(standin: World, nurseries: Nurseries) -> Iterator[Scene]:
    with postgres() as url, Scene.open(standin, "PostgreSQL", url, nurseries) as scene:
        scene.put_on_chain()
        yield scene


def paid_once(scene: Scene, several: Sequence[Case], resumed_by: int = 1) -> None:
    rows = scene.crash_and_resume(several, resumed_by)
    assert len(rows) == len(several) > 0
    assert [(row, row.problem) for row in rows if row.problem] == [], scene.said


def test_the_points_are_all_that_a_transfer_passes(on_sqlite: Scene) -> None:
    key, _payee = on_sqlite.payee("all-points")
    note = on_sqlite.folder / "passed"
    assert on_sqlite.nurseries[0].run(on_sqlite.plan([key], passed=str(note))) == 0
    passed = {line.partition("@")[0] for line in note.read_text().split()}
    assert passed - {"engine:before", "engine:after"} == set(cases.own_points())


@pytest.mark.parametrize("part", range(_PARTS))
def test_killed_at_any_point_it_is_paid_once(on_sqlite: Scene, part: int) -> None:
    paid_once(on_sqlite, cases.plain()[part::_PARTS])


def test_killed_anywhere_and_resumed_by_two_processes_it_is_paid_once(on_sqlite: Scene) -> None:
    paid_once(on_sqlite, cases.plain()[::3] + cases.engine(4), resumed_by=2)


@pytest.mark.parametrize("part", range(_PARTS))
def test_killed_after_trouble_at_crossmint_it_is_paid_once(on_sqlite: Scene, part: int) -> None:
    paid_once(on_sqlite, cases.troubled(fully=False)[part::_PARTS])


@pytest.mark.parametrize("part", range(_PARTS))
def test_killed_around_what_must_not_happen_twice_it_is_paid_once_on_postgresql(
    on_postgres: Scene, part: int
) -> None:
    around = ("create", "sign", "hand_in", "approve", "commit")
    several = [case for case in cases.plain() if any(what in str(case) for what in around)]
    paid_once(on_postgres, several[part::_PARTS], resumed_by=2)


@pytest.mark.parametrize("case", cases.first_of_its_wallet(), ids=str)
def test_killed_as_the_first_of_its_wallet_it_is_paid_once(
    standin: World, nurseries: Nurseries, tmp_path: Path, case: Case
) -> None:
    with Scene.open(standin, "SQLite", str(tmp_path / "journal.sqlite3"), nurseries) as scene:
        paid_once(scene, [case])


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_the_tables_are_made_the_journal_opens_all_the_same(
    standin: World, nurseries: Nurseries, tmp_path: Path, when: str
) -> None:
    with Scene.open(standin, "SQLite", str(tmp_path / "journal.sqlite3"), nurseries) as scene:
        elsewhere = str(tmp_path / "new.sqlite3")
        plan = scene.plan([], f"commit:tables:{when}", journal=elsewhere)
        assert scene.nurseries[0].run(plan) == KILLED
        assert scene.nurseries[0].run(scene.plan([], journal=elsewhere)) == 0, scene.said


def test_whoever_gave_up_on_a_driver_is_not_told_of_it_later(
    standin: World, nurseries: Nurseries, tmp_path: Path
) -> None:
    with Scene.open(standin, "SQLite", str(tmp_path / "journal.sqlite3"), nurseries) as scene:
        nurseries[0].start(scene.plan([], "commit:workers:before"))
        assert nurseries[0].run(scene.plan([])) == 0, scene.said
