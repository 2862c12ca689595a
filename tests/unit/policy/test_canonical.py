from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.policy.canonical import canonical, policy_hash
from bursar.policy.document import read_policy
from bursar.policy.model import (
    ApprovalRule,
    Callers,
    Chain,
    Hours,
    Limit,
    Policy,
    Recipients,
    Span,
    Token,
)
from tests.unit.policy.treasury import ACME, ADA, AWS, BASIC, GRACE, PAYROLL, USDC, WIDGETS, policy


def hash_of(text: str) -> str:
    return policy_hash(read_policy(text))


def test_the_canonical_form_is_written_out():
    rules = read_policy(
        'version = 1\nallow = ["unverifiable"]\n[recipients.allow]\n"M\u00fcller" = "' + ACME + '"'
    )
    assert canonical(rules) == (
        b'{"format":"bursar.policy/1","policy":{"allow":["unverifiable"],"approvals":[],"callers":{"allow":[],'
        b'"deny":[]},"calls_at_most":"1","chains":{},"hours":null,"limits":[],"recipients":{"allow":'
        b'{"0x1111111111111111111111111111111111111111":"M\\u00fcller"},"deny":{},"new_delay":null,'
        b'"registered":"no"},"tokens":{},"version":"1","wallet_factories":[]}}'
    )
    assert policy_hash(rules) == "sha256:" + hashlib.sha256(canonical(rules)).hexdigest()


