"""Signatures: a text or EIP-712 data signed by a wallet, checkable by its contract (ERC-1271, ERC-6492)."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from bursar.sandbox.chain import kernel
from bursar.sandbox.crossmint import (
    approvals,
    locators,
    paging,
    signer_objects,
    transactions,
    wallets,
)
from bursar.sandbox.crossmint.replies import Call, Json, Reply, bad_request, not_found, timestamp
from bursar.sandbox.crossmint.requests import (
    CreateSignature,
    MessageSignature,
    SubmitApprovals,
    TypedDataSignature,
    parse,
)
from bursar.sandbox.crossmint.stand_in import StandIn

if TYPE_CHECKING:
    from eth_account.messages import SignableMessage

_ERC6492_MAGIC = bytes.fromhex("6492" * 16)


def create(stand_in: StandIn, call: Call) -> Reply:
    """Ask for a signature: 201, awaiting the signer's approval."""
    wallet = wallets.by_locator(stand_in, call)
    wanted: MessageSignature | TypedDataSignature = parse(CreateSignature, call.body)  # type: ignore[arg-type]  # an Annotated union
    locators.chain(wanted.params.chain)
    signer = wallets.signer_for(wallet, wanted.params.signer)
    address = wallet["api"]["address"]
    message = kernel.erc1271_digest(stand_in.chain_id, address, _digest(wanted))
    params = wanted.params.model_dump(exclude_none=True)
    identity = str(uuid.uuid4())
    api: Json = {
        "id": identity,
        "type": wanted.type,
        "chainType": "evm",
        "walletType": "smart",
        "status": "awaiting-approval",
        "params": params | {"signer": signer_objects.for_approval(signer)},
        "approvals": approvals.awaiting(signer, "0x" + message.hex()),
        "createdAt": timestamp(),
    }
    record: Json = {"id": identity, "api": api, "wallet": address}
    stand_in.store.save("signature", call.project, identity, record)
    return Reply(201, api, ("signature", identity))


def get(stand_in: StandIn, call: Call) -> Reply:
    """Return a signature."""
    return Reply(200, _find(stand_in, call)["api"])


def list_all(stand_in: StandIn, call: Call) -> Reply:
    """Return a wallet's signatures, newest first, a page at a time."""
    address = wallets.by_locator(stand_in, call)["api"]["address"]
    records = reversed(stand_in.store.all("signature", call.project))
    own = [record["api"] for record in records if record["wallet"] == address]
    return Reply(200, {"signatures": paging.page(call, own)})


def approve(stand_in: StandIn, call: Call) -> Reply:
    """Take signatures; the last one makes the wallet's own."""
    submitted = parse(SubmitApprovals, call.body)
    registration = _registration(stand_in, call)
    if registration:
        transactions.add_approvals(stand_in, registration, submitted)
        return Reply(201, _as_signature(registration))
    record = _find(stand_in, call)
    api = record["api"]
    for approval in submitted.approvals:
        approvals.submit(api["approvals"], approval)
    if approvals.is_complete(api["approvals"]):
        wallet = wallets.by_locator(stand_in, call)
        output = _output(stand_in, wallet, approvals.signature(api["approvals"]))
        api |= {"status": "success", "completedAt": timestamp(), "outputSignature": output}
    stand_in.store.save("signature", call.project, record["id"], record)
    return Reply(201, api)


def _find(stand_in: StandIn, call: Call) -> Json:
    registration = _registration(stand_in, call)
    if registration:
        return {"api": _as_signature(registration)}
    address = wallets.by_locator(stand_in, call)["api"]["address"]
    record = stand_in.store.find("signature", call.project, call.path["signature"])
    if record is None or record["wallet"] != address:
        raise not_found("Signature")
    return record


def _registration(stand_in: StandIn, call: Call) -> Json | None:
    """Return the signer registration of this id, which may be approved here too, or None."""
    address = wallets.by_locator(stand_in, call)["api"]["address"]
    record = stand_in.store.find("transaction", call.project, call.path["signature"])
    is_one = record is not None and record["wallet"] == address and record["effect"]
    return record if is_one else None


def _as_signature(registration: Json) -> Json:
    api = registration["api"]
    names = (
        "id",
        "chainType",
        "walletType",
        "status",
        "approvals",
        "createdAt",
        "completedAt",
        "error",
    )
    signature = {name: api[name] for name in names if name in api}
    params = {"message": api["onChain"]["userOperationHash"], "chain": api["params"]["chain"]}
    return signature | {"type": "message", "params": params}


def _digest(wanted: MessageSignature | TypedDataSignature) -> bytes:
    if isinstance(wanted, TypedDataSignature):
        return _typed_data_digest(wanted.params.typedData)
    try:
        text = wanted.params.message.encode()
    except UnicodeEncodeError:
        raise bad_request("Invalid message: not text") from None
    return keccak(f"\x19Ethereum Signed Message:\n{len(text)}".encode() + text)


def _typed_data_digest(data: Json) -> bytes:
    encode_typed_data = _typed_data_encoder()
    try:
        types = dict(data["types"])
        types.pop("EIP712Domain", None)
        types[data["primaryType"]]  # the encoder works it out by itself, so a wrong one would pass
        signable = encode_typed_data(data["domain"], types, data["message"])
    except Exception:  # noqa: BLE001  the encoder raises whatever its parsing of a hostile document runs into
        raise bad_request("Invalid typedData: it is not EIP-712") from None
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


def _typed_data_encoder() -> Callable[..., SignableMessage]:
    # Here and not at the top: eth_account takes most of a second to import, and few sandboxes sign typed data. Its
    # dependencies raise the recursion limit to where hostile JSON would overflow the stack, so it is put back.
    limit = sys.getrecursionlimit()
    from eth_account.messages import encode_typed_data

    sys.setrecursionlimit(limit)
    return encode_typed_data


def _output(stand_in: StandIn, wallet: Json, signature: bytes) -> str:
    """Return the wallet's signature, wrapped as ERC-6492 asks while the wallet has no code."""
    output = kernel.erc1271_signature(signature)
    if not stand_in.rpc.code(wallet["api"]["address"]):
        birth = [wallet["factory"], bytes.fromhex(wallet["factoryData"][2:]), output]
        output = encode(["address", "bytes", "bytes"], birth) + _ERC6492_MAGIC
    return "0x" + output.hex()
