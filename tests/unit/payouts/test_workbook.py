from __future__ import annotations

import io
import re
from datetime import datetime, timedelta

import openpyxl
import pytest
from openpyxl.styles import Font

from bursar.errors import PlanRejected
from bursar.payouts.files import Format
from tests.unit.payouts.payroll import (
    ADA,
    GRACE,
    cells,
    csv_of,
    fixes,
    json_of,
    numbers,
    paid,
    planned,
    problems,
    read,
    saved,
    warned,
    xlsx_of,
)
from tests.unit.payouts.workbooks import (
    HEADER,
    ONE,
    SHEET,
    TOO_MANY,
    XLSX,
    changed,
    shared,
    two_sheets,
)


def test_a_sheet_is_read_as_text_with_its_rows():
    body = xlsx_of([], HEADER, ONE, [], ["p-2", GRACE, "1", None, None])
    for each in (body, shared(body)):
        plan = planned(each, XLSX)
        assert paid(plan) == [("p-1", ADA, "25"), ("p-2", GRACE, "1")]
        assert numbers(plan.lines) == [3, 5]
        assert plan.warnings == ()


def test_amounts_that_are_numbers_are_read_as_shown_and_said():
    body = xlsx_of(HEADER, [17, ADA, 1250.1], ["p-2", GRACE, 3], formats={"C2": "#,##0.00"})
    plan = planned(body, XLSX)
    assert paid(plan) == [("17", ADA, "1250.1"), ("p-2", GRACE, "3")]
    said = "it is a number and no text: what the cell shows is read"
    assert warned(plan) == [(2, "amount", said), (3, "amount", said)]


def test_a_number_whose_cell_hides_some_of_it_is_refused():
    body = xlsx_of(HEADER, ["p-1", ADA, 12.345], ["p-2", ADA, 0.3], formats={"C2": "0.00"})
    # Spreadsheets write seventeen digits of what was computed.
    sum_of_tenths = "<v>0.30000000000000004</v>"
    body = changed(body, SHEET, lambda text: text.replace("<v>0.3</v>", sum_of_tenths))
    assert problems(body, XLSX) == [
        (2, "amount", "it holds 12.345 and shows fewer decimals"),
        (
            3,
            "amount",
            f"it holds 0.30000000000000004, which has {TOO_MANY}",
        ),
    ]
    assert set(fixes(body, XLSX)) == {"format the column as text, type the value again, and save"}


def test_a_number_with_more_decimals_than_the_token_has_says_how_to_put_it_right():
    body = xlsx_of(HEADER, ["p-1", ADA, 0.1234567])
    [(line, column, what)] = problems(body, XLSX)
    assert (line, column) == (2, "amount")
    assert what == "0.1234567 has more than 6 decimals, which this token has"
    assert fixes(body, XLSX) == ["format the column as text, type what is to be paid, and save"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "true or false and no text"),
        (datetime(2026, 11, 25), "a date or a time and no text"),  # noqa: DTZ001  as a sheet has it
        (timedelta(hours=5), "a date or a time and no text"),
    ],
)
def test_other_values_are_refused(value, kind):
    assert problems(xlsx_of(HEADER, ["p-1", ADA, value]), XLSX) == [(2, "amount", f"it is {kind}")]


def test_an_error_in_a_cell_is_refused():
    assert problems(xlsx_of(HEADER, ["p-1", ADA, "#N/A"]), XLSX) == [
        (2, "amount", "it is the error #N/A")
    ]


def test_a_formula_without_a_saved_value_is_refused():
    body = xlsx_of(HEADER, ["p-1", ADA, "=12*2"], ['="p-"&2', ADA, "1"])
    assert problems(body, XLSX) == [
        (2, "amount", "its formula has no saved value"),
        (3, "id", "its formula has no saved value"),
    ]


