"""The user operation: read strictly, packed and hashed as EntryPoint v0.7 does. Pure.

Sources: ERC-4337 (`PackedUserOperation`, `getUserOpHash` of v0.7); the field names are those of Crossmint's
`onChain.userOperation`, which are those of ERC-4337's JSON-RPC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bursar.chains.evm import keccak256
from bursar.errors import Unverifiable
from bursar.review import fields

# Canonical address of EntryPoint v0.7 on every chain (CREATE2, published by eth-infinitism).
ENTRY_POINT: Final = "0x0000000071727De22E5E9d8BAf0edAc6f37da032"

# EntryPoint v0.7 turns down any gas value or price of more than 120 bits: "AA94 gas values overflow".
GAS_BITS: Final = 120

_REQUIRED: Final = frozenset(
    {
        "sender",
        "nonce",
        "callData",
        "callGasLimit",
        "verificationGasLimit",
        "preVerificationGas",
        "maxFeePerGas",
        "maxPriorityFeePerGas",
    }
)
_FACTORY_PARTS: Final = frozenset({"factoryData"})
_PAYMASTER_PARTS: Final = frozenset(
    {"paymasterVerificationGasLimit", "paymasterPostOpGasLimit", "paymasterData"}
)
# The signature is no part of the hash; before the approval it is a placeholder.
_KNOWN: Final = (
    _REQUIRED | _FACTORY_PARTS | _PAYMASTER_PARTS | {"factory", "paymaster", "signature"}
)


@dataclass(frozen=True, slots=True)
class Gas:
    """Limits in gas, prices in wei per gas."""

    call: int
    verification: int
    pre_verification: int
    max_fee: int
    max_priority_fee: int


@dataclass(frozen=True, slots=True)
class Paymaster:
    """Who pays the gas in the wallet's stead, and how much gas it may use for that itself."""

    address: str
    verification_gas: int
    post_op_gas: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Factory:
    """What gives the wallet its code, and what it is called with. There only while the wallet has none."""

    address: str
    data: bytes


@dataclass(frozen=True, slots=True)
class UserOperation:
    """All of a user operation that its hash covers. Addresses are checksummed."""

    sender: str
    nonce: int
    call_data: bytes
    gas: Gas
    factory: Factory | None = None
    paymaster: Paymaster | None = None

    def hash(self, chain_id: int) -> bytes:
        """Return the 32 bytes of the canonical EntryPoint v0.7's `getUserOpHash` on this chain."""
        packed = b"".join(
            (
                _address_word(self.sender),
                _word(self.nonce),
                keccak256(self._init_code()),
                keccak256(self.call_data),
                _pair(self.gas.verification, self.gas.call),
                _word(self.gas.pre_verification),
                _pair(self.gas.max_priority_fee, self.gas.max_fee),
                keccak256(self._paymaster_and_data()),
            )
        )
        return keccak256(keccak256(packed) + _address_word(ENTRY_POINT) + _word(chain_id))

    def _init_code(self) -> bytes:
        return _address_bytes(self.factory.address) + self.factory.data if self.factory else b""

    def _paymaster_and_data(self) -> bytes:
        if self.paymaster is None:
            return b""
        limits = _pair(self.paymaster.verification_gas, self.paymaster.post_op_gas)
        return _address_bytes(self.paymaster.address) + limits + self.paymaster.data


def read_operation(value: Any) -> UserOperation:
    """Return the operation in Crossmint's `onChain.userOperation`. An optional field may be null.

    Raises:
        Unverifiable: a field is missing, unknown, of the wrong form or out of range.
    """
    found = _checked(fields.mapping(value, "userOperation"))
    return UserOperation(
        sender=fields.address(found["sender"], "sender"),
        nonce=fields.unsigned(found["nonce"], "nonce", 256),
        call_data=fields.data(found["callData"], "callData"),
        gas=Gas(
            call=_gas(found, "callGasLimit"),
            verification=_gas(found, "verificationGasLimit"),
            pre_verification=_gas(found, "preVerificationGas"),
            max_fee=_gas(found, "maxFeePerGas"),
            max_priority_fee=_gas(found, "maxPriorityFeePerGas"),
        ),
        factory=_factory(found),
        paymaster=_paymaster(found),
    )


def _checked(value: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [name for name in value if name not in _KNOWN]
    if unknown:
        raise Unverifiable(
            f"the user operation has a field that EntryPoint v0.7 has not: {fields.shown(unknown[0])}",
            hint="it may be made for another EntryPoint; bursar verifies v0.7 only",
            what="userOperation",
        )
    found = {name: part for name, part in value.items() if part is not None}
    missing = sorted(_REQUIRED - found.keys())
    if missing:
        raise Unverifiable(f"the user operation has no {missing[0]}", what=missing[0])
    return found


def _factory(found: dict[str, Any]) -> Factory | None:
    if "factory" not in found:
        _require_none(found, _FACTORY_PARTS, "factory")
        return None
    return Factory(
        fields.address(found["factory"], "factory"),
        fields.data(found.get("factoryData", "0x"), "factoryData"),
    )


def _paymaster(found: dict[str, Any]) -> Paymaster | None:
    if "paymaster" not in found:
        _require_none(found, _PAYMASTER_PARTS, "paymaster")
        return None
    return Paymaster(
        fields.address(found["paymaster"], "paymaster"),
        _gas(found, "paymasterVerificationGasLimit"),
        _gas(found, "paymasterPostOpGasLimit"),
        fields.data(found.get("paymasterData", "0x"), "paymasterData"),
    )


def _require_none(found: dict[str, Any], parts: frozenset[str], whole: str) -> None:
    stray = sorted(parts & found.keys())
    if stray:
        raise Unverifiable(f"the user operation has {stray[0]} but no {whole}", what=whole)


def _gas(found: dict[str, Any], name: str) -> int:
    return fields.unsigned(found.get(name, "0x0"), name, GAS_BITS)


def _address_bytes(address: str) -> bytes:
    return bytes.fromhex(address[2:])


def _address_word(address: str) -> bytes:
    return bytes(12) + _address_bytes(address)


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _pair(high: int, low: int) -> bytes:
    return high.to_bytes(16, "big") + low.to_bytes(16, "big")
