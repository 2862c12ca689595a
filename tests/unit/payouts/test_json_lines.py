from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import PlanRejected
from bursar.payouts.files import Format
from tests.unit.payouts.payroll import (
    ADA,
    GRACE,
    fixes,
    json_of,
    numbers,
    paid,
    planned,
    problems,
    read,
)

JSON = Format.JSON_LINES
ONE = {"id": "p-1", "recipient": ADA, "amount": "25.00"}


def test_each_line_is_a_payment_and_keeps_its_number():
    body = b"\xef\xbb\xbf" + json_of(ONE) + b"\n \r\n"
    body += json_of({"ID": "p-2", " Recipient": GRACE, "amount": "1", "note": None, "x_a": 3})
    plan = planned(body, JSON)
    assert paid(plan) == [("p-1", ADA, "25"), ("p-2", GRACE, "1")]
    assert numbers(plan.lines) == [1, 4]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (25.5, "a number"),
        (25, "a number"),
        (True, "true or false"),
        (["25"], "more than one value"),
        ({}, "more than one value"),
    ],
)
@pytest.mark.parametrize("column", ["id", "amount", "note"])
def test_values_are_text_and_nothing_else(column, value, kind):
    body = json_of({**ONE, column: value})
    assert problems(body, JSON) == [(1, column, f"it is {kind} and no text")]
    assert fixes(body, JSON) == ['write it in quotes, like "25.00"']


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"{", "it is not JSON: not JSON"),
        (b'{"id": "p-1", "id": "p-2"}', "it is not JSON: an object has the same name twice"),
        (b"[" * 200, "it is not JSON: nested deeper than 100"),
        (b"[]", "it is no JSON object"),
        (b'"id"', "it is no JSON object"),
    ],
)
def test_a_line_that_is_no_object_is_named_among_the_others(line, what):
    assert problems(json_of(ONE) + line + b"\n", JSON) == [(2, "", what)]
    assert problems(line, JSON) == [(1, "", what)]


def test_names_that_are_not_known_or_come_twice_are_named():
    body = json_of(
        {**ONE, "memo": "a"}, {**ONE, "id": "p-2", "ID": "p-3"}, {**ONE, "id": "p-4", "": "a"}
    )
    assert problems(body, JSON) == [
        (1, "", "there is no column 'memo'"),
        (2, "", "the column 'id' is there twice"),
        (3, "", "a name is empty"),
    ]


def test_a_line_of_very_many_names_is_refused_as_such_and_the_others_are_judged():
    body = json_of(
        {**ONE, **{f"x_{number}": "" for number in range(61)}},
        {**ONE, **{f"x_{number}": "" for number in range(40_000)}},
        {**ONE, "id": "p-3", "memo": "a"},
    )
    assert problems(body, JSON) == [
        (2, "", "it has 40003 columns; 64 at most"),
        (3, "", "there is no column 'memo'"),
    ]


def test_half_a_character_is_named():
    body = b'{"id": "p-1", "recipient": "%s", "amount": "1", "note": "\\ud800"}\n' % ADA.encode()
    [(line, column, what)] = problems(body, JSON)
    assert (line, column) == (1, "note")
    assert what.startswith("character 1 is U+D800")


def test_only_blank_lines_are_no_payments():
    assert problems(b"\n \n", JSON) == [(0, "", "it has no payments")]


def test_a_column_may_be_missing_in_one_line_and_not_in_all():
    assert problems(json_of(ONE, {"id": "p-2", "amount": "1"}), JSON) == [
        (2, "recipient", "recipient is missing")
    ]
    assert problems(json_of({"id": "p-2", "amount": "1"}), JSON) == [
        (0, "recipient", "the column is missing")
    ]


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="replace"))
)
def test_any_bytes_are_read_or_refused(body):
    with suppress(PlanRejected):
        assert read(body, JSON).columns is not None


def test_lines_that_are_no_payments_count_as_well():
    assert problems(b"[]\n" * 100_001, JSON) == [(0, "", "it has more than 100000 payments")]
