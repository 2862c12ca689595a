"""How many others have to agree to a plan, whose word counts, and how a payout waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bursar.errors import PayoutError, PolicyViolation
from bursar.payouts.agreement import Agreement, Subject, Word, of_plan, of_transfers
from bursar.payouts.book import PAUSED, WAITING, Beginning, Payout, PayoutBook
from bursar.payouts.plan import Plan
from bursar.policy.model import Policy
from bursar.policy.rulebook import Rulebook
from bursar.transfers.feeding import RUNNING
from bursar.transfers.journal import Journal
from bursar.transfers.reading import Reading
from bursar.transfers.states import Event, EventKind
from tests.fakes.scripted_crossmint import Moments
from tests.unit.payouts.payroll import ADA, CLOSED, GRACE, csv_of, planned
from tests.unit.payouts.test_foresight import BASIC

AWS = "arn:aws:iam::111122223333"
BEGAN = f"{AWS}:user/payroll"
SESSION = "arn:aws:sts::111122223333:assumed-role/treasurer/laptop"
OTHER_SESSION = "arn:aws:sts::111122223333:assumed-role/treasurer/phone"
NOW = Moments().now
USERS = "email:ada@example.com"


def rule(approvers: int, above: str, *names: str, within: str = "8h") -> str:
    by = ", ".join(f'"{AWS}:{name}"' for name in names)
    return (
        f'[[approvals]]\ntoken = "usdc"\nabove = "{above}"\napprovers = {approvers}\n'
        f'by = [{by}]\nwithin = "{within}"\n'
    )


LARGE = rule(1, "5.00", "user/ada", "user/grace", "role/treasurer", "user/payroll")
HUGE = rule(2, "100.00", "user/ada", "user/grace", "role/treasurer")


def policy(*more: str) -> Policy:
    return Rulebook.read(BASIC + "".join(more)).policy


def plan_of(*lines: tuple[str, str], kind: str = "direct") -> Plan:
    rows = [f"p-{n},{to},{amount},{kind}" for n, (to, amount) in enumerate(lines)]
    return planned(csv_of(*rows, header="id,recipient,amount,type"))


def agreement(plan: Plan, *more: str, batch: int = 1, by: str = BEGAN) -> Agreement:
    return Agreement(policy(*more), Subject(plan.hash, plan.chain, by), of_plan(plan, batch))


SMALL = plan_of((ADA, "4.00"), (GRACE, "3.00"))
MIXED = plan_of((ADA, "4.00"), (GRACE, "6.00"), (CLOSED, "150.00"))


def test_the_line_that_needs_most_says_how_many_have_to_agree():
    assert agreement(MIXED, LARGE, HUGE).approvers == 2
    assert agreement(MIXED, LARGE).approvers == 1
    assert agreement(SMALL, LARGE, HUGE).approvers == 0
    assert agreement(MIXED).approvers == 0


def test_what_goes_into_one_transaction_is_added_up():
    assert agreement(SMALL, LARGE, batch=1).approvers == 0
    assert agreement(SMALL, LARGE, batch=2).approvers == 1
    regulated = plan_of((ADA, "4.00"), (GRACE, "3.00"), kind="regulated")
    assert agreement(regulated, LARGE, batch=2).approvers == 0
    users = plan_of((USERS, "4.00"), (USERS, "3.00"))
    assert agreement(users, LARGE, batch=2).approvers == 0


def test_batches_reach_no_further_than_the_parts_that_are_written_at_once():
    plan = plan_of(*[(ADA, "1.00")] * 503)
    sizes = [len(each) for each in of_plan(plan, 90)]
    assert sizes == [90] * 5 + [50, 3]


def test_those_whom_the_rules_name_may_agree_but_for_whoever_began_it():
    assert agreement(MIXED, LARGE).named == {
        f"{AWS}:user/ada",
        f"{AWS}:user/grace",
        f"{AWS}:role/treasurer",
    }
    assert agreement(SMALL, LARGE).named == set()


def test_a_word_counts_once_for_each_identity_whatever_the_session():
    found = agreement(MIXED, HUGE)
    words = [Word(SESSION, NOW), Word(OTHER_SESSION, NOW)]
    assert found.missing([], NOW) == 2
    assert found.missing(words, NOW) == 1
    assert found.missing([*words, Word(f"{AWS}:user/ada", NOW)], NOW) == 0


def test_a_word_counts_for_as_long_as_its_rule_says():
    found, words = agreement(MIXED, LARGE), [Word(f"{AWS}:user/ada", NOW)]
    assert found.missing(words, NOW + timedelta(hours=8) - timedelta(seconds=1)) == 0
    assert found.missing(words, NOW + timedelta(hours=8)) == 1


def test_a_clock_that_is_ahead_makes_no_word_count_less():
    ahead = [Word(f"{AWS}:user/ada", NOW + timedelta(seconds=30))]
    assert agreement(MIXED, LARGE).missing(ahead, NOW) == 0


def test_each_rule_wants_its_own_people():
    first, second = rule(1, "5.00", "user/ada"), rule(1, "5.00", "user/grace")
    found = agreement(MIXED, first, second)
    assert found.approvers == 1
    assert found.missing([Word(f"{AWS}:user/ada", NOW)], NOW) == 1
    assert found.missing([Word(f"{AWS}:user/{who}", NOW) for who in ("ada", "grace")], NOW) == 0


@pytest.mark.parametrize(
    ("who", "by", "why"),
    [
        (BEGAN, BEGAN, "nobody approves their own request"),
        (SESSION, OTHER_SESSION, "nobody approves their own request"),
        (f"{AWS}:user/mallory", BEGAN, "approvers are those the approval rules name"),
        ("root@laptop", BEGAN, "a known IAM user or role approves a known one's request"),
        (f"{AWS}:user/ada", "ada@laptop", "a known IAM user or role approves a known one's"),
    ],
)
def test_a_word_that_would_not_count_is_refused(who, by, why):
    with pytest.raises(PolicyViolation, match=why) as refused:
        agreement(MIXED, LARGE, by=by).require(who, [], NOW)
    assert refused.value.hint


def test_the_refusal_says_who_may():
    with pytest.raises(PolicyViolation) as refused:
        agreement(MIXED, rule(1, "5.00", "user/ada")).require(f"{AWS}:user/mallory", [], NOW)
    assert refused.value.hint == f"it takes the word of one of: {AWS}:user/ada"


def test_a_word_is_given_once_until_it_is_too_old():
    words = [Word(SESSION, NOW)]
    with pytest.raises(PayoutError, match="agreed to it already"):
        agreement(MIXED, HUGE).require(OTHER_SESSION, words, NOW)
    agreement(MIXED, HUGE).require(OTHER_SESSION, words, NOW + timedelta(hours=8))


def test_a_word_that_is_too_old_for_one_rule_alone_may_be_given_anew():
    short = rule(1, "100.00", "user/ada", within="1h")
    found, words = agreement(MIXED, LARGE, short), [Word(f"{AWS}:user/ada", NOW)]
    with pytest.raises(PayoutError, match="agreed to it already"):
        found.require(f"{AWS}:user/ada", words, NOW + timedelta(minutes=59))
    found.require(f"{AWS}:user/ada", words, NOW + timedelta(hours=2))


def test_where_the_policy_asks_nobody_any_more_those_it_named_before_may_agree():
    found, before = agreement(MIXED), frozenset({f"{AWS}:user/ada"})
    found.require(f"{AWS}:user/ada", [], NOW, before)
    with pytest.raises(PayoutError, match="agreed to it already"):
        found.require(f"{AWS}:user/ada", [Word(f"{AWS}:user/ada", NOW)], NOW, before)
    with pytest.raises(PolicyViolation, match="approvers are those"):
        found.require(f"{AWS}:user/grace", [], NOW, before)
    with pytest.raises(PolicyViolation, match="their own"):
        found.require(BEGAN, [], NOW, before | {BEGAN})


# In the journal


class Desk:
    """A payout in a journal, and a clock that is moved."""

    def __init__(self, journal: Journal, clock: Moments) -> None:
        self.book, self.clock = PayoutBook(journal), clock

    def begin(self, plan: Plan, *more: str, batch: int = 1) -> Payout:
        found = agreement(plan, *more, batch=batch)
        return self.book.begin(plan, Beginning("p", BEGAN, batch, found.approvers, found.named))

    def by(self, payout: Payout, *more: str) -> Agreement:
        subject = Subject(payout.hash, payout.header["chain"], payout.began_by)
        paid = of_transfers(self.book.transfers(payout), Reading())
        return Agreement(policy(*more), subject, paid)

    def approve(self, payout: Payout, who: str, *more: str) -> Payout:
        return self.book.approve(payout, who, self.by(payout, *more))

    def recount(self, payout: Payout, *more: str) -> Payout:
        return self.book.recount(payout, self.by(payout, *more))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Moments()
    with Journal.open(tmp_path / "journal.sqlite3", clock) as journal:
        yield Desk(journal, clock)


def test_a_payout_runs_once_enough_have_agreed(desk):
    payout = desk.begin(MIXED, HUGE)
    assert (payout.state, payout.approvals_missing) == (WAITING, 2)
    payout = desk.approve(payout, f"{AWS}:user/ada", HUGE)
    assert (payout.state, payout.approvals_missing) == (WAITING, 1)
    payout = desk.approve(payout, SESSION, HUGE)
    assert (payout.state, payout.approvals_missing) == (RUNNING, 0)
    assert [each["by"] for each in payout.approvals] == [f"{AWS}:user/ada", SESSION]


def test_a_refused_word_is_not_written_down(desk):
    payout = desk.begin(MIXED, LARGE)
    for who in (BEGAN, f"{AWS}:user/mallory"):
        with pytest.raises(PolicyViolation):
            desk.approve(payout, who, LARGE)
    kept = desk.book.named("p")
    assert (kept.state, kept.approvals) == (WAITING, [])


def test_nobody_agrees_to_what_waits_for_nobody(desk):
    payout = desk.begin(SMALL, LARGE)
    assert payout.state == RUNNING
    with pytest.raises(PayoutError, match="waits for nobody"):
        desk.approve(payout, f"{AWS}:user/ada", LARGE)


def test_the_journal_s_batches_are_added_up_as_the_plan_s_are(desk):
    payout = desk.begin(SMALL, LARGE, batch=2)
    assert (payout.state, desk.by(payout, LARGE).approvers) == (WAITING, 1)
    assert desk.approve(payout, f"{AWS}:user/ada", LARGE).state == RUNNING


def test_a_stricter_policy_asks_more_as_an_approval_is_given(desk):
    payout = desk.begin(MIXED, LARGE)
    payout = desk.approve(payout, f"{AWS}:user/ada", LARGE, HUGE)
    assert (payout.state, payout.approvals_missing, payout.approvers) == (WAITING, 1, 2)
    assert desk.approve(payout, f"{AWS}:user/grace", LARGE, HUGE).state == RUNNING


def test_a_laxer_policy_asks_no_less_than_was_asked_for(desk):
    payout = desk.begin(MIXED, HUGE)
    payout = desk.approve(payout, f"{AWS}:user/ada", LARGE)
    assert (payout.state, payout.approvals_missing) == (WAITING, 1)
    assert desk.recount(payout) == payout
    assert desk.approve(payout, f"{AWS}:user/grace").state == RUNNING


def test_a_stricter_policy_stops_what_goes_on_until_others_agree(desk):
    payout = desk.recount(desk.begin(MIXED), LARGE)
    assert (payout.state, payout.approvals_missing) == (WAITING, 1)
    assert desk.approve(payout, f"{AWS}:user/ada", LARGE).state == RUNNING


def test_what_was_put_back_meanwhile_is_handed_out_again(desk):
    payout = desk.begin(MIXED)
    first, second, _ = desk.book.transfers(payout)
    for each in (first, second):
        desk.book.journal.mark_fed(each)
    desk.book.journal.append(first, Event(EventKind.CREATED, {"transaction": "tx-1"}))
    desk.approve(desk.recount(payout, LARGE), f"{AWS}:user/ada", LARGE)
    turns = {each.id: each.turn for each in desk.book.transfers(payout)}
    assert (turns[first.id], turns[second.id]) == (first.turn, second.turn + 1)


def test_what_is_over_needs_no_consent(desk):
    payout = desk.begin(MIXED)
    for each in list(desk.book.transfers(payout))[1:]:
        desk.book.journal.append(each, Event(EventKind.CANCELLED, {"reason": "not needed"}))
    assert desk.recount(payout, LARGE, HUGE) == payout


def test_a_word_that_is_too_old_is_asked_for_again_as_the_payout_goes_on(desk):
    payout = desk.approve(desk.begin(MIXED, LARGE), f"{AWS}:user/ada", LARGE)
    desk.clock.forward(8 * 3600)
    payout = desk.recount(payout, LARGE)
    assert (payout.state, payout.approvals_missing) == (WAITING, 1)
    payout = desk.approve(payout, f"{AWS}:user/ada", LARGE)
    assert (payout.state, len(payout.approvals)) == (RUNNING, 1)


def test_a_paused_payout_stays_paused_where_enough_have_agreed(desk):
    payout = desk.approve(desk.begin(MIXED, LARGE), f"{AWS}:user/ada", LARGE)
    paused = desk.book.pause(payout)
    assert desk.recount(paused, LARGE).state == PAUSED
    assert desk.recount(paused, LARGE, HUGE).state == WAITING


def test_a_payout_that_is_over_is_not_counted_again(desk):
    payout, _ = desk.book.cancel(desk.begin(MIXED), "the test", lambda _transfer: False)
    assert desk.recount(payout, LARGE) == payout
