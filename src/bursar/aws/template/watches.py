"""What is looked for in the trail: signatures by others, and changes to the key, the signer and the records. Pure.

A filter counts the trail's events that match its pattern; an alarm goes by the count. A denied call may have
neither resources nor parameters: its message names them.
Sources: the CloudTrail user guide, "CloudTrail record contents"; the KMS developer guide, "AWS CloudTrail log
entries"; the Lambda developer guide, "Logging AWS Lambda API calls using AWS CloudTrail" (event names carry the
version of the API).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bursar.aws.plan import StackPlan
from bursar.aws.template.documents import Json
from bursar.aws.template.measures import filled, of_trail
from bursar.aws.template.patterns import (
    absent,
    all_of,
    any_of,
    call,
    fitting,
    in_braces,
    is_,
    is_not,
)
from bursar.aws.template.records import makes_trail, trail_log_group

_KEY_EVENTS = (
    "PutKeyPolicy",
    "ScheduleKeyDeletion",
    "CancelKeyDeletion",
    "DisableKey",
    "EnableKey",
    "CreateGrant",
    "ReplicateKey",
    "UpdatePrimaryRegion",
    "CreateAlias",
    "UpdateAlias",
    "DeleteAlias",
)
_FUNCTION_EVENTS = (
    "UpdateFunctionCode*",
    "UpdateFunctionConfiguration*",
    "PublishVersion*",
    "CreateAlias*",
    "UpdateAlias*",
    "AddPermission*",
    "RemovePermission*",
    "CreateFunctionUrlConfig*",
    "UpdateFunctionUrlConfig*",
    "DeleteAlias*",
    "CreateEventSourceMapping*",
    "PutRuntimeManagementConfig*",
    "DeleteFunction*",
)
_ROLE_EVENTS = (
    "CreateRole",
    "PutRolePolicy",
    "DeleteRolePolicy",
    "AttachRolePolicy",
    "DetachRolePolicy",
    "UpdateAssumeRolePolicy",
    "PutRolePermissionsBoundary",
    "DeleteRolePermissionsBoundary",
    "DeleteRole",
    "AddRoleToInstanceProfile",
)
_API_EVENTS = (
    "UpdateRestApi",
    "PutRestApi",
    "PutMethod",
    "UpdateMethod",
    "PutIntegration",
    "UpdateIntegration",
    "CreateResource",
    "CreateDeployment",
    "UpdateStage",
    # It tries the method without asking who is calling; the function takes calls of the stage alone.
    "TestInvokeMethod",
)
_TRAIL_EVENTS = (
    "StopLogging",
    "DeleteTrail",
    "UpdateTrail",
    "PutEventSelectors",
)
_LOG_EVENTS = (
    "DeleteLogGroup",
    "DeleteLogStream",
    "PutRetentionPolicy",
    "DeleteMetricFilter",
    "PutMetricFilter",
)
_TOPIC_EVENTS = (
    "SetTopicAttributes",
    "DeleteTopic",
    "AddPermission",
    "RemovePermission",
    "Unsubscribe",
)
_BUCKET_EVENTS = (
    "PutBucketPolicy",
    "DeleteBucketPolicy",
    "DeleteBucket",
    "PutBucketVersioning",
    "PutBucketLifecycle",
    "PutBucketPublicAccessBlock",
    "DeleteBucketPublicAccessBlock",
)
_LEDGER_EVENTS = (
    "UpdateTable",
    "DeleteTable",
    "UpdateTimeToLive",
    "UpdateContinuousBackups",
    "PutResourcePolicy",
)
_RECORDS_KEY_EVENTS = ("PutKeyPolicy", "ScheduleKeyDeletion", "DisableKey")
_ALARM_EVENTS = ("DeleteAlarms", "DisableAlarmActions", "SetAlarmState", "PutMetricAlarm")
# A pattern reaches into a list by place only.
_ALARM_NAMES = ("alarmName", *(f"alarmNames[{at}]" for at in range(8)))


@dataclass(frozen=True, slots=True)
class Watch:
    """One thing looked for in the trail: the metric that counts it, the alarm's name and text, the patterns.

    An event counts once for each pattern that it matches, so no two of them match the same event.
    """

    metric: str
    alarm: str
    meaning: str
    patterns: tuple[str, ...]


def watches(plan: StackPlan) -> tuple[Watch, ...]:
    """Return what is looked for; nothing where the plan has no trail to look in.

    Raises:
        ConfigError: more signers are allowed than a filter can tell from the others.
    """
    if trail_log_group(plan) is None:
        return ()
    found = [_foreign(plan), _denied(plan), _key(plan), _role()]
    if plan.compute == "lambda":
        found += [_function(), _api()]
    return (*found, _records(plan))


def filters(plan: StackPlan) -> dict[str, Json]:
    """Return a metric filter for everything that is looked for."""
    group = trail_log_group(plan)
    return {
        f"{watch.metric}Filter{at or ''}": _filter(watch.metric, pattern, group)
        for watch in watches(plan)
        for at, pattern in enumerate(watch.patterns)
    }


def key_id(plan: StackPlan) -> str:
    """Return the key's id. A replica in another Region has the same, and signs as the same signer."""
    return plan.key.arn.rsplit("/", 1)[-1] if plan.key.arn else "${SigningKey}"


