"""Kernel 0.3.1 accounts: how one is born, numbered and told what to do (ERC-7579)."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from bursar.errors import InputError
from bursar.sandbox.chain.abi import call_data, read
from bursar.sandbox.chain.deploy import Contracts
from bursar.sandbox.chain.rpc import Rpc

_VALIDATOR = b"\x01"  # Kernel's validation type for a plain validator module
_NO_HOOK = "0x" + "00" * 20
_ONE_CALL = bytes(32)
_BATCH = b"\x01" + bytes(31)
_DELEGATED = b"\xff" + bytes(31)


@dataclass(frozen=True, slots=True)
class Call:
    """One call an account makes: where, how much native value in wei, with what data."""

    to: str
    value: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Root:
    """An account's root validator and what it is installed with: whose signatures count."""

    validator: str
    install_data: bytes

    @classmethod
    def single(cls, contracts: Contracts, owner: str) -> Root:
        """One owner."""
        return cls(contracts.ecdsa_validator, bytes.fromhex(owner[2:]))

    @classmethod
    def quorum(cls, contracts: Contracts, threshold: int, members: list[str]) -> Root:
        """`threshold` of `members`.

        Raises:
            InputError: not 1 to 10 members, or a threshold outside them.
        """
        if not 1 <= threshold <= len(members) <= 10:
            raise InputError(
                f"a quorum of {threshold} from {len(members)} members cannot be formed"
            )
        packed = b"".join(bytes.fromhex(member[2:]) for member in members)
        return cls(contracts.quorum_validator, bytes([threshold]) + packed)


@dataclass(frozen=True, slots=True)
class Account:
    """A Kernel account that is deployed, or will be by its first user operation."""

    address: str
    factory: str
    factory_data: bytes


def account(rpc: Rpc, contracts: Contracts, root: Root, salt: bytes) -> Account:
    """Return the account of this root validator and 32-byte salt. One call; nothing is deployed."""
    initialize = call_data(
        "initialize(bytes21,address,bytes,bytes,bytes[])",
        _VALIDATOR + bytes.fromhex(root.validator[2:]),
        _NO_HOOK,
        root.install_data,
        b"",
        [],
    )
    found = rpc.call(
        contracts.kernel_factory, call_data("getAddress(bytes,bytes32)", initialize, salt)
    )
    return Account(
        address=to_checksum_address(found[-20:]),
        factory=contracts.kernel_factory,
        factory_data=call_data("createAccount(bytes,bytes32)", initialize, salt),
    )


def nonce_key(validator: str, lane: int = 0) -> int:
    """Return the 192-bit nonce key: mode (1), validator type (1), validator (20), lane (2 bytes).

    Mode and type 0 mean "sudo" and "root validator". Operations in different lanes do not wait for each other.
    """
    return int.from_bytes(
        b"\x00\x00" + bytes.fromhex(validator[2:]) + lane.to_bytes(2, "big"), "big"
    )


def next_nonce(rpc: Rpc, entry_point: str, sender: str, key: int) -> int:
    """Return the whole 256-bit nonce that comes next under a key: key (24 bytes), sequence (8)."""
    return int.from_bytes(
        rpc.call(entry_point, call_data("getNonce(address,uint192)", sender, key)), "big"
    )


def execute(calls: list[Call]) -> bytes:
    """Return the calldata of `execute`: one call packed, several as a batch that reverts together (ERC-7579).

    Raises:
        InputError: no call.
    """
    if not calls:
        raise InputError("an account needs at least one call to make")
    if len(calls) == 1:
        only = calls[0]
        packed = bytes.fromhex(only.to[2:]) + only.value.to_bytes(32, "big") + only.data
        return call_data("execute(bytes32,bytes)", _ONE_CALL, packed)
    batch = encode(["(address,uint256,bytes)[]"], [[(c.to, c.value, c.data) for c in calls]])
    return call_data("execute(bytes32,bytes)", _BATCH, batch)


def execute_delegated(code: str, data: bytes) -> bytes:
    """Return the calldata of `execute` that runs a contract's code as the account itself (ERC-7579)."""
    packed = bytes.fromhex(code[2:]) + data
    return call_data("execute(bytes32,bytes)", _DELEGATED, packed)


def erc1271_digest(chain_id: int, address: str, digest: bytes) -> bytes:
    """Return what the root owner signs so that the account's `isValidSignature` accepts `digest`.

    Kernel wraps it in an EIP-712 struct under its own domain, so a signature for one account is none for another.
    """
    domain_type = (
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    )
    domain = encode(
        ["bytes32", "bytes32", "bytes32", "uint256", "address"],
        [keccak(text=domain_type), keccak(text="Kernel"), keccak(text="0.3.1"), chain_id, address],
    )
    struct = encode(["bytes32", "bytes32"], [keccak(text="Kernel(bytes32 hash)"), digest])
    return keccak(b"\x19\x01" + keccak(domain) + keccak(struct))


def erc1271_signature(signature: bytes) -> bytes:
    """Return a root owner's signature as `isValidSignature` takes it: a zero byte names the root validator."""
    return b"\x00" + signature


def account_id(rpc: Rpc, address: str) -> str:
    """Return what a deployed account says it is, such as kernel.advanced.v0.3.1."""
    return str(read("string", rpc.call(address, call_data("accountId()")))[0])
