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
    message_to_sign,
    require_match,
)

ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
OTHER = "0xde709f2102306220921060314715629080e2fb77"
HASH = "0x" + "ab" * 32
SENDER = "0x" + "5e" * 20
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
        "onChain": {"userOperation": {"sender": SENDER}, "userOperationHash": HASH},
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
    require_match(transaction(), intent(), SENDER)


def test_the_recipient_compares_without_letter_case_and_amounts_by_value():
    require_match(
        transaction(sendParams=sending(recipientAddress=OTHER.upper().replace("0X", "0x"))),
        intent(amount="25"),
        SENDER,
    )


def test_a_contract_compares_without_letter_case():
    asked = intent(token=f"base-sepolia:{ADDRESS}")
    stated = sending(token=f"base-sepolia:{ADDRESS.lower()}")
    require_match(transaction(sendParams=stated), asked, SENDER)


def test_a_symbol_answered_by_a_contract_is_refused_with_the_contract_to_name():
    with pytest.raises(IntentMismatch) as caught:
        require_match(
            transaction(sendParams=sending(token=f"base-sepolia:{ADDRESS}")), intent(), SENDER
        )
    assert f"base-sepolia:{ADDRESS}" in (caught.value.hint or "")


def test_a_user_is_paid_only_where_the_same_user_is_named():
    asked = intent(recipient="email:ada@example.com")
    require_match(transaction(sendParams=sending(recipient="email:ada@example.com")), asked, SENDER)
    for other in ("email:mallory@example.com", f"address:{OTHER}:base-sepolia", OTHER):
        with pytest.raises(IntentMismatch, match="recipient"):
            require_match(transaction(sendParams=sending(recipient=other)), asked, SENDER)


def test_a_recipient_on_another_chain_than_the_token_cannot_be_asked_for():
    with pytest.raises(RequestError, match="another chain"):
        intent(recipient=f"base:{OTHER}")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sendParams": sending(amount="25.000001")}, "amount"),
        ({"sendParams": sending(amount="250")}, "amount"),
        ({"sendParams": sending(amount=None)}, "amount"),
        ({"sendParams": sending(amount="2.5e1")}, "cannot be read"),
        ({"sendParams": sending(recipientAddress=ADDRESS)}, "recipient"),
        ({"sendParams": sending(recipientAddress="nobody")}, "recipient"),
        ({"sendParams": sending(recipient="nobody")}, "cannot be read"),
        ({"sendParams": sending(token="base-sepolia:usdt")}, "token"),
        ({"sendParams": sending(token="base:usdc")}, "token"),
        ({"sendParams": sending(token="usdc")}, "cannot be read"),
        ({"sendParams": sending(recipient=f"address:{ADDRESS}:base-sepolia")}, "recipient"),
        ({"sendParams": sending(recipient=f"address:{OTHER}:base")}, "recipient's chain"),
        (
            {"sendParams": sending(recipient="email:ada@example.com", recipientAddress=None)},
            "recipient",
        ),
        ({"sendParams": sending(token=f"base-sepolia:{ADDRESS}:7")}, "token"),
        ({"onChain": {"userOperation": {"sender": OTHER}, "userOperationHash": HASH}}, "wallet"),
        ({"onChain": {"userOperationHash": HASH}}, "wallet"),
        ({"params": {"chain": "base"}}, "chain"),
        ({"params": {}}, "chain"),
        ({"sendParams": None}, "does not say"),
    ],
)
def test_a_transaction_that_is_something_else_is_refused_naming_what_differs(changes, what):
    with pytest.raises(IntentMismatch, match=what):
        require_match(transaction(**changes), intent(), SENDER)


def test_another_contract_than_the_one_asked_for_is_refused():
    with pytest.raises(IntentMismatch, match="token"):
        require_match(
            transaction(sendParams=sending(token=f"base-sepolia:{OTHER}")),
            intent(token=f"base-sepolia:{ADDRESS}"),
            SENDER,
        )


def test_the_message_that_waits_for_us_is_returned():
    assert message_to_sign(transaction(), US).hex() == "ab" * 32


def test_a_message_that_is_not_the_user_operation_hash_is_not_signed():
    other = {"userOperation": {"sender": SENDER}, "userOperationHash": "0x" + "cd" * 32}
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
        require_match(found, intent(), SENDER)
        message_to_sign(found, US)
    except BursarError:
        pass
