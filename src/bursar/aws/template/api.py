"""The API in front of the function: signed POSTs at its root, checked, throttled, logged. Pure.

Sources: the API Gateway developer guide, "How API Gateway resource policies affect authorization workflow", "AWS
condition keys that can be used in API Gateway resource policies", "API Gateway resource policy examples"
(`execute-api:/stage/METHOD/path`), "Gateway responses for REST APIs", "Request validation for REST APIs",
"Throttle requests to your REST APIs" and "Set up CloudWatch logging for REST APIs".
"""

from __future__ import annotations

import json
from typing import Any

from bursar.aws.plan import StackPlan
from bursar.aws.template.documents import Json, arn, fingerprint, policy, ref, sub, tags
from bursar.aws.template.network import api_endpoint_id
from bursar.aws.template.records import KEPT, records_key_arn

_CONTENT = "application/json"
_DOOR = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}"
# What the gateway itself says, in the signing contract's form: code, message, retryable, HTTP status. It answers
# INTEGRATION_FAILURE where Lambda is out of concurrency, and would call that a 504.
_LOG_ARN = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${AccessLog}"
_RESPONSES = {
    "BadBody": ("BAD_REQUEST_BODY", 400, "invalid_request", "the body is no signing request"),
    "Throttled": ("THROTTLED", 429, "signer_busy", "too many requests at a time"),
    "Busy": ("INTEGRATION_FAILURE", 429, "signer_busy", "the signer is busy"),
    "Late": ("INTEGRATION_TIMEOUT", 504, "signer_timeout", "the signer took too long"),
}
_ACCESS_LINE = {
    "event": "access",
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "caller": "$context.identity.userArn",
    "accessKey": "$context.identity.accessKey",
    "sourceIp": "$context.identity.sourceIp",
    "userAgent": "$context.identity.userAgent",
    "method": "$context.httpMethod",
    "status": "$context.status",
    "refusedWith": "$context.error.responseType",
    "milliseconds": "$context.responseLatency",
}


def door(plan: StackPlan) -> Json:
    """Return the ARN of the one method that callers may invoke."""
    return sub(f"{_DOOR}/{plan.api.stage}/POST/")


def resources(plan: StackPlan) -> dict[str, Json]:
    """Return the API with its method, checks, answers, deployment, stage and log; nothing without a function."""
    if plan.compute != "lambda":
        return {}
    fixed: dict[str, Json] = {
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": _api(plan)},
        "RequestModel": {"Type": "AWS::ApiGateway::Model", "Properties": _model()},
        "RequestCheck": {"Type": "AWS::ApiGateway::RequestValidator", "Properties": _check()},
        "PostMethod": {"Type": "AWS::ApiGateway::Method", "Properties": _method()},
        **{f"{name}Answer": _answer(*parts) for name, parts in _RESPONSES.items()},
    }
    # A deployment is a snapshot: API Gateway serves a changed method or resource policy only from a new one.
    # An endpoint that is made anew changes the policy, though the template still calls it by its name.
    deployment = f"Deployment{fingerprint(fixed, _way_in(plan))}"
    return {
        **fixed,
        deployment: {
            "Type": "AWS::ApiGateway::Deployment",
            "DependsOn": sorted(set(fixed) - {"Api"}),
            "Properties": {"RestApiId": ref("Api")},
        },
        "Stage": _stage(plan, deployment),
        "ApiPermission": {"Type": "AWS::Lambda::Permission", "Properties": _permission(plan)},
        **_access_log(plan),
    }


def api_policy(plan: StackPlan) -> Json:
    """Return the API's own policy. It allows nobody, and denies other accounts, and other networks where asked.

    Within one account API Gateway takes an allow from either side, and it shall be the IAM policy of the caller
    that allows.
    """
    # API Gateway writes the API's own ARN before the slash; a resource may not refer to itself.
    conditions: Json = {
        "NoOtherAccount": {"aws:PrincipalAccount": ref("AWS::AccountId")},
    }
    if plan.api.private:
        conditions["OnlyFromTheNetwork"] = {"aws:SourceVpce": api_endpoint_id(plan)}
    return policy(
        *(
            {
                "Sid": sid,
                "Effect": "Deny",
                "Principal": "*",
                "Action": "execute-api:Invoke",
                "Resource": "execute-api:/*",
                "Condition": {"StringNotEquals": condition},
            }
            for sid, condition in conditions.items()
        )
    )


def _way_in(plan: StackPlan) -> Any:
    network = plan.network
    return [network.vpc, *network.subnets] if network and plan.api.private else None


def _api(plan: StackPlan) -> Json:
    endpoint: Json = {"Types": ["REGIONAL"]}
    if plan.api.private:
        endpoint = {"Types": ["PRIVATE"], "VpcEndpointIds": [api_endpoint_id(plan)]}
    properties: Json = {
        "Name": sub("${AWS::StackName}-signer"),
        "Description": "POST / signs for the treasury; callers are authorised by IAM",
        "EndpointConfiguration": endpoint,
        "Policy": api_policy(plan),
        "Tags": tags(plan),
    }
    if plan.api.tls_policy:
        properties["SecurityPolicy"] = plan.api.tls_policy
    if plan.api.tls_policy.startswith("SecurityPolicy_"):  # the older ones take none
        properties["EndpointAccessMode"] = "BASIC"
    return properties


