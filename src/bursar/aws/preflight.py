"""What is looked at before a deployment, so that it does not fail after minutes, or harm what is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bursar.aws import memory, stacks
from bursar.aws.adoption import key_tags
from bursar.aws.caller import Caller
from bursar.aws.cloud import Cloud, aws_errors
from bursar.aws.plan import NetworkPlan, StackPlan
from bursar.aws.stacks import STACK_TAG, Stack
from bursar.errors import AwsAccessDenied, ConfigError

# Lambda keeps this much of an account's concurrency for functions that reserve none.
_UNRESERVED = 100


def fitted(cloud: Cloud, plan: StackPlan, stack: Stack | None, name: str) -> StackPlan:
    """Return a plan with what this account and Region ask for, having looked whether they have room for it.

    It costs `apigateway:GET` on the account's settings where access logs are on, `lambda:GetAccountSettings` and
    `lambda:GetFunctionConcurrency`; with a network `ec2:DescribeVpcAttribute` and `ec2:DescribeVpcEndpoints`, and
    for a policy there `ec2:DescribeManagedPrefixLists`.

    Raises:
        ConfigError: the account has not the concurrency that would be reserved; the caller could not manage the
            key; or the VPC cannot take the endpoints.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    _require_manageable(cloud, plan)
    if plan.network is not None:
        _require_vpc(cloud, plan.network, policy=plan.policy is not None)
        plan = replace(plan, network=_with_prefix_list(cloud, plan, plan.network))
    if plan.compute != "lambda":
        return plan
    _require_concurrency(cloud, plan, name)
    if not plan.api.access_logs:
        return plan
    makes_it = stack is not None and "ApiLogging" in stacks.resource_ids(cloud, stack.name)
    api = replace(plan.api, logs_for_region=makes_it or not _gateway_logs(cloud))
    return replace(plan, api=api)


def room(limits: Mapping[str, Any], more: int) -> tuple[int, int]:
    """Return how many executions reserving `more` leaves to other functions, and how many Lambda keeps for them.

    `limits` is the `AccountLimit` of Lambda's GetAccountSettings. A small account's whole limit is below what AWS
    keeps of others. Source: the Lambda developer guide, "Understanding Lambda function scaling".
    """
    left = int(limits["UnreservedConcurrentExecutions"]) - more
    return left, min(_UNRESERVED, int(limits["ConcurrentExecutions"]))


