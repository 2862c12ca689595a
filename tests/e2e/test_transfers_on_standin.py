"""The client and the transfer's steps against the stand-in, with its faults, on a chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import date

import pytest

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.limits import Limits
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
    CrossmintConflict,
    CrossmintNotFound,
    CrossmintOutcomeUnknown,
    RecipientDataMissing,
    RecipientPersonSanctioned,
    RecipientTypeUnsupported,
    RecipientWalletSanctioned,
    TransactionFailed,
    Unverifiable,
)
from bursar.review.intent import Token
from bursar.signer import SignedHash
from bursar.signing_contract import BareSigner
from bursar.transfers.intent import TransferIntent, TransferType
from bursar.transfers.reading import Reading
from bursar.transfers.steps import Patience, Treasurer
from tests.e2e.standin import World
from tests.fakes.owner import Owner

QUICK = Patience(deadline=20, first_wait=0.05, longest_wait=0.2)
USDC = "base-sepolia:usdc"


class OwnerSigner:
    """An `Owner` behind the signer seam; counts what it signs."""

    def __init__(self) -> None:
        self.owner = Owner()
        self.signed = 0

    @property
    def address(self) -> str:
        return self.owner.address

    def sign_hash(self, message_hash: bytes, scheme: Scheme) -> SignedHash:
        self.signed += 1
        digest = evm.digest_of(message_hash, scheme)
        signature = self.owner.sign(digest, raw=True)
        return SignedHash(
            evm.parse_signature(signature, digest, self.address), digest, self.address, "local"
        )


@pytest.fixture
def signer() -> OwnerSigner:
    return OwnerSigner()


@pytest.fixture
def client(standin: World) -> Iterator[CrossmintClient]:
    key = standin.config.api_keys[0].key.get_secret_value()
    with CrossmintClient(key, base_url=standin.config.url, limits=Limits(timeout=2)) as opened:
        yield opened


@pytest.fixture
def wallet(client: CrossmintClient, standin: World, signer: OwnerSigner) -> WalletLocator:
    """A treasury of this test's own that holds 100 USDC."""
    alias = f"treasury-{signer.address[2:12]}"
    request = NewWallet(admin_signer=ExternalWallet(address=signer.address), alias=alias)
    made = client.create_wallet(request)
    standin.token.mint(made.address, 100_000_000)
    return WalletLocator.treasury(alias)


@pytest.fixture
def treasurer(standin: World) -> Callable[..., Treasurer]:
    """Make a treasurer who knows this chain's USDC and wallet factory."""
    usdc = Token(standin.contracts.usdc, "USDC", 6)
    reading = Reading.of(None, {USDC: usdc}, frozenset({standin.contracts.kernel_factory}))

    def make(
        client: CrossmintClient,
        signer: OwnerSigner,
        patience: Patience,
        scheme: Scheme = Scheme.EIP191,
    ) -> Treasurer:
        return Treasurer(client, BareSigner(signer), scheme, patience, reading)

    return make


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


def intent(
    wallet: WalletLocator, recipient: str, amount: str = "2.5", **more: str
) -> TransferIntent:
    transfer_id = more.get("transfer_id", f"t-{Owner().address}")
    return TransferIntent.parse(
        transfer_id, wallet=str(wallet), token=USDC, recipient=recipient, amount=amount
    )


def direct(wallet: WalletLocator, recipient: str, amount: str = "2.5") -> TransferIntent:
    made = intent(wallet, recipient, amount)
    return TransferIntent(
        made.id, made.wallet, made.token, made.recipient, made.amount, TransferType.DIRECT
    )


def test_a_regulated_transfer_pays_exactly_once(client, wallet, signer, standin, treasurer):
    ada = person(client, "Ada Lovelace")
    paying, asked = treasurer(client, signer, QUICK), intent(wallet, ada)
    payment = paying.send(asked)
    again = paying.send(asked)
    assert payment.transaction.id == again.transaction.id
    assert standin.token.balance_of(ada) == 2_500_000
    assert signer.signed == 1
    history = client.iter_transfers(
        wallet, HistoryQuery(chain="base-sepolia", tokens=("usdc",), limit=1)
    )
    assert [past.succeeded for past in history if past.type == "wallets.transfer.out"] == [True]


@pytest.mark.parametrize("scheme", list(Scheme))
def test_the_chain_accepts_both_schemes(client, wallet, signer, standin, scheme, treasurer):
    recipient = Owner().address
    treasurer(client, signer, QUICK, scheme).send(direct(wallet, recipient))
    assert standin.token.balance_of(recipient) == 2_500_000


