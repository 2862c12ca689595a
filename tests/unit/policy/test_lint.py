from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo

import pytest

from bursar.policy.document import read_document
from bursar.policy.findings import Finding
from bursar.policy.lint import lint
from bursar.policy.model import SWITCHES
from tests.unit.policy.treasury import ACME, ADA, AWS, BASIC, GRACE, PAYROLL, USDC, WIDGETS

START = BASIC.count("\n")  # what follows BASIC begins on the next line
LIMIT = '[[limits]]\nper = "day"\ntoken = "usdc"\namount = "5000"\n'


def found(text: str, **options) -> list[tuple[str, int, str, str | None]]:
    return [
        (each.severity, each.line, each.message, each.hint)
        for each in lint(read_document(text), **options)
    ]


def approvals(approvers: int, *by: str, more: str = "") -> str:
    return f"[[approvals]]\napprovers = {approvers}\nby = {list(by)}\n{more}\n"


def test_a_sound_policy_has_no_findings():
    assert found(BASIC + LIMIT + approvals(1, ADA, GRACE)) == []


def test_what_cannot_be_read_is_not_judged_further():
    assert found("version = 0") == [("error", 1, "version is 0, and must be 1 to 2147483648", None)]


def test_an_empty_policy_is_told_four_times_that_it_refuses_everything():
    assert found("version = 1") == [
        ("warning", 1, f"it allows no {section}, so every transfer is refused", None)
        for section in ("chains", "tokens", "recipients", "callers")
    ]


@pytest.mark.parametrize(
    ("registered", "warned"), [("no", True), ("enough", False), ("required", True)]
)
def test_recipients_are_none_where_nobody_is_listed_unless_registration_is_enough(
    registered, warned
):
    text = BASIC.replace(f'acme = "{ACME}"\nwidgets = "{WIDGETS}"\n', "")
    messages = [each[2] for each in found(text + f'[recipients]\nregistered = "{registered}"')]
    assert messages == ["it allows no recipients, so every transfer is refused"] * warned


def test_whoever_is_allowed_and_denied_is_an_error_where_they_are_allowed():
    assert found(BASIC + f'deny = ["{PAYROLL}"]\n[recipients.deny]\nclosed = "{ACME}"') == [
        ("error", 10, "acme is allowed and, as closed, denied", "deny wins; remove one of them"),
        ("error", 13, f"{PAYROLL} is allowed and denied", "deny wins; remove one of them"),
    ]


def test_an_unknown_chain_is_doubted_with_the_nearest_name():
    assert found(BASIC, chains=["base-sepolia"]) == []
    assert found(BASIC, chains=["base-sepolja"]) == [
        (
            "warning",
            3,
            "Crossmint has no chain base-sepolia that is known here",
            "did you mean base-sepolja?",
        )
    ]
    assert found(BASIC, chains=["zora"])[0][3] is None


def test_a_chain_without_tokens_and_a_token_without_chains_are_told():
    text = (
        BASIC.replace(f':{USDC}"', f':{USDC}", "zora:{USDC}"') + '[chains.base]\nfee_at_most = "1"'
    )
    assert found(text) == [
        ("warning", 6, "usdc is on zora, which is not allowed", None),
        ("warning", START + 1, "no token of yours is on base", None),
    ]
    assert found(BASIC.replace(f'"base-sepolia:{USDC}"', ""))[1:] == [
        ("warning", 6, "usdc is nowhere, so it is never paid", None)
    ]


def test_a_token_known_by_its_symbol_alone_is_told_unless_it_can_be_the_chains_coin():
    text = BASIC.replace(f":{USDC}", ":usdc")
    assert found(text) == [
        (
            "warning",
            6,
            "on base-sepolia usdc has no contract, and 6 decimals",
            "only the chain's own coin is known by its symbol; add base-sepolia:<contract>",
        )
    ]
    assert found(text.replace("decimals = 6", "decimals = 18")) == []


