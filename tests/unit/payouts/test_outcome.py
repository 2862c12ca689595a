from __future__ import annotations

from dataclasses import replace

from bursar.payouts.outcome import alarmed
from bursar.payouts.results import State
from tests.unit.payouts.payday import plan_of, report_of, results_of, seen_on_chain
from tests.unit.payouts.payroll import USDC

PLAN = plan_of(2)
RESULTS = results_of(PLAN, (State.PAID, State.CANCELLED))


def test_without_a_word_of_the_chain_results_stay_as_they_are() -> None:
    assert alarmed(RESULTS, ()) == (RESULTS, ())


def test_a_line_that_is_paid_all_the_same_is_contradicted_and_an_alarm() -> None:
    results, alarms = alarmed(RESULTS, ["p-2"])
    assert alarms == ("p-2 is called cancelled, and the chain shows that it was paid",)
    assert results[0] == RESULTS[0]
    assert results[1].state is State.CONTRADICTED
    assert results[1].reason == (
        "the chain shows that it was paid; the journal has it as cancelled: because of cancelled"
    )
    assert results[1].advice.startswith("do not pay it again")
    seen = seen_on_chain(PLAN, RESULTS)
    seen[USDC] += PLAN.lines[1].units
    found = replace(report_of(PLAN, results, seen), alarms=alarms).reconciliation
    assert not found.sound
    assert found.faults == (
        *alarms,
        "4000000 base units of USDC were seen on the chain, and 1500000 count as paid",
    )


def test_a_batch_that_is_paid_all_the_same_is_an_alarm_of_its_own() -> None:
    results, alarms = alarmed(RESULTS, ["payroll.0a1b2c3d.2"])
    assert results == RESULTS
    assert alarms == (
        "payroll.0a1b2c3d.2 is a batch that ended unpaid, and the chain shows that it was paid",
    )
