from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import coincurve
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.aws.container import Edges
from bursar.aws.handler import SigningFunction, call_seconds
from bursar.aws.plan import StackPlan
from bursar.chains import evm
from bursar.chains.evm import KmsSignRequest, PublicKey
from bursar.errors import KmsAccessDenied, KmsError, KmsThrottled
from bursar.kms.wire import KmsPublicKey, KmsSignature
from bursar.signing_contract import MAX_BODY_BYTES
from tests.unit.aws.function_modules import MODULES, WITH_THE_LEDGER

ARN = "arn:aws:kms:us-east-1:111122223333:key/0fca8ec8-6d4a-40c6-a38b-36bad9007534"
SPKI_PREFIX = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
HASH = bytes(range(32))


@dataclass
class FakeKms:
    """KMS in memory: counts its calls, and raises the errors it is given, one a call."""

    private: coincurve.PrivateKey = field(default_factory=coincurve.PrivateKey)
    failures: list[Exception] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    signed: list[KmsSignRequest] = field(default_factory=list)
    key_spec: str = "ECC_SECG_P256K1"

    @property
    def address(self) -> str:
        return PublicKey(self.private.public_key.format(compressed=False)[1:]).address

    def get_public_key(self, key_id: str) -> KmsPublicKey:
        self._called(f"GetPublicKey {key_id}")
        der = SPKI_PREFIX + self.private.public_key.format(compressed=False)
        return KmsPublicKey(ARN, der, self.key_spec, "SIGN_VERIFY")

    def sign(self, key_arn: str, request: KmsSignRequest) -> KmsSignature:
        self._called(f"Sign {key_arn}")
        self.signed.append(request)
        der = self.private.sign(request.message, hasher=None)
        return KmsSignature(key_arn, der, "kms-request-1")

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.failures:
            raise self.failures.pop(0)


@dataclass
class Deployed:
    kms: FakeKms
    lines: list[str]
    function: SigningFunction
    opened: list[float]

    def __call__(self, event: Any, milliseconds: int = 15_000) -> dict[str, Any]:
        context = SimpleNamespace(
            aws_request_id="lambda-1", get_remaining_time_in_millis=lambda: milliseconds
        )
        return self.function(event, context)

    def post(self, body: Any, /, **changes: Any) -> tuple[int, dict[str, Any]]:
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        result = self(api_event(text) | changes)
        return result["statusCode"], json.loads(result["body"])

    @property
    def line(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.lines[-1])
        return found

    def request(self, **changes: Any) -> dict[str, Any]:
        return {"messageHash": "0x" + HASH.hex(), "signerAddress": self.kms.address} | changes


def api_event(body: str | None) -> dict[str, Any]:
    return {
        "httpMethod": "POST",
        "path": "/",
        "headers": {"Content-Type": "application/json; charset=utf-8"},
        "requestContext": {
            "requestId": "api-1",
            "identity": {
                "userArn": "arn:aws:iam::111122223333:user/alice",
                "sourceIp": "192.0.2.7",
            },
        },
        "body": body,
        "isBase64Encoded": False,
    }


def deployed(kms: FakeKms | None = None, /, **environ: str) -> Deployed:
    kms = kms or FakeKms()
    lines: list[str] = []
    opened: list[float] = []

    def open_kms(seconds: float) -> FakeKms:
        opened.append(seconds)
        return kms

    settings = {"KMS_KEY_ID": "alias/treasury", "BURSAR_BLIND_SIGNING": "allowed"} | environ
    return Deployed(kms, lines, SigningFunction(settings, lines.append, Edges(open_kms)), opened)


def test_a_signed_hash_comes_back_in_the_contracts_words() -> None:
    function = deployed()
    status, answer = function.post(function.request())
    digest = evm.eip191_digest(HASH)
    assert status == 200
    assert evm.parse_signature(bytes.fromhex(answer["signature"][2:]), digest, function.kms.address)
    assert answer == {
        "signature": answer["signature"],
        "signer": f"external-wallet:{function.kms.address}",
        "address": function.kms.address,
        "digest": "0x" + digest.hex(),
        "requestId": "kms-request-1",
        "policy": {"rule": "blind_signing_allowed", "reviewed": False, "scheme": "eip191"},
    }


