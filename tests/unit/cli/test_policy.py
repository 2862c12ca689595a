from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bursar.cli.policy import command
from bursar.cli.shell import Shell, report
from bursar.errors import BursarError
from tests.unit.policy.treasury import ACME, ADA, BASIC, SESSION, STRANGER, USDC

EXAMPLE = Path(__file__).parents[3] / "docs/examples/policy.toml"
PROPOSAL: dict[str, Any] = {
    "kind": "transfer",
    "chain": "base-sepolia",
    "payments": [
        {"token": "base-sepolia:usdc", "contract": USDC, "amount": "200000000", "recipient": ACME}
    ],
    "calls": 1,
    "feeAtMost": "1000",
    "requestedBy": SESSION,
    "transaction": "t-1",
}
DAILY = '[[limits]]\nper = "day"\ntoken = "usdc"\namount = "500"\n'


def run(*arguments: object) -> int:
    """Run the group as the program does; returns the exit status."""
    shell = Shell(json="--json" in arguments)
    # As from above: a command remembers the first that it is called with.
    names = ["-h", "--help"]
    given = [str(each) for each in arguments]
    try:
        status = command.main(given, standalone_mode=False, obj=shell, help_option_names=names)
    except BursarError as problem:
        return report(shell, problem)
    return status if isinstance(status, int) else 0


@pytest.fixture
def file(tmp_path):
    def write(name: str, content: Any) -> Path:
        path: Path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def record(hour: int, decided: str = "allowed", **changes: Any) -> dict[str, Any]:
    return (
        PROPOSAL
        | {"at": f"2026-11-25T{hour:02}:00:00Z", "decided": decided, "transaction": f"t-{hour}"}
        | changes
    )


# check


def test_the_example_is_checked_and_said_in_words(capsys):
    assert run("check", EXAMPLE) == 0
    out = capsys.readouterr().out
    assert "tokens.usdc " in out
    assert "One payment moves at most 1000 usdc" in out
    assert out.splitlines()[-1].startswith("version 1, sha256:")
    assert "warning" not in out


def test_an_error_has_its_line_and_what_to_do_and_exits_1(file, capsys):
    bad = file("bad.toml", BASIC.replace('"1000.00"', "1000.00"))
    assert run("check", bad) == 1
    out = capsys.readouterr().out
    assert out == (
        f"{bad}:8:1: error: per_transfer is 1000.00, a number that computers round\n"
        '  hint: write it in quotes: "1000.00"\n'
    )


def test_a_contradiction_exits_1_and_a_warning_does_not(file, capsys):
    denied = file("denied.toml", BASIC + f'[recipients.deny]\nclosed = "{ACME}"')
    assert run("check", denied) == 1
    assert ":10:1: error: acme is allowed and, as closed, denied" in capsys.readouterr().out
    chain = file("chain.toml", BASIC.replace("base-sepolia", "base-sepolja"))
    assert run("check", chain) == 0
    assert "hint: did you mean base-sepolia?" in capsys.readouterr().out


def test_a_check_is_one_json_document(file, capsys):
    assert run("check", EXAMPLE, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["version"], found["findings"]) == (True, 1, [])
    assert found["hash"].startswith("sha256:")
    assert found["rules"][0].keys() == {"rule", "text"}
    assert run("check", file("bad.toml", "version = 0"), "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "ok": False,
        "version": None,
        "hash": None,
        "findings": [
            {
                "severity": "error",
                "line": 1,
                "column": 1,
                "message": "version is 0, and must be 1 to 2147483648",
                "hint": None,
            }
        ],
        "rules": [],
    }


def test_the_policy_here_is_checked_where_none_is_named(file, monkeypatch, capsys):
    monkeypatch.chdir(file("policy.toml", BASIC).parent)
    assert run("check") == 0
    assert "version 3" in capsys.readouterr().out


# explain


def test_an_allowed_transaction_is_explained_rule_by_rule(file, capsys):
    policy, asked = file("policy.toml", BASIC), file("asked.json", PROPOSAL)
    assert run("explain", "--proposal", asked, "--policy", policy) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("✓ ") for line in lines[:-1])
    assert lines[-1].startswith("allowed, by version 3, sha256:")


def test_a_refusal_is_explained_and_exits_1(file, capsys):
    payment = PROPOSAL["payments"][0] | {"recipient": STRANGER}
    asked = file("asked.json", PROPOSAL | {"payments": [payment]})
    assert run("explain", "--proposal", asked, "--policy", file("policy.toml", BASIC)) == 1
    out = capsys.readouterr().out
    [line] = [line for line in out.splitlines() if line.startswith("✗")]
    assert line.split() == ["✗", "recipients.allow", f"{STRANGER};", "2", "listed"]
    assert out.splitlines()[-1].startswith("refused, by version 3")


def test_what_needs_approval_says_how_many_and_exits_1(file, capsys):
    policy = file("policy.toml", BASIC + f'[[approvals]]\napprovers = 1\nby = ["{ADA}"]\n')
    assert run("explain", "--proposal", file("asked.json", PROPOSAL), "--policy", policy) == 1
    out = capsys.readouterr().out
    assert "! approvals[every transaction]" in out
    assert "needs approval: 1 more, not arn:aws:iam::111122223333:role/payroll, by version 3" in out


