"""One suite for everything that signs: in process, through the API, through the function."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import coincurve
import httpx2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.aws.remote import Api, ApiSigner, Patience
from bursar.aws.replies import read_reply
from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import (
    AwsCredentials,
    BursarError,
    DigestError,
    KmsCredentials,
    MalformedSignature,
    SignatureError,
    SigningServiceDenied,
    SigningServiceError,
    SigningServiceRefused,
    SigningServiceUnavailable,
    WrongKey,
)
from bursar.kms.sigv4 import Credentials
from bursar.signer import Signer
from bursar.signing_contract import MAX_BODY_BYTES, DigestRequest
from tests.contract.signers import (
    CALLER,
    URL,
    Door,
    Stub,
    api_signer,
    lambda_signer,
)
from tests.fakes.kms_server import Key, KmsServer, Refuse, SignWith

HASH = bytes(range(32))
OTHER = "0x1111111111111111111111111111111111111111"


@pytest.fixture
def stub(kms_server: KmsServer) -> Iterator[Stub]:
    with ExitStack() as stack:
        yield Stub(kms_server, kms_server.create_key(alias="alias/treasury"), stack)


@pytest.fixture
def key(stub: Stub) -> Key:
    return stub.key


@pytest.fixture
def address(key: Key) -> str:
    return evm.public_key_from_point(key.private.public_key.format(compressed=False)[1:]).address


@pytest.fixture(params=["kms", "api", "lambda"])
def signer(request: pytest.FixtureRequest, stub: Stub) -> Signer:
    return stub.signer(request.param)


@pytest.fixture
def door(stub: Stub) -> Door:
    return stub.door()


@pytest.mark.parametrize("scheme", list(Scheme))
def test_a_signature_is_over_the_schemes_digest_by_the_keys_address(
    signer: Signer, address: str, scheme: Scheme
) -> None:
    for _ in range(4):
        signed = signer.sign_hash(HASH, scheme)
        digest = evm.digest_of(HASH, scheme)
        assert (signed.digest, signed.address, signer.address) == (digest, address, address)
        evm.parse_signature(signed.signature.to_bytes(), digest, address)
        assert signed.request_id


@pytest.mark.parametrize("size", [0, 31, 33])
def test_another_length_is_refused_before_anyone_is_asked(
    signer: Signer, kms_server: KmsServer, size: int
) -> None:
    with pytest.raises(DigestError):
        signer.sign_hash(b"\x01" * size, Scheme.RAW)
    assert kms_server.calls("Sign") == []


def test_a_signature_by_another_key_is_not_released(signer: Signer, kms_server: KmsServer) -> None:
    signer.sign_hash(HASH, Scheme.RAW)
    kms_server.script.append(SignWith(coincurve.PrivateKey()))
    with pytest.raises((WrongKey, SigningServiceError)):
        signer.sign_hash(HASH, Scheme.RAW)


@pytest.mark.parametrize("make", [api_signer, lambda_signer])
def test_a_remote_refusal_carries_its_reason(door: Door, make: Any) -> None:
    with pytest.raises(SigningServiceRefused) as caught:
        make(door, OTHER).sign_hash(HASH, Scheme.RAW)
    assert caught.value.reason == "signer_mismatch"


@pytest.mark.parametrize("make", [api_signer, lambda_signer])
def test_a_deployment_without_blind_signing_says_which_switch_is_off(
    stub: Stub, address: str, make: Any
) -> None:
    door = stub.door(BURSAR_BLIND_SIGNING="")
    with pytest.raises(SigningServiceRefused) as caught:
        make(door, address).sign_hash(HASH, Scheme.RAW)
    assert caught.value.reason == "blind_signing_disabled"
    assert "--allow-blind-signing" in str(caught.value.hint)


@pytest.mark.parametrize("make", [api_signer, lambda_signer])
def test_a_throttled_kms_is_asked_again_and_gives_one_signature(
    door: Door, kms_server: KmsServer, address: str, make: Any
) -> None:
    signer = make(door, address)
    signer.sign_hash(HASH, Scheme.RAW)
    kms_server.script.extend([Refuse("ThrottlingException"), Refuse("ThrottlingException")])
    assert signer.sign_hash(HASH, Scheme.RAW).address == address


@pytest.mark.parametrize("make", [api_signer, lambda_signer])
def test_a_kms_refusal_is_an_error_of_the_service_and_is_not_repeated(
    door: Door, kms_server: KmsServer, address: str, make: Any
) -> None:
    kms_server.script.append(Refuse("AccessDeniedException"))
    with pytest.raises(SigningServiceError, match="kms_access_denied"):
        make(door, address).sign_hash(HASH, Scheme.RAW)
    assert len(kms_server.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [
        httpx2.Response(429, json={"message": "Too Many Requests"}),
        httpx2.Response(502, json={"message": "Internal server error"}),
        httpx2.Response(504, text="<html>"),
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("slow"),
    ],
)
def test_a_failure_in_passing_is_asked_again(
    door: Door, address: str, failure: httpx2.Response | Exception
) -> None:
    door.script.append(failure)
    assert api_signer(door, address).sign_hash(HASH, Scheme.RAW).address == address
    assert len(door.requests) == 2


def test_a_lasting_failure_is_reported_after_four_attempts(door: Door, address: str) -> None:
    door.script += [httpx2.ConnectError("refused") for _ in range(9)]
    with pytest.raises(SigningServiceUnavailable) as caught:
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)
    assert caught.value.retryable
    assert len(door.requests) == 4


def test_a_failure_keeps_nothing_of_the_request_that_was_signed(door: Door, address: str) -> None:
    door.script += [httpx2.ReadError("broken") for _ in range(4)]
    with pytest.raises(SigningServiceUnavailable) as caught:
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


class Drip(httpx2.SyncByteStream):
    """A body that comes a byte at a time, and never comes to its end within the test."""

    def __init__(self) -> None:
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        for self.sent in range(1, 5000):
            time.sleep(0.002)
            yield b" "


def test_an_answer_that_drips_in_is_given_up_as_a_whole(door: Door, address: str) -> None:
    drip = Drip()
    door.script.append(httpx2.Response(200, stream=drip))
    with pytest.raises(SigningServiceUnavailable, match="TimeoutError"):
        api_signer(door, address, Patience(attempts=1, answer=0.02)).sign_hash(HASH, Scheme.RAW)
    assert drip.sent < 100


def test_the_request_id_of_an_answer_cannot_steer_the_terminal(
    door: Door, address: str, key: Key
) -> None:
    made = bytearray(key.private.sign_recoverable(evm.digest_of(HASH, Scheme.RAW), hasher=None))
    made[64] += 27
    told = answer(address, signature=made.hex(), requestId="\x1b]0;id\n" + "x" * 999)
    door.script.append(httpx2.Response(200, content=told))
    signed = api_signer(door, address).sign_hash(HASH, Scheme.RAW)
    assert signed.request_id is not None
    assert (signed.request_id.isprintable(), len(signed.request_id)) == (True, 128)


@contextmanager
def api_on_this_machine(door: Door) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told = door.api(httpx2.Request("POST", URL, headers=dict(self.headers), content=body))
            self.send_response(told.status_code)
            self.end_headers()
            self.wfile.write(told.content)

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/prod/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_no_proxy_stands_between_us_and_an_api_on_this_machine(
    door: Door, address: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "generated")
    with (
        api_on_this_machine(door) as url,
        ApiSigner.open(url, address, "us-east-1") as signer,
    ):
        assert signer.sign_hash(HASH, Scheme.RAW).address == address


def test_api_gateways_own_403_is_a_denial_that_names_the_permission(
    door: Door, address: str
) -> None:
    door.script.append(httpx2.Response(403, json={"message": "User: … is not authorized"}))
    with pytest.raises(SigningServiceDenied) as caught:
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)
    assert "execute-api:Invoke" in str(caught.value.hint)
    assert len(door.requests) == 1


def gateway(
    kind: str, message: str, *, status: int = 403, at: float | None = None
) -> httpx2.Response:
    """API Gateway's own answer, as AWS's knowledge centre lists them."""
    headers = {"x-amzn-errortype": kind} if kind else {}
    if at is not None:
        headers["date"] = formatdate(at, usegmt=True)
    return httpx2.Response(status, headers=headers, json={"message": message})


@pytest.mark.parametrize(
    ("kind", "message", "said"),
    [
        (
            "ExpiredTokenException",
            "The security token included in the request is expired",
            "expired",
        ),
        (
            "AccessDeniedException",
            "The security token included in the request is expired",
            "expired",
        ),
        (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            "credentials",
        ),
        (
            "AccessDeniedException",
            "The security token included in the request is invalid.",
            "credentials",
        ),
        ("InvalidSignatureException", "Signature expired: 2020 is now earlier than", "signature"),
        ("InvalidSignatureException:http://x/", "The request signature we calculated", "signature"),
        ("IncompleteSignatureException", "Authorization header requires", "credentials"),
    ],
)
def test_bad_credentials_are_not_taken_for_a_missing_permission(
    door: Door, address: str, kind: str, message: str, said: str
) -> None:
    door.script.append(gateway(kind, message))
    with pytest.raises(AwsCredentials, match=said) as caught:
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)
    assert caught.value.hint
    assert "KMS" not in caught.value.message
    assert len(door.requests) == 1


@pytest.mark.parametrize("kind", ["MissingAuthenticationTokenException", ""])
def test_a_path_that_is_not_the_apis_is_said_to_be(door: Door, address: str, kind: str) -> None:
    door.script.append(gateway(kind, "Missing Authentication Token"))
    with pytest.raises(SigningServiceError, match="nothing at this path") as caught:
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)
    assert not isinstance(caught.value, SigningServiceDenied)
    assert "stage" in str(caught.value.hint)


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_a_wrong_clock_is_set_right_from_the_answer_once(
    door: Door, address: str, ahead: float
) -> None:
    expired = "Signature expired"
    there = time.time() + ahead
    door.script.append(gateway("InvalidSignatureException", expired, at=there))
    signer = api_signer(door, address)
    assert signer.sign_hash(HASH, Scheme.RAW).address == address
    signer.sign_hash(HASH, Scheme.RAW)
    stamps = [
        datetime.strptime(sent.headers["x-amz-date"], "%Y%m%dT%H%M%S%z").timestamp()
        for sent in door.requests
    ]
    assert abs(stamps[0] - time.time()) < 60
    assert [abs(stamp - there) < 60 for stamp in stamps[1:]] == [True, True]


def test_a_clock_that_is_right_is_not_the_cause_of_a_bad_signature(
    door: Door, address: str
) -> None:
    door.script.append(gateway("InvalidSignatureException", "does not match", at=time.time()))
    with pytest.raises(AwsCredentials):
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)
    assert len(door.requests) == 1


def test_no_credentials_is_said_before_anything_is_sent(door: Door, address: str) -> None:
    def none() -> Credentials:
        raise KmsCredentials("there are no AWS credentials")

    client = httpx2.Client(transport=httpx2.MockTransport(door.api))
    signer = ApiSigner(Api.at(URL), address, credentials=none, client=client)
    with pytest.raises(AwsCredentials):
        signer.sign_hash(HASH, Scheme.RAW)
    assert door.requests == []


def test_the_request_is_signed_as_botocore_signs_it(door: Door, address: str) -> None:
    api_signer(door, address).sign_hash(HASH, Scheme.RAW)
    (sent,) = door.requests
    stamp = sent.headers["x-amz-date"]
    asked = AWSRequest(
        "POST",
        URL,
        data=sent.content,
        headers={
            "host": sent.headers["host"],
            "content-type": "application/json",
            "x-amz-date": stamp,
            "x-amz-security-token": CALLER.session_token,
        },
    )
    asked.context["timestamp"] = stamp
    oracle = SigV4Auth(
        BotoCredentials(CALLER.access_key_id, CALLER.secret_access_key, CALLER.session_token),
        "execute-api",
        "us-east-1",
    )
    expected = oracle.signature(
        oracle.string_to_sign(asked, oracle.canonical_request(asked)), asked
    )
    assert sent.headers["authorization"].endswith(f"Signature={expected}")
    assert CALLER.secret_access_key not in str(sent.headers)


def answer(address: str, **changes: Any) -> bytes:
    return json.dumps({"signature": "0x" + "11" * 65, "address": address} | changes).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"signature": 7}',
        b'{"signature": "0x"}',
        b'{"signature": "zz"}',
        b'{"signature": "0x00", "signature": "0x01"}',
        b"[" * 60_000,
        b" " * (MAX_BODY_BYTES + 1),
        answer(OTHER),
        answer(OTHER, signature="0x" + "00" * 65),
        answer(OTHER, signature="0x" + "11" * 64 + "00"),
    ],
)
def test_a_hostile_answer_is_a_signature_error(door: Door, address: str, body: bytes) -> None:
    door.script.append(httpx2.Response(200, content=body))
    with pytest.raises(SignatureError):
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)


def test_a_good_signature_by_somebody_else_is_not_released(door: Door, address: str) -> None:
    digest = evm.digest_of(HASH, Scheme.RAW)
    made = bytearray(coincurve.PrivateKey().sign_recoverable(digest, hasher=None))
    made[64] += 27
    door.script.append(httpx2.Response(200, content=answer(address, signature=made.hex())))
    with pytest.raises(WrongKey):
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)


def test_a_signature_over_another_digest_is_not_released(
    door: Door, address: str, key: Key
) -> None:
    made = bytearray(key.private.sign_recoverable(b"\x02" * 32, hasher=None))
    made[64] += 27
    door.script.append(httpx2.Response(200, content=answer(address, signature=made.hex())))
    with pytest.raises(WrongKey):
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)


def test_a_high_s_from_the_service_is_refused(door: Door, address: str, key: Key) -> None:
    digest = evm.digest_of(HASH, Scheme.RAW)
    made = bytearray(key.private.sign_recoverable(digest, hasher=None))
    s = evm.CURVE_ORDER - int.from_bytes(made[32:64], "big")
    high = bytes(made[:32]) + s.to_bytes(32, "big") + bytes([28 - made[64]])
    door.script.append(httpx2.Response(200, content=answer(address, signature=high.hex())))
    with pytest.raises(MalformedSignature):
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)


def test_a_refusals_text_cannot_steer_the_terminal(door: Door, address: str) -> None:
    error = {"code": "\x1b[31mred", "message": "line\nline\x07" + "x" * 999, "hint": "\x1b]0;"}
    door.script.append(httpx2.Response(400, json={"error": error}))
    with pytest.raises(SigningServiceRefused) as caught:
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)
    said = caught.value.message + str(caught.value.hint) + str(caught.value.reason)
    assert said.isprintable()
    assert len(caught.value.message) == 300


@given(
    st.integers(100, 599) | st.just(403),
    st.binary(max_size=80)
    | st.from_regex(rb'\{"error": ?\{.*\}\}')
    | st.from_regex(rb'\{"message": ?.*\}'),
    st.text(max_size=40),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_reply_is_one_of_our_errors(status: int, body: bytes, error_type: str) -> None:
    with pytest.raises(BursarError):
        read_reply(status, body, DigestRequest(HASH, OTHER), error_type=error_type)


@pytest.mark.parametrize(
    "result", [None, [], "text", {}, {"statusCode": "200"}, {"statusCode": True}], ids=str
)
def test_a_function_that_is_not_the_signer_is_found_out(address: str, result: Any) -> None:
    with pytest.raises(SignatureError):
        lambda_signer(Door(lambda _event: result), address).sign_hash(HASH, Scheme.RAW)


def test_neither_signer_shows_a_secret(door: Door, address: str) -> None:
    shown = repr(api_signer(door, address)) + repr(lambda_signer(door, address))
    assert CALLER.secret_access_key not in shown
    assert address in shown
