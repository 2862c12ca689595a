"""Remove a deployed signer, and creations that failed."""

from __future__ import annotations

import json

import pytest

from bursar.aws import changes, deploy, removal, safeguards, stacks
from bursar.aws.changes import Template
from bursar.aws.plan import StackPlan
from bursar.aws.remote import ApiSigner
from bursar.aws.template import build_template, template_text
from bursar.chains.evm import Scheme
from bursar.errors import (
    ConfigError,
    StackError,
)
from tests.e2e.account import HASH, REQUEST, STACK, Account

PLAN = StackPlan(emulated=True)


def test_destroying_keeps_the_key_and_deploying_again_takes_it_back(account: Account) -> None:
    first = account.deploy()
    cloud = account.root()
    left = removal.destroy(cloud, STACK, account.events.append)
    assert (left.key_arn, left.key_deleted_on) == (first.outputs["KeyArn"], None)
    assert stacks.find_stack(cloud, STACK) is None
    assert account.zips() == []
    assert left.kept["FunctionLog"] == first.outputs["LogGroup"]
    groups = account.client("logs").describe_log_groups()["logGroups"]
    assert first.outputs["LogGroup"] in {each["logGroupName"] for each in groups}

    second = account.deploy()
    assert (second.address, second.outputs["KeyArn"]) == (first.address, first.outputs["KeyArn"])
    with ApiSigner.open(second.url, str(second.address)) as signer:
        signer.sign_hash(HASH, Scheme.EIP191)
    # It is the stack's own again, not an existing key that merely gets used.
    assert "SigningKey" in stacks.resource_ids(account.root(), STACK)
    assert second.protected


def test_a_key_that_is_taken_back_gets_the_policy_that_the_settings_ask_for(
    account: Account,
) -> None:
    found = account.deploy()
    cloud, kms, key = account.root(), account.client("kms"), found.outputs["KeyArn"]
    removal.destroy(cloud, STACK, account.events.append)
    # As in a network that is gone: under this nobody signs any more.
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    nobody = {"StringNotEquals": {"aws:SourceVpce": "vpce-00000000000000000"}}
    policy["Statement"].append(
        {
            "Sid": "OnlyFromTheNetwork",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "kms:Sign",
            "Resource": "*",
            "Condition": nobody,
        }
    )
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))

    looked = deploy.prepare(cloud, REQUEST, upload=False)
    assert "takes it back first" in looked.notes[0]
    changes.discard(cloud, looked.preview)
    again = account.deploy()
    text = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    assert "OnlyFromTheNetwork" not in text
    with ApiSigner.open(again.url, str(again.address)) as signer:
        signer.sign_hash(HASH, Scheme.EIP191)


def test_an_adoption_that_was_interrupted_is_gone_on_with(account: Account) -> None:
    account.deploy()
    cloud = account.root()
    removal.destroy(cloud, STACK, account.events.append)
    deploy.prepare(cloud, REQUEST)  # and nobody finishes it
    stack = stacks.required(stacks.find_stack(cloud, STACK), STACK)
    assert (stack.status, dict(stack.outputs)) == ("IMPORT_COMPLETE", {})
    assert account.deploy().status == "UPDATE_COMPLETE"


def test_those_who_were_given_the_right_to_ask_do_not_keep_the_stack_from_going(
    account: Account,
) -> None:
    found = account.deploy()
    iam, policy = account.client("iam"), found.outputs["InvokePolicyArn"]
    iam.create_group(GroupName="payers")
    iam.attach_group_policy(GroupName="payers", PolicyArn=policy)
    account.assume_role("worker", policy)
    account.user("alice", policy)
    removal.destroy(account.root(), STACK, account.events.append)
    assert stacks.find_stack(account.root(), STACK) is None
    iam = account.client("iam")
    assert iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"] == []
    assert iam.list_attached_group_policies(GroupName="payers")["AttachedPolicies"] == []


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
    preview = changes.preview(cloud, STACK, Template(template), parameters)
    with pytest.raises(StackError) as caught:
        changes.apply(cloud, preview, account.events.append)
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
    preview = changes.preview(cloud, STACK, Template(json.dumps(template)), parameters)
    with pytest.raises(StackError, match="ROLLBACK_COMPLETE"):
        changes.apply(cloud, preview, account.events.append)
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
        changes.apply(
            cloud, changes.preview(cloud, STACK, Template(template), {}), account.events.append
        )
