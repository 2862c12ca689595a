"""The client and the desk against the stand-in, with its faults, on a chain."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from bursar.chains.evm import Scheme
from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.locators import SignerLocator, UserLocator, WalletLocator
from bursar.crossmint.requests import (
    Approval,
    ContractCall,
    EmailSigner,
    ExternalWallet,
    HistoryQuery,
    NewMessageSignature,
    NewSigner,
    NewTransaction,
    NewTransfer,
    NewTypedDataSignature,
    NewWallet,
    UserDetails,
    UserRegistration,
)
from bursar.errors import (
    ApprovalAlreadyComplete,
    ApprovalRejected,
    ComplianceInProgress,
    CrossmintAuth,
    CrossmintNotFound,
    RecipientDataMissing,
    RecipientPersonSanctioned,
    RecipientTypeUnsupported,
    RecipientWalletSanctioned,
    TransactionFailed,
    Unverifiable,
)
from bursar.transfers.driving import drive
from bursar.transfers.states import Hold, Stage, Step, next_step
from bursar.transfers.steps import Patience
from tests.e2e.durable import Bench, OwnerSigner, finish
from tests.e2e.standin import World
from tests.fakes.owner import Owner

QUICK = Patience(deadline=20, first_wait=0.05, longest_wait=0.2)
USDC = "base-sepolia:usdc"


@pytest.fixture
def bench(standin: World, tmp_path: Path) -> Iterator[Bench]:
    """A treasury of this test's own that holds 100 USDC."""
    made = Bench.make(standin, tmp_path / "journal.sqlite3")
    yield made
    made.close()


@pytest.fixture
def client(bench: Bench) -> CrossmintClient:
    return bench.client


@pytest.fixture
def signer(bench: Bench) -> OwnerSigner:
    return bench.signer


@pytest.fixture
def wallet(bench: Bench) -> WalletLocator:
    return bench.wallet


def person(client: CrossmintClient, name: str, country: str = "GB") -> str:
    first, last = name.split()
    user = UserLocator("email", f"{first.lower()}-{Owner().address[2:10]}@example.com")
    born = date(1990, 1, 31)
    details = UserDetails(
        first_name=first, last_name=last, date_of_birth=born, country_of_residence=country
    )
    client.register_user(user, UserRegistration(user_details=details))
    return client.create_wallet(
        NewWallet(admin_signer=EmailSigner(email=user.value), owner=user)
    ).address


def test_a_regulated_transfer_pays_exactly_once(bench):
    ada = person(bench.client, "Ada Lovelace")
    bench.record("rent", ada, direct=False)
    ended = finish(bench.desk(), bench.key("rent"))
    assert bench.record("rent", ada, direct=False) == ended
    assert finish(bench.desk(), bench.key("rent")) == ended
    assert bench.paid(ada) == 2_500_000
    assert bench.signer.signed == 1
    query = HistoryQuery(chain="base-sepolia", tokens=("usdc",), limit=1)
    history = bench.client.iter_transfers(bench.wallet, query)
    assert [past.succeeded for past in history if past.type == "wallets.transfer.out"] == [True]


@pytest.mark.parametrize("scheme", list(Scheme))
def test_the_chain_accepts_both_schemes(bench, scheme):
    payee = Owner().address
    bench.record("rent", payee)
    finish(bench.desk(scheme=scheme), bench.key("rent"))
    assert bench.paid(payee) == 2_500_000


@pytest.mark.parametrize("operation", ["transfers.create", "transactions.approve"])
@pytest.mark.parametrize("kind", ["error_before", "error_after", "drop_before", "drop_after"])
def test_an_answer_that_is_lost_is_looked_for_and_nothing_is_paid_twice(bench, operation, kind):
    payee = Owner().address
    bench.record("rent", payee)
    bench.standin.fault(operation, kind)
    ended = finish(bench.desk(), bench.key("rent"))
    assert ended.standing.stage is Stage.SETTLED
    assert bench.paid(payee) == 2_500_000
    assert bench.signer.signed == 1
    assert len(bench.client.list_transactions(bench.wallet)) == 1


def test_reads_that_break_are_repeated_unseen(bench):
    payee = Owner().address
    bench.record("rent", payee)
    bench.standin.fault("transactions.get", "drop_before", count=2)
    finish(bench.desk(), bench.key("rent"))
    assert bench.paid(payee) == 2_500_000


def test_a_message_that_is_not_the_user_operations_hash_is_not_signed(bench):
    bench.record("rent")
    bench.standin.fault("transfers.create", "tamper", tamper="message")
    desk = bench.desk()
    ended = finish(desk, bench.key("rent"))
    assert ended.standing.hold is Hold.TROUBLE
    assert isinstance(desk.trouble_of(ended), Unverifiable)
    assert bench.signer.signed == 0


def test_the_same_key_for_another_payment_is_a_conflict(bench):
    """Another journal, as of another machine, does not know that the id is taken; Crossmint does."""
    first = bench.intent("rent", Owner().address)
    body = NewTransfer(
        token=first.token, recipient=first.recipient, amount="3", signer=bench.desk().locator
    )
    bench.client.create_transfer(bench.wallet, body, idempotency_key=first.id)
    bench.record("rent")
    ended = finish(bench.desk(), bench.key("rent"))
    assert ended.standing.stage is Stage.FAILED
    assert bench.signer.signed == 0


