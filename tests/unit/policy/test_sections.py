"""Each section of a file: what it must have, what it may hold, and where each range ends."""

from __future__ import annotations

import pytest

from bursar.policy.document import Document, read_document, read_policy
from bursar.policy.findings import Finding
from bursar.policy.model import ApprovalRule, Callers, Limit, Policy, Recipients
from bursar.policy.places import Places
from tests.unit.policy.treasury import (
    ACME,
    ADA,
    BASIC,
    DAY,
    USDC,
    WIDGETS,
    findings,
    policy,
)

SECTIONS = {
    "chains": {"": "[chains.base-sepolia]", "fee_at_most": '"1"'},
    "tokens": {
        "": "[tokens.usdc]",
        "locators": '["base-sepolia:usdc"]',
        "decimals": "6",
        "per_transfer": '"1"',
    },
    "recipients": {"": "[recipients]"},
    "callers": {"": "[callers]"},
    "limits": {"": "[[limits]]", "per": '"day"', "count": "1"},
    "hours": {"": "[hours]", "zone": '"UTC"', "open": "[]"},
    "approvals": {"": "[[approvals]]", "approvers": "1", "by": f'["{ADA}"]'},
}
REQUIRED = [
    ("chains", "fee_at_most"),
    ("tokens", "locators"),
    ("tokens", "decimals"),
    ("tokens", "per_transfer"),
    ("limits", "per"),
    ("hours", "zone"),
    ("hours", "open"),
    ("approvals", "approvers"),
    ("approvals", "by"),
]


def section(name: str, **changes: str | None) -> str:
    """Return a section alone in a file, with some of its keys changed or, for None, left out."""
    keys: dict[str, str | None] = {**SECTIONS[name], **changes}
    lines = [f"{key} = {value}" for key, value in keys.items() if key and value is not None]
    return "\n".join(["version = 1", str(keys[""]), *lines])


def messages(text: str) -> list[str]:
    return [message for _, _, message, _ in findings(text)]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_with_what_it_must_have_is_read_and_an_unknown_key_in_it_is_not(name):
    assert messages(section(name)) == []
    assert messages(section(name, surprise="1")) == ["unknown key 'surprise'"]


@pytest.mark.parametrize(("name", "key"), REQUIRED)
def test_what_a_section_must_have_is_missed_by_its_name(name, key):
    assert messages(section(name, **{key: None})) == [f"{key} is missing"]


@pytest.mark.parametrize("name", ["x", "a1", "base", "sei-pacific-1", "chain-0-2x"])
def test_a_chains_name_is_words_of_small_letters_and_digits(name):
    assert messages(f'version = 1\n[chains.{name}]\nfee_at_most = "1"') == []


@pytest.mark.parametrize(
    "name", ["Base", "1chain", "-a", "a-", "a--b", "base sepolia", "base_sepolia", "base:x", "é"]
)
def test_another_chains_name_is_refused_in_its_section_and_in_a_locator(name):
    text = f'version = 1\n[chains."{name}"]\nfee_at_most = "1"'
    assert messages(text) == [f"{name!r} is not a chain's name"]
    located = section("tokens", locators=f'["{name}:{USDC}"]')
    assert messages(located) == [f"'{name}:{USDC}' is not a token's locator"]


@pytest.mark.parametrize("name", ["x", "1inch", "usdc.e", "usd_c", "usd-c", "usdt0", "a" * 31])
def test_a_tokens_name_is_of_31_small_letters_digits_dots_and_dashes_at_most(name):
    assert messages(section("tokens", **{"": f'[tokens."{name}"]'})) == []
    assert messages(section("tokens", locators=f'["base-sepolia:{name}"]')) == []


@pytest.mark.parametrize("name", ["USDC", ".x", "-x", "_x", "a" * 32, "usd c", "usdc|", "é"])
def test_another_tokens_name_is_refused(name):
    refused = f"{name!r} is not a token's name"
    assert messages(section("tokens", **{"": f'[tokens."{name}"]'})) == [refused]


