from __future__ import annotations

import tomllib

import pytest

from bursar.policy.document import read_document, read_policy
from bursar.policy.model import (
    ApprovalRule,
    Callers,
    Chain,
    Hours,
    Limit,
    Recipients,
    Span,
    Token,
)
from tests.unit.policy.treasury import ACME, ADA, AWS, BASIC, DAY, PAYROLL, USDC, WIDGETS, findings

KEY = USDC.lower()


def only(text: str) -> tuple[str, str | None]:
    [(_, _, message, hint)] = findings(text)
    return message, hint


def test_a_file_becomes_what_it_means():
    text = f"""
version = 12
calls_at_most = 4
allow = ["unverifiable"]
chains.base-sepolia.fee_at_most = "0.002"
[tokens.usdc]
locators = ["base-sepolia:{USDC}", "base-sepolia:USDC"]
decimals = 6
per_transfer = "1000.50"
[recipients]
registered = "enough"
new_delay = "36h"
allow = {{ acme = "{ACME}" }}
deny.widgets = "{WIDGETS.upper().replace("0X", "0x")}"
[callers]
allow = ["{PAYROLL}", "{AWS}:role/with/a/path/ops"]
deny = ["{ADA}"]
[[limits]]
per = "week"
token = "usdc"
recipient = "acme"
amount = "7"
count = 2
[[limits]]
per = "90m"
each_recipient = true
count = 1000000
[hours]
zone = "Europe/Berlin"
open = ["Tue 10:00-11:00", "mon 09:00-12:00", "mon 11:00-13:30"]
[[approvals]]
token = "usdc"
above = "0.000001"
approvers = 20
by = ["{ADA}"]
within = "2d"
[[approvals]]
approvers = 1
by = ["{ADA}"]
"""
    found = read_policy(text)
    assert found.version == 12
    assert found.calls_at_most == 4
    assert found.allow == {"unverifiable"}
    assert found.chains == {"base-sepolia": Chain(2 * 10**15)}
    assert found.tokens == {
        "usdc": Token(6, 1_000_500_000, frozenset({f"base-sepolia:{KEY}", "base-sepolia:usdc"}))
    }
    assert found.recipients == Recipients({ACME: "acme"}, {WIDGETS: "widgets"}, "enough", 129_600)
    assert found.callers == Callers(frozenset({PAYROLL, f"{AWS}:role/ops"}), frozenset({ADA}))
    assert set(found.limits) == {
        Limit(7 * DAY, "usdc", ACME, False, 7_000_000, 2),
        Limit(5_400, None, None, True, None, 1_000_000),
    }
    day = 24 * 60
    assert found.hours == Hours("Europe/Berlin", (Span(540, 810), Span(day + 600, day + 660)))
    assert set(found.approvals) == {
        ApprovalRule(20, frozenset({ADA}), 2 * DAY, "usdc", 1),
        ApprovalRule(1, frozenset({ADA}), DAY, None, 0),
    }


def test_what_is_left_out_has_the_strictest_meaning():
    found = read_policy("version = 1")
    assert (found.chains, found.tokens) == ({}, {})
    assert found.recipients == Recipients({}, {}, "no", None)
    assert found.callers == Callers(frozenset(), frozenset())
    assert (found.limits, found.hours, found.approvals) == ((), None, ())
    assert (found.calls_at_most, found.allow) == (1, frozenset())


def test_a_rule_said_twice_is_one_rule_and_the_file_keeps_both_places():
    limit = '[[limits]]\nper = "day"\ncount = 1\n'
    document = read_document(BASIC + limit + limit)
    assert document.policy is not None
    assert len(document.policy.limits) == 1
    assert len(document.limits) == 2


# Wrong values: what is said, and where

