from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bursar.cli.main import run
from tests.fakes.policies import BLIND, TEXT, planned

KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["aws", "template", "--json", *arguments]) == 0
    template: dict[str, Any] = json.loads(capsys.readouterr().out)
    return template


def test_the_template_is_printed_without_asking_aws(capsys: pytest.CaptureFixture[str]) -> None:
    template = printed(capsys, "--stage", "test", "--runtime", "python3.12")
    function = template["Resources"]["Function"]["Properties"]
    assert (function["Runtime"], function["Architectures"]) == ("python3.12", ["arm64"])
    assert template["Outputs"]["Stage"]["Value"] == "test"


def test_the_settings_own_key_is_in_the_template(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bursar.toml").write_text(f'[key]\nid = "{KEY}"\n')
    monkeypatch.chdir(tmp_path)
    template = printed(capsys)
    assert "SigningKey" not in template["Resources"]
    policy = template["Resources"]["FunctionRolePolicy"]["Properties"]["PolicyDocument"]
    assert policy["Statement"][0]["Resource"] == KEY
    assert "KeyAlias" not in template["Outputs"]
    # An alias on the command line is the other way of deploy's: find or make that one.
    assert "SigningKey" in printed(capsys, "--alias", "alias/other")["Resources"]


def test_a_template_for_an_existing_key_says_that_its_address_is_not_pinned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["aws", "template", "--key", KEY]) == 0
    assert "not pinned" in capsys.readouterr().err


@pytest.mark.parametrize(
    "key",
    [
        "alias/treasury",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:us-east-1:111122223333:alias/treasury",
        "nonsense!",
    ],
)
def test_a_key_that_is_not_named_by_its_arn_is_refused(
    capsys: pytest.CaptureFixture[str], key: str
) -> None:
    assert run(["aws", "template", "--key", key]) == 2
    assert capsys.readouterr().out == ""


def test_a_runtime_lambda_does_not_have_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["aws", "template", "--runtime", "python3.9"]) == 2
    assert "python3.9" in capsys.readouterr().err


def test_for_people_it_is_yaml_in_titled_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["aws", "template"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("AWSTemplateFormatVersion: '2010-09-09'")
    assert "  # Who may ask for signatures\n" in text


def test_other_compute_gets_the_role_and_the_key_without_function_and_api(
    capsys: pytest.CaptureFixture[str],
) -> None:
    template = printed(capsys, "--compute", "ecs")
    assert {"SigningKey", "FunctionRole", "FunctionRolePolicy"} <= set(template["Resources"])
    assert not {"Function", "Api"} & set(template["Resources"])


def test_the_settings_reach_the_template(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bursar.toml").write_text(
        """
        [key]
        administrators = ["arn:aws:iam::111122223333:role/key-admin"]
        [function]
        memory = 512
        reserved_concurrency = 0
        [api]
        stage = "live"
        rate = 5
        [callers]
        group = "payers"
        [network]
        vpc = "vpc-12345678"
        subnets = ["subnet-12345678", "subnet-87654321"]
        [records]
        trail = "CloudTrail/Logs"
        """
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BURSAR_RECORDS_EMAILS", "a@example.com, b@example.com")
    found = printed(capsys)["Resources"]
    function = found["Function"]["Properties"]
    assert function["MemorySize"] == 512
    assert "ReservedConcurrentExecutions" not in function
    assert len(function["VpcConfig"]["SubnetIds"]) == 2
    assert found["Stage"]["Properties"]["StageName"] == "live"
    assert found["CallersGroup"]["Properties"]["GroupName"] == "payers"
    assert "Trail" not in found
    topics = [each for each in found.values() if each["Type"] == "AWS::SNS::Subscription"]
    assert len(topics) == 2


def test_a_setting_that_leaves_a_hole_is_refused_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bursar.toml").write_text("[key]\naccount_delegation = false\n")
    monkeypatch.chdir(tmp_path)
    assert run(["aws", "template"]) == 2
    assert "nobody could manage the key" in capsys.readouterr().err


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings' policy, in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("bursar.toml").write_text('[policy]\nfile = "policy.toml"\n')
    Path("policy.toml").write_text(TEXT)
    return Path("policy.toml")


@pytest.mark.usefixtures("policy")
def test_the_settings_policy_is_in_the_template_and_an_option_takes_it_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed(capsys)["Outputs"]["PolicyHash"]["Value"] == planned().hash
    assert "PolicyHash" not in printed(capsys, "--without-policy")["Outputs"]
    assert "PolicyHash" not in printed(capsys, "--compute", "ecs")["Outputs"]
    Path("other.toml").write_text(BLIND)
    assert (
        printed(capsys, "--policy", "other.toml")["Outputs"]["PolicyHash"]["Value"]
        != planned().hash
    )
    assert run(["aws", "template", "--policy", "other.toml", "--without-policy"]) == 2
    monkeypatch.setenv("BURSAR_POLICY_FILE", "other.toml")
    assert printed(capsys)["Outputs"]["PolicyHash"]["Value"] == planned(BLIND).hash


def test_a_file_that_is_no_policy_is_refused_with_its_line(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy.write_text(TEXT.replace("decimals = 6", "decimals = six"))
    assert run(["aws", "template"]) == 2
    assert "policy.toml line 9" in capsys.readouterr().err
    policy.unlink()
    assert run(["aws", "template"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_what_a_policy_hardly_means_is_told(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy.write_text(BLIND.replace("[callers]", "# ").replace('allow = ["arn', '# ["arn'))
    assert run(["aws", "template"]) == 0
    told = capsys.readouterr().err
    assert "it allows no callers" in told
    assert "it stays off" in told
