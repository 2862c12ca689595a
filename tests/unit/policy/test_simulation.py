from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bursar.policy.canonical import policy_hash
from bursar.policy.decide import decide
from bursar.policy.decision import Outcome, Reservation
from bursar.policy.proposal import Proposal, Spent
from bursar.policy.records import Record
from bursar.policy.simulation import Comparison, Ledger, circumstances_after, simulate
from tests.unit.policy.treasury import (
    ACME,
    DAY,
    NOW,
    STRANGER,
    WIDGETS,
    judge,
    payment,
    policy,
    proposal,
)

DAILY = '[[limits]]\nper = "day"\ntoken = "usdc"\namount = "500"\n'
USDC_200 = proposal()


def record(
    hours: float, asked: Proposal = USDC_200, decided: str | None = "allowed", **changes
) -> Record:
    outcome = None if decided is None else Outcome(decided)
    return Record(NOW + timedelta(hours=hours), asked, outcome, **changes)


def outcomes(found: list[Comparison]) -> list[str]:
    return [each.decision.outcome.value for each in found]


def test_windows_fill_with_what_the_policy_itself_would_have_allowed():
    found = simulate(policy(DAILY), [record(hour) for hour in (0, 1, 2, 24, 25)])
    # The third does not fit, so that only two have left the window a day later.
    assert outcomes(found) == ["allowed", "allowed", "refused", "allowed", "allowed"]
    assert [each.changed for each in found] == [False, False, True, False, False]
    assert {each.decision.policy_hash for each in found} == {policy_hash(policy(DAILY))}


def test_an_entry_leaves_the_window_to_the_moment():
    full = proposal(payment(amount=500_000_000))
    just = record(24 - 1e-6, full)
    assert outcomes(simulate(policy(DAILY), [record(0, full), just])) == ["allowed", "refused"]
    assert outcomes(simulate(policy(DAILY), [record(0, full), record(24, full)])) == ["allowed"] * 2


def test_records_are_judged_in_order_of_time_and_those_before_since_fill_the_windows():
    records = [record(2), record(0), record(1)]
    found = simulate(policy(DAILY), records, since=NOW + timedelta(hours=1))
    assert [each.record.at - NOW for each in found] == [timedelta(hours=1), timedelta(hours=2)]
    assert outcomes(found) == ["allowed", "refused"]


def test_a_transaction_that_comes_again_does_not_spend_twice():
    first = replace(USDC_200, transaction="t-1")
    again = [record(hour, first) for hour in range(4)]
    assert outcomes(simulate(policy(DAILY), again)) == ["allowed"] * 4
    after = [*again, record(5, proposal(payment(amount=300_000_000)))]
    assert outcomes(simulate(policy(DAILY), after))[-1] == "allowed"
    after = [*again, record(5, proposal(payment(amount=300_000_001)))]
    assert outcomes(simulate(policy(DAILY), after))[-1] == "refused"


def test_transactions_without_an_id_are_each_their_own():
    assert outcomes(simulate(policy(DAILY), [record(0)] * 3)) == ["allowed", "allowed", "refused"]


def test_where_it_is_not_known_what_was_decided_nothing_has_changed():
    [found] = simulate(policy(), [record(0, proposal(payment(recipient=STRANGER)), None)])
    assert (found.decision.outcome, found.changed) == (Outcome.REFUSED, False)
    [found] = simulate(policy(), [record(0, decided="refused")])
    assert found.changed


DELAY = '[recipients]\nnew_delay = "24h"\n'


def test_a_recipient_is_known_from_their_first_record_on():
    found = simulate(policy(DELAY), [record(hour) for hour in (0, 23, 24)])
    assert outcomes(found) == ["refused", "refused", "allowed"]


def test_a_record_can_say_since_when_a_recipient_was_known_and_the_earliest_counts():
    known = record(0, first_seen={ACME: NOW - timedelta(days=1)})
    assert outcomes(simulate(policy(DELAY), [known])) == ["allowed"]
    assert outcomes(simulate(policy(DELAY), [known, record(1)])) == ["allowed", "allowed"]
    later = record(25, first_seen={ACME: NOW + timedelta(hours=20)})
    assert outcomes(simulate(policy(DELAY), [record(0), later])) == ["refused", "allowed"]
    others = record(0, first_seen={WIDGETS: NOW - timedelta(days=1)})
    assert outcomes(simulate(policy(DELAY), [others])) == ["refused"]


def test_a_recipient_nobody_can_know_is_no_trouble():
    unknown = proposal(payment(recipient=None), payment(recipient="email:ada@example.com"))
    assert outcomes(simulate(policy(DELAY), [record(0, unknown)])) == ["refused"]


# What a proposal of now is judged by


def test_what_was_allowed_was_spent_and_what_was_refused_was_not():
    rules = policy(DAILY)
    before = [record(-1), record(-2, decided="refused"), record(-3, decided=None), record(-30)]
    found = circumstances_after(rules, USDC_200, before, NOW)
    assert found.now == NOW
    assert found.spent == {("usdc|*", DAY): Spent(200_000_000, 1)}
    assert found.first_seen == {ACME: NOW - timedelta(hours=30)}
    assert decide(rules, USDC_200, found).outcome is Outcome.ALLOWED


def test_the_proposals_own_transaction_is_left_out_of_what_was_spent():
    mine = replace(USDC_200, transaction="t-1")
    found = circumstances_after(policy(DAILY), mine, [record(-1, mine)], NOW)
    assert found.spent == {("usdc|*", DAY): Spent()}


AGES = st.lists(st.integers(0, 60), max_size=12)


@given(AGES, st.integers(1, 5))
def test_no_window_ever_holds_more_than_its_limit(hours, count):
    rules = policy(f'[[limits]]\nper = "day"\ncount = {count}\n')
    found = simulate(rules, [record(hour) for hour in hours])
    allowed: list[datetime] = [e.record.at for e in found if e.decision.outcome is Outcome.ALLOWED]
    for end in allowed:
        inside = [at for at in allowed if end - timedelta(days=1) < at <= end]
        assert len(inside) <= count
    # And nothing is refused while there is room.
    for each in found:
        if each.decision.outcome is Outcome.REFUSED:
            at = each.record.at
            assert sum(at - timedelta(days=1) < was <= at for was in allowed) == count


def test_a_policy_without_limits_is_judged_the_same_way_alone():
    [found] = simulate(policy(), [record(0)])
    assert found.decision == judge(policy(), USDC_200)


def test_a_transaction_that_comes_again_with_more_spends_the_rest_once():
    ledger = Ledger()
    first, second = Reservation("a", 1, 1, ()), Reservation("b", 2, 1, ())
    for reservations in ((first,), (first, second), (first, second)):
        ledger.add(reservations, NOW, "t-1")
    assert {key: len(entries) for key, entries in ledger.entries.items()} == {"a": 1, "b": 1}


def test_a_recipient_nobody_can_know_was_never_seen():
    unknown = record(-1, proposal(payment(recipient=None)))
    assert circumstances_after(policy(), proposal(), [unknown], NOW).first_seen == {}
