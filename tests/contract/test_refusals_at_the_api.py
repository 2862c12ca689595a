"""What a caller of the API sees when KMS refuses: a code to act on, and nothing of keys, accounts and roles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from bursar.aws.container import Edges
from bursar.aws.handler import SigningFunction
from bursar.chains import evm
from bursar.kms.client import KmsClient, Limits
from bursar.kms.names import parse_endpoint
from bursar.kms.sigv4 import Credentials
from tests.fakes.kms_server import Key, KmsServer, Refuse

SECRETS = ("arn:", "111122223333", "secret", "alias/treasury", "AKIDLOCAL")
PENDING = "arn:aws:kms:us-east-1:111122223333:key/secret-name is pending deletion."
# KMS's answer to Sign, and what the caller is told of it.
REFUSALS: list[tuple[Refuse, str]] = [
    (Refuse("AccessDeniedException"), "kms_access_denied"),
    (Refuse("NotFoundException"), "kms_key_not_found"),
    (Refuse("DisabledException"), "kms_key_disabled"),
    (Refuse("KMSInvalidStateException", message=PENDING), "kms_key_pending_deletion"),
    (Refuse("DisabledException", message=PENDING), "kms_key_pending_deletion"),
    (Refuse("KMSInvalidStateException"), "kms_key_unusable"),
    (Refuse("InvalidKeyUsageException"), "kms_wrong_usage"),
    (Refuse("ExpiredTokenException"), "kms_credentials"),
    (Refuse("ValidationException"), "kms_error"),
]
CODES = {code for _, code in REFUSALS}


class Api:
    """The function behind an API Gateway event, with a client that would try four times."""

    def __init__(self, server: KmsServer, stack: ExitStack, key_id: str) -> None:
        credentials = Credentials(server.access_key_id, server.secret_access_key)
        kms = stack.enter_context(
            KmsClient(
                server.region,
                lambda: credentials,
                endpoint=parse_endpoint(server.url),
                limits=Limits(first_wait=0.001),
            )
        )
        settings = {"KMS_KEY_ID": key_id, "BURSAR_BLIND_SIGNING": "allowed"}
        self.lines: list[str] = []
        self.function = SigningFunction(settings, self.lines.append, Edges(lambda _seconds: kms))

    def post(self, address: str) -> tuple[int, dict[str, Any]]:
        body = json.dumps({"messageHash": "0x" + "11" * 32, "signerAddress": address})
        event = {"requestContext": {"identity": {}}, "headers": {}, "body": body}
        result = self.function(event, None)
        return result["statusCode"], json.loads(result["body"])["error"]


@pytest.fixture
def key(kms_server: KmsServer) -> Key:
    return kms_server.create_key(alias="alias/treasury")


@pytest.fixture
def address(key: Key) -> str:
    return evm.PublicKey(key.private.public_key.format(compressed=False)[1:]).address


@pytest.fixture
def api(kms_server: KmsServer, address: str) -> Iterator[Api]:
    """The API when it has signed once: its key is pinned, and what follows is about Sign."""
    with ExitStack() as stack:
        made = Api(kms_server, stack, "alias/treasury")
        made.function({"messageHash": "0x" + "22" * 32, "signerAddress": address}, None)
        assert len(kms_server.calls("Sign")) == 1
        kms_server.requests.clear()
        yield made


@pytest.mark.parametrize(("refuse", "code"), REFUSALS, ids=lambda value: str(value)[:60])
def test_a_refusal_is_not_repeated_has_a_code_of_its_own_and_names_nothing(
    kms_server: KmsServer, api: Api, address: str, refuse: Refuse, code: str
) -> None:
    kms_server.script.append(refuse)
    status, error = api.post(address)
    assert (status, error["code"], error["retryable"]) == (502, code, False)
    assert len(kms_server.calls("Sign")) == 1
    said = json.dumps(error)
    assert [secret for secret in SECRETS if secret in said] == []


def test_the_codes_tell_the_causes_apart() -> None:
    assert len(CODES) == 8


def test_a_key_that_cannot_be_opened_names_nothing_either(
    kms_server: KmsServer, address: str
) -> None:
    for refuse, code in REFUSALS:
        with ExitStack() as stack:
            kms_server.script.append(refuse)
            _, error = Api(kms_server, stack, "alias/treasury").post(address)
        assert error["code"] == code
        assert [secret for secret in SECRETS if secret in json.dumps(error)] == []


def test_a_key_of_another_region_names_nothing_and_asks_nobody(
    kms_server: KmsServer, address: str
) -> None:
    arn = "arn:aws:kms:eu-central-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    with ExitStack() as stack:
        status, error = Api(kms_server, stack, arn).post(address)
    assert (status, error["code"]) == (502, "kms_region_mismatch")
    assert [secret for secret in SECRETS if secret in json.dumps(error)] == []
    assert kms_server.requests == []


@pytest.mark.parametrize("kind", ["ThrottlingException", "KMSInternalException"])
def test_what_passes_is_repeated_and_the_caller_is_told_that_asking_again_helps(
    kms_server: KmsServer, api: Api, address: str, kind: str
) -> None:
    kms_server.script.extend([Refuse(kind, status=500)] * 4)
    status, error = api.post(address)
    assert status in (429, 503)
    assert error["retryable"] is True
    assert len(kms_server.calls("Sign")) == 4
    assert [secret for secret in SECRETS if secret in json.dumps(error)] == []
