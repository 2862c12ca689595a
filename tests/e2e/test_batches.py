"""A batch from its payments to the chain: made by the client, reviewed, signed by a policy, approved, landed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.limits import Limits
from bursar.crossmint.locators import SignerLocator, WalletLocator
from bursar.crossmint.models import Transaction
from bursar.crossmint.requests import Approval, NewTransaction
from bursar.errors import (
    BursarError,
    CrossmintConflict,
    IntentMismatch,
    PolicyViolation,
    TransactionFailed,
    Unverifiable,
)
from bursar.policy.rulebook import Rulebook
from bursar.review.intent import MOST_PAYMENTS
from bursar.review.report import Review
from bursar.sandbox.chain.deploy import first_account
from bursar.sandbox.crossmint.alterations import OTHER_TOKEN, THIEF
from bursar.signing_contract import Answer, TransactionRequest
from bursar.transfers.batch import BatchPayment, BatchTransfer, new_transaction, require_batch
from bursar.transfers.reading import Reading
from tests.e2e.standin import World
from tests.fakes.owner import Owner
from tests.unit.signing.scene import CALLER, PAYROLL, Desk

ETHER = 10**18
POLICY = """
version = 1
calls_at_most = 100
wallet_factories = ["{factory}"]
[chains.base-sepolia]
fee_at_most = "0.5"
[tokens.usdc]
locators = ["base-sepolia:usdc", "base-sepolia:{usdc}"]
decimals = 6
per_transfer = "10.00"
[tokens.eth]
locators = ["base-sepolia:eth"]
decimals = 18
per_transfer = "0.01"
[recipients.allow]
{recipients}
[callers]
allow = ["{caller}"]
[[limits]]
per = "day"
token = "usdc"
amount = "50.00"
"""


@dataclass
class Office:
    """A treasury on the stand-in, whose key goes by a policy, and the people it may pay."""

    standin: World
    client: CrossmintClient
    desk: Desk
    people: list[str]
    wallet: WalletLocator
    address: str

    @property
    def signer(self) -> SignerLocator:
        return SignerLocator.external_wallet(self.desk.kms.address)

    @property
    def reading(self) -> Reading:
        return Reading.of(Rulebook.read(self.desk.policy).policy)

    def payment(self, whom: int, amount: str = "1.00", token: str = "usdc") -> BatchPayment:
        locator = f"base-sepolia:{token}"
        return BatchPayment.parse(token=locator, recipient=self.people[whom], amount=amount)

    def batch(self, *payments: BatchPayment, name: str = "payroll-1") -> BatchTransfer:
        return BatchTransfer(f"{name}-{self.address[2:12]}", self.wallet, payments)

    def request(self, batch: BatchTransfer) -> NewTransaction:
        return new_transaction(self.reading.batch(batch), self.signer)

    def create(self, batch: BatchTransfer, calls: BatchTransfer | None = None) -> Transaction:
        """Have a batch made; `calls` are those of another one, as a careless or hostile Crossmint makes them."""
        body = self.request(calls or batch)
        return self.client.create_transaction(self.wallet, body, idempotency_key=batch.id)

    def review(self, made: Transaction, batch: BatchTransfer) -> Review:
        return self.reading.review(made, batch, str(self.signer), self.address)

    def sign(self, made: Transaction, batch: BatchTransfer) -> Answer:
        """Have the treasury asked by a caller who looks at nothing."""
        intent = self.reading.batch(batch)
        request = TransactionRequest(made.raw, intent, self.address, str(self.signer), id=batch.id)
        return self.desk.treasury.sign(request, CALLER)

    def settle(self, made: Transaction, answer: Answer) -> Transaction:
        signature = answer.signed.signature.to_hex()
        approval = Approval(signer=str(self.signer), signature=signature)
        self.client.approve_transaction(self.wallet, made.id, [approval])
        self.standin.client.settled(self.address, made.id)
        return self.client.get_transaction(self.wallet, made.id)

    def held(self, whom: int) -> tuple[int, int]:
        """Return what somebody holds of the token and of the chain's coin."""
        who = self.people[whom]
        return self.standin.token.balance_of(who), self.standin.chain.rpc.balance(who)


