from __future__ import annotations

import pytest

from bursar.policy.canonical import policy_hash
from bursar.policy.decide import decide
from bursar.policy.decision import Decision, Outcome
from bursar.policy.model import Callers, Chain, Recipients, Token
from bursar.policy.proposal import Circumstances, Kind, Payment
from tests.unit.policy.treasury import (
    ACME,
    ADA,
    AWS,
    BASIC,
    CLOSED,
    DAY,
    NOW,
    OTHER_CONTRACT,
    PAYROLL,
    SESSION,
    STRANGER,
    USDC,
    WIDGETS,
    judge,
    other,
    payment,
    policy,
    proposal,
    refusing,
    said,
)

COIN = """
[tokens.eth]
locators = ["base-sepolia:eth"]
decimals = 18
per_transfer = "2"
"""
SWITCHES = {
    Kind.BLIND_DIGEST: "blind_signing",
    Kind.UNVERIFIABLE: "unverifiable",
    Kind.SIGNER_CHANGE: "signer_changes",
}


def test_a_listed_payment_by_a_listed_caller_is_allowed_and_every_rule_consulted():
    decision = judge(policy(), proposal())
    assert decision.outcome is Outcome.ALLOWED
    assert decision.decisive is None
    assert [each.rule for each in decision.judgements] == [
        "callers.allow",
        "chains",
        "chains.base-sepolia.fee_at_most",
        "calls_at_most",
        "calls",
        "tokens",
        "tokens.usdc.per_transfer",
        "recipients.allow",
    ]
    decision.require_allowed()


def test_a_decision_names_the_policy_that_made_it():
    decision = judge(policy(), proposal())
    assert (decision.policy_version, decision.policy_hash) == (3, policy_hash(policy()))
    told = decide(policy(), proposal(), Circumstances(NOW), digest_of_policy="sha256:known")
    assert told.policy_hash == "sha256:known"
    assert Decision(Outcome.ALLOWED, 3, "sha256:known", ()).approvals_missing == 0


# Kinds and switches


@pytest.mark.parametrize(("kind", "switch"), SWITCHES.items())
def test_anything_but_a_transfer_is_refused_unless_it_is_allowed_by_its_own_name(kind, switch):
    asked = other(kind, chain="base-sepolia", calls=1, fee_at_most=1)
    others = frozenset(SWITCHES.values()) - {switch}
    assert refusing(judge(policy(allow=others), asked)) == [f"allow.{switch}"]
    assert said(judge(policy(allow=others), asked), f"allow.{switch}") == [
        ("refused", kind.value, f"{switch} is not in allow")
    ]
    allowed = judge(policy(allow=frozenset({switch})), asked)
    assert allowed.outcome is Outcome.ALLOWED
    assert said(allowed, f"allow.{switch}") == [("allowed", kind.value, f"{switch} is in allow")]


def test_a_verified_transaction_that_is_no_transfer_is_refused_whatever_is_allowed():
    decision = judge(
        policy(allow=frozenset(SWITCHES.values())),
        other(Kind.OTHER, chain="base-sepolia", calls=1, fee_at_most=1),
    )
    assert said(decision, "kind") == [("refused", "other", "only transfers")]
    assert refusing(decision) == ["kind"]


def test_a_signer_change_with_a_payment_in_it_is_refused():
    rules = policy(allow=frozenset({"signer_changes"}))
    decision = judge(rules, proposal(kind=Kind.SIGNER_CHANGE))
    assert refusing(decision) == ["kind"]
    assert said(decision, "kind") == [
        ("refused", "a signer change with payments", "one or the other")
    ]


