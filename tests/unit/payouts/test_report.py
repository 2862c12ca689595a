from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.payouts.report import COLUMNS, csv_text
from bursar.payouts.results import LineResult, State
from bursar.payouts.texts import safe
from tests.unit.payouts.payday import plan_of, report_of, result, results_of
from tests.unit.payouts.payroll import ADA, GRACE

PLAN = plan_of(5, "Gehalt")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_there_is_one_row_for_each_line():
    found = rows(csv_text(report_of(PLAN)))
    assert tuple(found[0]) == COLUMNS
    assert [each["id"] for each in found] == ["p-1", "p-2", "p-3", "p-4", "p-5"]
    assert [each["state"] for each in found] == ["paid", "failed", "paid", "pending", "not started"]
    assert found[0] == {
        "line": "2",
        "id": "p-1",
        "recipient": GRACE,
        "token": "base-sepolia:usdc",
        "amount": "1.5",
        "base_units": "1500000",
        "type": "regulated-transfer",
        "state": "paid",
        "reason": "",
        "next_step": "",
        "transaction": "tx-1",
        "chain_transaction": "0x" + "0" * 63 + "1",
        "kms_request": "kms-1",
        "digest": f"0x{10**6 + 1:064x}",
        "batch": "payroll-2026-11",
        "started": "2026-11-25T12:00:01Z",
        "ended": "2026-11-25T12:00:06Z",
        "note": "Gehalt",
    }
    assert (found[1]["reason"], found[1]["recipient"]) == ("because of failed", ADA)
    assert found[1]["next_step"] == "put right what the reason says, and pay it under a new id"


def test_rows_add_up_to_the_file():
    found = rows(csv_text(report_of(PLAN)))
    for total in PLAN.totals:
        name = f"base-sepolia:{total.name.lower()}"
        assert (
            sum(int(each["base_units"]) for each in found if each["token"] == name) == total.units
        )


def test_what_does_not_fit_together_is_there_as_well():
    results = [*results_of(PLAN)[1:], result("q-1", State.PAID)]
    found = rows(csv_text(report_of(PLAN, results)))
    assert (found[0]["id"], found[0]["state"], found[0]["ended"]) == ("p-1", "no result", "")
    assert (found[-1]["id"], found[-1]["line"], found[-1]["state"]) == ("q-1", "", "paid")
    assert len(found) == 6


WIDE = "\uff1d\uff0b\uff0d\uff20"
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "\r=1", "\n=1", *WIDE]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_as_a_formula_does(text):
    assert safe(text) == "'" + text
    hostile = LineResult("p-1", State.FAILED, reason=text, next_step=text, transaction=text)
    found = rows(csv_text(report_of(PLAN, [hostile])))
    assert [found[0][each] for each in ("reason", "next_step", "transaction")] == ["'" + text] * 3


@pytest.mark.parametrize("text", ["", "a=1", "25.00", 'Müller, "Bau"\nGmbH', "🎉", "'=1"])
def test_other_cells_come_back_as_they_were(text):
    hostile = LineResult("p-1", State.FAILED, reason=text)
    assert rows(csv_text(report_of(PLAN, [hostile])))[0]["reason"] == text


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
def test_any_text_stays_in_its_cell_and_is_no_formula(text):
    hostile = LineResult("p-1", State.FAILED, reason=text, batch=text)
    found = rows(csv_text(report_of(PLAN, [hostile])))
    assert found[0]["reason"].removeprefix("'") == text.removeprefix("'")
    assert found[0]["batch"].lstrip(" ")[:1] not in {*"=+-@\t\r\n", *WIDE}
    assert len(found) == 5
