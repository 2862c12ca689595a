"""The CloudFormation template: one signing key, one function, one API in front of it, and who may do what. Pure.

Everything is named in terms of the stack, and every ARN is built from the partition, Region and account it is
deployed in. Sources: the CloudFormation resource reference; the API Gateway developer guide, "How API Gateway
resource policies affect authorization workflow", "AWS condition keys that can be used in API Gateway resource
policies" and "API Gateway resource policy examples" (`execute-api:/stage/METHOD/path`); the KMS developer guide,
"Default key policy".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bursar.aws.environment import ALLOWED, BLIND_SIGNING, HANDLER, KEY, REFUSED, SIGNER_ADDRESS

Json = dict[str, Any]

CODE_BUCKET = "CodeBucket"
CODE_KEY = "CodeKey"
CODE_HASH = "CodeSha256"


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What to deploy. Times in seconds, memory in MiB, retention in days.

    `key_arn` is an existing key to use; without it the stack creates one under `key_alias`. `key_conditions` are
    IAM conditions put on the role's use of the key.
    """

    stage: str = "prod"
    key_alias: str = "alias/bursar-treasury"
    key_arn: str | None = None
    signer_address: str | None = None
    blind_signing: bool = False
    runtime: str = "python3.13"
    architecture: str = "arm64"
    memory: int = 256
    timeout: int = 15
    reserved_concurrency: int | None = None
    log_retention: int = 365
    key_conditions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def build_template(plan: StackPlan) -> Json:
    """Return the template of a plan, as plain dictionaries and lists."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "bursar: a treasury's KMS key, the function that signs with it, an API for IAM callers",
        "Parameters": _parameters(),
        "Resources": {**_key(plan), **_function(plan), **_api(plan), **_permissions(plan)},
        "Outputs": _outputs(plan),
    }


def template_text(plan: StackPlan) -> str:
    """Return the template of a plan as JSON text, which CloudFormation takes as it takes YAML."""
    return json.dumps(build_template(plan), indent=2) + "\n"


def blind_signing(*, allowed: bool) -> str:
    """Return the switch as the stack's output `BlindSigning` says it."""
    return ALLOWED if allowed else REFUSED


def _parameters() -> Json:
    return {
        CODE_BUCKET: {"Type": "String", "Description": "S3 bucket with the function's zip"},
        CODE_KEY: {"Type": "String", "Description": "S3 key of the function's zip"},
        CODE_HASH: {"Type": "String", "Description": "SHA-256 of that zip, base64"},
    }


def _key(plan: StackPlan) -> Json:
    if plan.key_arn:
        return {}
    # A key outlives its stack, but not a creation that failed: that one never signed anything.
    retained = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
    key = {
        "Type": "AWS::KMS::Key",
        **retained,
        "Properties": {
            "Description": {"Fn::Sub": "Signing key of the treasury, stack ${AWS::StackName}"},
            "KeySpec": "ECC_SECG_P256K1",
            "KeyUsage": "SIGN_VERIFY",
            "PendingWindowInDays": 30,
            "KeyPolicy": _key_policy(),
            "Tags": _tags(),
        },
    }
    # The alias stays with the key, so that a stack made again finds the same key and so the same address.
    alias = {
        "Type": "AWS::KMS::Alias",
        **retained,
        "Properties": {"AliasName": plan.key_alias, "TargetKeyId": {"Ref": "SigningKey"}},
    }
    return {"SigningKey": key, "SigningKeyAlias": alias}


def _key_policy() -> Json:
    # AWS's default key policy and nothing wider: access is then decided by IAM policies alone.
    return _policy(
        {
            "Sid": "LetIamPoliciesDecide",
            "Effect": "Allow",
            "Principal": {"AWS": _account_root()},
            "Action": "kms:*",
            "Resource": "*",
        }
    )


def _function(plan: StackPlan) -> Json:
    properties: Json = {
        "FunctionName": _function_name(),
        "Description": "Signs for the treasury with its KMS key",
        "Runtime": plan.runtime,
        "Architectures": [plan.architecture],
        "Handler": HANDLER,
        "Code": {"S3Bucket": {"Ref": CODE_BUCKET}, "S3Key": {"Ref": CODE_KEY}},
        "Role": _arn("FunctionRole"),
        "MemorySize": plan.memory,
        "Timeout": plan.timeout,
        "Environment": {"Variables": _environment(plan)},
        "LoggingConfig": {"LogGroup": {"Ref": "FunctionLog"}},
        "Tags": _tags(),
    }
    if plan.reserved_concurrency is not None:
        properties["ReservedConcurrentExecutions"] = plan.reserved_concurrency
    log = {
        "LogGroupName": {"Fn::Sub": "/aws/lambda/${AWS::StackName}-signer"},
        "RetentionInDays": plan.log_retention,
        "Tags": _tags(),
    }
    return {
        "FunctionLog": {
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Retain",
            "Properties": log,
        },
        "FunctionRole": {"Type": "AWS::IAM::Role", "Properties": _role(plan)},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": properties},
    }


def _environment(plan: StackPlan) -> Json:
    variables: Json = {KEY: _key_arn(plan)}
    if plan.blind_signing:
        variables[BLIND_SIGNING] = ALLOWED
    if plan.signer_address:
        variables[SIGNER_ADDRESS] = plan.signer_address
    return variables


