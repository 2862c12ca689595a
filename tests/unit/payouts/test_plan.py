from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.crossmint.locators import RecipientLocator, TokenLocator, WalletLocator
from bursar.errors import PlanChanged
from bursar.payouts.lines import Line
from bursar.payouts.plan import Plan, canonical, require_same, totals_of
from bursar.review.intent import Token
from bursar.review.tokens import KNOWN
from bursar.transfers.intent import TransferType
from bursar.transfers.reading import Reading
from tests.unit.payouts.payroll import (
    ADA,
    GRACE,
    HEADER,
    USDC,
    WALLET,
    csv_of,
    planned,
    problems,
    warned,
)

USDC_TOKEN = KNOWN["base-sepolia:usdc"]
ETH = Token(None, "ETH", 18)
READING = Reading.of(tokens={"base-sepolia:eth": ETH})
LINES = (f"p-1,{ADA},25.00", f"p-2,{GRACE},0.5")


def test_an_id_comes_once():
    body = csv_of(f"p-1,{ADA},25", f"p-2,{GRACE},1", f"p-1,{ADA},25", f"p-1,{GRACE},3")
    assert problems(body) == [
        (4, "id", "line 2 has the same id"),
        (5, "id", "line 2 has the same id"),
    ]


def test_payments_that_look_like_one_made_twice_are_warned_of():
    body = csv_of(
        f"p-1,{ADA},25", f"p-2,{ADA},25.00", f"p-3,{ADA},26", f"p-4,{GRACE},25", f"p-5,{ADA},26.0"
    )
    assert warned(planned(body)) == [
        (3, "", "it pays the same amount to the same recipient as line 2"),
        (4, "recipient", "line 2 pays the same recipient"),
        (6, "", "it pays the same amount to the same recipient as line 4"),
    ]


def test_the_same_count_of_another_token_is_another_payment():
    body = csv_of(f"p-1,{ADA},1000000000000,usdc", f"p-2,{ADA},1,eth", header=f"{HEADER},token")
    plan = planned(body, reading=READING)
    assert [each.units for each in plan.lines] == [10**18, 10**18]
    assert warned(plan) == [(3, "recipient", "line 2 pays the same recipient")]


def test_totals_are_by_contract_whatever_the_token_is_called():
    body = csv_of(
        f"p-1,{ADA},25.00,usdc",
        f"p-2,{GRACE},1.5,eth",
        f"p-3,{GRACE},0.000001,{USDC}",
        f"p-4,{GRACE},7,",
        header=f"{HEADER},token",
    )
    plan = planned(body, reading=READING)
    assert [(each.name, each.count, each.text) for each in plan.totals] == [
        ("USDC", 3, "32.000001"),
        ("ETH", 1, "1.5"),
    ]


def test_amounts_that_add_up_to_more_than_a_chain_can_count_are_refused():
    most = str(2**256 - 1)
    whole, rest = most[:-6], most[-6:]
    body = csv_of(f"p-1,{ADA},{whole}.{rest}", f"p-2,{GRACE},0.000001")
    assert problems(body) == [(0, "amount", "the amounts of USDC add up to more than 256 bits")]
    assert planned(csv_of(f"p-1,{ADA},{whole}.{rest}")).totals[0].units == 2**256 - 1


def test_the_hash_is_that_of_the_canonical_form_and_stays_what_it_is():
    plan = planned(csv_of(*LINES))
    assert plan.hash == f"sha256:{hashlib.sha256(canonical(plan)).hexdigest()}"
    assert plan.hash == ("sha256:9eb554ad201d91ea876b4605844497acac8c8eebdd30df88b92dfc1de4d8a22a")
    assert json.loads(canonical(plan)) == {
        "format": "bursar.payout/1",
        "wallet": {
            "locator": "evm:smart:alias:treasury",
            "address": WALLET,
            "chain": "base-sepolia",
        },
        "lines": [
            {
                "id": own_id,
                "recipient": recipient,
                "token": "base-sepolia:usdc",
                "contract": USDC,
                "decimals": 6,
                "units": units,
                "type": "regulated-transfer",
                "note": "",
            }
            for own_id, recipient, units in (("p-1", ADA, "25000000"), ("p-2", GRACE, "500000"))
        ],
    }


