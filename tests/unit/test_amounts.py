from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.amounts import to_base_units, to_decimal_text
from bursar.errors import AmountError

MAX = 2**256 - 1


@pytest.mark.parametrize(
    ("text", "decimals", "units"),
    [
        ("0.2", 6, 200_000),
        ("1250.50", 6, 1_250_500_000),
        ("1", 0, 1),
        ("0.000001", 6, 1),
        ("1.000000", 6, 1_000_000),
        ("0.1", 18, 10**17),
        ("9007199254740993", 0, 2**53 + 1),
        (str(MAX), 0, MAX),
    ],
)
def test_decimal_text_becomes_base_units_exactly(text: str, decimals: int, units: int) -> None:
    assert to_base_units(text, decimals) == units


@given(st.integers(1, MAX), st.integers(0, 30))
def test_units_and_text_are_two_ways_of_writing_one_amount(units: int, decimals: int) -> None:
    text = to_decimal_text(units, decimals)
    assert to_base_units(text, decimals) == units
    assert not text.endswith(".")
    assert "." not in text or not text.endswith("0")


@given(st.integers(0, 10**20), st.integers(0, 18))
def test_the_text_is_what_decimal_arithmetic_gives(units: int, decimals: int) -> None:
    assert Decimal(to_decimal_text(units, decimals)) == Decimal(units).scaleb(-decimals)


WRONG: list[Any] = [
    "",
    "0",
    "0.000",
    "-1",
    "+1",
    "1.",
    ".5",
    "1e6",
    "1_000",
    "1,000",
    "01",
    " 1",
    "1\n",
    "0x10",
    "NaN",
    "Infinity",
    "1.0000001",
    "\u0661",
    str(MAX),
    "9" * 100_000,
    1,
    0.2,
    True,
    None,
    Decimal(1),
    b"1",
]


@pytest.mark.parametrize("text", WRONG, ids=lambda text: repr(text)[:20])
def test_anything_else_is_not_an_amount(text: Any) -> None:
    with pytest.raises(AmountError):
        to_base_units(text, 6)


@given(st.text(max_size=100), st.integers(0, 255))
def test_arbitrary_text_raises_only_our_error(text: str, decimals: int) -> None:
    try:
        units = to_base_units(text, decimals)
    except AmountError:
        return
    assert 0 < units <= MAX


@pytest.mark.parametrize(
    ("units", "decimals", "text"),
    [
        (0, 6, "0"),
        (0, 0, "0"),
        (1, 6, "0.000001"),
        (200_000, 6, "0.2"),
        (10**18, 18, "1"),
        (5, 0, "5"),
    ],
)
def test_text_has_no_needless_zeros(units: int, decimals: int, text: str) -> None:
    assert to_decimal_text(units, decimals) == text


@pytest.mark.parametrize("units", [-1, 0.2, 1.0, "1", None, True], ids=repr)
def test_what_is_not_a_count_of_units_is_refused(units: Any) -> None:
    with pytest.raises(AmountError):
        to_decimal_text(units, 6)


@pytest.mark.parametrize("decimals", [-1, 256, 10**9, 6.0, "6", None, True], ids=repr)
def test_what_is_not_a_token_s_decimals_is_refused(decimals: Any) -> None:
    with pytest.raises(AmountError):
        to_base_units("1", decimals)
    with pytest.raises(AmountError):
        to_decimal_text(1, decimals)
