from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from bursar.aws.cloud import Cloud
from bursar.aws.readiness import wait_until_ready
from bursar.aws.stacks import Pace

OUTPUTS = {"BlindSigning": "allowed", "FunctionAliasArn": "arn:live"}
QUICK = Pace(0.001, 0.05)


class Function:
    """Answers with one error code after the other; the last one for ever."""

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)
        self.asked: list[dict[str, Any]] = []

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        self.asked.append(json.loads(arguments["Payload"]))
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        if code == "AccessDeniedException":
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "Invoke")
        body = {"statusCode": 403, "error": {"code": code, "message": "", "retryable": False}}
        return {"Payload": io.BytesIO(json.dumps(body).encode())}


def wait(function: Function, outputs: dict[str, str] | None = None) -> tuple[bool, list[str]]:
    told: list[str] = []
    cloud = cast("Cloud", SimpleNamespace(invoker=function))
    return wait_until_ready(
        cloud, OUTPUTS if outputs is None else outputs, told.append, QUICK
    ), told


@pytest.mark.parametrize("code", ["kms_access_denied", "kms_key_not_found"])
def test_a_policy_that_is_not_known_yet_is_waited_for(code: str) -> None:
    function = Function(code, code, "signer_mismatch")
    ready, told = wait(function)
    assert (ready, len(told), len(function.asked)) == (True, 2, 3)


def test_the_wait_has_an_end() -> None:
    assert wait(Function("kms_access_denied"))[0] is False


@pytest.mark.parametrize("code", ["signer_mismatch", "kms_key_disabled", "AccessDeniedException"])
def test_what_no_waiting_mends_is_not_waited_for(code: str) -> None:
    function = Function(code)
    assert wait(function) == (True, [])
    assert len(function.asked) == 1


def test_nothing_can_be_signed_by_asking() -> None:
    function = Function("signer_mismatch")
    wait(function)
    assert int(function.asked[0]["signerAddress"], 16) == 1


def test_a_function_that_signs_no_hashes_is_not_asked() -> None:
    function = Function("blind_signing_disabled")
    assert wait(function, {**OUTPUTS, "BlindSigning": "refused"}) == (True, [])
    assert function.asked == []
