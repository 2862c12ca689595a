"""What an audit prints: for a person, and for the next program."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from bursar.aws.audit import Audit, Subject
from bursar.aws.audit.reconciliation import Reconciliation, reconcile
from bursar.aws.audit.records import Record
from bursar.aws.audit.trail import AuditedKey, SignEvent
from bursar.aws.audit.window import Window
from bursar.cli.aws import audit as command
from bursar.cli.main import run

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
AT = NOW - timedelta(hours=1)
WINDOW = Window(NOW - timedelta(hours=24), NOW, NOW)
KEY = AuditedKey("arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321")
MALLORY = "arn:aws:iam::111122223333:user/mallory"


def event(request_id: str, **changes: str) -> SignEvent:
    return SignEvent(f"e {request_id}", request_id, AT, identity=MALLORY, **changes)


def audited(found: Reconciliation, *gaps: str) -> Audit:
    return Audit(Subject(KEY, ("/signer",)), WINDOW, found, gaps)


def printed(found: Audit) -> list[str]:
    console = Console(width=40, highlight=False, soft_wrap=True)
    with console.capture() as captured:
        console.print(command._as_text(found))
    return captured.get().splitlines()


def test_each_finding_is_two_lines_worst_first_and_nothing_is_wrapped() -> None:
    events = [
        event("stolen", source_ip="192.0.2.9", user_agent="aws-cli", access_key_id="AKIA"),
        event("tried", error_code="AccessDenied"),
    ]
    records = [
        Record("gone", AT, "/signer", caller="alice"),
        Record("new", NOW, "/signer"),
        Record("undated", None, "saved.json"),
    ]
    lines = printed(audited(reconcile(events, records, WINDOW)))
    findings = lines[lines.index(next(line for line in lines if line.startswith("foreign 2"))) :]
    assert findings == [
        "foreign 2026-11-24T11:00:00Z  stolen  no record of it",
        f"        {MALLORY} with AKIA, from 192.0.2.9 by aws-cli",
        "missing at no known time  undated  not in CloudTrail's events of this window",
        "        recorded in saved.json",
        "missing 2026-11-24T11:00:00Z  gone  not in CloudTrail",
        "        recorded in /signer, for alice",
        "early   2026-11-24T12:00:00Z  new  not in CloudTrail",
        "        recorded in /signer",
        "refused 2026-11-24T11:00:00Z  tried  AccessDenied",
        f"        {MALLORY}, from ? by ?",
    ]


def test_what_a_caller_calls_itself_cannot_steer_the_terminal_or_forge_a_finding() -> None:
    hostile = event("a", user_agent="x\nforeign 2026\x1b[2J\r[red]\u202e")
    lines = printed(audited(reconcile([hostile], [], WINDOW)))
    assert len([line for line in lines if line.startswith("foreign 2")]) == 1
    assert "\x1b" not in "".join(lines)
    assert "\u202e" not in "".join(lines)
    assert "[red]" in lines[-1]


@pytest.mark.parametrize(
    ("events", "gaps", "verdict"),
    [
        ([], (), "every signature is accounted for"),
        ([event("a")], (), "not every signature is accounted for"),
        ([event("a")], ("gap",), "not every signature is accounted for"),
        ([], ("gap",), "part of the window was not seen"),
        ([event("a", error_code="AccessDenied")], (), "every signature is accounted for"),
    ],
)
def test_the_verdict_is_in_words(
    events: list[SignEvent], gaps: tuple[str, ...], verdict: str
) -> None:
    found = audited(reconcile(events, [], WINDOW), *gaps)
    [line] = [line for line in printed(found) if line.startswith("verdict")]
    assert line.removeprefix("verdict").strip() == verdict
    assert found.clean == (verdict == "every signature is accounted for")


def test_the_next_program_gets_everything_in_json() -> None:
    records = [Record("gone", AT, "/signer"), Record("undated", None, "saved.json")]
    found = command._as_json(audited(reconcile([event("a")], records, WINDOW), "gap"))
    read = json.loads(json.dumps(found))
    assert read["counts"] == {
        "matched": 0,
        "retried": 0,
        "early": 0,
        "missing": 2,
        "foreign": 1,
        "refused": 0,
    }
    assert (read["since"], read["gaps"]) == ("2026-11-23T12:00:00Z", ["gap"])
    assert read["foreign"][0]["at"] == "2026-11-24T11:00:00Z"
    assert [record["at"] for record in read["missing"]] == [None, "2026-11-24T11:00:00Z"]


@pytest.mark.parametrize(
    "options",
    [
        ["--since", "yesterday"],
        ["--since", "1h", "--until", "2h"],
        ["--key", "alias/treasury", "--stack", "treasury"],
    ],
)
def test_wrong_options_are_refused_before_aws_is_asked(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["aws", "audit", "--json", *options]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "invalid_config"


def test_a_file_of_records_that_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in (b"\xff\xfe", b"not json", b"{}"):
        saved = tmp_path / "saved.json"
        saved.write_bytes(content)
        assert run(["aws", "audit", "--json", "--records", str(saved)]) == 2
        assert str(saved) in json.loads(capsys.readouterr().out)["error"]["message"]
