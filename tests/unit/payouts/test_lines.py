from __future__ import annotations

from dataclasses import replace

import pytest

from bursar.errors import AddressError, ConfigError, PlanRejected, RequestError
from bursar.payouts.problems import Problem, in_short
from bursar.review.intent import Token
from bursar.transfers.intent import TransferType
from bursar.transfers.reading import Reading
from tests.unit.payouts.payroll import (
    ADA,
    CLOSED,
    GRACE,
    USDC,
    WALLET,
    csv_of,
    fixes,
    paid,
    payer,
    planned,
    problems,
    read,
    warned,
)

FULL = "id,recipient,amount,token,type,note"
GOLD = "0x52908400098527886E0F7030069857D2E4169EE7"
READING = Reading.of(
    tokens={
        "base-sepolia:gold": Token(GOLD, "GOLD", 18),
        "base-sepolia:eth": Token(None, "ETH", 18),
        "base-sepolia:odd": Token(CLOSED, "ODD"),
    }
)


def line(**changes: str) -> bytes:
    cells = {"id": "p-1", "recipient": ADA, "amount": "25.00", "token": "", "type": "", "note": ""}
    return csv_of(",".join(f'"{each}"' for each in (cells | changes).values()), header=FULL)


def wrong(**changes: str) -> list[tuple[str, str]]:
    return [(column, what) for _, column, what in problems(line(**changes), reading=READING)]


def test_a_line_becomes_the_intent_of_its_transfer():
    plan = planned(line(amount="25.50", note="November"))
    [found] = plan.lines
    assert (found.number, found.note, found.units, found.meant.contract) == (
        2,
        "November",
        25_500_000,
        USDC,
    )
    intent = found.intent(plan.wallet)
    assert (intent.id, str(intent.wallet), str(intent.token), str(intent.recipient)) == (
        "p-1",
        "evm:smart:alias:treasury",
        "base-sepolia:usdc",
        ADA,
    )
    assert (intent.amount, intent.type) == ("25.5", TransferType.REGULATED)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", TransferType.REGULATED),
        ("regulated", TransferType.REGULATED),
        ("Direct", TransferType.DIRECT),
    ],
)
def test_a_type_is_regulated_direct_or_left_to_the_payer(text, kind):
    assert planned(line(type=text)).lines[0].type is kind
    given = planned(line(type=text), type=TransferType.DIRECT).lines[0].type
    assert given is (kind if text else TransferType.DIRECT)


def test_another_type_is_an_error():
    assert wrong(type="regulated-transfer") == [("type", "'regulated-transfer' is no type")]


@pytest.mark.parametrize(
    "token", ["usdc", "USDC", "base-sepolia:usdc", USDC, USDC.lower(), f"base-sepolia:{USDC}"]
)
def test_a_token_is_a_symbol_a_contract_or_a_locator_on_the_payer_s_chain(token):
    [found] = planned(line(token=token)).lines
    assert (found.meant.contract, found.token.chain) == (USDC, "base-sepolia")


@pytest.mark.parametrize(
    ("token", "what"),
    [
        ("eurc", "nothing says which contract base-sepolia:eurc is"),
        (ADA, f"nothing says which contract base-sepolia:{ADA} is"),
        ("base:usdc", "base:usdc is on base, and this file pays on base-sepolia"),
        ("a b", "'a b' is not a token's symbol"),
        (f"base-sepolia:{USDC}:7", "is a single piece, and no amount"),
        ("odd", "nothing says how many decimals base-sepolia:odd has"),
        (USDC.replace("C", "c", 1), "has a wrong checksum"),
    ],
)
def test_a_token_that_cannot_be_paid_is_an_error(token, what):
    [(column, said)] = wrong(token=token)
    assert column == "token"
    assert what in said


@pytest.mark.parametrize(
    ("amount", "what"),
    [
        ("", "amount is missing"),
        ("0", "the amount is zero"),
        ("0.000000", "the amount is zero"),
        ("1.0000001", "1.0000001 has more than 6 decimals, which this token has"),
        ("1,50", "'1,50' is not an amount"),
        ("1,250.50", "'1,250.50' is not an amount"),
        ("1e3", "'1e3' is not an amount"),
        ("-1", "'-1' is not an amount"),
        ("+1", "'+1' is not an amount"),
        (".5", "'.5' is not an amount"),
        ("5.", "'5.' is not an amount"),
        ("0x10", "'0x10' is not an amount"),
        ("$5", "'$5' is not an amount"),
        ("1 000", "'1 000' is not an amount"),
        ("007", "'007' is not an amount"),
        ("1" * 78, "the amount does not fit 256 bits"),
    ],
)
def test_an_amount_that_is_none_is_an_error(amount, what):
    assert wrong(amount=amount) == [("amount", what)]


def test_a_decimal_comma_says_what_to_write():
    assert fixes(line(amount="1,50")) == [
        "write a dot before the decimals, and nothing between thousands"
    ]


def test_an_amount_is_looked_at_though_its_token_is_not_known():
    assert [column for column, _ in wrong(amount="1,5", token="eurc")] == ["token", "amount"]


@pytest.mark.parametrize(
    ("recipient", "what"),
    [
        ("", "recipient is missing"),
        ("ada", "'ada' is not a recipient"),
        (ADA[:-1], "is not a recipient"),
        (ADA.swapcase().replace("X", "x", 1), "has a wrong checksum"),
        (ADA[:-1] + "8", "has a wrong checksum"),
        ("0x" + "00" * 20, "this is the zero address: what goes there is lost"),
        (WALLET, "this is the wallet that pays"),
        (WALLET.lower(), "this is the wallet that pays"),
        (USDC, "this is a token's own contract (USDC): what goes there is lost"),
        (GOLD, "this is a token's own contract (GOLD): what goes there is lost"),
        (f"base:{ADA}", "is on base, and this file pays on base-sepolia"),
        ("email:ada@example.com:base", "is on base, and this file pays on base-sepolia"),
        ("email:ada", "not an e-mail address"),
        ("7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV", "is not an EVM address"),
        ("ada.eth", "'ada.eth' is not a recipient"),
    ],
)
def test_a_recipient_who_cannot_be_paid_is_an_error(recipient, what):
    [(column, said)] = wrong(recipient=recipient)
    assert column == "recipient"
    assert what in said


