"""Somebody changes a deployed function behind its stack."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bursar.aws import deploy
from bursar.aws.deploy import Deployment, DeployRequest
from bursar.aws.plan import StackPlan
from bursar.aws.remote import ApiSigner
from bursar.chains.evm import Scheme
from bursar.cli.main import run
from bursar.errors import StackError
from tests.e2e.account import HASH, REQUEST, STACK, Account

SHUT = replace(REQUEST, plan=StackPlan())


def reconfigure(account: Account, found: Deployment, **changes: Any) -> None:
    account.client("lambda").update_function_configuration(
        FunctionName=found.outputs["FunctionName"], **changes
    )


def other_code(account: Account, found: Deployment, folder: Path) -> None:
    (folder / "index.py").write_text("handle = print")
    shutil.make_archive(str(folder / "other"), "zip", folder, "index.py")
    account.client("lambda").update_function_code(
        FunctionName=found.outputs["FunctionName"], ZipFile=(folder / "other.zip").read_bytes()
    )


def publish(account: Account, found: Deployment) -> str:
    name = found.outputs["FunctionName"]
    return str(account.client("lambda").publish_version(FunctionName=name)["Version"])


def refuse_to_deploy(account: Account, request: DeployRequest, match: str) -> str:
    """Nothing is made of a function that was changed: the next version would hold the change."""
    with pytest.raises(StackError, match=match) as caught:
        deploy.prepare(account.root(), request)
    return str(caught.value.hint)


def test_callers_reach_the_frozen_version_whatever_is_done_to_the_latest_state(
    account: Account, tmp_path: Path
) -> None:
    found = account.deploy()
    other_code(account, found, tmp_path)
    seen = deploy.status(account.root(), STACK)
    assert (seen.code_is_ours, seen.differences) == (True, ("$LATEST CodeSha256",))
    with ApiSigner.open(found.url, str(found.address)) as signer:
        assert signer.sign_hash(HASH, Scheme.EIP191).address == found.address
    refuse_to_deploy(account, REQUEST, "CodeSha256")


def test_blind_signing_switched_on_and_published_is_shown_and_not_deployed_over(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    found = account.deploy(SHUT)
    assert (found.blind_signing, found.differences) == ("refused", ())
    variables = {"KMS_KEY_ID": found.outputs["KeyArn"]}
    opened = variables | {"BURSAR_BLIND_SIGNING": "allowed"}
    reconfigure(account, found, Environment={"Variables": opened})
    version = publish(account, found)
    functions, name = account.client("lambda"), found.outputs["FunctionName"]
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)

    seen = deploy.status(account.root(), STACK)
    told = ("BURSAR_BLIND_SIGNING", "$LATEST BURSAR_BLIND_SIGNING")
    assert (seen.blind_signing, seen.differences) == ("allowed", told)
    assert run(["aws", "outputs", "--stack", STACK]) == 0
    outputs = capsys.readouterr().out
    assert run(["aws", "status", "--stack", STACK]) == 0
    status = capsys.readouterr().out
    assert "ALLOWED, though deployed as refused" in status
    assert "changed outside this stack: BURSAR_BLIND_SIGNING" in status
    assert re.search(r"^BlindSigning +allowed$", outputs, re.MULTILINE)
    hint = refuse_to_deploy(account, SHUT, "blind signing is allowed")
    assert f"update-alias --function-name {name} --name live --function-version 1 " in hint
    assert f"delete-function --function-name {name} --qualifier {version}" in hint
    assert f"'Variables={{KMS_KEY_ID={found.outputs['KeyArn']}}}'" in hint

    functions.update_alias(FunctionName=name, Name="live", FunctionVersion="1")
    functions.delete_function(FunctionName=name, Qualifier=version)
    reconfigure(account, found, Environment={"Variables": variables})
    assert account.deploy(SHUT).differences == ()


def test_a_version_that_only_a_direct_invocation_reaches_is_told_as_well(account: Account) -> None:
    found = account.deploy(SHUT)
    variables = {"KMS_KEY_ID": found.outputs["KeyArn"]}
    opened = variables | {"BURSAR_BLIND_SIGNING": "allowed"}
    reconfigure(account, found, Environment={"Variables": opened})
    version = publish(account, found)
    reconfigure(account, found, Environment={"Variables": variables})
    seen = deploy.status(account.root(), STACK)
    assert (seen.blind_signing, seen.differences) == ("allowed", (f"version {version}",))


def test_a_share_of_the_calls_led_to_another_version_is_found(account: Account) -> None:
    found = account.deploy(SHUT)
    variables = {"KMS_KEY_ID": found.outputs["KeyArn"], "BURSAR_BLIND_SIGNING": "allowed"}
    reconfigure(account, found, Environment={"Variables": variables})
    weights = {"AdditionalVersionWeights": {publish(account, found): 0.01}}
    account.client("lambda").update_alias(
        FunctionName=found.outputs["FunctionName"], Name="live", RoutingConfig=weights
    )
    assert deploy.status(account.root(), STACK).differences[0] == "BURSAR_BLIND_SIGNING"


def test_a_missing_alias_is_said_with_the_command_that_makes_it(account: Account) -> None:
    found = account.deploy()
    name = found.outputs["FunctionName"]
    account.client("lambda").delete_alias(FunctionName=name, Name="live")
    with pytest.raises(StackError, match="alias live is gone") as caught:
        deploy.status(account.root(), STACK)
    assert "--name live --function-version 1" in str(caught.value.hint)


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
    names = ("BURSAR_BLIND_SIGNING", "KMS_KEY_ID", "LD_PRELOAD", "Handler", "Role", "Runtime")
    seen = deploy.status(account.root(), STACK)
    assert seen.differences == tuple(f"$LATEST {name}" for name in names)
    with pytest.raises(StackError) as caught:
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
    with pytest.raises(StackError, match="CodeSha256"):
        deploy.finish(cloud, prepared, account.events.append)

    hint = refuse_to_deploy(account, REQUEST, "CodeSha256")
    body = account.client("s3").get_object(Bucket=artifact.bucket, Key=artifact.key)["Body"].read()
    assert body == prepared.bundle.data
    # What the hint says, done: the right code, published, and the alias led to it.
    functions, name = account.client("lambda"), "treasury-signer"
    steps = [step.split()[2] for step in hint.split("put it back: ")[1].split("; ")]
    assert steps == ["update-function-code", "publish-version", "update-alias", "delete-function"]
    functions.update_function_code(FunctionName=name, S3Bucket=artifact.bucket, S3Key=artifact.key)
    version = functions.publish_version(FunctionName=name)["Version"]
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
    functions.delete_function(FunctionName=name, Qualifier="1")
    assert deploy.prepare(cloud, REQUEST).preview.changes == ()
    assert deploy.status(cloud, STACK).differences == ()
