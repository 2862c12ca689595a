"""Whatever is asked, in whatever order, whatever fails: four things are always true."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import (
    BursarError,
    KmsProtocolError,
    KmsThrottled,
    KmsTimeout,
)
from bursar.ledger.receipts import GENESIS, read_receipt
from bursar.signing_contract import Answer, Caller
from tests.fakes.memory_store import Fault
from tests.unit.review import scene
from tests.unit.signing.scene import (
    APPROVED,
    BY_ADA,
    BY_GRACE,
    CALLER,
    POLICY,
    Desk,
    dearer,
    hash_of,
    numbered,
    unanswered,
)

LIMIT = 3 * scene.UNITS
POLICIES = [
    POLICY.replace('amount = "1.00"', 'amount = "0.60"'),
    POLICY.replace('amount = "1.00"', 'amount = "0.60"') + APPROVED,
]


class Killed(BaseException):
    """The process ends while it waits for KMS."""


FAULTS: dict[str, Callable[[], BaseException | None]] = {
    "none": lambda: None,
    "throttled": lambda: KmsThrottled("busy"),
    "unanswered": lambda: unanswered(KmsTimeout("late")),
    "garbled": lambda: KmsProtocolError("not KMS's"),
    "killed": Killed,
}


@dataclass(frozen=True)
class Left:
    """A signature that left, or that a record says was made: over what, of which nonce, at what time."""

    operation: str
    digest: str
    signature: str
    nonce: int
    name: str
    own: str | None
    at: datetime


class Interleavings(RuleBasedStateMachine):
    """Few operations, names and people, so that they meet often."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(policy=POLICIES[0])
        self.left: list[Left] = []

    @rule(
        sequence=st.integers(0, 3),
        times=st.integers(1, 2),
        name=st.integers(0, 5),
        own=st.sampled_from([None, "a", "b"]),
        caller=st.sampled_from([CALLER, CALLER, BY_GRACE, BY_ADA]),
        scheme=st.sampled_from([Scheme.EIP191, Scheme.EIP191, Scheme.RAW]),
        fault=st.sampled_from(["none", "none", "none", *FAULTS]),
    )
    def ask(
        self,
        sequence: int,
        times: int,
        name: int,
        own: str | None,
        caller: Caller,
        scheme: Scheme,
        fault: str,
    ) -> None:
        operation = dearer(numbered(sequence), times)
        # Mostly Crossmint's id is the operation's own.
        called = f"tx-{sequence}-{times}" if name > 1 else f"tx-{name}"
        request = self.desk.request(
            self.desk.waiting(operation, name=called), id=own, scheme=scheme
        )
        error = FAULTS[fault]()
        self.desk.kms.failures = [error] if error else []
        with suppress(BursarError, Killed):
            answer = self.desk.treasury.sign(request, caller)
            self._leaves(answer, request.transaction, own)

    @rule(
        sequence=st.integers(0, 3),
        times=st.integers(1, 2),
        caller=st.sampled_from([CALLER, BY_GRACE, BY_ADA]),
    )
    def consent(self, sequence: int, times: int, caller: Caller) -> None:
        waiting = self.desk.waiting(dearer(numbered(sequence), times))
        with suppress(BursarError):
            self.desk.treasury.consent(self.desk.approval(waiting), caller)

    @rule(minutes=st.sampled_from([1, 1, 30, 12 * 60, 24 * 60]))
    def time_passes(self, minutes: int) -> None:
        self.desk.clock.step(minutes=minutes)

    @rule(policy=st.sampled_from(POLICIES))
    def another_policy(self, policy: str) -> None:
        self.desk = self.desk.again(policy)

    @rule(faults=st.lists(st.sampled_from(Fault), max_size=4))
    def the_store_fails(self, faults: list[Fault]) -> None:
        self.desk.store.faults.clear()
        self.desk.store.faults.extend(faults)

    def _leaves(self, answer: Answer, transaction: Any, own: str | None) -> None:
        operation = int(transaction["onChain"]["userOperation"]["nonce"], 16)
        self.left.append(
            Left(
                "0x" + hash_of(transaction).hex(),
                "0x" + answer.signed.digest.hex(),
                answer.signed.signature.to_hex(),
                operation,
                transaction["id"],
                own,
                self.desk.clock.now,
            )
        )

    @invariant()
    def no_window_ever_holds_more_than_the_limit(self) -> None:
        first: dict[str, datetime] = {}
        for at, event, body in self._records():
            if event == "signature":
                first.setdefault(body["operation"], at)
        times = sorted(first.values())
        for start in times:
            within = [at for at in times if start <= at < start + timedelta(days=1)]
            assert len(within) * scene.UNITS <= LIMIT

    @invariant()
    def one_id_is_one_nonce(self) -> None:
        nonces: dict[str, set[int]] = {}
        for each in self.left:
            for name in (f"crossmint {each.name}", each.own and f"own {each.own}"):
                if name:
                    nonces.setdefault(name, set()).add(each.nonce)
        assert all(len(found) == 1 for found in nonces.values()), nonces

    @invariant()
    def one_operation_is_one_transaction(self) -> None:
        names: dict[str, set[str]] = {}
        for each in self.left:
            names.setdefault(each.operation, set()).add(each.name)
        assert all(len(found) == 1 for found in names.values()), names

    @invariant()
    def every_signature_that_left_is_on_record_and_verifies(self) -> None:
        recorded = {
            (body["operation"], body["digest"], body["signature"])
            for _, event, body in self._records()
            if event == "signature"
        }
        for each in self.left:
            assert (each.operation, each.digest, each.signature) in recorded
            raw = bytes.fromhex(each.signature[2:])
            evm.parse_signature(raw, bytes.fromhex(each.digest[2:]), self.desk.kms.address)

    @invariant()
    def no_signature_without_an_allowed_decision_before_it(self) -> None:
        allowed: dict[int, str] = {}
        asked = 0
        for number, (_, event, body) in enumerate(self._records(), 1):
            if event == "decision" and body["outcome"] == "allowed":
                allowed[number] = body["digest"]
                asked += not body["earlier"]
            if event == "signature":
                assert allowed[body["decision"]] == body["digest"]
        assert self.desk.kms.signatures <= asked

    @invariant()
    def the_chain_holds(self) -> None:
        previous = GENESIS
        texts = self.desk.store.between(self.desk.key, "receipt#", "receipt#~")
        for number, (_, text) in enumerate(texts, 1):
            receipt, stated = read_receipt(text)
            assert (receipt.number, receipt.previous, receipt.hash) == (number, previous, stated)
            previous = stated

    def _records(self) -> list[tuple[datetime, str, dict[str, Any]]]:
        texts = self.desk.store.between(self.desk.key, "receipt#", "receipt#~")
        found = [read_receipt(text)[0] for _, text in texts]
        return [(datetime.fromisoformat(r.at), r.event, dict(r.body)) for r in found]


Interleavings.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyInterleaving = Interleavings.TestCase