def require_own_key(cloud: Cloud, key_arn: str, alias: str, stack: str) -> None:
    """Refuse a key that an alias led to and that this stack did not make. It costs `kms:ListResourceTags`.

    Raises:
        ConfigError: it bears another stack's name, or none.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    owner = key_tags(cloud, key_arn).get(STACK_TAG)
    if owner is None:
        # Whoever could make a key and an alias could have made the treasury theirs beforehand.
        raise ConfigError(
            f"{alias} leads to {key_arn} already, a key that no stack of this program made",
            hint=f"is it yours? then name it: --key {key_arn}; else give another alias with --alias",
        )
    if owner != stack:
        raise ConfigError(
            f"{alias} is the key of the stack {owner}, and its policy lets only that stack sign",
            hint=f"give this stack an alias of its own with --alias, or deploy with --stack {owner}",
        )


def notes(cloud: Cloud, plan: StackPlan, stack: Stack | None) -> tuple[str, ...]:
    """Return what whoever deploys this plan should know before they say yes: what it costs, others too.

    It costs `cloudtrail:DescribeTrails` where a trail is to be made; without it nothing is told of trails.
    """
    found: list[str] = []
    network = plan.network
    if network is not None and not network.kms_endpoint:
        found.append(
            f"network: in all of {network.vpc} KMS's name will lead to an endpoint that lets this signer through "
            "and nobody else; other work there that uses KMS stops (network.kms_endpoint names one you have)"
        )
    if network is not None and plan.policy is not None and network.route_tables:
        found.append(
            f"network: {', '.join(network.route_tables)} will lead to DynamoDB by an endpoint that lets this "
            "signer through and nobody else; other work there that uses DynamoDB stops"
        )
    found += memory.notes(cloud, plan, stack)
    if plan.records.trail == "create" and not plan.emulated and stack is None:
        found += _other_trails(cloud)
    return tuple(found)


def _other_trails(cloud: Cloud) -> list[str]:
    try:
        with aws_errors():
            listed: Any = cloud.client("cloudtrail").describe_trails()["trailList"]
    except AwsAccessDenied:
        return []
    names = [each["Name"] for each in listed if each.get("CloudWatchLogsLogGroupArn")]
    if not names:
        return []
    told = (
        f"trail: the account has {names[0]} already, and AWS charges for a second copy of what it records; to use "
        "it, name its log group in records.trail"
    )
    return [told]


def _require_manageable(cloud: Cloud, plan: StackPlan) -> None:
    # KMS refuses a policy under which its author could not change it again.
    key = plan.key
    if key.account_delegation or key.arn:
        return
    caller = Caller.of(cloud.caller_arn)
    if not any(caller.is_principal(arn) for arn in key.administrators):
        raise ConfigError(
            f"{caller.arn} deploys, is none of key.administrators, and without key.account_delegation KMS lets "
            "nobody else make the key",
            hint="add the role that deploys to key.administrators, or turn key.account_delegation on",
        )


def _with_prefix_list(cloud: Cloud, plan: StackPlan, network: NetworkPlan) -> NetworkPlan:
    """Return a network that knows AWS's list of DynamoDB's addresses, where its security group needs it."""
    known = network.security_group or network.dynamodb_prefix_list
    if plan.policy is None or known or cloud.emulated:
        return network
    name = f"com.amazonaws.{cloud.region}.dynamodb"
    with aws_errors():
        found: Any = cloud.client("ec2").describe_managed_prefix_lists(
            Filters=[{"Name": "prefix-list-name", "Values": [name]}]
        )
    ids = [each["PrefixListId"] for each in found["PrefixLists"]]
    return replace(network, dynamodb_prefix_list=ids[0] if ids else None)


def _require_vpc(cloud: Cloud, network: NetworkPlan, *, policy: bool) -> None:
    """Refuse a VPC in which private DNS cannot lead to the endpoints that are to be made."""
    ec2 = cloud.client("ec2")
    with aws_errors():
        for attribute, name in (
            ("enableDnsSupport", "EnableDnsSupport"),
            ("enableDnsHostnames", "EnableDnsHostnames"),
        ):
            found: Any = ec2.describe_vpc_attribute(VpcId=network.vpc, Attribute=attribute)
            if not found[name]["Value"]:
                raise ConfigError(
                    f"{network.vpc} has {attribute} off, and endpoints need it",
                    hint=f"aws ec2 modify-vpc-attribute --vpc-id {network.vpc} --{_dashed(attribute)}",
                )
        listed: Any = ec2.describe_vpc_endpoints(
            Filters=[{"Name": "vpc-id", "Values": [network.vpc]}]
        )
    for each in listed["VpcEndpoints"]:
        ours = any(tag["Key"] == STACK_TAG for tag in each.get("Tags", []))
        service = each["ServiceName"].rpartition(".")[2]
        if (
            service == "kms"
            and each.get("PrivateDnsEnabled")
            and not (ours or network.kms_endpoint)
        ):
            raise ConfigError(
                f"{network.vpc} has {each['VpcEndpointId']} for KMS already, and its name leads to one only",
                hint=f'set network.kms_endpoint = "{each["VpcEndpointId"]}" and network.security_group',
            )
        shared = set(each.get("RouteTableIds", [])) & set(network.route_tables)
        if policy and service == "dynamodb" and shared and not ours:
            raise ConfigError(
                f"{min(shared)} leads to DynamoDB by {each['VpcEndpointId']} already, and takes one such way only",
                hint=f'set network.dynamodb_endpoint = "{each["VpcEndpointId"]}" in place of network.route_tables',
            )


def _dashed(attribute: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in attribute)


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
    left, kept = room(limits, wanted - held)
    if left < kept:
        raise ConfigError(
            f"Lambda has {limits['ConcurrentExecutions']} concurrent executions for this account, "
            f"and reserving {wanted} would leave {left} to its other functions; AWS keeps {kept}",
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
