"""What a policy would have decided about what went by. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bursar.policy.canonical import policy_hash
from bursar.policy.decide import decide
from bursar.policy.decision import Decision, Outcome, Reservation
from bursar.policy.model import Policy, address_key
from bursar.policy.proposal import Circumstances, Proposal, Spend, Spent, spent_in
from bursar.policy.records import Record
from bursar.policy.windows import windows


@dataclass(frozen=True, slots=True)
class Comparison:
    """A record, and what the policy would have decided about it then."""

    record: Record
    decision: Decision

    @property
    def changed(self) -> bool:
        """Would it have been decided otherwise? False where it is not known what was decided."""
        return self.record.decided not in (None, self.decision.outcome)


@dataclass
class Ledger:
    """What was spent in each window, entries in order of time."""

    entries: dict[str, list[Spend]] = field(default_factory=lambda: defaultdict(list))
    taken: set[tuple[str, str]] = field(default_factory=set)

    def spent(
        self, needed: Iterable[Reservation], now: datetime, transaction: str | None
    ) -> dict[tuple[str, int], Spent]:
        """Return what went through the windows of these reservations, one transaction left out."""
        return {
            (each.key, bound.seconds): self._in(each.key, now, bound.seconds, transaction)
            for each in needed
            for bound in each.bounds
        }

    def add(
        self, reservations: Iterable[Reservation], now: datetime, transaction: str | None
    ) -> None:
        """Take reservations from their windows; those of a transaction that has its own already, not again."""
        for each in reservations:
            if transaction is not None:
                if (each.key, transaction) in self.taken:
                    continue
                self.taken.add((each.key, transaction))
            self.entries[each.key].append(Spend(now, each.amount, each.count, transaction))

    def _in(self, key: str, now: datetime, seconds: int, but: str | None) -> Spent:
        known = self.entries[key]
        begin = bisect_right(known, now - timedelta(seconds=seconds), key=lambda entry: entry.at)
        return spent_in(known[begin:], now, seconds, but=but)


def simulate(
    policy: Policy, records: Iterable[Record], since: datetime | None = None
) -> list[Comparison]:
    """Return what a policy would have decided, in order of time, of all records from `since` on.

    Windows fill with what the policy itself would have allowed, not with what was paid; records before `since`
    fill them too. A recipient was first seen when a record says so, otherwise when they are first in a record.
    """
    ledger, seen, digest = Ledger(), dict[str, datetime](), policy_hash(policy)
    found = []
    for record in sorted(records, key=lambda each: each.at):
        _note(seen, record)
        decision = decide(
            policy, record.proposal, _then(policy, record, ledger, seen), digest_of_policy=digest
        )
        ledger.add(decision.reservations, record.at, record.proposal.transaction)
        if since is None or record.at >= since:
            found.append(Comparison(record, decision))
    return found


def circumstances_after(
    policy: Policy, proposal: Proposal, records: Iterable[Record], now: datetime
) -> Circumstances:
    """Return the circumstances of a proposal now, where these records are all that was decided before.

    What was allowed then has been spent.
    """
    ledger, seen = Ledger(), dict[str, datetime]()
    for record in sorted(records, key=lambda each: each.at):
        _note(seen, record)
        if record.decided is Outcome.ALLOWED:
            reservations = windows(policy, record.proposal)
            ledger.add(reservations, record.at, record.proposal.transaction)
    spent = ledger.spent(windows(policy, proposal), now, proposal.transaction)
    return Circumstances(now, spent, seen)


def _then(
    policy: Policy, record: Record, ledger: Ledger, seen: Mapping[str, datetime]
) -> Circumstances:
    needed = windows(policy, record.proposal)
    spent = ledger.spent(needed, record.at, record.proposal.transaction)
    addresses = {address_key(payment.recipient) or "" for payment in record.proposal.payments}
    first = {address: at for address, at in seen.items() if address in addresses}
    return Circumstances(record.at, spent, first)


def _note(seen: dict[str, datetime], record: Record) -> None:
    times = dict(record.first_seen)
    for payment in record.proposal.payments:
        address = address_key(payment.recipient)
        if address is not None:
            times.setdefault(address, record.at)
    for address, at in times.items():
        seen[address] = min(at, seen.get(address, at))
