from __future__ import annotations

import os
import pickle

import pytest

from bursar.errors import PlanRejected
from bursar.payouts.files import MOST_BYTES, Format, read_body, read_file
from bursar.payouts.table import MOST_LINES
from tests.unit.payouts.payroll import ADA, cells, csv_of, json_of, problems, read, xlsx_of

ONE = {"id": "p-1", "recipient": ADA, "amount": "25.00"}
ROWS = [list(ONE), list(ONE.values())]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.csv", csv_of(f"p-1,{ADA},25.00")),
        ("a.TSV", csv_of(f"p-1\t{ADA}\t25.00", header="id\trecipient\tamount")),
        ("a.xlsx", xlsx_of(*ROWS)),
        ("a.jsonl", json_of(ONE)),
        ("a.ndjson", json_of(ONE)),
    ],
)
def test_a_file_is_what_the_end_of_its_name_says(tmp_path, name, body):
    path = tmp_path / name
    path.write_bytes(body)
    assert cells(read_file(path)) == [ONE]


@pytest.mark.parametrize("name", ["a.txt", "a", "a.xls", "a.json"])
def test_another_name_is_refused(tmp_path, name):
    with pytest.raises(PlanRejected, match="does not say what it is"):
        read_file(tmp_path / name)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    for path in (tmp_path / "missing.csv", tmp_path / "folder.csv"):
        (tmp_path / "folder.csv").mkdir(exist_ok=True)
        with pytest.raises(PlanRejected, match="cannot be read"):
            read_file(path)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path):
    path = tmp_path / "a.csv"
    path.touch()
    os.truncate(path, MOST_BYTES + 1)
    with pytest.raises(PlanRejected, match="larger than 64 MiB"):
        read_file(path)


def test_what_a_file_is_and_its_name_have_to_agree():
    assert problems(xlsx_of(*ROWS)) == [(0, "", "it is a workbook")]
    assert problems(csv_of(), Format.XLSX) == [(0, "", "it is no .xlsx workbook")]
    assert problems(b"\xd0\xcf\x11\xe0", Format.XLSX) == [(0, "", "it is no .xlsx workbook")]


def test_only_a_workbook_has_sheets():
    with pytest.raises(PlanRejected, match="only a workbook has sheets"):
        read_body(csv_of(), Format.CSV, sheet="a")


def test_a_file_has_a_hundred_thousand_payments_at_most():
    line = "p,r,1"
    assert len(read(csv_of(*[line] * MOST_LINES)).rows) == MOST_LINES
    with pytest.raises(PlanRejected, match="more than 100000 payments"):
        read(csv_of(*[line] * (MOST_LINES + 1)))


def test_the_error_of_a_file_travels_whole():
    with pytest.raises(PlanRejected) as caught:
        read(b"")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  our own bytes
    assert again.to_dict() == caught.value.to_dict()
