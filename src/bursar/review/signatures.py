"""What a wallet is asked to sign off the chain: Crossmint's `signatures`, a text or typed data. Pure.

The owner of a Kernel account does not sign the text itself but Kernel's wrapping of it, under a domain of the
account's own, so that a signature for one account is none for another (ERC-1271). That is recomputed here, for
each Kernel version known. Source: Kernel v3, `ValidationManager._toWrappedHash`; the 2025-06-09 signature object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from bursar.chains.evm import (
    Scheme,
    digest_of,
    eip191_digest,
    eip712_digest,
    keccak256,
    parse_address,
)
from bursar.errors import Unverifiable
from bursar.review import fields
from bursar.review.approvals import Signer, pending_for
from bursar.review.chains import CHAINS, Chain
from bursar.review.typed_data import TypedData, read_typed_data, utf8
from bursar.review.words import words

_KERNEL_VERSIONS: Final = ("0.3.1", "0.3.2", "0.3.3")
_DOMAIN_TYPE: Final = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_KERNEL_TYPE: Final = keccak256(b"Kernel(bytes32 hash)")
_KERNEL_NAME: Final = keccak256(b"Kernel")


@dataclass(frozen=True, slots=True)
class SignatureReview:
    """A verified off-chain signature: a text, or typed data that was read.

    `hash` is the wrapped hash that waits for `signer`. `id` is Crossmint's, which the hash does not cover.
    """

    id: str
    chain: str
    wallet: str
    signer: str
    hash: bytes
    text: str | None
    typed_data: TypedData | None

    def digest(self, scheme: Scheme) -> bytes:
        """Return the 32 bytes that the key signs under this scheme."""
        return digest_of(self.hash, scheme)

    @property
    def sentence(self) -> str:
        """What the signature says, in one sentence."""
        if self.typed_data is None:
            said = f"sign the text {fields.shown(self.text, 300)!r}"
        else:
            until = f"by anybody who has the signature, until {self.typed_data.expires} (seconds since 1970)"
            said = f"{words(self.typed_data.action)}, {until}"
        return f"{said} on {self.chain}, as wallet {self.wallet}"

    def to_dict(self) -> dict[str, Any]:
        """Return the review as JSON, for the record."""
        return {
            "sentence": self.sentence,
            "kind": "message" if self.typed_data is None else "typed-data",
            "signature": self.id,
            "chain": self.chain,
            "wallet": self.wallet,
            "signer": self.signer,
            "hash": "0x" + self.hash.hex(),
            "text": self.text,
            "typedData": _typed_data(self.typed_data),
        }


def review_signature(signature: Mapping[str, Any], *, signer: str, wallet: str) -> SignatureReview:
    """Return what a signature that waits for us says.

    `signature` is Crossmint's signature object as JSON. A signer's registration has one as well, whose message is
    a user operation's hash: it is a transaction, and `explain` reviews it.

    Raises:
        Unverifiable: the message is not the wrapped hash of what is said to be signed, or the typed data is of a
            kind that is not known.
        NotAwaitingApproval: it has another status, or nothing in it waits for this signer.
        LocatorError, AddressError: `signer` or `wallet` is not of that kind.
    """
    ours, account = Signer.parse(signer), parse_address(wallet)
    body = fields.mapping(signature, "signature")
    identity = fields.text(body.get("id"), "id")
    params = fields.mapping(body.get("params"), "params")
    name = fields.text(params.get("chain"), "chain")
    if name not in CHAINS:
        raise Unverifiable(f"the chain {fields.shown(name)} is not known", what="chain")
    text, typed_data, digest = _content(body.get("type"), params, CHAINS[name], account)
    message = pending_for(body, ours).message
    if message not in _wrapped(digest, CHAINS[name].chain_id, account):
        raise Unverifiable(
            f"the message 0x{message.hex()} is not what this wallet's owner signs for that",
            hint="do not sign it: it belongs to something else, or the wallet is of another kind",
            what="message",
        )
    return SignatureReview(identity, name, account, str(ours), message, text, typed_data)


def _content(
    kind: Any, params: Mapping[str, Any], chain: Chain, account: str
) -> tuple[str | None, TypedData | None, bytes]:
    if kind == "message":
        raw = utf8(params.get("message"), "message")
        return raw.decode(), None, eip191_digest(raw)
    if kind == "typed-data":
        read = read_typed_data(params.get("typedData"), chain.chain_id, account)
        return None, read, read.digest
    raise Unverifiable(f"a signature of type {fields.shown(kind)} is not known", what="type")


def _wrapped(digest: bytes, chain_id: int, account: str) -> set[bytes]:
    struct = keccak256(_KERNEL_TYPE + digest)
    place = chain_id.to_bytes(32, "big") + bytes(12) + bytes.fromhex(account[2:])
    versions = (keccak256(version.encode()) for version in _KERNEL_VERSIONS)
    domains = (keccak256(_DOMAIN_TYPE + _KERNEL_NAME + version + place) for version in versions)
    return {eip712_digest(domain, struct) for domain in domains}


def _typed_data(read: TypedData | None) -> dict[str, Any] | None:
    if read is None:
        return None
    said = {name: str(part) for name, part in asdict(read.action).items()}
    return {
        "action": type(read.action).__name__,
        "arguments": said,
        "expires": str(read.expires),
        "digest": "0x" + read.digest.hex(),
    }
