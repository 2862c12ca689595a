from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.payouts.reconciliation import reconcile
from bursar.payouts.results import NEXT_STEPS, LineResult, State
from tests.unit.payouts.payday import plan_of, result, results_of, seen_on_chain
from tests.unit.payouts.payroll import USDC

PLAN = plan_of(5)
RESULTS = results_of(PLAN)


def test_every_base_unit_of_the_file_is_in_one_state():
    found = reconcile(PLAN, RESULTS)
    assert found.sound
    usdc, eth = found.accounts
    assert usdc.total.text == "14"
    assert {state: value for state, value in usdc.states.items() if value[0]} == {
        State.PAID: (1, 1_500_000),
        State.FAILED: (1, 2_500_000),
        State.PENDING: (1, 4_500_000),
        State.NOT_STARTED: (1, 5_500_000),
    }
    assert (eth.total.text, eth.states[State.PAID]) == ("0.25", (1, 25 * 10**16))
    assert [found.count(state) for state in State] == [0, 1, 1, 0, 1, 2]


def test_results_may_come_in_any_order_and_entries_are_the_file_s():
    found = reconcile(PLAN, RESULTS[::-1])
    assert found.sound
    assert [each.line for each in found.entries] == list(PLAN.lines)
    assert [each.result for each in found.entries] == list(RESULTS)


def test_a_line_without_a_result_is_a_fault():
    found = reconcile(PLAN, RESULTS[1:])
    assert found.faults == (
        "1500000 base units of USDC are in no state",
        "line 2 (p-1) has no result",
    )
    assert found.entries[0].result is None


def test_a_line_with_two_results_is_a_fault():
    found = reconcile(PLAN, [*RESULTS, result("p-1", State.FAILED)])
    assert found.faults == (
        "1500000 base units of USDC are in the results and not in the file",
        "line 2 (p-1) has 2 results",
    )
    assert len(found.entries) == 6


def test_a_result_of_another_payment_is_a_fault_and_is_kept():
    stranger = result("q-1", State.PAID)
    found = reconcile(PLAN, [*RESULTS, stranger])
    assert found.faults == ("there is a result of q-1, which is not in the file",)
    assert (found.entries[-1].line, found.entries[-1].result) == (None, stranger)


def test_a_result_of_another_amount_is_a_fault():
    found = reconcile(PLAN, [replace(RESULTS[0], units=1_500_001), *RESULTS[1:]])
    assert found.faults == (
        "1 base units of USDC are in the results and not in the file",
        "line 2 (p-1) is of 1500000 base units, and its result of 1500001",
    )
    assert reconcile(PLAN, [replace(RESULTS[0], units=1_500_000), *RESULTS[1:]]).sound


def test_what_was_paid_is_held_against_what_the_chain_shows():
    seen = seen_on_chain(PLAN, RESULTS)
    assert reconcile(PLAN, RESULTS, seen).sound
    assert reconcile(PLAN, RESULTS, seen | {USDC: 1}).faults == (
        "1 base units of USDC were seen on the chain, and 1500000 count as paid",
    )
    assert reconcile(PLAN, RESULTS, {USDC: 1_500_000}).faults == (
        "0 base units of ETH were seen on the chain, and 250000000000000000 count as paid",
    )


def test_every_state_says_what_to_do_next_but_for_what_is_paid():
    assert set(NEXT_STEPS) == set(State)
    for state in State:
        assert bool(LineResult("p", state).advice) == (state is not State.PAID)
    assert LineResult("p", State.FAILED, next_step="ask Ada").advice == "ask Ada"


STATES = st.lists(st.sampled_from(State), min_size=5, max_size=5)


@given(STATES)
def test_whatever_became_of_the_lines_it_adds_up(states):
    results = results_of(PLAN, states)
    found = reconcile(PLAN, results, seen_on_chain(PLAN, results))
    assert found.sound
    for account in found.accounts:
        assert sum(units for _, units in account.states.values()) == account.total.units
        assert sum(count for count, _ in account.states.values()) == account.total.count
        assert account.missing == 0
        mine = {line.id: line for line in PLAN.lines if line.meant == account.total.token}
        paid = [
            mine[each.id].units for each in results if each.id in mine and each.state is State.PAID
        ]
        assert account.paid == sum(paid)


@given(STATES, st.data())
def test_no_result_can_be_lost_doubled_or_altered_unseen(states, data):
    results = list(results_of(PLAN, states))
    at = data.draw(st.integers(0, 4))
    change = data.draw(st.sampled_from(["lose", "double", "alter", "rename"]))
    if change == "lose":
        del results[at]
    elif change == "double":
        results.append(results[at])
    elif change == "alter":
        units = data.draw(st.integers(0, 10**20).filter(lambda n: n != PLAN.lines[at].units))
        results[at] = replace(results[at], units=units)
    else:
        results[at] = replace(results[at], id="q")
    assert not reconcile(PLAN, results).sound


@pytest.mark.parametrize("state", State)
def test_a_state_has_words_for_people(state):
    assert "_" not in state.words
