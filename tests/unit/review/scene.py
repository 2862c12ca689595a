"""Crossmint's transactions, as the sandbox's own encoder writes them: the second implementation to compare with.

All addresses are generated from words; nothing is anybody's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from bursar.review.intent import Intent, Token
from bursar.review.terms import Terms
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.chain.deploy import ENTRY_POINT
from bursar.sandbox.chain.token import transfer_data
from bursar.sandbox.chain.userop import Gas, Paymaster, UserOperation

CHAIN, CHAIN_ID = "base-sepolia", 84532


def address(word: str) -> str:
    return str(to_checksum_address(keccak(text=f"bursar review {word}")[-20:]))


WALLET, OWNER, OTHER = address("wallet"), address("owner"), address("other wallet")
VALIDATOR, FACTORY, META_FACTORY = address("validator"), address("factory"), address("meta")
SPONSOR, RECIPIENT, THIEF = address("sponsor"), address("recipient"), address("thief")
USDC, FAKE_USDC = address("usdc"), address("fake usdc")
SIGNER = f"external-wallet:{OWNER}"
UNITS = 200_000

TERMS = Terms(factories=frozenset({FACTORY}), meta_factories=frozenset({META_FACTORY}))
INTENT = Intent(CHAIN, Token(USDC, "USDC", 6), RECIPIENT, UNITS)

PAY = kernel.Call(USDC, 0, transfer_data(RECIPIENT, UNITS))
GAS = Gas(call=100, verification=200, pre_verification=300, max_fee=10**9, max_priority_fee=10**8)
OPERATION = UserOperation(
    sender=WALLET,
    nonce=kernel.nonce_key(VALIDATOR) << 64,
    call_data=kernel.execute([PAY]),
    gas=GAS,
    paymaster=Paymaster(SPONSOR, 40, 2, b"sponsored"),
    factory=None,
    factory_data=b"",
    signature=bytes(65),
)


def asked(operation: UserOperation, chain: str = CHAIN, chain_id: int = CHAIN_ID) -> dict[str, Any]:
    """Return the transaction that asks us to sign this operation."""
    digest = "0x" + operation.hash(ENTRY_POINT, chain_id).hex()
    return {
        "chainType": "evm",
        "walletType": "smart",
        "params": {"chain": chain, "calls": [], "signer": {"locator": SIGNER}},
        "onChain": {"userOperation": operation.to_api(), "userOperationHash": digest},
        "id": "7f8b2c1e-0000-4000-8000-000000000001",
        "status": "awaiting-approval",
        "createdAt": "2026-11-01T00:00:00.000Z",
        "approvals": {
            "pending": [
                {"signer": {"type": "external-wallet", "locator": SIGNER}, "message": digest}
            ],
            "submitted": [],
        },
    }


def doing(*calls: kernel.Call) -> dict[str, Any]:
    """Return the transaction that makes these calls."""
    return asked(replace(OPERATION, call_data=kernel.execute(list(calls))))


def executing(mode: bytes, payload: bytes) -> dict[str, Any]:
    """Return the transaction that executes this in an ERC-7579 mode, whose first bytes are given."""
    return told(call_data("execute(bytes32,bytes)", mode.ljust(32, b"\0"), payload))


def told(data: bytes) -> dict[str, Any]:
    """Return the transaction of this call data."""
    return asked(replace(OPERATION, call_data=data))


def packed(call: kernel.Call) -> bytes:
    """Return one call as ERC-7579 packs it."""
    return bytes.fromhex(call.to[2:]) + call.value.to_bytes(32, "big") + call.data


def batched(*calls: kernel.Call) -> bytes:
    """Return calls as ERC-7579 encodes a batch."""
    return encode(["(address,uint256,bytes)[]"], [[(c.to, c.value, c.data) for c in calls]])


def birth(
    owner: bytes | None = None,
    *,
    validator: str = VALIDATOR,
    kind: bytes = b"\x01",
    hook: str = "0x" + "00" * 20,
    hook_data: bytes = b"",
    config: tuple[bytes, ...] = (),
) -> bytes:
    """Return Kernel's initialize for an owner's bytes; ours where none are given."""
    return call_data(
        "initialize(bytes21,address,bytes,bytes,bytes[])",
        kind + bytes.fromhex(validator[2:]),
        hook,
        bytes.fromhex(OWNER[2:]) if owner is None else owner,
        hook_data,
        list(config),
    )


def creation(init_data: bytes) -> bytes:
    return call_data("createAccount(bytes,bytes32)", init_data, bytes(32))


def creation_with(factory: str, init_data: bytes) -> bytes:
    return call_data("deployWithFactory(address,bytes,bytes32)", factory, init_data, bytes(32))


def born(factory: str = FACTORY, data: bytes | None = None, **changes: Any) -> dict[str, Any]:
    """Return the transaction that deploys its wallet first."""
    data = creation(birth()) if data is None else data
    return asked(replace(OPERATION, factory=factory, factory_data=data, **changes))
