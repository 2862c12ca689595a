"""Which lines workers are handed next, over SQLite and PostgreSQL, without a look at all the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bursar.payouts.book import PAUSED
from bursar.transfers import batches, feeding
from bursar.transfers.journal import NewTransfer, Overtaken
from bursar.transfers.record import Key, Lane, Transfer
from bursar.transfers.states import EventKind, Stage
from tests.contract.payday import Office

LATER = "9999"


@pytest.fixture(params=["sqlite", "postgres"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    where = tmp_path / "journal.sqlite3"
    if request.param == "postgres":
        where = request.getfixturevalue("postgres_url")
    with Office.open(where) as made:
        yield made


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
    assert in_hand(office) == ["a-1", "a-2", "a-3"]
    office.happen(lines[0], EventKind.FAILED)
    office.happen(lines[1], EventKind.HELD, hold="approval")
    assert in_hand(office) == ["a-3"]
    assert office.hungry() == ["a-4"]
    assert awaiting(office, LATER) == ["a-2"]


def in_hand(office: Office) -> list[str]:
    found = feeding.stalled(office.journal, office.treasury, LATER, 9)
    return sorted(each.id for each in found)


def awaiting(office: Office, before: str) -> list[str]:
    found = feeding.awaiting_consent(office.journal, office.treasury, before, 9)
    return sorted(each.id for each in found)


def test_what_is_put_off_is_in_nobody_s_hand_until_it_is_due(office: Office) -> None:
    first, second, _third = office.payout("a", 3)
    for line in (first, second):
        office.journal.mark_fed(line)
    office.put_off(second, 30)
    assert in_hand(office) == ["a-1"]
    assert office.hungry() == ["a-3"]
    office.clock.forward(30)
    [due, other] = feeding.hungry(office.journal, office.treasury, 9)
    assert (due.id, due.turn, other.id) == ("a-2", second.turn + 1, "a-3")
    office.journal.mark_fed(due)
    assert in_hand(office) == ["a-1", "a-2"]


def test_to_put_off_is_no_event_and_ends_the_turn_for_whoever_is_at_it(office: Office) -> None:
    [line] = office.payout("a", 1)
    put_off = office.put_off(line, 30)
    assert (put_off.version, put_off.updated_at) == (line.version, line.updated_at)
    assert put_off == office.get("a-1")
    assert [each.kind for each in office.journal.history(line.key)] == ["recorded"]
    with pytest.raises(Overtaken):
        office.happen(line, EventKind.ASKED)
    with pytest.raises(Overtaken):
        office.put_off(line, 30)
    assert office.happen(put_off, EventKind.CREATED).standing.retry_at is None


def test_what_is_due_and_what_was_never_begun_share_the_room(office: Office) -> None:
    lines = office.payout("a", 8)
    for line in lines[4:]:
        office.put_off(line, -1)
    assert office.hungry(4) == ["a-5", "a-6", "a-1", "a-2"]
    assert office.hungry(7) == ["a-5", "a-6", "a-7", "a-8", "a-1", "a-2", "a-3"]
    assert office.hungry(1) == ["a-5"]
    for line in lines[1:4]:
        office.journal.mark_fed(line)
    assert office.hungry(4) == ["a-5", "a-6", "a-7", "a-1"]


def test_a_clock_that_was_put_back_does_not_keep_what_was_put_off(office: Office) -> None:
    [line] = office.payout("a", 1)
    office.put_off(line, 30)
    office.clock.forward(-86_400)
    assert office.hungry() == ["a-1"]


def test_in_a_payout_that_stands_still_only_what_was_begun_goes_on(office: Office) -> None:
    first, second = office.payout("a", 2, PAUSED)
    office.put_off(first, 0)
    office.put_off(office.happen(second, EventKind.CREATED), 0)
    assert office.get("a-2").standing.stage is Stage.CREATED
    assert office.hungry() == ["a-2"]


def test_what_waits_for_consent_is_asked_about_when_it_is_time(office: Office) -> None:
    first, second = office.payout("a", 2)
    for line in (first, second):
        office.happen(line, EventKind.HELD, hold="approval")
    assert awaiting(office, office.journal.now) == []
    office.clock.forward(60)
    assert awaiting(office, office.journal.now) == ["a-1", "a-2"]
    office.put_off(office.get("a-1"), 120)
    office.clock.forward(60)
    assert awaiting(office, office.journal.now) == ["a-2"]
    office.clock.forward(60)
    assert awaiting(office, office.journal.now) == ["a-1", "a-2"]
    assert office.hungry() == []


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
    feeding.stalled(office.journal, office.treasury, LATER, 10)
    feeding.awaiting_consent(office.journal, office.treasury, LATER, 10)
    questions = [each for each in asked if each[0].startswith("SELECT")]
    indexes = ["put_off", "to_hand_out", "to_hand_out", "handed_out", "held"]
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
