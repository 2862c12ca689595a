"""A signer that is there but has no room: whatever says so, asking again is right and safe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from botocore.exceptions import ClientError

from bursar.aws.cloud import Cloud
from bursar.aws.plan import StackPlan
from bursar.aws.remote import LambdaSigner
from bursar.aws.template import build_template
from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import (
    AwsError,
    SigningServiceError,
    SigningServiceRefused,
    SigningServiceUnavailable,
)
from tests.contract.signers import QUICK, Door, Stub, api_signer
from tests.fakes.kms_server import KmsServer

HASH = bytes(range(32))


@pytest.fixture
def stub(kms_server: KmsServer) -> Iterator[Stub]:
    with ExitStack() as stack:
        yield Stub(kms_server, kms_server.create_key(alias="alias/treasury"), stack)


@pytest.fixture
def address(stub: Stub) -> str:
    point = stub.key.private.public_key.format(compressed=False)[1:]
    return evm.public_key_from_point(point).address


def gateway(status: int, message: str, error_type: str = "") -> httpx2.Response:
    headers = {"x-amzn-errortype": error_type} if error_type else {}
    return httpx2.Response(status, headers=headers, json={"message": message})


# A proxy integration answers 500 where Lambda throttles (AWS re:Post, "API Gateway proxy integration does not
# forward Lambda throttling (HTTP 429) to client"), 502 where the function's answer is none, 503 and 504 where it
# was not reached or not in time. 429 is the stage's own limit.
BUSY = [
    (429, "Too Many Requests", "TooManyRequestsException"),
    (429, "Limit Exceeded", "LimitExceededException"),
    (500, "Internal server error", "InternalServerErrorException"),
    (500, "Internal server error", ""),
    (502, "Internal server error", "InternalServerErrorException"),
    (503, "Service Unavailable", "ServiceUnavailableException"),
    (504, "Endpoint request timed out", "GatewayTimeoutException"),
]


@pytest.mark.parametrize(("status", "message", "kind"), BUSY)
def test_the_gateways_own_words_for_busy_are_asked_again(
    stub: Stub, address: str, status: int, message: str, kind: str
) -> None:
    door = stub.door()
    door.script += [gateway(status, message, kind) for _ in range(3)]
    assert api_signer(door, address).sign_hash(HASH, Scheme.RAW).address == address
    assert len(door.requests) == 4
    assert len(stub.server.calls("Sign")) == 1


@pytest.mark.parametrize(("status", "message", "kind"), BUSY)
def test_where_it_stays_busy_the_error_says_that_asking_later_helps(
    stub: Stub, address: str, status: int, message: str, kind: str
) -> None:
    door = stub.door()
    door.script += [gateway(status, message, kind) for _ in range(4)]
    with pytest.raises(SigningServiceUnavailable, match=str(status)) as caught:
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)
    assert caught.value.retryable
    assert stub.server.calls("Sign") == []


def gateway_answers() -> list[tuple[str, int, str]]:
    """What the deployed API itself answers in place of the function: kind, status, body."""
    resources = build_template(StackPlan())["Resources"].values()
    found = [r["Properties"] for r in resources if r["Type"] == "AWS::ApiGateway::GatewayResponse"]
    return [
        (each["ResponseType"], int(each["StatusCode"]), body)
        for each in found
        for body in each["ResponseTemplates"].values()
    ]


@pytest.mark.parametrize(("kind", "status", "body"), gateway_answers(), ids=lambda v: str(v)[:20])
def test_what_the_template_makes_the_gateway_say_is_read_as_it_is_meant(
    stub: Stub, address: str, kind: str, status: int, body: str
) -> None:
    door = stub.door()
    door.script += [httpx2.Response(status, text=body) for _ in range(4)]
    with pytest.raises(SigningServiceError) as caught:
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)
    wrong_request = kind.startswith("BAD_REQUEST")
    expected = SigningServiceRefused if wrong_request else SigningServiceUnavailable
    assert type(caught.value) is expected
    assert len(door.requests) == (1 if wrong_request else 4)


@dataclass
class Throttling:
    """Lambda, which raises its errors one after the other before it lets a call in."""

    door: Door
    errors: list[str] = field(default_factory=list)

    def invoke(self, **arguments: Any) -> Any:
        if self.errors:
            error = {"Error": {"Code": self.errors.pop(0), "Message": "Rate Exceeded."}}
            raise ClientError(cast("Any", error), "Invoke")
        return self.door.invoke(**arguments)

    def signer(self, address: str) -> LambdaSigner:
        cloud = cast("Cloud", SimpleNamespace(invoker=self))
        return LambdaSigner("signer", address, cloud, patience=QUICK)


LAMBDA_BUSY = ["TooManyRequestsException", "ServiceException", "EC2ThrottledException"]


@pytest.mark.parametrize("code", LAMBDA_BUSY)
def test_a_function_without_room_is_asked_again(stub: Stub, address: str, code: str) -> None:
    function = Throttling(stub.door(), [code] * 3)
    assert function.signer(address).sign_hash(HASH, Scheme.RAW).address == address


@pytest.mark.parametrize("code", LAMBDA_BUSY)
def test_a_function_that_stays_without_room_is_unavailable(
    stub: Stub, address: str, code: str
) -> None:
    with pytest.raises(SigningServiceUnavailable) as caught:
        Throttling(stub.door(), [code] * 4).signer(address).sign_hash(HASH, Scheme.RAW)
    assert caught.value.retryable


def test_a_function_that_is_not_there_is_not_busy(stub: Stub, address: str) -> None:
    function = Throttling(stub.door(), ["ResourceNotFoundException"] * 2)
    with pytest.raises(AwsError):
        function.signer(address).sign_hash(HASH, Scheme.RAW)
    assert len(function.errors) == 1


def test_the_signers_own_failure_is_not_taken_for_a_busy_gateway(stub: Stub, address: str) -> None:
    door = stub.door(KMS_KEY_ID="")
    with pytest.raises(SigningServiceError) as caught:
        api_signer(door, address).sign_hash(HASH, Scheme.RAW)
    assert not caught.value.retryable
    assert len(door.requests) == 1
