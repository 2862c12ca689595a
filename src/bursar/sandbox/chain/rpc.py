"""JSON-RPC to the local node, over one kept-alive client that threads may share."""

from __future__ import annotations

import itertools
import time
from typing import Any, Self

import httpx2

from bursar.errors import SandboxError
from bursar.sandbox.chain.abi import revert_reason

RECEIPT_SECONDS = 20.0


class RpcError(SandboxError):
    """The node understood the call and refused it; `data` is the revert data, where there is any."""

    code = "chain_refused"

    def __init__(self, message: str, *, hint: str | None = None, data: bytes = b"") -> None:
        super().__init__(message, hint=hint)
        self.data = data

    @property
    def reason(self) -> str:
        """What the contract said, or the node's own words where no contract spoke."""
        return revert_reason(self.data) if self.data else self.message


class Rpc:
    """One Ethereum node. Addresses and quantities are hex text, as on the wire; bytes are bytes."""

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        self.url = url
        # trust_env off: a proxy of the environment must never see the local chain.
        self._http = httpx2.Client(timeout=timeout, trust_env=False)
        self._ids = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(self, method: str, *params: Any) -> Any:
        """Return the result of one JSON-RPC call.

        Raises:
            RpcError: the node answered with an error, such as a revert.
            SandboxError: no node, or not one that speaks JSON-RPC.
        """
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        try:
            answer = self._http.post(self.url, json=body).json()
        except (httpx2.HTTPError, ValueError) as error:
            raise SandboxError(
                f"the local chain at {self.url} does not answer: {type(error).__name__}",
                hint="see: bursar sandbox status",
            ) from None
        if not isinstance(answer, dict) or ("error" not in answer and "result" not in answer):
            raise SandboxError(f"{self.url} does not answer as an Ethereum node does")
        if "error" in answer:
            raise _refused(method, answer["error"])
        return answer["result"]

    def chain_id(self) -> int:
        """Return the chain's id (EIP-155)."""
        return int(self.request("eth_chainId"), 16)

    def code(self, address: str) -> bytes:
        """Return the code at an address, empty for an account without any."""
        return _bytes(self.request("eth_getCode", address, "latest"))

    def balance(self, address: str) -> int:
        """Return the native balance in wei."""
        return int(self.request("eth_getBalance", address, "latest"), 16)

    def call(self, to: str, data: bytes, *, sender: str | None = None, value: int = 0) -> bytes:
        """Return what a call would return, changing nothing.

        Raises:
            RpcError: it would revert.
        """
        return _bytes(self.request("eth_call", _transaction(to, data, sender, value), "latest"))

    def estimate_gas(self, to: str, data: bytes, *, sender: str, value: int = 0) -> int:
        """Return the gas a call would need.

        Raises:
            RpcError: it would revert.
        """
        return int(self.request("eth_estimateGas", _transaction(to, data, sender, value)), 16)

    def send(self, to: str, data: bytes, *, sender: str, value: int = 0) -> dict[str, Any]:
        """Send a transaction from an unlocked account and return its receipt.

        Raises:
            RpcError: it reverts, found before it is sent.
        """
        transaction = _transaction(to, data, sender, value)
        # Half as much again: an estimate is exact, and the 63/64 rule of nested calls is not in it.
        gas = int(self.request("eth_estimateGas", transaction), 16) * 3 // 2
        sent = self.request("eth_sendTransaction", transaction | {"gas": hex(gas)})
        return self.receipt(sent)

    def receipt(self, transaction_hash: str) -> dict[str, Any]:
        """Wait for a transaction's receipt and return it.

        Raises:
            SandboxError: none after RECEIPT_SECONDS.
        """
        deadline = time.monotonic() + RECEIPT_SECONDS
        while time.monotonic() < deadline:
            found: dict[str, Any] | None = self.request(
                "eth_getTransactionReceipt", transaction_hash
            )
            if found:
                return found
            time.sleep(0.005)
        raise SandboxError(
            f"transaction {transaction_hash} was not mined in {RECEIPT_SECONDS:.0f} s"
        )

    def logs(self, address: str, topics: list[str | None]) -> list[dict[str, Any]]:
        """Return an address's logs since the chain began, oldest first."""
        found: list[dict[str, Any]] = self.request(
            "eth_getLogs",
            {"fromBlock": "earliest", "toBlock": "latest", "address": address, "topics": topics},
        )
        return found

    def snapshot(self) -> str:
        """Remember the chain's state; `revert` goes back to it."""
        return str(self.request("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Go back to a snapshot, which is used up by it.

        Raises:
            SandboxError: there is no such snapshot.
        """
        if self.request("evm_revert", snapshot) is not True:
            raise SandboxError(f"the chain has no snapshot {snapshot}")


def _transaction(to: str, data: bytes, sender: str | None, value: int) -> dict[str, str]:
    transaction = {"to": to, "data": "0x" + data.hex(), "value": hex(value)}
    return transaction | ({"from": sender} if sender else {})


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _refused(method: str, error: Any) -> RpcError:
    message = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    data = error.get("data") if isinstance(error, dict) else None
    raw = _bytes(data) if isinstance(data, str) and data.startswith("0x") else b""
    return RpcError(f"{method}: {message}", data=raw)
