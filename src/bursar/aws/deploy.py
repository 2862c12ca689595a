"""Deploy the signing function and its API, look at them, remove them.

`prepare` builds the zip, uploads it and makes a change set; `finish` executes it. Between the two a person can
look at the changes. Every step can be repeated: an interrupted deployment is simply run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bursar.aws import artifacts, stacks
from bursar.aws.bundle import Bundle, build_bundle
from bursar.aws.cloud import Cloud, api_url, aws_errors
from bursar.aws.stacks import Preview, Stack, StackEvent
from bursar.aws.template import CODE_BUCKET, CODE_HASH, CODE_KEY, StackPlan, template_text
from bursar.aws.wheels import Target, fetch_wheels, host_target
from bursar.chains import evm
from bursar.errors import AwsAccessDenied, ConfigError, KmsKeyNotFound, StackError
from bursar.kms.keys import KeyDescription, Keys

DELETION_DAYS = 30

Tell = Callable[[StackEvent], None]


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """What to deploy and where. `key` names an existing key to use; else `alias` is used, or made.

    `wheels` is a directory to take the function's packages from, `bucket` an S3 bucket to put its zip in.
    """

    stack: str
    target: Target
    alias: str = "alias/bursar-treasury"
    key: str | None = None
    stage: str = "prod"
    blind_signing: bool = False
    wheels: Path | None = None
    bucket: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A deployment that is ready: its plan, its code, and what it would change. Nothing has changed yet."""

    plan: StackPlan
    bundle: Bundle
    preview: Preview


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed signer. `address` is None where the caller may not read the public key."""

    stack: str
    status: str
    outputs: dict[str, str]
    url: str
    address: str | None
    code_is_ours: bool | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """What `destroy` left. `key_deleted_on` is when AWS deletes the key, None where it is kept."""

    stack: str
    key_arn: str | None
    key_deleted_on: datetime | None


def prepare(cloud: Cloud, request: DeployRequest) -> Prepared:
    """Build and upload the function's code and make the change set. The stack itself is not touched.

    It costs the permissions of `artifacts.upload`, `kms:DescribeKey`, `kms:ListAliases`, for an existing key
    `kms:GetPublicKey`, and `cloudformation:DescribeStacks`, `ListStackResources`, `CreateChangeSet`,
    `DescribeChangeSet`.

    Raises:
        ConfigError: the key cannot sign, or a setting is wrong.
        StackError: the stack cannot be updated as it is.
        AwsError, KmsError: AWS refused or could not be reached.
    """
    stack = stacks.settle(cloud, request.stack)
    if stack is not None:
        stacks.require_updatable(stack)
    plan = plan_stack(cloud, request, stack)
    target = Target(plan.runtime, plan.architecture, host=cloud.emulated)
    bundle = build_bundle(fetch_wheels(target, find_links=request.wheels))
    artifact = artifacts.upload(cloud, bundle, request.stack, request.bucket)
    parameters = {
        CODE_BUCKET: artifact.bucket,
        CODE_KEY: artifact.key,
        CODE_HASH: artifact.code_sha256,
    }
    preview = stacks.preview(cloud, request.stack, template_text(plan), parameters)
    return Prepared(plan, bundle, preview)


def finish(cloud: Cloud, prepared: Prepared, tell: Tell) -> Deployment:
    """Execute what was prepared and return the deployed signer. Without changes there is nothing to execute.

    Raises:
        StackError: it failed and was rolled back; the message is the first cause.
        AwsError: AWS refused or could not be reached.
    """
    if prepared.preview.changes:
        stack: Stack | None = stacks.apply(cloud, prepared.preview, tell)
    else:
        stack = stacks.find_stack(cloud, prepared.preview.stack)
    return _deployment(cloud, _required(stack, prepared.preview.stack))


def status(cloud: Cloud, stack: str) -> Deployment:
    """Return a deployed signer, and whether its function still runs the code that was deployed.

    It costs `cloudformation:DescribeStacks`, `lambda:GetFunctionConfiguration` and `kms:GetPublicKey`.

    Raises:
        StackError: there is no such stack.
        AwsError: AWS refused or could not be reached.
    """
    return _deployment(cloud, _required(stacks.find_stack(cloud, stack), stack), compare=True)


def destroy(cloud: Cloud, stack: str, tell: Tell, *, delete_key: str | None = None) -> Removal:
    """Delete a stack and the code it was deployed from. The key stays, and so do its alias and address.

    With `delete_key`, which must be the key's own alias, the alias goes at once and the key after 30 days.

    Raises:
        ConfigError: `delete_key` is not the alias of this stack's key; nothing was deleted.
        StackError: there is no such stack, or it could not be deleted; the message is the first cause.
        AwsError: AWS refused or could not be reached.
    """
    found = _required(stacks.settle(cloud, stack), stack)
    key_arn = found.outputs.get("KeyArn")
    if delete_key is not None:
        key_arn = _confirmed_key(cloud, delete_key, found)
    stacks.delete(cloud, stack, tell)
    artifacts.remove(cloud, stack, found.parameters.get(CODE_BUCKET))
    deleted_on = _delete_key(cloud, delete_key, key_arn) if delete_key and key_arn else None
    return Removal(stack, key_arn, deleted_on)


def plan_stack(cloud: Cloud, request: DeployRequest, stack: Stack | None) -> StackPlan:
    """Return the plan of a request: which key it uses, and what it runs on.

    A key that is named, or that the alias leads to already, is used; a stack keeps the key it has.
    """
    target = host_target() if cloud.emulated else request.target
    key = _existing_key(cloud, request, stack)
    alias = request.alias
    if key is not None and alias not in key.aliases:
        alias = next(iter(key.aliases), "")
    return StackPlan(
        stage=request.stage,
        key_alias=alias,
        key_arn=key.key_arn if key else None,
        signer_address=_address(cloud, key.key_arn) if key else None,
        blind_signing=request.blind_signing,
        runtime=target.runtime,
        architecture=target.architecture,
    )


def _existing_key(
    cloud: Cloud, request: DeployRequest, stack: Stack | None
) -> KeyDescription | None:
    keys = Keys(cloud.kms)
    if request.key is not None:
        return _usable(keys.describe(request.key))
    if stack is not None and "KeyArn" in stack.outputs:
        makes_it = "SigningKey" in stacks.resource_ids(cloud, stack.name)
        return None if makes_it else _usable(keys.describe(stack.outputs["KeyArn"]))
    try:
        return _usable(keys.describe(request.alias))
    except KmsKeyNotFound:
        return None


def _usable(key: KeyDescription) -> KeyDescription:
    if not key.can_sign:
        raise ConfigError(
            f"{key.key_arn} cannot sign for an EVM account: "
            f"it is {key.key_spec} for {key.key_usage}, {key.state}",
            hint="name another key with --key, or another alias with --alias",
        )
    return key


def _address(cloud: Cloud, key_arn: str) -> str:
    return evm.parse_spki_der(Keys(cloud.kms).public_key(key_arn).spki_der).address


def _deployment(cloud: Cloud, stack: Stack, *, compare: bool = False) -> Deployment:
    outputs = dict(stack.outputs)
    if "ApiId" not in outputs:
        raise StackError(
            f"the stack {stack.name} is {stack.status} and has no signing API",
            hint="is that stack's name right? `bursar aws deploy` makes one",
        )
    url = outputs["ApiUrl"] = api_url(outputs, cloud.endpoint)
    try:
        address = _address(cloud, outputs["KeyArn"])
    except AwsAccessDenied:
        address = None
    ours = _runs(cloud, outputs) if compare else None
    return Deployment(stack.name, stack.status, outputs, url, address, ours)


def _runs(cloud: Cloud, outputs: dict[str, str]) -> bool:
    with aws_errors():
        found = cloud.functions.get_function_configuration(FunctionName=outputs["FunctionName"])
    return found["CodeSha256"] == outputs["CodeSha256"]


def _required(stack: Stack | None, name: str) -> Stack:
    if stack is None:
        raise StackError(
            f"there is no stack {name}", hint="make it with `bursar aws deploy`, or give --stack"
        )
    return stack


def _confirmed_key(cloud: Cloud, alias: str, stack: Stack) -> str:
    expected = stack.outputs.get("KeyArn")
    key = Keys(cloud.kms).describe(alias)
    if not alias.startswith("alias/") or key.key_arn != expected:
        raise ConfigError(
            f"{alias} is not the alias of this stack's key", hint="`bursar aws status` shows it"
        )
    return key.key_arn


def _delete_key(cloud: Cloud, alias: str, key_arn: str) -> datetime:
    with aws_errors():
        cloud.kms.delete_alias(AliasName=alias)
        answer = cloud.kms.schedule_key_deletion(KeyId=key_arn, PendingWindowInDays=DELETION_DAYS)
    return answer["DeletionDate"]