@pytest.mark.parametrize("kind", ["error_before", "error_after", "drop_before", "drop_after"])
def test_a_create_whose_answer_is_lost_is_unknown_and_the_same_id_never_pays_twice(
    client, wallet, signer, standin, kind, treasurer
):
    recipient = Owner().address
    paying, asked = treasurer(client, signer, QUICK), direct(wallet, recipient)
    standin.fault("transfers.create", kind)
    with pytest.raises(CrossmintOutcomeUnknown):
        paying.send(asked)
    assert signer.signed == 0
    paying.send(asked)
    assert standin.token.balance_of(recipient) == 2_500_000
    assert len(client.list_transactions(wallet)) == 1


@pytest.mark.parametrize("kind", ["error_before", "error_after", "drop_before", "drop_after"])
def test_an_approval_whose_answer_is_lost_pays_once_when_repeated(
    client, wallet, signer, standin, kind, treasurer
):
    recipient = Owner().address
    paying, asked = treasurer(client, signer, QUICK), direct(wallet, recipient)
    standin.fault("transactions.approve", kind)
    with pytest.raises(CrossmintOutcomeUnknown):
        paying.send(asked)
    assert paying.send(asked).transaction.succeeded
    assert standin.token.balance_of(recipient) == 2_500_000


def test_reads_that_break_are_repeated_unseen(client, wallet, signer, standin, treasurer):
    recipient = Owner().address
    standin.fault("transactions.get", "drop_before", count=2)
    treasurer(client, signer, QUICK).send(direct(wallet, recipient))
    assert standin.token.balance_of(recipient) == 2_500_000


def test_a_message_that_is_not_the_user_operations_hash_is_not_signed(
    client, wallet, signer, standin, treasurer
):
    standin.fault("transfers.create", "tamper", tamper="message")
    with pytest.raises(Unverifiable):
        treasurer(client, signer, QUICK).send(direct(wallet, Owner().address))
    assert signer.signed == 0


def test_the_same_id_for_another_payment_is_a_conflict(client, wallet, signer, treasurer):
    paying, asked = treasurer(client, signer, QUICK), direct(wallet, Owner().address)
    paying.send(asked)
    other = TransferIntent(
        asked.id, asked.wallet, asked.token, asked.recipient, "3", TransferType.DIRECT
    )
    with pytest.raises(CrossmintConflict):
        paying.send(other)
    assert signer.signed == 1


@pytest.mark.parametrize(
    ("name", "country", "error"),
    [
        ("Sam Sanctioned", "GB", RecipientPersonSanctioned),
        ("Wanda Watched", "GB", RecipientWalletSanctioned),
        ("Percy Pending", "GB", ComplianceInProgress),
    ],
)
def test_a_person_who_fails_a_check_leaves_nothing_to_sign(
    client, wallet, signer, name, country, error, treasurer
):
    impatient = Patience(deadline=0)
    with pytest.raises(error):
        treasurer(client, signer, impatient).send(intent(wallet, person(client, name, country)))
    assert signer.signed == 0


def test_a_wallet_without_a_registered_person_cannot_be_paid_a_regulated_transfer(
    client, wallet, signer, treasurer
):
    paying = treasurer(client, signer, QUICK)
    with pytest.raises(RecipientTypeUnsupported):
        paying.send(intent(wallet, Owner().address))
    user = UserLocator("email", f"{Owner().address}@example.com")
    unknown = client.create_wallet(
        NewWallet(admin_signer=EmailSigner(email=user.value), owner=user)
    )
    with pytest.raises(RecipientDataMissing):
        paying.send(intent(wallet, unknown.address))
    assert signer.signed == 0


def test_more_than_the_wallet_holds_cannot_be_started(client, wallet, signer, treasurer):
    with pytest.raises(TransactionFailed):
        treasurer(client, signer, QUICK).send(direct(wallet, Owner().address, "100000"))
    assert signer.signed == 0


def test_a_signature_by_another_key_is_rejected_and_a_second_one_is_not_needed(
    client, wallet, signer, treasurer
):
    paying, asked = treasurer(client, signer, QUICK), direct(wallet, Owner().address)
    request = NewTransaction(calls=(ContractCall(to=Owner().address),), chain="base-sepolia")
    made = client.create_transaction(wallet, request, idempotency_key=f"x-{asked.id}")
    message = bytes.fromhex(made.pending_for(paying.locator).message[2:])
    foreign = Approval(signer=str(paying.locator), signature="0x" + Owner().sign(message).hex())
    with pytest.raises(ApprovalRejected):
        client.approve_transaction(wallet, made.id, [foreign])
    payment = paying.send(asked)
    late = Approval(
        signer=str(SignerLocator.external_wallet(Owner().address)), signature="0x" + "1b" * 65
    )
    with pytest.raises((ApprovalAlreadyComplete, ApprovalRejected)):
        client.approve_transaction(wallet, payment.transaction.id, [late])


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