@pytest.mark.parametrize(("amount", "told"), [("1000", False), ("999.999999", True)])
def test_a_cap_above_a_windows_limit_is_told(amount, told):
    text = BASIC + LIMIT.replace("5000", amount)
    message = "one transfer may move 1000 usdc, which is over this limit"
    assert found(text) == [("warning", START + 4, message, None)] * told


@pytest.mark.parametrize(
    ("day", "week", "told"),
    [("5000", "5000", True), ("5000", "4000", True), ("5000", "5001", False)],
)
def test_a_limit_that_a_longer_one_forestalls_is_told(day, week, told):
    longer = LIMIT.replace("day", "week").replace("5000", week)
    for text, line in (
        (LIMIT.replace("5000", day) + longer, START + 4),
        (longer + LIMIT.replace("5000", day), START + 8),
    ):
        message = "never reached: in 1 week no more is allowed"
        assert found(BASIC + text) == [("warning", line, message, None)] * told


def test_counts_are_compared_too_and_only_over_the_same_things():
    day, week = '[[limits]]\nper = "day"\ncount = 5\n', '[[limits]]\nper = "week"\ncount = 5\n'
    assert found(BASIC + day + week) == [
        ("warning", START + 3, "never reached: in 1 week no more is allowed", None)
    ]
    assert found(BASIC + day + week + LIMIT) == found(BASIC + day + week)
    for other in ("each_recipient = true\n", 'token = "usdc"\n', 'recipient = "acme"\n'):
        assert found(BASIC + day + week + other) == []


def test_a_rule_said_twice_is_told_at_the_second():
    assert found(BASIC + LIMIT + LIMIT) == [
        ("warning", START + 5, "the same limit stands above", None)
    ]
    twice = approvals(1, ADA, GRACE) * 2
    assert found(BASIC + twice) == [
        ("warning", START + 5, "the same approval rule stands above", None)
    ]


def test_more_approvers_than_there_are_is_an_error():
    hint = "add approvers to by, or ask for fewer"
    assert found(BASIC + approvals(3, ADA, GRACE)) == [
        ("error", START + 2, "3 must approve, and 2 may", hint)
    ]
    # Two sessions' names of one role would be one approver; so is a role with and without its path.
    assert found(BASIC + approvals(2, f"{AWS}:role/ops", f"{AWS}:role/path/ops")) == [
        ("error", START + 2, "2 must approve, and 1 may", hint)
    ]
    assert found(BASIC + f'deny = ["{ADA}"]\n' + approvals(2, ADA, GRACE)) == [
        ("error", START + 3, "2 must approve, and 1 may", hint)
    ]


def test_approvers_who_ask_themselves_are_told():
    told = (
        "warning",
        START + 3,
        "what one of the approvers asks for is never approved: nobody approves their own request",
        "add an approver",
    )
    assert found(BASIC + approvals(1, PAYROLL)) == [told]
    assert found(BASIC + approvals(2, PAYROLL, ADA)) == [told]
    assert found(BASIC + approvals(1, PAYROLL, ADA)) == []
    assert found(BASIC + approvals(1, ADA)) == []


@pytest.mark.parametrize(("above", "told"), [("999.999999", False), ("1000", True), ("1001", True)])
def test_an_approval_that_is_never_needed_is_told(above, told):
    text = BASIC + approvals(1, ADA, more=f'token = "usdc"\nabove = "{above}"')
    message = "never needed: no transaction may move more"
    assert found(text) == [("warning", START + 5, message, None)] * told


def test_an_approval_that_only_a_batch_can_need_is_not_told():
    several = BASIC.replace("version = 3", "version = 3\ncalls_at_most = 3")
    limit = '[[limits]]\nper = "day"\ntoken = "usdc"\namount = "5000"\n'
    for above, told in (("2999.999999", False), ("3000", True)):
        rule = approvals(1, ADA, more=f'token = "usdc"\nabove = "{above}"')
        messages = [each[2] for each in found(several + limit + rule)]
        assert ("never needed: no transaction may move more" in messages) is told


