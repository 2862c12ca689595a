"""Which token a payment moves: the contract decides, a name alone only for the chain's own coin."""

from __future__ import annotations

import pytest

from bursar.policy.decision import Outcome
from bursar.policy.document import read_policy
from bursar.policy.tokens import token_name, totals
from tests.unit.policy.treasury import (
    OTHER_CONTRACT,
    USDC,
    judge,
    payment,
    policy,
    proposal,
)

COIN = """
[tokens.eth]
locators = ["base-sepolia:eth"]
decimals = 18
per_transfer = "2"
"""
# A mint on Solana: its letter case is part of it.
MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
SOLANA = f"""
[chains.solana]
fee_at_most = "1"
[tokens.usdc-solana]
locators = ["solana:{MINT}"]
decimals = 6
per_transfer = "5"
"""
NAMED = policy().tokens["usdc"].locators | {"base-sepolia:usdc"}


def test_a_token_with_a_contract_is_never_found_by_its_name_alone():
    text = f"""version = 1
[tokens.usdc]
locators = ["base-sepolia:{USDC}", "base-sepolia:usdc"]
decimals = 6
per_transfer = "1"
"""
    rules = read_policy(text)
    assert rules.tokens["usdc"].locators == NAMED
    paid = payment(contract=None, token="base-sepolia:usdc")
    assert token_name(rules, proposal(paid), paid) is None
    paid = payment(contract=USDC, token="base-sepolia:usdc")
    assert token_name(rules, proposal(paid), paid) == "usdc"


@pytest.mark.parametrize("name", ["eth", "ETH", "Eth"])
def test_a_chains_own_coin_is_known_by_its_name_in_any_letter_case(name):
    paid = payment(contract=None, token=f"base-sepolia:{name}", amount=10**18)
    assert token_name(policy(COIN), proposal(paid), paid) == "eth"
    assert judge(policy(COIN), proposal(paid)).outcome is Outcome.ALLOWED


def test_an_address_whose_letter_case_counts_is_compared_as_it_is():
    paid = payment(token=f"solana:{MINT}", contract=MINT)
    asked = proposal(paid, chain="solana")
    assert token_name(policy(SOLANA), asked, paid) == "usdc-solana"
    for token, contract in ((f"solana:{MINT.lower()}", MINT), (None, MINT.lower())):
        another = payment(token=token, contract=contract)
        assert token_name(policy(SOLANA), asked, another) is None


def test_an_unknown_amount_adds_nothing_to_the_total():
    asked = proposal(payment(), payment(amount=None), payment(amount=0))
    assert totals(policy(), asked) == {"usdc": 200_000_000}
    assert totals(policy(), proposal(payment(contract=OTHER_CONTRACT))) == {}
