from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bursar.aws import drift
from bursar.aws.cloud import Cloud
from bursar.aws.stacks import Pace
from bursar.errors import StackError

QUICK = Pace(0.001, 5.0, 5.0)


def found(name: str, status: str, *differences: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "LogicalResourceId": name,
        "ResourceType": "AWS::X::Y",
        "StackResourceDriftStatus": status,
        "PropertyDifferences": [
            {
                "PropertyPath": path,
                "DifferenceType": "NOT_EQUAL",
                "ExpectedValue": was,
                "ActualValue": now,
            }
            for path, was, now in differences
        ],
    }


def cloud_with(
    *statuses: str, pages: tuple[list[Any], ...] = ([],), held: tuple[str, ...] = ()
) -> Cloud:
    left = list(statuses)
    listed = list(pages)

    def page(**asked: str) -> dict[str, Any]:
        at = int(asked.get("NextToken", "0"))
        more = {"NextToken": str(at + 1)} if at + 1 < len(listed) else {}
        return {"StackResourceDrifts": listed[at], **more}

    resources = [{"LogicalResourceId": name, "ResourceStatus": "CREATE_COMPLETE"} for name in held]
    formation = SimpleNamespace(
        get_paginator=lambda _: SimpleNamespace(
            paginate=lambda **_: [{"StackResourceSummaries": resources}]
        ),
        detect_stack_drift=lambda **_: {"StackDriftDetectionId": "d"},
        describe_stack_drift_detection_status=lambda **_: {
            "DetectionStatus": left.pop(0) if len(left) > 1 else left[0],
            "DetectionStatusReason": "no right to look",
        },
        describe_stack_resource_drifts=page,
    )
    return cast("Cloud", SimpleNamespace(cloudformation=formation, emulated=True))


def test_what_differs_is_told_with_what_was_deployed_and_what_is_there_now() -> None:
    pages = (
        [found("Stage", "MODIFIED", ("/Throttle", "20", "2000")), found("Api", "IN_SYNC")],
        [found("Role", "DELETED"), found("Answer", "NOT_CHECKED"), found("Key", "IN_SYNC")],
    )
    cloud = cloud_with("DETECTION_IN_PROGRESS", "DETECTION_COMPLETE", pages=pages)
    seen = drift.detect(cloud, "id", lambda _: None, QUICK)
    assert [(each.name, each.gone) for each in seen.drifted] == [("Role", True), ("Stage", False)]
    (difference,) = seen.drifted[1].differences
    assert (difference.path, difference.expected, difference.actual) == ("/Throttle", "20", "2000")
    assert (seen.in_sync, seen.unchecked) == (("Api", "Key"), ("Answer",))


def test_a_comparison_that_failed_in_part_still_tells_what_it_found() -> None:
    told: list[str] = []
    cloud = cloud_with("DETECTION_FAILED", pages=([found("Role", "DELETED")],))
    assert drift.detect(cloud, "id", told.append, QUICK).drifted[0].gone
    assert "no right to look" in told[0]


def test_a_comparison_that_failed_and_found_nothing_is_no_clean_bill() -> None:
    with pytest.raises(StackError, match="no right to look"):
        drift.detect(cloud_with("DETECTION_FAILED"), "id", lambda _: None, QUICK)


def test_a_comparison_without_end_is_given_up() -> None:
    with pytest.raises(StackError, match="still comparing"):
        drift.detect(
            cloud_with("DETECTION_IN_PROGRESS"), "id", lambda _: None, Pace(0.001, 0.01, 1.0)
        )


def test_what_api_gateway_writes_out_in_a_policy_is_no_drift() -> None:
    ours = '{"Resource":"execute-api:/*","Effect":"Deny"}'
    written = (
        '{"Effect": "Deny", "Resource": "arn:aws:execute-api:us-east-1:111122223333:abc123/*"}'
    )
    opened = written.replace("Deny", "Allow")
    pages = ([found("Api", "MODIFIED", ("/Policy", ours, written))],)
    seen = drift.detect(cloud_with("DETECTION_COMPLETE", pages=pages), "id", lambda _: None, QUICK)
    assert (seen.drifted, seen.in_sync) == ((), ("Api",))
    pages = ([found("Api", "MODIFIED", ("/Policy", ours, opened))],)
    seen = drift.detect(cloud_with("DETECTION_COMPLETE", pages=pages), "id", lambda _: None, QUICK)
    assert seen.drifted[0].name == "Api"


def test_a_resource_that_cloudformation_says_nothing_of_was_not_compared() -> None:
    pages = ([found("Api", "IN_SYNC")],)
    cloud = cloud_with("DETECTION_COMPLETE", pages=pages, held=("Api", "SigningKey"))
    assert drift.detect(cloud, "id", lambda _: None, QUICK).unchecked == ("SigningKey",)
