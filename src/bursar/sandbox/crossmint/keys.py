"""API keys shaped as Crossmint's: prefix_base58("<project>.<data>:<base58 Ed25519 signature>")."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A key for one project, and the public key (base58) that proves it."""

    key: str = field(repr=False)
    project: str
    public_key: str


def mint_api_key(project: str, *, prefix: str = "sk_staging") -> MintedKey:
    """Return a fresh API key for a project of the stand-in, signed by a key made for it and thrown away.

    Crossmint's SDK checks the signature under Crossmint's public keys, so it takes such a key only in a test that
    replaces them. The signature covers `<prefix>.<data>`.
    """
    signing_key = ECC.generate(curve="Ed25519")
    data = f"{project}.{secrets.token_hex(16)}"
    signature = eddsa.new(signing_key, "rfc8032").sign(f"{prefix}.{data}".encode())
    key = f"{prefix}_{base58(f'{data}:{base58(signature)}'.encode())}"
    return MintedKey(key, project, base58(signing_key.public_key().export_key(format="raw")))


def base58(data: bytes) -> str:
    """Return bytes in Bitcoin's base58: each leading zero byte is a 1."""
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + digits
