"""The alarms, each saying what it means and what to do first, and whom they tell. Pure.

Sources: the CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data", "Using CloudWatch
anomaly detection" and "Setting alarms on metrics created with the embedded metric format"; the CloudFormation
resource reference, AWS::CloudWatch::Alarm; the SNS developer guide, "Example cases for Amazon SNS access control".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bursar.aws.metrics import ERRORS, KMS_THROTTLES, REFUSALS, SIGNATURES
from bursar.aws.plan import StackPlan
from bursar.aws.template.documents import Json, fingerprint, policy, ref, sub, tags
from bursar.aws.template.measures import Measure, of_api, of_lambda, of_trail, own
from bursar.aws.template.records import records_key_arn
from bursar.aws.template.watches import filters, watches

_MINUTES_5 = 300
# Standard deviations to either side of what is usual at this hour and weekday: 3 leave out about 3 in 1,000.
_BAND = 3
_UNUSUAL = "signature-rate"
_UNUSUAL_MEANING = (
    "Far more signatures than is usual at this hour and weekday. If no payout run of yours explains it, find "
    "out who asks (claimedCaller in the function's log) and take their permission away. It learns for two "
    "weeks."
)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm: it goes off when `measure`, summed over five minutes, reaches `threshold`.

    `late` is how many such periods an event may take to arrive. No data is never an alarm: without a call there is
    nothing to count, and a metric of the trail that stops is found by `bursar doctor`.
    """

    resource: str
    name: str
    meaning: str
    measure: Measure
    threshold: int = 1
    late: int = 1


def resources(plan: StackPlan) -> dict[str, Json]:
    """Return the topic and its subscribers, the filters of the trail, and the alarms.

    Raises:
        ConfigError: more signers are allowed than a filter can tell from the others.
    """
    found = {**_topic(plan), **filters(plan)}
    found |= {alarm.resource: _alarm(plan, alarm) for alarm in alarms(plan)}
    return found | _anomaly(plan)


def alarms(plan: StackPlan) -> tuple[Alarm, ...]:
    """Return the alarms of a plan that go by a threshold."""
    of_function = _of_function(plan) if plan.compute == "lambda" else ()
    return (*of_function, *_of_trail(plan))


def alarm_resources(plan: StackPlan) -> tuple[str, ...]:
    """Return the logical ids of all alarms of a plan, the one on an unusual rate of signatures among them."""
    found = [*(alarm.resource for alarm in alarms(plan)), *_anomaly(plan)]
    return tuple(name for name in found if name.endswith("Alarm"))


def meanings(plan: StackPlan) -> dict[str, str]:
    """Return what every alarm means and what to do first, by its name after the stack's."""
    found = {alarm.name: alarm.meaning for alarm in alarms(plan)}
    return found | ({_UNUSUAL: _UNUSUAL_MEANING} if _anomaly(plan) else {})


def topic_arn(plan: StackPlan) -> Any:
    """Return the ARN of the topic that alarms publish to."""
    return plan.records.topic or ref("AlarmTopic")


def _of_function(plan: StackPlan) -> tuple[Alarm, ...]:
    return (
        Alarm(
            "FunctionErrorsAlarm",
            "function-errors",
            "The signing function crashed or ran out of time, which it never does by itself. Read the end of "
            "its log for what it was doing; if a deployment came first, deploy again with the bursar before it.",
            of_lambda("Errors"),
        ),
        Alarm(
            "FunctionThrottlesAlarm",
            "function-throttles",
            "More signatures were asked for at a time than the function may run for; callers were told to "
            "come back. Find out who asks, or raise function.reserved_concurrency.",
            of_lambda("Throttles"),
        ),
        Alarm(
            "ApiErrorsAlarm",
            "api-errors",
            "The API answered with a 5xx status: a caller asked and got no signature. Look for the request "
            "in the function's log by its code; if it is not there, the API did not reach the function.",
            of_api(plan, "5XXError"),
        ),
        Alarm(
            "SigningErrorsAlarm",
            "signing-errors",
            "A permitted request was not signed, by no fault of its caller. The function's log says why "
            "(code, cause): kms_access_denied and kms_key_* mean that somebody changed the key; wrong_key, "
            "that it is another.",
            own(ERRORS),
        ),
        Alarm(
            "RefusalsAlarm",
            "refusals",
            "Many requests were refused: a caller with a wrong setting, or somebody who tries things out. "
            "The function's log says which (code) and who (claimedCaller).",
            own(REFUSALS),
            threshold=10,
        ),
        Alarm(
            "KmsThrottlesAlarm",
            "kms-throttles",
            "KMS throttled signatures until the retries were used up. Other keys of the account share the "
            "quota: look at it (bursar doctor), sign less at a time, or ask AWS for more.",
            own(KMS_THROTTLES),
        ),
    )