def _filter(metric: str, pattern: str, group: Any) -> Json:
    measure = of_trail(metric)
    transformation = {
        "MetricNamespace": filled(measure.namespace),
        "MetricName": measure.name,
        "MetricValue": "1",
        # Zero, wherever the trail's events arrive at all: no data means that they do not.
        "DefaultValue": 0,
        "Unit": "Count",
    }
    return {
        "Type": "AWS::Logs::MetricFilter",
        "Properties": {
            "LogGroupName": group,
            "FilterPattern": filled(in_braces(pattern)),
            "MetricTransformations": [transformation],
        },
    }


def _foreign(plan: StackPlan) -> Watch:
    pattern = all_of(
        *call("kms.amazonaws.com", ["Sign"]),
        absent("$.errorCode"),
        any_of(
            is_("$.resources[0].ARN", f"*{key_id(plan)}"),
            is_("$.requestParameters.keyId", f"*{key_id(plan)}"),
        ),
        _by_others(plan),
    )
    return Watch(
        "ForeignSignatures",
        "signed-by-another",
        "Somebody other than the signer made a signature with the treasury's key. Disable the key now, then "
        "find the event (eventName Sign) in the trail: who it was, and what was signed.",
        (fitting(pattern),),
    )


def _denied(plan: StackPlan) -> Watch:
    pattern = all_of(
        *call("kms.amazonaws.com", ["Sign"]),
        is_("$.errorCode", "*"),
        any_of(
            is_("$.resources[0].ARN", f"*{key_id(plan)}"),
            is_("$.errorMessage", f"*{key_id(plan)}*"),
        ),
        _by_others(plan),
    )
    return Watch(
        "ForeignAttempts",
        "attempt-by-another",
        "Somebody other than the signer tried to sign with the treasury's key, and was turned down. Find the "
        "event (eventName Sign, with an errorCode) in the trail and ask who it names.",
        (fitting(pattern),),
    )


def _key(plan: StackPlan) -> Watch:
    named = [
        is_("$.resources[0].ARN", f"*{key_id(plan)}"),
        is_("$.requestParameters.keyId", f"*{key_id(plan)}"),
        is_("$.errorMessage", f"*{key_id(plan)}*"),
    ]
    if plan.key.alias:
        named.append(is_("$.requestParameters.aliasName", plan.key.alias))
    pattern = all_of(*call("kms.amazonaws.com", _KEY_EVENTS), any_of(*named))
    return Watch(
        "KeyChanges",
        "key-changed",
        "The treasury's key, its policy or its alias was changed, or somebody tried to. If no deployment of "
        "yours did it, find the event in the trail, undo it, and review who can "
        "sign: bursar aws access-review.",
        (pattern,),
    )


def _role() -> Watch:
    named = any_of(
        is_("$.requestParameters.roleName", "${FunctionRole}"),
        is_("$.errorMessage", "*${FunctionRole}*"),
    )
    pattern = all_of(*call("iam.amazonaws.com", _ROLE_EVENTS), named)
    return Watch(
        "RoleChanges",
        "role-changed",
        "What the signer's role may do, or who may take it on, was changed, or somebody tried to. If no "
        "deployment of yours did it, find the event in the trail and undo it.",
        (pattern,),
    )


def _function() -> Watch:
    named = any_of(
        is_("$.requestParameters.functionName", "${Function}"),
        is_("$.requestParameters.functionName", "${Function}:*"),
        is_("$.requestParameters.functionName", "*:${Function}*"),
        is_("$.errorMessage", "*:${Function}*"),
    )
    pattern = all_of(*call("lambda.amazonaws.com", _FUNCTION_EVENTS), named)
    return Watch(
        "FunctionChanges",
        "function-changed",
        "The signing function's code, settings, alias or permissions were changed, or somebody tried to. If "
        "no deployment of yours did it, disable the key, find the event in the trail, and deploy again.",
        (pattern,),
    )


