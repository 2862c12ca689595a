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
