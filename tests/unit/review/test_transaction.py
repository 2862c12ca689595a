"""Crossmint's answer was altered: each alteration is found before anything is signed."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from bursar.chains.evm import Scheme, eip191_digest
from bursar.errors import (
    AddressError,
    BursarError,
    IntentMismatch,
    LocatorError,
    NotAwaitingApproval,
    Refused,
    Unverifiable,
)
from bursar.review.actions import Approve, Delegated, Transfer
from bursar.review.intent import Intent, Token
from bursar.review.report import Review, ReviewKind
from bursar.review.terms import Terms
from bursar.review.transaction import explain, review
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.chain.deploy import ENTRY_POINT
from bursar.sandbox.chain.token import transfer_data
from tests.unit.review.scene import (
    CHAIN_ID,
    FAKE_USDC,
    INTENT,
    OPERATION,
    OTHER,
    OWNER,
    PAY,
    RECIPIENT,
    SIGNER,
    SPONSOR,
    TERMS,
    THIEF,
    UNITS,
    USDC,
    VALIDATOR,
    WALLET,
    asked,
    batched,
    doing,
    executing,
    packed,
)

GOOD = doing(PAY)
THEFT = kernel.Call(USDC, 0, call_data("approve(address,uint256)", THIEF, 2**256 - 1))


def reviewed(transaction: dict[str, Any], intent: Intent = INTENT, terms: Terms = TERMS) -> Review:
    return review(transaction, intent, signer=SIGNER, wallet=WALLET, terms=terms)


def refused(transaction: dict[str, Any], kind: type[BursarError], why: str) -> BursarError:
    with pytest.raises(kind, match=why) as caught:
        reviewed(transaction)
    return caught.value


def altered(*path: str | int, value: Any) -> dict[str, Any]:
    """Return the good transaction with one value of its JSON replaced."""
    changed: Any = copy.deepcopy(GOOD)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return dict(changed)


def test_the_payment_that_was_asked_for_is_found_and_told() -> None:
    found = reviewed(GOOD)
    assert found.kind is ReviewKind.TRANSFER
    assert found.payments == (Transfer(USDC, RECIPIENT, UNITS),)
    assert found.hash == OPERATION.hash(ENTRY_POINT, CHAIN_ID)
    assert found.digest(Scheme.EIP191) == eip191_digest(found.hash)
    assert found.digest(Scheme.RAW) == found.hash
    assert found.sentence == (
        f"pay 0.2 USDC (token {USDC}) to {RECIPIENT} on base-sepolia, fee at most 0.000000642 of the chain's coin "
        f"paid by paymaster {SPONSOR}, from wallet {WALLET}"
    )


def test_a_swapped_recipient_is_not_what_was_asked_for() -> None:
    transaction = doing(replace(PAY, data=transfer_data(THIEF, UNITS)))
    refused(transaction, IntentMismatch, f"recipient is {THIEF}, but {RECIPIENT} was asked for")


@pytest.mark.parametrize("units", [UNITS + 1, UNITS - 1, 0, 2**256 - 1])
def test_a_changed_amount_is_not_what_was_asked_for(units: int) -> None:
    transaction = doing(replace(PAY, data=transfer_data(RECIPIENT, units)))
    refused(transaction, IntentMismatch, f"amount is {units} base units, but 200000 base units")


@pytest.mark.parametrize(
    "calls", [(PAY, THEFT), (THEFT, PAY), (PAY, PAY), (PAY, kernel.Call(THIEF, 0, b""))]
)
def test_an_extra_call_is_not_what_was_asked_for(calls: tuple[kernel.Call, ...]) -> None:
    refused(doing(*calls), IntentMismatch, "makes 2 calls where one payment was asked for")


def test_many_extra_calls_are_counted_and_the_first_three_told() -> None:
    calls = [kernel.Call(THIEF, units, b"") for units in (1, 2, 3, 4)]
    told = "; ".join(f"pay {n} base units of the chain's own coin to {THIEF}" for n in (1, 2, 3))
    refused(doing(*calls), IntentMismatch, f"makes 4 calls .*: {told}$")


def test_no_call_at_all_is_not_what_was_asked_for() -> None:
    refused(executing(b"\x01", batched()), IntentMismatch, "makes 0 calls")


def test_a_swapped_token_contract_is_not_what_was_asked_for() -> None:
    transaction = doing(replace(PAY, to=FAKE_USDC))
    refused(transaction, IntentMismatch, f"token is {FAKE_USDC}, but {USDC}")


def test_the_chains_coin_instead_of_the_token_is_not_what_was_asked_for() -> None:
    refused(doing(kernel.Call(RECIPIENT, UNITS, b"")), IntentMismatch, "the chain's own coin")


def test_a_changed_chain_is_unverifiable_and_a_consistent_one_not_what_was_asked_for() -> None:
    refused(altered("params", "chain", value="base"), Unverifiable, "hash on base is")
    refused(asked(OPERATION, "base", 8453), IntentMismatch, "chain is base, but base-sepolia")
    refused(altered("params", "chain", value="bas"), Unverifiable, "not one whose id bursar knows")


@pytest.mark.parametrize("mode", [b"\xff\x00", b"\xff\x01"])
def test_a_delegatecall_is_unverifiable(mode: bytes) -> None:
    payload = bytes.fromhex(USDC[2:]) + PAY.data
    refused(executing(mode, payload), Unverifiable, "run as the wallet itself")


def test_a_delegatecall_that_terms_allow_is_shown_and_is_still_no_payment() -> None:
    transaction = executing(b"\xff", bytes.fromhex(USDC[2:]) + PAY.data)
    terms = replace(TERMS, delegatecall=True)
    found = explain(transaction, signer=SIGNER, wallet=WALLET, terms=terms)
    assert found.calls[0].action == Delegated(USDC)
    assert found.kind is ReviewKind.OTHER
    with pytest.raises(IntentMismatch, match="may do anything"):
        reviewed(transaction, terms=terms)


def test_approve_instead_of_transfer_is_not_what_was_asked_for() -> None:
    approve = call_data("approve(address,uint256)", RECIPIENT, UNITS)
    refused(doing(replace(PAY, data=approve)), IntentMismatch, f"let {RECIPIENT} take token {USDC}")


def test_transfer_from_instead_of_transfer_is_not_what_was_asked_for() -> None:
    data = call_data("transferFrom(address,address,uint256)", WALLET, RECIPIENT, UNITS)
    refused(doing(replace(PAY, data=data)), IntentMismatch, "does not pay; it would move")


def test_an_inflated_fee_is_shown_as_it_is_and_cannot_hide_from_the_hash() -> None:
    dear = replace(OPERATION, gas=replace(OPERATION.gas, max_fee=10**15))
    assert reviewed(asked(dear)).fee.at_most == 642 * 10**15
    hidden = copy.deepcopy(GOOD)
    hidden["onChain"]["userOperation"]["maxFeePerGas"] = hex(10**15)
    assert isinstance(refused(hidden, Unverifiable, "hash"), Refused)


def test_a_dropped_paymaster_makes_the_wallet_pay_and_is_said() -> None:
    found = reviewed(asked(replace(OPERATION, paymaster=None)))
    assert found.fee.paymaster is None
    assert "paid by the wallet, from" in found.sentence


def test_a_changed_hash_is_unverifiable() -> None:
    transaction = altered("onChain", "userOperationHash", value="0x" + "11" * 32)
    error = refused(transaction, Unverifiable, f"not 0x{'11' * 32} as stated")
    assert isinstance(error, Unverifiable)
    assert error.what == "userOperationHash"


def test_the_message_of_another_transaction_is_unverifiable() -> None:
    path = ("approvals", "pending", 0, "message")
    other = doing(THEFT)["onChain"]["userOperationHash"]
    error = refused(altered(*path, value=other), Unverifiable, "message to sign is")
    assert isinstance(error, Unverifiable)
    assert error.what == "message"


def test_message_and_hash_of_another_transaction_together_are_unverifiable() -> None:
    transaction = doing(THEFT)
    transaction["onChain"]["userOperation"] = GOOD["onChain"]["userOperation"]
    refused(transaction, Unverifiable, "as stated")


@pytest.mark.parametrize("status", ["success", "pending", "failed", "Awaiting-Approval"])
def test_an_old_transaction_replayed_is_not_awaiting_approval(status: str) -> None:
    refused(altered("status", value=status), NotAwaitingApproval, status)


def test_another_wallets_transaction_is_not_what_was_asked_for() -> None:
    refused(asked(replace(OPERATION, sender=OTHER)), IntentMismatch, f"of wallet {OTHER}")


def test_another_signers_nonce_is_unverifiable() -> None:
    nonce = OPERATION.nonce | (2 << 240)
    refused(asked(replace(OPERATION, nonce=nonce)), Unverifiable, "type permission")


def test_coin_sent_along_with_the_token_is_not_what_was_asked_for() -> None:
    transaction = doing(replace(PAY, value=1))
    refused(transaction, IntentMismatch, "sends 1 wei of the chain's coin along")
    found = explain(transaction, signer=SIGNER, wallet=WALLET)
    assert found.kind is ReviewKind.OTHER
    assert "sending 1 wei along" in found.sentence


@pytest.mark.parametrize("mode", [b"\x00\x01", b"\x01\x01"])
def test_a_payment_that_may_fail_unnoticed_is_not_what_was_asked_for(mode: bytes) -> None:
    payload = packed(PAY) if mode[0] == 0 else batched(PAY)
    refused(executing(mode, payload), IntentMismatch, "may fail")


def test_a_batch_of_the_one_payment_is_the_payment() -> None:
    assert reviewed(executing(b"\x01", batched(PAY))).payments == reviewed(GOOD).payments


def test_a_payment_of_the_chains_coin_is_found() -> None:
    intent = Intent("base-sepolia", Token(None, "ETH", 18), RECIPIENT, 5 * 10**17)
    found = reviewed(doing(kernel.Call(RECIPIENT, 5 * 10**17, b"")), intent)
    assert found.sentence.startswith(f"pay 0.5 ETH (the chain's own coin) to {RECIPIENT} on")
    assert found.kind is ReviewKind.TRANSFER


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (("id",), "id"),
        (("status",), "status"),
        (("params",), "params"),
        (("params", "chain"), "chain"),
        (("approvals",), "approvals"),
        (("onChain",), "onChain"),
        (("onChain", "userOperation"), "userOperation"),
        (("onChain", "userOperationHash"), "userOperationHash"),
    ],
    ids=str,
)
def test_a_part_that_is_missing_is_named(path: tuple[str, ...], what: str) -> None:
    error = refused(altered(*path, value=None), Unverifiable, f"^{what} is not")
    assert isinstance(error, Unverifiable)
    assert error.what == what


def test_what_is_no_transaction_is_named() -> None:
    with pytest.raises(Unverifiable, match=r"^transaction is not a JSON object"):
        explain([], signer=SIGNER, wallet=WALLET)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("chainType", "solana"), ("walletType", "mpc")])
def test_another_kind_of_wallet_is_unverifiable(name: str, value: str) -> None:
    refused(altered(name, value=value), Unverifiable, f"{name} is {value}")


def test_older_answers_without_a_chain_type_are_reviewed() -> None:
    transaction = {k: v for k, v in GOOD.items() if k not in ("chainType", "walletType")}
    assert reviewed(transaction) == reviewed(GOOD)


def test_a_transaction_is_explained_without_an_intent_whatever_it_does() -> None:
    found = explain(doing(PAY, THEFT), signer=SIGNER, wallet=WALLET)
    assert [type(call.action) for call in found.calls] == [Transfer, Approve]
    assert (found.kind, found.intent) == (ReviewKind.OTHER, None)
    paid = f"pay 200000 base units of token {USDC} to {RECIPIENT}"
    let = f"let {THIEF} take token {USDC} without limit"
    assert found.sentence.startswith(f"2 calls: {paid}; {let} on base-sepolia, fee at most")


def test_a_signer_change_is_shown_as_one() -> None:
    change = kernel.Call(VALIDATOR, 0, call_data("addSigner(address)", OTHER))
    found = explain(doing(change), signer=SIGNER, wallet=WALLET)
    assert found.kind is ReviewKind.SIGNER_CHANGE
    assert found.to_dict()["kind"] == "signer_change"
    assert found.sentence.startswith(f"add the signer {OTHER} (validator {VALIDATOR}) on")
    mixed = explain(doing(PAY, change), signer=SIGNER, wallet=WALLET)
    assert mixed.kind is ReviewKind.OTHER


@pytest.mark.parametrize(
    "signer", ["", "email:a@example.com", OWNER, "external-wallet:0x12", "quorum:7"]
)
def test_a_signer_without_an_evm_key_is_refused(signer: str) -> None:
    with pytest.raises(LocatorError):
        explain(GOOD, signer=signer, wallet=WALLET)


def test_a_wallet_that_is_no_address_is_refused() -> None:
    with pytest.raises(AddressError):
        explain(GOOD, signer=SIGNER, wallet="evm:smart:alias:treasury")


def test_our_errors_never_repeat_much_of_what_was_sent() -> None:
    transaction = altered("params", "chain", value="x\n\x1b[31m" * 30)
    error = refused(transaction, Unverifiable, "x")
    assert len(error.message) < 200
    assert error.message.isprintable()
