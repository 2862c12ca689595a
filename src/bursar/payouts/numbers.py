"""A workbook's numbers as the text that people see. Pure.

A number in a workbook is a float of 64 bits, and what a cell shows of it depends on its format. Fifteen
significant digits survive there and back (IEEE 754, binary64), and are all that a spreadsheet ever shows. So a
number is read where its shortest decimal has at most fifteen digits and its format shows every one of them, with
nothing between them and nothing beside them that may be taken for a part of them: what is read is then what people
see. Everything else is refused.

Sources: ECMA-376 part 1, 18.8.30 and 18.8.31 (number formats); UAX 44 (general categories, numeric values).
"""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import Decimal
from typing import Final

_MOST_DIGITS: Final = 15
# What a format puts around the digits: quoted text, an escaped character, a fill, a currency with its locale; a
# blank and a colour, whose own characters are not shown.
_AROUND: Final = re.compile(
    r'"([^"]*)"|\\(.)|\*(.)|\[\$([^\]]*?)(?:-[0-9A-F]{1,8})?\]'
    r"|_.|\[(?:black|blue|cyan|green|magenta|red|white|yellow|color ?[0-9]+)\]",
    re.IGNORECASE,
)
# Signs that are taken neither for a digit nor for what parts digits.
_HARMLESS: Final = frozenset("!#%&()*+-/:;<=>?@_~")
# Words of nothing but these are taken for digits.
_LIKE_DIGITS: Final = re.compile(
    r"(?<!\w)[OoIl\u039f\u03bf\u0399\u041e\u043e\u0406\u0456\u04c0\u04cf\u0555\u0585\u05d5\u05e1]+(?!\w)"
)
_DIGITS: Final = re.compile(r"([#0?]+(?:,[#0?]+)*)(?:\.([#0?]*))?")
_MARKS: Final = " $€£¥()+-"


class NotShown(ValueError):
    """The cell does not show the number that it holds; the message says why."""


def number_text(value: float, shown_as: str) -> str:
    """Return a number as decimal text without an exponent, zeros in front only where its format has them.

    `shown_as` is the cell's number format, `General` or such as `#,##0.00`.

    Raises:
        NotShown: it has more than fifteen digits, or its format hides or changes some of it.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise NotShown("it is not a number")
    exact = Decimal(repr(value)).normalize()
    if len(exact.as_tuple().digits) > _MOST_DIGITS:
        raise NotShown(
            f"it holds {exact:f}, which has more digits than a spreadsheet shows; a formula may have made it"
        )
    text = f"{exact:f}"
    digits = _digits_of(shown_as)
    if digits is None:
        return text
    whole, _, fraction = text.partition(".")
    if len(fraction) > len(digits.group(2) or ""):
        raise NotShown(f"it holds {text} and shows fewer decimals")
    return f"{whole.zfill(digits.group(1).count('0'))}{'.' if fraction else ''}{fraction}"


def _digits_of(shown_as: str) -> re.Match[str] | None:
    """Return the digits of a format, None where it shows whatever is there."""
    section = shown_as.partition(";")[0]
    around = ["".join(filter(None, each.groups())) for each in _AROUND.finditer(section)]
    if not all(map(_is_harmless, around)):
        raise NotShown(f"its format, {shown_as[:40]}, shows what may be taken for digits")
    # A blank in its place, so that nothing is between digits unseen.
    plain = _AROUND.sub(" ", section).strip(_MARKS)
    if plain.lower() == "general" or plain == "@":
        return None
    found = _DIGITS.fullmatch(plain)
    if found is None:
        raise NotShown(f"its format, {shown_as[:40]}, shows something else than the number")
    return found


def _is_harmless(text: str) -> bool:
    """Tell whether text is of letters, currencies, blanks and signs that nobody takes for a part of a number."""
    plain = unicodedata.normalize("NFKC", text)
    is_number = any(unicodedata.numeric(each, None) is not None for each in text + plain)
    return not is_number and not _LIKE_DIGITS.search(plain) and all(map(_is_harmless_sign, plain))


def _is_harmless_sign(character: str) -> bool:
    is_word = unicodedata.category(character) in {"Lu", "Ll", "Lo", "Sc"}
    return is_word or character == " " or character in _HARMLESS
