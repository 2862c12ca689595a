"""Rolling windows of fees: what a chain's coin may lose in them, whatever is paid."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bursar.policy.document import read_document
from bursar.policy.draft import Draft
from bursar.policy.lint import lint
from bursar.policy.proposal import Kind, Spent
from bursar.policy.windows import limit_name, takes, windows
from bursar.policy.words import describe
from bursar.review.chains import CHAINS
from bursar.review.tokens import DECIMALS
from tests.unit.policy.treasury import judge, policy, proposal

FEES = '\n[[limits]]\nper = "day"\nfees_on = "base-sepolia"\namount = "0.005"\n'
KEY = "fees:base-sepolia|*"
DAY = 86_400
FEE = 10**15


def paying(**changes):
    return replace(proposal(), fee_at_most=FEE, **changes)


def rules():
    return policy(more=FEES)


def test_a_days_fees_are_counted_whatever_is_paid_and_refused_beyond_the_limit():
    [window] = [each for each in windows(rules(), paying()) if each.key == KEY]
    assert (window.amount, window.count) == (FEE, 0)
    room = judge(rules(), paying(), spent={(KEY, DAY): Spent(4 * FEE, 0)})
    assert room.refusals == ()
    [refused] = judge(rules(), paying(), spent={(KEY, DAY): Spent(4 * FEE + 1, 0)}).refusals
    assert refused.rule == "limits[fees on base-sepolia, 1 day]"
    assert refused.value == "0.005000000000000001 of its coin in fees with this one"
    assert refused.limit == "at most 0.005 of its coin in fees"


def test_fees_that_nobody_looked_up_refuse():
    [refused] = judge(rules(), paying(), spent={}).refusals
    assert "is not known" in refused.value


def test_fees_are_kept_under_every_policy_and_of_every_kind_that_has_one():
    assert takes(policy(), paying())[KEY] == (FEE, 0)
    assert takes(policy(), paying(kind=Kind.SIGNER_CHANGE))[KEY] == (FEE, 0)
    assert KEY not in takes(policy(), replace(proposal(), kind=Kind.BLIND_DIGEST, chain=None))


def test_another_chains_fees_are_another_window():
    assert all(each.key != KEY for each in windows(rules(), paying(chain="base")))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"base-sepolia"\namount', '"zora"\namount'), "there is no chain 'zora' in [chains]"),
        (('amount = "0.005"', ""), "amount is missing"),
        (('amount = "0.005"', 'amount = "0.005"\ncount = 3'), "unknown key 'count'"),
        (('amount = "0.005"', 'amount = "0.005"\ntoken = "usdc"'), "unknown key 'token'"),
    ],
)
def test_a_limit_of_fees_has_a_chain_and_an_amount_and_nothing_else(change, said):
    text = Draft("base-sepolia", "usdc", "base-sepolia:usdc", 18, "1", "1").text
    document = read_document(text + FEES.replace(*change))
    assert [each.message for each in document.errors] == [said]


def test_it_is_said_in_words_and_bounds_what_small_payments_cost():
    [limit] = (
        rules().limits
        if len(rules().limits) == 1
        else [each for each in rules().limits if each.fees_on]
    )
    assert limit_name(limit, rules()) == "limits[fees on base-sepolia, 1 day]"
    words = {each.rule: each.text for each in describe(rules())}
    assert words[limit_name(limit, rules())] == (
        "Fees on base-sepolia of at most 0.005 of its own coin in any day."
    )
    usdc = "base-sepolia:0x036CbD53842c5426634e7929541eC2318f3dCF7e"
    text = Draft(
        "base-sepolia",
        "usdc",
        usdc,
        6,
        "1",
        "1",
        callers=["arn:aws:iam::111122223333:role/a"],
        recipients={"a": "0x" + "11" * 20},
    ).text
    small = text.replace("count = 100", 'amount = "9"\ntoken = "usdc"')
    doubts = lint(read_document(small + FEES), chains=CHAINS, decimals=DECIMALS)
    assert not [each for each in doubts if "never end" in each.message]
