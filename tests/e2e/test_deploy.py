"""Deploy to an emulated AWS that checks signatures, IAM and key policies, and use what was deployed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bursar.aws import changes, deploy, removal, stacks
from bursar.aws.cloud import Cloud
from bursar.aws.plan import StackPlan
from bursar.aws.remote import ApiSigner, LambdaSigner
from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.cli.main import run
from bursar.errors import (
    AwsAccessDenied,
    AwsCredentials,
    ConfigError,
    SigningServiceDenied,
    SigningServiceRefused,
    StackError,
)
from tests.e2e.account import HASH, REQUEST, STACK, Account
from tests.fakes.aws_root import ROOT

SHUT = replace(REQUEST, plan=StackPlan())


def test_a_deployed_signer_signs_for_those_who_may_ask_and_for_nobody_else(
    account: Account,
) -> None:
    found = account.deploy()
    assert found.status == "CREATE_COMPLETE"
    assert found.address is not None
    digest = evm.eip191_digest(HASH)

    alice = account.user("alice", found.outputs["InvokePolicyArn"])
    with ApiSigner.open(found.url, found.address) as signer:
        signed = signer.sign_hash(HASH, Scheme.EIP191)
    evm.parse_signature(signed.signature.to_bytes(), digest, found.address)
    with pytest.raises(SigningServiceDenied):
        LambdaSigner("treasury-signer", found.address, alice).sign_hash(HASH, Scheme.RAW)

    account.user("mallory")
    with ApiSigner.open(found.url, found.address) as signer, pytest.raises(SigningServiceDenied):
        signer.sign_hash(HASH, Scheme.EIP191)
    root = LambdaSigner(found.outputs["FunctionName"], found.address, account.root())
    assert root.sign_hash(HASH, Scheme.EIP191).digest == digest


def test_a_role_may_ask_as_a_user_may_and_a_role_without_the_policy_may_not(
    account: Account,
) -> None:
    found = account.deploy()
    for name, allowed in (("payer", True), ("watcher", False)):
        account.assume_role(name, found.outputs["InvokePolicyArn"] if allowed else None)
        with ApiSigner.open(found.url, str(found.address)) as signer:
            if allowed:
                assert signer.sign_hash(HASH, Scheme.EIP191).address == found.address
            else:
                with pytest.raises(SigningServiceDenied):
                    signer.sign_hash(HASH, Scheme.EIP191)


def test_a_wrong_secret_is_said_to_be_and_not_a_missing_permission(account: Account) -> None:
    found = account.deploy()
    account.user("alice", found.outputs["InvokePolicyArn"])
    account.become(os.environ["AWS_ACCESS_KEY_ID"], "not-the-secret")
    with ApiSigner.open(found.url, str(found.address)) as signer, pytest.raises(AwsCredentials):
        signer.sign_hash(HASH, Scheme.EIP191)


def test_an_unsigned_call_is_turned_away_and_curl_signs_as_the_guide_says(account: Account) -> None:
    found = account.deploy()
    body = json.dumps({"messageHash": "0x" + HASH.hex(), "signerAddress": found.address})
    curl = [str(shutil.which("curl")), "-sS", "--data", body, found.url, "-w", "\n%{http_code}"]
    unsigned = subprocess.run(curl, capture_output=True, text=True, check=True)
    assert unsigned.stdout.endswith("\n403")
    user = f"{ROOT.access_key_id}:{ROOT.secret_access_key}"
    signing = ["--aws-sigv4", "aws:amz:us-east-1:execute-api", "--user", user]
    signed = subprocess.run([*curl, *signing], capture_output=True, text=True, check=True)
    answer, _, status = signed.stdout.rpartition("\n")
    assert status == "200"
    signature = bytes.fromhex(json.loads(answer)["signature"][2:])
    evm.parse_signature(signature, evm.eip191_digest(HASH), str(found.address))


def test_the_functions_role_may_use_its_own_key_only(account: Account) -> None:
    found = account.deploy()
    other = account.client("kms").create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")
    functions = account.client("lambda")
    name = found.outputs["FunctionName"]
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    variables["KMS_KEY_ID"] = other["KeyMetadata"]["Arn"]
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    answer = functions.invoke(
        FunctionName=name,
        Payload=json.dumps({"messageHash": HASH.hex(), "signerAddress": found.address}),
    )
    result = json.loads(answer["Payload"].read())
    assert (result["statusCode"], result["error"]["code"]) == (502, "kms_access_denied")


def test_deploying_again_changes_nothing_and_an_option_changes_only_what_it_must(
    account: Account,
) -> None:
    first = account.deploy()
    cloud = account.root()
    assert deploy.prepare(cloud, REQUEST).preview.changes == ()

    shut = deploy.prepare(cloud, SHUT)
    assert "Function" in {change.name for change in shut.preview.changes}
    # The version is frozen: a changed setting is a new one, and the alias leads to it.
    others = {c.kind for c in shut.preview.changes if c.action != "Modify"}
    assert others == {"AWS::Lambda::Version"}
    assert not any("Key" in change.name for change in shut.preview.changes)
    again = deploy.finish(cloud, shut, account.events.append)
    assert (again.address, again.url) == (first.address, first.url)
    with (
        ApiSigner.open(again.url, str(again.address)) as signer,
        pytest.raises(SigningServiceRefused) as caught,
    ):
        signer.sign_hash(HASH, Scheme.RAW)
    assert caught.value.reason == "blind_signing_disabled"


def test_a_no_to_an_old_preview_leaves_the_signer_that_was_deployed_since(account: Account) -> None:
    cloud = account.root()
    mine = deploy.prepare(cloud, REQUEST)
    theirs = deploy.prepare(cloud, REQUEST)
    assert mine.preview.creates
    deploy.finish(cloud, theirs, account.events.append)

    changes.discard(cloud, mine.preview)
    assert deploy.status(cloud, STACK).status == "CREATE_COMPLETE"


@pytest.mark.parametrize(
    ("state", "way_out"), [("PendingDeletion", "cancel-key-deletion"), ("Disabled", "enable-key")]
)
def test_a_stack_whose_own_key_cannot_sign_shows_it_and_is_not_deployed_again(
    account: Account, state: str, way_out: str
) -> None:
    found = account.deploy()
    cloud, kms = account.root(), account.client("kms")
    assert found.key_state == "Enabled"
    if state == "Disabled":
        kms.disable_key(KeyId=found.outputs["KeyArn"])
    else:
        kms.schedule_key_deletion(KeyId=found.outputs["KeyArn"], PendingWindowInDays=7)
    assert deploy.status(cloud, STACK).key_state == state
    with pytest.raises(ConfigError, match=state) as caught:
        deploy.prepare(cloud, REQUEST)
    assert way_out in str(caught.value.hint)


def test_an_existing_key_is_used_and_its_address_pinned(account: Account) -> None:
    kms = account.client("kms")
    made = kms.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    found = account.deploy(replace(REQUEST, key=made))
    assert found.outputs["KeyArn"] == made
    assert "KeyAlias" not in found.outputs
    configuration = account.client("lambda").get_function_configuration(
        FunctionName=found.outputs["FunctionName"]
    )
    assert configuration["Environment"]["Variables"]["BURSAR_SIGNER_ADDRESS"] == found.address
    # Asked for again without naming it, the stack keeps its key.
    assert deploy.prepare(account.root(), REQUEST).plan.key.arn == made


def test_a_key_of_another_kind_is_refused_before_anything_is_made(account: Account) -> None:
    kms = account.client("kms")
    made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    with pytest.raises(ConfigError, match="ECC_NIST_P256"):
        account.deploy(replace(REQUEST, key=made))
    assert stacks.find_stack(account.root(), STACK) is None


def test_a_discarded_preview_leaves_nothing_behind(account: Account) -> None:
    cloud = account.root()
    prepared = deploy.prepare(cloud, REQUEST)
    changes.discard(cloud, prepared.preview)
    assert stacks.find_stack(cloud, STACK) is None


def test_a_deployment_interrupted_after_its_preview_is_run_again(account: Account) -> None:
    deploy.prepare(account.root(), REQUEST)
    assert account.deploy().status == "CREATE_COMPLETE"


def test_what_does_not_exist_is_said_plainly(account: Account) -> None:
    cloud = account.root()
    with pytest.raises(StackError, match="there is no stack"):
        deploy.status(cloud, STACK)
    with pytest.raises(StackError, match="there is no stack"):
        removal.destroy(cloud, STACK, account.events.append)


def test_a_missing_permission_is_named(account: Account) -> None:
    with pytest.raises(AwsAccessDenied, match="cloudformation:DescribeStacks"):
        deploy.status(account.user("nobody"), STACK)


def test_credentials_aws_does_not_know_are_said_to_be_wrong(account: Account) -> None:
    account.become("AKIDNOBODY", "nothing")
    with pytest.raises((AwsCredentials, AwsAccessDenied)):
        deploy.status(Cloud(), STACK)


def test_the_commands_deploy_show_and_remove(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*arguments: str) -> Any:
        assert run(["aws", *arguments, "--stack", STACK, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    account.root()
    made = command("deploy", "--allow-blind-signing", "--yes")
    assert {change["name"] for change in made["changes"]} > {"Function", "SigningKey", "Api"}
    assert command("deploy", "--allow-blind-signing", "--yes")["changes"] == []
    assert command("status")["code_is_ours"] is True
    assert command("outputs")["KeyState"] == "Enabled"
    assert command("outputs")["ApiUrl"] == made["url"]
    assert command("destroy", "--yes")["key_deleted_on"] is None


def test_the_switch_that_matters_is_named_before_the_question_and_in_the_answer(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.deploy()
    assert run(["aws", "deploy", "--stack", STACK]) == 2
    said = capsys.readouterr().err
    assert "blind signing: allowed → refused" in said
    assert re.search(r"^modify +Function +AWS::Lambda::Function +Environment$", said, re.MULTILINE)
    assert run(["aws", "deploy", "--stack", STACK, "--yes", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["blind_signing_before"], answer["blind_signing"]) == ("allowed", "refused")
    [change] = [each for each in answer["changes"] if each["name"] == "Function"]
    assert change["properties"] == ["Environment"]


def test_without_yes_nothing_is_changed(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["aws", "deploy", "--stack", STACK]) == 2
    assert "--yes" in capsys.readouterr().err
    with pytest.raises(ClientError):
        account.client("cloudformation").describe_stacks(StackName=STACK)
