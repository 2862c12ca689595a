"""Remove a deployed signer, and creations that failed."""

from __future__ import annotations

import json

import pytest

from bursar.aws import deploy, removal, safeguards, stacks
from bursar.aws.plan import StackPlan
from bursar.aws.remote import ApiSigner
from bursar.aws.stacks import Template
from bursar.aws.template import build_template, template_text
from bursar.chains.evm import Scheme
from bursar.errors import (
    ConfigError,
    StackError,
)
from tests.e2e.account import HASH, REQUEST, STACK, Account

PLAN = StackPlan(emulated=True)


def test_destroying_keeps_the_key_and_deploying_again_finds_it(account: Account) -> None:
    first = account.deploy()
    cloud = account.root()
    left = removal.destroy(cloud, STACK, account.events.append)
    assert (left.key_arn, left.key_deleted_on) == (first.outputs["KeyArn"], None)
    assert stacks.find_stack(cloud, STACK) is None
    assert account.zips() == []

    second = account.deploy()
    assert (second.address, second.outputs["KeyArn"]) == (first.address, first.outputs["KeyArn"])
    with ApiSigner.open(second.url, str(second.address)) as signer:
        signer.sign_hash(HASH, Scheme.EIP191)


def test_a_key_goes_only_when_its_own_alias_is_named(account: Account) -> None:
    found = account.deploy()
    account.client("kms").create_alias(
        AliasName="alias/other",
        TargetKeyId=account.client("kms").create_key()["KeyMetadata"]["KeyId"],
    )
    cloud = account.root()
    for wrong in ("alias/other", found.outputs["KeyArn"]):
        with pytest.raises(ConfigError):
            removal.destroy(cloud, STACK, account.events.append, delete_key=wrong)
    assert stacks.find_stack(cloud, STACK) is not None

    left = removal.destroy(cloud, STACK, account.events.append, delete_key="alias/bursar-treasury")
    assert left.key_deleted_on is not None
    key = account.client("kms").describe_key(KeyId=found.outputs["KeyArn"])["KeyMetadata"]
    assert key["KeyState"] == "PendingDeletion"


@pytest.mark.parametrize("scheduled", [False, True])
def test_a_removal_of_stack_and_key_that_was_interrupted_is_run_again(
    account: Account, *, scheduled: bool
) -> None:
    found = account.deploy()
    cloud, kms = account.root(), account.client("kms")
    safeguards.release(cloud, STACK)
    stacks.delete(cloud, STACK, account.events.append)
    if scheduled:
        kms.schedule_key_deletion(KeyId=found.outputs["KeyArn"], PendingWindowInDays=30)
    assert account.zips() != []

    with pytest.raises(StackError, match="there is no stack"):
        removal.destroy(cloud, STACK, account.events.append)
    with pytest.raises(ConfigError):
        removal.destroy(cloud, "else", account.events.append, delete_key="alias/bursar-treasury")
    left = removal.destroy(cloud, STACK, account.events.append, delete_key="alias/bursar-treasury")
    assert (left.key_arn, account.zips()) == (found.outputs["KeyArn"], [])
    assert left.key_deleted_on is not None
    key = kms.describe_key(KeyId=left.key_arn)["KeyMetadata"]
    assert key["KeyState"] == "PendingDeletion"
    with pytest.raises(StackError, match="neither"):
        removal.destroy(cloud, STACK, account.events.append, delete_key="alias/bursar-treasury")


def test_a_failed_creation_names_its_first_cause_and_the_next_one_finishes_it(
    account: Account,
) -> None:
    parameters = {"CodeBucket": "bucket", "CodeKey": "none", "CodeSha256": "none"}
    cloud = account.root()
    template = template_text(PLAN).replace("ECC_SECG_P256K1", "ECC_NONE")
    preview = stacks.preview(cloud, STACK, Template(template), parameters)
    with pytest.raises(StackError) as caught:
        stacks.apply(cloud, preview, account.events.append)
    first = next(event for event in account.events if event.failed)
    assert first.reason
    assert first.name == "SigningKey"
    assert first.name in caught.value.message
    assert "deploy again" in str(caught.value.hint)

    # A plan looks only; a deployment clears what is left away.
    with pytest.raises(StackError, match="ROLLBACK_COMPLETE"):
        deploy.prepare(cloud, REQUEST, upload=False)
    assert account.deploy().status == "CREATE_COMPLETE"


def test_a_failed_creation_leaves_no_key_behind(account: Account) -> None:
    cloud = account.root()
    template = build_template(PLAN)
    bad = json.loads(json.dumps(template["Resources"]["SigningKey"]).replace("SECG", "NO"))
    template["Resources"]["Bad"] = {**bad, "DependsOn": ["SigningKey", "SigningKeyAlias"]}
    parameters = {"CodeBucket": "bucket", "CodeKey": "none", "CodeSha256": "none"}
    preview = stacks.preview(cloud, STACK, Template(json.dumps(template)), parameters)
    with pytest.raises(StackError, match="ROLLBACK_COMPLETE"):
        stacks.apply(cloud, preview, account.events.append)
    assert "SigningKey" in {event.name for event in account.events if not event.failed}
    kms = account.client("kms")
    states = [
        kms.describe_key(KeyId=each["KeyId"])["KeyMetadata"]["KeyState"]
        for each in kms.list_keys()["Keys"]
    ]
    assert set(states) == {"PendingDeletion"}
    names = [each["AliasName"] for each in kms.list_aliases()["Aliases"]]
    assert "alias/bursar-treasury" not in names


def test_a_template_cloudformation_turns_down_leaves_no_stack(account: Account) -> None:
    template = json.dumps({"Resources": {"X": {"Type": "AWS::No::Such"}}, "Outputs": {}})
    cloud = account.root()
    with pytest.raises(StackError):
        stacks.apply(
            cloud, stacks.preview(cloud, STACK, Template(template), {}), account.events.append
        )
