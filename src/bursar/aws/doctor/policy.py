"""The policy and the key's memory: is what is deployed what the settings say, and is the table there and safe?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bursar.aws.cloud import aws_errors, error_code
from bursar.aws.doctor.case import Case
from bursar.aws.doctor.checks import Check, fail, ok, skip, warn
from bursar.aws.environment import LEDGER_KEYS

_MEMORY = "policy.memory"


def policy(case: Case) -> Iterator[Check]:
    """Is the deployed policy the one that the settings name? It costs nothing."""
    here, outputs = case.plan.policy, case.outputs
    if case.stack is None:
        yield skip("policy", case.why_not)
        return
    there = outputs.get("PolicyHash")
    deployed = f"version {outputs.get('PolicyVersion')} is deployed"
    if there is None and here is None:
        yield skip("policy", "none is deployed: the function has no rules of its own")
    elif there is None and here is not None:
        yield warn(
            "policy", f"version {here.version} is not deployed", "`bursar aws deploy` does it"
        )
    elif here is None:
        yield skip(
            "policy", f"{deployed}; there is no file here to compare", "name it with --policy"
        )
    elif here.hash == there:
        yield ok("policy", f"{deployed}, {there}, as in the file")
    else:
        yield warn(
            "policy",
            f"{deployed}, {there}; the file is version {here.version}, {here.hash}",
            "`bursar aws plan` shows the rules that differ",
        )


def memory(case: Case) -> Iterator[Check]:
    """Is the table of what was signed there, safe from deletion and backed up?

    It costs `dynamodb:DescribeTable` and `dynamodb:DescribeContinuousBackups`.
    """
    name = case.outputs.get("LedgerTable")
    if name is None:
        yield skip(_MEMORY, "without a policy there is no table")
        return
    found = _table(case, name)
    if found is None:
        yield fail(
            _MEMORY,
            f"{name} is gone, and with it what was spent and agreed to",
            "find out who deleted it; its backups: "
            f"aws dynamodb list-backups --table-name {name} --backup-type ALL",
        )
        return
    yield from _safe(name, found)
    if not case.cloud.emulated:  # the emulator says of every table that it has none
        yield from _backed_up(case, name)


def _table(case: Case, name: str) -> Mapping[str, Any] | None:
    from botocore.exceptions import ClientError

    client: Any = case.cloud.client("dynamodb")
    with aws_errors():
        try:
            found: Mapping[str, Any] = client.describe_table(TableName=name)["Table"]
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return None
            raise
    return found


def _safe(name: str, found: Mapping[str, Any]) -> Iterator[Check]:
    keys = {each["KeyType"]: each["AttributeName"] for each in found["KeySchema"]}
    if (keys.get("HASH"), keys.get("RANGE")) != LEDGER_KEYS:
        yield fail(_MEMORY, f"{name} is another table: its keys are {keys}", "`bursar aws drift`")
    elif found["TableStatus"] not in ("ACTIVE", "UPDATING"):
        why = "without its customer key nothing of it can be read; is that key enabled?"
        yield fail(_MEMORY, f"{name} is {found['TableStatus']}", why)
    else:
        yield ok(_MEMORY, f"{name} is {found['TableStatus']}")
    if not found.get("DeletionProtectionEnabled"):
        yield fail(
            f"{_MEMORY}.protection",
            f"{name} could be deleted, and what was spent forgotten",
            f"aws dynamodb update-table --table-name {name} --deletion-protection-enabled",
        )


def _backed_up(case: Case, name: str) -> Iterator[Check]:
    client: Any = case.cloud.client("dynamodb")
    with aws_errors():
        found = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    if found.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != (
        "ENABLED"
    ):
        yield warn(
            f"{_MEMORY}.backup",
            f"{name} could not be put back to an earlier moment",
            f"aws dynamodb update-continuous-backups --table-name {name} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
        )
