"""Ask AWS for the documents that decide who can sign. Nothing is changed, and no secret is read.

It costs `cloudformation:DescribeStacks` and `GetTemplate`, `kms:GetKeyPolicy` and `ListGrants`,
`iam:GetAccountAuthorizationDetails`, `GetPolicy` and `GetPolicyVersion`, `lambda:GetPolicy`, `apigateway:GET`,
`cloudtrail:DescribeTrails` and `sts:GetCallerIdentity`, and where there is a policy `dynamodb:GetResourcePolicy`.
Whatever of these is missing becomes a gap in the snapshot; only the first is indispensable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from bursar.aws import stacks
from bursar.aws.access.documents import UnreadablePolicy, read_document
from bursar.aws.access.entities import document, entities_in, managed_in
from bursar.aws.access.snapshot import Entity, Gap, Grant, Json, Snapshot
from bursar.aws.cloud import Cloud, aws_errors, error_code
from bursar.aws.stacks import Stack
from bursar.errors import AwsAccessDenied, AwsError

T = TypeVar("T")

_ABSENT = {
    "ResourceNotFoundException",
    "NotFoundException",
    "NoSuchEntity",
    "NoSuchEntityException",
    "PolicyNotFoundException",
}


@dataclass
class _Looking:
    """One look around. What may not be looked at is noted, and the rest goes on."""

    cloud: Cloud
    outputs: Mapping[str, str]
    gaps: list[Gap] = field(default_factory=list)

    def at(self, what: str, permission: str, ask: Callable[[], T], otherwise: T) -> T:
        """Return what AWS answers; `otherwise` where there is none of it, or where it may not be looked at."""
        try:
            with aws_errors():
                return _or_absent(ask, otherwise)
        except UnreadablePolicy:
            self.gaps.append(Gap(what, "a policy document that can be read"))
        except AwsAccessDenied:
            self.gaps.append(Gap(what, permission))
        except AwsError as error:
            self.gaps.append(Gap(f"{what} ({error.message})", permission))
        return otherwise

    def required(self, what: str, permission: str, ask: Callable[[], T | None]) -> T | None:
        """Return what AWS answers; that there is none of it is noted too."""
        before = len(self.gaps)
        found = self.at(what, permission, ask, None)
        if found is None and len(self.gaps) == before:
            self.gaps.append(Gap(f"{what}, of which there is none", permission))
        return found


def gather(cloud: Cloud, name: str) -> Snapshot:
    """Return a snapshot of what decides who can sign with a stack's key.

    Raises:
        StackError: there is no such stack.
        AwsError: AWS could not be reached, or does not let the caller look at the stack.
    """
    stack = stacks.required(stacks.find_stack(cloud, name), name)
    look = _Looking(cloud, stack.outputs)
    with aws_errors():
        caller = cloud.client("sts").get_caller_identity()
    entities, managed = _iam(look)
    wanted = {arn for each in entities for arn in (*each.attached, each.boundary) if arn}
    managed = {**managed, **_missing_policies(look, sorted(wanted - set(managed)))}
    return Snapshot(
        taken=datetime.now(UTC).isoformat(timespec="seconds"),
        caller=caller["Arn"],
        account=caller["Account"],
        region=cloud.region,
        partition=cloud.partition,
        stack=stack.name,
        stack_id=stack.id,
        outputs=dict(stack.outputs),
        entities=entities,
        managed=managed,
        **_key(look, stack),
        **_doors(look),
        trails=_trails(look),
        ledger_policy=_ledger_policy(look),
        gaps=tuple(look.gaps),
    )


def _key(look: _Looking, stack: Stack) -> dict[str, Any]:
    key = look.outputs.get("KeyArn")
    if key is None:
        look.gaps.append(Gap("the key", "a stack with the output KeyArn"))
        return {}
    return {
        "key_policy": look.required(
            "the key policy", "kms:GetKeyPolicy", lambda: _key_policy(look)
        ),
        "grants": look.required("the grants of the key", "kms:ListGrants", lambda: _grants(look))
        or (),
        "template_key_policy": look.at(
            "the key policy in the stack's template",
            "cloudformation:GetTemplate",
            lambda: _template_key_policy(look.cloud, stack),
            None,
        ),
    }


def _key_policy(look: _Looking) -> Json | None:
    found = look.cloud.kms.get_key_policy(KeyId=look.outputs["KeyArn"], PolicyName="default")
    return read_document(found["Policy"])


def _grants(look: _Looking) -> tuple[Grant, ...]:
    pages = look.cloud.kms.get_paginator("list_grants").paginate(KeyId=look.outputs["KeyArn"])
    raw: Iterator[Any] = (each for page in pages for each in page["Grants"])
    return tuple(
        Grant(
            each["GrantId"],
            each.get("GranteePrincipal") or each.get("GranteeServicePrincipal", ""),
            tuple(each.get("Operations", ())),
            each.get("Name", ""),
        )
        for each in raw
    )


def _template_key_policy(cloud: Cloud, stack: Stack) -> Json | None:
    found: Any = cloud.cloudformation.get_template(StackName=stack.id, TemplateStage="Original")
    template = found["TemplateBody"]
    # boto3 has read JSON already. What is left as text is YAML, so no template of ours, and says nothing.
    resources = template.get("Resources", {}) if isinstance(template, Mapping) else {}
    policy = resources.get("SigningKey", {}).get("Properties", {}).get("KeyPolicy")
    return policy if isinstance(policy, Mapping) else None


def _doors(look: _Looking) -> dict[str, Any]:
    function, api = look.outputs.get("FunctionArn"), look.outputs.get("ApiId")
    found: dict[str, Any] = {}
    if function:
        alias = look.outputs.get("FunctionAliasArn")
        found["function_policies"] = {
            arn: policy for arn in (function, alias) if arn and (policy := _function(look, arn))
        }
    if api:
        found["api_policy"] = look.at(
            "the resource policy of the API", "apigateway:GET", lambda: _api_policy(look, api), None
        )
        methods = look.required(
            "the methods of the API", "apigateway:GET", lambda: _methods(look, api)
        )
        found["methods"] = methods or {}
    return found


def _function(look: _Looking, arn: str) -> Json | None:
    def ask() -> Json | None:
        return read_document(look.cloud.functions.get_policy(FunctionName=arn)["Policy"])

    return look.at(f"the resource policy of {arn}", "lambda:GetPolicy", ask, None)


def _api_policy(look: _Looking, api: str) -> Json | None:
    text = look.cloud.client("apigateway").get_rest_api(restApiId=api).get("policy")
    return read_document(text) if text else None


def _methods(look: _Looking, api: str) -> dict[str, str]:
    paginator = look.cloud.client("apigateway").get_paginator("get_resources")
    pages = paginator.paginate(restApiId=api, embed=["methods"])
    return {
        f"{verb} {resource['path']}": method.get("authorizationType", "NONE")
        for page in pages
        for resource in page["items"]
        for verb, method in resource.get("resourceMethods", {}).items()
    }


def _trails(look: _Looking) -> tuple[str, ...]:
    if named := look.outputs.get("TrailArn"):
        return (named,)

    def ask() -> tuple[str, ...]:
        found = look.cloud.client("cloudtrail").describe_trails()["trailList"]
        return tuple(each["TrailARN"] for each in found)

    return look.at("the trails of CloudTrail", "cloudtrail:DescribeTrails", ask, ())


def _ledger_policy(look: _Looking) -> Json | None:
    table, cloud = look.outputs.get("LedgerTable"), look.cloud
    if table is None:
        return None
    arn = f"arn:{cloud.partition}:dynamodb:{cloud.region}:{cloud.account}:table/{table}"

    def ask() -> Json | None:
        return read_document(
            cloud.client("dynamodb").get_resource_policy(ResourceArn=arn)["Policy"]
        )

    return look.at("the resource policy of the table", "dynamodb:GetResourcePolicy", ask, None)


def _iam(look: _Looking) -> tuple[tuple[Entity, ...], dict[str, Json]]:
    def ask() -> tuple[tuple[Entity, ...], dict[str, Json]]:
        paginator = look.cloud.client("iam").get_paginator("get_account_authorization_details")
        pages = list(paginator.paginate())
        return entities_in(pages), managed_in(pages)

    found = look.required(
        "IAM: users, groups, roles and their policies", "iam:GetAccountAuthorizationDetails", ask
    )
    return found or ((), {})


def _missing_policies(look: _Looking, arns: list[str]) -> dict[str, Json]:
    """Look up managed policies that the account's details left out."""
    iam = look.cloud.client("iam")

    def ask(arn: str) -> Json | None:
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
        return document(found["Document"])

    found = {}
    for arn in arns:
        what = f"the managed policy {arn}"
        needs = "iam:GetPolicy and iam:GetPolicyVersion"
        policy = look.required(what, needs, partial(ask, arn))
        if policy is not None:
            found[arn] = policy
    return found


def _or_absent(ask: Callable[[], T], otherwise: T) -> T:
    from botocore.exceptions import ClientError

    try:
        return ask()
    except ClientError as error:
        if error_code(error) in _ABSENT:
            return otherwise
        raise
