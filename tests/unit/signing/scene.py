"""A treasury in memory: a generated key behind the KMS seam, a policy's text, a clock, a ledger."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import coincurve

from bursar.chains import evm
from bursar.chains.evm import KmsSignRequest, Scheme
from bursar.errors import BursarError, KmsError
from bursar.kms.wire import KmsPublicKey, KmsSignature
from bursar.ledger.book import Book, Pace
from bursar.ledger.receipts import canonical, read_receipt
from bursar.ledger.store import HEAD
from bursar.policy.rulebook import Rulebook
from bursar.review.intent import Intent
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.token import transfer_data
from bursar.sandbox.chain.userop import UserOperation
from bursar.signer import KmsSigner
from bursar.signing.treasury import Treasury
from bursar.signing_contract import ApprovalRequest, Caller, DigestRequest, TransactionRequest
from tests.fakes.memory_store import MemoryStore
from tests.unit.review import scene

KEY = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
ACCOUNT = "arn:aws:iam::111122223333"
PAYROLL, GRACE, ADA = f"{ACCOUNT}:role/payroll", f"{ACCOUNT}:user/grace", f"{ACCOUNT}:user/ada"
SESSION = "arn:aws:sts::111122223333:assumed-role/payroll/i-1"
CALLER = Caller(SESSION, "api", "request-1", "10.0.0.1")
BY_GRACE, BY_ADA = Caller(GRACE, "api"), Caller(ADA, "api")

POLICY = f"""
version = 7
wallet_factories = ["{scene.FACTORY}"]
[chains.base-sepolia]
fee_at_most = "0.002"
[tokens.usdc]
locators = ["base-sepolia:{scene.USDC}"]
decimals = 6
per_transfer = "10.00"
[recipients.allow]
acme = "{scene.RECIPIENT}"
[callers]
allow = ["{PAYROLL}", "{GRACE}"]
[[limits]]
per = "day"
token = "usdc"
amount = "1.00"
"""
# 0.20 usdc a payment: five of them are a day's limit.
DAILY = 5
APPROVED = f"""
[[approvals]]
approvers = 1
by = ["{GRACE}", "{ADA}", "{PAYROLL}"]
within = "8h"
"""


@dataclass
class Kms:
    """A key in memory that counts what it is asked. `failures` are raised first, one a call of Sign."""

    key: coincurve.PrivateKey = field(default_factory=coincurve.PrivateKey)
    calls: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    before_signing: Callable[[], None] = lambda: None

    @property
    def address(self) -> str:
        return evm.PublicKey(self.key.public_key.format(compressed=False)[1:]).address

    @property
    def signatures(self) -> int:
        return self.calls.count("Sign")

    def get_public_key(self, key_id: str) -> KmsPublicKey:
        self.calls.append("GetPublicKey")
        head = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
        spki = head + self.key.public_key.format(compressed=False)
        return KmsPublicKey(key_id, spki, "ECC_SECG_P256K1", "SIGN_VERIFY")

    def sign(self, key_arn: str, request: KmsSignRequest) -> KmsSignature:
        self.calls.append("Sign")
        self.before_signing()
        if self.failures:
            raise self.failures.pop(0)
        der = self.key.sign(request.message, hasher=None)
        return KmsSignature(key_arn, der, f"kms-{self.signatures}")


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def step(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Ticks:
    """A clock for waits that takes no time: sleeping moves it."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Desk:
    """One treasury over a store that outlives it: `again` is another process over the same store.

    `hurried` waits for its turn in no time; leave it out where threads really have to wait for each other.
    """

    kms: Kms = field(default_factory=Kms)
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: Clock = field(default_factory=Clock)
    policy: str = POLICY
    blind_signing: bool = False
    hurried: bool = True
    key: str = KEY

    @property
    def treasury(self) -> Treasury:
        ticks = Ticks()
        pace = Pace(deadline=20.0, first_wait=0.001, now=self.clock)
        if self.hurried:
            pace = replace(pace, monotonic=ticks.monotonic, sleep=ticks.sleep)
        return Treasury(
            Rulebook.read(self.policy),
            Book(self.store, self.key, pace),
            lambda: KmsSigner.open(self.kms, self.key),
            blind_signing=self.blind_signing,
        )

    def again(self, policy: str) -> Desk:
        return replace(self, policy=policy)

    def blind(self, message: bytes = bytes(range(32)), **changes: Any) -> DigestRequest:
        return replace(DigestRequest(message, self.kms.address), **changes)

    @property
    def locator(self) -> str:
        return f"external-wallet:{self.kms.address}"

    def request(
        self, transaction: dict[str, Any] | None = None, **changes: Any
    ) -> TransactionRequest:
        found = self.waiting() if transaction is None else transaction
        made = TransactionRequest(found, scene.INTENT, scene.WALLET, self.locator)
        return replace(made, **changes)

    def approval(self, transaction: Mapping[str, Any], **changes: Any) -> ApprovalRequest:
        digest = evm.digest_of(hash_of(transaction), Scheme.EIP191)
        made = ApprovalRequest(digest, self.locator, transaction, scene.WALLET)
        return replace(made, **changes)

    def waiting(
        self, operation: UserOperation | None = None, *, name: str = "tx-1", **chain: Any
    ) -> dict[str, Any]:
        """Return a transaction that waits for this key; without `operation` the honest payment."""
        found = scene.asked(operation or scene.OPERATION, **chain)
        who = {"type": "external-wallet", "locator": self.locator}
        found["approvals"]["pending"][0]["signer"] = who
        return found | {"id": name}

    def payments(self, number: int) -> list[TransactionRequest]:
        """Return that many different payments of 0.20 usdc."""
        return [
            self.request(self.waiting(numbered(at), name=f"tx-{at}")) for at in range(1, number + 1)
        ]

    @property
    def receipts(self) -> list[tuple[str, dict[str, Any]]]:
        book = Book(self.store, self.key)
        found = [read_receipt(text)[0] for text in book.receipts()]
        return [(each.event, dict(each.body)) for each in found]

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.receipts]

    @property
    def outcomes(self) -> list[str]:
        """What the decisions said, in order."""
        return [body["outcome"] for event, body in self.receipts if event == "decision"]

    @property
    def spent(self) -> list[dict[str, Any]]:
        """What the windows hold, oldest first; entries that were given back left out."""
        entries = self.store.between(self.key, "spend#", "spend#~")
        return [found for _, text in entries if (found := json.loads(text))]

    def damage(self, kind: str, text: str) -> None:
        """Put a text over every entry whose name begins so."""
        entries = self.store.books[self.key]
        names = [name for name in entries if name.startswith(kind)]
        assert names, kind
        self.forget_recent()
        entries.update(dict.fromkeys(names, text))

    def forget_recent(self) -> None:
        """Leave only the entries themselves to be read: nothing of the last pages in the head."""
        entries = self.store.books[self.key]
        with suppress(ValueError, TypeError):
            entries[HEAD] = canonical(json.loads(entries[HEAD]) | {"recent": []})