def test_what_was_spent_comes_from_the_records_up_to_that_time(file, capsys):
    policy, asked = file("policy.toml", BASIC + DAILY), file("asked.json", PROPOSAL)
    usual = ["explain", "--proposal", asked, "--policy", policy, "--json"]
    assert run(*usual) == 1
    unknown = json.loads(capsys.readouterr().out)["rules"][-1]
    assert unknown["value"] == "what was spent under usdc|* is not known"
    records = file("records.json", [record(hour) for hour in (8, 9, 10, 23)])
    for at, status, spent in (
        ("09:30", 1, "600 usdc"),
        ("08:30", 0, "400 usdc"),
        ("08:00", 0, "400 usdc"),
    ):
        assert run(*usual, "--records", records, "--at", f"2026-11-25T{at}:00Z") == status
        last = json.loads(capsys.readouterr().out)["rules"][-1]
        assert last["value"] == f"{spent} with this one"


@pytest.mark.parametrize(
    ("content", "code"),
    [("{", "invalid_request"), ("[1]", "invalid_request"), ({"kind": "x"}, "invalid_request")],
)
def test_what_is_no_proposal_is_an_error(file, capsys, content, code):
    asked, policy = file("asked.json", content), file("policy.toml", BASIC)
    assert run("explain", "--proposal", asked, "--policy", policy, "--json") == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code


def test_a_policy_that_cannot_be_read_decides_nothing(file, capsys):
    asked, policy = file("asked.json", PROPOSAL), file("policy.toml", "version = ")
    assert run("explain", "--proposal", asked, "--policy", policy) == 2
    assert capsys.readouterr().err.startswith("error: policy.toml line 1: it is not TOML")


# simulate


def test_a_changed_policy_is_shown_against_what_was_decided(file, capsys):
    policy = file("policy.toml", BASIC + DAILY)
    records = file("records.jsonl", "\n".join(json.dumps(record(hour)) for hour in (8, 9, 10)))
    assert run("simulate", "--records", records, "--policy", policy) == 0
    head, *rows, total = capsys.readouterr().out.splitlines()
    assert head.split() == ["at", "transaction", "what", "was", "would", "be", "because"]
    assert [row.split()[1] for row in rows] == ["t-8", "t-9", "t-10"]
    assert "refused" not in rows[1]
    assert "limits[usdc, 1 day]: 600 usdc with this one; at most 500 usdc" in rows[2]
    assert rows[2].endswith("changed")
    assert total == "1 of 3 would be decided otherwise"


def test_only_the_changes_and_only_since_a_time_are_shown_on_request(file, capsys):
    policy = file("policy.toml", BASIC + DAILY)
    records = file("records.json", [record(hour) for hour in (8, 9, 10, 11)])
    usual = ["simulate", "--records", records, "--policy", policy, "--json"]
    assert run(*usual, "--changed") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["records"], found["changed"]) == (4, 2)
    assert [each["transaction"] for each in found["decisions"]] == ["t-10", "t-11"]
    assert run(*usual, "--since", "2026-11-25T11:00:00Z") == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "records": 1,
        "changed": 1,
        "decisions": [
            {
                "at": "2026-11-25T11:00:00+00:00",
                "transaction": "t-11",
                "what": "200 usdc to acme",
                "was": "allowed",
                "wouldBe": "refused",
                "because": "limits[usdc, 1 day]: 600 usdc with this one; at most 500 usdc",
                "changed": True,
            }
        ],
    }


def test_many_payments_are_told_by_their_sums(file, capsys):
    many = record(8)
    for number, what in ((3, ", 200 usdc to acme"), (4, "800 usdc, 4 payments")):
        records = file("records.json", [{**many, "payments": many["payments"] * number}])
        policy = file("policy.toml", BASIC)
        assert run("simulate", "--records", records, "--policy", policy, "--json") == 0
        [row] = json.loads(capsys.readouterr().out)["decisions"]
        assert row["what"].endswith(what)


def test_nothing_to_show_is_said(file, capsys):
    policy, records = file("policy.toml", BASIC), file("records.json", "[]")
    assert run("simulate", "--records", records, "--policy", policy) == 0
    assert capsys.readouterr().out == "0 of 0 would be decided otherwise\n"


def test_what_is_no_payment_is_named_by_its_kind(file, capsys):
    blind = {"kind": "blind_digest", "at": "2026-11-25T08:00:00Z"}
    policy, records = file("policy.toml", BASIC), file("records.json", [blind])
    assert run("simulate", "--records", records, "--policy", policy, "--json") == 0
    [row] = json.loads(capsys.readouterr().out)["decisions"]
    assert (row["what"], row["was"], row["transaction"]) == ("blind digest", "-", "-")
    assert (row["wouldBe"], row["changed"]) == ("refused", False)


def test_a_first_policy_is_written_though_the_settings_name_it_already(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bursar.toml").write_text('[policy]\nfile = "policy.toml"\n')
    caps = ("--per-transfer", "5", "--per-day", "50")
    who = ("--recipient", f"acme={ACME}", "--caller", "arn:aws:iam::111122223333:role/payroll")
    assert run("new", *who, *caps, "-o", "policy.toml") == 0
    assert run("check", "policy.toml") == 0
