"""The records: is the trail on, does it record signatures, are the alarms in place, and does anybody hear them?

CloudTrail counts `kms:Sign` as a read-only management event, so a trail of writes alone misses every signature.
Sources: the KMS developer guide, "Examples of AWS KMS log entries", Sign (`"readOnly": true`); the CloudTrail API
reference, EventSelector, AdvancedFieldSelector and GetTrailStatus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bursar.aws.cloud import aws_errors
from bursar.aws.doctor.case import Case
from bursar.aws.doctor.checks import Check, fail, ok, skip, warn

_SOURCE = "kms.amazonaws.com"
_DEPLOY = "`bursar aws deploy` puts it back"


def trail(case: Case) -> Iterator[Check]:
    """Is a trail on that records this key's signatures?

    It costs `cloudtrail:GetTrailStatus`, `GetEventSelectors` and `DescribeTrails`.
    """
    if case.stack is None:
        yield skip("trail", case.why_not)
        return
    if case.cloud.emulated:
        yield skip("trail", "the local emulator has no trails")
        return
    if case.outputs.get("Trail", "none") == "none":
        yield fail(
            "trail",
            "no trail records who signs: the signer has none, and AWS keeps its own history for 90 days only",
            "set records.trail to create, or to the log group of a trail there is; then `bursar aws deploy`",
        )
        return
    found = _find(case)
    if found is None:
        where = case.outputs.get("TrailArn") or f"with the log group {case.outputs['Trail']}"
        yield fail("trail", f"there is no trail {where} in this Region", _DEPLOY)
        return
    yield from _examine(case, found)


def alarms(case: Case) -> Iterator[Check]:
    """Are the stack's alarms there, switched on, and told to somebody?

    It costs `cloudformation:ListStackResources` and `cloudwatch:DescribeAlarms`.
    """
    if case.stack is None:
        yield skip("alarms", case.why_not)
        return
    names = _alarm_names(case)
    if not names:
        yield fail("alarms", "the stack has none", "`bursar aws deploy` sets them")
        return
    found = {each["AlarmName"]: each for each in _described(case, names)}
    problems = [problem for name in names for problem in _problems(name, found.get(name))]
    firing = sorted(name for name, each in found.items() if each.get("StateValue") == "ALARM")
    if problems:
        yield fail("alarms", "; ".join(problems), _DEPLOY)
    else:
        yield ok("alarms", f"{len(names)} in place, each with somebody to tell")
    if firing:
        yield warn("alarms.state", f"in alarm now: {', '.join(firing)}", "look at the dashboard")


def topic(case: Case) -> Iterator[Check]:
    """Does anybody hear the alarms? It costs `sns:GetTopicAttributes`."""
    arn = case.outputs.get("TopicArn")
    if arn is None:
        yield skip("alarms.topic", case.why_not)
        return
    with aws_errors():
        found = case.cloud.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    confirmed = int(found.get("SubscriptionsConfirmed", 0))
    pending = int(found.get("SubscriptionsPending", 0))
    if confirmed:
        yield ok("alarms.topic", f"{confirmed} subscribed to {arn}")
    elif pending:
        yield warn(
            "alarms.topic",
            f"{pending} asked to subscribe to {arn}, and none confirmed",
            "confirm by the link in the e-mail that AWS sent",
        )
    else:
        yield warn(
            "alarms.topic",
            f"nobody is subscribed to {arn}",
            f"aws sns subscribe --topic-arn {arn} --protocol email --notification-endpoint ADDRESS",
        )


def records_reads(selectors: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether basic event selectors let KMS's read-only management events through."""
    return any(
        each.get("IncludeManagementEvents", True)
        and each.get("ReadWriteType", "All") != "WriteOnly"
        and _SOURCE not in each.get("ExcludeManagementEventSources", [])
        for each in selectors
    )


