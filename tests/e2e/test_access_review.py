"""Review who can sign in an emulated account that has a deployed signer and people of every kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from bursar.aws import deploy
from bursar.aws.cloud import Cloud
from bursar.aws.deploy import Deployment, DeployRequest
from bursar.aws.plan import KeyPlan, RecordsPlan, StackPlan
from bursar.cli.main import run
from bursar.sandbox import aws
from bursar.sandbox.processes import HOST, Keeper, free_ports, wait_until_ready
from bursar.sandbox.setup import tools
from tests.fakes.aws_root import ROOT

STACK = "treasury"
PLAN = StackPlan(records=RecordsPlan(trail="none"))
ACCOUNT = "arn:aws:iam::000000000000"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An AWS of this module's own: the people in it would be strangers elsewhere."""
    folder = tmp_path_factory.mktemp("access")
    [port] = free_ports(1)
    command = aws.command(tools().ministack, port, folder, ROOT, folder / "log")
    with Keeper.start(folder / "whole", folder / "keeper.log") as keeper:
        process = keeper.run(command)
        wait_until_ready(process, command, lambda: aws.answers(port, command.log), 60)
        yield f"http://{HOST}:{port}"


@pytest.fixture(autouse=True)
def account(emulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's root, on the shell's side."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ROOT.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ROOT.secret_access_key)


@pytest.fixture(scope="module")
def deployed(emulator: str) -> Deployment:
    """The stack of all tests, on a key whose policy leaves everything to IAM."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", emulator)
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", ROOT.access_key_id)
        patch.setenv("AWS_SECRET_ACCESS_KEY", ROOT.secret_access_key)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        cloud = Cloud("us-east-1")
        made = cloud.kms.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")
        request = DeployRequest(STACK, PLAN, key=made["KeyMetadata"]["Arn"])
        return deploy.finish(cloud, deploy.prepare(cloud, request), lambda _event: None)


def policy(actions: str | list[str], resource: str = "*", **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(principal: dict[str, str]) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def people(emulator: str, deployed: Deployment) -> dict[str, str]:
    """People of every kind, made once; returned is a grant's id."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", emulator)
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", ROOT.access_key_id)
        patch.setenv("AWS_SECRET_ACCESS_KEY", ROOT.secret_access_key)
        cloud = Cloud("us-east-1")
        return _make_people(cloud, deployed)


def _make_people(cloud: Cloud, deployed: Deployment) -> dict[str, str]:
    iam = cloud.client("iam")
    for name in ("signs", "assumes", "grantee", "codes", "admin", "caller", "watcher"):
        iam.create_user(UserName=name)
    iam.put_user_policy(UserName="signs", PolicyName="p", PolicyDocument=policy("kms:Sign"))
    codes = policy("lambda:UpdateFunctionCode", deployed.outputs["FunctionArn"])
    iam.put_user_policy(UserName="codes", PolicyName="p", PolicyDocument=codes)
    watch = policy(["kms:Describe*", "kms:List*", "iam:Get*"])
    iam.put_user_policy(UserName="watcher", PolicyName="p", PolicyDocument=watch)
    iam.create_group(GroupName="admins")
    iam.put_group_policy(GroupName="admins", PolicyName="all", PolicyDocument=policy("*"))
    iam.add_user_to_group(GroupName="admins", UserName="admin")
    iam.attach_user_policy(UserName="caller", PolicyArn=deployed.outputs["InvokePolicyArn"])
    iam.create_role(
        RoleName="payer", AssumeRolePolicyDocument=trust({"AWS": f"{ACCOUNT}:user/assumes"})
    )
    iam.put_role_policy(RoleName="payer", PolicyName="p", PolicyDocument=policy("kms:Sign"))
    grant = cloud.kms.create_grant(
        KeyId=deployed.outputs["KeyArn"],
        GranteePrincipal=f"{ACCOUNT}:user/grantee",
        Operations=["Sign"],
        Name="lent",
    )
    return {"grant": grant["GrantId"]}


def review(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = run(["aws", "access-review", "--stack", STACK, "--json", *arguments])
    return status, json.loads(capsys.readouterr().out)


def able(document: dict[str, Any], ability: str) -> dict[str, dict[str, Any]]:
    found = [each for each in document["findings"] if each["ability"] == ability]
    return {each["principal"]["id"].rpartition("/")[2]: each for each in found}


def statements(finding: dict[str, Any]) -> str:
    return "\n".join(" with ".join(path["statements"]) for path in finding["paths"])


def test_each_is_named_who_can_sign_or_change_who_can_and_each_way(
    deployed: Deployment, people: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, document = review(capsys)
    assert document["not_looked_at"] == []
    assert (status, document["complete"], document["sound"]) == (0, True, True)
    assert document["key_arn"] == deployed.outputs["KeyArn"]

    signers = able(document, "sign")
    role = deployed.outputs["RoleArn"].rpartition("/")[2]
    root = f"{ACCOUNT}:root"
    assert set(signers) == {"signs", "payer", "grantee", "admin", role, root}
    assert [name for name, each in signers.items() if each["expected"]] == [role]
    assert "inline policy p of user signs" in statements(signers["signs"])
    assert "key policy" in statements(signers["signs"])
    assert people["grant"] in statements(signers["grantee"])
    assert "lent" in statements(signers["grantee"])
    assert "group admins" in statements(signers["admin"])

    become = able(document, "become-signer")
    assert "trust of role payer" in statements(become["assumes"])
    assert {path["resource"] for path in become["assumes"]["paths"]} == {f"{ACCOUNT}:role/payer"}
    assert become["lambda.amazonaws.com"]["expected"]

    changes = able(document, "change-function")
    assert changes["codes"]["paths"][0]["actions"] == ["lambda:UpdateFunctionCode"]
    assert able(document, "sign-by-api")["caller"]["expected"]
    assert able(document, "sign-by-function")["apigateway.amazonaws.com"]["expected"]
    admin = {each["ability"] for each in document["findings"] if "admin" in str(each["principal"])}
    changing = {"change-key", "change-function", "change-role", "change-api", "change-rights"}
    assert changing | {"pass-signer", "change-stack", "sign-by-api"} <= admin
    assert not any("watcher" in str(each["principal"]) for each in document["findings"])
    expected, _ = able(document, "sign"), status
    assert not expected["admin"]["expected"]
    _, again = review(capsys, "--expect", f"{ACCOUNT}:user/admin")
    assert able(again, "sign")["admin"]["expected"]


def test_what_came_and_what_went_is_told_against_the_last_review(
    deployed: Deployment,
    people: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    last = tmp_path / "last.json"
    assert review(capsys, "--save", str(last))[0] == 0
    assert last.stat().st_mode & 0o777 == 0o600
    status, same = review(capsys, "--diff", str(last))
    assert (status, same["changes"]) == (0, [])

    cloud = Cloud()
    cloud.kms.revoke_grant(KeyId=deployed.outputs["KeyArn"], GrantId=people["grant"])
    status, document = review(capsys, "--diff", str(last))
    told = [(each["kind"], each["ability"]) for each in document["changes"]]
    assert (status, told) == (0, [("gone", "sign")])
    assert "grantee" in document["changes"][0]["principal"]["id"]

    iam = cloud.client("iam")
    iam.put_user_policy(
        UserName="watcher", PolicyName="more", PolicyDocument=policy("kms:PutKeyPolicy")
    )
    status, document = review(capsys, "--diff", str(last))
    told = [(each["kind"], each["ability"]) for each in document["changes"]]
    assert (status, told) == (1, [("new", "change-key"), ("gone", "sign")])
    iam.delete_user_policy(UserName="watcher", PolicyName="more")


@pytest.mark.usefixtures("people")
def test_somebody_of_another_account_who_can_sign_is_an_alarm(
    deployed: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    kms, key = Cloud().kms, deployed.outputs["KeyArn"]
    before = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    document = json.loads(before)
    foreign = {
        "Sid": "Partner",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::999999999999:role/partner"},
        "Action": "kms:*",
        "Resource": "*",
    }
    document["Statement"].append(foreign)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(document))
    assert run(["aws", "access-review", "--stack", STACK]) == 1
    said = capsys.readouterr().out
    assert "! outside the account: arn:aws:iam::999999999999:role/partner can sign with the" in said
    assert "by key policy: Partner" in said
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=before)


@pytest.mark.usefixtures("people")
def test_what_the_caller_may_not_look_at_is_said_and_fails_the_review(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, deployed: Deployment
) -> None:
    assert deployed.status == "CREATE_COMPLETE"
    iam = boto3.client("iam")
    iam.create_user(UserName="auditor")
    iam.put_user_policy(
        UserName="auditor", PolicyName="p", PolicyDocument=policy("cloudformation:Describe*")
    )
    key = iam.create_access_key(UserName="auditor")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    status, document = review(capsys)
    assert (status, document["complete"]) == (1, False)
    needs = {each["needs"] for each in document["not_looked_at"]}
    wanted = {"kms:GetKeyPolicy", "kms:ListGrants", "iam:GetAccountAuthorizationDetails"}
    assert wanted | {"lambda:GetPolicy", "apigateway:GET"} <= needs
    assert run(["aws", "access-review", "--stack", STACK]) == 1
    assert "! not looked at: the key policy, needs kms:GetKeyPolicy" in capsys.readouterr().out


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_the_report_is_a_private_file_that_is_not_written_over(
    deployed: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"2026-access{suffix}"
    arguments = ["aws", "access-review", "--stack", STACK, "--report", str(file)]
    assert run(arguments) == 0
    text = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    for part in (deployed.outputs["KeyArn"], "UNEXPECTED", "user/signs", "snapshot sha256"):
        assert part in text.replace("\\", "")
    assert run(arguments) == 2
    assert "--force" in capsys.readouterr().err
    assert run([*arguments, "--force"]) == 0


@pytest.mark.usefixtures("people")
def test_only_the_functions_role_signs_with_a_key_that_the_stack_made(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cloud = Cloud()
    plan = StackPlan(key=KeyPlan(alias="alias/sealed"), records=PLAN.records)
    prepared = deploy.prepare(cloud, DeployRequest("sealed", plan))
    outputs = deploy.finish(cloud, prepared, lambda _event: None).outputs
    assert run(["aws", "access-review", "--stack", "sealed", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    signers = [each for each in document["findings"] if each["ability"] == "sign"]
    assert [each["principal"]["id"] for each in signers] == [outputs["RoleArn"]]
    assert signers[0]["expected"]
    assert set(able(document, "become-signer")) == {"lambda.amazonaws.com"}
