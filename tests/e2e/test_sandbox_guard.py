"""What a web page, and a neighbour who knows no key, get from a sandbox that is up: nothing."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

import boto3
import httpx2
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from bursar.sandbox.world import World

PAGE = "https://evil.example"
FAULT = {"operation": "wallets.create", "kind": "error_before"}


def send(method: str, url: str, **request: Any) -> httpx2.Response:
    with httpx2.Client(trust_env=False, timeout=20) as http:
        return http.request(method, url, **request)


class BodySigned(SigV4QueryAuth):
    """A presigned URL for a request with a body: no header but Host, so that a page can send it unasked."""

    def payload(self, request: Any) -> str:
        return str(super(SigV4QueryAuth, self).payload(request))


def function_of_a_pages_own(world: World, key: str, secret: str, **headers: str) -> httpx2.Response:
    """Ask for a Lambda function, which is code run here, as a page can: presigned, as plain text."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("m.py", "def h(event, context): return 1")
    body = {
        "FunctionName": "theirs",
        "Runtime": world.environment["BURSAR_FUNCTION_RUNTIME"],
        "Handler": "m.h",
        "Role": "arn:aws:iam::000000000000:role/any",
        "Code": {"ZipFile": base64.b64encode(archive.getvalue()).decode()},
    }
    url = f"{world.url('aws')}/2015-03-31/functions"
    request: Any = AWSRequest("POST", url, data=json.dumps(body).encode())
    BodySigned(Credentials(key, secret), "lambda", "us-east-1").add_auth(request)
    sent = {"content-type": "text/plain", **headers}
    return send("POST", request.url, content=request.data, headers=sent)


def own_key(world: World) -> tuple[str, str]:
    return world.environment["AWS_ACCESS_KEY_ID"], world.environment["AWS_SECRET_ACCESS_KEY"]


def kms(world: World, key: str, secret: str) -> Any:
    return boto3.client(
        "kms",
        region_name="us-east-1",
        endpoint_url=world.url("aws"),
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


@pytest.mark.parametrize("service", ["aws", "crossmint"])
@pytest.mark.parametrize(
    "header",
    [
        {"Origin": PAGE},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
    ],
)
def test_a_web_page_is_refused_everywhere(world: World, service: str, header: dict[str, str]):
    port = world.url(service).rpartition(":")[2]
    header = {name: f"{v}:{port}" if name == "Host" else v for name, v in header.items()}
    paths = ["/", "/healthz", "/_sandbox/state", "/_ministack/ready", "/anything"]
    for method, path in [(m, p) for m in ("GET", "POST", "OPTIONS") for p in paths]:
        answer = send(method, world.url(service) + path, headers=header)
        assert answer.status_code == 403, (method, path)
        assert "Refused by the sandbox" in answer.json()["message"]
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("service", ["aws", "crossmint", "chain"])
def test_no_answer_to_a_program_invites_web_pages(world: World, service: str):
    answer = send("GET", world.url(service) + "/")
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_page_cannot_make_a_function_even_with_the_roots_signature(world: World):
    refused = function_of_a_pages_own(world, *own_key(world), Origin=PAGE)
    assert refused.status_code == 403
    assert "Origin" in refused.json()["message"]


@pytest.mark.parametrize(
    "keys", [("test", "test"), ("000000000000", "test"), ("123456789012", "x"), ("SANDBOX", "x")]
)
def test_a_key_that_anybody_could_name_is_nobodys(world: World, keys: tuple[str, str]):
    assert function_of_a_pages_own(world, *keys).status_code == 403
    with pytest.raises(ClientError) as refused:
        kms(world, *keys).list_keys()
    assert "UnrecognizedClient" in str(refused.value)


def test_the_roots_key_id_is_worth_nothing_without_its_secret(world: World):
    key, secret = own_key(world)
    with pytest.raises(ClientError, match="signature"):
        kms(world, key, "another").list_keys()
    assert function_of_a_pages_own(world, key, "another").status_code == 403
    assert kms(world, key, secret).list_keys()["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("authorization", ["", "x", "Basic dGVzdDp0ZXN0", "AWS test:x"])
def test_credentials_that_are_none_are_not_the_roots(world: World, authorization: str):
    answer = send(
        "POST",
        world.url("aws"),
        content=b"{}",
        headers={
            "authorization": authorization,
            "x-amz-target": "TrentService.ListKeys",
            "content-type": "application/x-amz-json-1.1",
        },
    )
    assert answer.status_code in (400, 403), answer.text
    functions = send("GET", f"{world.url('aws')}/2015-03-31/functions")
    assert functions.status_code in (400, 403), functions.text


def test_the_emulators_own_paths_want_the_roots_secret(world: World):
    url = world.url("aws")
    assert send("POST", f"{url}/_ministack/reset").status_code == 403
    assert send("POST", f"{url}/_ministack/config", content=b"{}").status_code == 403
    assert send("GET", f"{url}/_ministack/ready").status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_faults_are_armed_by_json_alone(world: World, kind: str):
    faults = f"{world.url('crossmint')}/_sandbox/faults"
    body = json.dumps(FAULT).encode()
    assert send("POST", faults, content=body, headers={"content-type": kind}).status_code == 415
    assert send("GET", faults).json() == []
    assert send("POST", faults, json=FAULT).status_code == 200
    assert send("DELETE", faults).json() == []


def test_the_chain_reads_nothing_a_page_may_send_unasked(world: World):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).encode()
    url = world.url("chain")
    plain = send("POST", url, content=body, headers={"content-type": "text/plain", "Origin": PAGE})
    assert "error" in plain.json()
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    assert send("OPTIONS", url, headers=asked).status_code == 405
    assert send("POST", url, content=body, headers={"content-type": "application/json"}).json()[
        "result"
    ]
