"""What the docstrings say each call needs, against IAM policies that are enforced (ministack)."""

from __future__ import annotations

import uuid

import pytest

from bursar.chains import evm
from bursar.errors import AwsAccessDenied, KmsAccessDenied
from bursar.kms.keys import KeyDescription, NewKey
from bursar.kms.sigv4 import Credentials
from tests.contract.conftest import KmsWorld, iam_user, world

DIGEST = bytes(range(32))


@pytest.fixture
def key(ministack: str, ministack_user: Credentials) -> KeyDescription:
    return world(ministack, ministack_user).keys.create(NewKey())


def acting_with(ministack: str, *actions: str) -> KmsWorld:
    return world(ministack, iam_user(ministack, f"user-{uuid.uuid4().hex[:12]}", *actions))


def test_signing_needs_sign_and_get_public_key_and_no_more(
    ministack: str, key: KeyDescription
) -> None:
    with acting_with(ministack, "kms:Sign", "kms:GetPublicKey").client() as kms:
        pinned = evm.parse_spki_der(kms.get_public_key(key.key_arn).spki_der)
        answer = kms.sign(key.key_arn, evm.kms_request(DIGEST))
    assert evm.signature_from_kms(answer.der, DIGEST, pinned)


def test_a_stranger_is_denied_without_being_told_whose_key_it_is(
    ministack: str, key: KeyDescription
) -> None:
    with acting_with(ministack).client() as kms, pytest.raises(KmsAccessDenied) as caught:
        kms.sign(key.key_arn, evm.kms_request(DIGEST))
    assert "arn:" not in str(caught.value.to_dict())


@pytest.mark.parametrize("missing", ["kms:CreateKey", "kms:CreateAlias"])
def test_creating_a_key_names_the_permission_that_is_missing(ministack: str, missing: str) -> None:
    needed = {"kms:CreateKey", "kms:CreateAlias", "kms:DescribeKey"}
    keys = acting_with(ministack, *(needed - {missing})).keys
    with pytest.raises(AwsAccessDenied, match=missing):
        keys.create(NewKey(), alias=f"alias/{uuid.uuid4().hex}")


def test_creating_a_key_needs_what_its_docstring_says(ministack: str) -> None:
    needed = ("kms:CreateKey", "kms:CreateAlias", "kms:DescribeKey")
    made = acting_with(ministack, *needed, "kms:TagResource").keys.create(
        NewKey(tags={"team": "treasury"}), alias=f"alias/{uuid.uuid4().hex}"
    )
    assert made.can_sign


def test_a_key_left_without_its_alias_is_named_with_the_way_on(
    ministack: str, ministack_user: Credentials
) -> None:
    keys = acting_with(ministack, "kms:CreateKey", "kms:DescribeKey").keys
    alias = f"alias/{uuid.uuid4().hex}"
    with pytest.raises(AwsAccessDenied) as caught:
        keys.create(NewKey(), alias=alias)
    left = caught.value.message.split()[2]
    assert world(ministack, ministack_user).keys.describe(left).aliases == ()
    assert f"create-alias --alias-name {alias} --target-key-id {left}" in (caught.value.hint or "")
