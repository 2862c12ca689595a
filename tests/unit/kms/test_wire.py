from __future__ import annotations

import base64
import json

import pytest
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from bursar.chains.evm import kms_request
from bursar.errors import (
    BursarError,
    KmsAccessDenied,
    KmsCredentials,
    KmsError,
    KmsKeyDisabled,
    KmsKeyPendingDeletion,
    KmsKeyUnusable,
    KmsProtocolError,
    KmsThrottled,
    KmsUnavailable,
)
from bursar.kms import faults, wire
from bursar.kms.http1 import Response

ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
REQUEST = kms_request(bytes(range(32)))
SIGNED = {"KeyId": ARN, "Signature": "MAYCAQECAQE=", "SigningAlgorithm": "ECDSA_SHA_256"}
PUBLIC = {
    "KeyId": ARN,
    "PublicKey": "AAEC",
    "KeySpec": "ECC_SECG_P256K1",
    "KeyUsage": "SIGN_VERIFY",
}


def answer(fields: object, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, json.dumps(fields).encode())


def test_sign_asks_for_exactly_this_digest_unhashed() -> None:
    call = wire.sign_call(ARN, REQUEST)
    assert call.target == "TrentService.Sign"
    fields = json.loads(call.body)
    assert base64.b64decode(fields.pop("Message")) == bytes(range(32))
    assert fields == {"KeyId": ARN, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}


def test_the_targets_and_the_protocol_are_those_of_botocore_s_model() -> None:
    model = Loader().load_service_model("kms", "service-2")
    metadata = model["metadata"]
    assert f"application/x-amz-json-{metadata['jsonVersion']}" == wire.CONTENT_TYPE
    assert wire.public_key_call(ARN).target == f"{metadata['targetPrefix']}.GetPublicKey"
    assert {"Sign", "GetPublicKey"} <= set(model["operations"])


def test_a_signature_is_read_with_its_request_id() -> None:
    read = wire.read_signature(answer(SIGNED, x_amzn_requestid="req-1"), REQUEST)
    assert (read.key_arn, read.der, read.request_id) == (
        ARN,
        bytes.fromhex("3006020101020101"),
        "req-1",
    )


@pytest.mark.parametrize("text", ["", "a b", "x" * 65, "<script>"])
def test_a_request_id_that_cannot_be_printed_is_left_out(text: str) -> None:
    assert wire.read_signature(answer(SIGNED, x_amzn_requestid=text), REQUEST).request_id == ""


def test_a_public_key_is_read_under_the_older_name_of_its_spec_too() -> None:
    older = {**PUBLIC, "CustomerMasterKeySpec": PUBLIC["KeySpec"]}
    del older["KeySpec"]
    assert wire.read_public_key(answer(older)) == wire.read_public_key(answer(PUBLIC))


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize(
    "bad", [None, 5, "", [], "%%%", "é", "alias/x", " MAYCAQECAQE=", "MAYCAQECAQE"]
)
def test_a_signature_answer_with_a_bad_field_is_refused(name: str, bad: object) -> None:
    with pytest.raises(KmsProtocolError):
        wire.read_signature(answer({**SIGNED, name: bad}), REQUEST)


@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.parametrize("bad", [None, 5, "", [], "%%%", "é", "x" * 65 + "="])
def test_a_public_key_answer_with_a_bad_field_is_refused(name: str, bad: object) -> None:
    with pytest.raises(KmsProtocolError):
        wire.read_public_key(answer({**PUBLIC, name: bad}))


@pytest.mark.parametrize(
    "key", ["1234abcd-12ab-34cd-56ef-1234567890ab", ARN.replace("key/", "alias/")]
)
def test_an_answer_must_name_the_key_by_its_arn(key: str) -> None:
    with pytest.raises(KmsProtocolError, match=r"name the key by its ARN|does not name a key"):
        wire.read_public_key(answer({**PUBLIC, "KeyId": key}))


def test_another_algorithm_than_was_asked_for_is_refused() -> None:
    with pytest.raises(KmsProtocolError, match="another signing algorithm"):
        wire.read_signature(answer({**SIGNED, "SigningAlgorithm": "SM2DSA"}), REQUEST)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
)
FIELDS = st.dictionaries(st.sampled_from([*SIGNED, *PUBLIC, "__type", "message"]), JSON)
BODIES = st.one_of(st.binary(max_size=80), FIELDS.map(lambda fields: json.dumps(fields).encode()))


@given(BODIES, st.integers(200, 599), st.text(max_size=30), st.text(max_size=30))
def test_any_answer_raises_only_our_errors(body: bytes, status: int, kind: str, date: str) -> None:
    response = Response(status, {"x-amzn-errortype": kind, "date": date}, body)
    assert isinstance(faults.error_of(response), KmsError)
    assert isinstance(faults.clock_offset(response, 1.0), float)
    for read in (wire.read_public_key, lambda one: wire.read_signature(one, REQUEST)):
        try:
            read(response)
        except BursarError:
            continue