@pytest.mark.parametrize(
    ("kind", "known", "refused"),
    [
        (Kind.SIGNER_CHANGE, {}, ["chains", "calls_at_most"]),
        (
            Kind.SIGNER_CHANGE,
            {"chain": "base-sepolia"},
            ["chains.base-sepolia.fee_at_most", "calls_at_most"],
        ),
        (Kind.UNVERIFIABLE, {}, ["chains"]),
        (Kind.UNVERIFIABLE, {"chain": "base"}, ["chains"]),
        (Kind.UNVERIFIABLE, {"chain": "base-sepolia"}, []),
        (Kind.UNVERIFIABLE, {"chain": "base-sepolia", "calls": 2}, ["calls_at_most"]),
        (
            Kind.UNVERIFIABLE,
            {"chain": "base-sepolia", "fee_at_most": 2 * 10**15 + 1},
            ["chains.base-sepolia.fee_at_most"],
        ),
        (Kind.BLIND_DIGEST, {}, []),
        (Kind.BLIND_DIGEST, {"chain": "base"}, ["chains"]),
        (Kind.BLIND_DIGEST, {"payments": (payment(recipient=CLOSED),)}, ["recipients.deny"]),
        (Kind.BLIND_DIGEST, {"payments": (payment(recipient=STRANGER),)}, []),
    ],
)
def test_what_a_switch_allows_is_still_held_to_what_is_known_of_it(kind, known, refused):
    rules = policy(f'[recipients.deny]\nclosed = "{CLOSED}"', allow=frozenset(SWITCHES.values()))
    assert refusing(judge(rules, other(kind, **known))) == refused


# Who asks


@pytest.mark.parametrize(
    ("asks", "refused"),
    [
        (PAYROLL, []),
        (SESSION, []),
        (f"{AWS}:role/teams/money/payroll", []),
        ("arn:aws:sts::111122223333:assumed-role/payroll/another", []),
        ("arn:aws:sts::999999999999:assumed-role/payroll/ci-1", ["callers.allow"]),
        ("arn:aws-cn:sts::111122223333:assumed-role/payroll/ci-1", ["callers.allow"]),
        (f"{AWS}:user/payroll", ["callers.allow"]),
        (f"{AWS}:role/payrolls", ["callers.allow"]),
        (f"{AWS}:role/Payroll", ["callers.allow"]),
        ("payroll", ["callers.allow"]),
        ("", ["callers.allow"]),
        (None, ["callers.allow"]),
    ],
)
def test_only_who_is_listed_may_ask_whatever_the_session(asks, refused):
    assert refusing(judge(policy(), proposal(requested_by=asks))) == refused


def test_the_refusal_of_a_caller_says_who_it_was():
    assert said(judge(policy(), proposal(requested_by=ADA)), "callers.allow") == [
        ("refused", ADA, "1 may ask")
    ]
    assert said(judge(policy(), proposal(requested_by="x")), "callers.allow") == [
        ("refused", "x, not known", "1 may ask")
    ]
    assert said(judge(policy(), proposal(requested_by=None)), "callers.allow") == [
        ("refused", "a caller, not known", "1 may ask")
    ]


def test_a_list_without_anybody_says_so():
    nobody = policy(callers=Callers(frozenset(), frozenset()), recipients=Recipients({}, {}))
    decision = judge(nobody, proposal())
    assert said(decision, "callers.allow") == [("refused", PAYROLL, "none may ask")]
    assert said(decision, "recipients.allow") == [("refused", ACME, "none listed")]


def test_a_denied_caller_is_refused_although_allowed():
    rules = policy(f'deny = ["{PAYROLL}"]')
    decision = judge(rules, proposal())
    assert refusing(decision) == ["callers.deny"]
    assert said(decision, "callers.deny") == [("refused", PAYROLL, "1 may not ask")]


def test_where_some_are_denied_a_caller_nobody_knows_is_refused_by_that_too():
    rules = policy(f'deny = ["{ADA}"]')
    assert refusing(judge(rules, proposal(requested_by=None))) == ["callers.deny", "callers.allow"]
    assert said(judge(rules, proposal()), "callers.deny") == [("allowed", PAYROLL, "1 may not ask")]


# Chain, fee, calls


@pytest.mark.parametrize(
    ("fee", "outcome", "value"),
    [
        (0, "allowed", "0"),
        (2 * 10**15, "allowed", "0.002"),
        (2 * 10**15 + 1, "refused", "0.002000000000000001"),
        (None, "refused", "not known"),
    ],
)
def test_the_fee_may_reach_its_ceiling_and_no_more(fee, outcome, value):
    decision = judge(policy(), proposal(fee_at_most=fee))
    assert said(decision, "chains.base-sepolia.fee_at_most") == [(outcome, value, "at most 0.002")]


