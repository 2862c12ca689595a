from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.payouts.numbers import NotShown, number_text


@pytest.mark.parametrize(
    ("value", "shown_as", "text"),
    [
        (25, "General", "25"),
        (25.0, "General", "25"),
        (1250.1, "General", "1250.1"),
        (1250.1, "0.00", "1250.1"),
        (1250.1, "#,##0.00", "1250.1"),
        (1250.1, '#,##0.00\\ "€"', "1250.1"),
        (1250.1, "[$€-407] #,##0.00;[Red]-[$€-407] #,##0.00", "1250.1"),
        (1250.1, '_-* #,##0.00\\ _€_-;\\-* #,##0.00\\ _€_-;_-* "-"??\\ _€_-;_-@_-', "1250.1"),
        (12.5, "0.00_);(0.00)", "12.5"),
        (1e-06, "General", "0.000001"),
        (1e15, "0", "1000000000000000"),
        (999999999999999, "0", "999999999999999"),
        (42, "0000", "0042"),
        (42, "@", "42"),
        (7, 'General" pieces"', "7"),
        (7, '"Summe: "0', "7"),
        (1250.1, '[Color10]#,##0.00\\ "Kč"', "1250.1"),
        (1250.1, "[$CHF-807] #,##0.00", "1250.1"),
        (1250.1, "[$-409]0.00", "1250.1"),
        (1250.1, "0.00 [$円-411]", "1250.1"),
        (12.5, "_.0.00_,", "12.5"),
        (-3.5, "0.0", "-3.5"),
        (0, "0.00", "0"),
    ],
)
def test_a_number_is_read_as_its_cell_shows_it(value, shown_as, text):
    assert number_text(value, shown_as) == text


@pytest.mark.parametrize(
    ("value", "shown_as"),
    [
        (0.1 + 0.2, "General"),
        (1234567890123456, "0"),
        (2**53 + 1, "General"),
        (12.345, "0.00"),
        (12.5, "0"),
        (0.05, "0%"),
        (0.05, "0.00%"),
        (1250000, "0,"),
        (1250000, "#,##0.0,,"),
        (1250, "0.00E+00"),
        (0.5, "# ?/?"),
        (12, "[>100]0;0.00"),
        (12, "0 0"),
        (12, '"twelve"'),
        (12, "[DBNum1]0"),
        (12, ""),
        (float("nan"), "General"),
        (float("inf"), "General"),
    ],
)
def test_a_number_that_its_cell_does_not_show_is_refused(value, shown_as):
    with pytest.raises(NotShown):
        number_text(value, shown_as)


@pytest.mark.parametrize(
    ("value", "shown_as"),
    [
        (500, "0\\.00"),  # shows 5.00
        (5, '"0.0"0'),  # shows 0.05
        (7, "[$9-409]0"),
        (7, "[$9]0"),
        (12345, '0"."00'),
        (5000, '0","000'),
        (5, "*90"),
        (5, "0*0"),
        (5, "0\\0"),
        (5, '"1"General'),
        (5, '@"0"'),
        (5, '0"\u0660\u0660"'),
        (5, '0"\uff10\uff10"'),
        (5, '0"百"'),
        (5, '0"½"'),
        (5, '0"\u2169"'),
        (5, '0"\U0001d7ec"'),
        (5, '0"OO"'),
        (5, '"l"0'),
        (5, '0"\u041e\u041e kr"'),
        (5, '0" a" "O"'),
        *(
            (500, f'0"{mark}"')
            for mark in ".,'\u2019\u066b\u060c\u00b7\u2024\uff0e\u201a\u3002\ua4f8`\u00b4\u02bc"
        ),
        (500, '0"\u200b"'),
        (500, '0"\u0323"'),
        (500, '0"e"00'),
        (500, '0" "00'),
        (500, "0\\ 00"),
        (500, "0_.00"),
        (500, "0[Red]00"),
    ],
)
def test_what_may_be_taken_for_a_part_of_the_number_is_refused(value, shown_as):
    with pytest.raises(NotShown, match="its format, "):
        number_text(value, shown_as)


@given(st.integers(0, 10**9), st.text(max_size=8), st.sampled_from(['"{}"0', '0"{}"', '0"{}"00']))
def test_beside_a_number_that_is_read_nothing_is_a_digit(value, beside, form):
    try:
        text = number_text(value, form.format(beside.replace('"', "")))
    except NotShown:
        return
    assert int(text) == value
    assert not any(each.isnumeric() or each in ".,'" for each in beside)


@given(st.integers(0, 10**15 - 1), st.integers(0, 15))
def test_what_was_typed_with_fifteen_digits_is_what_is_read(digits, places):
    typed = Decimal(digits).scaleb(-places)
    text = number_text(float(typed), "General")
    assert Decimal(text) == typed
    assert "e" not in text.lower()


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["General", "0.00", "#,##0.0##"]),
)
def test_what_is_read_is_exactly_the_number(value, shown_as):
    try:
        text = number_text(value, shown_as)
    except NotShown:
        return
    assert float(text) == value
