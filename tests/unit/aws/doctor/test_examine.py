from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any, cast

from bursar.aws.cloud import Cloud
from bursar.aws.doctor import AREAS, Check, Question, examine
from bursar.aws.plan import StackPlan
from bursar.errors import ConfigError
from tests.unit.aws.doctor.cases import (
    ACCOUNT,
    ALIAS,
    OTHER_KEY,
    USER,
    cloud,
    denied,
    kms,
    refused,
    service,
    stack,
    told,
)

QUESTION = Question("treasury", StackPlan())
STS = service(
    get_caller_identity=lambda **_: {
        "Arn": USER,
        "ResponseMetadata": {"HTTPHeaders": {"date": formatdate(time.time(), usegmt=True)}},
    }
)


def formation(outputs: Mapping[str, str] | None = None, error: Exception | None = None) -> Any:
    none_there = refused("ValidationError", "Stack with id treasury does not exist")
    if outputs is None:
        return service(describe_stacks=error or none_there)
    found = {
        "StackName": "treasury",
        "StackStatus": "CREATE_COMPLETE",
        "EnableTerminationProtection": True,
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
    }
    return service(describe_stacks={"Stacks": [found]})


def looked(aws: Cloud, *only: str, question: Question = QUESTION) -> list[Check]:
    return list(examine(aws, question, only))


def test_every_area_is_told_of_even_where_nothing_can_be_asked() -> None:
    aws = cloud(sts=service(get_caller_identity=refused("ExpiredToken")))
    found = told(looked(aws))
    assert set(found) == set(AREAS)
    assert {name for name, status in found.items() if status == "fail"} == {"credentials"}


def test_a_region_set_nowhere_is_the_regions_failure() -> None:
    class Nowhere:
        emulated = False

        @property
        def region(self) -> str:
            raise ConfigError("no AWS Region is set", hint="set AWS_REGION")

    found = looked(cast("Cloud", Nowhere()))
    assert told(found)["region"] == "fail"
    assert set(told(found)) == set(AREAS)


def test_one_service_that_fails_hides_no_other() -> None:
    aws = cloud(sts=STS, cloudformation=formation(), kms=kms(aliases={}))
    found = told(looked(aws))  # neither IAM nor S3 nor Lambda is there at all
    assert found["key.alias"] == "ok"
    assert found["permissions"] == "fail"
    assert {name.partition(".")[0] for name in found} == set(AREAS)


def test_only_what_is_named_is_looked_at() -> None:
    aws = cloud(sts=STS, cloudformation=formation(stack().outputs), kms=kms())
    assert set(told(looked(aws, "key"))) == {
        "key.spec", "key.state", "key.alias", "key.address", "key.dry-run",
    }  # fmt: skip
    assert set(told(looked(aws, "key.alias"))) == {"key.alias"}
    assert set(told(looked(aws, "key.state", "clock"))) == {"clock", "key.state"}


def test_nothing_is_signed_dry_or_not_unless_that_check_is_made() -> None:
    def sign(**_: Any) -> Any:
        raise AssertionError

    aws = cloud(sts=STS, cloudformation=formation(stack().outputs), kms=kms(sign=sign))
    assert told(looked(aws, "key.alias", "key.spec")) == {"key.spec": "ok", "key.alias": "ok"}


def test_credentials_that_fail_are_told_whatever_was_asked_for() -> None:
    aws = cloud(sts=service(get_caller_identity=refused("ExpiredToken")))
    assert told(looked(aws, "key")) == {"credentials": "fail", "key": "skip"}


def test_a_stack_that_may_not_be_read_is_not_said_to_be_missing() -> None:
    error = denied("cloudformation:DescribeStacks")
    aws = cloud(sts=STS, cloudformation=formation(error=error), kms=kms())
    found = {check.name: check for check in looked(aws, "stack", "function")}
    assert (found["stack"].status, found["function"].status) == ("warn", "skip")
    assert "could not be read" in found["function"].detail


def test_a_key_named_by_its_id_is_looked_for_in_this_account_and_region() -> None:
    aws = cloud(sts=STS, cloudformation=formation(), kms=kms(aliases={ALIAS: OTHER_KEY}))
    question = Question("treasury", StackPlan(), key=OTHER_KEY.rpartition("/")[2])
    found = {check.name: check for check in looked(aws, "key", question=question)}
    assert OTHER_KEY in found["key.spec"].detail
    assert ACCOUNT in found["key.spec"].detail


def test_no_state_is_changed_by_any_call() -> None:
    called: set[str] = set()

    class Recording:
        def __init__(self, client: Any) -> None:
            self.client = client

        def __getattr__(self, name: str) -> Any:
            called.add(name)
            return getattr(self.client, name)

    iam = service(
        simulate_principal_policy={"EvaluationResults": []}, get_role=denied("iam:GetRole")
    )
    s3 = service(head_bucket={})
    clients: dict[str, Any] = {
        "kms": kms(),
        "iam": iam,
        "s3": s3,
        "sts": STS,
        "cloudformation": formation(stack(Trail="none").outputs),
    }
    recorded: dict[str, Any] = {name: Recording(client) for name, client in clients.items()}
    aws = cloud(**recorded)
    looked(aws)
    reading = ("describe_", "get_", "list_", "head_", "simulate_", "meta")
    assert {name for name in called if not name.startswith(reading)} == {"sign"}  # a dry run
