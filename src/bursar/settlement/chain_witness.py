"""The chain as a witness of its own: was exactly this paid? Reads only, over any provider's JSON-RPC.

```python
with ChainWitness("https://sepolia.base.org", "base-sepolia") as chain:
    height = chain.height()                                     # before the approval
    ...
    verdict = chain.verdict(Question("base-sepolia", wallet, review.hash, review.payments, height))
```
The operation is found by its hash, which EntryPoint v0.7 puts into an indexed event, or by the receipt of the
transaction that Crossmint names. What the receipt shows is judged in `settlement.py`. The node is trusted to
report the chain as it is: choose one that is not Crossmint's.

Sources: ERC-4337 (`UserOperationEvent`); ethereum/execution-apis (`eth_chainId`, `eth_blockNumber`, `eth_getLogs`,
`eth_getTransactionReceipt`, `eth_getBlockByNumber`); EIP-1474 (error codes).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from bursar.crossmint.limits import Clock
from bursar.errors import ChainError, ConfigError
from bursar.review.abi import selector
from bursar.review.chains import chain_id
from bursar.review.operation import ENTRY_POINT
from bursar.settlement.answers import (
    Log,
    Receipt,
    read_block_hash,
    read_logs,
    read_quantity,
    read_receipt,
    read_word,
)
from bursar.settlement.json_rpc import Bounds, JsonRpc, NodeRefusal, refused
from bursar.settlement.judgement import NOTHING, Question, Verdict, judge, once_final
from bursar.settlement.turns import OPERATION_TOPIC, Turn, is_end_of

if TYPE_CHECKING:
    import httpx2

_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Looking:
    """How the chain is looked at.

    `confirmations`: how deep a block must lie to count, the head being 1. `range`: how many blocks are asked for
    events at once; where a provider refuses that, half as many, and so on, until the search is over. Where it says
    that a limit is reached, which may be one of calls in a time, the same is asked again first, as often as
    `bounds.attempts` has it. `most_ranges`: how many such questions one verdict may take.
    """

    confirmations: int = 1
    range: int = 2_000
    most_ranges: int = 200
    bounds: Bounds = Bounds()  # noqa: RUF009  a frozen value

    def __post_init__(self) -> None:
        if min(self.confirmations, self.range, self.most_ranges) < 1:
            raise ConfigError("confirmations, range and most_ranges are 1 or more")


class ChainWitness:
    """One chain, seen through one node. Safe to share between threads.

    `chain` is Crossmint's name. `transport` and `clock` are the seams for tests.

    Raises:
        ConfigError: a chain whose id bursar does not know, or no https address; the message does not show it.
    """

    def __init__(
        self,
        url: str,
        chain: str,
        *,
        looking: Looking | None = None,
        transport: httpx2.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.chain = chain
        self._chain_id = chain_id(chain)
        self._looking = looking or Looking()
        self._is_proved = False
        self._rpc = JsonRpc(url, bounds=self._looking.bounds, transport=transport, clock=clock)

    def __repr__(self) -> str:
        return f"ChainWitness({self.chain})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The witness cannot be asked afterwards."""
        self._rpc.close()

    def height(self) -> int:
        """Return the number of the newest block. One read, and one more the first time.

        Raises:
            ChainUnavailable: the node could not be reached.
            ChainError: it is of another chain, or does not speak JSON-RPC.
        """
        self._require_chain()
        return read_quantity(self._rpc.read("eth_blockNumber"), "eth_blockNumber")

    def is_used(self, wallet: str, nonce: int) -> bool:
        """Tell whether a wallet's nonce was used, as deep as a block must lie to count. Two reads.

        Source: ERC-4337, "Semi-abstracted nonce support": the upper 24 bytes are a key, of which each has a count.

        Raises:
            ChainUnavailable: the node could not be reached.
            ChainError: it is of another chain, or answers nonsense.
        """
        block = max(0, self.height() - self._looking.confirmations + 1)
        words = int(wallet, 16).to_bytes(32, "big") + (nonce >> 64).to_bytes(32, "big")
        call = {"to": ENTRY_POINT, "data": "0x" + (_GET_NONCE + words).hex()}
        found = read_word(self._rpc.read("eth_call", call, hex(block)), "eth_call")
        if found >> 64 != nonce >> 64:
            raise ChainError("the node answers with another key's nonce", hint=_LATER)
        return found > nonce

    def verdict(self, question: Question) -> Verdict:
        """Return what the chain shows of a payment.

        Three reads where Crossmint names the transaction; up to `most_ranges` more where the operation has to be
        searched for. A verdict can change with the chain until it is deep enough; ask again, it is only a read.

        Raises:
            ConfigError: the question is about another chain.
            ChainUnavailable: the node could not be reached, or turns calls away.
            ChainError: it is of another chain, refuses, or answers nonsense: nothing is known then.
        """
        if question.chain != self.chain:
            raise ConfigError(f"this is a witness of {self.chain}, not of {question.chain}")
        self._require_chain()
        receipt = self._receipt_for(question)
        if receipt is None:
            return NOTHING
        return self._once_final(judge(question, receipt), receipt)

    def _once_final(self, verdict: Verdict, receipt: Receipt) -> Verdict:
        block = self._rpc.read("eth_getBlockByNumber", hex(receipt.block), False)
        height = self.height()
        now_there, enough = read_block_hash(block), self._looking.confirmations
        return once_final(verdict, receipt, height, now_there, enough)

    def _receipt_for(self, question: Question) -> Receipt | None:
        """Return the receipt that holds the operation, or, where none does, that of the named transaction."""
        named = self._receipt(question.named)
        if named is not None and Turn.of(named, question.operation) is not None:
            return named
        found = self._search(question)
        if found is None:
            return named
        receipt = self._receipt(found)
        # A log without its receipt: nodes behind one address that are not equally far.
        holds = receipt is not None and Turn.of(receipt, question.operation) is not None
        return receipt if holds else None

    def _receipt(self, transaction: str | None) -> Receipt | None:
        # What Crossmint names may be the id of something else; the search does without it.
        if transaction is None or not _HASH.fullmatch(transaction):
            return None
        key = transaction.lower()
        return read_receipt(self._rpc.read("eth_getTransactionReceipt", key), key)

    def _search(self, question: Question) -> str | None:
        """Return the transaction that holds the operation, looking from `from_block` to the head."""
        start, head = question.from_block, self.height()
        size, limited = self._looking.range, 0
        for _ in range(self._looking.most_ranges):
            if start > head:
                return None
            last = min(start + size - 1, head)
            logs = self._logs(question.operation, start, last)
            if isinstance(logs, NodeRefusal):
                limited = limited + 1 if logs.is_limit else 0
                size = self._size_after(logs, limited, last - start + 1)
                continue
            limited = 0
            found = {log.transaction for log in logs}
            if len(found) > 1:
                raise ChainError("the node shows one operation in two transactions", hint=_LATER)
            if found:
                return found.pop()
            start = last + 1
        raise ChainError(
            f"blocks {start} to {head} are more than may be searched at this node",
            hint="its provider allows too few blocks at once; use another, or look again once Crossmint "
            "names the transaction",
        )

    def _size_after(self, refusal: NodeRefusal, limited: int, size: int) -> int:
        """Return how many blocks to ask for after a refusal of so many, the `limited`-th for a limit in a row."""
        if 0 < limited < self._looking.bounds.attempts:
            self._rpc.pause(limited)
            return size
        if size == 1:
            raise refused("eth_getLogs", refusal)
        if refusal.is_limit:
            self._rpc.pause(1)
        return size // 2

    def _logs(self, operation: bytes, first: int, last: int) -> list[Log] | NodeRefusal:
        """Return the operation's events in these blocks, or the node's refusal to say."""
        topics = ["0x" + OPERATION_TOPIC.hex(), "0x" + operation.hex()]
        where = {"fromBlock": hex(first), "toBlock": hex(last)}
        query = {**where, "address": ENTRY_POINT, "topics": topics}
        answer = self._rpc.try_read("eth_getLogs", query)
        if isinstance(answer, NodeRefusal):
            return answer
        logs = [log for log in read_logs(answer) if not log.removed]
        if not all(is_end_of(log, operation) for log in logs):
            raise ChainError("the node answers with events that nobody asked for", hint=_LATER)
        return logs

    def _require_chain(self) -> None:
        if self._is_proved:
            return
        found = read_quantity(self._rpc.read("eth_chainId"), "eth_chainId")
        if found != self._chain_id:
            raise ChainError(
                f"the node is of chain {found}, and {self.chain} is {self._chain_id}",
                hint="set chain.rpc_url to an endpoint of the chain that is paid on",
            )
        self._is_proved = True


_LATER: Final = "ask again, or another node"
_GET_NONCE: Final = selector("getNonce(address,uint192)")
