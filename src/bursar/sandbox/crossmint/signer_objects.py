"""Signers as the API shows them: the request's own fields and a locator. Pure."""

from __future__ import annotations

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from bursar.sandbox.crossmint import locators
from bursar.sandbox.crossmint.replies import Json, bad_request
from bursar.sandbox.crossmint.requests import (
    ApiKeySigner,
    DeviceSigner,
    EmailSigner,
    KeySigner,
    PasskeySigner,
    PhoneSigner,
    Quorum,
)

AnySigner = KeySigner | ApiKeySigner | PasskeySigner | EmailSigner | PhoneSigner | DeviceSigner
_PASSKEY_VALIDATOR = "0.0.3"


def build(signer: AnySigner) -> Json:
    """Return the signer object of a response. An address keeps the caller's case: the SDK compares it as text.

    Raises:
        ApiError: 400 for an address that is none.
    """
    if isinstance(signer, KeySigner):
        locators.address(signer.address, "signer address")
        return {
            "type": signer.type,
            "address": signer.address,
            "locator": f"{signer.type}:{signer.address}",
        }
    if isinstance(signer, PasskeySigner):
        fields = signer.model_dump() | {"validatorContractVersion": _PASSKEY_VALIDATOR}
        return fields | {"locator": f"passkey:{signer.id}"}
    if isinstance(signer, DeviceSigner):
        fields = signer.model_dump(exclude_none=True)
        return fields | {"locator": f"device:{signer.publicKey.x}{signer.publicKey.y}"}
    return _custodial(signer)


def from_input(signer: AnySigner | str) -> Json:
    """Return the signer object for an object or a locator.

    Raises:
        ApiError: 400; of locators, only those that hold a whole signer are understood.
    """
    if not isinstance(signer, str):
        return build(signer)
    kind, _, value = signer.partition(":")
    if kind == "external-wallet":
        return build(KeySigner(type="external-wallet", address=value))
    if kind == "server":
        return build(KeySigner(type="server", address=value))
    raise bad_request(f"Unknown signer: {signer[:80]}")


def admin(method: AnySigner | Quorum) -> Json:
    """Return the object of a wallet's admin signer, which may be a quorum.

    Raises:
        ApiError: 400.
    """
    return _quorum(method) if isinstance(method, Quorum) else build(method)


def _quorum(wanted: Quorum) -> Json:
    """Return the quorum object of a response, with a locator for itself and for each member.

    Raises:
        ApiError: 400; a member twice, or a threshold above their number.
    """
    members = [build(member) for member in wanted.members]
    keys = sorted(member["address"].lower() for member in members)
    if len(set(keys)) != len(keys) or wanted.threshold > len(keys):
        raise bad_request(
            "Invalid quorum: members must differ and be at least as many as the threshold"
        )
    identity = keccak(text=f"{wanted.threshold}/{','.join(keys)}").hex()[:32]
    return {
        "type": "quorum",
        "threshold": wanted.threshold,
        "members": members,
        "locator": f"quorum:{identity}",
    }


def for_approval(signer: Json) -> Json:
    """Return the shorter signer object that approvals and params carry."""
    names = ("type", "address", "id", "email", "phone", "publicKey", "name", "locator")
    fields = {name: signer[name] for name in names if name in signer}
    if signer["type"] == "passkey":
        fields.pop("name", None)
        fields.pop("publicKey", None)
    if signer["type"] in ("email", "phone"):
        fields.pop("address", None)
    return fields


def account_of(signer: Json) -> str:
    """Return the key's address, checksummed; for a signer whose key Crossmint would hold, a made-up one.

    Nobody can sign for a made-up address: such wallets receive and never send here.
    """
    if signer["type"] in ("external-wallet", "server"):
        return locators.address(signer["address"])
    return _made_up_address(signer["locator"])


def _custodial(signer: ApiKeySigner | EmailSigner | PhoneSigner) -> Json:
    if isinstance(signer, EmailSigner):
        locator = f"email:{signer.email}"
    elif isinstance(signer, PhoneSigner):
        locator = f"phone:{signer.phone}"
    else:
        locator = "api-key"
    return signer.model_dump() | {"address": _made_up_address(locator), "locator": locator}


def _made_up_address(locator: str) -> str:
    return str(to_checksum_address(keccak(text=locator)[12:]))
