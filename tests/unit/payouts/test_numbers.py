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
        (12, ""),
        (float("nan"), "General"),
        (float("inf"), "General"),
    ],
)
def test_a_number_that_its_cell_does_not_show_is_refused(value, shown_as):
    with pytest.raises(NotShown):
        number_text(value, shown_as)


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
