"""Which characters a cell may hold, and how one is written. Pure.

What people cannot see, or take for another character, has no place where money is addressed: it is named, never
dropped. Sources: Unicode's general categories (`str.isprintable` refuses Cc, Cf, Cs, Co, Cn, Zl, Zp, and Zs but
for the space); UTS 39 on characters that look alike; OWASP, "CSV Injection".
"""

from __future__ import annotations

import unicodedata
from typing import Final

LONGEST: Final = 500
# Letters and marks by their category, and yet nothing to be seen.
_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")

# What a spreadsheet takes for the beginning of a formula, in either width.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")


def trimmed(text: str) -> str:
    """Return text without spaces around it. Other blanks stay, for `flaw` to name."""
    return text.strip(" ")


def flaw(text: str, *, ascii_only: bool) -> str | None:
    """Return what is wrong with a cell's characters, None where nothing is.

    With `ascii_only` every other character is refused as well, for it may look like one of ASCII's.
    """
    if len(text) > LONGEST:
        return f"it has {len(text)} characters; {LONGEST} at most"
    if text.isascii() and text.isprintable():
        return None
    for place, each in enumerate(text, 1):
        if not each.isprintable() or each in _INVISIBLE:
            return f"character {place} is {named(each)}, which nobody can see"
        if ascii_only and not each.isascii():
            return f"character {place} is {named(each)}, which may be taken for another"
    return None


def named(character: str) -> str:
    """Return a character by its code point and name: `U+200B ZERO WIDTH SPACE`."""
    name = unicodedata.name(character, "")
    if not name:
        name = "control character" if unicodedata.category(character) == "Cc" else "without a name"
    return f"U+{ord(character):04X} {name}"


def safe(text: str) -> str:
    """Return a cell's text so that no spreadsheet takes it for a formula: with an apostrophe where it would."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
