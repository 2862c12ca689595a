from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.policy.decision import Bound, Outcome, Reservation
from bursar.policy.model import LONGEST_WINDOW, Limit
from bursar.policy.proposal import Kind, Spend, Spent, spent_in
from bursar.policy.windows import windows
from tests.unit.policy.treasury import (
    ACME,
    DAY,
    HOUR,
    NOW,
    STRANGER,
    WIDGETS,
    judge,
    other,
    payment,
    policy,
    proposal,
    refusing,
    said,
)

DAILY = '[[limits]]\nper = "day"\ntoken = "usdc"\namount = "500"\n'
HOURLY = '[[limits]]\nper = "hour"\ncount = 3\n'
EACH = (
    '[[limits]]\nper = "week"\ntoken = "usdc"\neach_recipient = true\namount = "300"\ncount = 2\n'
)
COUNT_EACH = '[[limits]]\nper = "day"\neach_recipient = true\ncount = 1\n'
ACMES = '[[limits]]\nper = "day"\ntoken = "usdc"\nrecipient = "acme"\namount = "250"\n'


def entry(age: timedelta, amount: int = 1, transaction: str | None = None) -> Spend:
    return Spend(NOW - age, amount, transaction=transaction)


# What counts as spent


@pytest.mark.parametrize(
    ("age", "counts"),
    [
        (timedelta(0), True),
        (timedelta(seconds=DAY) - timedelta(microseconds=1), True),
        (timedelta(seconds=DAY), False),
        (timedelta(seconds=DAY) + timedelta(microseconds=1), False),
        (timedelta(seconds=-5), True),
    ],
)
def test_an_entry_leaves_the_window_exactly_when_it_is_as_old_as_the_window_is_long(age, counts):
    assert spent_in([entry(age, 7)], NOW, DAY) == Spent(7 * counts, 1 * counts)


def test_a_transaction_does_not_count_against_itself():
    entries = [entry(timedelta(0), 5, "a"), entry(timedelta(0), 7, "b"), entry(timedelta(0), 11)]
    assert spent_in(entries, NOW, DAY, but="a") == Spent(18, 2)
    assert spent_in(entries, NOW, DAY) == Spent(23, 3)
    assert spent_in(entries, NOW, DAY, but=None) == Spent(23, 3)


def test_an_entry_can_be_several_payments():
    assert spent_in([Spend(NOW, 5, 3), Spend(NOW, 6, 2)], NOW, 1) == Spent(11, 5)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 2**256))), st.integers(1, 100))
def test_a_window_is_the_sum_over_the_last_seconds_and_never_a_calendar(entries, seconds):
    kept = [amount for age, amount in entries if age < seconds]
    spent = [entry(timedelta(seconds=age), amount) for age, amount in entries]
    if sum(kept) < 2**256:
        assert spent_in(spent, NOW, seconds) == Spent(sum(kept), len(kept))


# What a transaction takes


def test_no_limits_no_windows():
    assert windows(policy(), proposal()) == ()


def test_a_reservation_says_key_amount_count_seconds_and_limit():
    assert windows(policy(DAILY), proposal()) == (
        Reservation(
            "usdc|*", 200_000_000, 1, (Bound(DAY, 500_000_000, None, "limits[usdc, 1 day]"),)
        ),
    )


def test_windows_over_the_same_things_share_one_reservation_whatever_their_length():
    weekly = DAILY.replace("day", "week").replace("500", "900")
    [found] = windows(policy(DAILY + weekly), proposal())
    assert (found.key, found.amount, found.count) == ("usdc|*", 200_000_000, 1)
    assert {bound.seconds: bound.amount for bound in found.bounds} == {
        DAY: 500_000_000,
        7 * DAY: 900_000_000,
    }


def test_windows_over_every_token_count_payments_and_no_amounts():
    [found] = windows(policy(HOURLY, calls_at_most=2), proposal(payment(), payment()))
    assert (found.key, found.amount, found.count) == ("*|*", 0, 2)
    assert found.bounds == (Bound(HOUR, None, 3, "limits[any token, 1 hour]"),)


def test_each_recipient_has_a_window_of_their_own():
    asked = proposal(payment(), payment(recipient=WIDGETS, amount=5), payment(amount=7))
    found = windows(policy(EACH), asked)
    assert [(each.key, each.amount, each.count) for each in found] == [
        (f"usdc|{ACME}", 200_000_007, 2),
        (f"usdc|{WIDGETS}", 5, 1),
    ]
    assert found[0].bounds[0].rule == "limits[usdc, each recipient, 1 week]"
    counted = windows(policy(COUNT_EACH), asked)
    assert [(each.key, each.amount, each.count) for each in counted] == [
        (f"*|{ACME}", 0, 2),
        (f"*|{WIDGETS}", 0, 1),
    ]


def test_one_recipients_own_limit_is_nobody_elses_and_shares_their_window():
    found = windows(policy(ACMES + EACH), proposal(payment(), payment(recipient=WIDGETS)))
    assert [(each.key, len(each.bounds)) for each in found] == [
        (f"usdc|{ACME}", 2),
        (f"usdc|{WIDGETS}", 1),
    ]
    assert {bound.rule for bound in found[0].bounds} == {
        "limits[usdc, acme, 1 day]",
        "limits[usdc, each recipient, 1 week]",
    }


