from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from bursar.cli.main import run
from bursar.transfers.journal import Journal, NewTransfer
from bursar.transfers.states import Event, EventKind
from tests.fakes.scripted_crossmint import intent, key

Listed = Callable[[str], str]
WIDE = "\uff1d\uff0b\uff0d\uff20"
FORMULAS = ["=1+1", "  =1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", *WIDE]


@pytest.fixture
def listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Listed:
    """How the CSV has the reason for which a transfer is held."""
    path = tmp_path / "journal.sqlite3"
    monkeypatch.setenv("BURSAR_JOURNAL_URL", str(path))
    monkeypatch.chdir(tmp_path)

    def of(reason: str) -> str:
        held = {"hold": "trouble", "code": "x", "reason": reason}
        with Journal.open(path) as journal:
            found = journal.record(NewTransfer(key(), intent(), confirmed_by="the test"))
            journal.append(found, Event(EventKind.HELD, held))
        assert run(["transfer", "list", "--csv"]) == 0
        printed = capsys.readouterr().out
        [row] = csv.DictReader(io.StringIO(printed, newline=""), strict=True)
        assert row["recipient"] == str(intent().recipient)
        return str(row["error"])

    return of


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_the_csv_begins_as_a_formula_does(listed: Listed, text: str) -> None:
    assert listed(text) == "'" + text


@pytest.mark.parametrize("text", ["a\r=1", "a\n=1", 'a", "b', "Müller", "'=1"])
def test_other_cells_of_the_csv_stay_as_they_are_and_whole(listed: Listed, text: str) -> None:
    assert listed(text) == text
