"""What is looked at before a deployment, so that it does not fail after minutes, or harm what is there already."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bursar.aws import stacks
from bursar.aws.cloud import Cloud, aws_errors
from bursar.aws.plan import StackPlan
from bursar.aws.stacks import STACK_TAG, Stack
from bursar.errors import AwsAccessDenied, ConfigError

# Lambda keeps this much of an account's concurrency for functions that reserve none.
_UNRESERVED = 100


def fitted(cloud: Cloud, plan: StackPlan, stack: Stack | None, name: str) -> StackPlan:
    """Return a plan with what this account and Region ask for, having looked whether they have room for it.

    It costs `apigateway:GET` on the account's settings where access logs are on, `lambda:GetAccountSettings` and
    `lambda:GetFunctionConcurrency`.

    Raises:
        ConfigError: the account has not the concurrency that would be reserved.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    if plan.compute != "lambda":
        return plan
    _require_concurrency(cloud, plan, name)
    if not plan.api.access_logs:
        return plan
    makes_it = stack is not None and "ApiLogging" in stacks.resource_ids(cloud, stack.name)
    api = replace(plan.api, logs_for_region=makes_it or not _gateway_logs(cloud))
    return replace(plan, api=api)


def require_own_key(cloud: Cloud, key_arn: str, alias: str, stack: str) -> None:
    """Refuse a key that an alias led to and that another stack made. It costs `kms:ListResourceTags`.

    Raises:
        ConfigError: it bears another stack's name.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    with aws_errors():
        pages = cloud.kms.get_paginator("list_resource_tags").paginate(KeyId=key_arn)
        tags = {each["TagKey"]: each["TagValue"] for page in pages for each in page["Tags"]}
    owner = tags.get(STACK_TAG, stack)
    if owner != stack:
        raise ConfigError(
            f"{alias} is the key of the stack {owner}, and its policy lets only that stack sign",
            hint=f"give this stack an alias of its own with --alias, or deploy with --stack {owner}",
        )


def _gateway_logs(cloud: Cloud) -> bool:
    with aws_errors():
        found: Any = cloud.client("apigateway").get_account()
    return bool(found.get("cloudwatchRoleArn"))


def _require_concurrency(cloud: Cloud, plan: StackPlan, name: str) -> None:
    wanted = plan.function.reserved_concurrency
    if wanted is None:
        return
    try:
        with aws_errors():
            limits: Any = cloud.functions.get_account_settings()["AccountLimit"]
            held = _held(cloud, f"{name}-signer")
    except AwsAccessDenied:
        return  # CloudFormation finds out, only later
    left = limits["UnreservedConcurrentExecutions"] + held - wanted
    if left < _UNRESERVED:
        raise ConfigError(
            f"Lambda has {limits['ConcurrentExecutions']} concurrent executions for this account, "
            f"and reserving {wanted} would leave {left} to its other functions; AWS keeps {_UNRESERVED}",
            hint="ask AWS for more (quota L-B99A9384), or set function.reserved_concurrency = 0 in bursar.toml "
            "to reserve none",
        )


def _held(cloud: Cloud, function: str) -> int:
    from botocore.exceptions import ClientError

    try:
        found = cloud.functions.get_function_concurrency(FunctionName=function)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return 0
        raise
    return found.get("ReservedConcurrentExecutions", 0)
