"""A secp256k1 key in memory that signs as KMS and the chain see it, high s included."""

from __future__ import annotations

from dataclasses import dataclass, field

import coincurve
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@dataclass(frozen=True)
class Owner:
    """A generated key."""

    key: coincurve.PrivateKey = field(default_factory=coincurve.PrivateKey)

    @property
    def address(self) -> str:
        return str(
            to_checksum_address(keccak(self.key.public_key.format(compressed=False)[1:])[12:])
        )

    @property
    def locator(self) -> str:
        return f"external-wallet:{self.address}"

    def sign(self, message: bytes, *, raw: bool = False, high_s: bool = False) -> bytes:
        """Return 65 bytes over 32, under EIP-191 unless raw."""
        digest = message if raw else keccak(b"\x19Ethereum Signed Message:\n32" + message)
        made = self.key.sign_recoverable(digest, hasher=None)
        r, s, recovery_id = made[:32], int.from_bytes(made[32:64], "big"), made[64]
        if high_s:
            s, recovery_id = ORDER - s, recovery_id ^ 1
        return bytes(r + s.to_bytes(32, "big") + bytes([27 + recovery_id]))

    def approval(
        self, pending: dict[str, object], *, raw: bool = False, high_s: bool = False
    ) -> dict[str, str]:
        """Return the approval item for a pending entry."""
        message = bytes.fromhex(str(pending["message"])[2:])
        signature = self.sign(message, raw=raw, high_s=high_s)
        return {"signer": self.locator, "signature": "0x" + signature.hex()}