def test_each_chain_has_its_own_ceiling():
    rules = policy('[chains.polygon]\nfee_at_most = "5"')
    asked = other(Kind.UNVERIFIABLE, chain="polygon", fee_at_most=5 * 10**18)
    assert said(judge(rules, asked), "chains.polygon.fee_at_most") == [
        ("allowed", "5", "at most 5")
    ]


@pytest.mark.parametrize(("chain", "value"), [("base", "base"), (None, "not known")])
def test_a_chain_that_is_not_listed_is_refused(chain, value):
    decision = judge(policy(), proposal(chain=chain))
    assert said(decision, "chains") == [("refused", value, "listed: base-sepolia")]
    assert refusing(decision) == ["chains", "tokens"]


def test_the_chains_there_are_stand_in_the_refusal():
    rules = policy(chains={"zora": Chain(1), "base": Chain(1)})
    assert said(judge(rules, proposal()), "chains")[0][2] == "listed: base, zora"
    assert said(judge(policy(chains={}), proposal()), "chains")[0][2] == "listed: none"


@pytest.mark.parametrize(
    ("calls", "most", "refused", "value"),
    [
        (1, 1, [], "1 call"),
        (2, 1, ["calls_at_most", "calls"], "2 calls"),
        (2, 2, ["calls"], "2 calls"),
        (0, 1, ["calls_at_most", "calls"], "0 calls"),
        (None, 1, ["calls_at_most"], "not known"),
    ],
)
def test_there_are_no_more_calls_than_allowed_and_none_but_the_payments(
    calls, most, refused, value
):
    decision = judge(policy(calls_at_most=most), proposal(calls=calls))
    assert refusing(decision) == refused
    assert said(decision, "calls_at_most")[0][1:] == (value, f"1 to {most}")


def test_a_call_that_is_no_payment_is_named():
    decision = judge(policy(calls_at_most=3), proposal(calls=2))
    assert said(decision, "calls") == [
        ("refused", "2 calls, 1 of them payments", "every call of a transfer is a payment")
    ]


def test_a_transfer_without_payments_is_refused():
    assert "calls_at_most" in refusing(judge(policy(), proposal(payments=(), calls=0)))
    assert refusing(judge(policy(), proposal(payments=(), calls=1))) == ["calls"]


# Tokens


@pytest.mark.parametrize(
    ("units", "outcome", "value"),
    [
        (1, "allowed", "0.000001 usdc"),
        (1_000_000_000, "allowed", "1000 usdc"),
        (1_000_000_001, "refused", "1000.000001 usdc"),
        (2**256 - 1, "refused", f"{str(2**256 - 1)[:-6]}.{str(2**256 - 1)[-6:]} usdc"),
    ],
)
def test_a_transfer_may_reach_the_cap_and_no_more(units, outcome, value):
    decision = judge(policy(), proposal(payment(amount=units)))
    assert said(decision, "tokens.usdc.per_transfer") == [(outcome, value, "at most 1000 usdc")]


def test_the_cap_is_for_each_payment_of_a_transaction_and_a_refusal_says_which():
    most, over = payment(amount=1_000_000_000), payment(amount=1_000_000_001, recipient=WIDGETS)
    rules = policy(calls_at_most=3)
    assert judge(rules, proposal(most, most, most)).outcome is Outcome.ALLOWED
    decision = judge(rules, proposal(most, over, most))
    assert refusing(decision) == ["tokens.usdc.per_transfer"]
    assert said(decision, "tokens.usdc.per_transfer") == [
        ("allowed", f"1000 usdc to {ACME}", "at most 1000 usdc"),
        ("refused", f"1000.000001 usdc to {WIDGETS}", "at most 1000 usdc"),
    ]


def test_one_bad_recipient_among_forty_refuses_all():
    paid = [payment(amount=number) for number in range(1, 40)]
    decision = judge(policy(calls_at_most=40), proposal(*paid, payment(recipient=STRANGER)))
    assert refusing(decision) == ["recipients.allow"]
    refused = [each for each in said(decision, "recipients.allow") if each[0] == "refused"]
    assert refused == [("refused", STRANGER, "2 listed")]


def test_what_is_said_of_many_payments_in_the_same_words_is_said_once():
    once = judge(policy(calls_at_most=2), proposal(payment(), payment(recipient=WIDGETS)))
    again = judge(policy(calls_at_most=4), proposal(*[payment(), payment(recipient=WIDGETS)] * 2))
    assert len(once.judgements) == len(again.judgements)
    assert len(said(again, "recipients.allow")) == 2