def test_kms_is_asked_to_sign_exactly_the_digest_and_not_to_hash_it_again() -> None:
    function = deployed()
    function.post(function.request(scheme="raw"))
    assert function.kms.signed == [KmsSignRequest(HASH, "DIGEST", "ECDSA_SHA_256")]


def test_a_base64_encoded_body_is_decoded_first() -> None:
    function = deployed()
    body = base64.b64encode(json.dumps(function.request()).encode()).decode()
    status, _ = function.post(body, isBase64Encoded=True)
    assert status == 200


def test_curls_own_content_type_is_accepted_and_so_is_none() -> None:
    function = deployed()
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert function.post(function.request(), headers=form)[0] == 200
    assert function.post(function.request(), headers=None)[0] == 200


def test_a_direct_invocation_gets_the_plain_answer_with_its_status() -> None:
    function = deployed()
    result = function(function.request())
    assert result["statusCode"] == 200
    assert result["address"] == function.kms.address
    assert function(function.request(signerAddress="0x" + "11" * 20))["error"]["code"] == (
        "signer_mismatch"
    )


@pytest.mark.parametrize("wrap", [json.dumps, dict])
def test_a_direct_invocation_may_carry_the_request_as_body(wrap: Any) -> None:
    function = deployed()
    assert function({"body": wrap(function.request())})["statusCode"] == 200


def test_kms_is_opened_once_and_asked_for_its_key_once() -> None:
    function = deployed()
    for _ in range(3):
        function.post(function.request())
    assert len(function.opened) == 1
    assert function.kms.calls == ["GetPublicKey alias/treasury", *[f"Sign {ARN}"] * 3]


@pytest.mark.parametrize("milliseconds", [3_000, 15_000, 60_000])
def test_reading_the_key_and_signing_end_before_lambda_does(milliseconds: int) -> None:
    function = deployed()
    function(function.request(), milliseconds)
    assert 0 < function.opened[0] * 2 <= milliseconds / 1000 - 0.5


def test_without_lambdas_clock_the_usual_timeout_is_taken() -> None:
    assert 0 < call_seconds(None) * 2 < StackPlan().function.timeout


def test_a_failed_opening_is_not_kept() -> None:
    function = deployed(FakeKms(failures=[KmsThrottled("x")]))
    assert function.post(function.request())[0] == 429
    assert function.post(function.request())[0] == 200


REFUSED: list[tuple[Any, int, str]] = [
    (None, 400, "invalid_request"),
    ("", 400, "invalid_request"),
    ("{", 400, "invalid_request"),
    ("[]", 400, "invalid_request"),
    ('{"messageHash": "0x", "messageHash": "0x"}', 400, "invalid_request"),
    ({"messageHash": "0x" + "00" * 32}, 400, "invalid_request"),
    (
        {"messageHash": "0x" + "00" * 31, "signerAddress": "0x" + "11" * 20},
        400,
        "invalid_digest",
    ),
    ({"messageHash": "0x" + "00" * 32, "signerAddress": "0x11"}, 400, "invalid_address"),
    ({"messageHash": "0x" + "00" * 32, "signerAddress": "0x" + "11" * 20, "to": ""}, 400, ""),
    ({"kind": "transaction", "transaction": {}, "intent": {}, "signer": "s"}, 400, ""),
    (" " * (MAX_BODY_BYTES + 1), 413, "request_too_large"),
    (" " * (3 * MAX_BODY_BYTES), 413, "request_too_large"),
    ("\ud800", 400, "invalid_request"),
]


