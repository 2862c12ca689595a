"""What the policy will say to each line of a plan, were they all paid now, one after the other. Pure.

The windows fill along the file: what a line takes is gone for those after it. A line that is refused takes
nothing; one that waits for approval, or whose recipient's address is not known yet, counts as if it were paid, so
that nothing is foreseen to fit that would not. The signer decides all the same: it knows the real fee, and what
else was signed by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from bursar.payouts.lines import Line
from bursar.payouts.plan import Plan
from bursar.policy.decide import decide
from bursar.policy.decision import Decision, Outcome, Reservation
from bursar.policy.model import address_key
from bursar.policy.proposal import Circumstances, Kind, Payment, Proposal, Spent
from bursar.policy.rulebook import Rulebook
from bursar.policy.tokens import listed_token
from bursar.policy.windows import windows

_MOST: Final = 2**256 - 1
# A window of one recipient's own, whose address is not known: it is no window that fills.
_OF_NOBODY: Final = "|None"
_NEW: Final = "recipients.new_delay"

SpentBefore = Callable[[tuple[Reservation, ...]], Mapping[tuple[str, int], Spent]]


class Expected(StrEnum):
    """What is expected of a line.

    NOT_KNOWN: the policy's lists of recipients decide, by an address to come or by what the ledger knows.
    """

    ALLOWED = "allowed"
    NEEDS_APPROVAL = "needs_approval"
    REFUSED = "refused"
    NOT_KNOWN = "not_known"


@dataclass(frozen=True, slots=True)
class Situation:
    """What the policy's answers depend on besides the plan.

    `caller` is the ARN of who will ask; None where nobody can tell, and it is then taken as one who may. `fee` is
    the most that one payment may cost in wei; None where nobody can tell, and fees are then taken as nothing.
    `spent` returns what went through windows before now, as the ledger has it (`ledger.pages.Seen.spent`); None
    where nobody can tell, and that is then taken as nothing. `first_seen` is as in the policy's circumstances.
    `addresses` maps users' locators to the addresses of their wallets.
    """

    now: datetime
    caller: str | None
    fee: int | None = None
    spent: SpentBefore | None = None
    first_seen: Mapping[str, datetime] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forecast:
    """One line's: the rule that stands in the way with its value and limit; empty where none does.

    `approvals` is how many must consent.
    """

    line: int
    expected: Expected
    rule: str = ""
    value: str = ""
    limit: str = ""
    approvals: int = 0


@dataclass(frozen=True, slots=True)
class Foresight:
    """The forecasts of all lines in order, by which policy, and what was taken for granted."""

    policy_hash: str
    lines: tuple[Forecast, ...]
    granted: tuple[str, ...] = ()

    def count(self, expected: Expected) -> int:
        """Return of how many lines something is expected."""
        return sum(each.expected is expected for each in self.lines)

    @property
    def summary(self) -> tuple[str, ...]:
        """The whole in sentences: how far it goes, the first line that each rule stops, what is granted."""
        return (*_how_far(self.lines), *_first_stops(self.lines), *self.granted)


def foresee(plan: Plan, rules: Rulebook, situation: Situation) -> Foresight:
    """Return what a policy will say to each line of a plan."""
    course = _Course(plan, rules, situation)
    granted = []
    if situation.caller is None:
        granted.append("who asks is not known here, and is taken as one who may")
    if situation.spent is None:
        granted.append("what was spent before is not known here, and is taken as nothing")
    if situation.fee is None:
        granted.append("fees are not known here, and are taken as nothing")
    return Foresight(rules.hash, tuple(map(course.forecast, plan.lines)), tuple(granted))


class _Course:
    """Goes through a plan's lines and remembers what they took from the windows."""

    def __init__(self, plan: Plan, rules: Rulebook, situation: Situation) -> None:
        self.plan = plan
        self.rules = rules
        self.situation = situation
        allowed = rules.policy.callers.allow - rules.policy.callers.deny
        self.caller = situation.caller or min(allowed, default=None)
        self.taken: dict[str, tuple[int, int]] = {}
        self.before: dict[tuple[str, int], Spent] = {}

    def forecast(self, line: Line) -> Forecast:
        proposal = self._proposal(line)
        needed = windows(self.rules.policy, proposal)
        decision = self._decide(proposal, needed)
        expected = self._expected(decision, proposal)
        if expected is not Expected.REFUSED:
            self._take(needed)
        stands = decision.decisive
        if stands is None:
            return Forecast(line.number, expected)
        return Forecast(
            line.number,
            expected,
            stands.rule,
            stands.value,
            stands.limit,
            decision.approvals_missing,
        )

    def _proposal(self, line: Line) -> Proposal:
        # As the signer asks its policy; see `signing.case.proposal_of`.
        policy, chain, contract = self.rules.policy, self.plan.chain, line.meant.contract
        listed = listed_token(policy, chain, contract)
        recipient = line.recipient.address or self.situation.addresses.get(str(line.recipient))
        payment = Payment(listed[1] if listed else None, contract, line.units, recipient)
        return Proposal(
            Kind.TRANSFER,
            chain=chain,
            payments=(payment,),
            calls=1,
            fee_at_most=self.situation.fee or 0,
            requested_by=self.caller,
            wallet=self.plan.address,
        )

    def _decide(self, proposal: Proposal, needed: tuple[Reservation, ...]) -> Decision:
        seen = self.situation.first_seen
        known = {address_key(payment.recipient) or "" for payment in proposal.payments}
        first = {address: seen[address] for address in known if address in seen}
        circumstances = Circumstances(self.situation.now, self._spent(needed), first)
        return decide(self.rules.policy, proposal, circumstances, digest_of_policy=self.rules.hash)

    def _spent(self, needed: tuple[Reservation, ...]) -> dict[tuple[str, int], Spent]:
        """Return what went through windows, before now and along the file."""
        self._look(needed)
        found = {}
        for each in needed:
            amount, count = self.taken.get(each.key, (0, 0))
            for bound in each.bounds:
                was = self.before.get((each.key, bound.seconds), Spent())
                total = min(was.amount + amount, _MOST)
                found[each.key, bound.seconds] = Spent(total, was.count + count)
        return found

    def _look(self, needed: tuple[Reservation, ...]) -> None:
        """Have looked up what was spent under keys that did not come before: a ledger may be long."""
        new = tuple(
            each
            for each in needed
            if any((each.key, bound.seconds) not in self.before for bound in each.bounds)
        )
        if new and self.situation.spent is not None:
            self.before |= self.situation.spent(new)

    def _expected(self, decision: Decision, proposal: Proposal) -> Expected:
        refused_by = {each.rule for each in decision.refusals}
        nobody = proposal.payments[0].recipient is None
        if refused_by and all(each.startswith("recipients.") for each in refused_by) and nobody:
            return Expected.NOT_KNOWN
        # Since when somebody is known the ledger says; see `policy.rules.recipients`.
        if refused_by == {_NEW} and self.situation.spent is None:
            return Expected.NOT_KNOWN
        return {
            Outcome.ALLOWED: Expected.ALLOWED,
            Outcome.NEEDS_APPROVAL: Expected.NEEDS_APPROVAL,
            Outcome.REFUSED: Expected.REFUSED,
        }[decision.outcome]

    def _take(self, needed: tuple[Reservation, ...]) -> None:
        for each in needed:
            if not each.key.endswith(_OF_NOBODY):
                amount, count = self.taken.get(each.key, (0, 0))
                self.taken[each.key] = (amount + each.amount, count + each.count)


