from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import PlanRejected
from tests.unit.payouts.payroll import (
    ADA,
    GRACE,
    cells,
    csv_of,
    numbers,
    paid,
    planned,
    problems,
    read,
    warned,
)

TWO = [("p-1", ADA, "25"), ("p-2", GRACE, "0.5")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_commas_semicolons_and_tabs_give_the_same_payments(delimiter, mark, ending):
    lines = [("id", "recipient", "amount"), ("p-1", ADA, "25.00"), ("p-2", GRACE, "0.50")]
    text = "".join(delimiter.join(line) + ending for line in lines)
    plan = planned(mark + text.encode())
    assert paid(plan) == TWO
    assert numbers(plan.lines) == [2, 3]
    assert plan.warnings == ()


def test_headers_are_read_in_any_case_order_and_between_spaces():
    body = csv_of(f"25.00,p-1,{ADA}", header=" Amount , ID,RECIPIENT")
    assert paid(planned(body)) == TWO[:1]


def test_quotes_hold_delimiters_quotes_and_spaces():
    body = csv_of(
        f'p-1,"{ADA}","25.00","Müller, ""Bau"" GmbH"', header='"id","recipient",amount,note'
    )
    assert planned(body).lines[0].note == 'Müller, "Bau" GmbH'


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("reciepient", "there is no column 'reciepient'"),
        ("x_", "there is no column 'x_'"),
        ("id", "the column 'id' is there twice"),
        (
            "no\u200bte",
            "a column's name: character 3 is U+200B ZERO WIDTH SPACE, which nobody can see",
        ),
        (
            "n\u043ete",
            "a column's name: character 2 is U+043E CYRILLIC SMALL LETTER O, which may be taken for another",
        ),
    ],
)
def test_a_header_that_is_not_known_is_named(name, what):
    body = csv_of(f"p-1,{ADA},25,hello", header=f"id,recipient,amount,{name}")
    assert problems(body) == [(1, "", what)]


def test_columns_of_ones_own_are_left_alone():
    body = csv_of(f"p-1,{ADA},25,\u200b=1", header="id,recipient,amount,x_Cost centre")
    assert cells(read(body)) == [{"id": "p-1", "recipient": ADA, "amount": "25"}]


def test_a_column_that_has_to_be_there_is_missed_once():
    body = csv_of("p-1,25", "p-2,26", header="id,amount")
    assert problems(body) == [(0, "recipient", "the column is missing")]


def test_a_header_that_can_be_parted_in_two_ways_is_not_guessed():
    body = csv_of(header="x_a,x_b;x_c")
    with pytest.raises(PlanRejected, match="parted by commas as well as by semicolons"):
        read(body)


@pytest.mark.parametrize("name", ["x_cost,centre", "x_cost;centre"])
def test_a_delimiter_inside_a_quoted_name_parts_nothing(name):
    body = csv_of(f"p-1,{ADA},25,a", header=f'id,recipient,amount,"{name}"')
    assert paid(planned(body)) == TWO[:1]


def test_the_line_of_a_payment_is_the_one_where_it_begins():
    body = csv_of(
        "",
        f'p-1,{ADA},25,"two',
        'lines"',
        "",
        ",,,",
        f"p-2,{GRACE},x,y",
        header="id,recipient,amount,x_note",
    )
    table = read(body)
    assert numbers(table.rows) == [3, 7]
    assert problems(body) == [(7, "amount", "'x' is not an amount")]


@pytest.mark.parametrize("line", ['p-1,"a', 'p-1,"a"b,c', f'p-1,{ADA},"25\np-2,{GRACE},26'])
def test_quotes_that_do_not_match_swallow_no_payments(line):
    [(number, _, what)] = problems(csv_of(line))
    assert (number, what.partition(" (")[0]) == (2, "its cells cannot be told apart")


def test_a_line_that_was_cut_off_is_no_payment_of_less():
    body = csv_of(f"p-1,{ADA},25,hello", f"p-2,{GRACE},12", header="id,recipient,amount,note")
    assert problems(body) == [(3, "", "it has 3 cells, where the header has 4")]


def test_a_file_that_ends_within_a_line_is_warned_of():
    body = csv_of(f"p-1,{ADA},25").rstrip(b"\n")
    [(line, _, what)] = warned(planned(body))
    assert line == 2
    assert "does not end with a line break" in what


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_line_of_very_many_columns_is_refused_as_such(delimiter):
    names = ["id", "recipient", "amount", *(f"x_{number}" for number in range(62))]
    wide = csv_of(header=delimiter.join(names))
    assert problems(wide) == [(1, "", "it has 65 columns; 64 at most")]
    assert problems(csv_of(header="x_a" + delimiter * 40_000)) == [
        (1, "", "it has 40001 columns; 64 at most")
    ]
    row = delimiter.join(["p-1", ADA, "25", *["1"] * 61])
    assert len(read(csv_of(row, header=delimiter.join(names[:64]))).rows) == 1
    body = csv_of(row + delimiter * 40_000, header=delimiter.join(names[:3]))
    assert problems(body) == [(2, "", "it has 40064 columns; 64 at most")]


def test_what_stands_under_no_name_is_not_dropped():
    assert problems(csv_of(f"p-1,{ADA},25,26")) == [
        (2, "", "there is something in column 4, which has no name in the header")
    ]
    assert paid(planned(csv_of(f"p-1,{ADA},25,", header="id,recipient,amount,"))) == TWO[:1]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "it has no payments"),
        (csv_of(), "it has no payments"),
        (b"\n\n , ,\n", "it has no payments"),
        (csv_of(f"p-1,{ADA},25").decode().encode("utf-16"), "it is UTF-16 and not UTF-8"),
        (csv_of("p-1,\0,25"), "it holds zero bytes, so it is no text"),
    ],
)
def test_a_file_without_text_or_payments_is_refused(body, what):
    assert problems(body) == [(0, "", what)]


def test_the_line_that_is_not_utf_8_is_named():
    body = csv_of(f"p-1,{ADA},25,Ada") + f"p-2,{GRACE},1,M\xfcller\n".encode("latin-1")
    assert problems(body) == [(3, "", "it is not UTF-8")]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body):
    with suppress(PlanRejected):
        assert read(body).columns is not None


# A space is no blank line's content, and no cell of these begins or ends with one.
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)


@given(st.lists(WORDS, min_size=1, max_size=5), st.sampled_from(",;\t"))
def test_what_is_quoted_comes_back_as_it_was(words, delimiter):
    quoted = ['"' + word.replace('"', '""') + '"' for word in words]
    rows = [delimiter.join(["p", "r", "1", word]) for word in quoted]
    body = (
        "\n".join([delimiter.join(["id", "recipient", "amount", "note"]), *rows]) + "\n"
    ).encode()
    assert [row.get("note", "") for row in cells(read(body))] == [word.strip(" ") for word in words]
