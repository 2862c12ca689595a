"""Credentials, Region and partition, and this machine's clock against AWS's."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from bursar.aws.caller import Caller
from bursar.aws.cloud import Cloud, aws_errors
from bursar.aws.doctor.case import Case
from bursar.aws.doctor.checks import Check, fail, ok, skip, warn
from bursar.errors import BursarError

# AWS turns requests down that are five minutes off ("Signature Version 4: expiration and clock skew").
_WARN_SECONDS = 60.0
_FAIL_SECONDS = 240.0
_CLOCK_FIX = "set this machine's clock, and keep it right with NTP (timedatectl set-ntp true)"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who AWS says is calling, or why it does not say; `skew` is how many seconds our clock is ahead, if known."""

    caller: Caller | None
    problem: BursarError | None
    skew: float | None


def ask(cloud: Cloud) -> Identity:
    """Ask STS who is calling. `sts:GetCallerIdentity` needs no permission.

    A refusal tells the time as well, and a wrong clock is a reason to be refused.
    """
    before = time.time()
    headers: Mapping[str, str] = {}
    caller, problem = None, None
    try:
        with aws_errors():
            try:
                answer = cloud.client("sts").get_caller_identity()
            except Exception as error:
                headers = _headers(getattr(error, "response", None))
                raise
        headers = _headers(answer)
        caller = Caller.of(answer["Arn"])
    except BursarError as error:
        problem = error
    return Identity(caller, problem, _skew(headers, (before + time.time()) / 2))


def credentials(identity: Identity, *, emulated: bool) -> Iterator[Check]:
    """Are there credentials, and whose?"""
    caller = identity.caller
    if caller is None:
        problem = identity.problem or BursarError("AWS does not say who is calling")
        yield fail("credentials", problem.message, problem.hint)
    elif caller.is_root and not emulated:
        yield warn(
            "credentials",
            f"{caller.arn}: the account's root user, whom nothing limits",
            "work as a role or an IAM user, and give the root user no access keys",
        )
    else:
        where = " of the local emulator" if emulated else ""
        yield ok("credentials", f"{caller.arn}{where}")


def clock(identity: Identity) -> Iterator[Check]:
    """How far is this machine's clock from AWS's?"""
    if identity.skew is not None:
        yield _told(identity.skew)
    elif identity.caller is None:
        yield skip("clock", "AWS did not answer, so it did not tell the time")
    else:
        yield warn("clock", "AWS's answer does not tell the time", "check it by hand: date -u")


def region(case: Case) -> Iterator[Check]:
    """Are Region, partition, credentials and key all of one place?"""
    here, partition = case.cloud.region, case.cloud.partition
    if case.caller.partition and case.caller.partition != partition:
        yield fail(
            "region",
            f"{here} is in the partition {partition}, and the credentials are of {case.caller.partition}",
            f"set AWS_REGION to a Region of {case.caller.partition}, or sign in to {partition}",
        )
        return
    names = {
        "the settings' key": case.question.key,
        "the plan's key": case.plan.key.arn,
        "the stack's key": case.outputs.get("KeyArn"),
    }
    for what, name in names.items():
        parts = (name or "").split(":")
        if len(parts) > 4 and (parts[1], parts[3]) != (partition, here):
            yield fail(
                "region",
                f"{what} is in {parts[3]} ({parts[1]}), and this is {here} ({partition})",
                f"set AWS_REGION={parts[3]}, or name a key of {here}",
            )
            return
    yield ok("region", f"{here}, partition {partition}")


def _told(skew: float) -> Check:
    detail = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} AWS's"
    if abs(skew) > _FAIL_SECONDS:
        return fail("clock", f"{detail}; AWS turns down what is 300 s off", _CLOCK_FIX)
    if abs(skew) > _WARN_SECONDS:
        return warn("clock", detail, _CLOCK_FIX)
    return ok("clock", f"within {abs(skew) + 1:.0f} s of AWS's")


def _headers(answer: Any) -> Mapping[str, str]:
    found = answer.get("ResponseMetadata", {}) if isinstance(answer, dict) else {}
    headers: Mapping[str, str] = found.get("HTTPHeaders", {})
    return headers


def _skew(headers: Mapping[str, str], now: float) -> float | None:
    try:
        return now - parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None
