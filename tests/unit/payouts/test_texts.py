from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.payouts.texts import LONGEST, flaw, named, trimmed

INVISIBLE = {
    "\u200b": "U+200B ZERO WIDTH SPACE",
    "\u200d": "U+200D ZERO WIDTH JOINER",
    "\u202e": "U+202E RIGHT-TO-LEFT OVERRIDE",
    "\u2066": "U+2066 LEFT-TO-RIGHT ISOLATE",
    "\ufeff": "U+FEFF ZERO WIDTH NO-BREAK SPACE",
    "\u00ad": "U+00AD SOFT HYPHEN",
    "\u00a0": "U+00A0 NO-BREAK SPACE",
    "\u3164": "U+3164 HANGUL FILLER",
    "\u2800": "U+2800 BRAILLE PATTERN BLANK",
    "\u2028": "U+2028 LINE SEPARATOR",
    "\n": "U+000A control character",
    "\t": "U+0009 control character",
    "\x1b": "U+001B control character",
    "\ud800": "U+D800 without a name",
    "\ue000": "U+E000 without a name",
}


@pytest.mark.parametrize(("character", "name"), INVISIBLE.items(), ids=INVISIBLE.values())
@pytest.mark.parametrize("ascii_only", [True, False])
def test_what_nobody_can_see_is_named_with_its_place(character, name, ascii_only):
    assert flaw(f"a{character}b", ascii_only=ascii_only) == (
        f"character 2 is {name}, which nobody can see"
    )


@pytest.mark.parametrize("text", ["p\u0430yroll", "\uff11\uff12", "1\u066b5", "\u0661", "ﬁ", "é"])
def test_what_is_not_ascii_may_be_taken_for_another(text):
    assert "which may be taken for another" in str(flaw(text, ascii_only=True))
    assert flaw(text, ascii_only=False) is None


@pytest.mark.parametrize("text", ["", "Grüße", "تحويل", "🎉", "❤️", "=1+1", "<b>"])
def test_notes_may_be_in_any_script(text):
    assert flaw(text, ascii_only=False) is None


def test_a_long_cell_is_refused_by_its_length():
    assert flaw("a" * LONGEST, ascii_only=True) is None
    assert flaw("a" * (LONGEST + 1), ascii_only=True) == "it has 501 characters; 500 at most"


def test_only_spaces_are_taken_away():
    assert trimmed("  a b ") == "a b"
    assert trimmed("\ta\u00a0") == "\ta\u00a0"


@given(st.text(max_size=30))
def test_what_passes_holds_only_what_prints(text):
    if flaw(text, ascii_only=False) is None:
        assert text.isprintable()
    if flaw(text, ascii_only=True) is None:
        assert text.isascii()


@given(st.characters())
def test_every_character_has_a_name_for_a_message(character):
    assert named(character).startswith(f"U+{ord(character):04X} ")
    assert unicodedata.name(character, "") in named(character)
