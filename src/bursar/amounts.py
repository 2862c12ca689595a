"""Token amounts: decimal text at the edge, integers in base units everywhere inside. Pure.

A float never appears: 0.1 has no exact binary value, and treasuries are audited to the last unit.
"""

from __future__ import annotations

import re

from bursar.errors import AmountError

_DECIMAL = re.compile(r"\A(0|[1-9][0-9]*)(?:\.([0-9]+))?\Z", re.ASCII)
_MAX_UINT256 = 2**256 - 1


def to_base_units(text: str, decimals: int) -> int:
    """Return decimal text as an integer count of the token's smallest unit.

    `to_base_units("0.2", 6)` is 200000. No sign, exponent, separator, space or leading zero is accepted, and no
    more fractional digits than the token has.

    Raises:
        AmountError: the text is not a positive amount the token can represent, or decimals not in 0 … 255.
    """
    _require_decimals(decimals)
    if not isinstance(text, str):
        raise AmountError("an amount is decimal text, for example 0.20, never a number")
    match = _DECIMAL.match(text)
    if match is None:
        raise AmountError(
            f"{text[:40]!r} is not an amount", hint="write digits and at most one dot, like 1250.50"
        )
    whole, fraction = match.group(1), match.group(2) or ""
    if len(fraction) > decimals:
        raise AmountError(f"{text[:40]} has more than {decimals} decimals, which this token has")
    if len(whole) > 78:
        raise AmountError("the amount does not fit 256 bits")
    units = int(whole + fraction.ljust(decimals, "0"))
    if units == 0:
        raise AmountError("the amount is zero")
    if units > _MAX_UINT256:
        raise AmountError("the amount does not fit 256 bits")
    return units


def to_decimal_text(units: int, decimals: int) -> str:
    """Return base units as decimal text without trailing zeros: (200000, 6) is "0.2".

    Raises:
        AmountError: not a non-negative integer of units, or decimals not in 0 … 255.
    """
    _require_decimals(decimals)
    if not isinstance(units, int) or isinstance(units, bool):
        raise AmountError("an amount in base units is an integer, never a float")
    if not 0 <= units <= _MAX_UINT256:
        raise AmountError("an amount is not negative and fits 256 bits")
    digits = str(units).rjust(decimals + 1, "0")
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _require_decimals(decimals: int) -> None:
    # ERC-20's decimals() is a uint8.
    if isinstance(decimals, bool) or not isinstance(decimals, int) or not 0 <= decimals <= 255:
        raise AmountError("a token's decimals are an integer in 0 … 255")