def _of_trail(plan: StackPlan) -> tuple[Alarm, ...]:
    # CloudTrail takes five minutes on average, sometimes fifteen, to hand an event over.
    return tuple(
        Alarm(
            f"{watch.metric}Alarm",
            watch.alarm,
            watch.meaning,
            of_trail(watch.metric),
            late=3,
        )
        for watch in watches(plan)
    )


def _alarm(plan: StackPlan, alarm: Alarm) -> Json:
    properties = {
        **_head(plan, alarm.name, alarm.meaning),
        **alarm.measure.properties(),
        "Statistic": "Sum",
        "Period": _MINUTES_5,
        "EvaluationPeriods": alarm.late,
        "DatapointsToAlarm": 1,
        "Threshold": alarm.threshold,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def _head(plan: StackPlan, name: str, meaning: str) -> Json:
    return {
        "AlarmName": sub(f"${{AWS::StackName}}-{name}"),
        "AlarmDescription": meaning,
        "AlarmActions": [topic_arn(plan)],
        "OKActions": [topic_arn(plan)],
        "Tags": tags(plan),
    }


def _anomaly(plan: StackPlan) -> dict[str, Json]:
    if plan.compute != "lambda" or plan.emulated:
        return {}
    measure = own(SIGNATURES).properties()
    band = {"Id": "band", "Expression": f"ANOMALY_DETECTION_BAND(signatures, {_BAND})"}
    counted = {
        "Id": "signatures",
        "ReturnData": True,
        "MetricStat": {"Metric": measure, "Period": _MINUTES_5, "Stat": "Sum"},
    }
    alarm = {
        **_head(plan, _UNUSUAL, _UNUSUAL_MEANING),
        "Metrics": [counted, band],
        "ThresholdMetricId": "band",
        "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1,
        # Above alone: a quiet treasury is not an attack.
        "ComparisonOperator": "GreaterThanUpperThreshold",
        "TreatMissingData": "notBreaching",
    }
    detector = {"SingleMetricAnomalyDetector": {**measure, "Stat": "Sum"}}
    return {
        "SignatureRate": {"Type": "AWS::CloudWatch::AnomalyDetector", "Properties": detector},
        "SignatureRateAlarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "DependsOn": "SignatureRate",
            "Properties": alarm,
        },
    }


def _topic(plan: StackPlan) -> dict[str, Json]:
    if plan.records.topic:
        return {}
    properties: Json = {"DisplayName": "bursar", "Tags": tags(plan)}
    if key := records_key_arn(plan):
        properties["KmsMasterKeyId"] = key
    found: dict[str, Json] = {
        "AlarmTopic": {"Type": "AWS::SNS::Topic", "Properties": properties},
        "AlarmTopicPolicy": {"Type": "AWS::SNS::TopicPolicy", "Properties": _topic_policy()},
    }
    for email in plan.records.emails:
        subscription = {"TopicArn": ref("AlarmTopic"), "Protocol": "email", "Endpoint": email}
        found[f"AlarmEmail{fingerprint(email)}"] = {
            "Type": "AWS::SNS::Subscription",
            "Properties": subscription,
        }
    return found


def _topic_policy() -> Json:
    allowed = {
        "Sid": "AlarmsOfThisAccount",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": ref("AlarmTopic"),
        "Condition": {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}},
    }
    plain = {
        "Sid": "OnlyOverTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": ref("AlarmTopic"),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Topics": [ref("AlarmTopic")], "PolicyDocument": policy(allowed, plain)}
