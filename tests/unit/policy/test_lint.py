from __future__ import annotations

from datetime import tzinfo

import pytest

from bursar.policy.document import read_document
from bursar.policy.lint import lint
from bursar.policy.words import describe
from tests.unit.policy.treasury import ACME, ADA, AWS, BASIC, GRACE, PAYROLL, USDC, WIDGETS, policy

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
    message = "never needed: no transfer may move more"
    assert found(text) == [("warning", START + 5, message, None)] * told


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


# In words


def words(text: str) -> dict[str, str]:
    return {each.rule: each.text for each in describe(policy(text))}


def test_an_empty_policy_says_that_nothing_is_allowed():
    document = read_document("version = 1")
    assert document.policy is not None
    assert [(each.rule, each.text) for each in describe(document.policy)] == [
        ("callers.allow", "Nobody may ask."),
        ("chains", "No chain is listed: nothing is paid."),
        ("tokens", "No token is listed: nothing is paid."),
        ("calls_at_most", "A transaction makes at most 1 call."),
        ("recipients.allow", "Nobody may be paid."),
        ("hours", "At any time."),
        ("allow", "Refused: blind signing, unverifiable, signer changes."),
    ]


def test_every_rule_is_said_in_words():
    text = f"""deny = ["{GRACE}", "{ADA}"]
[recipients]
registered = "required"
new_delay = "48h"
[recipients.deny]
closed = "0x3333333333333333333333333333333333333333"
[tokens.eth]
locators = ["base-sepolia:eth", "zora:eth"]
decimals = 18
per_transfer = "0.5"
[[limits]]
per = "2d"
token = "usdc"
each_recipient = true
amount = "2000"
count = 2
[[limits]]
per = "hour"
recipient = "acme"
count = 1
[[limits]]
per = "day"
token = "eth"
count = 3
[hours]
zone = "UTC"
open = ["mon-fri 09:00-17:00"]
{approvals(2, GRACE, ADA)}
{approvals(1, ADA, more='token = "usdc"')}
{approvals(1, ADA, more='token = "eth"' + chr(10) + 'above = "0.1"' + chr(10) + 'within = "8h"')}
"""
    assert words(text) == {
        "callers.allow": f"{PAYROLL} may ask.",
        "callers.deny": f"{ADA}, {GRACE} may not ask, nor approve.",
        "chains.base-sepolia": "Pay on base-sepolia, for a fee of at most 0.002 of its own coin.",
        "tokens.eth": "One transaction moves at most 0.5 eth (the chain's own coin eth on base-sepolia; "
        "the chain's own coin eth on zora).",
        "tokens.usdc": f"One transaction moves at most 1000 usdc (contract {USDC.lower()} on base-sepolia).",
        "calls_at_most": "A transaction makes at most 1 call.",
        "recipients.allow": f"acme ({ACME}), widgets ({WIDGETS}) may be paid.",
        "recipients.registered": "And only while they are registered recipients.",
        "recipients.deny": "closed (0x3333333333333333333333333333333333333333) may never be paid.",
        "recipients.new_delay": "Nobody is paid before they are known for 2 days.",
        "limits[any token, acme, 1 hour]": "At most 1 payment to acme in any hour.",
        "limits[eth, 1 day]": "At most 3 payments of eth in any day.",
        "limits[usdc, each recipient, 2 days]": "At most 2000 usdc and 2 payments of usdc to each "
        "recipient in any 2 days.",
        "approvals[every transaction]": f"Every transaction needs 2 of {ADA}, {GRACE} to approve, not the one who "
        "asks, within 1 day.",
        "approvals[usdc]": f"Every payment of usdc needs 1 of {ADA} to approve, not the one who "
        "asks, within 1 day.",
        "approvals[above 0.1 eth]": f"More than 0.1 eth in one transaction needs 1 of {ADA} to approve, "
        "not the one who asks, within 8 hours.",
        "hours": "Only mon-fri 09:00-17:00, on the clocks of UTC.",
        "allow": "Refused: blind signing, unverifiable, signer changes.",
    }


def test_what_differs_from_the_usual_is_said_in_words():
    assert words("[hours]\nzone = 'UTC'\nopen = []")["hours"] == "Never."
    enough = words('[recipients]\nregistered = "enough"')
    assert enough["recipients.allow"] == (
        f"Registered recipients and acme ({ACME}), widgets ({WIDGETS}) may be paid."
    )
    assert "recipients.registered" not in enough
    alone = describe(
        policy(
            recipients=policy('[recipients]\nregistered = "enough"').recipients.__class__(
                {}, {}, "enough"
            )
        )
    )
    assert [each.text for each in alone if each.rule == "recipients.allow"] == [
        "Registered recipients may be paid."
    ]
    nowhere = words('[tokens.x]\nlocators = []\ndecimals = 0\nper_transfer = "1"')["tokens.x"]
    assert nowhere == "One transaction moves at most 1 x (nowhere)."
    several = {each.rule: each.text for each in describe(policy(calls_at_most=2))}
    assert several["calls_at_most"] == "A transaction makes at most 2 calls."


def test_what_each_switch_opens_is_said_in_words():
    everything = frozenset({"blind_signing", "unverifiable", "signer_changes"})
    said = {each.rule: each.text for each in describe(policy(allow=everything))}
    assert "allow" not in said
    assert said["allow.blind_signing"].startswith("A bare hash may be signed.")
    assert said["allow.unverifiable"].startswith("A transaction that the review could not verify")
    assert said["allow.signer_changes"].startswith("The wallet's signers may be changed")
    one = {each.rule: each.text for each in describe(policy(allow=frozenset({"unverifiable"})))}
    assert one["allow"] == "Refused: blind signing, signer changes."