@pytest.mark.parametrize(("amount", "shown"), [(None, "not known"), (0, "0")])
def test_an_amount_that_is_nothing_or_not_known_is_refused(amount, shown):
    decision = judge(policy(), proposal(payment(amount=amount)))
    assert said(decision, "tokens") == [
        ("refused", f"base-sepolia:usdc (contract {USDC}), amount {shown}", "more than nothing")
    ]
    assert refusing(decision) == ["tokens", "tokens.usdc.per_transfer"]


@pytest.mark.parametrize(("decimals", "refused"), [(None, []), (6, []), (18, ["tokens"])])
def test_decimals_other_than_the_policys_are_refused(decimals, refused):
    decision = judge(policy(), proposal(payment(decimals=decimals)))
    assert refusing(decision) == refused


def test_the_refusal_of_decimals_says_both():
    assert said(judge(policy(), proposal(payment(decimals=18))), "tokens") == [
        ("refused", f"base-sepolia:usdc (contract {USDC}), 18 decimals", "usdc has 6")
    ]


TOKENS = {
    "by its contract": (f"base-sepolia:{USDC}", USDC, "usdc"),
    "by its contract in small letters": (f"base-sepolia:{USDC.lower()}", USDC.lower(), "usdc"),
    "by its contract alone": (None, USDC, "usdc"),
    "by a symbol and its contract": ("base-sepolia:USDC", USDC, "usdc"),
    "another contract": ("base-sepolia:usdc", OTHER_CONTRACT, None),
    "the locator of another contract": (f"base-sepolia:{OTHER_CONTRACT}", USDC, None),
    "another chain's symbol": ("base:usdc", USDC, None),
    "another chain's contract": (f"base:{USDC}", USDC, None),
    "a contract that is not stated": ("base-sepolia:usdc", None, None),
    "a contract nobody decoded": (f"base-sepolia:{USDC}", None, None),
    "an NFT": (f"base-sepolia:{USDC}:7", USDC, None),
    "no locator": ("usdc", USDC, None),
    "no chain": (":usdc", USDC, None),
    "no token": ("base-sepolia:", USDC, None),
    "a contract that is no address": ("base-sepolia:eth", "eth", None),
    "nothing": (None, None, None),
    "the chain's own coin": ("base-sepolia:eth", None, "eth"),
    "a contract called like the coin": ("base-sepolia:eth", USDC, None),
    "a coin called like a token": ("base-sepolia:usdc", None, None),
}


@pytest.mark.parametrize(("token", "contract", "name"), TOKENS.values(), ids=TOKENS)
def test_the_contract_says_which_token_moves_and_the_locator_must_agree(token, contract, name):
    decision = judge(policy(COIN), proposal(payment(token=token, contract=contract, amount=5)))
    outcome, _, limit = said(decision, "tokens")[0]
    assert (outcome, limit) == (
        ("allowed", f"it is {name}") if name else ("refused", "listed: eth, usdc")
    )


@pytest.mark.parametrize(
    ("symbol", "refused"), [("usdc", []), ("eurc", ["tokens"]), ("eth", ["tokens"])]
)
def test_where_a_symbol_is_listed_with_the_contract_no_other_symbol_will_do(symbol, refused):
    token = Token(6, 10**9, frozenset({f"base-sepolia:{USDC.lower()}", "base-sepolia:usdc"}))
    decision = judge(
        policy(tokens={"usdc": token}), proposal(payment(token=f"base-sepolia:{symbol}"))
    )
    assert refusing(decision) == refused


def test_a_contract_elsewhere_does_not_make_a_coin_a_token_here():
    token = Token(18, 10**9, frozenset({f"base:{USDC.lower()}", "base-sepolia:eth"}))
    asked = proposal(payment(token="base-sepolia:eth", contract=None, amount=1))
    assert judge(policy(tokens={"eth": token}), asked).outcome is Outcome.ALLOWED


def test_a_token_two_entries_claim_is_refused():
    token = policy().tokens["usdc"]
    decision = judge(policy(tokens={"usdc": token, "usdt": token}), proposal())
    assert refusing(decision) == ["tokens"]


