from __future__ import annotations

import string
from typing import Any

import pytest

from bursar.errors import Unverifiable
from bursar.review import fields


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 80 + "…"),
        ("x" * 10_000, "x" * 80 + "…"),
        ("a\nb\x1b", "a�b�"),
        ("\ud800", "�"),
        (7, "no text (int)"),
        (None, "no text (NoneType)"),
    ],
)
def test_what_is_repeated_of_a_foreign_value_is_short_and_printable(value: Any, shown: str) -> None:
    assert fields.shown(value) == shown


def test_text_is_of_1_to_the_limit() -> None:
    assert fields.text("x", "id") == "x"
    assert fields.text("x" * 256, "id") == "x" * 256
    assert fields.text("xyz", "id", 3) == "xyz"
    for wrong in ("", "x" * 257, 7, None, ["x"], {"x": 1}):
        with pytest.raises(Unverifiable, match="id is not text of 1 to 256") as refused:
            fields.text(wrong, "id")
        assert refused.value.what == "id"


def test_bytes_are_hex_up_to_the_bound() -> None:
    assert fields.data("0x", "callData") == b""
    assert fields.data("0xaBcD", "callData") == b"\xab\xcd"
    assert len(fields.data("0x" + "00" * 32_768, "callData")) == 32_768
    with pytest.raises(Unverifiable, match="longer than 65536 hex digits"):
        fields.data("0x" + "00" * 32_769, "callData")
    for wrong in ("0x0X", "0x0x00", "0xg0", "00", None):
        with pytest.raises(Unverifiable, match="callData is not hex text"):
            fields.data(wrong, "callData")


@pytest.mark.parametrize("other", sorted(set(string.printable) - set(string.hexdigits)))
def test_no_other_character_is_a_hex_digit(other: str) -> None:
    for wrong in (f"0x{other}0", f"0x0{other}", f"0x0{other}00"):
        with pytest.raises(Unverifiable, match="is not hex text"):
            fields.data(wrong, "callData")
        with pytest.raises(Unverifiable, match="is not hex text"):
            fields.unsigned(wrong, "nonce", 256)


def test_a_number_is_1_to_64_hex_digits() -> None:
    assert fields.unsigned("0x0", "nonce", 256) == 0
    assert fields.unsigned("0x" + "0" * 63 + "7", "nonce", 8) == 7
    assert fields.unsigned("0xff", "nonce", 8) == 255
    with pytest.raises(Unverifiable, match="at most 8 bits"):
        fields.unsigned("0x100", "nonce", 8)
    with pytest.raises(Unverifiable, match="longer than 64 hex digits"):
        fields.unsigned("0x" + "0" * 65, "nonce", 8)


def test_a_word_is_32_bytes() -> None:
    assert fields.word("0x" + "11" * 32, "message") == b"\x11" * 32
    with pytest.raises(Unverifiable, match="31 bytes, not 32"):
        fields.word("0x" + "11" * 31, "message")
