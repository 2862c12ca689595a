"""`bursar doctor`, and the deployer's policy, on an emulated AWS that enforces IAM.

The emulator's CloudFormation makes resources as the account's root, where AWS's makes them as whoever deploys. So
what is proved of the policy here are the calls that bursar makes itself; that it covers the resources is checked
against CloudFormation's registry in `tests/unit/aws/test_permissions.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bursar.aws import deploy, drift, removal
from bursar.aws.cloud import Cloud
from bursar.aws.deploy import Deployment, DeployRequest
from bursar.aws.grants import Place, split_policy
from bursar.aws.permissions import deployer_policy
from bursar.aws.plan import StackPlan
from bursar.cli.main import run
from bursar.errors import AwsAccessDenied, ConfigError
from bursar.sandbox.world import World
from tests.e2e.account import BLIND, REQUEST, STACK, Account
from tests.fakes.policies import RAISED, TEXT, planned

_LOOSE = ("kms:DeleteAlias", "iam:SimulatePrincipalPolicy", "dynamodb:ListTagsOfResource")
BY_POLICY = DeployRequest(STACK, StackPlan(policy=planned()))
Found = dict[str, dict[str, Any]]


def doctor(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Found]:
    """Run the command; return its exit status and its checks by name."""
    capsys.readouterr()
    status = run(["doctor", "--json", "--stack", STACK, *options])
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is (status == 0)
    return status, {check["name"]: check for check in answer["checks"]}


def statuses(found: Found) -> dict[str, str]:
    return {name: check["status"] for name, check in found.items()}


def deployer(
    account: Account,
    name: str,
    *,
    without: str | None = None,
    more: tuple[str, ...] = (),
    plan: StackPlan = BLIND,
) -> Cloud:
    """Become a user with the deployer's policy, but for a statement, and `more` managed policies; nothing else."""
    cloud = account.root()
    iam = account.client("iam")
    iam.create_user(UserName=name)
    document = deployer_policy(plan, Place(STACK, cloud.account, cloud.region))
    kept = [each for each in document["Statement"] if each["Sid"] != without]
    arns = [
        iam.create_policy(PolicyName=f"{name}-{number}", PolicyDocument=json.dumps(part))["Policy"][
            "Arn"
        ]
        for number, part in enumerate(split_policy({**document, "Statement": kept}))
    ]
    # These the emulator looks for on everything: AWS on the alias and its key, on who is simulated, on the table.
    gaps = {"Effect": "Allow", "Action": list(_LOOSE), "Resource": "*"}
    loose = {"Version": "2012-10-17", "Statement": [gaps]}
    iam.put_user_policy(UserName=name, PolicyName="gaps", PolicyDocument=json.dumps(loose))
    for arn in (*arns, *more):
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    account.become(key["AccessKeyId"], key["SecretAccessKey"])
    return Cloud()


def whole_life(cloud: Cloud, account: Account, request: DeployRequest = REQUEST) -> Deployment:
    """Deploy, deploy again, look, look for drift, and destroy with the key."""
    found = deploy.finish(cloud, deploy.prepare(cloud, request), account.events.append)
    again = deploy.prepare(cloud, request)
    assert again.preview.changes == ()
    deploy.finish(cloud, again, account.events.append)
    assert deploy.status(cloud, STACK).address == found.address
    drift.detect(cloud, STACK, lambda _: None)
    alias = found.outputs["KeyAlias"]
    removal.destroy(cloud, STACK, account.events.append, delete_key=alias)
    return found