def test_a_payment_without_a_locator_is_named_by_what_is_known():
    bare = Payment(None, None, 1, ACME)
    assert said(judge(policy(tokens={}), proposal(bare)), "tokens") == [
        ("refused", "base-sepolia:not known", "listed: none")
    ]
    half = Payment(None, OTHER_CONTRACT, 1, ACME)
    assert said(judge(policy(), proposal(half)), "tokens")[0][1] == (
        f"base-sepolia:{OTHER_CONTRACT} (contract {OTHER_CONTRACT})"
    )


def test_a_token_without_decimals_is_counted_in_whole_units():
    token = Token(0, 10, frozenset({f"base-sepolia:{USDC.lower()}"}))
    decision = judge(policy(tokens={"usdc": token}), proposal(payment(amount=11)))
    assert said(decision, "tokens.usdc.per_transfer") == [("refused", "11 usdc", "at most 10 usdc")]


# Together


def test_an_empty_policy_refuses_everything():
    from bursar.policy.document import read_policy

    empty = read_policy("version = 1")
    for kind in Kind:
        asked = proposal(kind=kind, payments=proposal().payments if kind is Kind.TRANSFER else ())
        assert judge(empty, asked).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    "section", ["chains.base-sepolia", "tokens.usdc", "recipients.allow", "callers"]
)
def test_each_section_left_out_refuses(section):
    from bursar.policy.document import read_policy

    head, _, rest = BASIC.partition(f"[{section}]")
    rest = rest[rest.index("\n[") :] if "\n[" in rest else ""
    decision = judge(read_policy(head + rest), proposal())
    assert section.split(".")[0] in {rule.split(".")[0] for rule in refusing(decision)}


def test_a_refusal_names_the_rule_the_value_and_the_limit_and_travels_between_processes():
    import pickle

    from bursar.errors import PolicyViolation

    decision = judge(
        policy(), proposal(payment(amount=1_000_000_001, recipient=STRANGER), fee_at_most=None)
    )
    with pytest.raises(PolicyViolation) as caught:
        decision.require_allowed()
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert again.to_dict() == {
        "code": "policy_violation",
        "message": "the policy does not allow it: chains.base-sepolia.fee_at_most: not known; at most 0.002",
        "retryable": False,
        "hint": "2 more rules refuse it",
        "rule": "chains.base-sepolia.fee_at_most",
        "value": "not known",
        "limit": "at most 0.002",
    }
    assert (again.rule, again.value, again.limit) == (
        "chains.base-sepolia.fee_at_most",
        "not known",
        "at most 0.002",
    )


@pytest.mark.parametrize(
    ("changes", "hint"), [({}, None), ({"fee_at_most": None}, "1 more rule refuses it")]
)
def test_the_hint_counts_the_other_refusals(changes, hint):
    from bursar.errors import PolicyViolation

    with pytest.raises(PolicyViolation) as caught:
        judge(policy(), proposal(payment(recipient=STRANGER), **changes)).require_allowed()
    assert caught.value.hint == hint


def test_a_decision_is_json_with_amounts_as_text():
    import json

    rules = policy(
        '[[limits]]\nper = "day"\ntoken = "usdc"\namount = "250"\n[[limits]]\nper = "hour"\ncount = 2'
    )
    found = json.loads(json.dumps(judge(rules, proposal()).to_dict()))
    assert found | {"rules": len(found["rules"]), "policyHash": found["policyHash"][:7]} == {
        "outcome": "allowed",
        "policyVersion": 3,
        "policyHash": "sha256:",
        "rules": 10,
        "reservations": [
            {
                "key": "*|*",
                "amount": "0",
                "count": 1,
                "bounds": [
                    {
                        "seconds": 3600,
                        "amount": None,
                        "count": 2,
                        "rule": "limits[any token, 1 hour]",
                    }
                ],
            },
            {
                "key": "usdc|*",
                "amount": "200000000",
                "count": 1,
                "bounds": [
                    {
                        "seconds": DAY,
                        "amount": "250000000",
                        "count": None,
                        "rule": "limits[usdc, 1 day]",
                    }
                ],
            },
        ],
        "approvalsMissing": 0,
        "notFrom": [],
    }
    assert found["rules"][0] == {
        "rule": "callers.allow",
        "outcome": "allowed",
        "value": PAYROLL,
        "limit": "1 may ask",
    }