@pytest.mark.parametrize(
    "body", [b"[" * 60_000, b'{"a":' * 10_000, b"9" * 5000, b"\xff\xfe{", b"NaN"]
)
def test_json_made_to_hurt_is_our_error(body: bytes) -> None:
    with pytest.raises(KmsProtocolError):
        wire.read_public_key(Response(200, {}, body))
    assert isinstance(faults.error_of(Response(400, {}, body)), KmsProtocolError)


@pytest.mark.parametrize(
    "kind",
    [
        "AccessDeniedException",
        "com.amazonaws.kms#AccessDeniedException",
        "AccessDeniedException:http://internal.amazon.com/coral/com.amazon.coral.service/",
    ],
)
def test_an_error_s_type_is_read_in_each_form_and_place(kind: str) -> None:
    assert type(faults.error_of(answer({"__type": kind}, 400))) is KmsAccessDenied
    assert type(faults.error_of(answer({}, 400, x_amzn_errortype=kind))) is KmsAccessDenied


def test_every_error_of_sign_and_get_public_key_in_botocore_s_model_has_a_meaning() -> None:
    model = Loader().load_service_model("kms", "service-2")
    for operation in ("Sign", "GetPublicKey"):
        for shape in model["operations"][operation]["errors"]:
            name = shape["shape"]
            if name == "DryRunOperationException":  # answered only to a DryRun, which is never sent
                continue
            ours = faults.error_for(name, "", status=400, request="r")
            assert type(ours) is not KmsError, name


@pytest.mark.parametrize(
    ("status", "expected"),
    [(429, KmsThrottled), (500, KmsUnavailable), (503, KmsUnavailable), (404, KmsProtocolError)],
)
def test_an_answer_without_a_type_is_judged_by_its_status(status: int, expected: type) -> None:
    assert type(faults.error_of(Response(status, {}, b"<html>"))) is expected


def test_pending_deletion_is_told_apart_from_other_states() -> None:
    kind = "KMSInvalidStateException"
    pending = faults.error_for(kind, f"{ARN} is pending deletion.", status=400, request="r")
    importing = faults.error_for(kind, f"{ARN} is pending import.", status=400, request="r")
    assert type(pending) is KmsKeyPendingDeletion
    assert type(importing) is KmsKeyUnusable


@pytest.mark.parametrize("kind", ["DisabledException", "KMSInvalidStateException"])
@pytest.mark.parametrize(
    "state", ["pending deletion", "Pending Deletion", "pending replica deletion"]
)
def test_a_key_that_waits_for_deletion_is_never_one_to_enable(kind: str, state: str) -> None:
    error = faults.error_for(kind, f"{ARN} is {state}.", status=400, request="r")
    assert type(error) is KmsKeyPendingDeletion
    assert "CancelKeyDeletion" in str(error.hint)


def test_a_disabled_key_whose_alias_speaks_of_deletion_is_still_disabled() -> None:
    text = "arn:aws:kms:us-east-1:111122223333:alias/pending-deletion is disabled."
    error = faults.error_for("DisabledException", text, status=400, request="r")
    assert type(error) is KmsKeyDisabled


SKEWED = {"__type": "InvalidSignatureException"}
DATE = "Mon, 23 Nov 2026 23:04:23 GMT"
THEN = 1795475063.0


@pytest.mark.parametrize("ahead", [-7200.0, -300.0, 300.0, 7200.0])
def test_a_clock_that_is_off_is_measured_against_the_server_s_date(ahead: float) -> None:
    response = answer(SKEWED, 400, date=DATE)
    assert faults.clock_offset(response, THEN - ahead) == ahead


@pytest.mark.parametrize(
    "response",
    [
        answer(SKEWED, 400, date="Mon, 23 Foo 2026 23:04:23 GMT"),
        answer(SKEWED, 400, date="Mon, 31 Feb 2026 23:04:23 GMT"),
        answer(SKEWED, 400, date="yesterday"),
        answer(SKEWED, 400),
        answer({"__type": "AccessDeniedException"}, 400, date=DATE),
        answer({}, 200, date=DATE),
    ],
)
def test_no_other_answer_moves_the_clock(response: Response) -> None:
    assert faults.clock_offset(response, 0.0) == 0.0


def test_a_clock_that_is_nearly_right_is_not_the_cause() -> None:
    response = answer(SKEWED, 400, date=DATE)
    assert faults.clock_offset(response, THEN - 100) == 0.0
    assert type(faults.error_of(response)) is KmsCredentials
