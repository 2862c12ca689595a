from __future__ import annotations

import string
from typing import Any

import pytest

from bursar.errors import AddressError, AmountError, InputError, RequestError
from bursar.review.intent import Intent, Token
from tests.unit.review.scene import INTENT, RECIPIENT, USDC

BODY = {"chain": "base-sepolia", "token": USDC, "recipient": RECIPIENT, "amount": "200000"}


def test_an_intent_is_read_back_as_it_was_written() -> None:
    assert Intent.read(INTENT.to_dict()) == INTENT
    coin = Intent("base", Token(None), RECIPIENT.lower(), 1)
    assert coin.to_dict() == {
        "chain": "base",
        "token": "native",
        "recipient": RECIPIENT,
        "amount": "1",
    }
    assert Intent.read(coin.to_dict()) == coin


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("chain", "basis", RequestError),
        ("chain", 7, RequestError),
        ("chain", [], RequestError),
        ("token", "usdc", AddressError),
        ("token", None, AddressError),
        ("token", 7, AddressError),
        ("recipient", "email:a@example.com", AddressError),
        ("recipient", None, AddressError),
        ("amount", "0", AmountError),
        ("amount", "0200000", AmountError),
        ("amount", "0.2", AmountError),
        ("amount", 200000, AmountError),
        pytest.param("recipient", 10**5000, AddressError, id="huge recipient"),
        pytest.param("decimals", 10**5000, RequestError, id="huge decimals"),
        ("amount", "-1", AmountError),
        ("amount", "1_0", AmountError),
        ("amount", "٣", AmountError),
        ("amount", "1a", AmountError),
        ("amount", "", AmountError),
        ("amount", str(2**256), AmountError),
        ("amount", "1" * 5000, AmountError),
        ("symbol", "US DC", RequestError),
        ("symbol", "", RequestError),
        ("symbol", "U" * 21, RequestError),
        ("symbol", "USD\u0421", RequestError),  # a Cyrillic letter that looks like C
        ("symbol", 7, RequestError),
        ("decimals", 256, RequestError),
        ("decimals", -1, RequestError),
        ("decimals", "6", RequestError),
        ("decimals", True, RequestError),
        ("memo", "x", RequestError),
    ],
)
def test_a_wrong_field_is_refused(name: str, value: Any, error: type[InputError]) -> None:
    with pytest.raises(error):
        Intent.read({**BODY, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount", "1"),
        ("amount", str(2**256 - 1)),
        ("symbol", "U"),
        ("symbol", "U" * 20),
        ("symbol", "aB3.-_"),
        ("decimals", 0),
        ("decimals", 255),
    ],
)
def test_a_value_at_the_edge_of_its_range_is_taken(name: str, value: Any) -> None:
    assert Intent.read({**BODY, name: value}).to_dict() == {**BODY, name: value}


@pytest.mark.parametrize(
    "other", sorted(set(string.printable) - set(string.ascii_letters + string.digits + ".-_"))
)
def test_a_symbol_has_no_other_character(other: str) -> None:
    with pytest.raises(RequestError):
        Token(USDC, f"US{other}")


@pytest.mark.parametrize("name", sorted(BODY))
def test_a_missing_field_is_refused(name: str) -> None:
    with pytest.raises(RequestError):
        Intent.read({key: value for key, value in BODY.items() if key != name})


@pytest.mark.parametrize("body", [None, [], "pay", 7])
def test_what_is_no_object_is_refused(body: Any) -> None:
    with pytest.raises(RequestError):
        Intent.read(body)


@pytest.mark.parametrize("amount", [0, -1, 2**256, True, 1.0, "1"])
def test_an_amount_is_a_positive_int_of_base_units(amount: Any) -> None:
    with pytest.raises(AmountError):
        Intent("base", Token(USDC), RECIPIENT, amount)


def test_a_token_without_name_or_decimals_is_counted_in_base_units() -> None:
    assert Token(USDC, "USDC", 6).amount(1_250_500_000) == "1250.5 USDC"
    assert Token(USDC, "USDC").amount(7) == "7 base units"
    assert Token(USDC, None, 6).amount(7) == "7 base units"


def test_an_intents_token_is_a_token() -> None:
    with pytest.raises(RequestError):
        Intent("base", USDC, RECIPIENT, 1)  # type: ignore[arg-type]