@pytest.mark.parametrize(("body", "status", "code"), REFUSED)
def test_a_bad_request_is_refused_with_one_log_line_and_no_kms_call(
    body: Any, status: int, code: str
) -> None:
    function = deployed()
    found, answer = function.post(body)
    assert found == status
    assert answer["error"]["code"].startswith(code)
    assert set(answer["error"]) <= {"code", "message", "hint", "retryable"}
    assert len(function.lines) == 1
    assert function.line["status"] == status
    assert function.kms.calls == []
    assert function.opened == []


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"content-type": "text/xml"}},
        {"headers": {"CONTENT-TYPE": "multipart/form-data"}},
        {"headers": {"content-type": 7}},
        {"isBase64Encoded": True, "body": "not base64!"},
        {"isBase64Encoded": True, "body": "é"},
    ],
)
def test_a_wrong_content_type_or_encoding_is_refused(changes: dict[str, Any]) -> None:
    function = deployed()
    status, answer = function.post(function.request(), **changes)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert function.kms.calls == []


@pytest.mark.parametrize("event", [None, [], "text", 7, {}, {"body": None}, {"body": 7}])
def test_an_event_without_a_request_is_refused(event: Any) -> None:
    function = deployed()
    assert function(event)["statusCode"] == 400
    assert function.kms.calls == []


def test_blind_signing_is_off_unless_it_is_switched_on_by_name() -> None:
    for value in ("", "true", "1", "Allowed"):
        function = deployed(BURSAR_BLIND_SIGNING=value)
        status, answer = function.post(function.request())
        assert (status, answer["error"]["code"]) == (403, "blind_signing_disabled")
        assert function.kms.calls == []


def test_another_signers_address_is_never_signed_for() -> None:
    function = deployed()
    status, answer = function.post(function.request(signerAddress="0x" + "11" * 20))
    assert (status, answer["error"]["code"]) == (403, "signer_mismatch")
    assert function.kms.signed == []


def test_with_a_pinned_address_another_one_is_refused_without_asking_kms_anything() -> None:
    kms = FakeKms()
    function = deployed(kms, BURSAR_SIGNER_ADDRESS=kms.address)
    status, answer = function.post(function.request(signerAddress="0x" + "11" * 20))
    assert (status, answer["error"]["code"]) == (403, "signer_mismatch")
    assert kms.calls == []
    assert function.post(function.request())[0] == 200


def test_a_key_that_is_not_the_pinned_address_signs_nothing() -> None:
    function = deployed(BURSAR_SIGNER_ADDRESS="0x" + "11" * 20)
    status, answer = function.post(function.request(signerAddress="0x" + "11" * 20))
    assert (status, answer["error"]["code"]) == (500, "invalid_config")
    assert function.kms.signed == []


@pytest.mark.parametrize(
    "environ", [{"KMS_KEY_ID": ""}, {"BURSAR_SIGNER_ADDRESS": "0xnot"}], ids=str
)
def test_wrong_settings_are_the_signers_fault(environ: dict[str, str]) -> None:
    function = deployed(**environ)
    status, answer = function.post(function.request())
    assert (status, answer["error"]["code"]) == (500, "invalid_config")
    assert "KMS_KEY_ID" not in json.dumps(answer)


def test_a_key_of_another_kind_is_the_signers_fault() -> None:
    function = deployed(FakeKms(key_spec="ECC_NIST_P256"))
    status, answer = function.post(function.request())
    assert (status, answer["error"]["code"]) == (502, "kms_wrong_usage")


def test_a_kms_refusal_reaches_the_log_with_its_id_and_the_caller_without_names() -> None:
    denied = KmsAccessDenied("role/secret may not sign with " + ARN, request_id="kms-9")
    function = deployed(FakeKms(failures=[denied]))
    status, answer = function.post(function.request())
    assert (status, answer["error"]["code"]) == (502, "kms_access_denied")
    assert "secret" not in json.dumps(answer)
    assert function.line["kmsRequestId"] == "kms-9"
    assert "secret" in function.line["cause"]


