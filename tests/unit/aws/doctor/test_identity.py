from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from bursar.aws.caller import Caller
from bursar.aws.doctor import identity
from bursar.aws.doctor.identity import Identity
from bursar.aws.plan import KeyPlan
from tests.unit.aws.doctor.cases import (
    ACCOUNT,
    KEY,
    USER,
    answering,
    case,
    cloud,
    only,
    planned,
    refused,
    service,
    stack,
)


def sts(ahead: float = 0.0, arn: str = USER) -> Any:
    """STS, whose clock is so many seconds ahead of ours."""
    headers = {"date": formatdate(time.time() + ahead, usegmt=True)}
    return service(get_caller_identity={"Arn": arn, "ResponseMetadata": {"HTTPHeaders": headers}})


def test_a_user_is_shown_with_its_account() -> None:
    found = identity.ask(cloud(sts=sts()))
    check = only(identity.credentials(found, emulated=False))
    assert (check.status, check.detail) == ("ok", USER)


def test_the_root_user_is_a_warning_but_not_in_the_emulator() -> None:
    found = identity.ask(cloud(sts=sts(arn=f"arn:aws:iam::{ACCOUNT}:root")))
    assert only(identity.credentials(found, emulated=False)).status == "warn"
    assert only(identity.credentials(found, emulated=True)).status == "ok"


@pytest.mark.parametrize(
    "error", [NoCredentialsError(), refused("ExpiredToken"), refused("InvalidClientTokenId")]
)
def test_missing_and_expired_credentials_fail_with_the_way_to_sign_in(error: Exception) -> None:
    found = identity.ask(cloud(sts=service(get_caller_identity=error)))
    check = only(identity.credentials(found, emulated=False))
    assert check.status == "fail"
    assert "aws sts get-caller-identity" in str(check.fix)


@pytest.mark.parametrize(
    ("ahead", "status"), [(0, "ok"), (30, "ok"), (-90, "warn"), (100, "warn"), (-250, "fail")]
)
def test_a_clock_that_is_off_is_told_by_how_much(ahead: float, status: str) -> None:
    found = identity.ask(cloud(sts=sts(ahead)))
    assert only(identity.clock(found)).status == status


def test_a_clock_so_wrong_that_aws_refuses_is_still_read_from_the_refusal() -> None:
    error = refused("SignatureDoesNotMatch")
    error.response["ResponseMetadata"] = {  # type: ignore[typeddict-item]
        "HTTPHeaders": {"date": formatdate(time.time() + 900, usegmt=True)}
    }
    found = identity.ask(cloud(sts=service(get_caller_identity=error)))
    check = only(identity.clock(found))
    assert (found.caller, check.status) == (None, "fail")
    assert "s behind AWS's" in check.detail


def test_a_clock_that_nobody_told_is_skipped_or_to_be_looked_at() -> None:
    assert only(identity.clock(Identity(None, None, None))).status == "skip"
    assert only(identity.clock(Identity(Caller.of(USER), None, None))).status == "warn"


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"), ("eu-central-1", "aws")],
)
def test_each_partition_fits_its_own_credentials_and_keys(region: str, partition: str) -> None:
    here = cloud(region=region, partition=partition)
    caller = f"arn:{partition}:iam::{ACCOUNT}:user/alice"
    key = f"arn:{partition}:kms:{region}:{ACCOUNT}:key/k"
    found = only(identity.region(case(here, stack(KeyArn=key), caller=caller)))
    assert (found.status, found.detail) == ("ok", f"{region}, partition {partition}")


def test_credentials_of_another_partition_fail() -> None:
    found = only(identity.region(case(cloud(region="us-gov-west-1", partition="aws-us-gov"))))
    assert found.status == "fail"
    assert "credentials are of aws" in found.detail


@pytest.mark.parametrize("where", ["settings", "plan", "stack"])
def test_a_key_of_another_region_fails_and_names_it(where: str) -> None:
    here = cloud(region="us-east-1")
    questions: dict[str, Any] = {
        "settings": case(here, key=KEY),
        "plan": case(here, plan=planned(key=KeyPlan(arn=KEY))),
        "stack": case(here, stack()),
    }
    found = only(identity.region(questions[where]))
    assert (found.status, "eu-central-1" in str(found.fix)) == ("fail", True)


def test_a_session_is_known_by_its_role_wherever_that_lies() -> None:
    caller = Caller.of(f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/alice")
    assert caller.role == "deployer"
    assert caller.is_principal(f"arn:aws:iam::{ACCOUNT}:role/teams/treasury/deployer")
    assert not caller.is_principal(f"arn:aws:iam::{ACCOUNT}:role/deployer2")
    assert not caller.is_principal("arn:aws:iam::999999999999:role/deployer")
    assert Caller.of("nonsense").arn == "nonsense"


def test_nothing_is_asked_but_who_is_calling() -> None:
    calls: list[str] = []

    def get_caller_identity(**_: Any) -> Any:
        calls.append("identity")
        return answering({"Arn": USER})()

    identity.ask(cloud(sts=service(get_caller_identity=get_caller_identity)))
    assert calls == ["identity"]
