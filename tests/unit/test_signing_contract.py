from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.chains.evm import Scheme
from bursar.errors import (
    AddressError,
    BlindSigningDisabled,
    BursarError,
    ConfigError,
    DigestError,
    KmsAccessDenied,
    KmsThrottled,
    KmsTimeout,
    LocatorError,
    RequestError,
    RequestTooLarge,
    SignerMismatch,
    UnsupportedOperation,
    WrongKey,
)
from bursar.review.intent import BatchIntent, Intent, SignerChangeIntent, Token
from bursar.signing_contract import (
    MAX_BODY_BYTES,
    AnyRequest,
    ApprovalRequest,
    DigestRequest,
    TransactionRequest,
    parse_request,
    read_request,
    refusal,
    request_body,
    require_blind,
    require_signer,
)

HASH = bytes(range(32))
ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
OTHER = "0xde709f2102306220921060314715629080e2fb77"


def body(**changes: Any) -> bytes:
    request = {"messageHash": "0x" + HASH.hex(), "signerAddress": ADDRESS} | changes
    return json.dumps({k: v for k, v in request.items() if v is not ...}).encode()


def test_the_guides_body_without_a_kind_is_an_eip191_digest_request() -> None:
    assert parse_request(body()) == DigestRequest(HASH, ADDRESS, Scheme.EIP191)


def test_a_hash_may_be_base64_of_the_raw_bytes() -> None:
    assert parse_request(body(messageHash=base64.b64encode(HASH).decode())) == DigestRequest(
        HASH, ADDRESS
    )


def test_kind_and_scheme_may_be_named() -> None:
    assert parse_request(body(kind="digest", scheme="raw")) == DigestRequest(
        HASH, ADDRESS, Scheme.RAW
    )


def test_an_address_in_lower_case_is_the_same_account() -> None:
    request = parse_request(body(signerAddress=ADDRESS.lower()))
    assert isinstance(request, DigestRequest)
    assert request.signer_address == ADDRESS


def test_what_a_client_writes_is_what_the_signer_reads() -> None:
    request = DigestRequest(HASH, ADDRESS, Scheme.RAW)
    assert read_request(request_body(request)) == request


INTENT = Intent("base-sepolia", Token(OTHER, "USDC", 6), ADDRESS, 2_500_000)
PAYMENT = TransactionRequest({"id": "t-1"}, INTENT, ADDRESS, f"external-wallet:{ADDRESS}")


@pytest.mark.parametrize(
    "request_",
    [
        PAYMENT,
        replace(PAYMENT, scheme=Scheme.RAW, id="payroll-2026-11:0042", accept=("unverifiable",)),
        replace(
            PAYMENT, intent=SignerChangeIntent("base", added=True, signer=ADDRESS, validator=OTHER)
        ),
        replace(
            PAYMENT, intent=SignerChangeIntent("base", added=False, signer=ADDRESS, validator=OTHER)
        ),
        replace(PAYMENT, intent=BatchIntent((INTENT, INTENT, replace(INTENT, amount=1)))),
        ApprovalRequest(HASH, PAYMENT.signer, {"id": "t-1"}, ADDRESS),
        ApprovalRequest(HASH, PAYMENT.signer, message_hash=HASH, scheme=Scheme.RAW),
    ],
)
def test_what_a_client_writes_of_a_reviewed_request_is_what_the_signer_reads(
    request_: AnyRequest,
) -> None:
    assert parse_request(json.dumps(request_body(request_)).encode()) == request_


def payment(**changes: Any) -> dict[str, Any]:
    return {k: v for k, v in (request_body(PAYMENT) | changes).items() if v is not ...}


@pytest.mark.parametrize(
    "changes",
    [
        {"wallet": ...},
        {"intent": ...},
        {"id": ""},
        {"id": "a" * 65},
        {"id": "-a"},
        {"id": 7},
        {"accept": "unverifiable"},
        {"accept": ["delegatecall"]},
        {"accept": [["unverifiable"]]},
        {"intent": {"chain": "base", "addSigner": ADDRESS, "removeSigner": ADDRESS}},
        {"intent": {"chain": "nowhere", "addSigner": ADDRESS}},
        {"intent": {"payments": []}},
        {"intent": {"payments": [INTENT.to_dict()]}},
        {"intent": {"payments": [INTENT.to_dict()] * 91}},
        {"intent": {"payments": [INTENT.to_dict()] * 2, **INTENT.to_dict()}},
        {"digest": "0x" + HASH.hex()},
        {"scheme": "eip712"},
    ],
)
def test_a_transaction_request_outside_the_contract_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        read_request(payment(**changes))


@pytest.mark.parametrize("signer", ["a", "email:ada@example.com", f"external-wallet:{ADDRESS}1"])
def test_a_signer_without_an_evm_key_is_refused(signer: str) -> None:
    with pytest.raises(LocatorError):
        read_request(payment(signer=signer))


@pytest.mark.parametrize(
    "changes",
    [
        {"messageHash": "0x" + HASH.hex(), "wallet": ADDRESS},
        {"messageHash": "0x" + HASH.hex(), "transaction": {}},
        {"transaction": {}},
        {"wallet": ADDRESS},
        {},
    ],
)
def test_an_approval_is_of_a_transaction_and_its_wallet_or_of_a_bare_hash(
    changes: dict[str, Any],
) -> None:
    approval = {"kind": "approval", "digest": "0x" + HASH.hex(), "signer": PAYMENT.signer}
    with pytest.raises(RequestError):
        read_request(approval | changes)


