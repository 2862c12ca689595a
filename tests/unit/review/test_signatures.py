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
from bursar.review.actions import Approve
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


def refused(
    signature: Any, why: str, kind: type[BursarError] = Unverifiable, what: str | None = None
) -> None:
    with pytest.raises(kind, match=why) as caught:
        reviewed(signature)
    assert what in (None, getattr(caught.value, "what", None))


def changed(data: dict[str, Any], *path: str | int, value: Any) -> dict[str, Any]:
    """Return typed data with one value replaced."""
    result = copy.deepcopy(data)
    place: Any = result
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return result


@pytest.mark.parametrize("text", ["I own this wallet", "zwölf\nzeilen", "0x" + "ab" * 32, " "])
def test_a_text_is_shown_and_its_wrapped_hash_is_what_waits(text: str) -> None:
    found = reviewed(signing(text))
    assert found.text == text
    assert found.digest(Scheme.RAW) == found.hash
    assert found.sentence.endswith(f" on {CHAIN}, as wallet {WALLET}")
    assert found.sentence.isprintable()
    assert json.loads(json.dumps(found.to_dict()))["kind"] == "message"


def test_the_longest_text_is_of_4096_characters() -> None:
    assert reviewed(signing("ü" * 4096)).text == "ü" * 4096


@pytest.mark.parametrize("version", ["0.3.1", "0.3.2", "0.3.3"])
def test_each_known_version_of_kernel_wraps_under_its_own_name(version: str) -> None:
    signature = signing("hello")
    text = encode_defunct(text="hello")
    domain = {
        "name": "Kernel",
        "version": version,
        "chainId": CHAIN_ID,
        "verifyingContract": WALLET,
    }
    wrapped = encode_typed_data(
        domain,
        {"Kernel": [{"name": "hash", "type": "bytes32"}]},
        {"hash": keccak(b"\x19" + text.version + text.header + text.body)},
    )
    message = keccak(b"\x19" + wrapped.version + wrapped.header + wrapped.body)
    signature["approvals"]["pending"][0]["message"] = "0x" + message.hex()
    assert reviewed(signature).hash == message


def test_the_record_of_a_text_holds_everything_and_is_json() -> None:
    signature = signing("hello")
    found = reviewed(signature)
    assert json.loads(json.dumps(found.to_dict())) == {
        "sentence": f"sign the text 'hello' on {CHAIN}, as wallet {WALLET}",
        "kind": "message",
        "signature": "s-1",
        "chain": CHAIN,
        "wallet": WALLET,
        "signer": SIGNER,
        "hash": signature["approvals"]["pending"][0]["message"],
        "text": "hello",
        "typedData": None,
    }


