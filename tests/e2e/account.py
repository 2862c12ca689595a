"""An emulated AWS account: to be its root, its users and its roles by turns, and to deploy into."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from bursar.aws import deploy
from bursar.aws.cloud import Cloud
from bursar.aws.deploy import Deployment, DeployRequest
from bursar.aws.environment import HANDLER
from bursar.aws.plan import FunctionPlan, StackPlan
from bursar.aws.stacks import StackEvent
from tests.fakes.aws_root import ROOT

HASH = bytes(range(32))
STACK = "treasury"
BLIND = StackPlan(function=FunctionPlan(blind_signing=True))
REQUEST = DeployRequest(STACK, BLIND)
# Code that gives away what Lambda gave it: whoever may change a function's code has its credentials.
_LEAK = """
import os
NAMES = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
def handle(event, context):
    return [os.environ[name] for name in NAMES]
"""


@dataclass
class Account:
    """The emulated account, as root and as users made for a test."""

    url: str
    monkeypatch: pytest.MonkeyPatch
    events: list[StackEvent] = field(default_factory=list)

    def become(self, access_key: str, secret: str) -> None:
        self.monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        self.monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
        self.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)

    def root(self) -> Cloud:
        self.become(ROOT.access_key_id, ROOT.secret_access_key)
        return Cloud()

    def user(self, name: str, policy_arn: str | None = None) -> Cloud:
        self.root()
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if policy_arn:
            iam.attach_user_policy(UserName=name, PolicyArn=policy_arn)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.become(key["AccessKeyId"], key["SecretAccessKey"])
        return Cloud()

    def assume_role(self, name: str, policy_arn: str | None = None) -> None:
        cloud = self.root()
        iam = self.client("iam")
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{cloud.account}:root"},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
        if policy_arn:
            iam.attach_role_policy(RoleName=name, PolicyArn=policy_arn)
        sts = self.client("sts")
        given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]
        self.become(given["AccessKeyId"], given["SecretAccessKey"])
        self.monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])

    def become_function(self, found: Deployment) -> None:
        """Be the deployed function, in whatever it is allowed: by its own credentials."""
        self.root()
        name = found.outputs["FunctionName"]
        self.client("lambda").update_function_code(FunctionName=name, ZipFile=_leaking_code())
        self._take_credentials_of(name)

    def become_another_function(self, found: Deployment) -> None:
        """Be a function that somebody made under the deployed function's role."""
        self.root()
        self.client("lambda").create_function(
            FunctionName="another",
            Runtime=found.outputs["Runtime"],
            Handler=HANDLER,
            Role=found.outputs["RoleArn"],
            Code={"ZipFile": _leaking_code()},
        )
        self._take_credentials_of("another")

    def _take_credentials_of(self, function: str) -> None:
        said = self.client("lambda").invoke(FunctionName=function)["Payload"].read()
        key, secret, token = json.loads(said)
        self.become(key, secret)
        self.monkeypatch.setenv("AWS_SESSION_TOKEN", token)

    def client(self, service: str) -> Any:
        # Not the default session: it keeps the credentials of whoever came first.
        return boto3.session.Session().client(service)  # type: ignore[call-overload]

    def zips(self) -> list[str]:
        """The keys in the artifact bucket, which has to be there."""
        s3 = self.client("s3")
        [bucket] = [each["Name"] for each in s3.list_buckets()["Buckets"]]
        return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def deploy(self, request: DeployRequest = REQUEST) -> Deployment:
        cloud = self.root()
        prepared = deploy.prepare(cloud, request)
        return deploy.finish(cloud, prepared, self.events.append)


def _leaking_code() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{HANDLER.rpartition('.')[0].replace('.', '/')}.py", _LEAK)
    return buffer.getvalue()
