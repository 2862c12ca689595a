"""Which table is the key's memory: the stack's own, one that an earlier stack left, or a new one.

A policy's windows are sums over what was signed. A new table is a memory with nothing in it: what was spent today
could be spent again. So a deployment that would make one, where an earlier stack of this name left one, has to be
told which it is to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bursar.aws import stacks
from bursar.aws.cloud import Cloud, aws_errors, error_code
from bursar.aws.environment import LEDGER_KEYS
from bursar.aws.plan import NEW_LEDGER, StackPlan
from bursar.aws.stacks import STACK_TAG, Stack
from bursar.aws.template.ledger import LEDGER
from bursar.errors import ConfigError

_FORGETS = "ledger: a new table is made, with nothing in it: what was spent and agreed to before is not counted"
_APART = (
    "ledger: the key signs in other Regions too, and each stack has a table of its own: every limit holds in each "
    "Region for itself"
)


def require_memory(cloud: Cloud, plan: StackPlan, stack: Stack | None, name: str) -> None:
    """Refuse a plan that would forget what was signed, or that remembers in what is no such table.

    Only with a policy. It costs `dynamodb:DescribeTable` for a table that is named; `dynamodb:ListTables` and
    `ListTagsOfResource` where one would be made.

    Raises:
        ConfigError: a table of an earlier stack is there, and neither it nor `new` is named; or the one that is
            named is not there, or has other keys.
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    if plan.policy is None:
        return
    if plan.records.ledger_name is not None:
        _require_table(cloud, plan.records.ledger_name)
        return
    if plan.records.ledger == NEW_LEDGER or not makes_new_table(cloud, plan, stack):
        return
    if left := left_tables(cloud, name):
        raise ConfigError(
            f"an earlier stack {name} left its table of what was signed: {', '.join(left)}",
            hint=f'to go on with it, in bursar.toml: [records] ledger = "{left[0]}"; ledger = "{NEW_LEDGER}" '
            "makes another, and forgets what was spent",
        )


def notes(cloud: Cloud, plan: StackPlan, stack: Stack | None) -> list[str]:
    """Return what whoever deploys a plan should know of the key's memory. It costs what `makes_new_table` does."""
    if plan.policy is None:
        return []
    found = [_FORGETS] if makes_new_table(cloud, plan, stack) else []
    before, named = stack.outputs.get("LedgerTable") if stack else None, plan.records.ledger_name
    if before and named and named != before:
        found.append(f"ledger: the key will remember by {named}, and no longer by {before}")
    if plan.key.multi_region or plan.key.replica_of:
        found.append(_APART)
    if plan.key.users:
        found.append("policy: key.users sign past the function, and so without the policy")
    return found


def makes_new_table(cloud: Cloud, plan: StackPlan, stack: Stack | None) -> bool:
    """Tell whether deploying a plan makes a table. It costs `cloudformation:ListStackResources`."""
    if plan.policy is None or plan.records.ledger_name is not None:
        return False
    return stack is None or LEDGER not in stacks.resource_ids(cloud, stack.name)


def left_tables(cloud: Cloud, name: str) -> list[str]:
    """Return the names of the tables that stacks of this name made.

    It costs `dynamodb:ListTables` and `dynamodb:ListTagsOfResource`.

    Raises:
        AwsError, AwsAccessDenied, AwsCredentials: AWS refused or could not be reached.
    """
    client: Any = cloud.client("dynamodb")
    prefix = f"{name}-{LEDGER}-"
    with aws_errors():
        pages = client.get_paginator("list_tables").paginate()
        named = [each for page in pages for each in page["TableNames"] if each.startswith(prefix)]
        return [each for each in named if (STACK_TAG, name) in _tags(cloud, client, each)]


def _tags(cloud: Cloud, client: Any, table: str) -> Iterator[tuple[str, str]]:
    arn = f"arn:{cloud.partition}:dynamodb:{cloud.region}:{cloud.account}:table/{table}"
    for page in client.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn):
        yield from ((each["Key"], each["Value"]) for each in page["Tags"])


def _require_table(cloud: Cloud, name: str) -> None:
    from botocore.exceptions import ClientError

    client: Any = cloud.client("dynamodb")
    with aws_errors():
        try:
            found = client.describe_table(TableName=name)["Table"]
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            raise ConfigError(
                f"records.ledger: there is no table {name} in {cloud.region}",
                hint="leave it out, and the stack makes one",
            ) from None
    keys = {each["KeyType"]: each["AttributeName"] for each in found["KeySchema"]}
    if (keys.get("HASH"), keys.get("RANGE")) != LEDGER_KEYS:
        raise ConfigError(
            f"records.ledger: {name} is another table: its keys are not {' and '.join(LEDGER_KEYS)}",
            hint="name one that a stack of bursar's left; `bursar aws destroy` says its name",
        )
