"""Approvals: who must sign what, and whether what they send is their signature. Pure.

A signature is accepted exactly where the chain would accept it: 65 bytes, v of 27 or 28, low s, over the message
raw or under EIP-191. Whether Crossmint checks at this point is unknown (assumption).
"""

from __future__ import annotations

import coincurve
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from bursar.sandbox.crossmint import locators, signer_objects
from bursar.sandbox.crossmint.replies import Json, bad_request, refused, timestamp
from bursar.sandbox.crossmint.requests import Approval

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def awaiting(signer: Json, message: str) -> Json:
    """Return the `approvals` of a record that waits for one signer, or for a quorum's members."""
    if signer["type"] != "quorum":
        entry = {"signer": signer_objects.for_approval(signer), "message": message}
        return {"pending": [entry], "submitted": []}
    members = [
        {"signer": signer_objects.for_approval(member), "message": message}
        for member in signer["members"]
    ]
    nested = {
        "threshold": signer["threshold"],
        "remaining": signer["threshold"],
        "pending": members,
        "submitted": [],
    }
    who = {"type": "quorum", "locator": signer["locator"]}
    return {"pending": [{"signer": who, "quorumApprovals": nested}], "submitted": []}


def change_message(approvals: Json, message: bytes) -> None:
    """Let all who have not signed yet sign this instead."""
    for entry in (_nested(approvals) or approvals)["pending"]:
        entry["message"] = "0x" + message.hex()


def submit(approvals: Json, approval: Approval) -> None:
    """Add one signature.

    Raises:
        ApiError: 409 this signer has signed already, 422 nothing is missing any more, 400 the signer is not asked,
            or the signature is not its. The 409 is judged before the 422 (assumption).
    """
    nested = _nested(approvals)
    circle = nested or approvals
    for done in approvals["submitted"] + circle["submitted"]:
        if locators.same(done["signer"]["locator"], approval.signer):
            raise refused(409, "A signature for this signer was already submitted")
    if not approvals["pending"]:
        raise refused(422, "The transaction already has the approvals it needs")
    waiting = circle["pending"]
    entry = next(
        (e for e in waiting if locators.same(e["signer"]["locator"], approval.signer)), None
    )
    if entry is None:
        raise bad_request("Invalid signer: it is not among the pending approvals")
    if approval.message not in (None, entry["message"]):
        raise bad_request("Invalid approval: the message is not the one this signer must sign")
    _check_signature(approval.signature, entry)
    waiting.remove(entry)
    circle["submitted"].append(
        entry | {"signature": approval.signature, "submittedAt": timestamp()}
    )
    if nested:
        nested["remaining"] -= 1
        if nested["remaining"] == 0:
            approvals |= {"pending": [], "submitted": nested["submitted"]}


def is_complete(approvals: Json) -> bool:
    """Say whether nothing is missing any more."""
    return not approvals["pending"]


def signature(approvals: Json) -> bytes:
    """Return what the account's validator takes: the signatures in ascending order of their signers' addresses."""
    ordered = sorted(approvals["submitted"], key=lambda done: int(done["signer"]["address"], 16))
    return b"".join(bytes.fromhex(done["signature"].removeprefix("0x")) for done in ordered)


def _nested(approvals: Json) -> Json | None:
    pending = approvals["pending"]
    found: Json | None = pending[0].get("quorumApprovals") if pending else None
    return found


def _check_signature(text: str, entry: Json) -> None:
    if entry["signer"]["type"] not in ("external-wallet", "server"):
        raise bad_request(f"This stand-in cannot check a {entry['signer']['type']} signature")
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise bad_request("Invalid signature: not hex") from None
    if len(raw) != 65 or raw[64] not in (27, 28):
        raise bad_request("Invalid signature: it must be 65 bytes ending in 27 or 28")
    if int.from_bytes(raw[32:64], "big") > _ORDER // 2:
        raise bad_request("Invalid signature: s is not in the lower half of the curve order")
    message = bytes.fromhex(entry["message"][2:])
    prefixed = keccak(b"\x19Ethereum Signed Message:\n32" + message)
    owner = locators.address(entry["signer"]["address"])
    if owner not in (_recover(raw, message), _recover(raw, prefixed)):
        raise bad_request("Invalid signature: it is not by this signer over this message")


def _recover(raw: bytes, digest: bytes) -> str | None:
    try:
        key = coincurve.PublicKey.from_signature_and_message(
            raw[:64] + bytes([raw[64] - 27]), digest, hasher=None
        )
    except Exception:  # noqa: BLE001  libsecp256k1 says "failed to recover" with a bare Exception
        return None
    return str(to_checksum_address(keccak(key.format(compressed=False)[1:])[12:]))
