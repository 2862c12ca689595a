"""Whether a payout adds up: every line has one result, and every base unit of the file is in one state. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bursar.payouts.lines import Line
from bursar.payouts.plan import Plan, Total
from bursar.payouts.results import LineResult, State


@dataclass(frozen=True, slots=True)
class Entry:
    """A line with its result. One of the two may be missing, which is a fault."""

    line: Line | None
    result: LineResult | None


@dataclass(frozen=True, slots=True)
class Account:
    """One token: what the file pays, and in which state how much of it is. Base units throughout.

    `states` maps every state to a count and a sum. `on_chain` is what was seen to leave the wallet for these
    payments, None where nobody looked.
    """

    total: Total
    states: Mapping[State, tuple[int, int]]
    on_chain: int | None = None

    @property
    def paid(self) -> int:
        """What was paid."""
        return self.states[State.PAID][1]

    @property
    def missing(self) -> int:
        """What the file pays, less what is in some state: 0 where it adds up."""
        return self.total.units - sum(units for _, units in self.states.values())

    @property
    def faults(self) -> tuple[str, ...]:
        """What does not add up, in words."""
        name, found = self.total.name, []
        if self.missing:
            told = f"{abs(self.missing)} base units of {name} are in"
            how = "no state" if self.missing > 0 else "the results and not in the file"
            found.append(f"{told} {how}")
        if self.on_chain is not None and self.on_chain != self.paid:
            found.append(
                f"{self.on_chain} base units of {name} were seen on the chain, and {self.paid} count as paid"
            )
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All lines with their results, in the order of the file, an account for each token, and every fault."""

    entries: tuple[Entry, ...]
    accounts: tuple[Account, ...]
    faults: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether everything adds up."""
        return not self.faults

    def count(self, state: State) -> int:
        """Return how many results there are of a state."""
        return sum(account.states[state][0] for account in self.accounts)


def reconcile(
    plan: Plan,
    results: Sequence[LineResult],
    on_chain: Mapping[str | None, int] | None = None,
    alarms: Sequence[str] = (),
) -> Reconciliation:
    """Return how a plan and its results fit together. Each of `alarms`, in words, is a fault.

    `on_chain` maps tokens' contracts (None for the chain's own coin) to the base units that were seen to leave the
    wallet for these payments; a token that is not in it was not seen at all.
    """
    by_id: dict[str, list[LineResult]] = {}
    for result in results:
        by_id.setdefault(result.id, []).append(result)
    entries = [entry for line in plan.lines for entry in _entries(line, by_id.get(line.id, []))]
    known = {line.id for line in plan.lines}
    strangers = [Entry(None, result) for result in results if result.id not in known]
    accounts = tuple(_account(total, entries, on_chain) for total in plan.totals)
    faults = [
        *alarms,
        *(fault for account in accounts for fault in account.faults),
        *(fault for line in plan.lines for fault in _line_faults(line, by_id.get(line.id, []))),
        *(
            f"there is a result of {each.result.id}, which is not in the file"
            for each in strangers
            if each.result
        ),
    ]
    return Reconciliation((*entries, *strangers), accounts, tuple(faults))


def _entries(line: Line, results: Sequence[LineResult]) -> list[Entry]:
    return [Entry(line, result) for result in results] or [Entry(line, None)]


def _account(
    total: Total, entries: Sequence[Entry], on_chain: Mapping[str | None, int] | None
) -> Account:
    states = dict.fromkeys(State, (0, 0))
    for entry in entries:
        if entry.line and entry.result and entry.line.meant.contract == total.token.contract:
            count, units = states[entry.result.state]
            stated = entry.result.units
            more = entry.line.units if stated is None else stated
            states[entry.result.state] = (count + 1, units + more)
    seen = None if on_chain is None else on_chain.get(total.token.contract, 0)
    return Account(total, states, seen)


def _line_faults(line: Line, results: Sequence[LineResult]) -> list[str]:
    where = f"line {line.number} ({line.id})"
    if len(results) != 1:
        return [f"{where} has {len(results) or 'no'} result{'s' if results else ''}"]
    stated = results[0].units
    if stated not in (None, line.units):
        return [f"{where} is of {line.units} base units, and its result of {stated}"]
    return []