def _model() -> Json:
    # The form alone: the function says more exactly what is wrong with a value.
    text = {"type": "string", "minLength": 1}
    schema = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "title": "SigningRequest",
        "type": "object",
        "properties": {
            "kind": {"enum": ["digest", "transaction", "approval"]},
            "messageHash": {**text, "maxLength": 256},
            "signerAddress": {**text, "maxLength": 256},
            "scheme": {"enum": ["eip191", "raw"]},
            "transaction": {"type": "object"},
            "intent": {"type": "object"},
            "wallet": {**text, "maxLength": 256},
            "signer": {**text, "maxLength": 256},
            "id": {**text, "maxLength": 64},
            "accept": {"type": "array"},
            "digest": {**text, "maxLength": 256},
        },
        "anyOf": [
            {"required": ["messageHash", "signerAddress"]},
            {"required": ["transaction", "intent", "wallet", "signer"]},
            {"required": ["digest", "signer"]},
        ],
    }
    return {"RestApiId": ref("Api"), "ContentType": _CONTENT, "Schema": schema}


def _check() -> Json:
    return {"RestApiId": ref("Api"), "Name": "body", "ValidateRequestBody": True}


def _method() -> Json:
    invocation = (
        "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path"
        "/2015-03-31/functions/${FunctionAlias}/invocations"
    )
    return {
        "RestApiId": ref("Api"),
        "ResourceId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
        "HttpMethod": "POST",
        "AuthorizationType": "AWS_IAM",
        "RequestModels": {_CONTENT: ref("RequestModel")},
        "RequestValidatorId": ref("RequestCheck"),
        "Integration": {
            "Type": "AWS_PROXY",
            "IntegrationHttpMethod": "POST",
            "Uri": sub(invocation),
        },
    }


def _answer(kind: str, status: int, code: str, message: str) -> Json:
    error = {"code": code, "message": message, "retryable": status != 400}
    return {
        "Type": "AWS::ApiGateway::GatewayResponse",
        "Properties": {
            "RestApiId": ref("Api"),
            "ResponseType": kind,
            "StatusCode": str(status),
            "ResponseTemplates": {_CONTENT: json.dumps({"error": error})},
        },
    }


def _stage(plan: StackPlan, deployment: str) -> Json:
    settings = {
        "ResourcePath": "/",
        "HttpMethod": "POST",
        "ThrottlingRateLimit": plan.api.rate,
        "ThrottlingBurstLimit": plan.api.burst,
        "MetricsEnabled": True,
        # Requests hold what is to be signed; they are nobody's to read in a log.
        "DataTraceEnabled": False,
        "LoggingLevel": "OFF",
    }
    properties: Json = {
        "RestApiId": ref("Api"),
        "DeploymentId": ref(deployment),
        "StageName": plan.api.stage,
        "MethodSettings": [settings],
        "TracingEnabled": plan.function.tracing,
        "Tags": tags(plan),
    }
    stage: Json = {"Type": "AWS::ApiGateway::Stage", "Properties": properties}
    if plan.api.access_logs:
        properties["AccessLogSetting"] = {
            "DestinationArn": sub(_LOG_ARN),
            "Format": json.dumps(_ACCESS_LINE),
        }
        if plan.api.logs_for_region:
            stage["DependsOn"] = "ApiLogging"
    return stage


def _permission(plan: StackPlan) -> Json:
    return {
        "Action": "lambda:InvokeFunction",
        "FunctionName": ref("FunctionAlias"),
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": door(plan),
    }


def _access_log(plan: StackPlan) -> dict[str, Json]:
    if not plan.api.access_logs:
        return {}
    properties: dict[str, Any] = {
        "RetentionInDays": plan.function.log_retention,
        "Tags": tags(plan),
    }
    if key := records_key_arn(plan):
        properties["KmsKeyId"] = key
    log = {
        "Type": "AWS::Logs::LogGroup",
        **KEPT,
        "Properties": properties,
    }
    return {"AccessLog": log, **(_logs_for_region(plan) if plan.api.logs_for_region else {})}


def _logs_for_region(plan: StackPlan) -> dict[str, Json]:
    # One setting for all APIs of the account in this Region. It stays when the stack goes: others may use it.
    retained = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    managed = (
        "arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    )
    role = {
        "Description": "Lets API Gateway write logs, for all APIs of this Region",
        "AssumeRolePolicyDocument": policy(trust),
        "ManagedPolicyArns": [sub(managed)],
        "Tags": tags(plan),
    }
    setting = {"CloudWatchRoleArn": arn("ApiLoggingRole")}
    return {
        "ApiLoggingRole": {"Type": "AWS::IAM::Role", **retained, "Properties": role},
        "ApiLogging": {"Type": "AWS::ApiGateway::Account", **retained, "Properties": setting},
    }
