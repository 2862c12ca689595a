"""Bundling: hand one signed user operation to the EntryPoint and read what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from bursar.sandbox.chain.abi import call_data, read, revert_reason
from bursar.sandbox.chain.rpc import Rpc, RpcError
from bursar.sandbox.chain.userop import PACKED_TYPE, UserOperation

_OPERATION_TOPIC = (
    "0x"
    + keccak(text="UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)").hex()
)
_REVERT_TOPIC = "0x" + keccak(text="UserOperationRevertReason(bytes32,address,uint256,bytes)").hex()
_FAILED_OP = keccak(text="FailedOp(uint256,string)")[:4]
_FAILED_OP_WITH_REVERT = keccak(text="FailedOpWithRevert(uint256,string,bytes)")[:4]


@dataclass(frozen=True, slots=True)
class Landed:
    """An operation in a block. `revert` is what its calls said where they reverted; the nonce is spent anyway."""

    transaction: str
    succeeded: bool
    revert: str | None
    gas_used: int


class OperationError(RpcError):
    """The EntryPoint refused the operation in validation: nothing landed. The message begins with its AA code."""

    code = "user_operation_refused"


@dataclass(frozen=True, slots=True)
class Bundler:
    """An unlocked account of the local node that calls `handleOps` and keeps the fees."""

    rpc: Rpc
    entry_point: str
    account: str

    def submit(self, operation: UserOperation) -> Landed:
        """Land one signed operation.

        Raises:
            OperationError: a wrong signature, nonce or deployment; found by a dry run, nothing is sent.
        """
        data = call_data(f"handleOps({PACKED_TYPE}[],address)", [operation.packed()], self.account)
        try:
            self.rpc.call(self.entry_point, data, sender=self.account)
            receipt = self.rpc.send(self.entry_point, data, sender=self.account)
        except RpcError as refused:
            raise OperationError(_failed_op(refused), data=refused.data) from None
        return _landed(receipt, receipt["logs"])

    def find(self, operation_hash: bytes) -> Landed | None:
        """Return what became of an operation, or None while it has not landed."""
        topic = "0x" + operation_hash.hex()
        logs = self.rpc.logs(self.entry_point, [None, topic])
        events = [log for log in logs if log["topics"][0] == _OPERATION_TOPIC]
        return _landed({"transactionHash": events[0]["transactionHash"]}, logs) if events else None

    def hash_on_chain(self, operation: UserOperation) -> bytes:
        """Return `EntryPoint.getUserOpHash`: the oracle of everybody's own computation."""
        return self.rpc.call(
            self.entry_point, call_data(f"getUserOpHash({PACKED_TYPE})", operation.packed())
        )


def _landed(receipt: dict[str, Any], logs: list[dict[str, Any]]) -> Landed:
    event = next(log for log in logs if log["topics"][0] == _OPERATION_TOPIC)
    _nonce, success, _cost, gas_used = read("uint256,bool,uint256,uint256", _raw(event["data"]))
    revert = None
    for log in logs:
        if log["topics"][0] == _REVERT_TOPIC:
            revert = revert_reason(read("uint256,bytes", _raw(log["data"]))[1])
    return Landed(receipt["transactionHash"], success, revert, gas_used)


def _failed_op(refused: RpcError) -> str:
    selector, body = refused.data[:4], refused.data[4:]
    if selector == _FAILED_OP:
        return str(read("uint256,string", body)[1])
    if selector == _FAILED_OP_WITH_REVERT:
        _index, reason, inner = read("uint256,string,bytes", body)
        return f"{reason}: {revert_reason(inner)}"
    return refused.reason


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])