LIMIT = '[[limits]]\nper = "day"\ntoken = "usdc"\namount = "250.00"\n'
HOURS = '[hours]\nzone = "UTC"\nopen = ["mon-fri 09:00-17:00"]\n'
SAME = {
    "comments and spacing": (BASIC, "# said\n" + BASIC.replace(" = ", "=").replace("\n", "\n\n")),
    "the end of lines": (BASIC, BASIC.replace("\n", "\r\n")),
    "an amount's zeros": (BASIC + LIMIT, BASIC + LIMIT.replace("250.00", "250")),
    "a duration's unit": (BASIC + LIMIT, BASIC + LIMIT.replace("day", "24h")),
    "a duration in minutes": (BASIC + LIMIT, BASIC + LIMIT.replace("day", "1440m")),
    "an address's letter case": (
        BASIC,
        BASIC.replace(USDC, USDC.lower()).replace(WIDGETS, "0x" + WIDGETS[2:].upper()),
    ),
    "a symbol's letter case": (
        BASIC.replace(f':{USDC}"', f':{USDC}", "base:ETH"'),
        BASIC.replace(f':{USDC}"', f':{USDC}", "base:eth"'),
    ),
    "a list's order and doubles": (
        BASIC.replace(f'["{PAYROLL}"]', f'["{PAYROLL}", "{ADA}"]'),
        BASIC.replace(f'["{PAYROLL}"]', f'["{ADA}", "{PAYROLL}", "{ADA}"]'),
    ),
    "a role's path": (BASIC, BASIC.replace(":role/payroll", ":role/some/path/payroll")),
    "what is the default": (
        BASIC,
        BASIC.replace(
            "version = 3", "version = 3\ncalls_at_most = 1\nallow = []\nlimits = []\napprovals = []"
        ),
    ),
    "an empty section": (
        BASIC,
        BASIC + 'deny = []\n[recipients.deny]\n[recipients]\nregistered = "no"',
    ),
    "dotted keys": (
        BASIC,
        BASIC.replace("[chains.base-sepolia]\nfee_at_most", "[chains]\nbase-sepolia.fee_at_most"),
    ),
    "quoted keys": (BASIC, BASIC.replace("fee_at_most", '"fee_at_\\u006dost"')),
    "a name composed or not": (
        BASIC.replace("acme", '"caf\u00e9"'),
        BASIC.replace("acme", '"cafe\u0301"'),
    ),
    "a number's spelling": (BASIC, BASIC.replace("version = 3", "version = 0x3")),
    "a rule said twice": (BASIC + LIMIT, BASIC + LIMIT + LIMIT.replace("day", "24h")),
    "the order of rules": (
        BASIC + LIMIT + LIMIT.replace("day", "week"),
        BASIC + LIMIT.replace("day", "week") + LIMIT,
    ),
    "hours in one piece or two": (
        BASIC + HOURS,
        BASIC
        + HOURS.replace(
            '"mon-fri 09:00-17:00"', '"tue-fri 09:00-17:00", "mon 12:00-17:00", "mon 09:00-12:00"'
        ),
    ),
    "a flag that is off": (BASIC + LIMIT, BASIC + LIMIT + "each_recipient = false"),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_two_spellings_of_one_meaning_have_one_hash(one, other):
    assert one != other
    assert hash_of(one) == hash_of(other)


FULL = Policy(
    1,
    {"base": Chain(1)},
    {"usdc": Token(6, 10, frozenset({"base:usdc"}))},
    Recipients({ACME: "acme"}, {WIDGETS: "widgets"}, "no", 60),
    Callers(frozenset({PAYROLL}), frozenset({ADA})),
    (Limit(60, "usdc", None, False, 5, 1),),
    Hours("UTC", (Span(0, 60),)),
    (ApprovalRule(1, frozenset({ADA}), 60, "usdc", 5),),
    1,
    frozenset({"unverifiable"}),
)
DIFFERENT: list[tuple[str, Any]] = [
    ("version", 2),
    ("chains", {"base": Chain(2)}),
    ("chains", {"zora": Chain(1)}),
    ("chains", {}),
    ("tokens", {"usdt": FULL.tokens["usdc"]}),
    ("tokens", {"usdc": Token(7, 10, frozenset({"base:usdc"}))}),
    ("tokens", {"usdc": Token(6, 11, frozenset({"base:usdc"}))}),
    ("tokens", {"usdc": Token(6, 10, frozenset({"base:usdt"}))}),
    ("recipients", replace(FULL.recipients, allow={WIDGETS: "acme"})),
    ("recipients", replace(FULL.recipients, allow={ACME: "other"})),
    ("recipients", replace(FULL.recipients, deny={})),
    ("recipients", replace(FULL.recipients, registered="enough")),
    ("recipients", replace(FULL.recipients, registered="required")),
    ("recipients", replace(FULL.recipients, new_delay=61)),
    ("recipients", replace(FULL.recipients, new_delay=None)),
    ("recipients", Recipients(FULL.recipients.deny, FULL.recipients.allow, "no", 60)),
    ("callers", Callers(frozenset({GRACE}), frozenset({ADA}))),
    ("callers", Callers(frozenset({PAYROLL}), frozenset())),
    ("callers", Callers(frozenset({ADA}), frozenset({PAYROLL}))),
    *(
        ("limits", (replace(FULL.limits[0], **change),))
        for change in (
            {"seconds": 61},
            {"token": None},
            {"recipient": ACME},
            {"each_recipient": True},
            {"amount": 6},
            {"amount": None},
            {"count": 2},
            {"count": None},
        )
    ),
    ("limits", ()),
    ("hours", None),
    ("hours", Hours("CET", (Span(0, 60),))),
    ("hours", Hours("UTC", (Span(1, 60),))),
    ("hours", Hours("UTC", (Span(0, 61),))),
    *(
        ("approvals", (replace(FULL.approvals[0], **change),))
        for change in (
            {"approvers": 2},
            {"by": frozenset({GRACE})},
            {"within": 61},
            {"token": None},
            {"above": 6},
        )
    ),
    ("approvals", ()),
    ("calls_at_most", 2),
    ("allow", frozenset()),
    ("allow", frozenset({"blind_signing"})),
    ("wallet_factories", frozenset({ACME})),
    ("limits", (Limit(60, amount=5, fees_on="base"),)),
    ("limits", (Limit(60, amount=5, fees_on="zora"),)),
]


@pytest.mark.parametrize(
    ("name", "value"), DIFFERENT, ids=[f"{name}-{at}" for at, (name, _) in enumerate(DIFFERENT)]
)
def test_two_meanings_have_two_hashes(name, value):
    assert policy_hash(replace(FULL, **{name: value})) != policy_hash(FULL)


def test_all_of_the_different_policies_differ_from_each_other():
    hashes = {policy_hash(replace(FULL, **{name: value})) for name, value in DIFFERENT}
    assert len(hashes) == len(DIFFERENT)
    assert {name for name, _ in DIFFERENT} == {field.name for field in fields(Policy)}


@given(st.integers(0, 2**256 - 1))
def test_a_big_number_is_text_that_no_reader_rounds(units):
    rules = replace(FULL, chains={"base": Chain(units)})
    read = json.loads(canonical(rules), parse_int=float, parse_float=float)
    assert int(read["policy"]["chains"]["base"]["fee_at_most"]) == units


def test_a_truth_is_no_number_and_a_number_is_no_truth():
    limit = FULL.limits[0]
    truth = replace(FULL, limits=(replace(limit, each_recipient=True),))
    assert b'"each_recipient":true' in canonical(truth)
    assert b'"each_recipient":"1"' not in canonical(truth)
    assert b'"count":"1"' in canonical(FULL)


def test_what_has_no_canonical_form_is_refused():
    with pytest.raises(TypeError, match="float has no canonical form"):
        canonical(replace(FULL, version=1.0))  # type: ignore[arg-type]


SECTIONS = [
    '[chains.base-sepolia]\nfee_at_most = "0.002"\n',
    '[chains.zora]\nfee_at_most = "1"\n',
    f'[tokens.usdc]\nper_transfer = "9"\nlocators = ["base-sepolia:{USDC}"]\ndecimals = 6\n',
    '[tokens.eth]\nlocators = ["zora:eth"]\ndecimals = 18\nper_transfer = "9"\n',
    f'[recipients.allow]\nacme = "{ACME}"\n',
    f'[recipients.deny]\nwidgets = "{WIDGETS}"\n',
    f'[callers]\nallow = ["{AWS}:role/payroll", "{ADA}"]\n',
    LIMIT,
    LIMIT.replace("day", "week"),
    '[[limits]]\nper = "hour"\ncount = 2\n',
    HOURS,
    f'[[approvals]]\napprovers = 1\nby = ["{ADA}"]\n',
    f'[[approvals]]\ntoken = "usdc"\nabove = "5"\napprovers = 1\nby = ["{ADA}", "{GRACE}"]\n',
]


@given(st.permutations(SECTIONS), st.randoms(use_true_random=False))
def test_the_order_of_the_file_makes_no_difference(sections, random):
    def shuffled(section: str) -> str:
        head, *lines = section.splitlines()
        random.shuffle(lines)
        return "\n".join([head, *lines])

    assert hash_of("version = 1\n" + "\n".join(map(shuffled, sections))) == hash_of(
        "version = 1\n" + "\n".join(SECTIONS)
    )


def test_the_same_policy_has_the_same_hash_in_another_process():
    import subprocess
    import sys

    script = (
        "from tests.unit.policy.treasury import policy\n"
        "from bursar.policy.canonical import policy_hash\n"
        "print(policy_hash(policy()))"
    )
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
        )
        assert found.stdout.strip() == policy_hash(policy())


def test_the_members_of_a_set_are_sorted_whatever_order_they_came_in():
    names = [f"{AWS}:user/{name}" for name in "fbdacehg"]
    rules = policy(callers=Callers(frozenset(names), frozenset()))
    written = json.loads(canonical(rules))["policy"]["callers"]["allow"]
    assert written == sorted(names)