def test_before_a_deployment_it_says_what_is_ready_and_skips_what_is_not_there(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.root()
    status, found = doctor(capsys)
    assert status == 0, found
    expected = {
        "credentials": "ok",
        "clock": "ok",
        "region": "ok",
        "stack": "skip",
        "bucket": "ok",
        "concurrency": "ok",
        "key": "skip",
        "key.alias": "ok",
        "function": "skip",
        "api": "skip",
        "trail": "skip",
        "alarms": "skip",
        "wallet": "skip",
    }
    assert expected.items() <= statuses(found).items()


def test_a_deployed_signer_is_well_and_every_warning_and_failure_names_a_fix(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed = account.deploy()
    status, found = doctor(capsys)
    assert status == 0, found
    for name in (
        "stack",
        "bucket",
        "key.spec",
        "key.state",
        "key.alias",
        "key.address",
        "function.state",
        "function.deployed",
        "api.signed",
        "api.unsigned",
    ):
        assert found[name]["status"] == "ok", found[name]
    assert str(deployed.address) in found["key.address"]["detail"]
    assert all(check["fix"] for check in found.values() if check["status"] in {"warn", "fail"}), (
        found
    )


def test_the_report_for_a_person_has_a_line_for_each_check_and_a_summary(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.deploy()
    assert run(["doctor", "--stack", STACK]) == 0
    report = capsys.readouterr().out
    assert "✓ key.spec" in report
    assert "✓ api.unsigned" in report
    assert "well" in report.splitlines()[-1]


def test_what_was_changed_behind_the_stack_fails_and_says_how_to_put_it_back(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    found = account.deploy()
    key = account.client("kms").create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")
    other = key["KeyMetadata"]["Arn"]
    account.client("kms").update_alias(AliasName=found.outputs["KeyAlias"], TargetKeyId=other)
    account.client("lambda").update_function_configuration(
        FunctionName=found.outputs["FunctionName"], Handler="other.handle"
    )
    account.client("kms").disable_key(KeyId=found.outputs["KeyArn"])
    status, checks = doctor(capsys)
    assert status == 1
    failed = {name for name, check in checks.items() if check["status"] == "fail"}
    assert failed >= {"key.alias", "key.state", "function.deployed"}
    assert other in checks["key.alias"]["detail"]
    assert "enable-key" in checks["key.state"]["fix"]


def test_a_caller_who_may_not_ask_is_a_warning_and_one_who_may_is_well(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    found = account.deploy()
    policy = found.outputs["InvokePolicyArn"]
    account.user("mallory")
    # Somebody with no permission at all still learns what can be known, and nothing falls over.
    status, checks = doctor(capsys, "--only", "credentials", "--only", "clock", "--only", "stack")
    assert (status, checks["stack"]["status"]) == (0, "warn")

    for name, more, expected in (("watcher", (), "warn"), ("payer", (policy,), "ok")):
        deployer(account, name, more=more)
        status, checks = doctor(capsys, "--only", "api")
        assert (status, checks["api.signed"]["status"]) == (0, expected), checks
        assert checks["api.unsigned"]["status"] == "ok"


def test_the_wallet_must_obey_the_key_that_the_settings_name(world: World, tmp_path: Path) -> None:
    def bursar(*words: str, key: str = "alias/doctor") -> tuple[int, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "bursar", "--json", *words],
            env={
                **os.environ,
                **world.environment,
                "BURSAR_SIGNER_VIA": "kms",
                "BURSAR_KEY_ID": key,
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, json.loads(done.stdout)

    (tmp_path / "bursar.toml").write_text('[wallet]\nlocator = "evm:smart:alias:doctor"\n')
    only = ("doctor", "--stack", "none", "--only", "key", "--only", "wallet")
    _, early = bursar(*only)
    assert {each["name"]: each["status"] for each in early["checks"]}["wallet"] == "skip"

    for words in (("key", "create"), ("wallet", "create", "--yes")):
        assert bursar(*words)[0] == 0
    status, answer = bursar(*only)
    found = {each["name"]: each for each in answer["checks"]}
    assert (status, found["wallet"]["status"]) == (0, "ok")
    assert "as the wallet's admin signer says" in found["key.address"]["detail"]

    assert bursar("key", "create", key="alias/another")[0] == 0
    status, answer = bursar(*only, key="alias/another")
    found = {each["name"]: each for each in answer["checks"]}
    assert (status, found["key.address"]["status"]) == (1, "fail")


def test_the_deployers_policy_is_enough_to_deploy_change_look_and_destroy(account: Account) -> None:
    whole_life(deployer(account, "deployer"), account)


def test_it_is_enough_with_a_policy_too_and_finds_the_table_that_a_stack_left(
    account: Account,
) -> None:
    cloud = deployer(account, "deployer", plan=BY_POLICY.plan)
    found = whole_life(cloud, account, BY_POLICY)
    with pytest.raises(ConfigError, match=found.outputs["LedgerTable"]):
        deploy.prepare(cloud, BY_POLICY)
    blind = deployer(account, "blindly", plan=BY_POLICY.plan, without="LedgersFind")
    with pytest.raises(AwsAccessDenied, match="dynamodb:ListTables"):
        deploy.prepare(blind, BY_POLICY)


def test_the_doctor_compares_the_policy_and_looks_at_its_table(
    account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    deployed = account.deploy(BY_POLICY)
    file = tmp_path / "policy.toml"
    file.write_text(TEXT)
    only = ("--only", "policy", "--policy", str(file))
    status, found = doctor(capsys, *only)
    assert (status, statuses(found)) == (0, {"policy": "ok", "policy.memory": "ok"})
    file.write_text(RAISED)
    account.client("dynamodb").update_table(
        TableName=deployed.outputs["LedgerTable"], DeletionProtectionEnabled=False
    )
    status, found = doctor(capsys, *only)
    assert (status, found["policy"]["status"]) == (1, "warn")
    assert found["policy.memory.protection"]["status"] == "fail"
    drifted = drift.detect(account.root(), STACK, lambda _: None).drifted
    assert [each.name for each in drifted] == ["Ledger"]


@pytest.mark.parametrize(
    "sid",
    ["Stack", "Drift", "CodeBucket", "Code", "KeyAliases", "KeyLook", "KeyManage", "Function"],
)
def test_without_any_one_of_the_statements_that_bursar_itself_needs_something_fails(
    account: Account, sid: str
) -> None:
    cloud = deployer(account, "deployer", without=sid)
    with pytest.raises(AwsAccessDenied):
        whole_life(cloud, account)


def test_the_simulation_finds_the_deployers_policy_complete_and_names_what_is_taken_out(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    deployer(account, "whole")
    status, found = doctor(capsys, "--only", "permissions")
    assert (status, found["permissions"]["status"]) == (0, "ok"), found

    deployer(account, "half", without="KeyMake")
    status, found = doctor(capsys, "--only", "permissions")
    assert status == 1
    assert {name for name, check in found.items() if check["status"] == "fail"} == {
        "permissions.KeyMake"
    }
    assert "kms:CreateKey" in found["permissions.guide"]["detail"]


def test_who_may_not_simulate_is_told_how_to_be_allowed_and_it_is_no_failure(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.user("mallory")
    status, found = doctor(capsys, "--only", "permissions")
    assert (status, found["permissions"]["status"]) == (0, "skip")
    assert "iam:SimulatePrincipalPolicy" in found["permissions"]["fix"]


def test_the_printed_policy_is_the_one_that_was_proved(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud = account.root()
    assert run(["aws", "permissions", "--stack", STACK, "--split"]) == 0
    printed = json.loads(capsys.readouterr().out)
    proved = deployer_policy(StackPlan(), Place(STACK, cloud.account, cloud.region))
    assert printed == split_policy(proved)
