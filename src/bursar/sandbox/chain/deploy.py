"""Putting the contracts on the chain by CREATE2, so that every sandbox has them at the same addresses."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from bursar.errors import SandboxError
from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.chain.compiler import creation_code
from bursar.sandbox.chain.rpc import Rpc

ENTRY_POINT = "0x0000000071727De22E5E9d8BAf0edAc6f37da032"
# The salt under which eth-infinitism published EntryPoint v0.7; it is what makes the address canonical.
_ENTRY_POINT_SALT = bytes.fromhex(
    "90d8084deab30c2a37c45e8d47f49f2f7965183cb6990a98943ef94940681de3"
)
# The deterministic deployment proxy, which anvil carries from the first block: salt ‖ creation code.
_DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
_NO_SALT = bytes(32)
_KERNEL_CODE = re.compile(r'\b(KERNEL_BYTECODE|KERNEL_FACTORY_BYTECODE)\s*=\s*hex"([0-9a-fA-F]+)"')
# What the sponsor puts into the EntryPoint: 1,000 ether, thousands of operations at a high gas price.
SPONSOR_DEPOSIT_WEI = 1000 * 10**18


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Where creation code comes from: two npm packages, read at run time, and a directory for what we compile."""

    entry_point: Path
    kernel_precompiles: Path
    compiled: Path


@dataclass(frozen=True, slots=True)
class Contracts:
    """Addresses of the contracts on the local chain, checksummed."""

    entry_point: str
    kernel_implementation: str
    kernel_factory: str
    ecdsa_validator: str
    quorum_validator: str
    sponsor: str
    usdc: str

    def to_dict(self) -> dict[str, str]:
        """Return the addresses by name, for a configuration file."""
        return asdict(self)


def deploy_contracts(rpc: Rpc, artifacts: Artifacts) -> Contracts:
    """Deploy what is not there yet and return all addresses. Running it again sends nothing.

    Sent from the node's first unlocked account, which pays the gas and the sponsor's deposit.

    Raises:
        SandboxError: a package is missing or not the expected one, or the chain refuses.
    """
    kernel, factory = _kernel_code(artifacts.kernel_precompiles)
    own = artifacts.compiled
    entry_point = _create2(rpc, _entry_point_code(artifacts.entry_point), _ENTRY_POINT_SALT)
    if entry_point != ENTRY_POINT:
        raise SandboxError(
            f"{artifacts.entry_point} is not EntryPoint v0.7: it would live at {entry_point}",
            hint="install @account-abstraction/contracts 0.7.0",
        )
    implementation = _create2(rpc, kernel + encode(["address"], [entry_point]))
    contracts = Contracts(
        entry_point=entry_point,
        kernel_implementation=implementation,
        kernel_factory=_create2(rpc, factory + encode(["address"], [implementation])),
        ecdsa_validator=_create2(rpc, creation_code("EcdsaValidator", own)),
        quorum_validator=_create2(rpc, creation_code("QuorumValidator", own)),
        sponsor=_create2(rpc, creation_code("Sponsor", own) + encode(["address"], [entry_point])),
        usdc=_create2(rpc, creation_code("Usdc", own)),
    )
    _fill_sponsor(rpc, contracts)
    return contracts


def first_account(rpc: Rpc) -> str:
    """Return the node's first unlocked account: deployer, minter and bundler of the sandbox."""
    accounts = rpc.request("eth_accounts")
    if not accounts:
        raise SandboxError("the local chain has no unlocked account")
    return to_checksum_address(accounts[0])


def create2_address(creation: bytes, salt: bytes = _NO_SALT) -> str:
    """Return where the deterministic deployer puts this creation code (EIP-1014)."""
    packed = b"\xff" + bytes.fromhex(_DEPLOYER[2:]) + salt + keccak(creation)
    return to_checksum_address(keccak(packed)[12:])


def _create2(rpc: Rpc, creation: bytes, salt: bytes = _NO_SALT) -> str:
    address = create2_address(creation, salt)
    if not rpc.code(address):
        rpc.send(_DEPLOYER, salt + creation, sender=first_account(rpc))
        if not rpc.code(address):
            raise SandboxError(f"nothing was deployed at {address}")
    return address


def _fill_sponsor(rpc: Rpc, contracts: Contracts) -> None:
    left = int.from_bytes(
        rpc.call(contracts.entry_point, call_data("balanceOf(address)", contracts.sponsor)), "big"
    )
    if left < SPONSOR_DEPOSIT_WEI // 2:
        deposit = call_data("depositTo(address)", contracts.sponsor)
        missing = SPONSOR_DEPOSIT_WEI - left
        rpc.send(contracts.entry_point, deposit, sender=first_account(rpc), value=missing)


def _entry_point_code(path: Path) -> bytes:
    try:
        return bytes.fromhex(json.loads(path.read_text())["bytecode"].removeprefix("0x"))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise _unreadable(path) from None


def _kernel_code(path: Path) -> tuple[bytes, bytes]:
    try:
        found = dict(_KERNEL_CODE.findall(path.read_text()))
        return bytes.fromhex(found["KERNEL_BYTECODE"]), bytes.fromhex(
            found["KERNEL_FACTORY_BYTECODE"]
        )
    except (OSError, ValueError, KeyError):
        raise _unreadable(path) from None


def _unreadable(path: Path) -> SandboxError:
    return SandboxError(f"{path} holds no creation code", hint="run: bursar sandbox setup")
