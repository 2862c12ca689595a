"""Reading JSON that somebody else wrote: one strict reader for each kind of field. Pure.

On EVM Crossmint writes every number and every byte string as hex text. Each reader names the field in its refusal
and never repeats more than a short, printable piece of what it found there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bursar.chains.evm import parse_address
from bursar.errors import AddressError, Unverifiable

# The call data of a batch of the most payments is 24 KB.
MAX_BYTES = 32_768

_HEX_DIGITS = "0123456789abcdefABCDEF"


def shown(value: object, limit: int = 80) -> str:
    """Return what may be repeated of a value that is not ours: text, printable, short."""
    if not isinstance(value, str):
        return f"no text ({type(value).__name__})"
    line = "".join(c if c.isprintable() else "�" for c in value[: limit + 1])
    return line if len(line) <= limit else line[:limit] + "…"


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        Unverifiable: not one, or absent.
    """
    if not isinstance(value, Mapping):
        raise Unverifiable(f"{name} is not a JSON object", what=name)
    return value


def text(value: Any, name: str, limit: int = 256) -> str:
    """Return text of 1 to `limit` characters.

    Raises:
        Unverifiable: not that.
    """
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise Unverifiable(f"{name} is not text of 1 to {limit} characters", what=name)
    return value


def data(value: Any, name: str) -> bytes:
    """Return the bytes of 0x and an even number of hex digits, at most `MAX_BYTES`.

    Raises:
        Unverifiable: not that.
    """
    digits = _digits(value, name, 2 * MAX_BYTES)
    if len(digits) % 2:
        raise Unverifiable(f"{name} has half a byte", what=name)
    return bytes.fromhex(digits)


def word(value: Any, name: str) -> bytes:
    """Return exactly 32 bytes.

    Raises:
        Unverifiable: not that.
    """
    found = data(value, name)
    if len(found) != 32:
        raise Unverifiable(f"{name} is {len(found)} bytes, not 32", what=name)
    return found


def unsigned(value: Any, name: str, bits: int) -> int:
    """Return the number of 0x and 1 to 64 hex digits, below 2 to the `bits`.

    Raises:
        Unverifiable: not that.
    """
    digits = _digits(value, name, 64)
    number = int(digits, 16) if digits else -1
    if not 0 <= number < 2**bits:
        raise Unverifiable(f"{name} is not a number of at most {bits} bits", what=name)
    return number


def address(value: Any, name: str) -> str:
    """Return an address, checksummed. Mixed letter case must be the right checksum (EIP-55).

    Raises:
        Unverifiable: not that.
    """
    try:
        if isinstance(value, str):
            return parse_address(value)
    except AddressError:
        pass
    raise Unverifiable(f"{name} is not an EVM address: {shown(value)}", what=name)


def _digits(value: Any, name: str, limit: int) -> str:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise Unverifiable(f"{name} is not hex text: {shown(value)}", what=name)
    digits = value[2:]
    if len(digits) > limit:
        raise Unverifiable(f"{name} is longer than {limit} hex digits", what=name)
    # bytes.fromhex skips spaces and int takes underscores, so neither may judge what a digit is.
    if digits.strip(_HEX_DIGITS):
        raise Unverifiable(f"{name} is not hex text: {shown(value)}", what=name)
    return digits
