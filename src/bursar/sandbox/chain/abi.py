"""Calling contracts: a signature and arguments in, calldata out, and answers back. Pure, on eth_abi."""

from __future__ import annotations

from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import EncodingError, ParseError
from eth_abi.grammar import TupleType, parse
from eth_utils.crypto import keccak

from bursar.errors import InputError

_ERROR_STRING = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")


def call_data(signature: str, *arguments: Any) -> bytes:
    """Return the calldata of a call: `call_data("transfer(address,uint256)", to, amount)`.

    Raises:
        InputError: the signature cannot be read, or an argument does not fit its type.
    """
    arguments_part = signature[signature.find("(") :]
    try:
        # eth_abi cannot parse an empty tuple.
        types = [] if arguments_part == "()" else _types(arguments_part)
        return keccak(text=signature)[:4] + encode(types, arguments)
    except (ValueError, TypeError, OverflowError, ParseError, EncodingError) as error:
        raise InputError(f"cannot encode a call of {signature[:100]}: {error}") from None


def _types(arguments_part: str) -> list[str]:
    parsed = parse(arguments_part)
    if not isinstance(parsed, TupleType):
        raise InputError(f"{arguments_part[:100]} is not a list of argument types")
    return [component.to_type_str() for component in parsed.components]


def read(types: str, data: bytes) -> tuple[Any, ...]:
    """Decode an answer: `read("uint256,bool", data)`."""
    return decode(types.split(","), data)


def revert_reason(data: bytes) -> str:
    """Return what a revert said: its string, its panic code, or its raw bytes as hex."""
    if data[:4] == _ERROR_STRING and len(data) >= 68:
        return str(decode(["string"], data[4:])[0])
    if data[:4] == _PANIC and len(data) == 36:
        return f"Panic(0x{data[-1]:02x})"
    return "0x" + data.hex() if data else "execution reverted"