def test_an_unforeseen_error_is_a_500_that_shows_nothing() -> None:
    function = deployed(FakeKms(failures=[ZeroDivisionError("secret")]))
    status, answer = function.post(function.request())
    assert (status, answer["error"]["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps([answer, function.line])
    assert function.line["cause"] == "ZeroDivisionError"


def test_a_signature_by_another_key_is_not_released() -> None:
    kms = FakeKms()
    function = deployed(kms)
    function.post(function.request())
    mine, kms.private = kms.address, coincurve.PrivateKey()
    status, answer = function.post(function.request(signerAddress=mine))
    assert (status, answer["error"]["code"]) == (502, "wrong_key")
    assert "signature" not in answer
    # KMS did sign: the log must lead to its record of it.
    assert function.line["kmsRequestId"] == "kms-request-1"


def test_a_call_does_not_log_the_kms_id_of_the_one_before() -> None:
    function = deployed()
    function.post(function.request())
    function.post(function.request(signerAddress="0x" + "11" * 20))
    assert "kmsRequestId" not in function.line


def test_what_an_invoker_says_of_the_caller_is_logged_as_a_claim() -> None:
    function = deployed()
    forged = api_event(json.dumps(function.request()))
    forged["requestContext"]["identity"]["userArn"] = "arn:aws:iam::111122223333:user/ceo"
    function(forged)
    assert function.line["claimedCaller"].endswith("user/ceo")
    assert "caller" not in function.line


def test_the_log_line_says_who_asked_and_what_happened_and_never_what_was_sent() -> None:
    function = deployed()
    function.post(function.request())
    line = function.line
    assert line.pop("ms") >= 0
    assert line == {
        "event": "sign",
        "via": "api",
        "claimedCaller": "arn:aws:iam::111122223333:user/alice",
        "apiRequestId": "api-1",
        "sourceIp": "192.0.2.7",
        "kind": "digest",
        "scheme": "eip191",
        "digest": "0x" + evm.eip191_digest(HASH).hex(),
        "code": "ok",
        "kmsRequestId": "kms-request-1",
        "address": function.kms.address,
        "status": 200,
        "requestId": "lambda-1",
    }
    assert HASH.hex() not in function.lines[0]


def test_a_refused_body_is_not_logged() -> None:
    function = deployed()
    function.post({"password": "hunter2", "messageHash": "hunter2", "signerAddress": "hunter2"})
    function.post({"messageHash": "0x" + "00" * 32, "signerAddress": "hunter2"})
    assert "hunter2" not in "".join(function.lines)


def test_errors_of_kms_keep_their_retry_advice() -> None:
    errors: list[tuple[KmsError, bool]] = [(KmsThrottled("x"), True), (KmsAccessDenied("x"), False)]
    for error, retryable in errors:
        function = deployed(FakeKms(failures=[error]))
        assert function.post(function.request())[1]["error"]["retryable"] is retryable


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
events = json_values | st.fixed_dictionaries(
    {"requestContext": json_values | st.fixed_dictionaries({"identity": json_values})},
    optional={"body": json_values, "headers": json_values, "isBase64Encoded": json_values},
)


@given(events)
def test_any_event_gets_a_valid_answer_and_one_log_line(event: Any) -> None:
    function = deployed()
    result = function(event)
    assert result["statusCode"] in (200, 400, 403, 413)
    json.dumps(result)
    assert len(function.lines) == 1
    assert "\n" not in function.lines[0]
    assert function.kms.signed == []


def test_the_handler_imports_only_what_it_needs() -> None:
    """Cold starts are paid for: a new name here is a decision, not an accident."""
    # The bundle has no cffi, so pycryptodome falls back to ctypes there.
    code = (
        "import sys, json; sys.modules['cffi'] = None; import bursar.aws.handler;"
        "print(json.dumps(sorted(sys.modules)))"
    )
    # -S: not what an editable install imports at the start.
    env = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env=env
    )
    modules = set(json.loads(done.stdout))
    names = {name.split(".")[0] for name in modules}
    of_coincurve = {"coincurve", "_libsecp256k1", "_cffi_backend"}
    others = names - set(sys.stdlib_module_names) - of_coincurve
    assert others == {"__main__", "bursar", "Crypto", "cffi"}
    heavy = {"asyncio", "email", "http", "logging", "urllib", "uuid", "xml", "zipfile"}
    assert names.isdisjoint(heavy)
    ours = {name for name in modules if name.split(".")[0] == "bursar"}
    assert ours == set(MODULES) - set(WITH_THE_LEDGER)
