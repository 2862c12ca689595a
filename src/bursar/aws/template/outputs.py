"""What the stack gives out: names, ARNs and switches for callers, operators and the other commands. Pure."""

from __future__ import annotations

from typing import Any

from bursar.aws.environment import ALLOWED, REFUSED
from bursar.aws.metrics import NAMESPACE
from bursar.aws.plan import StackPlan
from bursar.aws.template import function, ledger
from bursar.aws.template.documents import Json, arn, ref, sub
from bursar.aws.template.key import key_arn
from bursar.aws.template.network import kms_endpoint_id
from bursar.aws.template.records import makes_trail, trail_log_group

_Outputs = dict[str, tuple[str, Any]]


def outputs(plan: StackPlan) -> Json:
    """Return the outputs of a plan's stack; those without a value are left out."""
    found = {**_key(plan), **_signer(plan), **_records(plan)}
    return {
        name: {"Description": text, "Value": value}
        for name, (text, value) in found.items()
        if value  # a key of one's own may have no alias; only its address is known beforehand
    }


def _key(plan: StackPlan) -> _Outputs:
    return {
        "KeyArn": ("The signing key", key_arn(plan)),
        "KeyAlias": ("Its alias", plan.key.alias),
        "Chain": ("The kind of chain it signs for", plan.key.chain),
        "RoleArn": ("What signs with it", arn("FunctionRole")),
        "RoleName": ("That role's name", ref("FunctionRole")),
        "LogGroup": ("The signer's log", ref("FunctionLog")),
        "SignerAddress": (
            "The only address it signs for, where pinned",
            plan.function.signer_address,
        ),
        "KmsEndpointId": (
            "The VPC endpoint that leads to KMS",
            kms_endpoint_id(plan) if plan.network else None,
        ),
    }


def _signer(plan: StackPlan) -> _Outputs:
    if plan.compute == "ec2":
        return {"InstanceProfileArn": ("For the EC2 instances that sign", arn("InstanceProfile"))}
    if plan.compute != "lambda":
        return {}
    version = function.version_id(plan)
    url = "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"
    own_group = plan.callers.group is not None and not plan.emulated
    return {
        "FunctionName": ("The signing function", ref("Function")),
        "FunctionArn": ("The signing function", arn("Function")),
        "FunctionAlias": ("Its alias that callers reach", function.ALIAS),
        "FunctionAliasArn": ("That alias", ref("FunctionAlias")),
        "FunctionVersion": (
            "The version that the alias leads to",
            {"Fn::GetAtt": [version, "Version"]},
        ),
        "CodeSha256": ("The function's code", ref(function.CODE_HASH)),
        "CodeBucket": ("Where it was deployed from", ref(function.CODE_BUCKET)),
        "CodeKey": ("Where in that bucket", ref(function.CODE_KEY)),
        "Runtime": ("What the function runs on", plan.function.runtime),
        "BlindSigning": (
            "Are bare hashes signed?",
            ALLOWED if plan.function.blind_signing else REFUSED,
        ),
        **_policy(plan),
        "ApiId": ("The signing API", ref("Api")),
        "Stage": ("The API's stage", plan.api.stage),
        "ApiUrl": ("Where to POST signing requests", sub(f"{url}/{plan.api.stage}/")),
        "ApiAccess": (
            "From where it is reached",
            "private" if plan.api.private else "public-iam",
        ),
        "AccessLogGroup": (
            "A line for each request",
            ref("AccessLog") if plan.api.access_logs else None,
        ),
        "InvokePolicyArn": ("Attach it to those who may ask", ref("InvokePolicy")),
        "Callers": (
            "The groups and roles there were that may ask",
            ",".join([*plan.callers.groups, *plan.callers.roles]),
        ),
        "CallersGroup": (
            "The group of those who may ask",
            ref("CallersGroup") if own_group else None,
        ),
    }


def _policy(plan: StackPlan) -> _Outputs:
    if plan.policy is None:
        return {}
    return {
        "PolicyHash": ("The hash of the policy it signs by", plan.policy.hash),
        "PolicyVersion": ("That policy's version", str(plan.policy.version)),
        "LedgerTable": ("The table of what was signed by it", ledger.table_name(plan)),
    }


def _records(plan: StackPlan) -> _Outputs:
    own_trail = makes_trail(plan)
    return {
        "MetricsNamespace": ("The signer's metrics", NAMESPACE),
        "Trail": (
            "The CloudTrail trail: made, none, or the log group of one there was",
            "none" if plan.emulated else plan.records.trail,
        ),
        "TrailArn": ("The trail", arn("Trail") if own_trail else None),
        "TrailLogGroup": ("Where the trail's events are searched", trail_log_group(plan)),
        "TopicArn": ("Whom the alarms tell", plan.records.topic or ref("AlarmTopic")),
        "DashboardName": ("The dashboard", ref("Dashboard") if plan.records.dashboard else None),
    }
