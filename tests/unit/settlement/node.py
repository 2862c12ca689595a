"""A node in memory that answers JSON-RPC about bundles of user operations, and may be told to answer otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
from eth_utils.crypto import keccak

from bursar.crossmint.limits import Clock
from bursar.review.actions import Transfer
from bursar.settlement.chain_witness import ChainWitness, Looking
from bursar.settlement.json_rpc import Bounds
from bursar.settlement.judgement import Question
from tests.unit.review.scene import OTHER, RECIPIENT, SPONSOR, THIEF, UNITS, USDC, WALLET

ENTRY_POINT = "0x0000000071727De22E5E9d8BAf0edAc6f37da032"
SECRET = "k3y-that-is-secret"
URL = f"https://node.example/v2/{SECRET}"
CHAIN, CHAIN_ID = "base-sepolia", 84532
OPERATION, OTHER_OPERATION = keccak(text="operation"), keccak(text="another operation")
BUNDLE = "0x" + keccak(text="bundle").hex()
PAYMENT = Transfer(USDC, RECIPIENT, UNITS)

Json = Any
Override = Callable[[list[Json]], Json] | Exception | httpx2.Response


def word(value: int | str) -> str:
    number = int(value, 16) if isinstance(value, str) else value
    return f"0x{number:064x}"


def topic(signature: str) -> str:
    return "0x" + keccak(text=signature).hex()


def moved(
    payment: Transfer = PAYMENT, wallet: str = WALLET, *, kind: str = "Transfer"
) -> dict[str, Json]:
    """Return an ERC-20's event."""
    signature = topic(f"{kind}(address,address,uint256)")
    topics = [signature, word(wallet), word(payment.recipient)]
    return {"address": payment.token, "topics": topics, "data": word(payment.amount)}


def begun() -> dict[str, Json]:
    return {"address": ENTRY_POINT, "topics": [topic("BeforeExecution()")], "data": "0x"}


def ended(
    operation: bytes = OPERATION,
    *,
    success: int = 1,
    wallet: str = WALLET,
    paymaster: str | int = SPONSOR,
) -> dict[str, Json]:
    """Return the EntryPoint's event at the end of an operation."""
    signature = topic("UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)")
    topics = [signature, "0x" + operation.hex(), word(wallet), word(paymaster)]
    data = "0x" + "".join(word(part)[2:] for part in (7, success, 10**12, 10**5))
    return {"address": ENTRY_POINT, "topics": topics, "data": data}


def bundle(*operations: list[dict[str, Json]], before: tuple[dict[str, Json], ...] = ()) -> Json:
    """Return the logs of a bundle: what validation logged, then the operations' own logs."""
    return [*before, begun(), *(log for operation in operations for log in operation)]


def paid(*payments: Transfer) -> list[dict[str, Json]]:
    return [*(moved(payment) for payment in payments or (PAYMENT,)), ended()]


OTHERS = [moved(Transfer(USDC, THIEF, 5), OTHER), ended(OTHER_OPERATION, wallet=OTHER)]


@dataclass
class FakeNode:
    """`height` is the newest block. `overrides` answer a method in the honest code's stead."""

    height: int = 120
    chain_id: int = CHAIN_ID
    receipts: dict[str, Json] = field(default_factory=dict)
    blocks: dict[int, str] = field(default_factory=dict)
    overrides: dict[str, Override] = field(default_factory=dict)
    asked: list[tuple[str, list[Json]]] = field(default_factory=list)
    requests: list[httpx2.Request] = field(default_factory=list)
    sleeps: list[float] = field(default_factory=list)
    now: float = 0.0

    def mine(self, logs: list[Json], block: int = 110, transaction: str = BUNDLE) -> Json:
        """Put a transaction with these logs into a block."""
        place = {
            "transactionHash": transaction,
            "blockNumber": hex(block),
            "blockHash": word(block),
        }
        self.blocks[block] = word(block)
        numbered = [
            {**log, **place, "logIndex": hex(3 + at), "removed": False}
            for at, log in enumerate(logs)
        ]
        self.receipts[transaction] = {**place, "status": "0x1", "logs": numbered}
        return self.receipts[transaction]

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        call = json.loads(request.content)
        method, params = call["method"], call["params"]
        self.asked.append((method, params))
        override = self.overrides.get(method)
        if isinstance(override, Exception):
            raise override
        if isinstance(override, httpx2.Response):
            return httpx2.Response(
                override.status_code, headers=override.headers, content=override.content
            )
        answer = override(params) if override else getattr(self, method)(*params)
        if isinstance(answer, httpx2.Response):
            return answer
        key = "error" if isinstance(answer, dict) and "code" in answer else "result"
        return httpx2.Response(200, json={"jsonrpc": "2.0", "id": call["id"], key: answer})

    def eth_chainId(self) -> str:  # noqa: N802
        return hex(self.chain_id)

    def eth_blockNumber(self) -> str:  # noqa: N802
        return hex(self.height)

    def eth_getBlockByNumber(self, number: str, whole: bool) -> Json:  # noqa: FBT001, N802
        assert not whole
        found = self.blocks.get(int(number, 16))
        return {"hash": found, "number": number} if found else None

    def eth_getTransactionReceipt(self, transaction: str) -> Json:  # noqa: N802
        return self.receipts.get(transaction)

    def eth_getLogs(self, query: Json) -> Json:  # noqa: N802
        first, last = (int(query[name], 16) for name in ("fromBlock", "toBlock"))
        return [
            log
            for receipt in self.receipts.values()
            if first <= int(receipt["blockNumber"], 16) <= last
            for log in receipt["logs"]
            if log["address"] == query["address"] and log["topics"][:2] == query["topics"]
        ]

    def count(self, method: str) -> int:
        return sum(asked == method for asked, _ in self.asked)

    def witness(self, **looking: Any) -> ChainWitness:
        given = {"bounds": Bounds(attempts=3), **looking}
        clock = Clock(now=lambda: self.now, sleep=self.sleeps.append, jitter=lambda: 0.5)
        return ChainWitness(
            URL,
            CHAIN,
            looking=Looking(**given),
            transport=httpx2.MockTransport(self.handle),
            clock=clock,
        )


def question(*payments: Transfer, named: str | None = BUNDLE, from_block: int = 100) -> Question:
    return Question(CHAIN, WALLET, OPERATION, payments or (PAYMENT,), from_block, named)
