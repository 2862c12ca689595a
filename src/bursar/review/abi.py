"""Solidity's ABI, read in its one canonical form. Pure.

Contracts follow the offsets they are given, so one meaning has many encodings: parts in another order, shared,
overlapping, padded with anything. Here each part must begin where the one before it ended, padding must be zero
and nothing may follow. So `decode` takes exactly what an encoder writes, and no two inputs give the same values.
Source: the Contract ABI Specification, "Formal Specification of the Encoding" and "Strict Encoding Mode".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bursar.chains.evm import checksum_address, keccak256
from bursar.errors import Unverifiable


@dataclass(frozen=True, slots=True)
class Array:
    """An array of any length."""

    of: Type


# "address", "uint256", "bytes", "bytes1" to "bytes32"; a tuple, which must hold a dynamic type; an array.
Type = str | tuple["Type", ...] | Array


def selector(signature: str) -> bytes:
    """Return the 4 bytes that name a function: `selector("transfer(address,uint256)")`."""
    return keccak256(signature.encode())[:4]


def decode(types: tuple[Type, ...], data: bytes, what: str) -> tuple[Any, ...]:
    """Return the values in ABI-encoded data, without a selector before it.

    Addresses come checksummed, numbers as int, all bytes as bytes, arrays and tuples as tuples.

    Raises:
        Unverifiable: `what` is not the canonical encoding of these types.
    """
    values, end = _Reader(data, what).sequence(types, 0)
    if end != len(data):
        raise Unverifiable(f"{what} has {len(data) - end} bytes after its end", what=what)
    return values


@dataclass(frozen=True, slots=True)
class _Reader:
    """`at` is where a part begins, `end` where it ends and the next one must begin."""

    data: bytes
    what: str

    def sequence(self, types: tuple[Type, ...], at: int) -> tuple[tuple[Any, ...], int]:
        """Read heads of one word each, and behind them, in the same order, what the heads point to."""
        end = at + 32 * len(types)
        values: list[Any] = []
        for index, kind in enumerate(types):
            word = self.word(at + 32 * index)
            if isinstance(kind, str) and kind != "bytes":
                values.append(self.static(kind, word))
                continue
            if int.from_bytes(word, "big") != end - at:
                raise self.wrong("an offset that leads elsewhere than to the next part")
            value, end = self.dynamic(kind, end)
            values.append(value)
        return tuple(values), end

    def dynamic(self, kind: Type, at: int) -> tuple[Any, int]:
        if isinstance(kind, tuple):
            return self.sequence(kind, at)
        length = int.from_bytes(self.word(at), "big")
        start, left = at + 32, len(self.data) - at - 32
        if isinstance(kind, Array):
            # Each element takes a word at least: no length makes work that the data does not pay for.
            if length > left // 32:
                raise self.wrong("an array longer than the data")
            return self.sequence((kind.of,) * length, start)
        if length > left:
            raise self.wrong("bytes longer than the data")
        end = start + -(-length // 32) * 32
        if self.data[start + length : end] != bytes(end - start - length):
            raise self.wrong("padding that is not zero, or cut short")
        return self.data[start : start + length], end

    def static(self, kind: str, word: bytes) -> Any:
        if kind == "uint256":
            return int.from_bytes(word, "big")
        if kind == "address":
            if any(word[:12]):
                raise self.wrong("an address with something before it")
            return checksum_address(word[12:])
        size = int(kind.removeprefix("bytes"))
        if any(word[size:]):
            raise self.wrong(f"something behind the {size} bytes of a word")
        return word[:size]

    def word(self, at: int) -> bytes:
        found = self.data[at : at + 32]
        if len(found) != 32:
            raise self.wrong("its end too early")
        return found

    def wrong(self, why: str) -> Unverifiable:
        return Unverifiable(
            f"{self.what} is not in the ABI's canonical form: {why}", what=self.what
        )
