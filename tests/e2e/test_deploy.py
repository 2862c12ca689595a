"""Deploy to an emulated AWS that checks signatures, IAM and key policies, and use what was deployed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from bursar.aws import deploy, removal, stacks
from bursar.aws.cloud import Cloud
from bursar.aws.deploy import Deployment, DeployRequest
from bursar.aws.remote import ApiSigner, LambdaSigner
from bursar.aws.stacks import StackEvent
from bursar.aws.template import StackPlan, template_text
from bursar.aws.wheels import Target
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
from bursar.sandbox import aws
from bursar.sandbox.processes import HOST, Keeper, free_ports, wait_until_ready
from bursar.sandbox.setup import tools
from tests.fakes.aws_root import ROOT

HASH = bytes(range(32))
STACK = "treasury"
REQUEST = DeployRequest(STACK, Target("python3.13", "arm64"), blind_signing=True)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An AWS of this module's own, since each test leaves it empty."""
    folder = tmp_path_factory.mktemp("deploy")
    [port] = free_ports(1)
    command = aws.command(tools().ministack, port, folder, ROOT, folder / "log")
    with Keeper.start(folder / "whole", folder / "keeper.log") as keeper:
        process = keeper.run(command)
        wait_until_ready(process, command, lambda: aws.answers(port, command.log), 60)
        yield f"http://{HOST}:{port}"