@pytest.mark.parametrize(
    "message_hash",
    [
        "0x" + HASH[:31].hex(),
        "0x" + HASH.hex() + "00",
        "",
        base64.b64encode(HASH.hex().encode()).decode(),
        base64.b64encode(HASH[:31]).decode(),
        "0x" + "g" * 64,
        12,
        None,
        [HASH.hex()],
    ],
)
def test_a_hash_of_another_length_or_form_is_refused(message_hash: object) -> None:
    with pytest.raises(DigestError):
        parse_request(body(messageHash=message_hash))


@pytest.mark.parametrize("address", ["0x12", ADDRESS[2:], ADDRESS[:-1] + "a"])
def test_a_malformed_or_mistyped_address_is_refused(address: str) -> None:
    with pytest.raises(AddressError):
        parse_request(body(signerAddress=address))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"messageHash": NaN}',
        b'{"messageHash": ' + b"9" * 5000 + b"}",
        b"[" * 60_000,
        b'{"kind": "digest", "kind": "digest"}',
        body(messageHash=...),
        body(signerAddress=...),
        body(signerAddress=7),
        body(kind="message"),
        body(kind=["digest"]),
        body(scheme="EIP191"),
        body(scheme=None),
        body(scheme={}),
        body(messagehash="0x"),
        body(chainId=1),
        b'{"kind": "transaction"}',
        b'{"kind": "approval"}',
    ],
)
def test_a_body_outside_the_contract_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError):
        parse_request(data)


def test_a_body_over_the_limit_is_refused_unread_and_one_at_the_limit_is_read() -> None:
    at_the_limit = body() + b" " * (MAX_BODY_BYTES - len(body()))
    assert parse_request(at_the_limit) == DigestRequest(HASH, ADDRESS)
    with pytest.raises(RequestTooLarge, match="over 262144 bytes"):
        parse_request(at_the_limit + b" ")


@pytest.mark.parametrize(
    "filler", [b"[", b'{"a":', b"[],", b'"\\u0000', b"9", b"1,"], ids=lambda each: each.decode()
)
def test_a_body_as_large_as_it_may_be_is_refused_whatever_it_is_made_of(filler: bytes) -> None:
    with pytest.raises(RequestError):
        parse_request(b"[" + filler * ((MAX_BODY_BYTES - 1) // len(filler)))


def test_an_error_never_quotes_an_unknown_field() -> None:
    with pytest.raises(RequestError) as caught:
        parse_request(body(hunter2="hunter2"))
    assert "hunter2" not in str(caught.value.to_dict())


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_one_of_our_errors(data: bytes) -> None:
    try:
        parse_request(data)
    except BursarError:
        return


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["kind", "messageHash", "signerAddress", "scheme", "transaction", "x"]),
        json_values | st.sampled_from(["digest", "transaction", "raw", ADDRESS, HASH.hex()]),
    )
)
def test_any_object_is_a_request_or_one_of_our_errors(data: dict[str, Any]) -> None:
    try:
        read_request(data)
    except BursarError:
        return


def test_a_transaction_is_turned_down_where_there_is_no_policy() -> None:
    with pytest.raises(UnsupportedOperation, match="no policy"):
        require_blind(PAYMENT, blind_signing=True)


def test_a_digest_is_refused_where_blind_signing_is_off_and_the_hint_names_the_switch() -> None:
    with pytest.raises(BlindSigningDisabled) as caught:
        require_blind(DigestRequest(HASH, ADDRESS), blind_signing=False)
    assert "--allow-blind-signing" in str(caught.value.hint)


def test_another_address_is_a_mismatch() -> None:
    with pytest.raises(SignerMismatch):
        require_signer(DigestRequest(HASH, ADDRESS), OTHER)


@pytest.mark.parametrize(
    ("error", "status", "retryable"),
    [
        (RequestError("x"), 400, False),
        (RequestTooLarge("x"), 413, False),
        (SignerMismatch("x"), 403, False),
        (ConfigError("x"), 500, False),
        (KmsThrottled("x"), 429, True),
        (KmsTimeout("x"), 504, True),
        (KmsAccessDenied("x"), 502, False),
        (WrongKey("x"), 502, False),
        (BursarError("x"), 500, False),
    ],
)
def test_each_error_has_its_status_and_body(
    error: BursarError, status: int, *, retryable: bool
) -> None:
    reply = refusal(error)
    assert reply.status == status
    assert reply.body["error"]["code"] == error.code
    assert reply.body["error"]["retryable"] is retryable


@pytest.mark.parametrize(
    "error",
    [
        KmsAccessDenied("arn:aws:iam::111122223333:role/secret may not", hint="secret"),
        ConfigError("arn:aws:kms:secret"),
        WrongKey("secret"),
        BursarError("secret"),
    ],
)
def test_faults_on_the_signers_side_tell_the_caller_no_names(error: BursarError) -> None:
    assert "secret" not in json.dumps(refusal(error).body)
