"""Off-chain signatures: eth-account encodes the typed data, the sandbox wraps it as Kernel does."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from eth_account.messages import encode_defunct, encode_typed_data
from eth_utils.crypto import keccak

from bursar.chains.evm import Scheme
from bursar.errors import BursarError, NotAwaitingApproval, Unverifiable
from bursar.review.signatures import SignatureReview, review_signature
from bursar.sandbox.chain.kernel import erc1271_digest
from tests.unit.review.scene import (
    CHAIN,
    CHAIN_ID,
    OPERATION,
    OTHER,
    RECIPIENT,
    SIGNER,
    THIEF,
    USDC,
    WALLET,
    asked,
)

PERMIT: dict[str, Any] = {
    "primaryType": "Permit",
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"},
        ],
        "Permit": [
            {"name": "owner", "type": "address"},
            {"name": "spender", "type": "address"},
            {"name": "value", "type": "uint256"},
            {"name": "nonce", "type": "uint256"},
            {"name": "deadline", "type": "uint256"},
        ],
    },
    "domain": {"name": "USD Coin", "version": "2", "chainId": CHAIN_ID, "verifyingContract": USDC},
    "message": {
        "owner": WALLET,
        "spender": THIEF,
        "value": "700",
        "nonce": 0,
        "deadline": 1_800_000_000,
    },
}
AUTHORIZED: dict[str, Any] = {
    "primaryType": "TransferWithAuthorization",
    "types": {
        "TransferWithAuthorization": [
            {"name": "from", "type": "address"},
            {"name": "to", "type": "address"},
            {"name": "value", "type": "uint256"},
            {"name": "validAfter", "type": "uint256"},
            {"name": "validBefore", "type": "uint256"},
            {"name": "nonce", "type": "bytes32"},
        ],
    },
    "domain": {"name": "USDC", "version": "2", "chainId": CHAIN_ID, "verifyingContract": USDC},
    "message": {
        "from": WALLET,
        "to": RECIPIENT,
        "value": 700,
        "validAfter": 0,
        "validBefore": 1_800_000_000,
        "nonce": "0x" + "ab" * 32,
    },
}


def waiting(kind: str, params: dict[str, Any], digest: bytes) -> dict[str, Any]:
    message = "0x" + erc1271_digest(CHAIN_ID, WALLET, digest).hex()
    return {
        "id": "s-1",
        "type": kind,
        "chainType": "evm",
        "status": "awaiting-approval",
        "params": {"chain": CHAIN, **params},
        "approvals": {"pending": [{"signer": {"locator": SIGNER}, "message": message}]},
    }


def signing(text: str) -> dict[str, Any]:
    made = encode_defunct(text=text)
    digest = keccak(b"\x19" + made.version + made.header + made.body)
    return waiting("message", {"message": text}, digest)


def judged(data: dict[str, Any]) -> bytes:
    """Return eth-account's digest of typed data."""
    numbers = {k: int(v) if k == "value" else v for k, v in data["message"].items()}
    full = {**data, "message": numbers}
    made = encode_typed_data(
        full["domain"], {data["primaryType"]: data["types"][data["primaryType"]]}, numbers
    )
    return keccak(b"\x19" + made.version + made.header + made.body)


def typed(data: dict[str, Any], digest: bytes | None = None) -> dict[str, Any]:
    return waiting("typed-data", {"typedData": data}, judged(data) if digest is None else digest)


def reviewed(signature: dict[str, Any]) -> SignatureReview:
    return review_signature(signature, signer=SIGNER, wallet=WALLET)


def refused(signature: dict[str, Any], why: str, kind: type[BursarError] = Unverifiable) -> None:
    with pytest.raises(kind, match=why):
        reviewed(signature)


@pytest.mark.parametrize("text", ["I own this wallet", "zwölf\nzeilen", "0x" + "ab" * 32, " "])
def test_a_text_is_shown_and_its_wrapped_hash_is_what_waits(text: str) -> None:
    found = reviewed(signing(text))
    assert found.text == text
    assert found.digest(Scheme.RAW) == found.hash
    assert found.sentence.endswith(f" on {CHAIN}, as wallet {WALLET}")
    assert found.sentence.isprintable()
    assert json.loads(json.dumps(found.to_dict()))["kind"] == "message"