def _how_far(lines: tuple[Forecast, ...]) -> list[str]:
    passing = sum(each.expected is Expected.ALLOWED for each in lines)
    if passing == len(lines):
        return [f"{'the line passes' if passing == 1 else f'all {passing} lines pass'}"]
    begin = 0
    while lines[begin].expected is Expected.ALLOWED:
        begin += 1
    told = [f"{passing} of {len(lines)} lines pass"]
    if begin > 1:
        told.insert(0, f"lines {lines[0].line} to {lines[begin - 1].line} pass")
    return told


def _first_stops(lines: Iterable[Forecast]) -> list[str]:
    """Return for each rule that stops any line a sentence about the first, and how many there are."""
    stopped: dict[tuple[Expected, str], list[Forecast]] = {}
    for each in lines:
        if each.expected is not Expected.ALLOWED:
            stopped.setdefault((each.expected, each.rule), []).append(each)
    return [_stop(found[0], len(found)) for found in stopped.values()]


def _stop(first: Forecast, count: int) -> str:
    where = f"line {first.line} is the first" if count > 1 else f"line {first.line} is the one"
    of = f" ({count} lines)" if count > 1 else ""
    if first.rule == _NEW and first.expected is Expected.NOT_KNOWN:
        return f"{where} whose recipient may be new to the ledger, so {first.rule} cannot be judged{of}"
    if first.expected is Expected.NOT_KNOWN:
        return (
            f"{where} whose recipient's address is not known, so {first.rule} cannot be judged{of}"
        )
    if first.expected is Expected.NEEDS_APPROVAL:
        return f"{where} that waits for {first.approvals} to approve: {first.rule}{of}"
    return f"{where} that {first.rule} refuses: {first.value}; {first.limit}{of}"