def _api() -> Watch:
    pattern = all_of(
        *call("apigateway.amazonaws.com", _API_EVENTS),
        any_of(
            is_("$.requestParameters.restApiId", "${Api}"),
            is_("$.errorMessage", "*/restapis/${Api}/*"),
        ),
    )
    return Watch(
        "ApiChanges",
        "api-changed",
        "The signing API, its policy or its stage was changed, or its method was tried out past its callers' "
        "check. If no deployment of yours did it, find the event in the trail and deploy again.",
        (pattern,),
    )


def _records(plan: StackPlan) -> Watch:
    group = "${TrailLog}" if plan.records.trail_log_group is None else plan.records.trail_log_group
    trail = all_of(*call("cloudtrail.amazonaws.com", _TRAIL_EVENTS))
    logs = all_of(
        *call("logs.amazonaws.com", _LOG_EVENTS),
        any_of(
            *(is_("$.requestParameters.logGroupName", each) for each in (group, "${FunctionLog}"))
        ),
    )
    ours = "${AWS::StackName}-*"
    alarms = all_of(
        *call("monitoring.amazonaws.com", _ALARM_EVENTS),
        any_of(*(is_(f"$.requestParameters.{name}", ours) for name in _ALARM_NAMES)),
    )
    return Watch(
        "RecordChanges",
        "records-changed",
        "A trail was stopped or changed, or the treasury's logs or alarms were, or what they are kept in and told "
        "by, or the table that the key remembers by, or somebody tried to. Whoever hides something begins here: "
        "find the event in the trail, start the trail again, review the time without it.",
        (trail, logs, alarms, *_keeping(plan)),
    )


def _keeping(plan: StackPlan) -> tuple[str, ...]:
    """Return the patterns for what the records are kept in, encrypted with and told by."""
    topic = plan.records.topic or "${AlarmTopic}"
    found = [
        all_of(
            *call("sns.amazonaws.com", _TOPIC_EVENTS),
            any_of(
                is_("$.requestParameters.topicArn", topic),
                is_("$.requestParameters.subscriptionArn", f"{topic}:*"),
            ),
        )
    ]
    if makes_trail(plan):
        bucket = is_("$.requestParameters.bucketName", "${TrailBucket}")
        found.append(all_of(*call("s3.amazonaws.com", _BUCKET_EVENTS), bucket))
    if plan.records.own_key:
        key = any_of(
            is_("$.requestParameters.keyId", "*${RecordsKey}"),
            is_("$.errorMessage", "*${RecordsKey}*"),
        )
        found.append(all_of(*call("kms.amazonaws.com", _RECORDS_KEY_EVENTS), key))
    if plan.policy is not None:
        table = plan.records.ledger_name or "${Ledger}"
        named = any_of(
            is_("$.requestParameters.tableName", table),
            is_("$.requestParameters.tableName", f"*:table/{table}"),
            is_("$.requestParameters.resourceArn", f"*:table/{table}"),
            is_("$.errorMessage", f"*:table/{table}*"),
        )
        found.append(all_of(*call("dynamodb.amazonaws.com", _LEDGER_EVENTS), named))
    return tuple(found)


def _by_others(plan: StackPlan) -> str:
    issuer, caller = "$.userIdentity.sessionContext.sessionIssuer.arn", "$.userIdentity.arn"
    signers = [_of_partition(arn) for arn in plan.key.users]
    users = [arn for arn in signers if ":user/" in arn]
    own = "${FunctionRole.Arn}"
    if plan.key.multi_region or plan.key.replica_of:
        # The key signs in other Regions as well, by the roles of the stacks of this name there.
        own = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${AWS::StackName}-signer-*"
    roles = [own, *(arn for arn in signers if arn not in users)]
    no_role = any_of(absent(issuer), all_of(*(is_not(issuer, arn) for arn in roles)))
    if plan.compute == "lambda" and not signers:
        # Lambda calls a session after its function: another function under the same role is somebody else.
        return any_of(no_role, is_not(caller, "*/${Function}"))
    if not users:
        return no_role
    return all_of(no_role, any_of(absent(caller), all_of(*(is_not(caller, arn) for arn in users))))


def _of_partition(arn: str) -> str:
    return "arn:${AWS::Partition}:" + arn.split(":", 2)[2]
