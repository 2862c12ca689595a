"""What of a deployed stack is no longer as its template says, as CloudFormation finds it.

It costs `cloudformation:DetectStackDrift`, `DescribeStackDriftDetectionStatus` and `DescribeStackResourceDrifts`,
and the right to read each resource. Source: the CloudFormation user guide, "Detect unmanaged configuration changes
to stacks and resources with drift detection".
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bursar.aws.cloud import Cloud, aws_errors
from bursar.aws.stacks import Pace, resource_ids
from bursar.errors import StackError

_FULL_ARN = re.compile(r"arn:[a-z-]+:execute-api:[a-z0-9-]+:[0-9]{12}:[a-z0-9]+/")


@dataclass(frozen=True, slots=True)
class Difference:
    """One property that is not as deployed. `path` is a JSON pointer, `kind` ADD, REMOVE or NOT_EQUAL."""

    path: str
    kind: str
    expected: str
    actual: str


@dataclass(frozen=True, slots=True)
class DriftedResource:
    """A resource that was changed outside its stack, or (`gone`) deleted."""

    name: str
    kind: str
    gone: bool
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """What was found. `unchecked` are resources that CloudFormation did not compare, by logical id."""

    drifted: tuple[DriftedResource, ...]
    in_sync: tuple[str, ...]
    unchecked: tuple[str, ...]


def detect(
    cloud: Cloud, stack_id: str, tell: Callable[[str], None], pace: Pace | None = None
) -> Drift:
    """Have CloudFormation compare a stack with what there is, and return what differs.

    Raises:
        StackError: the comparison failed, or did not end in time.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    pace = pace or Pace.of(cloud)
    formation: Any = cloud.cloudformation
    with aws_errors():
        detection = formation.detect_stack_drift(StackName=stack_id)["StackDriftDetectionId"]
    deadline = time.monotonic() + pace.limit
    while True:
        with aws_errors():
            found = formation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        status = found["DetectionStatus"]
        if status == "DETECTION_COMPLETE":
            return _with_all(cloud, stack_id, _read(_listed(formation, stack_id)))
        if status == "DETECTION_FAILED":
            reason = str(found.get("DetectionStatusReason", "no reason was given"))
            # Some resources were compared all the same, and what differs among them is worth knowing.
            tell(f"not everything could be compared: {reason[:500]}")
            found = _read(_listed(formation, stack_id), incomplete=reason)
            return _with_all(cloud, stack_id, found)
        if time.monotonic() > deadline:
            raise StackError("CloudFormation is still comparing", hint="run the command again")
        tell("comparing")
        time.sleep(pace.interval)


def _with_all(cloud: Cloud, stack_id: str, found: Drift) -> Drift:
    """Return what was found, with every resource of the stack that it does not speak of as unchecked."""
    told = {each.name for each in found.drifted} | {*found.in_sync, *found.unchecked}
    silent = set(resource_ids(cloud, stack_id)) - told
    return replace(found, unchecked=tuple(sorted({*found.unchecked, *silent})))


def _listed(formation: Any, stack_id: str) -> list[Any]:
    found: list[Any] = []
    token: dict[str, str] = {}
    while True:
        with aws_errors():
            page = formation.describe_stack_resource_drifts(StackName=stack_id, **token)
        found += page["StackResourceDrifts"]
        if not page.get("NextToken"):
            return found
        token = {"NextToken": page["NextToken"]}


def _read(listed: list[Any], incomplete: str = "") -> Drift:
    by_status: dict[str, list[Any]] = {}
    for each in listed:
        by_status.setdefault(each["StackResourceDriftStatus"], []).append(each)
    compared = [_drifted(each) for s in ("MODIFIED", "DELETED") for each in by_status.get(s, [])]
    drifted = [each for each in compared if each.gone or each.differences]
    if incomplete and not drifted:
        raise StackError(f"CloudFormation could not compare the stack: {incomplete[:500]}")
    return Drift(
        tuple(sorted(drifted, key=lambda each: each.name)),
        tuple(
            sorted(
                [each["LogicalResourceId"] for each in by_status.get("IN_SYNC", [])]
                + [each.name for each in compared if each not in drifted]
            )
        ),
        tuple(
            sorted(
                each["LogicalResourceId"]
                for status in ("NOT_CHECKED", "UNKNOWN", "UNSUPPORTED")
                for each in by_status.get(status, [])
            )
        ),
    )


def _drifted(found: Any) -> DriftedResource:
    return DriftedResource(
        found["LogicalResourceId"],
        found["ResourceType"],
        found["StackResourceDriftStatus"] == "DELETED",
        tuple(
            Difference(
                each["PropertyPath"],
                each["DifferenceType"],
                str(each.get("ExpectedValue", "")),
                str(each.get("ActualValue", "")),
            )
            for each in found.get("PropertyDifferences", [])
            if not _only_rewritten(each)
        ),
    )


def _only_rewritten(difference: Any) -> bool:
    """Tell whether a difference is but API Gateway's writing of `execute-api:/…`, with the API's ARN in front."""
    expected = str(difference.get("ExpectedValue", ""))
    actual = _FULL_ARN.sub("execute-api:/", str(difference.get("ActualValue", "")))
    return "execute-api:/" in expected and _plain(expected) == _plain(actual)


def _plain(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text