def _role(plan: StackPlan) -> Json:
    sign: Json = {
        "Sid": "SignWithTheOneKey",
        "Effect": "Allow",
        "Action": ["kms:GetPublicKey", "kms:Sign"],
        "Resource": _key_arn(plan),
    }
    if plan.key_conditions:
        sign["Condition"] = {test: dict(keys) for test, keys in plan.key_conditions.items()}
    log = {
        "Sid": "WriteItsOwnLog",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": _arn("FunctionLog"),
    }
    assume = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    return {
        "Description": "Lets the signing function use one KMS key and write its own log",
        "AssumeRolePolicyDocument": _policy(assume),
        "Policies": [{"PolicyName": "sign", "PolicyDocument": _policy(sign, log)}],
        "Tags": _tags(),
    }


def _api(plan: StackPlan) -> Json:
    api = {
        "Name": {"Fn::Sub": "${AWS::StackName}-signer"},
        "Description": "POST / signs for the treasury; callers are authorised by IAM",
        "EndpointConfiguration": {"Types": ["REGIONAL"]},
        "Policy": _api_policy(),
        "Tags": _tags(),
    }
    method = _method()
    # A deployment is a snapshot: API Gateway serves a changed method or resource policy only from a new one.
    deployment = f"Deployment{_fingerprint(api, method)}"
    stage = {
        "RestApiId": {"Ref": "Api"},
        "DeploymentId": {"Ref": deployment},
        "StageName": plan.stage,
        "Tags": _tags(),
    }
    return {
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": api},
        "PostMethod": {"Type": "AWS::ApiGateway::Method", "Properties": method},
        deployment: {
            "Type": "AWS::ApiGateway::Deployment",
            "DependsOn": "PostMethod",
            "Properties": {"RestApiId": {"Ref": "Api"}},
        },
        "Stage": {"Type": "AWS::ApiGateway::Stage", "Properties": stage},
    }


def _method() -> Json:
    invocation = (
        "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path"
        "/2015-03-31/functions/${Function.Arn}/invocations"
    )
    return {
        "RestApiId": {"Ref": "Api"},
        "ResourceId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
        "HttpMethod": "POST",
        "AuthorizationType": "AWS_IAM",
        "Integration": {
            "Type": "AWS_PROXY",
            "IntegrationHttpMethod": "POST",
            "Uri": {"Fn::Sub": invocation},
        },
    }


def _api_policy() -> Json:
    # It allows nobody: within one account API Gateway takes an allow from either side, and it shall be the IAM
    # policy of the caller that allows. API Gateway writes the API's own ARN before the slash; the template cannot,
    # since a resource may not refer to itself.
    return _policy(
        {
            "Sid": "NoOtherAccount",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "execute-api:Invoke",
            "Resource": "execute-api:/*",
            "Condition": {"StringNotEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}},
        }
    )


def _permissions(plan: StackPlan) -> Json:
    source = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}"
    door = {"Fn::Sub": f"{source}/{plan.stage}/POST/"}
    permission = {
        "Action": "lambda:InvokeFunction",
        "FunctionName": _arn("Function"),
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": door,
    }
    invoke = {
        "Sid": "AskForSignatures",
        "Effect": "Allow",
        "Action": "execute-api:Invoke",
        "Resource": door,
    }
    return {
        "ApiPermission": {"Type": "AWS::Lambda::Permission", "Properties": permission},
        "InvokePolicy": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "Description": "Lets its bearer ask the treasury's signing API for signatures",
                "PolicyDocument": _policy(invoke),
            },
        },
    }


def _outputs(plan: StackPlan) -> Json:
    url = "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"
    values: dict[str, tuple[str, Any]] = {
        "KeyArn": ("The signing key", _key_arn(plan)),
        "KeyAlias": ("Its alias", plan.key_alias),
        "FunctionName": ("The signing function", {"Ref": "Function"}),
        "FunctionArn": ("The signing function", _arn("Function")),
        "RoleArn": ("What the function runs as", _arn("FunctionRole")),
        "ApiId": ("The signing API", {"Ref": "Api"}),
        "Stage": ("The API's stage", plan.stage),
        "ApiUrl": ("Where to POST signing requests", {"Fn::Sub": f"{url}/{plan.stage}/"}),
        "InvokePolicyArn": ("Attach it to those who may ask", {"Ref": "InvokePolicy"}),
        "CodeSha256": ("The function's code", {"Ref": CODE_HASH}),
        "Runtime": ("What the function runs on", plan.runtime),
        "SignerAddress": ("The only address it signs for, where pinned", plan.signer_address),
        "BlindSigning": ("Are bare hashes signed?", blind_signing(allowed=plan.blind_signing)),
    }
    return {
        name: {"Description": text, "Value": value}
        for name, (text, value) in values.items()
        if value  # a key of one's own may have no alias; only its address is known beforehand
    }


def _key_arn(plan: StackPlan) -> Any:
    return plan.key_arn or _arn("SigningKey")


def _function_name() -> Json:
    return {"Fn::Sub": "${AWS::StackName}-signer"}


def _arn(resource: str) -> Json:
    return {"Fn::GetAtt": [resource, "Arn"]}


def _account_root() -> Json:
    return {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}


def _policy(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _tags() -> list[Json]:
    return [{"Key": "bursar:stack", "Value": {"Ref": "AWS::StackName"}}]


def _fingerprint(*parts: Json) -> str:
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
