"""Who may do what with a deployed signer, judged by an AWS that enforces IAM, key policies and conditions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from botocore.exceptions import ClientError

from bursar.aws.deploy import Deployment
from bursar.aws.remote import ApiSigner
from bursar.chains.evm import Scheme
from bursar.errors import SigningServiceDenied
from tests.e2e.account import HASH, Account

DIGEST = {"Message": HASH, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}


def become_the_function(account: Account, found: Deployment) -> Any:
    """Return KMS as the function sees it."""
    account.become_function(found)
    return account.client("kms")


def become_the_role_elsewhere(account: Account, found: Deployment) -> Any:
    """Return KMS as a session of the role outside Lambda sees it. The root widens the role's trust for this."""
    iam = account.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account.root().account}:root"},
        "Action": "sts:AssumeRole",
    }
    iam.update_assume_role_policy(
        RoleName=found.outputs["RoleName"],
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    given = account.client("sts").assume_role(
        RoleArn=found.outputs["RoleArn"], RoleSessionName="treasury-signer"
    )["Credentials"]
    account.become(given["AccessKeyId"], given["SecretAccessKey"])
    account.monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])
    return account.client("kms")


def denied(call: Callable[..., object], **arguments: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_the_function_signs_digests_with_its_key(account: Account) -> None:
    found = account.deploy()
    kms, key = become_the_function(account, found), found.outputs["KeyArn"]
    assert kms.sign(KeyId=key, **DIGEST)["KeyId"] == key
    assert kms.get_public_key(KeyId=key)["KeySpec"] == "ECC_SECG_P256K1"


def test_the_function_signs_nothing_but_digests(account: Account) -> None:
    found = account.deploy()
    kms, key = become_the_function(account, found), found.outputs["KeyArn"]
    denied(kms.sign, KeyId=key, **{**DIGEST, "MessageType": "RAW"})
    raw = {name: value for name, value in DIGEST.items() if name != "MessageType"}
    denied(kms.sign, KeyId=key, **raw)


def test_another_function_under_the_role_signs_nothing(account: Account) -> None:
    found = account.deploy()
    account.become_another_function(found)
    kms, key = account.client("kms"), found.outputs["KeyArn"]
    assert kms.get_public_key(KeyId=key)["KeySpec"] == "ECC_SECG_P256K1"
    denied(kms.sign, KeyId=key, **DIGEST)


def test_a_session_of_the_role_from_elsewhere_signs_nothing(account: Account) -> None:
    found = account.deploy()
    kms, key = become_the_role_elsewhere(account, found), found.outputs["KeyArn"]
    assert kms.get_public_key(KeyId=key)["KeySpec"] == "ECC_SECG_P256K1"
    denied(kms.sign, KeyId=key, **DIGEST)


def test_the_function_does_nothing_with_another_key(account: Account) -> None:
    found = account.deploy()
    made = account.client("kms").create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")
    other = made["KeyMetadata"]["Arn"]
    kms = become_the_function(account, found)
    denied(kms.sign, KeyId=other, **DIGEST)
    denied(kms.get_public_key, KeyId=other)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("schedule_key_deletion", {"PendingWindowInDays": 7}),
        ("disable_key", {}),
        ("put_key_policy", {"PolicyName": "default", "Policy": "{}"}),
        (
            "create_grant",
            {"GranteePrincipal": "arn:aws:iam::000000000000:root", "Operations": ["Sign"]},
        ),
        ("verify", {**DIGEST, "Signature": bytes(70)}),
        ("get_key_policy", {"PolicyName": "default"}),
    ],
)
def test_the_function_does_nothing_else_with_its_own(
    account: Account, name: str, more: dict[str, Any]
) -> None:
    found = account.deploy()
    kms = become_the_function(account, found)
    denied(getattr(kms, name), KeyId=found.outputs["KeyArn"], **more)


def test_an_administrator_of_the_account_manages_the_key_and_cannot_sign_or_grant(
    account: Account,
) -> None:
    found = account.deploy()
    key = found.outputs["KeyArn"]
    account.user("admin", "arn:aws:iam::aws:policy/AdministratorAccess")
    kms = account.client("kms")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    denied(kms.sign, KeyId=key, **DIGEST)
    denied(
        kms.create_grant,
        KeyId=key,
        GranteePrincipal=f"arn:aws:iam::{account.root().account}:user/admin",
        Operations=["Sign"],
    )


def test_members_of_the_group_may_ask_and_others_may_not(account: Account) -> None:
    found = account.deploy()
    iam = account.client("iam")
    iam.create_group(GroupName="payers")
    iam.attach_group_policy(GroupName="payers", PolicyArn=found.outputs["InvokePolicyArn"])
    for name, member in (("alice", True), ("mallory", False)):
        account.root()
        iam.create_user(UserName=name)
        if member:
            iam.add_user_to_group(GroupName="payers", UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        account.become(key["AccessKeyId"], key["SecretAccessKey"])
        with ApiSigner.open(found.url, str(found.address)) as signer:
            if member:
                assert signer.sign_hash(HASH, Scheme.EIP191).address == found.address
            else:
                with pytest.raises(SigningServiceDenied):
                    signer.sign_hash(HASH, Scheme.EIP191)


def test_a_caller_of_one_stage_may_not_call_another(account: Account) -> None:
    found = account.deploy()
    gateway, api = account.client("apigateway"), found.outputs["ApiId"]
    deployment = gateway.get_deployments(restApiId=api)["items"][0]["id"]
    gateway.create_stage(restApiId=api, stageName="other", deploymentId=deployment)
    account.user("alice", found.outputs["InvokePolicyArn"])
    other = found.url.replace("/prod/", "/other/")
    assert other != found.url
    with (
        ApiSigner.open(other, str(found.address)) as signer,
        pytest.raises(SigningServiceDenied),
    ):
        signer.sign_hash(HASH, Scheme.EIP191)


def test_an_unsigned_call_is_turned_away(account: Account) -> None:
    found = account.deploy()
    answer = httpx2.post(found.url, json={}, trust_env=False, timeout=30)
    assert answer.status_code == 403
