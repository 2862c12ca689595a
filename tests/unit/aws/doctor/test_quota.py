from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bursar.aws.doctor.quota import quota
from bursar.aws.plan import FunctionPlan
from tests.unit.aws.doctor.cases import case, cloud, denied, only, planned

ECC = {"QuotaName": "Cryptographic operations (ECC) request rate", "Value": 1000.0}
RSA = {"QuotaName": "Cryptographic operations (RSA) request rate", "Value": 1000.0}


def quotas(*applied: Any, default: Any = ECC, error: Exception | None = None) -> Any:
    """Service Quotas, with one page for each applied quota."""

    def pages(name: str) -> Any:
        def paginate(**_: Any) -> Any:
            if name == "list_aws_default_service_quotas":
                return iter([{"Quotas": [default]}])
            if error:
                raise error
            return iter([{"Quotas": [each]} for each in applied])

        return SimpleNamespace(paginate=paginate)

    return cloud(service_quotas=SimpleNamespace(get_paginator=pages))


def test_headroom_is_told_and_found_on_a_later_page() -> None:
    check = only(quota(case(quotas(RSA, ECC))))
    assert check.status == "ok"
    assert "which leaves 500 to others" in check.detail


def test_containers_that_ask_for_more_than_the_quota_are_a_warning() -> None:
    plan = planned(function=FunctionPlan(reserved_concurrency=40))
    assert only(quota(case(quotas(ECC), plan=plan))).status == "warn"


def test_without_a_reservation_nothing_bounds_them() -> None:
    plan = planned(function=FunctionPlan(reserved_concurrency=None))
    assert only(quota(case(quotas(ECC), plan=plan))).status == "warn"


@pytest.mark.parametrize("error", [None, denied("servicequotas:ListServiceQuotas")])
def test_where_none_is_applied_or_may_be_listed_awss_default_counts(
    error: Exception | None,
) -> None:
    check = only(quota(case(quotas(RSA, error=error))))
    assert (check.status, "AWS's default" in check.detail) == ("ok", True)


def test_a_quota_that_aws_calls_otherwise_is_not_guessed() -> None:
    check = only(quota(case(quotas(RSA, default=RSA))))
    assert check.status == "warn"
    assert "ECC" in check.detail


def test_an_emulator_has_none() -> None:
    assert only(quota(case(cloud(emulated=True)))).status == "skip"