def with_saved(body: bytes, value: str, kind: str = "") -> bytes:
    """The workbook with a value saved for its formulas."""
    with_value = rf"<c\1{kind}><f>\2</f><v>{value}</v></c>"
    pattern = r"<c( r=\"\w+\")[^>]*><f>(.*?)</f><v ?/?>(?:</v>)?</c>"
    return changed(body, SHEET, lambda text: re.sub(pattern, with_value, text))


def test_what_was_saved_of_a_formula_is_read_and_said():
    plan = planned(
        with_saved(xlsx_of(HEADER, ["p-1", ADA, "=12*2"], ["p-2", ADA, "1"]), "24"), XLSX
    )
    assert paid(plan)[0] == ("p-1", ADA, "24")
    assert (2, "amount", "it is a formula: what it last came to is read") in warned(plan)


def test_a_formula_s_saved_number_has_to_be_shown_and_fit_the_token_as_well():
    sheet = xlsx_of(HEADER, ["p-1", ADA, "=1/3"])
    [(_, _, what)] = problems(with_saved(sheet, "0.33333333333333331"), XLSX)
    assert what.startswith("it holds 0.3333333333333333, which has more digits")
    [(_, _, what)] = problems(with_saved(sheet, "#DIV/0!", ' t="e"'), XLSX)
    assert what == "it is the error #DIV/0!"


def test_a_formula_that_gave_nothing_is_not_an_empty_cell():
    body = xlsx_of([*HEADER, "note"], [*ONE, '=""'])
    assert problems(body, XLSX) == [(2, "note", "its formula has no saved value")]


def test_of_several_sheets_one_has_to_be_named():
    assert problems(two_sheets(), XLSX) == [(0, "", "it has 2 visible sheets")]
    assert fixes(two_sheets(), XLSX) == ["name one of them: Sheet, Old"]
    assert numbers(read(two_sheets(), XLSX, sheet="Sheet").rows) == [2]
    assert numbers(read(two_sheets("hidden"), XLSX).rows) == [2]


@pytest.mark.parametrize("name", ["Old", "None"])
def test_a_hidden_sheet_is_not_read(name):
    with pytest.raises(PlanRejected, match="no sheet"):
        read(two_sheets("hidden"), XLSX, sheet=name)


def test_styles_and_wrong_sizes_are_no_trouble():
    book = openpyxl.load_workbook(io.BytesIO(xlsx_of(HEADER, ONE)))
    sheet = book.active
    assert sheet is not None
    sheet["A2"].font = Font(bold=True)
    sheet["F900"].font = Font(bold=True)
    body = changed(
        saved(book), SHEET, lambda text: re.sub(r'ref="[A-Z0-9:]+"', 'ref="A1:A1"', text)
    )
    assert cells(read(body, XLSX)) == [{"id": "p-1", "recipient": ADA, "amount": "25.00"}]


def test_characters_nobody_can_see_are_named_here_as_well():
    assert problems(xlsx_of(HEADER, ["p-1", ADA + "\u00a0", "25"]), XLSX) == [
        (2, "recipient", "character 43 is U+00A0 NO-BREAK SPACE, which nobody can see")
    ]


def test_the_same_payments_are_the_same_plan_whatever_the_file_is():
    names = ["id", "recipient", "amount", "token", "type", "note"]
    rows = [
        ["p-1", ADA, "25.00", "", "direct", "Grüße 🎉"],
        ["p-2", GRACE, "0.5", "base-sepolia:usdc", "", ""],
    ]
    lines = [",".join(row) for row in rows]
    plans = [
        planned(csv_of(*lines, header=",".join(names))),
        planned(xlsx_of(names, *rows), XLSX),
        planned(xlsx_of(names, ["p-1", ADA, 25, None, "direct", "Grüße 🎉"], rows[1]), XLSX),
        planned(json_of(*(dict(zip(names, row, strict=True)) for row in rows)), Format.JSON_LINES),
    ]
    assert len({plan.hash for plan in plans}) == 1