WRONG = {
    "a float": (
        "[tokens.usdc]\nlocators=[]\ndecimals = 6\nper_transfer = 250.00",
        4,
        1,
        "per_transfer is 250.00, a number that computers round",
        'write it in quotes: "250.00"',
    ),
    "a float nobody asked for": (
        "x = 1.5",
        1,
        1,
        "unknown key 'x'",
        (
            "known: version, allow, calls_at_most, wallet_factories, chains, tokens, recipients, callers, limits, "
            "hours, approvals"
        ),
    ),
    "a float in a list": (
        "allow = [ 0.5 ]",
        1,
        11,
        "allow holds 0.5, a number that computers round",
        'write it in quotes: "0.5"',
    ),
    "an infinity": (
        "calls_at_most = inf",
        1,
        1,
        "calls_at_most is inf, a number that computers round",
        'write it in quotes: "inf"',
    ),
    "a whole number": (
        "[chains.base]\nfee_at_most = 1",
        2,
        1,
        "fee_at_most is a number",
        'it is an amount in quotes, like "250.00"',
    ),
    "a truth": (
        "calls_at_most = true",
        1,
        1,
        "calls_at_most is true or false",
        "it is a whole number",
    ),
    "a text": ('calls_at_most = "1"', 1, 1, "calls_at_most is text", "it is a whole number"),
    "a date": (
        "calls_at_most = 2026-11-24",
        1,
        1,
        "calls_at_most is a date or a time",
        "it is a whole number",
    ),
    "a list": ("calls_at_most = []", 1, 1, "calls_at_most is a list", "it is a whole number"),
    "a table": ("[calls_at_most]", 1, 1, "calls_at_most is a table", "it is a whole number"),
    "no table": ("chains = 1", 1, 1, "chains is a number", "it is a table, [chains]"),
    "no table inside": ("[chains]\nbase = 1", 2, 1, "base is a number", "it is a table, [base]"),
    "no tables": ("[limits]", 1, 1, "limits is a table", "it is tables, [[limits]]"),
    "no tables inside": (
        "approvals = [ 1 ]",
        1,
        15,
        "approvals holds a number",
        "it is tables, [[approvals]]",
    ),
    "too few calls": ("calls_at_most = 0", 1, 1, "calls_at_most is 0, and must be 1 to 100", None),
    "too many calls": (
        "calls_at_most = 101",
        1,
        1,
        "calls_at_most is 101, and must be 1 to 100",
        None,
    ),
    "an unknown switch": (
        'allow = ["unverifiable", "all"]',
        1,
        26,
        "'all' cannot be allowed",
        "one of blind_signing, unverifiable, signer_changes",
    ),
    "a near key": (
        "calls_at_mots = 1",
        1,
        1,
        "unknown key 'calls_at_mots'",
        "did you mean calls_at_most?",
    ),
    "a near key inside": (
        '[chains.base]\nfee_at_most = "1"\nfee_at_mots = "1"',
        3,
        1,
        "unknown key 'fee_at_mots'",
        "did you mean fee_at_most?",
    ),
    "a missing key": (
        "\n[chains.base]\n",
        2,
        1,
        "fee_at_most is missing",
        'it is an amount in quotes, like "250.00"',
    ),
    "not an amount": (
        '[chains.base]\nfee_at_most = "1,5"',
        2,
        1,
        "fee_at_most: '1,5' is not an amount",
        "write digits and at most one dot, like 1250.50",
    ),
    "nothing": ('[chains.base]\nfee_at_most = "0"', 2, 1, "fee_at_most: the amount is zero", None),
    "too fine": (
        '[tokens.usdc]\nlocators = []\ndecimals = 2\nper_transfer = "0.001"',
        4,
        1,
        "per_transfer: 0.001 has more than 2 decimals, which this token has",
        None,
    ),
    "no chain's name": (
        '[chains."Base Sepolia"]\nfee_at_most = "1"',
        1,
        1,
        "'Base Sepolia' is not a chain's name",
        None,
    ),
    "no token's name": (
        '[tokens.USDC]\nlocators = []\ndecimals = 0\nper_transfer = "1"',
        1,
        1,
        "'USDC' is not a token's name",
        "small letters, digits, dots and dashes",
    ),
    "too many decimals": (
        '[tokens.usdc]\nlocators = []\ndecimals = 256\nper_transfer = "1"',
        3,
        1,
        "decimals is 256, and must be 0 to 255",
        None,
    ),
    "no locator": (
        '[tokens.usdc]\nlocators = ["usdc"]\ndecimals = 0\nper_transfer = "1"',
        2,
        13,
        "'usdc' is not a token's locator",
        "a chain and a contract, like base-sepolia:0x…; for its own coin base-sepolia:eth",
    ),
    "an NFT": (
        '[tokens.usdc]\nlocators = ["base:usdc:1"]\ndecimals = 0\nper_transfer = "1"',
        2,
        13,
        "'base:usdc:1' is not a token's locator",
        "a chain and a contract, like base-sepolia:0x…; for its own coin base-sepolia:eth",
    ),
    "a mistyped contract": (
        f'[tokens.usdc]\nlocators = ["base:{USDC[:-1]}E"]\ndecimals = 0\nper_transfer = "1"',
        2,
        13,
        f"{USDC[:-1]}E has a wrong checksum",
        "one character may be mistyped; copy the address again from its source",
    ),
    "a mistyped recipient": (
        f'[recipients.allow]\nacme = "{USDC[:-1]}E"',
        2,
        1,
        f"{USDC[:-1]}E has a wrong checksum",
        "one character may be mistyped; copy the address again from its source",
    ),
    "no address": (
        '[recipients.deny]\nacme = "0x12"',
        2,
        1,
        "'0x12' is not an address",
        "0x and 40 hex digits",
    ),
    "an address twice": (
        f'[recipients.allow]\na = "{ACME}"\nb = "{ACME}"',
        3,
        1,
        "b has the address of a",
        None,
    ),
    "a name twice": (
        f'[recipients.allow]\n"caf\u00e9" = "{ACME}"\n"cafe\u0301" = "{WIDGETS}"',
        3,
        1,
        "caf\u00e9 has another address already",
        None,
    ),
    "an empty name": (
        f'[recipients.allow]\n" " = "{ACME}"',
        2,
        1,
        "a recipient's name is printable text without ( ) , ; = or quotes",
        None,
    ),
    "a name that does not print": (
        f'[recipients.allow]\n"a\\u202Eb" = "{ACME}"',
        2,
        1,
        "a recipient's name is printable text without ( ) , ; = or quotes",
        None,
    ),
    "an unknown standing": (
        '[recipients]\nregistered = "yes"',
        2,
        1,
        "registered is 'yes'",
        '"enough" (listed or registered), "required" (listed and registered) or "no"',
    ),
    "no duration": (
        '[recipients]\nnew_delay = "1 day"',
        2,
        1,
        "new_delay is '1 day', which is no duration",
        'write "hour", "day", "week", or a number with m, h, d or w, like "36h"',
    ),
    "too long a delay": (
        '[recipients]\nnew_delay = "367d"',
        2,
        1,
        "new_delay is 367d, and must be 1 to 527040 minutes",
        None,
    ),
    "a session": (
        '[callers]\nallow = ["arn:aws:sts::111122223333:assumed-role/payroll/ci-1"]',
        2,
        10,
        "a session cannot be named alone",
        f"name its role: {PAYROLL}",
    ),
    "a wildcard": (
        '[callers]\ndeny = ["*"]',
        2,
        9,
        "'*' is not an IAM user or role",
        "a whole ARN, like arn:aws:iam::111122223333:role/payroll",
    ),
    "a limit on nothing": (
        '[[limits]]\nper = "day"',
        1,
        1,
        "it limits nothing",
        "write an amount or a count",
    ),
    "an amount of nothing": (
        '[[limits]]\nper = "day"\namount = "1"',
        3,
        1,
        "amount without a token",
        'say of what: token = "usdc"',
    ),
    "too long a window": (
        '[[limits]]\nper = "32d"\ncount = 1',
        2,
        1,
        "per is 32d, and must be 1 to 44640 minutes",
        None,
    ),
    "an unknown token": (
        '[[limits]]\nper = "day"\ntoken = "usdt"\namount = "1"',
        3,
        1,
        "there is no [tokens.usdt]",
        "there is: none",
    ),
    "an unknown recipient": (
        '[[limits]]\nper = "day"\nrecipient = "acme"\ncount = 1',
        3,
        1,
        "'acme' is not in [recipients.allow]",
        "limits name recipients as that list does",
    ),
    "one recipient and each": (
        (
            f'[recipients.allow]\na = "{ACME}"\n'
            '[[limits]]\nper = "day"\nrecipient = "a"\neach_recipient = true\ncount = 1'
        ),
        5,
        1,
        "one recipient and each recipient",
        "write one of them",
    ),
    "a recipient without an address": (
        "[recipients.allow]\na = 1",
        2,
        1,
        "a is a number",
        "it is text in quotes",
    ),
    "two tokens of one contract": (
        (
            f'[tokens.a]\nlocators = ["base:{USDC}"]\ndecimals = 0\nper_transfer = "1"\n'
            f'[tokens.b]\nlocators = ["base:{USDC.lower()}"]\ndecimals = 0\nper_transfer = "1"'
        ),
        6,
        13,
        f"base:{USDC.lower()} is a's already",
        None,
    ),
    "no opening": (
        '[hours]\nzone = "UTC"\nopen = ["mon 09:00-10:00",\n "mon 9-17"]',
        4,
        2,
        "'mon 9-17' is no opening time",
        'write days and a time, like "mon-fri 09:00-17:30" or "sat 10:00-12:00"',
    ),
    "no zone": ("[hours]\nopen = []", 1, 1, "zone is missing", "it is text in quotes"),
    "no approvers": (
        f'[[approvals]]\nby = ["{ADA}"]',
        1,
        1,
        "approvers is missing",
        "it is a whole number",
    ),
    "approvers nobody names": (
        "[[approvals]]\napprovers = 1",
        1,
        1,
        "by is missing",
        "it is a list of texts",
    ),
    "too many approvers": (
        f'[[approvals]]\napprovers = 21\nby = ["{ADA}"]',
        2,
        1,
        "approvers is 21, and must be 1 to 20",
        None,
    ),
    "above nothing": (
        f'[[approvals]]\nabove = "1"\napprovers = 1\nby = ["{ADA}"]',
        2,
        1,
        "above without a token",
        'say of what: token = "usdc"',
    ),
}


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_its_place_and_what_to_do(text, line, column, message, hint):
    whole = "version = 1\n" + text
    assert findings(whole) == [(line + 1, column, message, hint)]


def test_the_example_in_the_documentation_is_a_policy_without_findings():
    from pathlib import Path

    from bursar.policy.lint import lint

    file = Path(__file__).parents[3] / "docs/examples/policy.toml"
    assert lint(read_document(file.read_bytes())) == ()
    assert tomllib.loads(file.read_text())["version"] == 1
