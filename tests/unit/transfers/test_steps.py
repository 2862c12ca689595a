from __future__ import annotations

import json
from typing import Any

import coincurve
import httpx2
import pytest

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.locators import SignerLocator, WalletLocator
from bursar.crossmint.models import Transaction
from bursar.crossmint.requests import Approval
from bursar.errors import (
    MalformedSignature,
    SettlementTimeout,
    TransactionFailed,
    WrongKey,
)
from bursar.review.intent import Token
from bursar.review.report import Review
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.token import transfer_data
from bursar.signer import SignedHash
from bursar.transfers.reading import Reading
from bursar.transfers.steps import (
    Patience,
    approve,
    proved_approval,
    settle,
)
from tests.unit.review import scene

RECIPIENT = scene.RECIPIENT
PAYMENT = scene.doing(kernel.Call(scene.USDC, 0, transfer_data(RECIPIENT, 25_000_000)))
ON_CHAIN = PAYMENT["onChain"]
HASH = ON_CHAIN["userOperationHash"]
SENDER = scene.WALLET
READING = Reading({"base-sepolia:usdc": Token(scene.USDC, "USDC", 6)}, scene.TERMS)
WALLET = WalletLocator.treasury("treasury")


class LocalSigner:
    """Signs with a generated key and remembers what it was asked."""

    def __init__(self) -> None:
        self._key = coincurve.PrivateKey()
        self.public_key = evm.PublicKey(self._key.public_key.format(compressed=False)[1:])
        self.asked: list[tuple[bytes, Scheme]] = []

    @property
    def address(self) -> str:
        return self.public_key.address

    def sign_hash(self, message_hash: bytes, scheme: Scheme) -> SignedHash:
        self.asked.append((message_hash, scheme))
        digest = evm.digest_of(message_hash, scheme)
        signature = evm.signature_from_kms(
            self._key.sign(digest, hasher=None), digest, self.public_key
        )
        return SignedHash(signature, digest, self.address, "request-1")


class Crossmint:
    """A transfer's life at Crossmint, behind the client's transport seam."""

    def __init__(self, signer: str) -> None:
        self.signer = signer
        self.statuses = ["pending", "success"]
        self.amount = "25"
        self.submitted: list[dict[str, Any]] = []
        self.created: dict[str, str] = {}
        self.before: list[httpx2.Response] = []
        self.calls: list[str] = []
        self.reviews: list[Review] = []

    def client(self) -> CrossmintClient:
        return CrossmintClient("sk_staging_" + "1" * 40, transport=httpx2.MockTransport(self))

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        verb = request.url.path.rpartition("/")[2]
        self.calls.append(f"{request.method} {verb}")
        if verb.endswith("treasury"):
            signer = {
                "type": "external-wallet",
                "locator": self.signer,
                "address": self.signer[16:],
            }
            wallet = {"type": "smart", "chainType": "evm", "address": SENDER}
            return httpx2.Response(200, json={**wallet, "config": {"adminSigner": signer}})
        if self.before:
            return self.before.pop(0)
        if verb == "transfers":
            self.created[request.headers["x-idempotency-key"]] = "tx-1"
            return httpx2.Response(201, json=self.body())
        if verb == "approvals":
            if self.submitted:
                return httpx2.Response(409, json={"error": True, "message": "already submitted"})
            self.submitted = json.loads(request.content)["approvals"]
            return httpx2.Response(201, json=self.body())
        return httpx2.Response(200, json=self.body(advance=True))

    def body(self, *, advance: bool = False) -> dict[str, Any]:
        status = "awaiting-approval"
        if self.submitted:
            status = self.statuses[0]
            if advance and len(self.statuses) > 1:
                self.statuses.pop(0)
        who = {"type": "external-wallet", "locator": self.signer}
        body: dict[str, Any] = {
            "id": "tx-1",
            "status": status,
            "chainType": "evm",
            "walletType": "smart",
            "params": {"chain": "base-sepolia"},
            "onChain": {**ON_CHAIN, "txId": "0x01"},
            "approvals": {
                "pending": [] if self.submitted else [{"signer": who, "message": HASH}],
                "submitted": [{"signer": who, "message": HASH, **a} for a in self.submitted],
            },
            "sendParams": {
                "token": "base-sepolia:usdc",
                "params": {
                    "amount": self.amount,
                    "recipient": RECIPIENT,
                    "recipientAddress": RECIPIENT,
                },
            },
        }
        for approval in body["approvals"]["submitted"]:
            approval["signer"] = who
        if status == "failed":
            body["error"] = {"reason": "execution_reverted", "message": "no balance"}
        return body


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def patience(self, deadline: float = 60.0) -> Patience:
        return Patience(deadline=deadline, now=lambda: self.time, sleep=self.sleep)


@pytest.fixture
def signer() -> LocalSigner:
    return LocalSigner()


@pytest.fixture
def crossmint(signer: LocalSigner) -> Crossmint:
    return Crossmint(f"external-wallet:{signer.address}")


def test_an_approval_handed_in_before_is_read_not_repeated(crossmint):
    crossmint.submitted = [{"signature": "0x" + "11" * 65}]
    approval = Approval(signer=crossmint.signer, signature="0x" + "22" * 65)
    with crossmint.client() as client:
        assert approve(client, WALLET, "tx-1", approval).id == "tx-1"
    assert crossmint.calls == ["POST approvals", "GET tx-1"]


def test_a_failed_transaction_is_raised_with_its_reason(crossmint):
    crossmint.submitted, crossmint.statuses = [{"signature": "0x"}], ["failed"]
    with (
        crossmint.client() as client,
        pytest.raises(TransactionFailed, match="no balance") as caught,
    ):
        settle(client, WALLET, "tx-1", Clock().patience())
    assert caught.value.reason == "execution_reverted"


@pytest.mark.parametrize("status", ["pending", "awaiting-approval", "successful", "settled"])
def test_only_the_word_success_ends_the_wait(crossmint, status):
    crossmint.submitted, crossmint.statuses = [{"signature": "0x"}], [status]
    seen: list[str] = []
    with crossmint.client() as client, pytest.raises(SettlementTimeout, match=status):
        settle(client, WALLET, "tx-1", Clock().patience(), seen.append)
    assert set(seen) == {status}


def test_a_signature_made_elsewhere_is_handed_in_only_when_it_is_proved(signer, crossmint):
    who = SignerLocator.external_wallet(signer.address)
    found = Transaction.read(crossmint.body())
    message = bytes.fromhex(HASH[2:])
    good = signer.sign_hash(message, Scheme.EIP191).signature.to_hex()
    assert proved_approval(found, who, good, Scheme.EIP191).signature == good
    raw = signer.sign_hash(message, Scheme.RAW).signature.to_hex()
    foreign = LocalSigner().sign_hash(message, Scheme.EIP191).signature.to_hex()
    for wrong in (raw, foreign):
        with pytest.raises(WrongKey):
            proved_approval(found, who, wrong, Scheme.EIP191)
    for malformed in ("", "0x", "0xzz", good[:-2], good + "00"):
        with pytest.raises(MalformedSignature):
            proved_approval(found, who, malformed, Scheme.EIP191)
