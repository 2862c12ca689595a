"""The nonce of a Kernel v3 account, which says who judges the signature. Pure.

256 bits: mode (1 byte), validation type (1), validator (20), key (2), sequence (8); the first 24 bytes are
ERC-4337's nonce key. Source: Kernel v3, `ValidatorLib.decodeNonce` and `types/Constants.sol`. In Crossmint's
answers mode and type are 0, and the validator is the root validator's address, which the account does not read
where the type is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from bursar.chains.evm import checksum_address
from bursar.errors import Unverifiable

_MODES = {0: "default", 1: "enable", 2: "install"}
_TYPES = {0: "root validator", 1: "validator", 2: "permission"}


@dataclass(frozen=True, slots=True)
class Nonce:
    """A nonce whose operation the root validator judges. `sequence` counts within `key`."""

    validator: str
    key: int
    sequence: int


def read_nonce(nonce: int) -> Nonce:
    """Return the parts of a nonce that asks for the account's root validator.

    In other modes the signature carries a change of the account's validators, which the hash does not cover; other
    validators have other rights. Neither can be reviewed.

    Raises:
        Unverifiable: another mode or validation type.
    """
    raw = nonce.to_bytes(32, "big")
    mode, kind = raw[0], raw[1]
    if mode or kind:
        raise Unverifiable(
            f"the nonce asks for mode {_named(_MODES, mode)} and type {_named(_TYPES, kind)}; only a signature "
            "for the root validator, in the default mode, is reviewed",
            hint="the signer must be the wallet's admin signer",
            what="nonce",
        )
    return Nonce(
        validator=checksum_address(raw[2:22]),
        key=int.from_bytes(raw[22:24], "big"),
        sequence=int.from_bytes(raw[24:], "big"),
    )


def _named(names: dict[int, str], number: int) -> str:
    return names.get(number, f"0x{number:02x}")
