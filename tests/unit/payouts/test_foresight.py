from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.ledger.pages import Seen, Taken
from bursar.ledger.receipts import Head
from bursar.payouts.foresight import Expected, Foresight, Situation, foresee
from bursar.payouts.plan import Plan
from bursar.policy.decision import Outcome, Reservation
from bursar.policy.proposal import Kind, Payment, Proposal, Spent
from bursar.policy.records import Record
from bursar.policy.rulebook import Rulebook
from bursar.policy.simulation import simulate
from tests.unit.payouts.payroll import ADA, CLOSED, GRACE, USDC, csv_of, planned

AWS = "arn:aws:iam::111122223333"
PAYROLL = "arn:aws:sts::111122223333:assumed-role/payroll/ci-1"
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY = 86_400
USERS = "email:ada@example.com"
BASIC = f"""
version = 3
[chains.base-sepolia]
fee_at_most = "0.002"
[tokens.usdc]
locators = ["base-sepolia:{USDC}"]
decimals = 6
per_transfer = "1000.00"
[recipients.allow]
ada = "{ADA}"
grace = "{GRACE}"
[callers]
allow = ["{AWS}:role/payroll"]
"""
DAILY = '[[limits]]\nper = "day"\ntoken = "usdc"\namount = "500"\n'
EACH = '[[limits]]\nper = "day"\ntoken = "usdc"\neach_recipient = true\namount = "100"\n'
APPROVALS = f'[[approvals]]\napprovers = 2\nby = ["{AWS}:user/a", "{AWS}:user/b"]\ntoken = "usdc"\nabove = "300"\n'


def rules(more: str = "") -> Rulebook:
    return Rulebook.read(BASIC + more)


def situation(**changes: Any) -> Situation:
    usual: dict[str, Any] = {"now": NOW, "caller": PAYROLL, "fee": 10**15, "spent": nothing}
    return Situation(**usual | changes)


def nothing(needed: tuple[Reservation, ...]) -> Mapping[tuple[str, int], Spent]:
    return {(each.key, bound.seconds): Spent() for each in needed for bound in each.bounds}


def plan_of(*amounts: str, to: tuple[str, ...] = (ADA, GRACE)) -> Plan:
    return planned(
        csv_of(*(f"p-{n},{to[n % len(to)]},{amount}" for n, amount in enumerate(amounts)))
    )


def expected(found: Foresight) -> list[str]:
    return [each.expected.value for each in found.lines]


def test_a_plan_within_the_policy_passes():
    found = foresee(plan_of("1", "2"), rules(DAILY), situation())
    assert expected(found) == ["allowed", "allowed"]
    assert found.summary == ("all 2 lines pass",)
    assert found.policy_hash == rules(DAILY).hash
    assert foresee(plan_of("1"), rules(), situation()).summary == ("the line passes",)


def test_windows_fill_along_the_file_and_what_is_refused_takes_nothing():
    found = foresee(plan_of("200", "250", "100", "50", "0.000001"), rules(DAILY), situation())
    assert expected(found) == ["allowed", "allowed", "refused", "allowed", "refused"]
    third = found.lines[2]
    assert (third.line, third.rule) == (4, "limits[usdc, 1 day]")
    assert (third.value, third.limit) == ("550 usdc with this one", "at most 500 usdc")
    assert found.summary == (
        "lines 2 to 3 pass",
        "3 of 5 lines pass",
        f"line 4 is the first that {third.rule} refuses: {third.value}; {third.limit} (2 lines)",
    )


def test_what_the_ledger_says_was_spent_counts_and_is_looked_up_once():
    taken = Taken(NOW - timedelta(hours=1), "0x1", {"usdc|*": (300_000_000, 1)})
    seen = Seen(NOW, Head(1, "0" * 64), taken=(taken,))
    asked: list[str] = []

    def spent(needed: tuple[Reservation, ...]) -> Mapping[tuple[str, int], Spent]:
        asked.extend(each.key for each in needed)
        return seen.spent(needed, "")

    found = foresee(plan_of("100", "100", "100"), rules(DAILY), situation(spent=spent))
    assert expected(found) == ["allowed", "allowed", "refused"]
    assert asked == ["usdc|*"]


def test_each_recipient_has_a_window_of_their_own():
    found = foresee(plan_of("60", "60", "60", "40"), rules(EACH), situation())
    assert expected(found) == ["allowed", "allowed", "refused", "allowed"]


def test_what_waits_for_approval_counts_as_if_it_were_paid():
    found = foresee(plan_of("400", "50", "100"), rules(DAILY + APPROVALS), situation())
    assert expected(found) == ["needs_approval", "allowed", "refused"]
    assert found.lines[0].approvals == 2
    assert found.summary[:2] == (
        "1 of 3 lines pass",
        "line 2 is the one that waits for 2 to approve: approvals[above 300 usdc]",
    )


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"caller": f"{AWS}:user/mallory"}, "callers.allow"),
        ({"fee": 2 * 10**15 + 1}, "chains.base-sepolia.fee_at_most"),
    ],
)
def test_the_caller_and_the_fee_are_judged_too(changes, rule):
    found = foresee(plan_of("1", "2"), rules(), situation(**changes))
    assert [each.rule for each in found.lines] == [rule, rule]
    assert found.summary[0] == "0 of 2 lines pass"
    assert found.summary[1].startswith(f"line 2 is the first that {rule} refuses")