@pytest.mark.parametrize("spelled", [CLOSED, CLOSED.lower()])
def test_whom_the_policy_never_pays_is_an_error(spelled):
    denied = {CLOSED.lower(): "closed-account"}
    assert problems(line(recipient=spelled), denied=denied) == [
        (2, "recipient", "the policy never pays it (closed-account)")
    ]


@pytest.mark.parametrize(
    "spelled",
    [
        ADA,
        ADA.lower(),
        "0x" + ADA[2:].upper(),
        f"base-sepolia:{ADA}",
        f"address:{ADA}:base-sepolia",
    ],
)
def test_one_address_is_one_recipient_however_it_is_written(spelled):
    plan = planned(line(recipient=spelled))
    assert paid(plan) == [("p-1", ADA, "25")]
    assert plan.hash == planned(line()).hash


def test_an_address_without_a_checksum_is_warned_of():
    said = "the address has no checksum, so a typing mistake would not show"
    assert warned(planned(line(recipient=ADA.lower()))) == [(2, "recipient", said)]
    digits = "0x1111111111111111111111111111111111111111"
    assert warned(planned(line(recipient=digits))) == []


def test_users_are_recipients_too():
    for user in ("email:ada@example.com", "userId:0xabc", "email:ada@example.com:base-sepolia"):
        plan = planned(line(recipient=user))
        assert str(plan.lines[0].recipient) == user.removesuffix(":base-sepolia")
        assert plan.warnings == ()


@pytest.mark.parametrize("bad", ["-a", "a b", "x" * 65, "a/b"])
def test_an_id_is_what_a_transfer_s_id_is(bad):
    [(column, what)] = wrong(id=bad)
    assert column == "id"
    assert what.startswith("a transfer's id is 1 to 64 letters")


def test_all_that_is_wrong_with_a_line_is_said_at_once():
    found = wrong(id="a b", recipient="ada", amount="x", token="eurc", type="z")
    assert [column for column, _ in found] == ["id", "token", "amount", "recipient", "type"]


def test_what_was_said_of_a_cell_is_not_said_twice():
    assert wrong(recipient="ad\u0430") == [
        (
            "recipient",
            "character 3 is U+0430 CYRILLIC SMALL LETTER A, which may be taken for another",
        )
    ]


def test_spaces_around_a_value_are_taken_away_and_said():
    plan = planned(line(recipient=f" {ADA} ", note="  "))
    assert paid(plan) == [("p-1", ADA, "25")]
    said = "spaces around it were taken away"
    assert warned(plan) == [(2, "recipient", said), (2, "note", said)]


def test_a_prefix_gives_ids_by_place_where_the_file_has_none():
    body = csv_of("", f"{ADA},1", "", f"{GRACE},2", header="recipient,amount")
    plan = planned(body, id_prefix="payroll-2026-11")
    assert [each.id for each in plan.lines] == ["payroll-2026-11:000001", "payroll-2026-11:000002"]


def test_a_file_has_ids_or_is_given_them_and_not_both():
    assert problems(line(), id_prefix="a") == [(0, "id", "it has ids of its own")]
    body = csv_of(f"{ADA},1", f"{GRACE},x", header="recipient,amount")
    assert problems(body) == [
        (0, "id", "the column is missing"),
        (3, "amount", "'x' is not an amount"),
    ]
    assert wrong(id="") == [("id", "id is missing")]


def test_a_payer_is_judged_before_any_file():
    with pytest.raises(RequestError, match="id is 1 to 64"):
        payer(id_prefix="x" * 60)
    with pytest.raises(AddressError):
        payer(address="0x12")
    with pytest.raises(ConfigError):
        replace(payer(), token=replace(payer().token, symbol="eurc"))


def test_an_error_tells_the_first_problem_how_many_more_and_what_to_do():
    with pytest.raises(PlanRejected) as caught:
        planned(csv_of(f"p-1,{ADA},x", f"p-1,{ADA},0"))
    error = caught.value
    assert error.message == "line 2, amount: 'x' is not an amount, and 2 more problems"
    assert error.hint == "write digits and at most one dot, like 1250.50; nothing was paid"
    assert [each["line"] for each in error.to_dict()["problems"]] == [2, 3, 3]


def test_values_are_shown_short_and_harmless():
    with pytest.raises(PlanRejected) as caught:
        planned(csv_of(f"p-1,\x1b[31m{'a' * 100},1"))
    [found] = caught.value.problems
    assert found["value"] == "\N{REPLACEMENT CHARACTER}[31m" + "a" * 54 + "…"


def test_many_that_say_the_same_are_told_once():
    table = read(csv_of(*(f" p-{number},{ADA},1" for number in range(9)), " p,q,r"))
    assert in_short(table.warnings) == [
        "lines 2, 3, 4, 5, 6 and 5 more, id: spaces around it were taken away"
    ]
    assert in_short(table.warnings, most=0) == ["and 1 more"]
    assert in_short(table.warnings[:1]) == ["line 2, id: spaces around it were taken away"]
    assert in_short([Problem(0, "", "", "it is empty", "")]) == ["the file: it is empty"]
