from __future__ import annotations

from collections.abc import Iterator

import pytest

from bursar.aws.doctor.checks import Check, fail, healthy, ok, run, skip, warn
from bursar.errors import AwsAccessDenied, StackError
from tests.unit.aws.doctor.cases import told


def looking(error: Exception) -> Iterator[Check]:
    yield ok("key.spec", "fine")
    raise error


def test_what_was_found_before_a_failure_is_kept_and_the_failure_is_one_more_finding() -> None:
    found = run("key", lambda: looking(StackError("no such stack", hint="deploy it")))
    assert told(found) == {"key.spec": "ok", "key": "fail"}
    assert (found[1].detail, found[1].fix) == ("no such stack", "deploy it")


def test_what_the_caller_may_not_look_at_is_a_warning_with_the_permission() -> None:
    found = run("key", lambda: looking(AwsAccessDenied("no kms:DescribeKey", hint="get it")))
    assert (found[1].status, found[1].fix) == ("warn", "get it")


def test_a_fault_of_our_own_hides_no_other_check_and_shows_none_of_its_text() -> None:
    found = run("key", lambda: looking(ValueError("AKIASECRET")))
    assert told(found) == {"key.spec": "ok", "key": "fail"}
    assert "AKIASECRET" not in repr(found)


@pytest.mark.parametrize(
    ("checks", "well", "strictly"),
    [
        ([ok("a", ""), skip("b", "")], True, True),
        ([ok("a", ""), warn("b", "", None)], True, False),
        ([fail("a", "", None)], False, False),
    ],
)
def test_a_failure_is_unhealthy_and_a_warning_only_where_one_is_strict(
    checks: list[Check], *, well: bool, strictly: bool
) -> None:
    assert (healthy(checks), healthy(checks, strict=True)) == (well, strictly)


def test_a_check_belongs_to_the_area_its_name_begins_with() -> None:
    assert [ok("key.alias", "").area, ok("trail", "").area] == ["key", "trail"]
