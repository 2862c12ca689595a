from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bursar.policy.document import read_document, read_policy
from bursar.policy.draft import Draft
from bursar.policy.lint import lint
from bursar.review.chains import CHAINS
from bursar.review.tokens import DECIMALS

ADA = "0x1111111111111111111111111111111111111111"
USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
PAYROLL = "arn:aws:iam::111122223333:role/payroll"
DRAFT = Draft(
    "base-sepolia",
    "usdc",
    f"base-sepolia:{USDC}",
    6,
    "50.00",
    "100.00",
    recipients={"ada": ADA},
    callers=[PAYROLL],
)


def test_a_draft_is_a_policy_that_says_what_was_asked_for_and_nothing_else():
    found = read_policy(DRAFT.text)
    assert found.recipients.allow == {ADA: "ada"}
    assert found.callers.allow == {PAYROLL}
    assert found.tokens["usdc"].per_transfer == 50_000_000
    assert [(each.seconds, each.amount) for each in found.limits] == [
        (86_400, 100_000_000),
        (86_400, None),
    ]
    assert found.allow == frozenset()
    assert found.wallet_factories == frozenset()
    document = read_document(DRAFT.text)
    assert lint(document, chains=CHAINS, decimals=DECIMALS) == ()


def test_a_draft_names_further_wallet_factories():
    found = read_policy(replace(DRAFT, wallet_factories=[USDC]).text)
    assert found.wallet_factories == {USDC.lower()}


def test_a_wrong_factory_is_named_with_its_line():
    [error] = read_document('version = 1\nwallet_factories = ["0x12"]').errors
    assert error.line == 2


@given(st.text(min_size=1, max_size=30))
def test_any_name_of_a_recipient_stays_a_name(name):
    document = read_document(replace(DRAFT, recipients={name: ADA}).text)
    if document.policy is not None:
        assert set(document.policy.recipients.allow) == {ADA}
        assert document.policy.callers.allow == {PAYROLL}


def doubts(text: str) -> list[tuple[str, str]]:
    found = lint(read_document(text), chains=CHAINS, decimals=DECIMALS)
    return [(each.severity, each.message) for each in found]


def test_other_decimals_than_a_known_token_has_are_an_error():
    [(severity, message)] = doubts(DRAFT.text.replace("decimals = 6", "decimals = 12"))
    assert severity == "error"
    assert "has 6 decimals, not 12" in message


def test_a_policy_that_never_ends_small_payments_is_doubted():
    found = doubts(DRAFT.text.replace("count = 100", 'amount = "200.00"\ntoken = "usdc"'))
    assert (
        "warning",
        "nothing limits how many payments there are: small ones, each with its fee, never end",
    ) in found


def test_a_token_without_a_contract_that_is_no_coin_is_doubted():
    text = replace(DRAFT, token="dai", locator="base-sepolia:dai", decimals=18).text
    assert (
        "warning",
        "on base-sepolia dai has no contract, so it is the chain's own coin",
    ) in doubts(text)
    assert doubts(replace(DRAFT, token="eth", locator="base-sepolia:eth", decimals=18).text) == []