@dataclass
class Account:
    """The emulated account, as root and as users made for a test."""

    url: str
    monkeypatch: pytest.MonkeyPatch
    events: list[StackEvent] = field(default_factory=list)

    def become(self, access_key: str, secret: str) -> None:
        self.monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        self.monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
        self.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)

    def root(self) -> Cloud:
        self.become(ROOT.access_key_id, ROOT.secret_access_key)
        return Cloud()

    def user(self, name: str, policy_arn: str | None = None) -> Cloud:
        self.root()
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if policy_arn:
            iam.attach_user_policy(UserName=name, PolicyArn=policy_arn)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.become(key["AccessKeyId"], key["SecretAccessKey"])
        return Cloud()

    def assume_role(self, name: str, policy_arn: str | None = None) -> None:
        cloud = self.root()
        iam = self.client("iam")
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{cloud.account}:root"},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
        if policy_arn:
            iam.attach_role_policy(RoleName=name, PolicyArn=policy_arn)
        sts = self.client("sts")
        given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]
        self.become(given["AccessKeyId"], given["SecretAccessKey"])
        self.monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])

    def client(self, service: str) -> Any:
        return boto3.client(service)  # type: ignore[call-overload]

    def zips(self) -> list[str]:
        """The keys in the artifact bucket, which has to be there."""
        s3 = self.client("s3")
        [bucket] = [each["Name"] for each in s3.list_buckets()["Buckets"]]
        return [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def deploy(self, request: DeployRequest = REQUEST) -> Deployment:
        cloud = self.root()
        prepared = deploy.prepare(cloud, request)
        return deploy.finish(cloud, prepared, self.events.append)


@pytest.fixture
def account(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    found = Account(emulator, monkeypatch)
    found.root()
    yield found
    _reset(emulator)


def _reset(url: str) -> None:
    import httpx2

    proof = {"Authorization": f"Bearer {ROOT.secret_access_key}"}
    httpx2.post(f"{url}/_ministack/reset", headers=proof).raise_for_status()


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

    shut = deploy.prepare(cloud, replace(REQUEST, blind_signing=False))
    assert "Function" in {change.name for change in shut.preview.changes}
    assert {change.action for change in shut.preview.changes} == {"Modify"}
    assert not any("Key" in change.name for change in shut.preview.changes)
    again = deploy.finish(cloud, shut, account.events.append)
    assert (again.address, again.url) == (first.address, first.url)
    with (
        ApiSigner.open(again.url, str(again.address)) as signer,
        pytest.raises(SigningServiceRefused) as caught,
    ):
        signer.sign_hash(HASH, Scheme.RAW)
    assert caught.value.reason == "blind_signing_disabled"


def test_status_tells_when_the_function_runs_other_code(account: Account, tmp_path: Path) -> None:
    found = account.deploy()
    cloud = account.root()
    assert deploy.status(cloud, STACK).code_is_ours is True
    (tmp_path / "index.py").write_text("handle = print")
    shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path, "index.py")
    account.client("lambda").update_function_code(
        FunctionName=found.outputs["FunctionName"], ZipFile=(tmp_path / "other.zip").read_bytes()
    )
    assert deploy.status(cloud, STACK).code_is_ours is False
    # There is nothing to change in the stack, but all is not well.
    with pytest.raises(StackError, match="other code") as caught:
        account.deploy()
    assert "update-function-code" in str(caught.value.hint)


def reconfigure(account: Account, found: Deployment, **changes: Any) -> None:
    account.client("lambda").update_function_configuration(
        FunctionName=found.outputs["FunctionName"], **changes
    )


def test_blind_signing_switched_on_outside_the_stack_is_shown_and_fails_the_next_deployment(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    shut = replace(REQUEST, blind_signing=False)
    found = account.deploy(shut)
    assert (found.blind_signing, found.differences) == ("refused", ())
    variables = {"KMS_KEY_ID": found.outputs["KeyArn"]}
    opened = variables | {"BURSAR_BLIND_SIGNING": "allowed"}
    reconfigure(account, found, Environment={"Variables": opened})

    seen = deploy.status(account.root(), STACK)
    assert (seen.blind_signing, seen.differences) == ("allowed", ("BURSAR_BLIND_SIGNING",))
    assert run(["aws", "outputs", "--stack", STACK]) == 0
    outputs = capsys.readouterr().out
    assert run(["aws", "status", "--stack", STACK]) == 0
    status = capsys.readouterr().out
    assert "ALLOWED, though deployed as refused" in status
    assert "changed outside this stack: BURSAR_BLIND_SIGNING" in status
    assert re.search(r"^BlindSigning +allowed$", outputs, re.MULTILINE)
    with pytest.raises(StackError, match="blind signing is allowed") as caught:
        account.deploy(shut)
    assert f"'Variables={{KMS_KEY_ID={found.outputs['KeyArn']}}}'" in str(caught.value.hint)

    reconfigure(account, found, Environment={"Variables": variables})
    assert account.deploy(shut).differences == ()


def test_another_handler_role_and_runtime_and_foreign_variables_are_named_without_their_values(
    account: Account,
) -> None:
    found = account.deploy()
    reconfigure(
        account,
        found,
        Handler="other.handle",
        Role=found.outputs["RoleArn"] + "-other",
        Runtime="python3.9",
        Environment={"Variables": {"LD_PRELOAD": "/tmp/hook.so"}},  # noqa: S108
    )
    names = "BURSAR_BLIND_SIGNING, KMS_KEY_ID, LD_PRELOAD, Handler, Role, Runtime"
    seen = deploy.status(account.root(), STACK)
    assert ", ".join(seen.differences) == names
    with pytest.raises(StackError, match=names) as caught:
        account.deploy()
    assert "hook.so" not in caught.value.message + str(caught.value.hint)


def test_a_zip_that_was_swapped_before_the_deployment_is_found_out_and_put_right(
    account: Account, tmp_path: Path
) -> None:
    cloud = account.root()
    prepared = deploy.prepare(cloud, REQUEST)
    artifact = prepared.artifact
    (tmp_path / "index.py").write_text("handle = print")
    shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path, "index.py")
    other = (tmp_path / "other.zip").read_bytes()
    account.client("s3").put_object(Bucket=artifact.bucket, Key=artifact.key, Body=other)
    with pytest.raises(StackError, match="other code"):
        deploy.finish(cloud, prepared, account.events.append)

    deploy.prepare(cloud, REQUEST)
    body = account.client("s3").get_object(Bucket=artifact.bucket, Key=artifact.key)["Body"].read()
    assert body == prepared.bundle.data


def test_a_no_to_an_old_preview_leaves_the_signer_that_was_deployed_since(account: Account) -> None:
    cloud = account.root()
    mine = deploy.prepare(cloud, REQUEST)
    theirs = deploy.prepare(cloud, REQUEST)
    assert mine.preview.creates
    deploy.finish(cloud, theirs, account.events.append)

    stacks.discard(cloud, mine.preview)
    assert deploy.status(cloud, STACK).status == "CREATE_COMPLETE"


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
    assert deploy.prepare(account.root(), REQUEST).plan.key_arn == made


def test_a_key_of_another_kind_is_refused_before_anything_is_made(account: Account) -> None:
    kms = account.client("kms")
    made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    with pytest.raises(ConfigError, match="ECC_NIST_P256"):
        account.deploy(replace(REQUEST, key=made))
    assert stacks.find_stack(account.root(), STACK) is None


def test_a_failed_creation_names_its_first_cause_and_the_way_out(account: Account) -> None:
    parameters = {"CodeBucket": "bucket", "CodeKey": "none", "CodeSha256": "none"}
    cloud = account.root()
    template = template_text(StackPlan()).replace("ECC_SECG_P256K1", "ECC_NONE")
    preview = stacks.preview(cloud, STACK, template, parameters)
    with pytest.raises(StackError) as caught:
        stacks.apply(cloud, preview, account.events.append)
    first = next(event for event in account.events if event.failed)
    assert first.reason
    assert first.name == "SigningKey"
    assert first.name in caught.value.message
    assert "bursar aws destroy" in str(caught.value.hint)

    with pytest.raises(StackError, match="ROLLBACK_COMPLETE"):
        deploy.prepare(cloud, REQUEST)
    removal.destroy(cloud, STACK, account.events.append)
    assert account.deploy().status == "CREATE_COMPLETE"


def test_a_failed_creation_leaves_no_key_behind(account: Account) -> None:
    cloud = account.root()
    template = json.loads(template_text(StackPlan()))
    bad = json.loads(json.dumps(template["Resources"]["SigningKey"]).replace("SECG", "NO"))
    template["Resources"]["Bad"] = {**bad, "DependsOn": ["SigningKey", "SigningKeyAlias"]}
    parameters = {"CodeBucket": "bucket", "CodeKey": "none", "CodeSha256": "none"}
    preview = stacks.preview(cloud, STACK, json.dumps(template), parameters)
    with pytest.raises(StackError, match="ROLLBACK_COMPLETE"):
        stacks.apply(cloud, preview, account.events.append)
    assert "SigningKey" in {event.name for event in account.events if not event.failed}
    kms = account.client("kms")
    states = [
        kms.describe_key(KeyId=each["KeyId"])["KeyMetadata"]["KeyState"]
        for each in kms.list_keys()["Keys"]
    ]
    assert states == ["PendingDeletion"]
    names = [each["AliasName"] for each in kms.list_aliases()["Aliases"]]
    assert "alias/bursar-treasury" not in names


def test_a_template_cloudformation_turns_down_leaves_no_stack(account: Account) -> None:
    template = json.dumps({"Resources": {"X": {"Type": "AWS::No::Such"}}, "Outputs": {}})
    cloud = account.root()
    with pytest.raises(StackError):
        stacks.apply(cloud, stacks.preview(cloud, STACK, template, {}), account.events.append)


def test_a_discarded_preview_leaves_nothing_behind(account: Account) -> None:
    cloud = account.root()
    prepared = deploy.prepare(cloud, REQUEST)
    stacks.discard(cloud, prepared.preview)
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
    assert re.search(r"modify +Function AWS::Lambda::Function.*: Environment$", said, re.MULTILINE)
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
