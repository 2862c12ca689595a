"""The chain's verdicts: hashes, signatures, quorums, the token. Everything here is judged by contracts."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.errors import SandboxError
from bursar.sandbox.chain import (
    Anvil,
    Artifacts,
    Contracts,
    Rpc,
    RpcError,
    Token,
    deploy_contracts,
    kernel,
)
from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.chain.bundler import Bundler, OperationError
from bursar.sandbox.chain.deploy import ENTRY_POINT, first_account
from bursar.sandbox.chain.token import transfer_data
from bursar.sandbox.chain.userop import Gas, Paymaster, UserOperation
from bursar.sandbox.setup import Tools, tools
from tests.fakes.owner import Owner

GAS = Gas(
    call=300_000,
    verification=700_000,
    pre_verification=60_000,
    max_fee=3 * 10**9,
    max_priority_fee=10**8,
)
UINT64 = st.integers(0, 2**64 - 1)
ADDRESS = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())


@pytest.fixture(scope="module")
def installed() -> Tools:
    return tools()


@pytest.fixture(scope="module")
def rpc(anvil_url: str) -> Iterator[Rpc]:
    with Rpc(anvil_url) as node:
        yield node


@pytest.fixture(scope="module")
def contracts(rpc: Rpc, installed: Tools) -> Contracts:
    artifacts = Artifacts(
        installed.entry_point_artifact, installed.kernel_precompiles, installed.compiled
    )
    return deploy_contracts(rpc, artifacts)


@pytest.fixture(scope="module")
def bundler(rpc: Rpc, contracts: Contracts) -> Bundler:
    return Bundler(rpc, contracts.entry_point, first_account(rpc))


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def account(rpc: Rpc, contracts: Contracts, owner: Owner) -> kernel.Account:
    return kernel.account(
        rpc, contracts, kernel.Root.single(contracts, owner.address), secrets.token_bytes(32)
    )


def operation(
    bundler: Bundler,
    contracts: Contracts,
    account: kernel.Account,
    calls: list[kernel.Call],
    *,
    lane: int = 0,
) -> UserOperation:
    rpc = bundler.rpc
    born = bool(rpc.code(account.address))
    key = kernel.nonce_key(contracts.ecdsa_validator, lane)
    return UserOperation(
        sender=account.address,
        nonce=kernel.next_nonce(rpc, contracts.entry_point, account.address, key),
        call_data=kernel.execute(calls),
        gas=GAS,
        paymaster=Paymaster(contracts.sponsor, 60_000, 1, b"data"),
        factory=None if born else account.factory,
        factory_data=b"" if born else account.factory_data,
        signature=b"",
    )


def signed(
    op: UserOperation, owner: Owner, *, raw: bool = False, high_s: bool = False
) -> UserOperation:
    digest = op.hash(ENTRY_POINT, 84532)
    return dataclasses.replace(op, signature=owner.sign(digest, raw=raw, high_s=high_s))


def test_the_entry_point_is_at_its_canonical_address(rpc: Rpc, contracts: Contracts) -> None:
    assert contracts.entry_point == "0x0000000071727De22E5E9d8BAf0edAc6f37da032"
    assert len(rpc.code(contracts.entry_point)) > 10_000


def test_deploying_again_sends_nothing(rpc: Rpc, contracts: Contracts, installed: Tools) -> None:
    artifacts = Artifacts(
        installed.entry_point_artifact, installed.kernel_precompiles, installed.compiled
    )
    before = rpc.request("eth_blockNumber")
    assert deploy_contracts(rpc, artifacts) == contracts
    assert rpc.request("eth_blockNumber") == before


def test_artifacts_of_another_package_are_refused(
    rpc: Rpc, installed: Tools, tmp_path: Path
) -> None:
    other = tmp_path / "EntryPoint.json"
    for text in ("{}", "not json", "[]"):
        other.write_text(text)
        with pytest.raises(SandboxError, match="no creation code"):
            deploy_contracts(
                rpc, Artifacts(other, installed.kernel_precompiles, installed.compiled)
            )
    other.write_text('{"bytecode": "0x6000"}')
    with pytest.raises(SandboxError):
        deploy_contracts(rpc, Artifacts(other, installed.kernel_precompiles, installed.compiled))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sender=ADDRESS,
    numbers=st.lists(UINT64, min_size=8, max_size=8),
    blobs=st.lists(st.binary(max_size=200), min_size=3, max_size=3),
    parties=st.tuples(st.none() | ADDRESS, st.none() | ADDRESS),
)
def test_the_hash_is_what_the_entry_point_computes(
    bundler: Bundler,
    sender: str,
    numbers: list[int],
    blobs: list[bytes],
    parties: tuple[str | None, str | None],
) -> None:
    factory, payer = parties
    op = UserOperation(
        sender=sender,
        nonce=numbers[0] << 128 | numbers[1],
        call_data=blobs[0],
        gas=Gas(*numbers[2:7]),
        paymaster=Paymaster(payer, numbers[7], 1, blobs[1]) if payer else None,
        factory=factory,
        factory_data=blobs[2] if factory else b"",
        signature=b"anything",
    )
    assert op.hash(ENTRY_POINT, 84532) == bundler.hash_on_chain(op)
    assert UserOperation.from_api(op.to_api()) == op


@pytest.mark.parametrize("raw", [True, False])
def test_the_first_operation_gives_birth_to_the_account_and_pays(
    bundler: Bundler, contracts: Contracts, owner: Owner, account: kernel.Account, *, raw: bool
) -> None:
    token, receiver = Token(bundler.rpc, contracts.usdc), Owner().address
    token.mint(account.address, 10)
    pay = kernel.Call(contracts.usdc, 0, transfer_data(receiver, 7))
    op = signed(operation(bundler, contracts, account, [pay]), owner, raw=raw)
    landed = bundler.submit(op)
    assert landed.succeeded
    assert bundler.find(op.hash(ENTRY_POINT, 84532)) == landed
    assert (token.balance_of(receiver), token.balance_of(account.address)) == (7, 3)
    assert kernel.account_id(bundler.rpc, account.address) == "kernel.advanced.v0.3.1"
    with pytest.raises(OperationError, match="AA10"):
        bundler.submit(op)


def test_what_the_validator_refuses(
    bundler: Bundler, contracts: Contracts, owner: Owner, account: kernel.Account
) -> None:
    op = operation(bundler, contracts, account, [kernel.Call(Owner().address, 0, b"")])
    good = signed(op, owner).signature
    forgeries = {
        "high s": signed(op, owner, high_s=True).signature,
        "another key": signed(op, Owner()).signature,
        "64 bytes": good[:64],
        "66 bytes": good + b"\0",
        "v of 0": good[:64] + b"\0",
        "nothing": b"",
        "zeros, which recover to the zero address": bytes(64) + b"\x1b",
    }
    for name, signature in forgeries.items():
        with pytest.raises(OperationError, match=r"AA2[34]"):
            bundler.submit(dataclasses.replace(op, signature=signature))
        assert not bundler.rpc.code(account.address), name


def test_an_owner_of_zero_cannot_be_installed(rpc: Rpc, contracts: Contracts) -> None:
    for validator, data in (
        (contracts.ecdsa_validator, bytes(20)),
        (contracts.quorum_validator, b"\x01" + bytes(20)),
        (contracts.quorum_validator, b"\x02" + b"\x01" * 20),
        (contracts.quorum_validator, b"\x02" + b"\x01" * 40),
    ):
        with pytest.raises(RpcError):
            rpc.call(validator, call_data("onInstall(bytes)", data), sender=first_account(rpc))


def test_a_reverting_call_uses_the_nonce_and_says_why(
    bundler: Bundler, contracts: Contracts, owner: Owner, account: kernel.Account
) -> None:
    pay = kernel.Call(contracts.usdc, 0, transfer_data(Owner().address, 1))
    landed = bundler.submit(signed(operation(bundler, contracts, account, [pay]), owner))
    assert not landed.succeeded
    assert landed.revert == "ERC20: transfer amount exceeds balance"


def test_operations_in_two_lanes_land_in_any_order(
    bundler: Bundler, contracts: Contracts, owner: Owner, account: kernel.Account
) -> None:
    nothing = [kernel.Call(Owner().address, 0, b"")]
    bundler.submit(signed(operation(bundler, contracts, account, nothing), owner))
    one, two = (
        signed(operation(bundler, contracts, account, nothing, lane=lane), owner) for lane in (1, 2)
    )
    assert bundler.submit(two).succeeded
    assert bundler.submit(one).succeeded


def test_a_quorum_counts_each_member_once(rpc: Rpc, contracts: Contracts, bundler: Bundler) -> None:
    members = sorted((Owner() for _ in range(3)), key=lambda member: int(member.address, 16))
    root = kernel.Root.quorum(contracts, 2, [member.address for member in members])
    account = kernel.account(rpc, contracts, root, secrets.token_bytes(32))
    key = kernel.nonce_key(contracts.quorum_validator)
    op = dataclasses.replace(
        operation(bundler, contracts, account, [kernel.Call(Owner().address, 0, b"")]),
        nonce=kernel.next_nonce(rpc, contracts.entry_point, account.address, key),
    )
    digest = op.hash(ENTRY_POINT, 84532)
    first, second, third = (member.sign(digest) for member in members)
    stranger = Owner().sign(digest)
    for signatures in (first, first + first, second + first, first + stranger, first + second[:64]):
        with pytest.raises(OperationError, match=r"AA2[34]"):
            bundler.submit(dataclasses.replace(op, signature=signatures))
    assert bundler.submit(dataclasses.replace(op, signature=first + third)).succeeded


def test_the_account_vouches_for_its_owners_signature(
    bundler: Bundler, contracts: Contracts, owner: Owner, account: kernel.Account
) -> None:
    bundler.submit(
        signed(
            operation(bundler, contracts, account, [kernel.Call(Owner().address, 0, b"")]), owner
        )
    )
    digest = keccak(b"anything")
    wrapped = kernel.erc1271_digest(84532, account.address, digest)
    for signer, verdict in ((owner, "1626ba7e"), (Owner(), "ffffffff")):
        output = kernel.erc1271_signature(signer.sign(wrapped))
        answer = bundler.rpc.call(
            account.address, call_data("isValidSignature(bytes32,bytes)", digest, output)
        )
        assert answer[:4].hex() == verdict


def test_the_token_is_an_erc20_of_six_decimals(rpc: Rpc, contracts: Contracts) -> None:
    token, dev, other = Token(rpc, contracts.usdc), first_account(rpc), Owner().address
    for name, expected in (("name()", b"USD Coin"), ("symbol()", b"USDC"), ("decimals()", b"\x06")):
        assert expected in rpc.call(token.address, call_data(name))
    token.mint(dev, 100)
    before = token.balance_of(dev)
    rpc.send(token.address, call_data("approve(address,uint256)", dev, 60), sender=dev)
    spend = "transferFrom(address,address,uint256)"
    rpc.send(token.address, call_data(spend, dev, other, 40), sender=dev)
    with pytest.raises(RpcError) as refused:
        rpc.send(token.address, call_data(spend, dev, other, 40), sender=dev)
    assert refused.value.reason == "ERC20: transfer amount exceeds allowance"
    assert (before - token.balance_of(dev), token.balance_of(other)) == (40, 40)
    assert [move.units for move in token.movements(other)] == [40]


def test_a_snapshot_brings_the_chain_back(rpc: Rpc, contracts: Contracts) -> None:
    token, holder = Token(rpc, contracts.usdc), Owner().address
    snapshot = rpc.snapshot()
    token.mint(holder, 5)
    rpc.revert(snapshot)
    assert token.balance_of(holder) == 0
    with pytest.raises(SandboxError, match="no snapshot"):
        rpc.revert(snapshot)


def test_the_chains_state_survives_a_restart(installed: Tools, tmp_path: Path) -> None:
    state, holder = tmp_path / "chain.json", Owner().address
    artifacts = Artifacts(
        installed.entry_point_artifact, installed.kernel_precompiles, installed.compiled
    )
    with Anvil.start(installed.anvil, state_file=state) as chain:
        token = Token(chain.rpc, deploy_contracts(chain.rpc, artifacts).usdc)
        minted = token.mint(holder, 5)
    with Anvil.start(installed.anvil, state_file=state) as chain:
        token = Token(chain.rpc, token.address)
        assert token.balance_of(holder) == 5
        assert [move.transaction for move in token.movements(holder)] == [minted]
        token.mint(holder, 1)
        assert token.balance_of(holder) == 6


def test_a_damaged_state_file_and_a_missing_binary_say_what_to_do(
    installed: Tools, tmp_path: Path
) -> None:
    damaged = tmp_path / "chain.json"
    damaged.write_text("not a chain")
    with pytest.raises(SandboxError) as stopped:
        Anvil.start(installed.anvil, state_file=damaged)
    assert "--fresh" in str(stopped.value.hint)
    with pytest.raises(SandboxError) as absent:
        Anvil.start(tmp_path / "no-anvil")
    assert "sandbox setup" in str(absent.value.hint)


def test_a_chain_that_is_not_there_is_a_sandbox_error() -> None:
    with Rpc("http://127.0.0.1:9") as nowhere, pytest.raises(SandboxError, match="does not answer"):
        nowhere.chain_id()
