from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bursar.aws.doctor import records
from tests.unit.aws.doctor.cases import case, cloud, only, paging, service, stack, told

TRAIL = "arn:aws:cloudtrail:eu-central-1:111122223333:trail/treasury-trail"
TOPIC = "arn:aws:sns:eu-central-1:111122223333:treasury-AlarmTopic-1"
ALL = {"ReadWriteType": "All", "IncludeManagementEvents": True}


def fields(**selectors: Any) -> dict[str, Any]:
    """One advanced selector: each field's operator and values."""
    return {
        "FieldSelectors": [{"Field": name, **operators} for name, operators in selectors.items()]
    }


MANAGEMENT = {"Equals": ["Management"]}


def trails(
    *, on: bool = True, status: Any = None, validated: bool = True, group: str = "", **selected: Any
) -> Any:
    listed = {
        "TrailARN": TRAIL,
        "LogFileValidationEnabled": validated,
        "CloudWatchLogsLogGroupArn": f"arn:aws:logs:eu-central-1:1:log-group:{group}:*",
    }
    return cloud(
        cloudtrail=service(
            describe_trails={"trailList": [listed]},
            get_trail_status={"IsLogging": on} | (status or {}),
            get_event_selectors=selected or {"EventSelectors": [ALL]},
        )
    )


MADE = stack(Trail="create", TrailArn=TRAIL)


def test_a_trail_that_is_on_and_records_reads_passes() -> None:
    assert told(records.trail(case(trails(), MADE))) == {"trail": "ok", "trail.events": "ok"}


def test_a_trail_that_is_off_or_cannot_deliver_fails() -> None:
    assert told(records.trail(case(trails(on=False), MADE)))["trail"] == "fail"
    broken = trails(status={"LatestDeliveryError": "AccessDenied"})
    assert told(records.trail(case(broken, MADE)))["trail"] == "fail"


@pytest.mark.parametrize(
    ("selected", "status"),
    [
        ({"EventSelectors": [ALL | {"ReadWriteType": "WriteOnly"}]}, "fail"),
        ({"EventSelectors": [ALL | {"ReadWriteType": "ReadOnly"}]}, "ok"),
        ({"EventSelectors": [ALL | {"IncludeManagementEvents": False}]}, "fail"),
        (
            {"EventSelectors": [ALL | {"ExcludeManagementEventSources": ["kms.amazonaws.com"]}]},
            "fail",
        ),
        ({"EventSelectors": [ALL | {"ReadWriteType": "WriteOnly"}, ALL]}, "ok"),
        ({"AdvancedEventSelectors": [fields(eventCategory=MANAGEMENT)]}, "ok"),
        ({"AdvancedEventSelectors": [fields(eventCategory={"Equals": ["Data"]})]}, "fail"),
        (
            {
                "AdvancedEventSelectors": [
                    fields(eventCategory=MANAGEMENT, readOnly={"Equals": ["false"]})
                ]
            },
            "fail",
        ),
        (
            {
                "AdvancedEventSelectors": [
                    fields(
                        eventCategory=MANAGEMENT, eventSource={"NotEquals": ["kms.amazonaws.com"]}
                    )
                ]
            },
            "fail",
        ),
        (
            {
                "AdvancedEventSelectors": [
                    fields(
                        eventCategory=MANAGEMENT, sessionCredentialFromConsole={"Equals": ["true"]}
                    )
                ]
            },
            "fail",
        ),
    ],
)
def test_a_trail_that_leaves_signatures_out_fails(selected: Any, status: str) -> None:
    assert told(records.trail(case(trails(**selected), MADE)))["trail.events"] == status


def test_a_trail_whose_files_nobody_could_prove_whole_is_a_warning() -> None:
    checks = told(records.trail(case(trails(validated=False), MADE)))
    assert checks["trail.validation"] == "warn"


def test_an_existing_trail_is_found_by_its_log_group() -> None:
    existing = stack(Trail="org-trail")
    assert told(records.trail(case(trails(group="org-trail"), existing)))["trail"] == "ok"
    assert only(records.trail(case(trails(group="org-trail-2"), existing))).status == "fail"


def test_no_trail_fails_with_what_to_set_and_one_that_is_gone_fails() -> None:
    check = only(records.trail(case(cloud(), stack(Trail="none"))))
    assert (check.status, "records.trail" in str(check.fix)) == ("fail", True)
    gone = stack(Trail="create", TrailArn=TRAIL + "-2")
    assert only(records.trail(case(trails(), gone))).status == "fail"


def test_before_deployment_and_in_the_emulator_there_is_no_trail_to_look_at() -> None:
    assert only(records.trail(case(cloud()))).status == "skip"
    assert only(records.trail(case(cloud(emulated=True), stack(Trail="none")))).status == "skip"


GOOD = {"AlarmName": "treasury-ErrorsAlarm-1", "ActionsEnabled": True, "AlarmActions": [TOPIC]}


def alarmed(*found: Any, listed: int = 1) -> Any:
    resources = [
        {
            "ResourceType": "AWS::CloudWatch::Alarm",
            "PhysicalResourceId": f"treasury-ErrorsAlarm-{number + 1}",
            "ResourceStatus": "CREATE_COMPLETE",
        }
        for number in range(listed)
    ]
    other = {"ResourceType": "AWS::IAM::Role", "PhysicalResourceId": "r", "ResourceStatus": "X"}

    def describe_alarms(**asked: Any) -> Any:
        return {
            "MetricAlarms": [each for each in found if each["AlarmName"] in asked["AlarmNames"]]
        }

    pages = paging({"StackResourceSummaries": [other]}, {"StackResourceSummaries": resources})
    return cloud(
        cloudformation=SimpleNamespace(get_paginator=pages),
        cloudwatch=service(describe_alarms=describe_alarms),
    )


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ([], "is gone"),
        ([GOOD | {"ActionsEnabled": False}], "is switched off"),
        ([GOOD | {"AlarmActions": []}], "tells nobody"),
    ],
)
def test_an_alarm_that_is_gone_off_or_mute_fails(found: list[Any], problem: str) -> None:
    check = only(records.alarms(case(alarmed(*found), stack())))
    assert check.status == "fail"
    assert problem in check.detail


def test_alarms_in_place_pass_one_that_rings_is_told_and_none_at_all_fails() -> None:
    assert told(records.alarms(case(alarmed(GOOD), stack()))) == {"alarms": "ok"}
    ringing = alarmed(GOOD | {"StateValue": "ALARM"})
    assert told(records.alarms(case(ringing, stack())))["alarms.state"] == "warn"
    assert only(records.alarms(case(alarmed(listed=0), stack()))).status == "fail"
    assert only(records.alarms(case(cloud()))).status == "skip"


@pytest.mark.parametrize(
    ("confirmed", "pending", "status", "way"),
    [(1, 0, "ok", ""), (0, 2, "warn", "confirm"), (0, 0, "warn", "aws sns subscribe")],
)
def test_an_alarm_that_nobody_hears_is_a_warning(
    confirmed: int, pending: int, status: str, way: str
) -> None:
    attributes = {"SubscriptionsConfirmed": str(confirmed), "SubscriptionsPending": str(pending)}
    sns = service(get_topic_attributes={"Attributes": attributes})
    check = only(records.topic(case(cloud(sns=sns), stack(TopicArn=TOPIC))))
    assert check.status == status
    assert way in (check.fix or "")
