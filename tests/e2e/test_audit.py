"""Every signature of a deployed key, by the emulated CloudTrail, against the function's own log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bursar.aws.deploy import Deployment
from bursar.aws.remote import ApiSigner
from bursar.chains.evm import Scheme
from bursar.cli.main import run
from tests.e2e.account import HASH, STACK, Account
from tests.fakes.aws_root import ROOT


@pytest.fixture
def deployed(account: Account) -> Deployment:
    return account.deploy()


def sign(found: Deployment, times: int = 1) -> list[str]:
    """Ask the API, and return KMS's ids."""
    with ApiSigner.open(found.url, str(found.address)) as signer:
        return [signer.sign_hash(HASH, Scheme.EIP191).request_id for _ in range(times)]


def open_up(account: Account, found: Deployment) -> None:
    """Put a policy on the key under which the account's root may sign, as an administrator could."""
    everything = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account.root().account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    account.client("kms").put_key_policy(KeyId=found.outputs["KeyArn"], Policy=policy)


def sign_directly(account: Account, found: Deployment) -> str:
    kms = account.client("kms")
    asked = {"MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
    answer = kms.sign(KeyId=found.outputs["KeyArn"], Message=HASH, **asked)
    request_id: str = answer["ResponseMetadata"]["RequestId"]
    return request_id


def audit(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = run(["aws", "audit", "--stack", STACK, "--since", "1h", "--json", *options])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return status, found


def test_what_the_signer_signed_is_accounted_for(
    deployed: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = sign(deployed, 3)
    status, found = audit(capsys)
    assert (status, found["clean"], found["gaps"]) == (0, True, [])
    assert {event["request_id"] for event in found["matched"]} == set(ids)
    assert found["key"] == deployed.outputs["KeyArn"]
    assert found["records_from"] == deployed.outputs["LogGroup"]


def test_somebody_elses_signature_is_foreign_and_named(
    account: Account, deployed: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    [ours] = sign(deployed)
    open_up(account, deployed)
    theirs = sign_directly(account, deployed)
    status, found = audit(capsys)
    assert (status, found["clean"]) == (1, False)
    assert [event["request_id"] for event in found["matched"]] == [ours]
    [foreign] = found["foreign"]
    assert foreign["request_id"] == theirs
    assert foreign["access_key_id"] == ROOT.access_key_id
    assert (foreign["source_ip"], foreign["reason"]) == ("127.0.0.1", "no record of it")
    assert "boto" in foreign["user_agent"].lower()


def test_a_removed_record_leaves_a_foreign_signature(
    account: Account, deployed: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    [ours] = sign(deployed)
    logs = account.client("logs")
    group = deployed.outputs["LogGroup"]
    for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
        logs.delete_log_stream(logGroupName=group, logStreamName=stream["logStreamName"])
    status, found = audit(capsys)
    assert status == 1
    assert [event["request_id"] for event in found["foreign"]] == [ours]


def test_a_signature_made_in_process_is_ours_once_its_record_is_shown(
    account: Account, deployed: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sign(deployed)
    open_up(account, deployed)
    account.monkeypatch.setenv("BURSAR_KEY_ID", deployed.outputs["KeyArn"])
    capsys.readouterr()
    assert run(["sign", "--hash", "0x" + HASH.hex(), "--via", "kms", "--json"]) == 0
    saved = tmp_path / "signatures.jsonl"
    saved.write_text(capsys.readouterr().out)
    assert audit(capsys)[0] == 1
    status, found = audit(capsys, "--records", str(saved))
    assert (status, found["counts"]["matched"]) == (0, 2)


def test_a_record_that_cloudtrail_does_not_know_is_missing(
    deployed: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sign(deployed)
    made_up = tmp_path / "made-up.json"
    made_up.write_text('{"request_id": "never", "signature": "0x"}')
    status, found = audit(capsys, "--records", str(made_up))
    assert (status, found["counts"]["matched"]) == (1, 1)
    assert [record["request_id"] for record in found["missing"]] == ["never"]


def test_the_report_shows_who_to_look_for(
    account: Account, deployed: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    open_up(account, deployed)
    theirs = sign_directly(account, deployed)
    capsys.readouterr()
    assert run(["aws", "audit", "--stack", STACK]) == 1
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    [at] = [n for n, line in enumerate(lines) if line.startswith("foreign 2")]
    assert lines[at].endswith(f"{theirs}  no record of it")
    assert f"with {ROOT.access_key_id}, from 127.0.0.1 by " in lines[at + 1]
    assert "not every signature is accounted for" in shown.out
    assert "last 15 minutes" in shown.err


@pytest.mark.usefixtures("deployed")
def test_other_keys_signatures_are_none_of_this_audits_business(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    kms = account.client("kms")
    other = kms.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    kms.sign(KeyId=other, Message=HASH, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256")
    status, found = audit(capsys)
    assert (status, found["counts"]["foreign"]) == (0, 0)
    capsys.readouterr()
    assert run(["aws", "audit", "--key", other, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["counts"]["foreign"] == 1


def test_logs_kept_for_less_than_the_window_do_not_pass_for_a_whole_audit(
    account: Account, deployed: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    sign(deployed)
    group = deployed.outputs["LogGroup"]
    account.client("logs").put_retention_policy(logGroupName=group, retentionInDays=1)
    assert audit(capsys)[0] == 0
    status, found = audit(capsys, "--since", "2d")
    assert (status, found["counts"]["foreign"], found["clean"]) == (1, 0, False)
    assert "keeps 1 days" in found["gaps"][0]


def test_a_trail_in_cloudwatch_logs_is_read_where_it_is_asked_for(
    account: Account, deployed: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    [ours] = sign(deployed)
    events = account.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "Sign"}]
    )["Events"]
    logs = account.client("logs")
    logs.create_log_group(logGroupName="trail")
    logs.create_log_stream(logGroupName="trail", logStreamName="all")
    lines = [
        {
            "message": event["CloudTrailEvent"],
            "timestamp": int(event["EventTime"].timestamp() * 1000),
        }
        for event in events
    ]
    logs.put_log_events(logGroupName="trail", logStreamName="all", logEvents=lines)
    status, found = audit(capsys, "--trail-log-group", "trail")
    assert [event["request_id"] for event in found["matched"]] == [ours]
    # The trail is younger than the window.
    assert (status, found["counts"]["foreign"]) == (1, 0)
    assert "begins on" in found["gaps"][0]


def test_a_stack_without_a_trail_says_how_to_name_one(
    deployed: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = audit(capsys, "--from-log-group")
    assert "TrailLogGroup" not in deployed.outputs
    assert (status, found["error"]["code"]) == (2, "invalid_config")
    assert "--trail-log-group" in found["error"]["hint"]