def test_a_batch_of_a_token_that_no_limit_bounds_is_told():
    several = BASIC.replace("version = 3", "version = 3\ncalls_at_most = 40")
    assert found(several) == [
        (
            "warning",
            3,
            "one transaction may move 40000 usdc: 40 payments, and no limit on usdc",
            'add a limit (token = "usdc", amount = "…")',
        )
    ]
    assert found(several + '[[limits]]\nper = "day"\ntoken = "usdc"\namount = "5000"\n') == []


def test_hours_that_never_open_and_zones_there_are_not_are_told():
    hours = '[hours]\nzone = "Europe/Berlin"\nopen = []\n'
    assert found(BASIC + hours) == [
        ("warning", START + 3, "it is never open, so everything is refused", None)
    ]
    assert found(BASIC + hours.replace("[]", '["mon 09:00-10:00"]')) == []
    hint = "an IANA name, like Europe/Berlin; where it cannot be found everything is refused"
    wrong = hours.replace("Berlin", "Berlinn").replace("[]", '["mon 09:00-10:00"]')
    told = [("error", START + 2, "there is no time zone 'Europe/Berlinn' on this machine", hint)]
    assert found(BASIC + wrong) == told

    for problem in (KeyError, ValueError, OSError):

        def none(name: str, problem: type[Exception] = problem) -> tzinfo:
            raise problem(name)

        assert found(BASIC + wrong, zones=none) == told


def test_every_door_that_is_left_open_is_told():
    text = BASIC.replace("version = 3", 'version = 3\nallow = ["unverifiable", "blind_signing"]')
    hint = "remove it unless it is needed right now"
    assert found(text) == [
        ("warning", 3, "blind_signing is allowed", hint),
        ("warning", 3, "unverifiable is allowed", hint),
    ]


def test_findings_at_one_place_are_in_one_order():
    names = ["f", "b", "d", "a", "c", "e"]
    chains = "".join(f'[chains.{n}]\nfee_at_most = "1"\n' for n in names)
    users = [f"{AWS}:user/{n}" for n in names]
    locators = [f"{n}:x" for n in names]
    text = f"""version = 1
allow = ["unverifiable", "signer_changes", "blind_signing"]
[tokens.x]
locators = {locators}
decimals = 2
per_transfer = "1"
[callers]
allow = {users}
deny = {users[::-1]}
[recipients]
registered = "enough"
"""
    messages = [each[2] for each in found(text)]
    assert [m for m in messages if "not allowed" in m] == [
        f"x is on {n}, which is not allowed" for n in sorted(names)
    ]
    messages = [each[2] for each in found(text + chains)]
    assert [m for m in messages if "no contract" in m] == [
        f"on {n} x has no contract, and 2 decimals" for n in sorted(names)
    ]
    assert [m for m in messages if "allowed and denied" in m] == [
        f"{who} is allowed and denied" for who in sorted(users)
    ]
    assert [m for m in messages if m.split()[0] in SWITCHES] == [
        f"{name} is allowed" for name in sorted(SWITCHES)
    ]


def test_open_doors_are_told_in_one_order():
    document = read_document(BASIC)
    assert document.policy is not None
    names = frozenset("hgfedcba")
    opened = replace(document, policy=replace(document.policy, allow=names))
    assert [each.message[0] for each in lint(opened)] == sorted(names)


def test_limits_of_different_things_in_one_scope_forestall_each_other_in_nothing():
    count = '[[limits]]\nper = "{}"\ntoken = "usdc"\ncount = 1\n'
    amount = '[[limits]]\nper = "{}"\ntoken = "usdc"\namount = "5000"\n'
    for shorter, longer in ((count, amount), (amount, count)):
        assert found(BASIC + shorter.format("hour") + longer.format("day")) == []


def test_a_limit_without_an_amount_hides_none_behind_it():
    low = LIMIT.replace("5000", "1")
    [(_, _, message, _)] = found(BASIC + '[[limits]]\nper = "week"\ncount = 9\n' + low)
    assert message == "one transfer may move 1000 usdc, which is over this limit"


def test_what_was_found_when_it_was_read_is_told_as_well():
    odd = Finding("warning", 1, 1, "odd")
    document = replace(read_document(BASIC), findings=(odd,))
    assert lint(document) == (odd,)
