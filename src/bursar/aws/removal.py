"""Remove what was deployed: the stack, the code it was deployed from, and the key where it is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bursar.aws import artifacts, safeguards, stacks
from bursar.aws.adoption import is_adopted, key_tags
from bursar.aws.cloud import Cloud, aws_errors
from bursar.aws.stacks import STACK_TAG, Stack, StackEvent
from bursar.aws.template import CODE_BUCKET
from bursar.errors import ConfigError, KmsKeyNotFound, StackError
from bursar.kms.keys import Keys

DELETION_DAYS = 30
_RECORDS = ("FunctionLog", "AccessLog", "TrailLog", "TrailBucket", "RecordsKey")


@dataclass(frozen=True, slots=True)
class Removal:
    """What `destroy` left. `key_deleted_on` is when AWS deletes the key, None where it is kept.

    `kept` are the records, by what they were called in the stack: they are evidence, and stay until somebody
    deletes them. `ledger` is the table of what was signed by a policy, which stays too: a new stack without it
    would count from nothing.
    """

    stack: str
    key_arn: str | None
    key_deleted_on: datetime | None
    kept: Mapping[str, str] = field(default_factory=dict)
    ledger: str | None = None


def destroy(
    cloud: Cloud, stack: str, tell: Callable[[StackEvent], None], *, delete_key: str | None = None
) -> Removal:
    """Delete a stack, protected or not, and the code it was deployed from. The key stays, and with it its address.

    With `delete_key`, which must be the key's own alias, the alias goes at once and the key after 30 days. It can
    be run again where it was interrupted: without the stack, a key is known by the tag that its stack gave it.

    Raises:
        ConfigError: `delete_key` is not the alias of this stack's key; nothing was deleted.
        StackError: there is no such stack, or not of ours; or it could not be deleted, with the first cause.
        AwsError: AWS refused or could not be reached.
    """
    found, kept = stacks.settle(cloud, stack, tell), {}
    ledger = found.outputs.get("LedgerTable") if found else None
    if found is None and delete_key is not None:
        key_arn: str | None = _left_key(cloud, delete_key, stack)
    else:
        found = stacks.required(found, stack)
        if not is_adopted(cloud, found):
            stacks.require_ours(found)
        key_arn = found.outputs.get("KeyArn")
        if delete_key is not None:
            key_arn = _confirmed_key(cloud, delete_key, found)
        kept = _records(cloud, found)
        safeguards.release(cloud, found.id)
        _let_callers_go(cloud, found)
        stacks.delete(cloud, stack, tell)
    artifacts.remove(cloud, stack, found.parameters.get(CODE_BUCKET) if found else None)
    deleted_on = _delete_key(cloud, delete_key, key_arn) if delete_key and key_arn else None
    return Removal(stack, key_arn, deleted_on, kept, ledger)


def _records(cloud: Cloud, stack: Stack) -> dict[str, str]:
    held = stacks.resource_ids(cloud, stack.id)
    return {name: held[name] for name in _RECORDS if held.get(name)}


def _let_callers_go(cloud: Cloud, stack: Stack) -> None:
    """Take the callers' policy from whoever was given it by hand, and its members out of the group.

    IAM deletes neither while it is in use, and CloudFormation takes back only what it gave itself.
    """
    iam: Any = cloud.client("iam")
    with aws_errors():
        # From what the stack holds, not from its outputs: whoever may update a stack writes those as they like.
        held = stacks.resource_ids(cloud, stack.id)
        policy, own_group = held.get("InvokePolicy"), held.get("CallersGroup")
        # CloudFormation takes the policy back from those whom it gave it to.
        kept = {*stack.outputs.get("Callers", "").split(","), stack.outputs.get("CallersGroup")}
        pages = iam.get_paginator("list_entities_for_policy")
        for page in pages.paginate(PolicyArn=policy) if policy else ():
            for user in page["PolicyUsers"]:
                iam.detach_user_policy(UserName=user["UserName"], PolicyArn=policy)
            for role in page["PolicyRoles"]:
                if role["RoleName"] not in kept:
                    iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=policy)
            for group in page["PolicyGroups"]:
                if group["GroupName"] not in kept:
                    iam.detach_group_policy(GroupName=group["GroupName"], PolicyArn=policy)
        for page in (
            iam.get_paginator("get_group").paginate(GroupName=own_group) if own_group else ()
        ):
            for user in page["Users"]:
                iam.remove_user_from_group(GroupName=own_group, UserName=user["UserName"])


def _confirmed_key(cloud: Cloud, alias: str, stack: Stack) -> str:
    expected = stack.outputs.get("KeyArn")
    key = Keys(cloud.kms).describe(alias)
    if not alias.startswith("alias/") or key.key_arn != expected:
        raise ConfigError(
            f"{alias} is not the alias of this stack's key", hint="`bursar aws status` shows it"
        )
    return key.key_arn


def _left_key(cloud: Cloud, alias: str, stack: str) -> str:
    """Return the key that a stack, gone by now, had made and left behind."""
    try:
        key = Keys(cloud.kms).describe(alias)
    except KmsKeyNotFound:
        raise StackError(f"there is neither a stack {stack} nor a key {alias}") from None
    tags = key_tags(cloud, key.key_arn)
    if not alias.startswith("alias/") or tags.get(STACK_TAG) != stack:
        raise ConfigError(
            f"there is no stack {stack}, and {alias} is not the alias of a key that it made",
            hint=f"to delete that key all the same: aws kms schedule-key-deletion --key-id {key.key_arn}",
        )
    return key.key_arn


def _delete_key(cloud: Cloud, alias: str, key_arn: str) -> datetime:
    # The alias goes last: until then the command can be run again, and finds the key by it.
    with aws_errors():
        deleted_on = cloud.kms.describe_key(KeyId=key_arn)["KeyMetadata"].get("DeletionDate")
        if deleted_on is None:
            answer = cloud.kms.schedule_key_deletion(
                KeyId=key_arn, PendingWindowInDays=DELETION_DAYS
            )
            deleted_on = answer["DeletionDate"]
        cloud.kms.delete_alias(AliasName=alias)
    return deleted_on
