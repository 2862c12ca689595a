"""Updates, rollbacks, drift and protection of a deployed stack; and what a deployment refuses to begin."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from bursar.aws import changes, deploy, drift, removal, safeguards, stacks
from bursar.aws.changes import Template
from bursar.aws.cloud import Cloud
from bursar.aws.plan import ApiPlan, CallersPlan, FunctionPlan, KeyPlan, StackPlan
from bursar.aws.remote import ApiSigner
from bursar.aws.template import build_template
from bursar.chains.evm import Scheme
from bursar.cli.main import run
from bursar.errors import (
    AwsCredentials,
    ConfigError,
    KeyReplacementForbidden,
    KmsRegionMismatch,
    StackError,
)
from tests.e2e.account import BLIND, HASH, REQUEST, STACK, Account


def signs(account: Account) -> bool:
    found = deploy.status(account.root(), STACK)
    with ApiSigner.open(found.url, str(found.address)) as signer:
        return signer.sign_hash(HASH, Scheme.EIP191).address == found.address


def test_an_update_changes_what_it_says_and_the_signer_goes_on(account: Account) -> None:
    first = account.deploy()
    function = replace(BLIND.function, memory=512)
    plan = replace(BLIND, function=function, api=replace(BLIND.api, rate=7))
    second = account.deploy(replace(REQUEST, plan=plan))
    assert (second.status, second.address) == ("UPDATE_COMPLETE", first.address)
    assert second.outputs["FunctionVersion"] != first.outputs["FunctionVersion"]
    assert second.differences == ()
    assert signs(account)


def test_a_version_that_was_replaced_is_gone(account: Account) -> None:
    account.deploy()
    account.deploy(replace(REQUEST, plan=StackPlan()))
    functions = account.client("lambda")
    listed = functions.list_versions_by_function(FunctionName="treasury-signer")["Versions"]
    # The first one allowed blind signing: whoever may invoke the function could still have used it.
    assert [each["Version"] for each in listed] == ["$LATEST", "2"]


def test_a_bad_update_is_rolled_back_and_the_signer_goes_on(account: Account) -> None:
    account.deploy()
    cloud = account.root()
    before = stacks.required(stacks.find_stack(cloud, STACK), STACK)
    template = build_template(replace(BLIND, emulated=True))
    template["Resources"]["Bad"] = {
        "Type": "AWS::KMS::Key",
        "Properties": {"KeySpec": "ECC_NONE", "KeyUsage": "SIGN_VERIFY", "KeyPolicy": {}},
    }
    preview = changes.preview(cloud, STACK, Template(json.dumps(template)), before.parameters)
    with pytest.raises(StackError, match=r"UPDATE_ROLLBACK_COMPLETE: Bad \(AWS::KMS::Key\)"):
        changes.apply(cloud, preview, account.events.append)
    assert signs(account)
    assert account.deploy(replace(REQUEST, plan=StackPlan())).status == "UPDATE_COMPLETE"


def test_what_was_changed_by_hand_is_found_as_drift(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    found = account.deploy()
    account.root()
    assert run(["aws", "drift", "--stack", STACK]) == 0
    assert "as deployed" in capsys.readouterr().out
    account.client("logs").put_retention_policy(
        logGroupName=found.outputs["LogGroup"], retentionInDays=1
    )
    seen = drift.detect(account.root(), STACK, lambda _: None)
    (log,) = seen.drifted
    assert (log.name, log.differences[0].path) == ("FunctionLog", "/RetentionInDays")
    assert (log.differences[0].expected, log.differences[0].actual) == ("365", "1")
    assert run(["aws", "drift", "--stack", STACK, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["drifted_count"] == 1


def test_the_stack_is_protected_from_deletion_and_its_key_from_replacement(
    account: Account,
) -> None:
    assert account.deploy().protected
    formation = account.client("cloudformation")
    with pytest.raises(ClientError, match="TerminationProtection"):
        formation.delete_stack(StackName=STACK)
    policy = json.loads(formation.get_stack_policy(StackName=STACK)["StackPolicyBody"])
    assert policy["Statement"][1]["Resource"] == "LogicalResourceId/SigningKey"
    safeguards.release(account.root(), STACK)
    assert not deploy.status(account.root(), STACK).protected
    assert account.deploy().protected


def test_a_change_that_would_take_the_key_from_its_stack_is_refused_and_leaves_nothing(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.deploy()
    made = account.client("kms").create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")
    other = replace(REQUEST, key=made["KeyMetadata"]["Arn"])
    with pytest.raises(KeyReplacementForbidden, match="remove SigningKey"):
        deploy.prepare(account.root(), other)
    listed = account.client("cloudformation").list_change_sets(StackName=STACK)["Summaries"]
    assert [each for each in listed if each["ExecutionStatus"] == "AVAILABLE"] == []
    arguments = ["aws", "plan", "--stack", STACK, "--key", made["KeyMetadata"]["Arn"]]
    assert run(arguments) == 3
    assert "deploy another stack" in capsys.readouterr().err
    assert signs(account)


def test_a_plan_shows_everything_and_leaves_nothing(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.root()
    assert run(["aws", "plan", "--stack", STACK]) == 0
    shown = capsys.readouterr()
    assert "SigningKey" in shown.out
    assert "AWS::KMS::Key" in shown.out
    assert stacks.find_stack(account.root(), STACK) is None
    assert account.client("s3").list_buckets()["Buckets"] == []
    account.deploy()
    assert run(["aws", "plan", "--stack", STACK, "--allow-blind-signing", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert (planned["changes"], planned["creates"]) == ([], False)


def test_a_stack_of_somebody_elses_is_neither_changed_nor_deleted(account: Account) -> None:
    formation = account.client("cloudformation")
    theirs = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    formation.create_stack(StackName=STACK, TemplateBody=json.dumps(theirs))
    cloud = account.root()
    for call in (
        lambda: deploy.prepare(cloud, REQUEST),
        lambda: removal.destroy(cloud, STACK, account.events.append),
    ):
        with pytest.raises(StackError, match="none of bursar's") as caught:
            call()
        assert "--stack" in str(caught.value.hint)
    assert formation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"] == (
        "CREATE_COMPLETE"
    )


def test_the_key_of_another_stack_is_not_taken_for_ones_own(account: Account) -> None:
    account.deploy()
    with pytest.raises(ConfigError, match="the key of the stack treasury") as caught:
        deploy.prepare(account.root(), replace(REQUEST, stack="second"))
    assert "--alias" in str(caught.value.hint)
    own = replace(BLIND, key=KeyPlan(alias="alias/second"))
    second = account.deploy(replace(REQUEST, stack="second", plan=own))
    assert second.outputs["KeyAlias"] == "alias/second"


def test_a_key_in_another_region_is_refused_before_anything_is_made(account: Account) -> None:
    elsewhere = "arn:aws:kms:eu-west-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    with pytest.raises(KmsRegionMismatch, match="eu-west-1") as caught:
        deploy.prepare(account.root(), replace(REQUEST, key=elsewhere))
    assert "Region" in str(caught.value.hint)
    assert stacks.find_stack(account.root(), STACK) is None


def test_an_expired_session_is_said_to_be_expired_and_the_command_can_be_run_again(
    account: Account,
) -> None:
    account.assume_role("deployer", "arn:aws:iam::aws:policy/AdministratorAccess")
    account.monkeypatch.setenv("AWS_SESSION_TOKEN", "no-longer-valid")
    with pytest.raises(AwsCredentials):
        deploy.prepare(Cloud(), REQUEST)
    assert account.deploy().status == "CREATE_COMPLETE"


def test_a_deployment_that_stopped_half_way_is_finished_by_the_next(account: Account) -> None:
    cloud = account.root()
    prepared = deploy.prepare(cloud, REQUEST)
    # As after Ctrl-C: the order is given, and nobody follows it or protects the stack.
    cloud.cloudformation.execute_change_set(
        ChangeSetName=prepared.preview.change_set, StackName=STACK
    )
    found = account.deploy()
    assert (found.status, found.protected) == ("CREATE_COMPLETE", True)


def test_settings_that_the_emulator_cannot_create_are_left_out_of_the_rest(
    account: Account,
) -> None:
    plan = StackPlan(
        function=FunctionPlan(blind_signing=True, tracing=True),
        api=ApiPlan(stage="live", access_logs=True),
        callers=CallersPlan(group="payers"),
    )
    found = account.deploy(replace(REQUEST, plan=plan))
    assert (found.outputs["Stage"], found.outputs["Trail"]) == ("live", "none")
    assert "CallersGroup" not in found.outputs


def test_a_template_too_long_for_one_call_is_deployed_from_the_bucket(account: Account) -> None:
    from bursar.aws import artifacts

    cloud = account.root()
    template = build_template(StackPlan(compute="ecs", emulated=True))
    long = {**template, "Metadata": {"filler": "x" * artifacts.MAX_TEMPLATE_BYTES}}
    assert artifacts.template(cloud, template, STACK).url == ""
    placed = artifacts.template(cloud, long, STACK)
    assert placed.url.endswith(".json")
    preview = changes.preview(cloud, STACK, placed, {})
    assert changes.apply(cloud, preview, account.events.append).status == "CREATE_COMPLETE"


def test_a_key_of_another_account_that_may_not_be_looked_at_is_said_to_be_its(
    account: Account,
) -> None:
    theirs = "arn:aws:kms:us-east-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    with pytest.raises(ConfigError, match="the account 999988887777's") as caught:
        deploy.prepare(account.root(), replace(REQUEST, key=theirs))
    assert "kms:Sign" in str(caught.value.hint)
    assert stacks.find_stack(account.root(), STACK) is None


def test_a_long_template_that_was_swapped_in_the_bucket_is_never_executed(account: Account) -> None:
    from bursar.aws import artifacts

    cloud = account.root()
    template = build_template(StackPlan(compute="ecs", emulated=True))
    long = {**template, "Metadata": {"filler": "x" * artifacts.MAX_TEMPLATE_BYTES}}
    placed = artifacts.template(cloud, long, STACK)
    bucket, key = placed.url.split("/", 4)[3:]
    other = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    account.client("s3").put_object(Bucket=bucket, Key=key, Body=other.encode())
    with pytest.raises(StackError, match="another template"):
        changes.preview(cloud, STACK, placed, {})
    assert stacks.find_stack(cloud, STACK) is None


def test_a_key_that_somebody_put_under_the_alias_beforehand_is_not_taken_for_the_treasurys(
    account: Account,
) -> None:
    kms = account.client("kms")
    made = kms.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/bursar-treasury", TargetKeyId=made)
    with pytest.raises(ConfigError, match="no stack of this program made") as caught:
        deploy.prepare(account.root(), REQUEST)
    assert f"--key {made}" in str(caught.value.hint)
    assert account.deploy(replace(REQUEST, key=made)).outputs["KeyArn"] == made


def test_a_removal_goes_by_what_the_stack_holds_and_not_by_what_its_outputs_say(
    account: Account,
) -> None:
    account.deploy()
    cloud, iam = account.root(), account.client("iam")
    reading = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [reading]}
    other = iam.create_policy(PolicyName="other", PolicyDocument=json.dumps(document))
    arn = other["Policy"]["Arn"]
    account.user("alice", arn)
    account.root()
    before = stacks.required(stacks.find_stack(cloud, STACK), STACK)
    formation = account.client("cloudformation")
    template = formation.get_template(StackName=STACK)["TemplateBody"]
    template["Outputs"]["InvokePolicyArn"]["Value"] = arn
    template["Resources"]["AlarmTopic"]["Properties"]["DisplayName"] = "other"
    changed = changes.preview(cloud, STACK, Template(json.dumps(template)), before.parameters)
    changes.apply(cloud, changed, account.events.append)
    removal.destroy(account.root(), STACK, account.events.append)
    attached = account.client("iam").list_attached_user_policies(UserName="alice")
    assert [each["PolicyArn"] for each in attached["AttachedPolicies"]] == [arn]
