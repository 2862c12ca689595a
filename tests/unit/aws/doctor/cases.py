"""Cases to examine, on an AWS made of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from botocore.exceptions import ClientError
from coincurve import PrivateKey

from bursar.aws.caller import Caller
from bursar.aws.cloud import Cloud
from bursar.aws.doctor import Case, Check, Question
from bursar.aws.plan import StackPlan
from bursar.aws.stacks import Stack
from bursar.chains import evm

ACCOUNT = "111122223333"
REGION = "eu-central-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/8a4f0000-0000-4000-8000-000000000001"
OTHER_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/8a4f0000-0000-4000-8000-000000000002"
USER = f"arn:aws:iam::{ACCOUNT}:user/ops/alice"
ALIAS = "alias/bursar-treasury"
SPKI = (
    bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
    + PrivateKey(b"\x07" * 32).public_key.format(compressed=False)
)  # fmt: skip
ADDRESS = evm.parse_spki_der(SPKI).address
OUTPUTS = {"KeyArn": KEY, "KeyAlias": ALIAS, "FunctionName": "treasury-signer", "ApiId": "abc"}


def refused(code: str, message: str = "", operation: str = "Something") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def denied(action: str) -> ClientError:
    message = f"User: {USER} is not authorized to perform: {action} on resource: x"
    return refused("AccessDeniedException", message)


def answering(answer: Any) -> Callable[..., Any]:
    """Return a call of boto3's that always answers so; an error is raised."""

    def call(**_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


def service(**answers: Any) -> Any:
    """Return a client whose calls answer so; a function answers for itself."""
    calls = {
        name: answer if callable(answer) else answering(answer) for name, answer in answers.items()
    }
    return SimpleNamespace(**calls)


def paging(*pages: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a `get_paginator` that gives these pages for any call."""
    return lambda *_: SimpleNamespace(paginate=lambda **_: iter(pages))


def cloud(
    *, emulated: bool = False, region: str = REGION, partition: str = "aws", **services: Any
) -> Cloud:
    """Return AWS with these services: `kms`, `lambda_`, `iam`, `service_quotas`…"""
    named = {name.rstrip("_").replace("_", "-"): client for name, client in services.items()}
    return cast(
        "Cloud",
        SimpleNamespace(
            emulated=emulated,
            endpoint=None,
            region=region,
            partition=partition,
            kms=services.get("kms"),
            functions=services.get("lambda_"),
            s3=services.get("s3"),
            cloudformation=services.get("cloudformation"),
            client=named.__getitem__,
        ),
    )


def stack(status: str = "CREATE_COMPLETE", **outputs: str) -> Stack:
    return Stack("treasury", "arn:stack", status, OUTPUTS | outputs, {}, protected=True)


def case(
    aws: Cloud,
    there: Stack | None = None,
    *,
    plan: StackPlan | None = None,
    caller: str = USER,
    **question: Any,
) -> Case:
    asked = Question("treasury", plan or StackPlan(), **question)
    return Case(asked, aws, Caller.of(caller), there)


def kms(
    *,
    spec: str = "ECC_SECG_P256K1",
    state: str = "Enabled",
    aliases: Mapping[str, str] | None = None,
    spki: bytes = SPKI,
    sign: Any = None,
) -> Any:
    """Return KMS with the key, and with aliases, each leading to an ARN."""
    leads = {ALIAS: KEY} if aliases is None else aliases

    def describe_key(**asked: Any) -> Any:
        name = asked["KeyId"]
        arn = name if name in (KEY, OTHER_KEY) else leads.get(name)
        if arn is None:
            raise refused("NotFoundException", operation="DescribeKey")
        found = {
            "Arn": arn,
            "KeyId": arn.rpartition("/")[2],
            "KeySpec": spec,
            "KeyUsage": "SIGN_VERIFY",
            "KeyState": state,
            "CreationDate": None,
        }
        return {"KeyMetadata": found}

    client = service(
        describe_key=describe_key,
        get_paginator=paging({"Aliases": []}),
        get_public_key={
            "KeyId": KEY,
            "PublicKey": spki,
            "KeySpec": spec,
            "KeyUsage": "SIGN_VERIFY",
        },
        sign=sign or refused("DryRunOperationException", operation="Sign"),
    )
    client.meta = SimpleNamespace(region_name=REGION)
    return client


def told(checks: Iterable[Check]) -> dict[str, str]:
    """Return what was found: the status of each check by its name."""
    return {check.name: check.status for check in checks}


def only(checks: Iterable[Check]) -> Check:
    """Return the one check there is."""
    [check] = checks
    return check


def planned(**changes: Any) -> StackPlan:
    return replace(StackPlan(), **changes)
