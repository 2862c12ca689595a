from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from bursar.sandbox import condition_keys

ROLE = "arn:aws:iam::000000000000:role/path/signer"


def test_a_signing_call_has_its_algorithm_and_message_type() -> None:
    body = json.dumps({"SigningAlgorithm": "ECDSA_SHA_256", "MessageType": "DIGEST"}).encode()
    assert condition_keys.kms_keys("kms:Sign", body) == {
        "kms:SigningAlgorithm": "ECDSA_SHA_256",
        "kms:MessageType": "DIGEST",
    }


def test_a_message_type_that_is_left_out_is_raw() -> None:
    body = json.dumps({"SigningAlgorithm": "ECDSA_SHA_256"}).encode()
    assert condition_keys.kms_keys("kms:Verify", body)["kms:MessageType"] == "RAW"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b"\xff"])
def test_a_body_that_is_no_signing_call_has_none(body: bytes) -> None:
    assert condition_keys.kms_keys("kms:Sign", body) == {}


def test_other_calls_have_none() -> None:
    assert condition_keys.kms_keys("kms:GetPublicKey", b'{"SigningAlgorithm": "x"}') == {}


@pytest.mark.parametrize(
    ("caller", "principal"),
    [
        ("arn:aws:sts::000000000000:assumed-role/signer/session", ROLE),
        ("arn:aws:sts::000000000000:assumed-role/other/session", None),
        ("arn:aws:iam::000000000000:user/signer", None),
    ],
)
def test_a_session_goes_by_its_roles_arn(caller: str, principal: str | None) -> None:
    assert condition_keys.role_arn(caller, {"signer": {"Arn": ROLE}}) == (principal or caller)


def test_the_emulator_is_taught_both() -> None:
    evaluator = SimpleNamespace(_resolve_condition_key=lambda key, _context: f"sts:{key}")
    actions = SimpleNamespace(request_tag_context=lambda *_: {"aws:TagKeys": ["a"]})
    condition_keys.fill(evaluator, actions, dict)
    body = b'{"SigningAlgorithm": "E", "MessageType": "RAW"}'
    found: Any = actions.request_tag_context("kms", "kms:Sign", body, {})
    assert found == {"aws:TagKeys": ["a"], "kms:SigningAlgorithm": "E", "kms:MessageType": "RAW"}
    assert evaluator._resolve_condition_key("aws:PrincipalArn", None) == "sts:aws:PrincipalArn"


def test_another_version_of_the_emulator_is_noticed() -> None:
    with pytest.raises(AttributeError):
        condition_keys.fill(SimpleNamespace(), SimpleNamespace(), dict)


FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:treasury-signer"


def taught() -> tuple[Any, Any]:
    runtime = SimpleNamespace(
        execution_credentials=lambda config: {"AWS_ACCESS_KEY_ID": f"ASIA-{config['FunctionArn']}"}
    )
    evaluator = SimpleNamespace(_principal_keys=lambda credential: {"aws:userid": credential.id})
    condition_keys.fill_source_function(evaluator, runtime)
    return evaluator, runtime


@pytest.mark.parametrize("arn", [FUNCTION, f"{FUNCTION}:7"])
def test_what_lambda_gave_to_a_function_tells_the_function(arn: str) -> None:
    evaluator, runtime = taught()
    given = runtime.execution_credentials({"FunctionArn": arn})
    credential = SimpleNamespace(access_key_id=given["AWS_ACCESS_KEY_ID"], id="r:f")
    assert evaluator._principal_keys(credential) == {
        "aws:userid": "r:f",
        "lambda:sourcefunctionarn": FUNCTION,
    }


def test_what_lambda_did_not_give_tells_no_function() -> None:
    evaluator, runtime = taught()
    runtime.execution_credentials({"FunctionArn": FUNCTION})
    credential = SimpleNamespace(access_key_id="ASIA-elsewhere", id="r:s")
    assert evaluator._principal_keys(credential) == {"aws:userid": "r:s"}


def test_a_lambda_that_gives_credentials_otherwise_is_noticed() -> None:
    with pytest.raises(AttributeError):
        condition_keys.fill_source_function(SimpleNamespace(), SimpleNamespace())