@pytest.mark.parametrize(
    "other",
    [
        csv_of(*reversed(LINES)),
        csv_of(*LINES[:1]),
        csv_of(*LINES, f"p-3,{GRACE},0.5"),
        csv_of(f"p-1,{ADA},25.000001", LINES[1]),
        csv_of(f"p-9,{ADA},25", LINES[1]),
        csv_of(f"p-1,{GRACE},25", LINES[1]),
        csv_of(f"{LINES[0]},direct", f"{LINES[1]},", header=f"{HEADER},type"),
        csv_of(f"{LINES[0]},{USDC}", f"{LINES[1]},", header=f"{HEADER},token"),
        csv_of(f"{LINES[0]},hello", f"{LINES[1]},", header=f"{HEADER},note"),
    ],
    ids=["order", "fewer", "more", "amount", "id", "recipient", "type", "token", "note"],
)
def test_whatever_is_paid_otherwise_is_another_hash(other):
    assert planned(other).hash != planned(csv_of(*LINES)).hash


@pytest.mark.parametrize(
    "same",
    [
        csv_of(f"p-1,{ADA.lower()},25", f"p-2,{GRACE},0.500000"),
        csv_of("", *LINES, ""),
        csv_of(f"25,{ADA},p-1,z", f"0.5,{GRACE},p-2,z", header="amount,recipient,id,x_own"),
    ],
    ids=["spelling", "empty lines", "columns"],
)
def test_how_it_is_written_makes_no_other_hash(same):
    assert planned(same).hash == planned(csv_of(*LINES)).hash


def test_another_wallet_or_treasury_is_another_hash():
    plan = planned(csv_of(*LINES))
    hashes = {
        plan.hash,
        replace(plan, address=GRACE).hash,
        replace(plan, wallet=WalletLocator.treasury("other")).hash,
        replace(plan, chain="base").hash,
    }
    assert len(hashes) == 4


def test_a_plan_that_was_agreed_to_is_the_one_that_runs():
    plan = planned(csv_of(*LINES))
    require_same(plan, plan.hash)
    with pytest.raises(PlanChanged, match="was agreed to"):
        require_same(planned(csv_of(*LINES[:1])), plan.hash)


TEXTS = st.text('ab,":{}[]\\\n é', max_size=4)
ADDRESSES = st.sampled_from([ADA, GRACE])
TOKENS = st.sampled_from(
    [
        (TokenLocator.parse("base-sepolia:usdc"), USDC_TOKEN),
        (TokenLocator.parse(f"base-sepolia:{USDC}"), USDC_TOKEN),
        (TokenLocator.parse("base-sepolia:eth"), ETH),
    ]
)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    token, meant = draw(TOKENS)
    return Line(
        draw(st.integers(1, 9)),
        draw(TEXTS),
        RecipientLocator(draw(ADDRESSES)),
        token,
        meant,
        draw(st.integers(1, 12) | st.integers(1, 2**200)),
        draw(st.sampled_from(TransferType)),
        draw(TEXTS),
    )


PLANS = st.builds(
    Plan,
    st.sampled_from([WalletLocator.treasury(each) for each in ("a", "b")]),
    ADDRESSES,
    st.sampled_from(["base", "base-sepolia"]),
    st.lists(lines(), max_size=3).map(tuple),
)


def meaning(plan: Plan) -> tuple[object, ...]:
    """All that a plan pays, as values."""
    numberless = tuple(replace(line, number=0) for line in plan.lines)
    return plan.wallet, plan.address, plan.chain, numberless


@given(PLANS, PLANS)
def test_two_plans_have_one_canonical_form_only_where_they_pay_the_same(one, other):
    assert (canonical(one) == canonical(other)) == (meaning(one) == meaning(other))


@given(PLANS)
def test_the_canonical_form_is_ascii_and_says_all_there_is(plan):
    told = json.loads(canonical(plan).decode("ascii"))
    assert [each["units"] for each in told["lines"]] == [str(each.units) for each in plan.lines]
    assert [each["note"] for each in told["lines"]] == [each.note for each in plan.lines]


@given(st.lists(lines(), max_size=20))
def test_totals_are_the_exact_sums_and_count_every_line_once(found):
    totals = totals_of(found)
    assert sum(each.count for each in totals) == len(found)
    for each in totals:
        mine = [line.units for line in found if line.meant.contract == each.token.contract]
        assert (each.units, each.count) == (sum(mine), len(mine))
        assert isinstance(each.units, int)
