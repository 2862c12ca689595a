"""Write user_operations.json: ERC-4337 v0.7 user operations and their hashes.

Run from the checkout: `python tests/vectors/make_user_operations.py`. It is deterministic. Addresses are hashes of
words, and nobody's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

ENTRY_POINT = "0x0000000071727De22E5E9d8BAf0edAc6f37da032"
ORIGIN = (
    "tests/vectors/make_user_operations.py: packed and hashed with eth-abi and eth-hash. Judged by the EntryPoint "
    "contract's own getUserOpHash in tests/contract/test_user_operation_hash.py."
)
MOST = 2**120 - 1


def address(word: str) -> str:
    return str(to_checksum_address(keccak(text=word)[-20:]))


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def pair(high: str, low: str) -> bytes:
    return int(high, 16).to_bytes(16, "big") + int(low, 16).to_bytes(16, "big")


def user_operation_hash(op: dict[str, str], chain_id: int) -> str:
    init_code = raw(op["factory"]) + raw(op["factoryData"]) if "factory" in op else b""
    paymaster = b""
    if "paymaster" in op:
        limits = pair(op["paymasterVerificationGasLimit"], op["paymasterPostOpGasLimit"])
        paymaster = raw(op["paymaster"]) + limits + raw(op["paymasterData"])
    types = ["address", "uint256", "bytes32", "bytes32", "bytes32", "uint256", "bytes32", "bytes32"]
    values = [
        op["sender"],
        int(op["nonce"], 16),
        keccak(init_code),
        keccak(raw(op["callData"])),
        pair(op["verificationGasLimit"], op["callGasLimit"]),
        int(op["preVerificationGas"], 16),
        pair(op["maxPriorityFeePerGas"], op["maxFeePerGas"]),
        keccak(paymaster),
    ]
    inner = keccak(encode(types, values))
    outer = encode(["bytes32", "address", "uint256"], [inner, ENTRY_POINT, chain_id])
    return "0x" + keccak(outer).hex()


def operation(**changes: str) -> dict[str, str]:
    plain = {
        "sender": address("wallet"),
        "nonce": "0x0",
        "callData": "0x",
        "callGasLimit": "0x186a0",
        "verificationGasLimit": "0x3d090",
        "preVerificationGas": "0xea60",
        "maxFeePerGas": "0x77359400",
        "maxPriorityFeePerGas": "0x5f5e100",
        "signature": "0x" + "7f" * 65,
    }
    return plain | changes


def sponsored(verification: int, post_op: int, data: str) -> dict[str, str]:
    return {
        "paymaster": address("paymaster"),
        "paymasterVerificationGasLimit": hex(verification),
        "paymasterPostOpGasLimit": hex(post_op),
        "paymasterData": data,
    }


def cases() -> list[tuple[str, int, dict[str, str]]]:
    nonce = "0x" + "00" * 2 + address("validator")[2:] + "0007" + "00" * 7 + "2a"
    factory = {"factory": address("factory"), "factoryData": "0x" + "c5265d5d" + "11" * 61}
    largest = {
        name: hex(MOST)
        for name in ("callGasLimit", "verificationGasLimit", "preVerificationGas", "maxFeePerGas",
                     "maxPriorityFeePerGas")
    }  # fmt: skip
    return [
        ("nothing to do", 84532, operation()),
        ("a nonce of all its parts", 84532, operation(nonce=nonce)),
        ("call data of 33 bytes", 84532, operation(callData="0x" + "ab" * 33)),
        ("deployed on the way", 84532, operation(**factory)),
        ("a factory without data", 84532, operation(factory=address("factory"), factoryData="0x")),
        ("sponsored", 84532, operation(**sponsored(60_000, 1, "0x" + "cd" * 7))),
        ("sponsored without data", 84532, operation(**sponsored(0, 0, "0x"))),
        ("deployed and sponsored", 84532, operation(**factory, **sponsored(1, 2, "0x00"))),
        ("the largest gas values", 84532, operation(**largest)),
        ("the largest nonce", 84532, operation(nonce="0x" + "ff" * 32)),
        ("Ethereum itself", 1, operation(callData="0x01")),
        ("a chain id of 30 bits", 999999999, operation(callData="0x01")),
        ("lower-case sender", 84532, operation(sender=address("wallet").lower())),
    ]


def document() -> dict[str, Any]:
    operations = [
        {
            "note": note,
            "chainId": chain_id,
            "userOperation": op,
            "userOperationHash": user_operation_hash(op, chain_id),
        }
        for note, chain_id, op in cases()
    ]
    return {"origin": ORIGIN, "entryPoint": ENTRY_POINT, "operations": operations}


if __name__ == "__main__":
    target = Path(__file__).with_name("user_operations.json")
    target.write_text(json.dumps(document(), indent=1) + "\n")
