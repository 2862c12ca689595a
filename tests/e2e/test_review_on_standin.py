"""What the stand-in answers, reviewed: honest answers are told as they are."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from bursar.errors import NotAwaitingApproval, Unverifiable
from bursar.review.actions import SignerChange
from bursar.review.intent import Intent, Token
from bursar.review.report import Review, ReviewKind
from bursar.review.signatures import review_signature
from bursar.review.terms import Terms
from bursar.review.transaction import explain, review
from tests.e2e.standin import World
from tests.fakes.owner import Owner


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def wallet(standin: World, owner: Owner) -> str:
    return standin.funded_treasury(owner, f"review-{owner.address[2:12]}")


@pytest.fixture
def recipient() -> str:
    return Owner().address


def terms(standin: World) -> Terms:
    return Terms(factories=frozenset({standin.contracts.kernel_factory}))


def reviewed(standin: World, transaction: Any, owner: Owner, wallet: str, recipient: str) -> Review:
    intent = Intent("base-sepolia", Token(standin.contracts.usdc, "USDC", 6), recipient, 2_500_000)
    return review(transaction, intent, signer=owner.locator, wallet=wallet, terms=terms(standin))


def test_a_first_transfer_deploys_and_the_second_does_not(
    standin: World, owner: Owner, wallet: str, recipient: str
) -> None:
    first = standin.client.transfer(201, wallet, recipient, "2.5")
    found = reviewed(standin, first, owner, wallet, recipient)
    assert found.deployment is not None
    assert found.deployment.owner == owner.address
    assert found.fee.paymaster == standin.contracts.sponsor
    approval = {"signer": owner.locator, "signature": "0x" + owner.sign(found.hash).hex()}
    path = f"wallets/{wallet}/transactions/{first['id']}/approvals"
    standin.client.call(201, "POST", path, {"approvals": [approval]})
    settled = standin.client.settled(wallet, first["id"])
    assert standin.token.balance_of(recipient) == 2_500_000

    with pytest.raises(NotAwaitingApproval):
        reviewed(standin, settled, owner, wallet, recipient)
    second = standin.client.transfer(201, wallet, recipient, "2.5")
    assert reviewed(standin, second, owner, wallet, recipient).deployment is None


def test_a_signers_registration_is_told_as_a_signer_change(
    standin: World, owner: Owner, wallet: str
) -> None:
    added = Owner().address
    body = {"signer": {"type": "external-wallet", "address": added}, "chain": "base-sepolia"}
    made = standin.client.call(201, "POST", f"wallets/{wallet}/signers", body)
    [registration] = made["chains"].values()
    path = f"wallets/{wallet}/transactions/{registration['id']}"
    transaction = standin.client.call(200, "GET", path)
    found = explain(transaction, signer=owner.locator, wallet=wallet, terms=terms(standin))
    assert found.kind is ReviewKind.SIGNER_CHANGE
    [call] = found.calls
    assert call.action == SignerChange(True, added, call.to)

    as_signature = standin.client.call(
        200, "GET", f"wallets/{wallet}/signatures/{registration['id']}"
    )
    with pytest.raises(Unverifiable):
        review_signature(as_signature, signer=owner.locator, wallet=wallet)


def test_a_members_entry_in_a_quorum_is_reviewed(standin: World, recipient: str) -> None:
    members = [Owner(), Owner()]
    listed = [{"type": "external-wallet", "address": member.address} for member in members]
    config = {"recoveryMethods": [{"type": "quorum", "threshold": 2, "members": listed}]}
    alias = f"quorum-{secrets.token_hex(4)}"
    body = {"chainType": "evm", "config": config, "owner": "COMPANY", "alias": alias}
    wallet = standin.client.call(201, "POST", "wallets", body)["address"]
    standin.token.mint(wallet, 10_000_000)
    transaction = standin.client.transfer(201, wallet, recipient, "2.5")
    for member in members:
        found = reviewed(standin, transaction, member, wallet, recipient)
        assert found.deployment is not None
        assert found.deployment.owner is None


def test_a_text_and_a_permit_are_read(standin: World, owner: Owner, wallet: str) -> None:
    names = [("owner", "address"), ("spender", "address"), ("value", "uint256"), ("nonce", "uint256"),
             ("deadline", "uint256")]  # fmt: skip
    usdc = standin.contracts.usdc
    permit = {
        "primaryType": "Permit",
        "types": {"Permit": [{"name": name, "type": kind} for name, kind in names]},
        "domain": {"name": "USDC", "version": "2", "chainId": 84532, "verifyingContract": usdc},
        "message": {"owner": wallet, "spender": usdc, "value": "7", "nonce": "0", "deadline": "1"},
    }
    for kind, content, said in (
        ("message", {"message": "I own this wallet"}, "sign the text 'I own this wallet'"),
        ("typed-data", {"typedData": permit}, f"let {usdc} take token {usdc} up to 7 base units"),
    ):
        body = {"type": kind, "params": {**content, "chain": "base-sepolia"}}
        signature = standin.client.call(201, "POST", f"wallets/{wallet}/signatures", body)
        found = review_signature(signature, signer=owner.locator, wallet=wallet)
        assert found.sentence.startswith(said)