def records_reads_by_fields(selectors: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether advanced event selectors let KMS's read-only management events through."""
    event = {
        "eventCategory": "Management",
        "readOnly": "true",
        "eventSource": _SOURCE,
        "eventName": "Sign",
        "eventType": "AwsApiCall",
    }
    return any(
        all(_admits(field, event.get(field["Field"])) for field in each["FieldSelectors"])
        for each in selectors
    )


def _admits(field: Mapping[str, Any], value: str | None) -> bool:
    if value is None:  # of what is unknown here it cannot be said that it lets everything through
        return False
    tests: dict[str, Callable[[str, str], bool]] = {
        "Equals": lambda text, other: text == other,
        "StartsWith": str.startswith,
        "EndsWith": str.endswith,
    }
    for operator, matches in tests.items():
        wanted, unwanted = field.get(operator), field.get(f"Not{operator}")
        if wanted and not any(matches(value, each) for each in wanted):
            return False
        if unwanted and any(matches(value, each) for each in unwanted):
            return False
    return True


def _find(case: Case) -> Mapping[str, Any] | None:
    arn, group = case.outputs.get("TrailArn"), case.outputs["Trail"]
    with aws_errors():
        listed = case.cloud.client("cloudtrail").describe_trails()["trailList"]
    for each in listed:
        if arn is not None and each["TrailARN"] == arn:
            return dict(each)
        if arn is None and f":log-group:{group}:" in each.get("CloudWatchLogsLogGroupArn", ""):
            return dict(each)
    return None


def _examine(case: Case, found: Mapping[str, Any]) -> Iterator[Check]:
    client, arn = case.cloud.client("cloudtrail"), found["TrailARN"]
    with aws_errors():
        status = client.get_trail_status(Name=arn)
        selected = client.get_event_selectors(TrailName=arn)
    if not status.get("IsLogging"):
        yield fail("trail", f"{arn} is switched off", f"aws cloudtrail start-logging --name {arn}")
    elif error := status.get("LatestDeliveryError") or status.get(
        "LatestCloudWatchLogsDeliveryError"
    ):
        yield fail(
            "trail", f"{arn} cannot deliver: {error}", "mend its bucket's or log group's policy"
        )
    else:
        yield ok("trail", f"{arn} is on")
    advanced = selected.get("AdvancedEventSelectors")
    basic = selected.get("EventSelectors") or [{}]
    if records_reads_by_fields(advanced) if advanced else records_reads(basic):
        yield ok("trail.events", "it records signatures (read-only management events of KMS)")
    else:
        yield fail(
            "trail.events",
            "it does not record signatures: they are read-only management events of KMS, and it leaves those out",
            "let it record all management events, with no event source excluded",
        )
    if not found.get("LogFileValidationEnabled"):
        yield warn(
            "trail.validation",
            "nothing would show that its files were changed",
            f"aws cloudtrail update-trail --name {arn} --enable-log-file-validation",
        )


def _alarm_names(case: Case) -> list[str]:
    with aws_errors():
        pages = case.cloud.cloudformation.get_paginator("list_stack_resources").paginate(
            StackName=case.question.stack
        )
        found: list[Any] = [each for page in pages for each in page["StackResourceSummaries"]]
    return sorted(
        each["PhysicalResourceId"]
        for each in found
        if each["ResourceType"] == "AWS::CloudWatch::Alarm"
        and each["ResourceStatus"] != "DELETE_COMPLETE"
    )


def _described(case: Case, names: list[str]) -> Iterator[Any]:
    with aws_errors():
        for at in range(0, len(names), 100):  # as many as one call takes
            asked = names[at : at + 100]
            answer = case.cloud.client("cloudwatch").describe_alarms(AlarmNames=asked)
            yield from answer["MetricAlarms"]


def _problems(name: str, found: Mapping[str, Any] | None) -> Iterator[str]:
    if found is None:
        yield f"{name} is gone"
    elif not found.get("ActionsEnabled", True):
        yield f"{name} is switched off"
    elif not found.get("AlarmActions"):
        yield f"{name} tells nobody"