def test_another_token_does_not_fill_a_tokens_window():
    coin = '[tokens.eth]\nlocators = ["base-sepolia:eth"]\ndecimals = 18\nper_transfer = "2"\n'
    paid = payment(token="base-sepolia:eth", contract=None, amount=9)
    assert windows(policy(coin + DAILY), proposal(paid)) == ()
    keys = [each.key for each in windows(policy(coin + DAILY + HOURLY), proposal(paid, payment()))]
    assert keys == ["*|*", "usdc|*"]


@pytest.mark.parametrize("kind", [Kind.BLIND_DIGEST, Kind.UNVERIFIABLE, Kind.SIGNER_CHANGE])
def test_what_is_no_transfer_counts_once_in_the_windows_over_everything(kind):
    rules = policy(DAILY + HOURLY + EACH + COUNT_EACH + ACMES)
    [found] = windows(rules, other(kind, payments=(payment(), payment())))
    assert (found.key, found.amount, found.count) == ("*|*", 0, 1)


ACMES_COUNT = '[[limits]]\nper = "day"\nrecipient = "acme"\ncount = 1\n'


@pytest.mark.parametrize("limit", [DAILY, EACH, COUNT_EACH, ACMES, ACMES_COUNT])
def test_what_is_no_transfer_is_in_no_window_over_something(limit):
    assert windows(policy(limit), other(Kind.BLIND_DIGEST)) == ()


def test_an_unknown_amount_takes_nothing_and_is_refused_elsewhere():
    [found] = windows(policy(DAILY), proposal(payment(amount=None)))
    assert (found.amount, found.count) == (0, 1)


# Whether there is room


@pytest.mark.parametrize(
    ("before", "outcome", "value"),
    [
        (0, "allowed", "200 usdc with this one"),
        (300_000_000, "allowed", "500 usdc with this one"),
        (300_000_001, "refused", "500.000001 usdc with this one"),
    ],
)
def test_an_amount_may_fill_the_window_to_the_unit(before, outcome, value):
    spent = {("usdc|*", DAY): Spent(before, 40)}
    decision = judge(policy(DAILY), proposal(), spent=spent)
    assert said(decision, "limits[usdc, 1 day]") == [(outcome, value, "at most 500 usdc")]


@pytest.mark.parametrize(
    ("before", "outcome", "value"),
    [
        (0, "allowed", "1 payment with this one"),
        (2, "allowed", "3 payments with this one"),
        (3, "refused", "4 payments with this one"),
    ],
)
def test_payments_may_fill_the_window_to_the_last_one(before, outcome, value):
    spent = {("*|*", HOUR): Spent(10**30, before)}
    decision = judge(policy(HOURLY), proposal(), spent=spent)
    assert said(decision, "limits[any token, 1 hour]") == [(outcome, value, "at most 3 payments")]


def test_both_halves_of_a_limit_hold_and_every_window_of_a_key_is_looked_up_by_its_own_length():
    key = f"usdc|{ACME}"
    full = judge(policy(EACH), proposal(), spent={(key, 7 * DAY): Spent(0, 2)})
    assert refusing(full) == ["limits[usdc, each recipient, 1 week]"]
    rules = policy(EACH + ACMES)
    spent = {(key, 7 * DAY): Spent(100_000_000, 1), (key, DAY): Spent(50_000_000, 1)}
    assert judge(rules, proposal(), spent=spent).outcome is Outcome.ALLOWED
    spent[key, DAY] = Spent(50_000_001, 1)
    assert refusing(judge(rules, proposal(), spent=spent)) == ["limits[usdc, acme, 1 day]"]


@pytest.mark.parametrize("known", [{}, {("usdc|*", DAY - 1): Spent()}, {("*|*", DAY): Spent()}])
def test_where_it_is_not_known_what_was_spent_it_is_refused(known):
    decision = judge(policy(DAILY), proposal(), spent=known)
    assert said(decision, "limits[usdc, 1 day]") == [
        ("refused", "what was spent under usdc|* is not known", "in 1 day")
    ]


def test_only_what_is_allowed_reserves():
    rules = policy(DAILY)
    assert judge(rules, proposal()).reservations == windows(rules, proposal())
    assert judge(rules, proposal(payment(recipient=STRANGER))).reservations == ()
    waits = policy(
        DAILY + '[[approvals]]\napprovers = 1\nby = ["arn:aws:iam::111122223333:user/ada"]'
    )
    decision = judge(waits, proposal())
    assert (decision.outcome, decision.reservations) == (Outcome.NEEDS_APPROVAL, ())


def test_no_window_is_longer_than_entries_are_kept():
    assert LONGEST_WINDOW == 31 * 24 * 60 * 60


def test_reservations_are_ordered_by_their_key_whatever_the_order_of_the_limits():
    rules = [Limit(DAY, "usdc", amount=1), Limit(DAY, count=1), Limit(DAY, recipient=ACME, count=1)]
    for limits in (rules, rules[::-1]):
        found = windows(policy(limits=tuple(limits)), proposal())
        assert [each.key for each in found] == ["*|*", f"*|{ACME}", "usdc|*"]
