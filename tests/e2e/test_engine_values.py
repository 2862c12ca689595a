"""Whoever may write the workflow engine's tables cannot have code run by those who drive transfers."""

from __future__ import annotations

import base64
import pickle
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bursar.errors import JournalError
from bursar.transfers.engine_values import JsonValues
from bursar.transfers.journal import NewTransfer
from bursar.transfers.record import Lane
from bursar.transfers.states import Stage
from bursar.transfers.workflow import Runner, Work
from tests.e2e.durable import Bench
from tests.e2e.standin import World
from tests.fakes.owner import Owner


@pytest.fixture
def bench(standin: World, tmp_path: Path) -> Iterator[Bench]:
    made = Bench.make(standin, tmp_path / "journal.sqlite3")
    yield made
    made.close()


class Planted:
    """A pickle that writes a file when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (Path.touch, (self.marker,))


def enqueued(bench: Bench, name: str) -> None:
    new = NewTransfer(bench.key(name), bench.intent(name, Owner().address), Lane.PAYOUT, None, "me")
    with Runner(bench.desk()) as runner:
        runner.enqueue(bench.journal.record(new))


@pytest.mark.parametrize("says", ["py_pickle", "bursar_json", None])
def test_a_pickle_in_the_engine_s_tables_is_not_read(
    bench: Bench, tmp_path: Path, says: str | None
) -> None:
    enqueued(bench, "planted")
    marker = tmp_path / "ran"
    planted = {"args": (Planted(marker),), "kwargs": {}}
    text = base64.b64encode(pickle.dumps(planted)).decode()
    with closing(sqlite3.connect(tmp_path / "journal.workflows.sqlite3")) as database:
        assert database.execute("UPDATE workflow_input SET inputs = ?", (text,)).rowcount == 1
        database.execute("UPDATE workflow_status SET serialization = ?", (says,))
        database.commit()
    with Runner(bench.desk(), Work(bench.address, 1)) as runner:
        runner.is_driven(bench.journal.get(bench.key("planted")))
        enqueue_and_wait(runner, bench)
    assert not marker.exists()


def enqueue_and_wait(runner: Runner, bench: Bench) -> None:
    """Have an honest transfer paid besides: the planted one was before it in the queue."""
    payee = Owner().address
    honest = bench.record("honest", payee)
    runner.enqueue(honest)
    end = time.monotonic() + 30
    while bench.journal.get(honest.key).standing.stage is not Stage.SETTLED:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert bench.paid(payee) == 2_500_000


def test_values_are_kept_as_they_are_and_of_errors_the_kind_alone() -> None:
    values = JsonValues()
    for value in (None, 1, 2.5, True, "x", {"args": ["a", "b", 3], "kwargs": {}}):
        assert values.deserialize(values.serialize(value)) == value
    fault = values.deserialize(values.serialize(ValueError("with something secret")))
    assert isinstance(fault, JournalError)
    assert "ValueError" in fault.message
    assert "secret" not in fault.message
    with pytest.raises(TypeError):
        values.serialize(object())
