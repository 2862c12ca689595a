"""What a node answers, read strictly: numbers, hashes, logs, receipts. Pure.

Source: ethereum/execution-apis (`eth_getLogs`, `eth_getTransactionReceipt`, `eth_getBlockByNumber`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from bursar.chains.evm import checksum_address
from bursar.errors import ChainError

ASK_ANOTHER: Final = "ask another node; the payment is neither shown nor disproved by this one"

# More than any block's gas pays for, so that no answer makes work without end.
_MOST_LOGS: Final = 100_000
_HEX: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*", re.ASCII)
_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Log:
    """One event. `index` counts within the block; `removed` is set where a reorganisation took it back."""

    index: int
    address: str
    topics: tuple[bytes, ...]
    data: bytes
    transaction: str
    block_hash: str
    removed: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that is in a block: whether it went through, and its logs in order."""

    transaction: str
    block: int
    block_hash: str
    succeeded: bool
    logs: tuple[Log, ...]


def read_quantity(value: Any, name: str) -> int:
    """Return a number of at most 64 bits.

    Raises:
        ChainError: not a JSON-RPC quantity.
    """
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise _malformed(name)
    return int(value, 16)


def read_word(value: Any, name: str) -> int:
    """Return a number of 256 bits, as a contract answers it.

    Raises:
        ChainError: not 32 bytes of hex.
    """
    if not isinstance(value, str) or len(value) != 66 or not _HEX.fullmatch(value):
        raise _malformed(name)
    return int(value, 16)


def read_hash(value: Any, name: str) -> str:
    """Return a 32-byte hash in lower case.

    Raises:
        ChainError: not one.
    """
    return "0x" + _bytes(value, name, 32).hex()


def read_logs(value: Any) -> tuple[Log, ...]:
    """Return the logs in an answer, in order.

    Raises:
        ChainError: not a list of logs, or out of order.
    """
    if not isinstance(value, list) or len(value) > _MOST_LOGS:
        raise _malformed("logs")
    return tuple(_log(one) for one in value)


def read_receipt(value: Any, transaction: str) -> Receipt | None:
    """Return the receipt of this transaction; None where the node has none, or it is in no block yet.

    Raises:
        ChainError: not a receipt, another transaction's, or with logs that are not its own.
    """
    if value is None or _object(value, "receipt").get("blockNumber", "") is None:
        return None
    found = _object(value, "receipt")
    receipt = Receipt(
        transaction=read_hash(found.get("transactionHash"), "receipt.transactionHash"),
        block=read_quantity(found.get("blockNumber"), "receipt.blockNumber"),
        block_hash=read_hash(found.get("blockHash"), "receipt.blockHash"),
        succeeded=_status(found.get("status")),
        logs=read_logs(found.get("logs")),
    )
    if receipt.transaction != transaction:
        raise ChainError("the node answered with another transaction's receipt", hint=ASK_ANOTHER)
    _require_own_logs(receipt)
    return receipt


def read_block_hash(value: Any) -> str | None:
    """Return a block's hash; None where the node has no such block.

    Raises:
        ChainError: not a block.
    """
    if value is None:
        return None
    return read_hash(_object(value, "block").get("hash"), "block.hash")


def _require_own_logs(receipt: Receipt) -> None:
    indexes = [log.index for log in receipt.logs]
    own = (receipt.transaction, receipt.block_hash)
    in_order = all(one < next_one for one, next_one in pairwise(indexes))
    if not in_order or any((log.transaction, log.block_hash) != own for log in receipt.logs):
        raise ChainError("a receipt has logs that are not its own", hint=ASK_ANOTHER)


def _log(value: Any) -> Log:
    found = _object(value, "log")
    topics, removed = found.get("topics"), found.get("removed", False)
    if not isinstance(topics, list) or len(topics) > 4 or not isinstance(removed, bool):
        raise _malformed("log")
    return Log(
        index=read_quantity(found.get("logIndex"), "log.logIndex"),
        address=checksum_address(_bytes(found.get("address"), "log.address", 20)),
        topics=tuple(_bytes(topic, "log.topics", 32) for topic in topics),
        data=_bytes(found.get("data"), "log.data"),
        transaction=read_hash(found.get("transactionHash"), "log.transactionHash"),
        block_hash=read_hash(found.get("blockHash"), "log.blockHash"),
        removed=removed,
    )


def _status(value: Any) -> bool:
    number = read_quantity(value, "receipt.status")
    if number > 1:
        raise _malformed("receipt.status")
    return number == 1


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(name)
    return value


def _bytes(value: Any, name: str, size: int | None = None) -> bytes:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise _malformed(name)
    found = bytes.fromhex(value[2:])
    if size is not None and len(found) != size:
        raise _malformed(name)
    return found


def _malformed(name: str) -> ChainError:
    return ChainError(
        f"the node's answer is not JSON-RPC's: {name}", hint="check the endpoint's address"
    )
