"""KMS's request quota for elliptic-curve keys in this account and Region, against what the function can ask for.

Source: KMS developer guide, "Request quotas": all signing and verifying with ECC keys shares one quota, named here
as Service Quotas names it. What AWS adds to other calls on the caller's behalf counts elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bursar.aws.cloud import aws_errors
from bursar.aws.doctor.case import Case
from bursar.aws.doctor.checks import Check, ok, skip, warn
from bursar.errors import AwsAccessDenied

_NAME = "Cryptographic operations (ECC) request rate"
# What one container signs a second, one signature after another at some 20 ms each.
_PER_CONTAINER = 50
_FIX = "ask for more under Service Quotas, AWS KMS; or set function.reserved_concurrency lower"


def quota(case: Case) -> Iterator[Check]:
    """Is the quota above what the function can ask for? It costs `servicequotas:ListServiceQuotas`.

    Where that is not allowed, AWS's default is asked for: `servicequotas:ListAWSDefaultServiceQuotas`.
    """
    if case.cloud.emulated:
        yield skip("quota", "the local emulator has no quotas")
        return
    rate, whose = _rate(case)
    if rate is None:
        yield warn(
            "quota",
            f'Service Quotas lists no "{_NAME}" for KMS here',
            "look under Service Quotas, AWS KMS",
        )
        return
    containers = case.plan.function.reserved_concurrency
    detail = f"{rate:.0f} a second for ECC keys ({whose})"
    if case.plan.compute != "lambda":
        yield ok("quota", detail)
    elif containers is None:
        yield warn(
            "quota",
            f"{detail}, and nothing bounds how many containers sign at a time",
            "set function.reserved_concurrency",
        )
    else:
        yield _headroom(detail, rate, containers)


def _headroom(detail: str, rate: float, containers: int) -> Check:
    most = containers * _PER_CONTAINER
    against = f"{detail}; {containers} containers sign some {most} a second at most"
    if most > rate:
        return warn("quota", f"{against}: KMS will throttle them", _FIX)
    return ok("quota", f"{against}, which leaves {rate - most:.0f} to others")


def _rate(case: Case) -> tuple[float | None, str]:
    client = case.cloud.client("service-quotas")
    try:
        applied = _listed(client.get_paginator("list_service_quotas"))
    except AwsAccessDenied:
        return _listed(client.get_paginator("list_aws_default_service_quotas")), "AWS's default"
    if applied is not None:
        return applied, "as applied to this account"
    return _listed(client.get_paginator("list_aws_default_service_quotas")), "AWS's default"


def _listed(paginator: Any) -> float | None:
    with aws_errors():
        for page in paginator.paginate(ServiceCode="kms"):
            for each in page["Quotas"]:
                if each["QuotaName"] == _NAME:
                    return float(each["Value"])
    return None
