"""The ways in which an answer is altered, by whoever makes it or carries it; a fault asks for one by its name.

A clumsy alteration gives itself away. So, but for `hash`, `message` and `other_message`, hash and message are
those of what is there after the alteration, and `sendParams` and `params.calls` claim what was asked for.
"""

from __future__ import annotations

import copy
import secrets
from dataclasses import replace
from typing import Final

from eth_utils.address import to_checksum_address

from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.chain.token import transfer_data
from bursar.sandbox.chain.userop import Gas, UserOperation
from bursar.sandbox.crossmint import approvals, contract_calls, operations, wallets
from bursar.sandbox.crossmint.replies import Json, refused
from bursar.sandbox.crossmint.stand_in import StandIn

# The operations whose answers can be altered.
ALTERABLE: Final = frozenset(
    {"transfers.create", "transfers.get", "transactions.create", "transactions.get"}
)
# Who gets the money, may take it, or has their code run as the wallet.
THIEF: Final = to_checksum_address("0x" + "bad0" * 10)
OTHER_TOKEN: Final = to_checksum_address("0x" + "c01d" * 10)
OTHER_CHAIN, _OTHER_CHAIN_ID = "base", 8453
_TRANSFER: Final = transfer_data(THIEF, 0)[:4]
# Limits and prices both, so that the fee is a hundredfold.
_INFLATION: Final = 10


def altered(stand_in: StandIn, record: Json, how: str) -> Json:
    """Return a transaction as the API shows it, altered. The record stays as it is.

    Raises:
        ApiError: 409; it takes another transaction of the wallet, and there is none.
    """
    api: Json = copy.deepcopy(record["api"])
    operation = _operation(record)
    match how:
        case "message":
            approvals.change_message(api["approvals"], secrets.token_bytes(32))
        case "other_message":
            approvals.change_message(api["approvals"], _other_hash(stand_in, record))
        case "hash":
            _state(api, operation, secrets.token_bytes(32))
        case "chain":
            api["params"]["chain"] = OTHER_CHAIN
            _state(api, operation, operation.hash(stand_in.contracts.entry_point, _OTHER_CHAIN_ID))
        case "replay":
            _replay(stand_in, record, api)
        case _:
            made = _other_operation(stand_in, record, how)
            _state(api, made, operations.operation_hash(stand_in, made))
    return api


def _state(api: Json, operation: UserOperation, digest: bytes) -> None:
    """Let the answer be about this operation, under this hash."""
    stated = {"userOperation": operation.to_api(), "userOperationHash": "0x" + digest.hex()}
    api["onChain"] |= stated
    approvals.change_message(api["approvals"], digest)


def _other_hash(stand_in: StandIn, record: Json) -> bytes:
    waiting = _transactions(stand_in, record, "awaiting-approval")
    others = [each for each in waiting if each["id"] != record["id"]]
    if not others:
        raise refused(409, "other_message takes another transaction that awaits approval")
    return operations.operation_hash(stand_in, _operation(others[0]))


def _replay(stand_in: StandIn, record: Json, api: Json) -> None:
    """Let a completed transaction look as if it waited: one that made the same calls, if there is one."""
    done = _transactions(stand_in, record, "success")
    if not done:
        raise refused(409, "replay takes a completed transaction of the wallet")
    old = max(done, key=lambda each: bool(_calls(each) == _calls(record)))
    operation = replace(_operation(old), signature=operations.DUMMY_SIGNATURE)
    wallet = wallets.by_address(stand_in, record["project"], record["wallet"])
    signer = wallets.signer_for(wallet, api["params"]["signer"]["locator"])
    for trace in ("completedAt", "error"):
        api.pop(trace, None)
    api |= {
        "status": "awaiting-approval",
        "approvals": approvals.awaiting(signer, ""),
        "onChain": {},
    }
    _state(api, operation, operations.operation_hash(stand_in, operation))


def _transactions(stand_in: StandIn, record: Json, status: str) -> list[Json]:
    wanted = (record["wallet"], status)
    found = stand_in.store.all("transaction", record["project"])
    return [each for each in found if (each["wallet"], each["api"]["status"]) == wanted]


def _other_operation(stand_in: StandIn, record: Json, how: str) -> UserOperation:
    operation = _operation(record)
    match how:
        case "fee":
            return replace(operation, gas=_inflated(operation.gas))
        case "other_wallet":
            return _of_another_wallet(stand_in, record)
        case "delegatecall":
            told = kernel.execute_delegated(THIEF, _calls(record)[0].data)
        case _:
            told = kernel.execute(_other_calls(stand_in, record, how))
    return replace(operation, call_data=told)


def _inflated(gas: Gas) -> Gas:
    return Gas(
        call=gas.call * _INFLATION,
        verification=gas.verification * _INFLATION,
        pre_verification=gas.pre_verification * _INFLATION,
        max_fee=gas.max_fee * _INFLATION,
        max_priority_fee=gas.max_priority_fee * _INFLATION,
    )


def _of_another_wallet(stand_in: StandIn, record: Json) -> UserOperation:
    """Return an operation of the same calls for another wallet of the same admin signer, who could sign it."""
    own = wallets.by_address(stand_in, record["project"], record["wallet"])
    admin = own["api"]["config"]["adminSigner"]
    other = wallets.account(stand_in, record["project"], admin, "another wallet")
    return operations.build(stand_in, other, _calls(record), simulate=False)[1]


def _other_calls(stand_in: StandIn, record: Json, how: str) -> list[kernel.Call]:
    """Return what the wallet is told to do with its last payment altered, or with one call more."""
    made = _calls(record)
    paid = [(at, found) for at, call in enumerate(made) if (found := _payment(call))]
    if how == "extra_call" or not paid:
        return [*made, _approval(stand_in, 2**256 - 1)]
    at, (contract, receiver, units) = paid[-1]
    made[at] = {
        "recipient": _transfer(contract, THIEF, units),
        "amount": _transfer(contract, receiver, units + 1),
        "token": _transfer(OTHER_TOKEN, receiver, units),
        "approve": _approval(stand_in, units),
    }[how]
    return made


def _payment(call: kernel.Call) -> tuple[str | None, str, int] | None:
    """Return a payment's contract (None for the chain's own coin), receiver and base units."""
    if not call.data and call.value:
        return None, call.to, call.value
    if len(call.data) != 68 or call.data[:4] != _TRANSFER:
        return None
    return call.to, "0x" + call.data[16:36].hex(), int.from_bytes(call.data[36:], "big")


def _transfer(contract: str | None, receiver: str, units: int) -> kernel.Call:
    if contract is None:
        return kernel.Call(receiver, units, b"")
    return kernel.Call(contract, 0, transfer_data(receiver, units))


def _approval(stand_in: StandIn, units: int) -> kernel.Call:
    data = call_data("approve(address,uint256)", THIEF, units)
    return kernel.Call(stand_in.contracts.usdc, 0, data)


def _calls(record: Json) -> list[kernel.Call]:
    return [contract_calls.from_json(call) for call in record["api"]["params"]["calls"]]


def _operation(record: Json) -> UserOperation:
    return UserOperation.from_api(record["api"]["onChain"]["userOperation"])
