from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from eth_account.datastructures import SignedMessage
from eth_account.messages import SignableMessage, encode_defunct, encode_intended_validator
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from hypothesis import given
from hypothesis import strategies as st

from bursar.accounts import SignerAccount
from bursar.errors import (
    DigestError,
    UnsupportedOperation,
    WrongKey,
)
from tests.unit.accounts.signers import (
    KEY,
    LOCAL,
    TO,
    AnotherKeysSigner,
    DeterministicSigner,
    each,
    without,
)

# --- who it is ------------------------------------------------------------------------------------


def test_it_is_a_local_account_so_that_web3_takes_it(account: SignerAccount) -> None:
    assert isinstance(account, LocalAccount)
    assert account.address == LOCAL.address


def test_it_shows_its_address_and_nothing_else(account: SignerAccount) -> None:
    assert repr(account) == str(account) == f"SignerAccount('{LOCAL.address}')"


def test_accounts_of_one_address_are_equal_and_hash_alike(account: SignerAccount) -> None:
    assert account == SignerAccount(DeterministicSigner(KEY))
    assert len({account, SignerAccount(DeterministicSigner(KEY))}) == 1
    assert account != LOCAL
    assert account != SignerAccount(DeterministicSigner(secrets.token_bytes(32)))


REACHES: dict[str, Callable[[Any], object]] = {
    "key": lambda account: account.key,
    "bytes": bytes,
    "encrypt": lambda account: account.encrypt("password"),
    "encrypt with options": lambda account: account.encrypt("p", kdf="scrypt", iterations=2),
    "privateKey": lambda account: account.privateKey,
    "private_key": lambda account: account.private_key,
    "_private_key": lambda account: account._private_key,
    "_key_obj": lambda account: account._key_obj,
}


@pytest.mark.parametrize("reach", REACHES.values(), ids=REACHES.keys())
def test_reaching_for_the_private_key_is_refused_with_a_reason(
    account: SignerAccount, reach: Callable[[Any], object]
) -> None:
    with pytest.raises(UnsupportedOperation, match="never leaves") as refusal:
        reach(account)
    assert refusal.value.hint


def test_it_holds_nothing_but_the_signer_and_the_address(account: SignerAccount) -> None:
    assert set(vars(account)) == {"_signer", "_address"}


def test_an_unknown_attribute_is_an_attribute_error(account: SignerAccount) -> None:
    assert not hasattr(account, "nonce")


# --- messages and hashes --------------------------------------------------------------------------

MESSAGES = [
    encode_defunct(text=""),
    encode_defunct(text="I♥SF 🪙"),
    encode_defunct(primitive=bytes(range(256))),
    encode_defunct(hexstr="0x01"),
    encode_defunct(text="0x01"),
    encode_intended_validator(TO, text="for this contract"),
    SignableMessage(b"E", b"thereum Signed Message:\n1", b"x"),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_hashed_once_and_equals_eth_accounts(
    account: SignerAccount, signer: DeterministicSigner, message: SignableMessage
) -> None:
    signed = account.sign_message(message)
    assert isinstance(signed, SignedMessage)
    assert signed == LOCAL.sign_message(message)
    assert signed.v in {27, 28}
    assert signer.asked == [bytes(signed.message_hash)]


@given(st.binary(max_size=300))
def test_any_bytes_sign_as_eth_account_signs_them(body: bytes) -> None:
    message = encode_defunct(primitive=body)
    assert SignerAccount(DeterministicSigner(KEY)).sign_message(message) == LOCAL.sign_message(
        message
    )


@pytest.mark.parametrize(
    "message",
    [
        "text",
        b"bytes",
        None,
        ("E", "a", "b"),
        (b"E", b"a", b"b"),
        SignableMessage(b"", b"a", b"b"),
        SignableMessage(b"EE", b"a", b"b"),
        SignableMessage(b"E", b"a", "b"),  # type: ignore[arg-type]  # that is the case
    ],
)
def test_what_is_not_a_signable_message_is_refused_before_the_signer(
    account: SignerAccount, signer: DeterministicSigner, message: Any
) -> None:
    with pytest.raises(DigestError):
        account.sign_message(message)
    assert signer.asked == []


@pytest.mark.parametrize(
    "form",
    [bytes, bytearray, HexBytes, lambda h: "0x" + h.hex()],
    ids=["bytes", "bytearray", "HexBytes", "hex text"],
)
def test_a_bare_hash_is_signed_as_it_is(
    account: SignerAccount, signer: DeterministicSigner, form: Callable[[bytes], Any]
) -> None:
    message_hash = secrets.token_bytes(32)
    signed = account.unsafe_sign_hash(form(message_hash))
    assert signed == LOCAL.unsafe_sign_hash(message_hash)
    assert signer.asked == [message_hash]


NOT_HASHES: list[Any] = [
    b"",
    b"x" * 31,
    b"x" * 33,
    "ab" * 32,
    "0x" + "ab" * 31,
    "0x" + "zz" * 32,
    "0x" + "ab" * 32 + "\n",
    "q" * 43 + "=",
    7,
    2**255,
    None,
    [0] * 32,
    memoryview(b"x" * 32),
]


@pytest.mark.parametrize("message_hash", NOT_HASHES, ids=range(len(NOT_HASHES)))
def test_what_is_not_32_bytes_is_refused_before_the_signer(
    account: SignerAccount, signer: DeterministicSigner, message_hash: Any
) -> None:
    with pytest.raises(DigestError):
        account.unsafe_sign_hash(message_hash)
    assert signer.asked == []


def test_another_keys_signature_is_not_released() -> None:
    with pytest.raises(WrongKey):
        SignerAccount(AnotherKeysSigner()).sign_message(encode_defunct(text="x"))


# --- typed data -----------------------------------------------------------------------------------

DOMAIN = {"name": "Treasury", "version": "1", "chainId": 1, "verifyingContract": TO}
TYPES = {
    "Payee": [{"name": "who", "type": "address"}, {"name": "label", "type": "string"}],
    "Batch": [
        {"name": "payees", "type": "Payee[]"},
        {"name": "amounts", "type": "uint256[2][]"},
        {"name": "memo", "type": "bytes"},
        {"name": "tag", "type": "bytes4"},
        {"name": "small", "type": "uint8"},
        {"name": "final", "type": "bool"},
    ],
}


def batch(**changes: Any) -> dict[str, Any]:
    return {
        "payees": [{"who": TO, "label": "plain"}, {"who": TO, "label": "emoji 🪙 ümlaut"}],
        "amounts": [[1, 2**256 - 1], [3, 4]],
        "memo": b"\x00\xff",
        "tag": "0x01020304",
        "small": 255,
        "final": True,
    } | changes


def full(types: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"types": types, "primaryType": "Batch", "domain": DOMAIN, "message": batch()} | parts


DOMAIN_TYPE = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]


