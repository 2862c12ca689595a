from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from bursar.errors import Unverifiable
from bursar.review.actions import Transfer
from bursar.review.intent import Token
from bursar.review.report import ReviewKind
from bursar.review.transaction import explain, review
from bursar.review.words import words
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.abi import call_data
from tests.unit.review.scene import (
    FACTORY,
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
    USDC,
    VALIDATOR,
    WALLET,
    born,
    doing,
    executing,
    packed,
)


def test_the_record_holds_everything_and_is_json() -> None:
    transaction = born()
    found = review(transaction, INTENT, signer=SIGNER.lower(), wallet=WALLET.lower(), terms=TERMS)
    assert json.loads(json.dumps(found.to_dict())) == {
        "sentence": found.sentence,
        "kind": "transfer",
        "transaction": transaction["id"],
        "chain": "base-sepolia",
        "chainId": 84532,
        "wallet": WALLET,
        "signer": SIGNER,
        "userOperationHash": transaction["onChain"]["userOperationHash"],
        "nonce": hex(OPERATION.nonce),
        "calls": [
            {
                "to": USDC,
                "value": "0",
                "action": "Transfer",
                "arguments": {"token": USDC, "recipient": RECIPIENT, "amount": "200000"},
            }
        ],
        "mayFail": False,
        "feeAtMost": "642000000000",
        "paymaster": SPONSOR,
        "deployment": {"factory": FACTORY, "validator": VALIDATOR, "owner": OWNER},
        "intent": INTENT.to_dict(),
    }


def test_a_review_cannot_be_changed_afterwards() -> None:
    found = explain(doing(PAY), signer=SIGNER, wallet=WALLET)
    with pytest.raises(FrozenInstanceError):
        found.wallet = THIEF  # type: ignore[misc]


APPROVE = call_data("approve(address,uint256)", THIEF, 7)
TAKE = call_data("transferFrom(address,address,uint256)", OTHER, THIEF, 7)
REMOVE = call_data("removeSigner(address)", OTHER)
UPGRADE = call_data("upgradeTo(address)", THIEF)
UNKNOWN = f"call {THIEF} with 0xdeadbeef, which is unknown"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (kernel.Call(USDC, 0, APPROVE), f"let {THIEF} take token {USDC} up to 7 base units"),
        (kernel.Call(USDC, 0, TAKE), f"move 7 base units of token {USDC} of {OTHER} to {THIEF}"),
        (kernel.Call(VALIDATOR, 0, REMOVE), f"remove the signer {OTHER} (validator {VALIDATOR})"),
        (kernel.Call(WALLET, 0, UPGRADE), "change the wallet itself (upgradeTo)"),
        (kernel.Call(THIEF, 9, b"\xde\xad\xbe\xef"), f"{UNKNOWN}, sending 9 wei along"),
        (kernel.Call(THIEF, 0, b"\xde"), f"call {THIEF} with data, which is unknown"),
        (kernel.Call(THIEF, 9, b""), f"pay 9 base units of the chain's own coin to {THIEF}"),
    ],
    ids=["approve", "transferFrom", "signer", "upgrade", "unknown", "data", "coin"],
)
def test_each_action_is_said_in_words_and_goes_into_the_record(
    call: kernel.Call, said: str
) -> None:
    found = explain(doing(call), signer=SIGNER, wallet=WALLET)
    assert found.sentence.startswith(said)
    assert json.dumps(found.to_dict())


def test_a_signer_change_is_recorded_with_its_direction() -> None:
    call = kernel.Call(VALIDATOR, 0, call_data("addSigner(address)", OTHER))
    [recorded] = explain(doing(call), signer=SIGNER, wallet=WALLET).to_dict()["calls"]
    assert recorded["arguments"] == {"added": True, "signer": OTHER, "validator": VALIDATOR}


@pytest.mark.parametrize("along", [0, 1])
def test_coin_along_with_any_one_call_makes_the_whole_no_transfer(along: int) -> None:
    calls = [PAY, PAY]
    calls[along] = replace(PAY, value=1)
    assert explain(doing(*calls), signer=SIGNER, wallet=WALLET).kind is ReviewKind.OTHER


def test_a_payment_of_the_chains_coin_is_recorded_without_a_token() -> None:
    call = kernel.Call(RECIPIENT, 9, b"")
    [recorded] = explain(doing(call), signer=SIGNER, wallet=WALLET).to_dict()["calls"]
    assert recorded["arguments"] == {"token": None, "recipient": RECIPIENT, "amount": "9"}


@pytest.mark.parametrize("named", [Token(USDC, "USDC"), Token(USDC, None, 6), Token(OTHER, "X", 6)])
def test_a_token_without_its_name_or_its_decimals_is_said_in_base_units(named: Token) -> None:
    paid = Transfer(USDC, RECIPIENT, 7)
    assert words(paid, (named,)) == f"pay 7 base units of token {USDC} to {RECIPIENT}"


def test_calls_that_may_fail_and_no_calls_are_said() -> None:
    unsure = explain(executing(b"\x00\x01", packed(PAY)), signer=SIGNER, wallet=WALLET)
    assert ", in calls that may fail unnoticed, fee" in unsure.sentence
    empty = explain(
        executing(b"\x01", bytes(31) + b"\x20" + bytes(32)), signer=SIGNER, wallet=WALLET
    )
    assert empty.sentence.startswith("do nothing on base-sepolia")
    assert (empty.kind.value, empty.to_dict()["calls"]) == ("other", [])


def test_a_refusal_that_names_no_part_is_of_the_whole_transaction() -> None:
    assert Unverifiable("it cannot be read").what == "transaction"