def test_every_locator_that_is_none_is_told_and_belongs_to_nobody():
    wrong = '["base-sepolia:", "nowhere", "base-sepolia:usdc"]'
    told = ["'base-sepolia:' is not a token's locator", "'nowhere' is not a token's locator"]
    assert messages(section("tokens", locators=wrong)) == told
    another = '\n[tokens.eth]\nlocators = ["nowhere"]\ndecimals = 18\nper_transfer = "1"'
    both = section("tokens", locators='["nowhere"]') + another
    assert messages(both) == ["'nowhere' is not a token's locator"] * 2


DURATIONS = [
    ("recipients", "new_delay", "366d", "367d"),
    ("limits", "per", "31d", "32d"),
    ("approvals", "within", "31d", "32d"),
]


@pytest.mark.parametrize(("name", "key", "longest", "longer"), DURATIONS)
def test_a_duration_is_a_minute_at_least_and_its_range_has_an_end(name, key, longest, longer):
    for taken in ("1m", longest):
        assert messages(section(name, **{key: f'"{taken}"'})) == []
    assert "minutes" in messages(section(name, **{key: f'"{longer}"'}))[0]


@pytest.mark.parametrize(
    ("name", "key", "least", "most"),
    [
        ("limits", "count", 1, 1_000_000),
        ("approvals", "approvers", 1, 20),
    ],
)
def test_a_number_is_in_its_range(name, key, least, most):
    for taken in (least, most):
        assert messages(section(name, **{key: str(taken)})) == []
    for wrong in (least - 1, most + 1):
        told = f"{key} is {wrong}, and must be {least} to {most}"
        assert told in messages(section(name, **{key: str(wrong)}))


def test_a_limit_or_a_rule_of_no_token_counts_no_amounts_and_a_wrong_one_is_told_once():
    for name, key in (("limits", "amount"), ("approvals", "above")):
        assert messages(section(name, **{key: '"1"'})) == [f"{key} without a token"]
        told = messages(section(name, token="5", **{key: '"1"'}))
        assert told == ["token is a number"]


def test_a_token_that_is_not_there_is_told_with_those_that_are():
    eth = '[tokens.eth]\nlocators = []\ndecimals = 18\nper_transfer = "1"\n'
    [(_, _, message, hint)] = findings(
        BASIC + eth + '[[limits]]\nper = "day"\ncount = 1\ntoken = "x"'
    )
    assert (message, hint) == ("there is no [tokens.x]", "there is: eth, usdc")
    [(_, _, _, hint)] = findings(section("limits", token='"x"'))
    assert hint == "there is: none"


def test_every_recipient_without_an_address_is_told():
    wrong = 'version = 1\n[recipients.allow]\na = 1\nb = "x"\nc = 2'
    assert messages(wrong) == ["a is a number", "'x' is not an address", "c is a number"]


@pytest.mark.parametrize(("name", "address"), [("acme", ACME), ("widgets", WIDGETS)])
def test_a_limits_recipient_is_the_one_it_names(name, address):
    rules = policy(f'[[limits]]\nper = "day"\nrecipient = "{name}"\ncount = 1')
    assert rules.limits == (Limit(DAY, recipient=address, count=1),)


def test_what_a_rule_leaves_out_is_its_plainest_meaning():
    assert Limit(DAY) == Limit(DAY, None, None, False, None, None)
    nobody = Policy(1, {}, {}, Recipients({}, {}), Callers(frozenset(), frozenset()))
    assert nobody == read_policy("version = 1")
    assert ApprovalRule(1, frozenset({ADA}), DAY) == ApprovalRule(1, frozenset({ADA}), DAY, None, 0)


def test_the_order_of_rules_in_the_file_gives_one_model():
    rules = [f'[[limits]]\nper = "{n}h"\ncount = 1\n' for n in (1, 2, 3, 4, 5)]
    consents = [f'[[approvals]]\napprovers = {n}\nby = ["{ADA}"]\n' for n in (1, 2, 3, 4, 5)]
    forwards, backwards = [*rules, *consents], [*reversed(rules), *reversed(consents)]
    assert read_policy(BASIC + "".join(forwards)) == read_policy(BASIC + "".join(backwards))


def test_only_errors_stand_in_the_way_of_a_policy():
    warning, error = Finding("warning", 1, 1, "odd"), Finding("error", 2, 1, "wrong")
    assert Document(None, (warning, error), Places("", {})).errors == (error,)
    assert read_document(BASIC).errors == ()
