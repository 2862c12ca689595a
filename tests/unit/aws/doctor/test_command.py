"""`bursar doctor` and `bursar aws permissions` without an AWS to ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bursar.aws.grants import POLICY_LIMIT, policy_size
from bursar.cli.main import run

ACCOUNT = ("--account", "111122223333")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings, no credentials, no instance to ask for any."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def printed(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> Any:
    assert run(list(words)) == status
    return json.loads(capsys.readouterr().out)


def test_without_a_region_the_report_still_comes_and_the_status_tells(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = printed(capsys, "doctor", "--json", status=1)
    checks = {check["name"]: check for check in found["checks"]}
    assert found["ok"] is False
    assert checks["region"]["status"] == "fail"
    assert "AWS_REGION" in checks["region"]["fix"]
    assert checks["wallet"]["status"] == "skip"


def test_without_credentials_the_report_for_a_person_says_how_to_sign_in(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert run(["doctor"]) == 1
    report = capsys.readouterr().out
    assert "✗ credentials" in report
    assert "fix: sign in as the AWS CLI does" in report
    assert report.splitlines()[-1].startswith("1 failed")


def test_a_check_that_there_is_not_is_an_error_that_lists_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = printed(capsys, "doctor", "--json", "--only", "weather", status=2)
    assert "permissions" in found["error"]["hint"]


@pytest.mark.parametrize(
    ("region", "partition"), [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")]
)
def test_the_policy_is_printed_for_any_partition_without_a_call(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    region: str,
    partition: str,
) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    document = printed(capsys, "aws", "permissions", *ACCOUNT, "--stack", "treasury")
    [stack] = [each for each in document["Statement"] if each["Sid"] == "Stack"]
    expected = f"arn:{partition}:cloudformation:{region}:111122223333:stack/treasury/*"
    assert stack["Resource"] == expected


def test_a_policy_too_large_for_iam_says_so_and_can_be_split(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert run(["aws", "permissions", *ACCOUNT]) == 0
    assert "--split" in capsys.readouterr().err
    parts = printed(capsys, "aws", "permissions", *ACCOUNT, "--split")
    assert len(parts) > 1
    assert all(policy_size(part) <= POLICY_LIMIT for part in parts)


def test_each_permission_can_be_asked_what_it_is_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    rows = printed(capsys, "aws", "permissions", *ACCOUNT, "--why", "--json")
    assert {"PassRole", "KeyMake"} <= {row["name"] for row in rows}
    assert all(row["why"] and row["actions"] for row in rows)
    assert run(["aws", "permissions", *ACCOUNT, "--why"]) == 0
    assert "PassRole: hand these roles" in capsys.readouterr().out


def test_an_existing_key_narrows_the_policy_to_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    key = "8a4f0000-0000-4000-8000-000000000001"
    arn = f"arn:aws:kms:eu-central-1:111122223333:key/{key}"
    for named in (key, arn):
        document = printed(capsys, "aws", "permissions", *ACCOUNT, "--key", named)
        [look] = [each for each in document["Statement"] if each["Sid"] == "KeyLook"]
        assert arn in look["Resource"]
