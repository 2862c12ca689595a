from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bursar.aws.doctor import stack as stacks
from bursar.aws.doctor.function import function
from bursar.aws.plan import FunctionPlan
from tests.unit.aws.doctor.cases import (
    KEY,
    case,
    cloud,
    only,
    paging,
    planned,
    refused,
    service,
    stack,
    told,
)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("CREATE_COMPLETE", "ok"),
        ("UPDATE_COMPLETE", "ok"),
        ("UPDATE_ROLLBACK_COMPLETE", "warn"),
        ("UPDATE_IN_PROGRESS", "warn"),
        ("ROLLBACK_COMPLETE", "fail"),
        ("REVIEW_IN_PROGRESS", "skip"),
    ],
)
def test_a_stack_is_judged_by_its_state(status: str, expected: str) -> None:
    assert only(stacks.stack(case(cloud(), stack(status)))).status == expected


def test_no_stack_yet_is_no_failure_and_an_unprotected_one_is_a_warning() -> None:
    assert only(stacks.stack(case(cloud()))).status == "skip"
    open_to_mistakes = replace(stack(), protected=False)
    assert told(stacks.stack(case(cloud(), open_to_mistakes)))["stack.protection"] == "warn"


@pytest.mark.parametrize(
    ("error", "bucket", "status"),
    [
        (None, None, "ok"),
        (refused("404"), None, "ok"),
        (refused("404"), "mine", "fail"),
        (refused("403"), None, "fail"),
    ],
)
def test_the_codes_bucket_is_ours_free_or_anothers(
    error: Exception | None, bucket: str | None, status: str
) -> None:
    found = case(cloud(s3=service(head_bucket=error or {})), bucket=bucket)
    assert only(stacks.bucket(found)).status == status


def test_once_deployed_a_bucket_that_the_caller_may_not_list_is_a_warning_only() -> None:
    found = case(cloud(s3=service(head_bucket=refused("403"))), stack())
    assert only(stacks.bucket(found)).status == "warn"


def lambda_with(total: int, free: int, held: int | None = None) -> Any:
    limits = {"ConcurrentExecutions": total, "UnreservedConcurrentExecutions": free}
    reserved = {} if held is None else {"ReservedConcurrentExecutions": held}
    return service(get_account_settings={"AccountLimit": limits}, get_function_concurrency=reserved)


@pytest.mark.parametrize(
    ("total", "free", "status"),
    [(1000, 1000, "ok"), (1000, 105, "fail"), (10, 10, "fail"), (110, 110, "ok")],
)
def test_a_reservation_must_leave_others_what_lambda_keeps_for_them(
    total: int, free: int, status: str
) -> None:
    found = case(cloud(lambda_=lambda_with(total, free)))
    assert only(stacks.concurrency(found)).status == status


def test_a_reservation_that_is_held_is_well_and_another_one_is_to_be_mended() -> None:
    assert (
        only(stacks.concurrency(case(cloud(lambda_=lambda_with(10, 0, 10)), stack()))).status
        == "ok"
    )
    for held in (50, None):
        other = case(cloud(lambda_=lambda_with(1000, 900, held)), stack())
        assert only(stacks.concurrency(other)).status == "warn"
    emulated = case(cloud(emulated=True, lambda_=lambda_with(1000, 900)), stack())
    assert only(stacks.concurrency(emulated)).status == "skip"
    none = planned(function=FunctionPlan(reserved_concurrency=None))
    assert only(stacks.concurrency(case(cloud(), plan=none))).status == "skip"


OUTPUTS = {
    "CodeSha256": "code",
    "RoleArn": "r",
    "BlindSigning": "refused",
    "FunctionAlias": "live",
    "FunctionVersion": "1",
}
LIVE = {
    "CodeSha256": "code",
    "Handler": "bursar.aws.handler.handle",
    "Role": "r",
    "Environment": {"Variables": {"KMS_KEY_ID": KEY}},
}


def live(**changes: Any) -> Any:
    """Lambda with one version, in `changes` other than as it was deployed, that callers reach by its alias."""
    found = LIVE | changes
    versions = [found | {"Version": "1"}, LIVE | {"Version": "$LATEST"}]
    aliases = [{"Name": "live", "FunctionVersion": "1"}]
    return service(
        get_function_configuration=found,
        get_paginator=paging({"Aliases": aliases, "Versions": versions, "FunctionUrlConfigs": []}),
    )


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, set()),
        ({"State": "Pending"}, {"function.state"}),
        ({"LastUpdateStatus": "Failed"}, {"function.state"}),
        ({"CodeSha256": "other"}, {"function.deployed"}),
        ({"Handler": "index.other"}, {"function.deployed"}),
    ],
)
def test_a_function_that_does_not_run_as_deployed_fails(
    changes: dict[str, Any], failed: set[str]
) -> None:
    checks = told(function(case(cloud(lambda_=live(**changes)), stack(**OUTPUTS))))
    assert {name for name, status in checks.items() if status == "fail"} == failed


def test_no_function_yet_is_skipped() -> None:
    assert only(function(case(cloud()))).status == "skip"
