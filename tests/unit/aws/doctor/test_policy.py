from __future__ import annotations

from typing import Any

import pytest

from bursar.aws.cloud import Cloud
from bursar.aws.doctor import policy
from bursar.aws.plan import StackPlan
from tests.fakes.policies import RAISED, planned
from tests.unit.aws.doctor.cases import case, cloud, only, refused, service, stack, told

TABLE = "treasury-Ledger-1A2B"
BY_POLICY = stack(PolicyHash=planned().hash, PolicyVersion="1", LedgerTable=TABLE)
KEYS = [
    {"KeyType": "HASH", "AttributeName": "book"},
    {"KeyType": "RANGE", "AttributeName": "entry"},
]


def tables(*, backed_up: bool = True, emulated: bool = False, **changes: Any) -> Cloud:
    described = {
        "KeySchema": KEYS,
        "TableStatus": "ACTIVE",
        "DeletionProtectionEnabled": True,
        **changes,
    }
    recovery = {"PointInTimeRecoveryStatus": "ENABLED" if backed_up else "DISABLED"}
    return cloud(
        emulated=emulated,
        dynamodb=service(
            describe_table={"Table": described},
            describe_continuous_backups={
                "ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": recovery}
            },
        ),
    )


@pytest.mark.parametrize(
    ("there", "here", "status", "words"),
    [
        (None, None, "skip", "not deployed yet"),
        (stack(), None, "skip", "no rules of its own"),
        (stack(), planned(), "warn", "version 1 is not deployed"),
        (BY_POLICY, None, "skip", "no file here"),
        (BY_POLICY, planned(), "ok", "as in the file"),
        (BY_POLICY, planned(RAISED), "warn", "the file is version 2"),
    ],
)
def test_the_deployed_policy_is_compared_with_the_settings(
    there: Any, here: Any, status: str, words: str
) -> None:
    found = only(policy.policy(case(cloud(), there, plan=StackPlan(policy=here))))
    assert found.status == status
    assert words in found.detail


def test_a_table_that_is_there_protected_and_backed_up_passes() -> None:
    assert told(policy.memory(case(tables(), BY_POLICY))) == {"policy.memory": "ok"}
    assert told(policy.memory(case(tables(), stack()))) == {"policy.memory": "skip"}


def test_a_table_that_is_gone_fails() -> None:
    gone = cloud(dynamodb=service(describe_table=refused("ResourceNotFoundException")))
    found = only(policy.memory(case(gone, BY_POLICY)))
    assert (found.status, TABLE in found.detail) == ("fail", True)


@pytest.mark.parametrize(
    ("changes", "name", "status"),
    [
        ({"DeletionProtectionEnabled": False}, "policy.memory.protection", "fail"),
        ({"backed_up": False}, "policy.memory.backup", "warn"),
        ({"TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS"}, "policy.memory", "fail"),
        ({"KeySchema": KEYS[:1]}, "policy.memory", "fail"),
    ],
)
def test_a_table_that_could_forget_is_told(changes: Any, name: str, status: str) -> None:
    assert told(policy.memory(case(tables(**changes), BY_POLICY)))[name] == status


def test_of_the_emulators_backups_nothing_is_said() -> None:
    local = tables(backed_up=False, emulated=True)
    assert told(policy.memory(case(local, BY_POLICY))) == {"policy.memory": "ok"}
