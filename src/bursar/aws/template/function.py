"""What signs: the role that may, and the function with its log, published version and alias. Pure.

Callers reach the alias `live`, never the function's latest state: a version is frozen, code and settings, so
what a reviewer saw deployed is what runs, and a deployment that fails goes back to the version before.
Sources: the Lambda developer guide, "Manage Lambda function versions", "Create an alias for a Lambda function",
"Managing permissions in AWS Lambda" and "Using source function ARN to control function access behavior"; the X-Ray
developer guide, "How AWS X-Ray works with IAM".
"""

from __future__ import annotations

from typing import Any

from bursar.aws.environment import (
    ALLOWED,
    BLIND_SIGNING,
    HANDLER,
    KEY,
    LEDGER_TABLE,
    POLICY_HASH,
    SIGNER_ADDRESS,
)
from bursar.aws.plan import StackPlan
from bursar.aws.template import ledger, network
from bursar.aws.template.documents import (
    Json,
    arn,
    fingerprint,
    function_arn,
    policy,
    ref,
    sub,
    tags,
)
from bursar.aws.template.key import key_arn, role_name, signing_conditions
from bursar.aws.template.records import KEPT, records_key_arn

ALIAS = "live"
CODE_BUCKET = "CodeBucket"
CODE_KEY = "CodeKey"
CODE_HASH = "CodeSha256"
POLICY_METADATA = "Policy"

_TRUSTED: dict[str, Any] = {
    "lambda": "lambda.amazonaws.com",
    "ecs": "ecs-tasks.amazonaws.com",
    "ec2": sub("ec2.${AWS::URLSuffix}"),  # alone among these it goes by another name in China
}


def resources(plan: StackPlan) -> dict[str, Json]:
    """Return the role with its policy and log, and the function, its version and alias, or an instance profile."""
    found = {"FunctionLog": _log(plan), "FunctionRole": _role(plan)}
    found["FunctionRolePolicy"] = {
        "Type": "AWS::IAM::Policy",
        "Properties": {
            "PolicyName": "sign",
            "PolicyDocument": role_policy(plan),
            "Roles": [ref("FunctionRole")],
        },
    }
    if plan.compute == "lambda":
        return found | _function(plan)
    if plan.compute == "ec2":
        found["InstanceProfile"] = {
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"Roles": [ref("FunctionRole")]},
        }
    return found


def parameters(plan: StackPlan) -> Json:
    """Return the template's parameters: where the function's zip is."""
    if plan.compute != "lambda":
        return {}
    return {
        CODE_BUCKET: {"Type": "String", "Description": "S3 bucket with the function's zip"},
        CODE_KEY: {"Type": "String", "Description": "S3 key of the function's zip"},
        CODE_HASH: {"Type": "String", "Description": "SHA-256 of that zip, base64"},
    }


def version_id(plan: StackPlan) -> str:
    """Return the logical id of the function's version, a new one whenever what a version freezes is new.

    CloudFormation publishes a version once and never again. What a version does not hold, the reserved
    concurrency and the tags, must not make a new one: Lambda refuses to publish the same twice.
    """
    frozen = _versioned(plan)
    # A security group that is made anew is another one, though the template still calls it by its name.
    where = [plan.network.vpc, *plan.network.subnets] if plan.network else None
    return f"FunctionVersion{fingerprint(frozen, plan.code_sha256, where)}"


def role_policy(plan: StackPlan) -> Json:
    """Return what the role may do: sign with one key, read its public key, write one log, add to one table.

    It signs in the function alone: who may pass the role to another one gains nothing by it.
    """
    return policy(
        {
            "Sid": "SignWithTheOneKey",
            "Effect": "Allow",
            "Action": "kms:Sign",
            "Resource": key_arn(plan),
            "Condition": signing_conditions(plan),
        },
        {
            "Sid": "ReadItsPublicKey",
            "Effect": "Allow",
            "Action": "kms:GetPublicKey",
            "Resource": key_arn(plan),
        },
        {
            "Sid": "WriteItsOwnLog",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": arn("FunctionLog"),
        },
        *ledger.role_statements(plan),
        *(_only_the_function(plan) if plan.compute == "lambda" else []),
        *(_tracing() if plan.function.tracing and plan.compute == "lambda" else []),
        *(network.role_statements(plan) if plan.compute == "lambda" else []),
    )


def function_name() -> Json:
    """Return the function's name."""
    return sub("${AWS::StackName}-signer")