@pytest.fixture
def office(standin: World) -> Iterator[Office]:
    people = [Owner().address for _ in range(MOST_PAYMENTS)]
    policy = POLICY.format(
        factory=standin.contracts.kernel_factory,
        usdc=standin.contracts.usdc,
        caller=PAYROLL,
        recipients="\n".join(f'p{n} = "{each}"' for n, each in enumerate(people)),
    )
    desk = Desk(policy=policy)
    alias = f"batches-{desk.kms.address[2:12]}"
    signer = {"type": "external-wallet", "address": desk.kms.address}
    body = {"chainType": "evm", "config": {"adminSigner": signer}, "owner": "COMPANY"}
    made = standin.client.call(201, "POST", "wallets", {**body, "alias": alias})
    standin.token.mint(made["address"], 100_000_000)
    rpc = standin.chain.rpc
    rpc.send(made["address"], b"", sender=first_account(rpc), value=ETHER)
    key = standin.config.api_keys[0].key.get_secret_value()
    with CrossmintClient(key, base_url=standin.config.url, limits=Limits(timeout=20)) as client:
        wallet = WalletLocator.treasury(alias)
        yield Office(standin, client, desk, people, wallet, made["address"])


def test_a_batch_is_reviewed_signed_by_a_policy_once_and_lands_whole(office: Office) -> None:
    two = office.payment(1, "2.50")
    batch = office.batch(office.payment(0, "0.000001"), two, office.payment(2, "0.005", "eth"), two)
    made = office.create(batch)
    require_batch(made, office.reading.batch(batch), office.address)
    found = office.review(made, batch)
    assert found.sentence.startswith("pay 5.000001 usdc (token ")
    assert " and 0.005 eth (the chain's own coin) to 3 recipients in 4 calls" in found.sentence
    assert found.deployment is not None
    answer = office.sign(made, batch)
    assert answer.policy["sentence"] == found.sentence
    settled = office.settle(made, answer)
    assert (settled.succeeded, office.desk.kms.signatures) == (True, 1)
    assert [office.held(each) for each in range(3)] == [
        (1, 0),
        (5_000_000, 0),
        (0, ETHER // 200),
    ]
    assert office.standin.token.balance_of(office.address) == 100_000_000 - 5_000_001
    assert office.standin.chain.rpc.balance(office.address) == ETHER - ETHER // 200
    [spent] = office.desk.spent
    assert (spent["usdc|*"], spent["eth|*"]) == (["5000001", 3], [str(ETHER // 200), 1])


def test_the_largest_batch_lands(office: Office) -> None:
    batch = office.batch(*(office.payment(each, "0.50") for each in range(MOST_PAYMENTS)))
    made = office.create(batch)
    found = office.review(made, batch)
    assert f"pay {MOST_PAYMENTS // 2} usdc" in found.sentence
    assert f"to {MOST_PAYMENTS} recipients in {MOST_PAYMENTS} calls" in found.sentence
    assert office.settle(made, office.sign(made, batch)).succeeded
    assert {office.held(each) for each in range(MOST_PAYMENTS)} == {(500_000, 0)}


def test_a_batch_that_is_asked_for_again_is_the_same_and_is_signed_once(office: Office) -> None:
    batch = office.batch(office.payment(0), office.payment(1))
    made, again = office.create(batch), office.create(batch)
    assert again.id == made.id
    first = office.sign(made, batch)
    assert office.sign(again, batch).signed.signature == first.signed.signature
    assert office.settle(made, first).succeeded
    assert office.create(batch).succeeded
    assert (office.desk.kms.signatures, office.held(0), office.held(1)) == (
        1,
        (1_000_000, 0),
        (1_000_000, 0),
    )
    with pytest.raises(CrossmintConflict):
        office.create(batch, office.batch(office.payment(0), office.payment(2)))


REFUSED: dict[str, tuple[type[BursarError], str]] = {
    "recipient": (IntentMismatch, f"in call 3 its recipient is {THIEF}"),
    "amount": (IntentMismatch, "in call 3 its amount is 1000001 base units"),
    "token": (IntentMismatch, f"in call 3 its token is {OTHER_TOKEN}"),
    "approve": (IntentMismatch, f"in call 3 it does not pay; it would let {THIEF} take"),
    "extra_call": (IntentMismatch, "makes 4 calls where 3 payments were asked for: after them it"),
    "chain": (IntentMismatch, "its chain is base"),
    "delegatecall": (Unverifiable, "would run as the wallet itself"),
    "other_wallet": (IntentMismatch, "the transaction is of wallet"),
    "hash": (Unverifiable, "as stated"),
    "message": (Unverifiable, "the message to sign is"),
}


@pytest.mark.parametrize("operation", ["transactions.create", "transactions.get"])
@pytest.mark.parametrize("how", REFUSED)
def test_an_altered_batch_is_refused_before_kms_is_asked(
    office: Office, operation: str, how: str
) -> None:
    batch = office.batch(*(office.payment(each) for each in range(3)))
    if operation == "transactions.create":
        office.standin.alter(operation, how)
        made = office.create(batch)
    else:
        honest = office.create(batch)
        office.standin.alter(operation, how)
        made = office.client.get_transaction(office.wallet, honest.id)
    error, why = REFUSED[how]
    for ask in (office.review, office.sign):
        with pytest.raises(error, match=why):
            ask(made, batch)
    assert (office.desk.kms.calls, office.desk.spent) == ([], [])


def test_the_chains_coin_in_a_batch_is_altered_like_a_token(office: Office) -> None:
    batch = office.batch(office.payment(0), office.payment(1, "0.005", "eth"))
    for how, why in (
        ("recipient", f"recipient is {THIEF}"),
        ("amount", "amount is 5000000000000001"),
    ):
        honest = office.create(batch)
        office.standin.alter("transactions.get", how)
        made = office.client.get_transaction(office.wallet, honest.id)
        with pytest.raises(IntentMismatch, match=f"in call 2 its {why}"):
            office.sign(made, batch)
    assert office.desk.kms.calls == []


def test_a_call_twice_calls_in_another_order_and_one_left_out_are_refused(office: Office) -> None:
    a, b, c = (office.payment(each, f"{each + 1}.00") for each in range(3))
    batch = office.batch(a, b, c)
    intent = office.reading.batch(batch)
    for number, other in enumerate(((a, b, c, c), (a, b, b, c), (b, a, c), (a, b), (b, c))):
        name = f"other-{number}"
        made = office.create(office.batch(a, b, c, name=name), office.batch(*other, name=name))
        with pytest.raises(IntentMismatch, match=r"number of calls|in call"):
            require_batch(made, intent, office.address)
        for ask in (office.review, office.sign):
            with pytest.raises(IntentMismatch, match=r"makes [24] calls|in call"):
                ask(made, batch)
    assert office.desk.kms.calls == []
    assert office.standin.token.balance_of(office.people[2]) == 0


def test_a_batch_over_a_limit_or_with_a_stranger_is_refused_by_the_policy(office: Office) -> None:
    over = office.batch(*(office.payment(each, "10.00") for each in range(6)), name="over")
    with pytest.raises(PolicyViolation, match="60 usdc with this one"):
        office.sign(office.create(over), over)
    stranger = replace(office, people=[*office.people[:2], THIEF])
    strange = stranger.batch(*(stranger.payment(each) for each in range(3)), name="strange")
    with pytest.raises(PolicyViolation, match=THIEF):
        office.sign(office.create(strange), strange)
    assert office.desk.kms.signatures == 0


def test_a_batch_that_the_wallet_cannot_pay_is_not_made(office: Office) -> None:
    batch = office.batch(office.payment(0), office.payment(1, "1000.00"))
    with pytest.raises(TransactionFailed):
        office.create(batch)
