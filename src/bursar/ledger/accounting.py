"""Whether every signature is one that was decided, and what became of every decision. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from bursar.chains import evm
from bursar.errors import AddressError, LedgerDamaged, SignatureError
from bursar.ledger.bodies import (
    Consented,
    Decided,
    Failed,
    Signed,
    Subject,
    plain_hash,
    read_consent,
    read_decision,
    read_failure,
    read_signature,
)
from bursar.ledger.findings import Fault, Findings, Remark
from bursar.ledger.receipts import Event, Receipt
from bursar.policy.decision import Outcome

# Decisions whose outcome was seen are forgotten at last, so that a long chain takes no more memory. A second
# outcome is found all the same: as one without a decision.
_REMEMBERED: Final = 10_000


class Accounting:
    """Takes a chain's receipts in order. What is open is a decision that allowed, and whose outcome is to come."""

    def __init__(
        self,
        findings: Findings,
        address: str | None,
        policies: Collection[str] | None,
        begin: int,
    ) -> None:
        self.address = address and evm.parse_address(address)
        self._findings = findings
        self._policies = None if policies is None else {plain_hash(each) for each in policies}
        self._begin = begin
        self._open: dict[int, Subject] = {}
        self._closed: OrderedDict[int, None] = OrderedDict()
        self._consents: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._forgotten = False
        self._at = ""

    def take(self, receipt: Receipt) -> None:
        """Check what a receipt says, by itself and against those before it."""
        takers: Mapping[str, Callable[[int, Mapping[str, Any]], None]] = {
            Event.DECISION: self._take_decision,
            Event.SIGNATURE: self._take_signature,
            Event.FAILURE: self._take_failure,
            Event.CONSENT: self._take_consent,
        }
        self._at = receipt.at
        taker = takers.get(receipt.event)
        if taker is None:
            self._problem(receipt.number, Fault.BAD_BODY, "its event is none that there is")
            return
        try:
            taker(receipt.number, receipt.body)
        except LedgerDamaged as problem:
            self._problem(receipt.number, Fault.BAD_BODY, f"{receipt.event}: {problem.message}")

    def finish(self) -> None:
        """Note every decision whose outcome never came."""
        for number, subject in self._open.items():
            self._findings.note(
                number,
                Remark.OUTCOME_UNKNOWN,
                f"outcome unknown: {subject.digest} was allowed, and neither signed nor failed",
            )

    def _take_decision(self, number: int, body: Mapping[str, Any]) -> None:
        decided = read_decision(body)
        counts = self._findings.counts
        counts.allowed += decided.outcome is Outcome.ALLOWED
        counts.needs_approval += decided.outcome is Outcome.NEEDS_APPROVAL
        counts.refused += decided.outcome is Outcome.REFUSED
        self._check_subject(number, decided.subject, decided.reviewed)
        if len(decided.policies) > 1:
            self._problem(number, Fault.OTHER_POLICY, "its policy is not the one that decided")
        if decided.outcome is Outcome.ALLOWED:
            counts.repeated += decided.earlier
            self._check_allowed(number, decided)
            if not decided.earlier:
                self._open[number] = decided.subject

    def _check_allowed(self, number: int, decided: Decided) -> None:
        if decided.subject.operation is None or decided.subject.digest is None:
            self._problem(number, Fault.BAD_BODY, "it allows, and does not say what")
        if decided.refused or decided.judged is None or decided.judged - {Outcome.ALLOWED}:
            self._problem(
                number, Fault.NOT_ALLOWED, "it allows what its own decision does not allow"
            )
        if decided.reviewed is None and not decided.blind:
            self._problem(
                number, Fault.NOT_ALLOWED, "it allows a transaction that was not reviewed"
            )
        self._check_consents(number, decided)
        if self._policies is not None and not (
            decided.policies and decided.policies <= self._policies
        ):
            self._problem(number, Fault.OTHER_POLICY, "a policy that was not named allowed it")

    def _take_signature(self, number: int, body: Mapping[str, Any]) -> None:
        signed = read_signature(body)
        self._findings.counts.signatures += 1
        self._findings.counts.unanswered += signed.unanswered
        self._check_subject(number, signed.subject)
        self._check_signature(number, signed)
        self._close(number, signed)

    def _take_failure(self, number: int, body: Mapping[str, Any]) -> None:
        failed = read_failure(body)
        self._findings.counts.failures += 1
        self._findings.counts.unanswered += failed.unanswered
        self._check_subject(number, failed.subject)
        self._close(number, failed)

    def _take_consent(self, number: int, body: Mapping[str, Any]) -> None:
        consented: Consented = read_consent(body)
        self._findings.counts.consents += 1
        self._check_subject(number, consented.subject, consented.reviewed)
        self._consents[consented.by or "", consented.subject.digest or "", self._at] = None
        if len(self._consents) > _REMEMBERED:
            self._consents.popitem(last=False)
            self._forgotten = True

    def _check_consents(self, number: int, decided: Decided) -> None:
        # Those of before the first receipt, or long ago, cannot be looked up.
        if self._begin or self._forgotten:
            return
        for by, digest, at in sorted(decided.consents - self._consents.keys()):
            self._problem(
                number, Fault.NO_CONSENT, f"no receipt of the consent of {by} to {digest} at {at}"
            )

    def _check_subject(self, number: int, subject: Subject, reviewed: str | None = None) -> None:
        if reviewed is not None and reviewed != subject.operation:
            self._problem(
                number, Fault.WRONG_OPERATION, "the operation is not the one that was reviewed"
            )
        if subject.digest is None:
            return
        # A failure and a consent do not name the scheme: the digest is right under one of the two.
        schemes = list(evm.Scheme) if subject.scheme is None else [subject.scheme]
        if subject.digest not in {_digest(subject.operation, scheme) for scheme in schemes}:
            named = subject.scheme.value if subject.scheme else "either scheme"
            self._problem(
                number, Fault.WRONG_DIGEST, f"the digest is not the operation's under {named}"
            )

    def _check_signature(self, number: int, signed: Signed) -> None:
        try:
            address = evm.parse_address(signed.address)
            digest = bytes.fromhex(str(signed.subject.digest)[2:])
            evm.parse_signature(bytes.fromhex(signed.signature[2:]), digest, address)
        except (AddressError, SignatureError) as problem:
            self._problem(number, Fault.WRONG_SIGNATURE, problem.message)
            return
        # Where nobody named the account, the first one that signed is held to: a book is one key's.
        self.address = self.address or address
        if address != self.address:
            self._problem(number, Fault.OTHER_ADDRESS, f"{address} signed, and not {self.address}")

    def _close(self, number: int, outcome: Signed | Failed) -> None:
        decision = outcome.decision
        decided = self._open.get(decision)
        if decided is None:
            self._report_no_decision(number, decision)
        elif not _same(decided, outcome.subject):
            self._problem(
                number, Fault.OTHER_OPERATION, f"decision {decision} was about something else"
            )
        else:
            del self._open[decision]
            self._closed[decision] = None
            if len(self._closed) > _REMEMBERED:
                self._closed.popitem(last=False)

    def _report_no_decision(self, number: int, decision: int) -> None:
        if decision in self._closed:
            self._problem(
                number, Fault.SECOND_OUTCOME, f"decision {decision} has an outcome already"
            )
        elif 0 < decision <= self._begin:
            self._findings.note(
                number,
                Remark.DECISION_BEFORE,
                f"its decision, {decision}, is before the first receipt",
            )
        else:
            self._problem(
                number,
                Fault.NO_DECISION,
                f"no decision {decision} before it allowed anything that is still open",
            )

    def _problem(self, number: int, code: Fault, message: str) -> None:
        self._findings.problem(number, code, message)


def _digest(operation: str | None, scheme: evm.Scheme) -> str | None:
    if operation is None:
        return None
    return "0x" + evm.digest_of(bytes.fromhex(operation[2:]), scheme).hex()


def _same(decided: Subject, done: Subject) -> bool:
    schemes = {decided.scheme, done.scheme} - {None}
    return (decided.operation, decided.digest) == (done.operation, done.digest) and len(
        schemes
    ) == 1
