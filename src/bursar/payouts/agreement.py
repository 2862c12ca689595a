"""How many others have to agree to a payout's plan by the policy, and whose word counts. Pure.

The policy's approval rules are asked of each transaction as the signer asks them, with the plan's hash in the
place of a digest. What they say of the transaction that needs most is asked of the plan as a whole. The signer
asks for consent to each transaction all the same, by the policy that it goes by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from bursar.amounts import to_base_units
from bursar.errors import PayoutError, PolicyViolation
from bursar.payouts.batching import chunks, groups, may_be_batched
from bursar.payouts.lines import Line
from bursar.payouts.plan import Plan
from bursar.policy.approvals import applying, consenting, missing, require_approver
from bursar.policy.model import ApprovalRule, Policy
from bursar.policy.principals import identity_of
from bursar.policy.proposal import Approval, Circumstances, Kind, Payment, Proposal
from bursar.policy.tokens import listed_token
from bursar.review.intent import Intent
from bursar.transfers.batch import BatchTransfer
from bursar.transfers.intent import TransferIntent
from bursar.transfers.reading import Reading
from bursar.transfers.record import Transfer

# What one transaction pays.
Paid = tuple[Payment, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is agreed to: a plan, by its hash, that somebody began. `by` is an IAM ARN, or the machine's word."""

    hash: str
    chain: str
    by: str


@dataclass(frozen=True, slots=True)
class Word:
    """Somebody's word that a plan is to be paid: their ARN, and when they gave it."""

    by: str
    at: datetime


class Agreement:
    """What a policy asks of others before a plan is paid."""

    def __init__(self, policy: Policy, subject: Subject, transactions: Iterable[Paid]) -> None:
        self._policy = policy
        self._subject = subject
        # One transaction for each set of rules is enough: nothing else of it is looked at.
        self._asked: dict[tuple[ApprovalRule, ...], Proposal] = {}
        for paid in transactions:
            proposal = Proposal(
                Kind.TRANSFER,
                chain=subject.chain,
                payments=tuple(map(self._listed, paid)),
                requested_by=subject.by,
                digest=subject.hash,
            )
            self._asked.setdefault(tuple(applying(policy, proposal)), proposal)

    @property
    def approvers(self) -> int:
        """The largest number of others that any of its transactions needs; 0 where none needs any."""
        return max((rule.approvers for rule in self._rules()), default=0)

    @property
    def named(self) -> frozenset[str]:
        """The identities whose word can count, whoever began it left out."""
        named = frozenset(who for rule in self._rules() for who in rule.by)
        return named - self._policy.callers.deny - {identity_of(self._subject.by) or ""}

    def missing(self, words: Iterable[Word], now: datetime) -> int:
        """Return how many more have to agree. A word counts for as long as its rule says."""
        given = self._given(words, now)
        return max(
            (missing(self._policy, each, Circumstances(now))[0] for each in given), default=0
        )

    def require(
        self, who: str, words: Iterable[Word], now: datetime, before: frozenset[str] = frozenset()
    ) -> None:
        """Refuse somebody's word that would not count, before it is written down.

        `before` are the identities that the policy named when the payout was begun: they still may agree where the
        policy asks nobody any more.

        Raises:
            PolicyViolation: not a principal, whoever began it, or nobody the rules name.
            PayoutError: they agreed already, and it still counts.
        """
        given = list(words)
        try:
            self._require_named(who, before)
        except PolicyViolation as refusal:
            refusal.hint = self._hint(before)
            raise
        if not self._adds(identity_of(who), given, now):
            raise PayoutError(
                f"{identity_of(who)} agreed to it already", hint="somebody else has to agree"
            )

    def _require_named(self, who: str, before: frozenset[str]) -> None:
        asked = [proposal for rules, proposal in self._asked.items() if rules]
        if not asked:
            # A rule that nothing needs, so that whoever it names is judged as by any other.
            policy = replace(self._policy, approvals=(ApprovalRule(1, before, 1),))
            bare = Proposal(Kind.TRANSFER, requested_by=self._subject.by)
            require_approver(policy, bare, who)
            return
        refusals = list(self._refusals(asked, who))
        if len(refusals) == len(asked):
            raise refusals[0]

    def _adds(self, who: str | None, words: list[Word], now: datetime) -> bool:
        """Tell whether a word of somebody who is named makes more of any rule's."""
        if not any(self._asked):
            return who not in {identity_of(each.by) for each in words}
        return any(
            who in rule.by
            and who not in consenting(rule, self._policy, proposal, Circumstances(now))
            for proposal in self._given(words, now)
            for rule in applying(self._policy, proposal)
        )

    def _refusals(self, asked: Iterable[Proposal], who: str) -> Iterator[PolicyViolation]:
        for proposal in asked:
            try:
                require_approver(self._policy, proposal, who)
            except PolicyViolation as refusal:
                yield refusal

    def _hint(self, before: frozenset[str]) -> str:
        if identity_of(self._subject.by) is None:
            return (
                f"{self._subject.by} began it, who is nobody in IAM: cancel it, and have its lines begun anew, "
                "under ids of their own, by somebody whom AWS knows"
            )
        named = self.named or (before - {identity_of(self._subject.by) or ""})
        return f"it takes the word of one of: {', '.join(sorted(named)) or 'nobody'}"

    def _listed(self, payment: Payment) -> Payment:
        # As the signer asks its policy; see `signing.case.proposal_of`.
        listed = listed_token(self._policy, self._subject.chain, payment.contract)
        return replace(payment, token=listed[1]) if listed else payment

    def _rules(self) -> Iterator[ApprovalRule]:
        return (rule for rules in self._asked for rule in rules)

    def _given(self, words: Iterable[Word], now: datetime) -> Iterator[Proposal]:
        """Yield a transaction for each set of rules, with the words as consents to it."""
        # Another machine's clock may be ahead: what was written down was said by now.
        given = tuple(Approval(each.by, self._subject.hash, min(each.at, now)) for each in words)
        for rules, proposal in self._asked.items():
            if rules:
                yield replace(proposal, approvals=given)


def of_plan(plan: Plan, batch: int) -> Iterator[Paid]:
    """Yield what each transaction of a plan will pay, where so many direct lines go into one."""
    for some in chunks(plan.lines):
        together = groups(some, batch, lambda line: may_be_batched(line.type, line.recipient))
        batched = {line.id for group in together for line in group}
        yield from (tuple(map(_of_line, group)) for group in together)
        yield from ((_of_line(line),) for line in some if line.id not in batched)


def of_transfers(transfers: Iterable[Transfer], reading: Reading) -> Iterator[Paid]:
    """Yield what each transaction of a payout in the journal pays, those that are over left out.

    Raises:
        ConfigError: nobody says any more which contract a token's name means.
    """
    for transfer in transfers:
        if transfer.standing.is_final:
            continue
        match transfer.intent:
            case BatchTransfer():
                yield tuple(_of_intent(each) for each in reading.batch(transfer.intent).payments)
            case TransferIntent() if transfer.batch is None:
                yield (_of_transfer(transfer.intent, reading),)


def _of_line(line: Line) -> Payment:
    return Payment(None, line.meant.contract, line.units, line.recipient.address)


def _of_intent(intent: Intent) -> Payment:
    return Payment(None, intent.token.contract, intent.amount, intent.recipient)


def _of_transfer(intent: TransferIntent, reading: Reading) -> Payment:
    token = reading.token(intent.token)
    units = to_base_units(intent.amount, token.decimals or 0)
    return Payment(None, token.contract, units, intent.recipient.address)
