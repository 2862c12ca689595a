"""The witness on a real chain: what the real EntryPoint, real accounts and tokens log, honest and odd ones."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from bursar.crossmint.approvals import Status
from bursar.errors import ChainError
from bursar.review.actions import Transfer
from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.chain.bundler import Bundler
from bursar.sandbox.chain.compiler import _compile
from bursar.sandbox.chain.deploy import _create2, first_account
from bursar.sandbox.chain.token import transfer_data
from bursar.sandbox.chain.userop import PACKED_TYPE, UserOperation
from bursar.settlement.agreement import Agreement, compare
from bursar.settlement.chain_witness import ChainWitness, Looking
from bursar.settlement.judgement import Finding, Proof, Question, Verdict
from tests.e2e.payer import PAID, Payer
from tests.e2e.standin import World
from tests.fakes.owner import Owner

CHAIN = "base-sepolia"
ODD_TOKEN = Path(__file__).parent / "contracts/OddToken.vy"


@pytest.fixture
def witness(standin: World) -> Iterator[ChainWitness]:
    with ChainWitness(standin.chain.url, CHAIN) as found:
        yield found


@pytest.fixture
def other(standin: World) -> Payer:
    """Another wallet with money, which pays somebody else."""
    owner = Owner()
    wallet = standin.funded_treasury(owner, f"other-{owner.address[2:12]}")
    return Payer(standin, owner, wallet, Owner().address)


def question(
    payer: Payer, made: Any, *payments: Transfer, named: str | None = None, since: int = 0
) -> Question:
    operation = bytes.fromhex(made["onChain"]["userOperationHash"][2:])
    usdc = Transfer(payer.standin.contracts.usdc, payer.recipient, PAID)
    return Question(CHAIN, payer.wallet, operation, payments or (usdc,), since, named)


def both_ways(witness: ChainWitness, payer: Payer, settled: Any, *payments: Transfer) -> Verdict:
    """Return the verdict by the transaction that Crossmint names, which is that of a search."""
    named = settled["onChain"]["txId"]
    verdict = witness.verdict(question(payer, settled, *payments, named=named))
    assert verdict == witness.verdict(question(payer, settled, *payments))
    assert verdict.transaction == named
    return verdict


def test_a_payment_is_seen_once_it_landed_and_not_before(
    payer: Payer, witness: ChainWitness
) -> None:
    made = payer.transfer()
    height = witness.height()
    assert witness.verdict(question(payer, made)).found_nothing
    settled = payer.settle(made)
    verdict = both_ways(witness, payer, settled)
    assert (verdict.finding, verdict.proof) == (Finding.PAID, Proof.TRANSFERS)
    assert verdict.block is not None
    assert verdict.block > height
    assert compare(Status(settled["status"]), verdict).agreement is Agreement.PAID
    assert witness.verdict(question(payer, made, since=height)) == verdict


def test_a_second_payment_of_a_deployed_wallet_is_seen(payer: Payer, witness: ChainWitness) -> None:
    payer.settle(payer.transfer())
    assert both_ways(witness, payer, payer.settle(payer.transfer())).finding is Finding.PAID


def test_a_payment_is_not_final_before_its_confirmations(payer: Payer) -> None:
    settled = payer.settle(payer.transfer())
    rpc = payer.standin.chain.rpc
    with ChainWitness(rpc.url, CHAIN, looking=Looking(confirmations=3)) as patient:
        assert patient.verdict(question(payer, settled)).finding is Finding.NOT_YET
        rpc.request("anvil_mine", "0x2")
        assert patient.verdict(question(payer, settled)).finding is Finding.PAID


def test_a_payment_that_a_reorganisation_took_back_is_not_seen(
    payer: Payer, witness: ChainWitness
) -> None:
    made = payer.transfer()
    rpc = payer.standin.chain.rpc
    before = rpc.snapshot()
    settled = payer.settle(made)
    assert both_ways(witness, payer, settled).finding is Finding.PAID
    rpc.revert(before)
    rpc.request("anvil_mine", "0x3")
    assert witness.verdict(question(payer, made, named=settled["onChain"]["txId"])).found_nothing


def test_a_reverted_operation_is_seen_as_one(payer: Payer, witness: ChainWitness) -> None:
    client = payer.standin.client
    payer.settle(payer.transfer())
    [all_of_it, again] = [
        client.transfer(201, payer.wallet, payer.recipient, "95") for _ in range(2)
    ]
    payer.settle(all_of_it)
    failed = payer.settle(again)
    verdict = both_ways(witness, payer, failed)
    assert (failed["status"], verdict.finding) == ("failed", Finding.REVERTED)
    assert compare(Status.FAILED, verdict).agreement is Agreement.FAILED
    assert compare(Status.SUCCESS, verdict).agreement is Agreement.CONTRADICTION


@pytest.mark.parametrize("first", [0, 1])
def test_operations_of_one_bundle_are_told_apart(
    payer: Payer, other: Payer, witness: ChainWitness, first: int
) -> None:
    payers = [payer, other]
    made = [one.transfer() for one in payers]
    order = [first, 1 - first]
    land([signed(payers[at], made[at]) for at in order], payer.standin)
    for one, transaction in zip(payers, made, strict=True):
        verdict = witness.verdict(question(one, transaction))
        assert verdict.finding is Finding.PAID, verdict.words
    swapped = Transfer(payer.standin.contracts.usdc, other.recipient, PAID)
    verdict = witness.verdict(question(payer, made[0], swapped))
    assert verdict.finding is Finding.CONTRADICTED


def test_a_transaction_that_holds_somebody_elses_operation_is_a_contradiction(
    payer: Payer, other: Payer, witness: ChainWitness
) -> None:
    made = payer.transfer()
    elsewhere = other.settle(other.transfer())["onChain"]["txId"]
    verdict = witness.verdict(question(payer, made, named=elsewhere))
    assert verdict.finding is Finding.CONTRADICTED
    assert compare(Status.SUCCESS, verdict).agreement is Agreement.CONTRADICTION
    land([signed(payer, made)], payer.standin)
    assert witness.verdict(question(payer, made, named=elsewhere)).finding is Finding.PAID


@pytest.mark.parametrize("how", ["recipient", "amount", "token", "approve"])
def test_an_operation_that_was_altered_and_signed_all_the_same_is_caught(
    payer: Payer, witness: ChainWitness, how: str
) -> None:
    settled = payer.settle(payer.altered("transfers.create", how))
    assert settled["status"] == "success"
    verdict = both_ways(witness, payer, settled)
    assert compare(Status.SUCCESS, verdict).agreement is Agreement.CONTRADICTION


def test_the_coin_is_proved_by_the_operations_success(payer: Payer, witness: ChainWitness) -> None:
    rpc = payer.standin.chain.rpc
    rpc.request("anvil_setBalance", payer.wallet, hex(10**18))
    made = call(payer, payer.recipient, b"", 10**17)
    verdict = both_ways(witness, payer, payer.settle(made), Transfer(None, payer.recipient, 10**17))
    assert (verdict.finding, verdict.proof) == (Finding.PAID, Proof.SUCCESS)
    assert rpc.balance(payer.recipient) == 10**17


@pytest.mark.parametrize("fee", [3, 0], ids=["keeps a fee", "logs nothing"])
def test_a_token_that_keeps_a_fee_or_logs_nothing_is_not_taken_for_paid(
    payer: Payer, witness: ChainWitness, fee: int
) -> None:
    token = odd_token(payer, fee, silent=not fee)
    made = call(payer, token, transfer_data(payer.recipient, 1000))
    settled = payer.settle(made)
    assert settled["status"] == "success"
    verdict = both_ways(witness, payer, settled, Transfer(token, payer.recipient, 1000))
    assert verdict.finding is Finding.CONTRADICTED
    assert f"nothing shows 1000 base units of {token}" in verdict.words


def test_a_chain_of_another_id_is_refused(standin: World) -> None:
    with (
        ChainWitness(standin.chain.url, "base") as wrong,
        pytest.raises(ChainError, match="of chain 84532, and base is 8453"),
    ):
        wrong.height()


def test_the_endpoints_path_is_not_logged(standin: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ChainWitness(f"{standin.chain.url}/?key=k3y-that-is-secret", CHAIN) as witness:
        witness.height()
    assert "k3y-that-is-secret" not in caplog.text


def call(payer: Payer, to: str, data: bytes, value: int = 0) -> Any:
    one = {"to": to, "value": str(value), "data": "0x" + data.hex()}
    body = {"params": {"calls": [one], "chain": CHAIN}}
    path = f"wallets/{payer.wallet}/transactions"
    return payer.standin.client.call(201, "POST", path, body)


def odd_token(payer: Payer, fee: int, *, silent: bool) -> str:
    rpc = payer.standin.chain.rpc
    code = _compile("OddToken", ODD_TOKEN.read_text())
    token = _create2(rpc, code + encode(["uint256", "bool"], [fee, silent]))
    mint = call_data("mint(address,uint256)", payer.wallet, 10_000)
    rpc.send(token, mint, sender=first_account(rpc))
    return token


def signed(payer: Payer, made: Any) -> UserOperation:
    """Return the operation as the wallet's owner would hand it to a bundler other than Crossmint's."""
    fields = made["onChain"]["userOperation"]
    digest = bytes.fromhex(made["onChain"]["userOperationHash"][2:])
    return UserOperation.from_api({**fields, "signature": "0x" + payer.owner.sign(digest).hex()})


def land(operations: list[UserOperation], world: World) -> None:
    """Land operations in one bundle."""
    rpc = world.chain.rpc
    bundler = Bundler(rpc, world.contracts.entry_point, first_account(rpc))
    packed = [operation.packed() for operation in operations]
    data = call_data(f"handleOps({PACKED_TYPE}[],address)", packed, bundler.account)
    rpc.send(bundler.entry_point, data, sender=bundler.account)


def test_a_nonce_is_used_once_its_operation_landed(payer: Payer, witness: ChainWitness) -> None:
    first, second = payer.transfer(), None
    nonce = int(first["onChain"]["userOperation"]["nonce"], 16)
    assert not witness.is_used(payer.wallet, nonce)
    payer.settle(first)
    assert witness.is_used(payer.wallet, nonce)
    second = payer.transfer()
    after = int(second["onChain"]["userOperation"]["nonce"], 16)
    assert after != nonce
    assert not witness.is_used(payer.wallet, after)
    with ChainWitness(payer.standin.chain.url, CHAIN, looking=Looking(confirmations=3)) as patient:
        assert not patient.is_used(payer.wallet, nonce)
