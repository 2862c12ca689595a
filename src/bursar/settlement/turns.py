"""What one user operation did, by the logs of its bundle. Pure.

The EntryPoint runs operation after operation and ends each with a `UserOperationEvent`; before the first it emits
`BeforeExecution`. What one operation did is therefore what was logged between the EntryPoint's last event of these
two kinds and its own `UserOperationEvent`. No other contract can log in the EntryPoint's name.

Sources: ERC-4337 and EntryPoint v0.7 (`handleOps`, `UserOperationEvent`, `BeforeExecution`); ERC-20 (`Transfer`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from bursar.chains.evm import checksum_address, keccak256
from bursar.errors import ChainError
from bursar.review.actions import Transfer
from bursar.review.operation import ENTRY_POINT
from bursar.settlement.answers import ASK_ANOTHER, Log, Receipt

OPERATION_TOPIC: Final = keccak256(
    b"UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)"
)
BEFORE_EXECUTION_TOPIC: Final = keccak256(b"BeforeExecution()")
TRANSFER_TOPIC: Final = keccak256(b"Transfer(address,address,uint256)")

_TURNS: Final = ((OPERATION_TOPIC,), (BEFORE_EXECUTION_TOPIC,))
_NO: Final = bytes(32)
_YES: Final = bytes(31) + b"\x01"


@dataclass(frozen=True, slots=True)
class Turn:
    """One operation's part of a bundle: whose it was, who paid its gas, how it went and what it logged.

    `index` is that of the event which ends it; `paymaster` is None where the wallet paid the gas itself.
    """

    index: int
    sender: str
    paymaster: str | None
    succeeded: bool
    logs: tuple[Log, ...]

    @classmethod
    def of(cls, receipt: Receipt, operation: bytes) -> Self | None:
        """Return this operation's turn, or None where the transaction does not hold it.

        Raises:
            ChainError: it is there twice, has no beginning, or its event is not EntryPoint v0.7's.
        """
        ends = [at for at, log in enumerate(receipt.logs) if is_end_of(log, operation)]
        if not ends:
            return None
        turns = [at for at, log in enumerate(receipt.logs[: ends[0]]) if _ends_a_turn(log)]
        if len(ends) > 1 or not turns:
            raise ChainError("the receipt is not one of EntryPoint v0.7", hint=ASK_ANOTHER)
        end = receipt.logs[ends[0]]
        if len(end.topics) != 4 or len(end.data) != 128 or end.data[32:64] not in (_NO, _YES):
            raise ChainError("the UserOperationEvent is not EntryPoint v0.7's", hint=ASK_ANOTHER)
        return cls(
            end.index,
            sender=_address_in(end.topics[2]),
            paymaster=_address_in(end.topics[3]) if any(end.topics[3]) else None,
            succeeded=end.data[32:64] == _YES,
            logs=receipt.logs[turns[-1] + 1 : ends[0]],
        )

    def moved_from(self, wallet: str) -> tuple[tuple[Log, Transfer | None], ...]:
        """Return the `Transfer` events of tokens that left this wallet; None for one that is not an ERC-20's.

        Those of other forms are ERC-721's, and ERC-20's of before the standard, which index other parameters.
        """
        owner = bytes(12) + bytes.fromhex(wallet[2:])
        return tuple(
            (log, _transfer(log))
            for log in self.logs
            if log.topics[:1] == (TRANSFER_TOPIC,) and _first_parameter(log) == owner
        )


def is_end_of(log: Log, operation: bytes) -> bool:
    """Tell whether a log is the `UserOperationEvent` of the operation with this hash."""
    return log.address == ENTRY_POINT and log.topics[:2] == (OPERATION_TOPIC, operation)


def operations_in(receipt: Receipt) -> int:
    """Return how many user operations a transaction holds."""
    return sum(_ends_a_turn(log) and log.topics[0] == OPERATION_TOPIC for log in receipt.logs)


def _ends_a_turn(log: Log) -> bool:
    return log.address == ENTRY_POINT and log.topics[:1] in _TURNS


def _first_parameter(log: Log) -> bytes:
    return (b"".join(log.topics[1:]) + log.data)[:32]


def _transfer(log: Log) -> Transfer | None:
    if len(log.topics) != 3 or len(log.data) != 32 or any(log.topics[2][:12]):
        return None
    return Transfer(log.address, _address_in(log.topics[2]), int.from_bytes(log.data, "big"))


def _address_in(word: bytes) -> str:
    return checksum_address(word[12:])