def test_the_record_of_typed_data_holds_what_it_lets_happen() -> None:
    recorded = json.loads(json.dumps(reviewed(typed(PERMIT)).to_dict()))
    assert (recorded["kind"], recorded["text"]) == ("typed-data", None)
    assert recorded["typedData"] == {
        "action": "Approve",
        "arguments": {"token": USDC, "spender": THIEF, "amount": "700"},
        "expires": "1800000000",
        "digest": "0x" + judged(PERMIT).hex(),
    }


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
    ("path", "value", "why", "what"),
    [
        (("primaryType",), "Order", "not a permit", "typedData"),
        (("primaryType",), 7, "^primaryType is not", "primaryType"),
        (("types", "Permit", 2, "type"), "uint128", "not a permit", "typedData"),
        (("types", "Permit", 2, "name"), "amount", "not a permit", "typedData"),
        (("types", "Permit"), [], "not a permit", "typedData"),
        (("types", "Permit"), "Permit", "not a permit", "typedData"),
        (("types", "Permit"), 7, "not a permit", "typedData"),
        (("types", "Permit"), None, "not a permit", "typedData"),
        (("types", "Permit", 0), 7, "not a permit", "typedData"),
        (("types", "Permit", 0), {"name": "owner"}, "not a permit", "typedData"),
        (("types", "Permit"), [{}] * 11, "not a permit", "typedData"),
        (("types", "EIP712Domain"), [], "stated type", "domain"),
        (("domain", "chainId"), 1, "another chain", "chainId"),
        (("domain", "chainId"), 2**300, "chainId does not fit 256 bits", "chainId"),
        (("domain", "chainId"), True, "^chainId is not", "chainId"),
        (("domain", "extra"), 1, "EIP-712 has not", "domain"),
        (("domain", "verifyingContract"), "0x12", "not an EVM address", "verifyingContract"),
        (("domain", "name"), "\ud800", "UTF-8", "name"),
        (("domain", "name"), None, "^name is not", "name"),
        (("domain", "version"), "2" * 4097, "1 to 4096 characters", "version"),
        (("message", "owner"), OTHER, "not of this wallet", "typedData"),
        (("message", "value"), -1, "256 bits", "value"),
        (("message", "value"), 2**256, "256 bits", "value"),
        (("message", "value"), str(2**256), "256 bits", "value"),
        (("message", "value"), 1.5, "not hex text", "value"),
        (("message", "value"), "1e3", "not hex text", "value"),
        (("message", "value"), "٣", "not hex text", "value"),
        (("message", "value"), "0" * 78 + "1", "not hex text", "value"),
        (("message", "value"), "1" * 5000, "not hex text", "value"),
        (("message", "value"), "0x" + "1" * 65, "longer than 64", "value"),
        (("message", "nonce"), None, "^nonce is not", "nonce"),
        (("message",), None, "^message is not", "message"),
        (("domain",), [], "^domain is not", "domain"),
        (("types",), [], "^types is not", "types"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_typed_data_of_another_form_is_unverifiable(
    path: tuple[Any, ...], value: Any, why: str, what: str
) -> None:
    refused(typed(changed(PERMIT, *path, value=value), bytes(32)), why, what=what)


def test_typed_data_that_is_no_object_is_unverifiable() -> None:
    refused(
        waiting("typed-data", {"typedData": []}, bytes(32)), "^typedData is not", what="typedData"
    )


@pytest.mark.parametrize("written", [str, hex, int])
@pytest.mark.parametrize("units", [0, 10, 2**256 - 1])
def test_a_number_may_be_a_number_decimal_digits_or_hex_digits(
    units: int, written: type[str | int]
) -> None:
    digest = judged(changed(PERMIT, "message", "value", value=units))
    found = reviewed(typed(changed(PERMIT, "message", "value", value=written(units)), digest))
    assert found.typed_data is not None
    assert found.typed_data.action == Approve(USDC, THIEF, units)


def test_every_member_that_a_domain_may_have_goes_into_the_hash() -> None:
    salted = changed(AUTHORIZED, "domain", "salt", value=bytes(31) + b"\x07")
    shown = changed(AUTHORIZED, "domain", "salt", value="0x" + "00" * 31 + "07")
    long = changed(shown, "domain", "name", value="ü" * 4096)
    assert reviewed(typed(shown, judged(salted))).typed_data
    assert reviewed(typed(long, judged(changed(salted, "domain", "name", value="ü" * 4096))))
    refused(typed(shown, judged(AUTHORIZED)), "is not what this wallet's owner signs")
    refused(typed(changed(shown, "domain", "salt", value="0x07"), bytes(32)), "not 32", what="salt")


def test_a_changed_value_in_typed_data_is_unverifiable() -> None:
    signature = typed(PERMIT)
    signature["params"]["typedData"] = {**PERMIT, "message": {**PERMIT["message"], "value": "701"}}
    refused(signature, "is not what this wallet's owner signs")


@pytest.mark.parametrize(
    ("name", "value", "why", "what"),
    [
        ("type", "auth-entries", "auth-entries", "type"),
        ("type", None, "type", "type"),
        ("params", {"chain": "solana", "message": "x"}, "chain", "chain"),
        ("params", {"message": "x"}, "^chain is not", "chain"),
        ("params", {"chain": CHAIN, "message": ""}, "^message is not", "message"),
        ("params", {"chain": CHAIN, "message": "x" * 4097}, "^message is not", "message"),
        ("params", {"chain": CHAIN, "message": "\ud800"}, "UTF-8", "message"),
        ("params", None, "^params is not", "params"),
        ("id", None, "^id is not", "id"),
    ],
)
def test_a_signature_of_another_form_is_unverifiable(
    name: str, value: Any, why: str, what: str
) -> None:
    refused({**signing("hello"), name: value}, why, what=what)


def test_what_is_no_object_is_no_signature() -> None:
    refused([], "^signature is not a JSON object", what="signature")


def test_a_signature_that_does_not_wait_is_refused() -> None:
    refused({**signing("hello"), "status": "success"}, "success", NotAwaitingApproval)
