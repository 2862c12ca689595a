from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from bursar.aws.doctor import api
from bursar.aws.doctor.api import Answer, Door
from bursar.aws.plan import ApiPlan
from bursar.aws.remote import Api
from bursar.kms.sigv4 import Credentials
from bursar.signing_contract import parse_request
from tests.unit.aws.doctor.cases import case, cloud, only, planned, service, stack

URL = "https://abc.execute-api.eu-central-1.amazonaws.com/prod/"
SECRET = "a-secret-that-nobody-may-see"


def door(handler: Callable[[httpx2.Request], httpx2.Response]) -> Door:
    return Door(
        Api.at(URL),
        lambda: Credentials("AKIAEXAMPLE", SECRET, "token-that-nobody-may-see"),
        lambda: httpx2.Client(transport=httpx2.MockTransport(handler)),
    )


def answered(status: int, body: Any = None, **headers: str) -> Answer:
    reply = httpx2.Response(status, content=json.dumps(body or {}), headers=headers)
    return door(lambda _: reply).knock(signed=True)


def test_a_signed_call_is_signed_for_the_api_and_an_unsigned_one_carries_nothing() -> None:
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(403)

    for signed in (True, False):
        door(handler).knock(signed=signed)
    assert "/eu-central-1/execute-api/aws4_request" in seen[0].headers["authorization"]
    assert not {"authorization", "x-amz-security-token"} & set(seen[1].headers)


def test_what_is_sent_is_no_signing_request_whatever_happens_to_it() -> None:
    bodies: list[bytes] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        bodies.append(request.content)
        return httpx2.Response(400)

    door(handler).knock(signed=True)
    with pytest.raises(Exception, match=r".") as caught:
        parse_request(bodies[0])
    # The codes by which an answer is known to come from the function.
    assert caught.value.code in {"invalid_digest", "invalid_address"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (answered(400, {"error": {"code": "invalid_digest"}}), "ok"),
        (answered(400, {"message": "Invalid request body"}), "fail"),
        (
            answered(403, {"Message": "not authorized"}, **{"x-amzn-errortype": "AccessDenied"}),
            "warn",
        ),
        (answered(403, {}, **{"x-amzn-errortype": "InvalidSignatureException:http"}), "fail"),
        (answered(403, {"message": "The request signature we calculated does not match"}), "fail"),
        (answered(429, {"error": {"code": "signer_busy"}}), "warn"),
        (answered(502, {"message": "Internal server error"}), "fail"),
        (answered(200, {"signature": "0x"}), "fail"),
        (Answer(0, "ConnectError"), "fail"),
    ],
)
def test_only_the_functions_own_refusal_passes(answer: Answer, status: str) -> None:
    assert api.judge_signed(answer, "arn:policy").status == status


def test_a_caller_who_may_not_ask_is_told_which_policy_to_attach() -> None:
    check = api.judge_signed(Answer(403, "AccessDeniedException"), "arn:policy")
    assert "attach arn:policy" in str(check.fix)


@pytest.mark.parametrize(
    ("status", "expected"), [(403, "ok"), (400, "fail"), (200, "fail"), (404, "fail")]
)
def test_an_unsigned_call_must_be_turned_away(status: int, expected: str) -> None:
    assert api.judge_unsigned(Answer(status)).status == expected


def test_a_failure_of_the_network_holds_no_credentials() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError(f"no way with {request.headers['authorization']}")

    assert door(handler).knock(signed=True) == Answer(0, "ConnectError")


def test_no_api_yet_is_skipped_and_a_private_one_may_be_out_of_reach() -> None:
    assert only(api.api(case(cloud()))).status == "skip"
    closed = door(lambda _: httpx2.Response(200))
    unreachable = Answer(0, "ConnectError")
    assert api.unreachable(unreachable, closed.api.url, private=True).status == "skip"
    assert api.unreachable(unreachable, closed.api.url, private=False).status == "fail"


@pytest.mark.parametrize(
    ("arn", "deployed", "status"), [("arn:role", True, "ok"), ("", True, "warn"), ("", False, "ok")]
)
def test_access_logs_need_a_setting_of_the_account_that_a_deployment_makes(
    arn: str, status: str, *, deployed: bool
) -> None:
    gateway = service(get_account={"cloudwatchRoleArn": arn})
    found = case(cloud(apigateway=gateway), stack() if deployed else None)
    assert only(api.access_logs(found)).status == status
    without = case(cloud(), plan=planned(api=ApiPlan(access_logs=False)))
    assert list(api.access_logs(without)) == []
