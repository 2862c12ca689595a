from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bursar.aws.plan import (
    KEY_KINDS,
    RETENTIONS,
    ApiPlan,
    CallersPlan,
    FunctionPlan,
    KeyPlan,
    NetworkPlan,
    RecordsPlan,
    StackPlan,
    require_sound,
)
from bursar.chains import evm
from bursar.errors import ConfigError

ADMIN = "arn:aws-cn:iam::111122223333:role/path/key-admin"
NETWORK = NetworkPlan("vpc-12345678", ("subnet-12345678",))
PRIMARY = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_the_usual_plan_is_sound() -> None:
    assert require_sound(StackPlan()) == StackPlan()
    private = NetworkPlan("vpc-12345678", ("subnet-12345678",), clients=("10.0.0.0/8",))
    assert require_sound(StackPlan(network=private, api=ApiPlan(private=True)))
    assert require_sound(StackPlan(network=NETWORK))
    assert require_sound(StackPlan(key=KeyPlan(account_delegation=False, administrators=(ADMIN,))))


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        (StackPlan(key=KeyPlan(administrators=("*",))), "key.administrators"),
        (StackPlan(key=KeyPlan(administrators=("arn:aws:iam::111122223333:root",))), "administrators"),
        (StackPlan(key=KeyPlan(users=("arn:aws:iam::111122223333:role/*",))), "key.users"),
        (StackPlan(key=KeyPlan(users=("arn:aws:iam::111122223333:group/all",))), "key.users"),
        (StackPlan(key=KeyPlan(users=(ADMIN,), administrators=(ADMIN,))), "administer the key and sign"),
        (StackPlan(key=KeyPlan(account_delegation=False)), "nobody could manage"),
        (StackPlan(key=KeyPlan(arn=KEY, multi_region=True)), "existing key"),
        (StackPlan(key=KeyPlan(arn=KEY, replica_of=PRIMARY)), "existing key"),
        (StackPlan(key=KeyPlan(alias="alias/aws/lambda")), "alias"),
        (StackPlan(key=KeyPlan(alias="alias/a b")), "alias"),
        (StackPlan(key=KeyPlan(replica_of="nonsense")), "replica_of"),
        (StackPlan(key=KeyPlan(replica_of=KEY)), "replica_of"),
        (StackPlan(key=KeyPlan(replica_of=PRIMARY, multi_region=True)), "replica_of"),
        (StackPlan(api=ApiPlan(tls_policy="TLS_1_0")), "tls_policy"),
        (StackPlan(records=RecordsPlan(trail="Create")), "records.trail"),
        (StackPlan(records=RecordsPlan(trail="creat")), "records.trail"),
        (
            StackPlan(network=replace(NETWORK, clients=("10.0.0.0/99",)), api=ApiPlan(private=True)),
            "network.clients",
        ),
        (StackPlan(function=FunctionPlan(memory=64)), "function.memory"),
        (StackPlan(function=FunctionPlan(timeout=30)), "function.timeout"),
        (StackPlan(function=FunctionPlan(log_retention=100)), "function.log_retention"),
        (StackPlan(function=FunctionPlan(reserved_concurrency=0)), "reserved_concurrency"),
        (StackPlan(api=ApiPlan(stage="pro-d")), "api.stage"),
        (StackPlan(api=ApiPlan(stage="*")), "api.stage"),
        (StackPlan(api=ApiPlan(rate=0)), "api.rate"),
        (StackPlan(api=ApiPlan(private=True)), "api.private"),
        (StackPlan(api=ApiPlan(private=True), network=NETWORK), "nobody would reach"),
        (StackPlan(network=replace(NETWORK, clients=("10.0.0.0/8",))), "network.clients"),
        (StackPlan(network=replace(NETWORK, kms_endpoint="vpce-12345678")), "kms_endpoint"),
        (StackPlan(callers=CallersPlan(group="a/b")), "callers"),
        (StackPlan(callers=CallersPlan(roles=(ADMIN,))), "callers"),
        (StackPlan(network=NetworkPlan("vpc", ("subnet-12345678",))), "network.vpc"),
        (StackPlan(network=NetworkPlan("vpc-12345678", ())), "network.subnets"),
        (StackPlan(records=RecordsPlan(retention=2)), "records.retention"),
        (StackPlan(records=RecordsPlan(emails=("nobody",))), "records.emails"),
        (StackPlan(records=RecordsPlan(topic="topic")), "records.topic"),
        (
            StackPlan(records=RecordsPlan(topic=f"arn:aws:sns:us-east-1:{1:012}:t", emails=("a@b.c",))),
            "records.emails",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_plan_with_a_hole_is_refused_and_the_setting_named(plan: StackPlan, names: str) -> None:
    with pytest.raises(ConfigError, match=names):
        require_sound(plan)


def test_every_retention_is_one_that_cloudwatch_logs_takes() -> None:
    import boto3

    model: Any = boto3.client("logs", region_name="us-east-1").meta.service_model
    documented = model.shape_for("Days").documentation
    assert all(str(days) in documented for days in RETENTIONS)


def test_an_evm_key_is_of_the_kind_that_the_signer_asks_for() -> None:
    asked = evm.kms_request(bytes(range(32)))
    kind = KEY_KINDS["evm"]
    assert (kind.spec, kind.algorithm, kind.message_type) == (
        evm.KMS_KEY_SPEC,
        asked.signing_algorithm,
        asked.message_type,
    )