def test_a_permit_is_shown_as_the_approval_it_is() -> None:
    found = reviewed(typed(PERMIT))
    assert found.sentence == (
        f"let {THIEF} take token {USDC} up to 700 base units, by anybody who has the signature, until 1800000000 "
        f"(seconds since 1970) on {CHAIN}, as wallet {WALLET}"
    )
    assert json.loads(json.dumps(found.to_dict()))["typedData"]["action"] == "Approve"


def test_an_authorised_transfer_is_shown_as_the_payment_it_is() -> None:
    found = reviewed(typed(AUTHORIZED))
    assert found.sentence.startswith(
        f"pay 700 base units of token {USDC} to {RECIPIENT}, by anybody"
    )
    assert found.typed_data is not None
    assert found.typed_data.digest == judged(AUTHORIZED)


def test_a_text_other_than_the_one_that_would_be_signed_is_unverifiable() -> None:
    signature = signing("I own this wallet")
    signature["params"]["message"] = "I own that wallet"
    refused(signature, "is not what this wallet's owner signs")


def test_a_user_operations_hash_dressed_up_as_a_text_is_unverifiable() -> None:
    digest = asked(OPERATION)["onChain"]["userOperationHash"]
    signature = signing(digest)
    signature["approvals"]["pending"][0]["message"] = digest
    refused(signature, "is not what this wallet's owner signs")


def test_another_wallets_text_is_unverifiable() -> None:
    with pytest.raises(Unverifiable):
        review_signature(signing("hello"), signer=SIGNER, wallet=OTHER)


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("primaryType",), "Order", "not a permit"),
        (("primaryType",), 7, "primaryType"),
        (("types", "Permit", 2, "type"), "uint128", "not a permit"),
        (("types", "Permit", 2, "name"), "amount", "not a permit"),
        (("types", "Permit"), [], "not a permit"),
        (("types", "Permit"), "Permit", "not a permit"),
        (("types", "Permit", 0), {"name": "owner"}, "not a permit"),
        (("types", "Permit"), [{}] * 11, "not a permit"),
        (("types", "EIP712Domain"), [], "domain"),
        (("domain", "chainId"), 1, "another chain"),
        (("domain", "chainId"), 2**300, "256 bits"),
        (("domain", "chainId"), True, "chainId"),
        (("domain", "extra"), 1, "EIP-712 has not"),
        (("domain", "verifyingContract"), "0x12", "verifyingContract"),
        (("domain", "name"), "\ud800", "UTF-8"),
        (("domain", "name"), None, "name"),
        (("message", "owner"), OTHER, "not of this wallet"),
        (("message", "value"), -1, "256 bits"),
        (("message", "value"), 1.5, "value"),
        (("message", "value"), "1e3", "value"),
        (("message", "nonce"), None, "nonce"),
        (("message",), None, "message"),
        (("domain",), [], "domain"),
        (("types",), [], "types"),
    ],
    ids=str,
)
def test_typed_data_of_another_form_is_unverifiable(
    path: tuple[Any, ...], value: Any, why: str
) -> None:
    data = copy.deepcopy(PERMIT)
    place: Any = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    refused(typed(data, bytes(32)), why)


def test_a_changed_value_in_typed_data_is_unverifiable() -> None:
    signature = typed(PERMIT)
    signature["params"]["typedData"] = {**PERMIT, "message": {**PERMIT["message"], "value": "701"}}
    refused(signature, "is not what this wallet's owner signs")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("type", "auth-entries", "auth-entries"),
        ("type", None, "type"),
        ("params", {"chain": "solana", "message": "x"}, "chain"),
        ("params", {"message": "x"}, "chain"),
        ("params", {"chain": CHAIN, "message": ""}, "message"),
        ("params", {"chain": CHAIN, "message": "x" * 5000}, "message"),
        ("params", {"chain": CHAIN, "message": "\ud800"}, "UTF-8"),
        ("params", None, "params"),
        ("id", None, "id"),
    ],
)
def test_a_signature_of_another_form_is_unverifiable(name: str, value: Any, why: str) -> None:
    refused({**signing("hello"), name: value}, why)


def test_a_signature_that_does_not_wait_is_refused() -> None:
    refused({**signing("hello"), "status": "success"}, "success", NotAwaitingApproval)
