from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from bursar.errors import RequestError
from bursar.policy.model import address_key, is_evm_address
from bursar.policy.proposal import (
    Approval,
    Circumstances,
    Kind,
    Payment,
    Proposal,
    Spent,
    require_aware,
)
from tests.unit.policy.treasury import ACME, NOW

MOST = 2**256 - 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": 1},
        {"contract": b"0x"},
        {"recipient": 1},
        {"amount": "5"},
        {"amount": 5.0},
        {"amount": True},
        {"amount": -1},
        {"amount": MOST + 1},
        {"decimals": True},
        {"decimals": "6"},
        {"registered": 1},
        {"registered": "true"},
    ],
)
def test_a_payment_of_wrong_types_is_refused(wrong):
    usual: dict[str, Any] = {"token": None, "contract": None, "amount": None, "recipient": None}
    with pytest.raises(RequestError, match=f"{next(iter(wrong))} is "):
        Payment(**usual | wrong)


def test_a_payment_may_be_as_large_as_a_word_and_nothing():
    assert [Payment(None, None, amount, None).amount for amount in (0, MOST)] == [0, MOST]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "transfer"},
        {"chain": 1},
        {"requested_by": 1},
        {"digest": b""},
        {"transaction": 1},
        {"wallet": 1},
        {"calls": 1.0},
        {"calls": True},
        {"fee_at_most": -1},
        {"fee_at_most": MOST + 1},
    ],
)
def test_a_proposal_of_wrong_types_is_refused(wrong):
    with pytest.raises(RequestError, match=f"{next(iter(wrong))} is "):
        Proposal(**{"kind": Kind.TRANSFER} | wrong)


def test_a_text_is_bounded_because_it_ends_up_in_messages_and_records():
    assert Proposal(Kind.TRANSFER, chain="x" * 1024).chain == "x" * 1024
    with pytest.raises(RequestError, match=r"^chain has more than 1024 characters$"):
        Proposal(Kind.TRANSFER, chain="x" * 1025)
    with pytest.raises(RequestError, match=r"^token has more than 1024 characters$"):
        Payment("x" * 1025, None, None, None)


@pytest.mark.parametrize(
    ("principal", "digest", "at", "what"),
    [
        (None, "", NOW, "principal is text"),
        ("", None, NOW, "digest is text"),
        ("", "", None, "time is a time with a time zone"),
        ("", "", datetime(2026, 1, 1), "time is a time with a time zone"),  # noqa: DTZ001
    ],
)
def test_an_approval_of_wrong_types_is_refused(principal, digest, at, what):
    with pytest.raises(RequestError, match=f"^an approval's {what}$"):
        Approval(principal, digest, at)


@pytest.mark.parametrize(
    ("amount", "count", "what"),
    [
        (-1, 0, "amount"),
        (0, -1, "count"),
        (None, 0, "amount"),
        (0, None, "count"),
        (0, 1.5, "count"),
    ],
)
def test_spent_is_counted_in_whole_units(amount, count, what):
    with pytest.raises(RequestError, match=f"^a spent {what} is a whole number"):
        Spent(amount, count)


def test_a_decision_needs_times_with_a_zone():
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(RequestError, match="the time of a decision"):
        Circumstances(naive)
    with pytest.raises(RequestError, match="was first seen"):
        Circumstances(NOW, first_seen={ACME: naive})
    assert (dict(Circumstances(NOW).spent), dict(Circumstances(NOW).first_seen)) == ({}, {})


def test_a_moment_is_given_back_in_utc():
    east = datetime(2026, 1, 1, 3, tzinfo=timezone(timedelta(hours=3)))
    found = require_aware(east, "x")
    assert (found, found.tzinfo) == (datetime(2026, 1, 1, tzinfo=UTC), UTC)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("0x" + "aB" * 20, "0x" + "ab" * 20),
        ("0x" + "ab" * 19, None),
        ("0x" + "ab" * 20 + "\n", None),
        ("0X" + "ab" * 20, None),
        (
            "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
            "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
        ),
        (
            "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN",
            "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN",
        ),
        ("C" + "A" * 55, "C" + "A" * 55),
        ("G" + "A" * 54, None),
        ("M" + "A" * 55, None),
        ("0x" + "ab" * 32, "0x" + "ab" * 32),
        ("0x" + "12" * 32, "0x" + "12" * 32),
        ("0x" + "12" * 32 + "0", None),
        ("0x" + "AB" * 32, None),
        *[
            ("1" * length, "1" * length if 32 <= length <= 44 else None)
            for length in (31, 32, 44, 45)
        ],
        ("1" * 31 + "0", None),
        ("email:ada@example.com", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_known_by_its_form(text, key):
    assert address_key(text) == key
    assert is_evm_address(str(text)) == (key is not None and len(key) == 42)
