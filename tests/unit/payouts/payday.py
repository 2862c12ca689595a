"""A payout that was made: a plan and what became of each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bursar.payouts.plan import Plan
from bursar.payouts.report import Header, Report
from bursar.payouts.results import LineResult, State
from bursar.review.intent import Token
from bursar.transfers.reading import Reading
from tests.unit.payouts.payroll import ADA, GRACE, HEADER, USDC, csv_of, planned

ETH = Token(None, "ETH", 18)
READING = Reading.of(tokens={"base-sepolia:eth": ETH})
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
PAYROLL = "arn:aws:iam::111122223333:role/payroll"
STATES = (State.PAID, State.FAILED, State.PAID, State.PENDING, State.NOT_STARTED)
EACH_STATE = tuple(State)


def plan_of(count: int, note: str = "") -> Plan:
    """So many payments of 1.50 USDC and more, every third of 0.25 ETH."""
    lines = [
        f"p-{number},{(ADA, GRACE)[number % 2]},{'0.25,eth' if number % 3 == 0 else f'{number}.50,usdc'},{note}"
        for number in range(1, count + 1)
    ]
    return planned(csv_of(*lines, header=f"{HEADER},token,note"), reading=READING)


def result(own_id: str, state: State, number: int = 1, **changes: Any) -> LineResult:
    begun = state is not State.NOT_STARTED
    usual: dict[str, Any] = {
        "reason": "" if state is State.PAID else f"because of {state.words}",
        "transaction": f"tx-{number}" if begun else "",
        "chain_transaction": f"0x{number:064x}" if state is State.PAID else "",
        "kms_request": f"kms-{number}" if begun else "",
        "digest": f"0x{number + 10**6:064x}" if begun else "",
        "batch": "payroll-2026-11",
        "started": NOON + timedelta(seconds=number) if begun else None,
        "ended": NOON + timedelta(seconds=number + 5)
        if state in (State.PAID, State.FAILED)
        else None,
    }
    return LineResult(own_id, state, **usual | changes)


def results_of(plan: Plan, states: Sequence[State] = STATES) -> tuple[LineResult, ...]:
    return tuple(
        result(line.id, states[place % len(states)], place + 1)
        for place, line in enumerate(plan.lines)
    )


def report_of(
    plan: Plan,
    results: Sequence[LineResult] | None = None,
    on_chain: Mapping[str | None, int] | None = None,
    **header: Any,
) -> Report:
    usual: dict[str, Any] = {
        "file": "payroll.csv",
        "made": NOON + timedelta(hours=1),
        "who": PAYROLL,
        "policy_hash": "sha256:" + "ab" * 32,
        "started": NOON,
        "ended": NOON + timedelta(minutes=2),
    }
    found = results_of(plan) if results is None else tuple(results)
    return Report(plan, Header(**usual | header), found, on_chain)


def seen_on_chain(plan: Plan, results: Sequence[LineResult]) -> dict[str | None, int]:
    """What left the wallet where all that counts as paid was."""
    paid = {each.id for each in results if each.state is State.PAID}
    found: dict[str | None, int] = {None: 0, USDC: 0}
    for line in plan.lines:
        if line.id in paid:
            found[line.meant.contract] += line.units
    return found