def _log(plan: StackPlan) -> Json:
    # It has no name of ours: it outlives its stack, and the next one would find the name taken.
    properties: Json = {
        "RetentionInDays": plan.function.log_retention,
        "Tags": tags(plan),
    }
    if key := records_key_arn(plan):
        properties["KmsKeyId"] = key
    return {
        "Type": "AWS::Logs::LogGroup",
        **KEPT,
        "Properties": properties,
    }


def _role(plan: StackPlan) -> Json:
    assume: Json = {
        "Effect": "Allow",
        "Principal": {"Service": _TRUSTED[plan.compute]},
        "Action": "sts:AssumeRole",
    }
    if plan.compute == "ecs":
        # Against the confused deputy: ECS acts for tasks of this account only.
        assume["Condition"] = {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": role_name(),
            "Description": "Lets the signer use one KMS key and write its own log",
            "AssumeRolePolicyDocument": policy(assume),
            "Tags": tags(plan),
        },
    }


def _only_the_function(plan: StackPlan) -> list[Json]:
    # Lambda puts the function's ARN into the context of the credentials that it gives the function. A session
    # from elsewhere has none, and a negated comparison holds where there is nothing to compare. Policies of
    # resources cannot ask for this key. The guide writes the ARN without a version; with one it is the same.
    own = [sub(function_arn()), sub(f"{function_arn()}:*")]
    return [
        {
            "Sid": "OnlyInTheFunction",
            "Effect": "Deny",
            "Action": ["kms:Sign", *(ledger.ACTIONS if plan.policy else ())],
            "Resource": "*",
            "Condition": {"ArnNotLike": {"lambda:SourceFunctionArn": own}},
        }
    ]


def _tracing() -> list[Json]:
    # X-Ray knows no resources for these two (Service Authorization Reference, AWS X-Ray).
    return [
        {
            "Sid": "SendTraces",
            "Effect": "Allow",
            "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
            "Resource": "*",
        }
    ]


def _function(plan: StackPlan) -> dict[str, Json]:
    properties = {**_versioned(plan), "FunctionName": function_name(), "Tags": tags(plan)}
    if plan.function.reserved_concurrency is not None:
        properties["ReservedConcurrentExecutions"] = plan.function.reserved_concurrency
    version = version_id(plan)
    alias = {
        "Description": "What callers reach",
        "FunctionName": ref("Function"),
        "FunctionVersion": {"Fn::GetAtt": [version, "Version"]},
        "Name": ALIAS,
    }
    function: Json = {"Type": "AWS::Lambda::Function"}
    if plan.policy is not None:
        # Lambda does not get it: it is for whoever reads the template or a change set, and the next deployment.
        function["Metadata"] = {POLICY_METADATA: plan.policy.text}
    return {
        "Function": {
            **function,
            # In a VPC Lambda checks at once that the role may make network interfaces.
            "DependsOn": "FunctionRolePolicy",
            "Properties": properties,
        },
        version: {
            "Type": "AWS::Lambda::Version",
            # Lambda refuses to publish any other code than was built.
            "Properties": {"FunctionName": ref("Function"), "CodeSha256": ref(CODE_HASH)},
        },
        "FunctionAlias": {"Type": "AWS::Lambda::Alias", "Properties": alias},
    }


def _versioned(plan: StackPlan) -> Json:
    function = plan.function
    properties: Json = {
        "Description": "Signs for the treasury with its KMS key",
        "Runtime": function.runtime,
        "Architectures": [function.architecture],
        "Handler": HANDLER,
        "Code": {"S3Bucket": ref(CODE_BUCKET), "S3Key": ref(CODE_KEY)},
        "Role": arn("FunctionRole"),
        "MemorySize": function.memory,
        "Timeout": function.timeout,
        "Environment": {"Variables": _environment(plan)},
        "LoggingConfig": {"LogGroup": ref("FunctionLog")},
    }
    if function.tracing:
        properties["TracingConfig"] = {"Mode": "Active"}
    if plan.network is not None:
        properties["VpcConfig"] = network.vpc_config(plan)
    return properties


def _environment(plan: StackPlan) -> dict[str, Any]:
    variables: dict[str, Any] = {KEY: key_arn(plan)}
    if plan.function.blind_signing:
        variables[BLIND_SIGNING] = ALLOWED
    if plan.function.signer_address:
        variables[SIGNER_ADDRESS] = plan.function.signer_address
    if plan.policy is not None:
        variables[POLICY_HASH] = plan.policy.hash
        variables[LEDGER_TABLE] = ledger.table_name(plan)
    return variables
