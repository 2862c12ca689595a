from __future__ import annotations

import pytest

from bursar.errors import PayoutError
from bursar.payouts.foresight import foresee
from bursar.payouts.funds import Need
from bursar.payouts.outlook import Outlook
from bursar.payouts.problems import Problem
from bursar.payouts.readiness import Readiness
from tests.unit.payouts.test_foresight import APPROVALS, DAILY, plan_of, rules, situation

PLAN = plan_of("400", "50", "100")
WAITING = foresee(PLAN, rules(DAILY + APPROVALS), situation())
ENOUGH = Need("USDC", 6, 550_000_000, 600_000_000)
SHORT = Need("USDC", 6, 550_000_000, 500_000_000)
NOT_KNOWN = Need("USDC", 6, 550_000_000, None)
READY = Readiness(
    3,
    (Problem(3, "recipient", "0x1", "it is no wallet of a registered user", "register the user"),),
    (Problem(2, "recipient", "0x2", "it is not known", "ask again"),),
)
WHOLE = Outlook(WAITING, (SHORT,), READY, ("what was spent before: nobody answers",))


def test_what_is_sure_to_stop_lines_comes_by_line_and_the_whole_file_first():
    assert [(each.line, each.what) for each in WHOLE.stops] == [
        (0, "USDC: 550 needed, 500 held, 50 are missing"),
        (3, "it is no wallet of a registered user"),
        (4, "limits[usdc, 1 day] refuses it: 550 usdc with this one; at most 500 usdc"),
    ]
    assert [each.line for each in WHOLE.findings] == [0, 2, 3, 4]


def test_the_summary_says_the_whole_in_a_few_sentences():
    assert WHOLE.summary == (
        f"by policy {WAITING.policy_hash[:20]}…: 1 of 3 lines pass",
        "line 2 is the one that waits for 2 to approve: approvals[above 300 usdc]",
        "line 4 is the one that limits[usdc, 1 day] refuses: 550 usdc with this one; at most 500 usdc",
        "USDC: 550 needed, 500 held, 50 are missing",
        "recipients: 3 asked about, 1 not registered",
        "left out: what was spent before: nobody answers",
    )


def test_as_json_it_has_everything():
    told = WHOLE.to_dict()
    assert told["balances"] == [{"token": "USDC", "needed": "550", "held": "500", "missing": "50"}]
    policy = told["policy"]
    assert (policy["allowed"], policy["needs_approval"], policy["refused"]) == (1, 1, 1)
    assert [(each["line"], each["expected"]) for each in policy["lines"]] == [
        (2, "needs_approval"),
        (4, "refused"),
    ]
    assert (told["recipients_asked"], told["sure"], len(told["findings"])) == (3, 3, 4)
    assert told["left_out"] == ["what was spent before: nobody answers"]


def test_what_is_sure_not_to_be_paid_whole_is_not_begun():
    with pytest.raises(PayoutError) as refused:
        WHOLE.require_clear()
    assert refused.value.message == (
        "not all of it can be paid: the file: USDC: 550 needed, 500 held, 50 are missing, "
        "and 2 more findings; nothing was begun"
    )
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("fund the wallet; ")
    assert "--despite-findings" in refused.value.hint


def test_what_waits_for_consent_or_is_not_known_is_no_reason_not_to_begin():
    waiting = foresee(plan_of("400"), rules(APPROVALS), situation())
    unsure = Readiness(1, (), READY.warnings)
    Outlook(waiting, (ENOUGH, NOT_KNOWN), unsure, ("everything else",)).require_clear()


def test_nothing_looked_at_is_nothing_found():
    nothing = Outlook()
    assert (nothing.findings, nothing.summary) == ((), ())
    assert nothing.to_dict()["policy"] is None
    nothing.require_clear()