@pytest.mark.parametrize(
    ("name", "country", "error"),
    [
        ("Sam Sanctioned", "GB", RecipientPersonSanctioned),
        ("Wanda Watched", "GB", RecipientWalletSanctioned),
    ],
)
def test_a_person_who_fails_a_check_leaves_nothing_to_sign(bench, name, country, error):
    bench.record("rent", person(bench.client, name, country), direct=False)
    ended = finish(bench.desk(), bench.key("rent"))
    assert ended.standing.stage is Stage.FAILED
    assert ended.standing.code == error.code
    assert bench.signer.signed == 0


def test_checks_that_are_still_running_are_waited_for(bench):
    bench.record("rent", person(bench.client, "Percy Pending"), direct=False)
    ended = drive(bench.desk(), bench.key("rent"), deadline=0)
    assert ended.standing.code == ComplianceInProgress.code
    assert ended.standing.retry_at
    assert next_step(ended.standing) is Step.CREATE
    assert bench.signer.signed == 0


def test_a_wallet_without_a_registered_person_cannot_be_paid_a_regulated_transfer(bench):
    user = UserLocator("email", f"{Owner().address}@example.com")
    unknown = bench.client.create_wallet(
        NewWallet(admin_signer=EmailSigner(email=user.value), owner=user)
    )
    bench.record("nobody", direct=False)
    bench.record("unknown", unknown.address, direct=False)
    desk = bench.desk()
    ended = [finish(desk, bench.key(each)) for each in ("nobody", "unknown")]
    codes = [each.standing.code for each in ended]
    assert codes == [RecipientTypeUnsupported.code, RecipientDataMissing.code]
    assert bench.signer.signed == 0


def test_more_than_the_wallet_holds_cannot_be_started(bench):
    bench.record("rent", amount="100000")
    ended = finish(bench.desk(), bench.key("rent"))
    assert ended.standing.code == TransactionFailed.code
    assert bench.signer.signed == 0


def test_a_signature_by_another_key_is_rejected_and_a_second_one_is_not_needed(bench):
    client, wallet, who = bench.client, bench.wallet, bench.desk().locator
    request = NewTransaction(calls=(ContractCall(to=Owner().address),), chain="base-sepolia")
    made = client.create_transaction(wallet, request, idempotency_key=f"x-{bench.address}")
    message = bytes.fromhex(made.pending_for(who).message[2:])
    foreign = Approval(signer=str(who), signature="0x" + Owner().sign(message).hex())
    with pytest.raises(ApprovalRejected):
        client.approve_transaction(wallet, made.id, [foreign])
    bench.record("rent")
    ended = finish(bench.desk(), bench.key("rent"))
    late = Approval(
        signer=str(SignerLocator.external_wallet(Owner().address)), signature="0x" + "1b" * 65
    )
    with pytest.raises((ApprovalAlreadyComplete, ApprovalRejected)):
        client.approve_transaction(wallet, ended.standing.known["transaction"], [late])


def test_a_signer_is_added_by_approval_seen_and_removed(client, wallet, signer):
    second = Owner()
    added = client.add_signer(
        wallet, NewSigner(signer=ExternalWallet(address=second.address), chain="base-sepolia")
    )
    registration = added.chains["base-sepolia"]
    pending = registration.pending_for(SignerLocator.external_wallet(signer.address))
    signature = signer.owner.sign(bytes.fromhex(pending.message[2:]))
    client.approve_signature(
        wallet,
        registration.id,
        [Approval(signer=pending.locator, signature="0x" + signature.hex())],
    )
    deadline = time.monotonic() + 20
    while not client.get_signer(wallet, second.locator).chains["base-sepolia"].succeeded:
        assert time.monotonic() < deadline, "the signer was not added"
        time.sleep(0.05)
    removal = client.remove_signer(wallet, second.locator, chain="base-sepolia")
    assert removal.pending_for(SignerLocator.external_wallet(signer.address)).message


def test_a_wallet_signs_messages_and_typed_data(client, wallet, signer):
    typed = {
        "domain": {"name": "x", "version": "1", "chainId": 84532},
        "types": {"Note": [{"name": "text", "type": "string"}]},
        "primaryType": "Note",
        "message": {"text": "hello"},
    }
    for number, request in enumerate(
        (
            NewMessageSignature(message="hello", chain="base-sepolia"),
            NewTypedDataSignature(typed_data=typed, chain="base-sepolia"),
        )
    ):
        made = client.create_signature(
            wallet, request, idempotency_key=f"{number}-{signer.address}"
        )
        pending = made.pending_for(SignerLocator.external_wallet(signer.address))
        signature = signer.owner.sign(bytes.fromhex(pending.message[2:]))
        approval = Approval(signer=pending.locator, signature="0x" + signature.hex())
        assert client.approve_signature(wallet, made.id, [approval]).output_signature
    assert len(client.list_signatures(wallet)) == 2


def test_what_is_not_there_and_what_is_not_allowed_are_told_apart(client, wallet, standin):
    with pytest.raises(CrossmintNotFound):
        client.get_transaction(wallet, "no-such-transaction")
    with pytest.raises(CrossmintNotFound):
        client.get_wallet("evm:smart:alias:no-such-wallet")
    reader = standin.config.api_keys[1].key.get_secret_value()
    with (
        CrossmintClient(reader, base_url=standin.config.url) as weak,
        pytest.raises(CrossmintAuth) as caught,
    ):
        weak.list_transactions(wallet)
    assert "wallets:transactions.read" in (caught.value.hint or "") + caught.value.message
    assert reader not in str(caught.value)