def test_who_is_not_listed_is_refused_by_the_rule_s_name():
    found = foresee(plan_of("1", to=(CLOSED,)), rules(), situation())
    assert (expected(found), found.lines[0].rule) == (["refused"], "recipients.allow")


def test_a_recipient_has_to_be_known_as_long_as_the_policy_says():
    text = BASIC.replace(
        "[recipients.allow]", '[recipients]\nnew_delay = "24h"\n[recipients.allow]'
    )
    known = {ADA.lower(): NOW - timedelta(days=2)}
    found = foresee(plan_of("1", "2"), Rulebook.read(text), situation(first_seen=known))
    assert expected(found) == ["allowed", "refused"]
    assert found.lines[1].rule == "recipients.new_delay"


def test_a_user_whose_address_is_not_known_is_neither_allowed_nor_refused():
    found = foresee(plan_of("90", "90", to=(USERS,)), rules(EACH), situation())
    assert expected(found) == ["not_known", "not_known"]
    assert found.summary[0] == "0 of 2 lines pass"
    assert found.summary[1].startswith("line 2 is the first whose recipient's address is not known")
    assert found.summary[1].endswith("so recipients.allow cannot be judged (2 lines)")
    told = foresee(plan_of("90", "90", to=(USERS,)), rules(EACH), situation(addresses={USERS: ADA}))
    assert expected(told) == ["allowed", "refused"]


def test_what_is_not_known_of_the_recipient_does_not_hide_another_refusal():
    found = foresee(plan_of("400", "400", to=(USERS,)), rules(DAILY), situation())
    assert expected(found) == ["not_known", "refused"]


def test_what_nobody_could_tell_is_said():
    found = foresee(plan_of("400"), rules(DAILY), Situation(NOW, PAYROLL))
    assert expected(found) == ["allowed"]
    assert found.summary[1:] == (
        "what was spent before is not known here, and is taken as nothing",
        "fees are not known here, and are taken as nothing",
    )


def test_where_nobody_knows_who_asks_it_is_taken_as_one_who_may():
    found = foresee(plan_of("400"), rules(DAILY), situation(caller=None))
    assert expected(found) == ["allowed"]
    assert found.summary[1:] == ("who asks is not known here, and is taken as one who may",)


def test_since_when_somebody_is_known_is_not_judged_without_the_ledger():
    text = BASIC.replace(
        "[recipients.allow]", '[recipients]\nnew_delay = "24h"\n[recipients.allow]'
    )
    found = foresee(plan_of("1", "2000"), Rulebook.read(text), situation(spent=None))
    assert expected(found) == ["not_known", "refused"]
    assert found.summary[1] == (
        "line 2 is the one whose recipient may be new to the ledger, "
        "so recipients.new_delay cannot be judged"
    )


def test_very_large_sums_are_no_trouble():
    most = str((2**256 - 1) // 10**6)
    text = BASIC.replace('"1000.00"', f'"{most}"') + DAILY.replace('"500"', f'"{most}"')
    text += APPROVALS.replace('"300"', '"1"')
    found = foresee(plan_of(most), Rulebook.read(text), situation())
    assert expected(found) == ["needs_approval"]


AMOUNTS = st.lists(st.integers(1, 600_000_000), min_size=1, max_size=12)


@given(AMOUNTS)
def test_it_is_what_the_policy_s_own_simulation_says_of_the_same_payments(amounts):
    """Where nothing waits and everybody is known, the two are one."""
    texts = [f"{units // 10**6}.{units % 10**6:06}" for units in amounts]
    plan, book = plan_of(*texts), rules(DAILY + EACH)
    records = [
        Record(
            NOW,
            Proposal(
                Kind.TRANSFER,
                chain="base-sepolia",
                payments=(Payment(None, USDC, line.units, line.recipient.address),),
                calls=1,
                fee_at_most=10**15,
                requested_by=PAYROLL,
            ),
            Outcome.ALLOWED,
        )
        for line in plan.lines
    ]
    simulated = simulate(book.policy, records)
    found = foresee(plan, book, situation())
    assert expected(found) == [each.decision.outcome.value for each in simulated]
    assert found.count(Expected.ALLOWED) + found.count(Expected.REFUSED) == len(amounts)


def test_ten_thousand_lines_are_gone_through_in_one_go():
    found = foresee(plan_of(*["0.1"] * 10_000), rules(DAILY + EACH), situation())
    assert found.count(Expected.ALLOWED) == 2_000
    assert found.summary[0] == "lines 2 to 2001 pass"
