"""What Python's logging gets while something is signed: nothing secret, and nothing of what was signed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack

import boto3
import pytest
from botocore.exceptions import ClientError

from bursar.aws.cloud import aws_errors
from bursar.aws.container import Edges
from bursar.aws.handler import SigningFunction
from bursar.chains.evm import Scheme
from bursar.errors import BursarError, KmsError
from bursar.kms.keys import Keys
from bursar.signer import KmsSigner
from tests.contract.signers import CALLER, Stub
from tests.fakes.kms_server import KmsServer, Refuse

HASH = bytes.fromhex("c0ffee" + "5a" * 29)
TOKEN = "session-token-of-the-client"


@pytest.fixture
def stub(kms_server: KmsServer) -> Iterator[Stub]:
    with ExitStack() as stack:
        yield Stub(kms_server, kms_server.create_key(alias="alias/treasury"), stack)


def secrets(stub: Stub) -> list[str]:
    caller = [CALLER.secret_access_key, str(CALLER.session_token)]
    return [stub.server.secret_access_key, TOKEN, *caller, "Credential=", HASH.hex(), "wP/u"]


@pytest.mark.parametrize("kind", ["kms", "api", "lambda"])
@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_signing_logs_neither_secrets_nor_what_is_signed(
    stub: Stub, kind: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(level)
    signed = stub.signer(kind).sign_hash(HASH, Scheme.RAW)
    said = [*secrets(stub), signed.signature.to_hex()[2:]]
    assert [word for word in said if word in caplog.text] == []


@pytest.mark.parametrize("kind", ["kms", "api", "lambda"])
def test_a_failure_logs_and_says_no_more(
    stub: Stub, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    signer = stub.signer(kind)
    stub.server.script.append(Refuse("AccessDeniedException"))
    with pytest.raises(BursarError) as caught:
        signer.sign_hash(HASH, Scheme.RAW)
    told = f"{caught.value.to_dict()} {caught.value!r} {vars(caught.value)}"
    for word in [*secrets(stub), "111122223333", "secret-name"]:
        assert word not in caplog.text
        assert word not in told


def test_the_functions_lines_hold_the_digest_and_no_body_no_hash_and_no_secret(
    stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lines: list[str] = []
    address = KmsSigner.open(stub.client(), stub.key.arn).address
    settings = {
        "KMS_KEY_ID": stub.key.arn,
        "BURSAR_BLIND_SIGNING": "allowed",
        "AWS_SECRET_ACCESS_KEY": "the-functions-own",
        "AWS_SESSION_TOKEN": TOKEN,
    }
    function = SigningFunction(settings, lines.append, Edges(stub.client))
    body = {"messageHash": "0x" + HASH.hex(), "signerAddress": address}
    headers = {"authorization": "AWS4-HMAC-SHA256 Credential=AKID/x, Signature=feedface"}
    function(body, None)
    stub.server.script.append(Refuse("AccessDeniedException"))
    function(body, None)
    function({"requestContext": {}, "headers": headers, "body": "{}"}, None)
    function({**body, "note": "pay mallory"}, None)
    text = "\n".join(lines) + caplog.text
    codes = [json.loads(line)["code"] for line in lines]
    assert codes == ["ok", "kms_access_denied", "invalid_request", "invalid_request"]
    for word in [*secrets(stub), "the-functions-own", "feedface", "pay mallory", "0x" + HASH.hex()]:
        assert word not in text


def test_botocores_errors_lose_their_words(kms_server: KmsServer) -> None:
    kms = boto3.client(
        "kms",
        region_name="us-east-1",
        endpoint_url=kms_server.url,
        aws_access_key_id=kms_server.access_key_id,
        aws_secret_access_key=kms_server.secret_access_key,
        aws_session_token=TOKEN,
    )
    kms_server.script.append(Refuse("AccessDeniedException"))
    with pytest.raises((BursarError, KmsError)) as caught:
        Keys(kms).describe("alias/treasury")
    kms_server.script.append(Refuse("AccessDeniedException"))
    with pytest.raises(BursarError) as other, aws_errors():
        kms.describe_key(KeyId="alias/treasury")
    for error in (caught.value, other.value):
        assert not isinstance(error, ClientError)
        assert error.__cause__ is None
        for word in ("111122223333", "secret-name", TOKEN, kms_server.secret_access_key):
            assert word not in f"{error.to_dict()} {error!r} {vars(error)}"
