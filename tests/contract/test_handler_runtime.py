"""The signing function under AWS's own runtime client, with a KMS over HTTP behind it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bursar.chains import evm
from tests.fakes.kms_server import Delay, Key, KmsServer, Refuse
from tests.fakes.runtime_api import Function

HASH = bytes(range(32))


@pytest.fixture
def key(kms_server: KmsServer) -> Key:
    return kms_server.create_key(alias="alias/treasury")


@pytest.fixture
def address(key: Key) -> str:
    return evm.public_key_from_point(key.private.public_key.format(compressed=False)[1:]).address


def environment(server: KmsServer, **more: str) -> dict[str, str]:
    """What Lambda gives a function, and the function's own settings."""
    return {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONUNBUFFERED": "1",
        "AWS_REGION": server.region,
        "AWS_ACCESS_KEY_ID": server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
        "AWS_ENDPOINT_URL": server.url,
        "KMS_KEY_ID": "alias/treasury",
        "BURSAR_BLIND_SIGNING": "allowed",
        **more,
    }


@pytest.fixture
def function(kms_server: KmsServer, key: Key, tmp_path: Path) -> Iterator[Function]:
    assert key.arn in kms_server.keys
    with Function(
        "bursar.aws.handler.handle", environment(kms_server), tmp_path / "log"
    ) as running:
        yield running


def api_event(body: Any) -> dict[str, Any]:
    return {
        "httpMethod": "POST",
        "headers": {"content-type": "application/json"},
        "requestContext": {"requestId": "api-1", "identity": {"userArn": "arn:aws:iam::1:user/a"}},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def test_it_starts_answers_and_stays_warm(
    function: Function, kms_server: KmsServer, address: str
) -> None:
    request = {"messageHash": "0x" + HASH.hex(), "signerAddress": address}
    for _ in range(3):
        kind, result = function.invoke(api_event(request))
        assert (kind, result["statusCode"]) == ("response", 200)
        answer = json.loads(result["body"])
        evm.parse_signature(
            bytes.fromhex(answer["signature"][2:]), evm.eip191_digest(HASH), address
        )
    assert len(kms_server.calls("GetPublicKey")) == 1
    assert len(kms_server.calls("Sign")) == 3
    assert kms_server.connections == 1
    _, direct = function.invoke(request)
    assert (direct["statusCode"], direct["address"]) == (200, address)


def test_each_invocation_is_one_line_of_json_in_the_log(function: Function, address: str) -> None:
    function.invoke(
        api_event({"messageHash": "0x" + HASH.hex(), "signerAddress": address, "scheme": "raw"})
    )
    function.invoke(api_event({"secret": "hunter2"}))
    end = time.monotonic() + 5
    while len(function.lines()) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    good, bad = function.lines()
    assert (good["code"], good["status"]) == ("ok", 200)
    assert good["claimedCaller"] == "arn:aws:iam::1:user/a"
    assert good["digest"] == "0x" + HASH.hex()
    assert good["kmsRequestId"]
    assert good["requestId"]
    assert (bad["code"], bad["status"]) == ("invalid_request", 400)
    assert "hunter2" not in function.log.read_text()


def test_a_kms_refusal_is_a_reply_and_not_a_crash(
    function: Function, kms_server: KmsServer, address: str
) -> None:
    request = {"messageHash": "0x" + HASH.hex(), "signerAddress": address}
    kms_server.script.append(Refuse("AccessDeniedException"))
    kind, result = function.invoke(request)
    assert (kind, result["statusCode"]) == ("response", 502)
    assert result["error"]["code"] == "kms_access_denied"
    assert "arn:" not in json.dumps(result)
    assert function.invoke(request)[1]["statusCode"] == 200


def test_a_slow_kms_is_an_answer_and_a_log_line_and_not_a_killed_function(
    kms_server: KmsServer, tmp_path: Path, address: str
) -> None:
    environ = environment(kms_server)
    kms_server.script.append(Delay(30))
    request = {"messageHash": "0x" + HASH.hex(), "signerAddress": address}
    with Function("bursar.aws.handler.handle", environ, tmp_path / "log", seconds=2.0) as function:
        kind, result = function.invoke(request, timeout=2.0)
        assert (kind, result["statusCode"]) == ("response", 504)
        assert result["error"]["code"] == "kms_timeout"
        assert result["error"]["retryable"] is True
        (line,) = function.lines()
    assert (line["code"], line["status"]) == ("kms_timeout", 504)


def test_it_starts_without_its_settings_and_says_so(
    kms_server: KmsServer, tmp_path: Path, address: str
) -> None:
    environ = environment(kms_server, KMS_KEY_ID="")
    with Function("bursar.aws.handler.handle", environ, tmp_path / "log") as function:
        kind, result = function.invoke({"messageHash": "0x" + HASH.hex(), "signerAddress": address})
    assert (kind, result["statusCode"]) == ("response", 500)
    assert result["error"]["code"] == "invalid_config"


@pytest.mark.parametrize("event", [None, [], 7, "text", {}, {"requestContext": {}}])
def test_no_event_crashes_it(function: Function, event: Any) -> None:
    kind, result = function.invoke(event)
    assert (kind, result["statusCode"]) == ("response", 400)
