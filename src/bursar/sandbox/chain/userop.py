"""User operations of ERC-4337 v0.7: as the API has them, as the EntryPoint has them, and their hash. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

# PackedUserOperation of EntryPoint v0.7, in ABI terms.
PACKED_TYPE = "(address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)"
PackedUserOperation = tuple[str, int, bytes, bytes, bytes, int, bytes, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Gas:
    """Limits in gas, fees in wei per gas."""

    call: int
    verification: int
    pre_verification: int
    max_fee: int
    max_priority_fee: int


@dataclass(frozen=True, slots=True)
class Paymaster:
    """Who pays the gas, and the gas it may itself use."""

    address: str
    verification_gas: int
    post_op_gas: int
    data: bytes


@dataclass(frozen=True, slots=True)
class UserOperation:
    """One user operation. `factory` and `factory_data` are there only while the account has no code."""

    sender: str
    nonce: int
    call_data: bytes
    gas: Gas
    paymaster: Paymaster | None
    factory: str | None
    factory_data: bytes
    signature: bytes

    def packed(self) -> PackedUserOperation:
        """Return the EntryPoint's PackedUserOperation, two 128-bit numbers to a word."""
        return (
            self.sender,
            self.nonce,
            self._init_code(),
            self.call_data,
            _pair(self.gas.verification, self.gas.call),
            self.gas.pre_verification,
            _pair(self.gas.max_priority_fee, self.gas.max_fee),
            self._paymaster_and_data(),
            self.signature,
        )

    def hash(self, entry_point: str, chain_id: int) -> bytes:
        """Return the 32 bytes to sign, as `EntryPoint.getUserOpHash` gives them. It leaves the signature out."""
        p = self.packed()
        inner = encode(
            [
                "address",
                "uint256",
                "bytes32",
                "bytes32",
                "bytes32",
                "uint256",
                "bytes32",
                "bytes32",
            ],
            [p[0], p[1], keccak(p[2]), keccak(p[3]), p[4], p[5], p[6], keccak(p[7])],
        )
        return keccak(
            encode(["bytes32", "address", "uint256"], [keccak(inner), entry_point, chain_id])
        )

    def to_api(self) -> dict[str, str]:
        """Return the API's `onChain.userOperation`: every field hex text, absent ones left out."""
        fields = {
            "sender": self.sender,
            "nonce": hex(self.nonce),
            "callData": _hex(self.call_data),
            "callGasLimit": hex(self.gas.call),
            "verificationGasLimit": hex(self.gas.verification),
            "preVerificationGas": hex(self.gas.pre_verification),
            "maxFeePerGas": hex(self.gas.max_fee),
            "maxPriorityFeePerGas": hex(self.gas.max_priority_fee),
            "signature": _hex(self.signature),
        }
        if self.factory:
            fields |= {"factory": self.factory, "factoryData": _hex(self.factory_data)}
        if self.paymaster:
            fields |= {
                "paymaster": self.paymaster.address,
                "paymasterVerificationGasLimit": hex(self.paymaster.verification_gas),
                "paymasterPostOpGasLimit": hex(self.paymaster.post_op_gas),
                "paymasterData": _hex(self.paymaster.data),
            }
        return fields

    @classmethod
    def from_api(cls, fields: dict[str, str]) -> UserOperation:
        """Read back what `to_api` wrote."""
        paymaster = None
        if "paymaster" in fields:
            paymaster = Paymaster(
                fields["paymaster"],
                int(fields["paymasterVerificationGasLimit"], 16),
                int(fields["paymasterPostOpGasLimit"], 16),
                _raw(fields["paymasterData"]),
            )
        gas = Gas(
            call=int(fields["callGasLimit"], 16),
            verification=int(fields["verificationGasLimit"], 16),
            pre_verification=int(fields["preVerificationGas"], 16),
            max_fee=int(fields["maxFeePerGas"], 16),
            max_priority_fee=int(fields["maxPriorityFeePerGas"], 16),
        )
        return cls(
            sender=fields["sender"],
            nonce=int(fields["nonce"], 16),
            call_data=_raw(fields["callData"]),
            gas=gas,
            paymaster=paymaster,
            factory=fields.get("factory"),
            factory_data=_raw(fields.get("factoryData", "0x")),
            signature=_raw(fields["signature"]),
        )

    def _init_code(self) -> bytes:
        return _raw(self.factory) + self.factory_data if self.factory else b""

    def _paymaster_and_data(self) -> bytes:
        if self.paymaster is None:
            return b""
        limits = _pair(self.paymaster.verification_gas, self.paymaster.post_op_gas)
        return _raw(self.paymaster.address) + limits + self.paymaster.data


def _pair(high: int, low: int) -> bytes:
    return high.to_bytes(16, "big") + low.to_bytes(16, "big")


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
