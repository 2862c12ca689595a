from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.crossmint.locators import SignerLocator
from bursar.crossmint.models import Transaction
from bursar.errors import (
    BursarError,
    DigestError,
    IntentMismatch,
    NotAwaitingApproval,
    RequestError,
)
from bursar.transfers.intent import (
    TransferIntent,
    TransferType,
    describe,
    message_to_sign,
    require_match,
)

ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
OTHER = "0xde709f2102306220921060314715629080e2fb77"
HASH = "0x" + "ab" * 32
US = SignerLocator.external_wallet(ADDRESS)


def intent(**changes: str) -> TransferIntent:
    parts = {
        "wallet": "evm:smart:alias:treasury",
        "token": "base-sepolia:usdc",
        "recipient": OTHER,
        "amount": "25.00",
    }
    return TransferIntent.parse("payroll:1", **{**parts, **changes})


def transaction(**changes: Any) -> Transaction:
    body: dict[str, Any] = {
        "id": "tx-1",
        "status": "awaiting-approval",
        "chainType": "evm",
        "walletType": "smart",
        "params": {"chain": "base-sepolia"},
        "onChain": {"userOperation": {}, "userOperationHash": HASH},
        "approvals": {
            "pending": [
                {
                    "signer": {
                        "type": "external-wallet",
                        "address": ADDRESS,
                        "locator": f"external-wallet:{ADDRESS}",
                    },
                    "message": HASH,
                }
            ],
            "submitted": [],
        },
        "sendParams": {
            "token": "base-sepolia:usdc",
            "params": {
                "amount": "25",
                "recipient": f"address:{OTHER}:base-sepolia",
                "recipientAddress": OTHER,
            },
        },
    }
    return Transaction.read({**body, **changes})


def sending(**changes: Any) -> dict[str, Any]:
    params = {"amount": "25", "recipient": OTHER, "recipientAddress": OTHER}
    token = changes.pop("token", "base-sepolia:usdc")
    return {"token": token, "params": {**params, **changes}}


def test_a_transfer_is_regulated_unless_said_otherwise():
    assert intent().type is TransferType.REGULATED


@pytest.mark.parametrize("bad", ["", " a", "a b", "é", "x" * 65, "-a", "a\n", "a/b"])
def test_an_id_that_could_not_travel_as_an_idempotency_key_is_refused(bad):
    with pytest.raises(RequestError):
        TransferIntent.parse(
            bad,
            wallet="evm:smart:alias:treasury",
            token="base-sepolia:usdc",
            recipient=OTHER,
            amount="1",
        )


def test_a_transaction_that_is_what_was_asked_for_passes():
    require_match(transaction(), intent())


def test_the_recipient_compares_without_letter_case_and_amounts_by_value():
    require_match(
        transaction(sendParams=sending(recipientAddress=OTHER.upper().replace("0X", "0x"))),
        intent(amount="25"),
    )


def test_a_symbol_may_be_answered_by_a_contract_on_the_same_chain():
    require_match(transaction(sendParams=sending(token=f"base-sepolia:{ADDRESS}")), intent())


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sendParams": sending(amount="25.000001")}, "amount"),
        ({"sendParams": sending(amount="250")}, "amount"),
        ({"sendParams": sending(amount=None)}, "amount"),
        ({"sendParams": sending(amount="2.5e1")}, "cannot be read"),
        ({"sendParams": sending(recipientAddress=ADDRESS)}, "recipient"),
        ({"sendParams": sending(recipientAddress="nobody")}, "cannot be read"),
        ({"sendParams": sending(token="base-sepolia:usdt")}, "token"),
        ({"sendParams": sending(token="base:usdc")}, "token"),
        ({"sendParams": sending(token="usdc")}, "cannot be read"),
        ({"params": {"chain": "base"}}, "chain"),
        ({"params": {}}, "chain"),
        ({"sendParams": None}, "does not say"),
    ],
)
def test_a_transaction_that_is_something_else_is_refused_naming_what_differs(changes, what):
    with pytest.raises(IntentMismatch, match=what):
        require_match(transaction(**changes), intent())


def test_another_contract_than_the_one_asked_for_is_refused():
    with pytest.raises(IntentMismatch, match="token"):
        require_match(
            transaction(sendParams=sending(token=f"base-sepolia:{OTHER}")),
            intent(token=f"base-sepolia:{ADDRESS}"),
        )


def test_the_message_that_waits_for_us_is_returned():
    assert message_to_sign(transaction(), US).hex() == "ab" * 32


def test_a_message_that_is_not_the_user_operation_hash_is_not_signed():
    other = {"userOperation": {}, "userOperationHash": "0x" + "cd" * 32}
    with pytest.raises(IntentMismatch, match="user operation hash"):
        message_to_sign(transaction(onChain=other), US)


def test_a_transaction_without_a_user_operation_hash_is_not_signed():
    with pytest.raises(IntentMismatch):
        message_to_sign(transaction(onChain={}), US)


@pytest.mark.parametrize("message", ["ab" * 32, "0x" + "ab" * 31, "0x" + "zz" * 32, "hello"])
def test_a_message_that_is_not_32_bytes_of_hex_is_not_signed(message):
    pending = [{"signer": {"locator": str(US)}, "message": message}]
    with pytest.raises(DigestError):
        message_to_sign(transaction(approvals={"pending": pending}), US)


@pytest.mark.parametrize("status", ["pending", "success", "failed", "paid", ""])
def test_only_a_transaction_awaiting_approval_is_signed(status):
    with pytest.raises(NotAwaitingApproval):
        message_to_sign(transaction(status=status), US)


def test_a_transaction_that_waits_for_somebody_else_is_not_signed():
    with pytest.raises(NotAwaitingApproval):
        message_to_sign(transaction(), SignerLocator.external_wallet(OTHER))


def test_a_transaction_is_described_in_one_line():
    assert describe(transaction()) == f"pay 25 base-sepolia:usdc to {OTHER}"
    assert "does not say" in describe(transaction(sendParams=None))


@given(
    st.dictionaries(
        st.sampled_from(["amount", "recipient", "recipientAddress", "token"]), st.text(max_size=60)
    ),
    st.text(max_size=80),
)
def test_hostile_answers_raise_only_our_own_errors(changes, message):
    pending = [{"signer": {"locator": str(US)}, "message": message}]
    try:
        found = transaction(sendParams=sending(**changes), approvals={"pending": pending})
        require_match(found, intent())
        message_to_sign(found, US)
    except BursarError:
        pass