def typed(**changes: Any) -> dict[str, Any]:
    return {"domain_data": DOMAIN, "message_types": TYPES, "message_data": batch(**changes)}


TYPED_CALLS: list[dict[str, Any]] = [
    {"domain_data": DOMAIN, "message_types": TYPES, "message_data": batch()},
    {"full_message": full(TYPES)},
    {"full_message": full(TYPES | {"EIP712Domain": DOMAIN_TYPE})},
    {"full_message": without(full(TYPES), "primaryType")},
    *(
        {"domain_data": domain, "message_types": TYPES, "message_data": batch()}
        for domain in ({}, {"name": "only"}, {"chainId": 2**60}, {"salt": b"\x01" * 32})
    ),
    *each(typed, "memo", "0x00ff", "text", b""),
    *each(typed, "payees", []),
    *each(typed, "amounts", []),
    *each(typed, "small", "0xff", "255"),
    *each(typed, "final", "false"),
]


@pytest.mark.parametrize("call", TYPED_CALLS)
def test_typed_data_equals_eth_accounts(
    account: SignerAccount, signer: DeterministicSigner, call: dict[str, Any]
) -> None:
    signed = account.sign_typed_data(**call)
    assert signed == LOCAL.sign_typed_data(**call)
    assert signer.asked == [bytes(signed.message_hash)]


def test_typed_data_takes_its_parts_by_position(account: SignerAccount) -> None:
    parts = (DOMAIN, TYPES, batch())
    assert account.sign_typed_data(*parts) == LOCAL.sign_typed_data(*parts)


def test_bytes_and_the_text_of_their_hex_are_different_strings(account: SignerAccount) -> None:
    as_bytes = account.sign_typed_data(DOMAIN, TYPES, batch(memo=b"\x00\xff"))
    assert as_bytes == account.sign_typed_data(DOMAIN, TYPES, batch(memo="0x00ff"))
    assert as_bytes != account.sign_typed_data(DOMAIN, TYPES, batch(memo=b"0x00ff"))


nested: list[Any] = []
nested.append(nested)


@pytest.mark.parametrize(
    "call",
    [
        {},
        {"domain_data": DOMAIN},
        {"domain_data": DOMAIN, "message_types": TYPES},
        {"full_message": full(TYPES), "domain_data": DOMAIN},
        {"full_message": without(full(TYPES), "domain")},
        {"full_message": full(TYPES, primaryType="Payee")},
        {"full_message": full(TYPES | {"EIP712Domain": DOMAIN_TYPE[:2]})},
        {"full_message": "not a dict"},
        {"full_message": full({"Batch": [{"name": "x", "type": "Unknown"}]})},
        *(
            {"domain_data": domain, "message_types": TYPES, "message_data": batch()}
            for domain in ({"chain": 1}, {"chainId": None}, {"chainId": 1.0}, {"chainId": -1})
        ),
        *(
            {"domain_data": DOMAIN, "message_types": TYPES, "message_data": batch(**changes)}
            for changes in (
                {"small": 256},
                {"small": -1},
                {"small": "0x100"},
                {"small": 1.0},
                {"small": None},
                {"final": 0.5},
                {"amounts": [[1, 2**256]]},
                {"amounts": [[1, 2.0]]},
                {"amounts": 7},
                {"tag": b"\x01" * 5},
                {"payees": [{"who": "0x12", "label": "x"}]},
                {"payees": [{"who": TO, "label": "\ud800"}]},
                {"payees": nested},
            )
        ),
    ],
)
def test_invalid_typed_data_is_refused_and_nothing_is_signed(
    account: SignerAccount, signer: DeterministicSigner, call: dict[str, Any]
) -> None:
    with pytest.raises(DigestError):
        account.sign_typed_data(**call)
    assert signer.asked == []