def numbered(sequence: int) -> UserOperation:
    return replace(scene.OPERATION, nonce=scene.OPERATION.nonce + sequence)


def paying(recipient: str, units: int = scene.UNITS, sequence: int = 0) -> UserOperation:
    call = kernel.Call(scene.USDC, 0, transfer_data(recipient, units))
    return replace(numbered(sequence), call_data=kernel.execute([call]))


def intent(**changes: Any) -> Intent:
    return replace(scene.INTENT, **changes)


def hash_of(transaction: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(transaction["onChain"]["userOperationHash"][2:])


def unanswered(error: KmsError, times: int = 1) -> KmsError:
    error.unanswered = times
    return error


def doing(*calls: kernel.Call, sequence: int = 0) -> UserOperation:
    return replace(numbered(sequence), call_data=kernel.execute(list(calls)))


def dearer(operation: UserOperation, times: int) -> UserOperation:
    """Return an operation of the same nonce, whose gas was estimated again at so many times the price."""
    gas = replace(operation.gas, max_fee=operation.gas.max_fee * times)
    return replace(operation, gas=gas)


def together(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do all of it at once, each in a thread, and return what each returned or raised."""
    start = threading.Barrier(len(tasks))

    def done(task: Callable[[], Any]) -> Any:
        start.wait(30)
        try:
            return task()
        except BursarError as error:
            return error

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(done, tasks))
