"""What a wallet is told to do: ERC-7579 `execute(bytes32 mode, bytes executionCalldata)`, taken apart. Pure.

The mode is one byte of call type, one of what happens on failure, four unused, four that select a variant, and 22
of its payload. Kernel v3 knows the default variant only, and so does this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bursar.chains.evm import checksum_address
from bursar.errors import Unverifiable
from bursar.review import abi

EXECUTE: Final = abi.selector("execute(bytes32,bytes)")
MAX_CALLS: Final = 100

_SINGLE, _BATCH, _DELEGATE = 0x00, 0x01, 0xFF
_REVERT, _TRY = 0x00, 0x01
_CALLS: Final = abi.Array(("address", "uint256", "bytes"))
_WHAT: Final = "callData"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a contract by the wallet. `value` is in wei.

    `delegate`: the target's code runs as the wallet itself and may do anything to it.
    """

    to: str
    value: int
    data: bytes
    delegate: bool = False


@dataclass(frozen=True, slots=True)
class Execution:
    """The calls of one operation, in order.

    `may_fail` is ERC-7579's "try": a call that reverts is passed over, and the operation still counts as a
    success. Otherwise one that reverts undoes them all.
    """

    calls: tuple[Call, ...]
    may_fail: bool


def decode_execution(call_data: bytes) -> Execution:
    """Return the calls in an operation's `callData`.

    Raises:
        Unverifiable: another function, an unknown mode, an encoding that is not canonical, over 100 calls.
    """
    if call_data[:4] != EXECUTE:
        raise Unverifiable(
            f"the wallet is not told to execute (ERC-7579) but 0x{call_data[:4].hex()}", what=_WHAT
        )
    mode, payload = abi.decode(("bytes32", "bytes"), call_data[4:], _WHAT)
    call_type, may_fail = _mode(mode)
    if call_type == _BATCH:
        return Execution(_batch(payload), may_fail)
    return Execution((_one(payload, delegate=call_type == _DELEGATE),), may_fail)


def _mode(mode: bytes) -> tuple[int, bool]:
    call_type, on_failure = mode[0], mode[1]
    known = call_type in (_SINGLE, _BATCH, _DELEGATE) and on_failure in (_REVERT, _TRY)
    if not known or any(mode[2:]):
        raise Unverifiable(f"the execution mode 0x{mode.hex()} is not known", what=_WHAT)
    return call_type, on_failure == _TRY


def _one(packed: bytes, *, delegate: bool) -> Call:
    """Read target (20 bytes), value (32, and none where the call is delegated), data (the rest)."""
    start = 20 if delegate else 52
    if len(packed) < start:
        raise Unverifiable(f"a call of {len(packed)} bytes is cut short", what=_WHAT)
    value = int.from_bytes(packed[20:start], "big")
    return Call(checksum_address(packed[:20]), value, packed[start:], delegate)


def _batch(encoded: bytes) -> tuple[Call, ...]:
    [calls] = abi.decode((_CALLS,), encoded, _WHAT)
    if len(calls) > MAX_CALLS:
        raise Unverifiable(f"{len(calls)} calls are more than {MAX_CALLS}", what=_WHAT)
    return tuple(Call(to, value, data) for to, value, data in calls)
