from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from bursar.chains import evm
from bursar.cli.main import _COMMANDS, cli, run
from bursar.cli.shell import Shell
from bursar.cli.shell import report as report_error
from bursar.errors import InputError

PEM = """-----BEGIN PUBLIC KEY-----
MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEeb5mfvncu6xVoGKVzocLBwKb/NstzijZ
WfKBWxb4F5hIOtp3JqPEZV2k+/wOEQio/Re0SKaFVBmcR9CP+xDUuA==
-----END PUBLIC KEY-----
"""


def walk(
    command: click.Command, path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            found += walk(inner, (*path, name))
    return found


ALL = walk(cli)
LEAVES = [(path, c) for path, c in ALL if not isinstance(c, click.Group)]


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(p) for p, _ in ALL])
def test_every_command_has_help(path, command, capsys):
    assert run([*path, "--help"]) == 0
    assert "Usage: bursar" in capsys.readouterr().out
    assert command.help


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(p) for p, _ in LEAVES])
def test_every_command_takes_json_and_v_and_explains_each_option(path, command):
    options = {name for p in command.params for name in p.opts}
    assert {"--json", "-v"} <= options, path


def test_the_groups_listed_in_help_are_the_groups_there_are():
    assert sorted(_COMMANDS) == sorted({path[0] for path, _ in ALL if path})


def test_an_address_is_derived_from_a_pem_file_without_any_network(tmp_path, capsys):
    file = tmp_path / "key.pem"
    file.write_text(PEM)
    assert run(["key", "address", "--pem", str(file)]) == 0
    # The generator point itself: the key whose private scalar is 1.
    assert capsys.readouterr().out.strip() == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"


def test_an_error_is_one_line_and_a_hint_on_stderr(tmp_path, capsys):
    file = tmp_path / "key.pem"
    file.write_text("not a key")
    assert run(["key", "address", "--pem", str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: not a PEM public key\nhint: ")


def test_with_json_an_error_is_one_document_on_stdout(tmp_path, capsys):
    file = tmp_path / "key.pem"
    file.write_text("not a key")
    assert run(["key", "address", "--pem", str(file), "--json"]) == 2
    printed = capsys.readouterr()
    error = json.loads(printed.out)["error"]
    assert error["code"] == "invalid_public_key"
    assert error["retryable"] is False
    assert printed.err == ""


def test_json_works_before_and_after_the_command(tmp_path, capsys):
    file = tmp_path / "key.pem"
    file.write_text(PEM)
    for arguments in (["--json", "key", "address"], ["key", "address", "--json"]):
        assert run([*arguments, "--pem", str(file)]) == 0
        assert evm.parse_address(json.loads(capsys.readouterr().out)["address"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["sign"],
        ["sign", "--hash", "0x" + "11" * 32, "--message", "both"],
        ["sign", "--hash", "0x1234"],
        ["sign", "--message", "hello", "--scheme", "raw"],
        ["transfer", "send", "--to", "0x1", "--amount", "1"],
        ["transfer", "start", "--to", "0x" + "11" * 20, "--amount", "0"],
        ["transfer", "start", "--to", "0x" + "11" * 20, "--amount", "1e3"],
        ["wallet", "create", "--signer-address", "0x12"],
        ["nonsense"],
    ],
)
def test_wrong_input_exits_with_2_before_any_network(arguments, monkeypatch, capsys):
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert run(arguments) == 2
    assert "rror" in capsys.readouterr().err


def test_without_an_api_key_the_next_step_is_named(monkeypatch, capsys):
    monkeypatch.delenv("BURSAR_CROSSMINT_API_KEY", raising=False)
    assert run(["wallet", "show"]) == 2
    assert "BURSAR_CROSSMINT_API_KEY" in capsys.readouterr().err


PAY = ["--json", "transfer", "send", "--to", "0x" + "11" * 20, "--amount", "1"]


def test_paying_without_a_terminal_needs_yes_and_an_id(monkeypatch, capsys):
    monkeypatch.setenv("BURSAR_CROSSMINT_API_KEY", "sk_staging_" + "1" * 40)
    assert run([*PAY, "--id", "mine"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert "--yes" in said["error"]["hint"]
    assert said["transfer_id"] == "mine"
    assert run([*PAY, "--yes"]) == 2
    assert "--id" in json.loads(capsys.readouterr().out)["error"]["hint"]


def test_values_are_printed_whole_to_be_copied(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    signature = "0x" + "ab" * 65
    Shell().result({"signature": signature, "signed_by": "0x" + "11" * 20})
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"signature  {signature}", "signed by  0x" + "11" * 20]


def test_a_mistyped_command_is_answered_with_the_near_one(capsys):
    assert run(["trasnfer"]) == 2
    assert "'transfer'" in capsys.readouterr().err
    assert run(["--json", "trasnfer"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "invalid_request"


def test_without_an_extra_the_door_says_what_to_install(tmp_path):
    blocked = "import sys; sys.modules['click'] = None\nfrom bursar.__main__ import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", blocked], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "pip install 'bursar[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_verbose_adds_a_traceback_and_keeps_status_and_document(tmp_path, capsys):
    file = tmp_path / "key.pem"
    file.write_text("not a key")
    assert run(["-v", "--json", "key", "address", "--pem", str(file)]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["code"] == "invalid_public_key"
    assert "Traceback" in printed.err


def test_what_others_wrote_is_shown_as_plain_text(capsys):
    shell = Shell()
    hostile = "[bold red]x[/] [/y] [link=https://example.com]z[/link] \x1b[2J \u202e end"
    shell.result({"status": hostile})
    shell.result({}, hostile)
    shell.say(hostile)
    with shell.waiting(hostile) as report:
        report(hostile + "!")
    assert report_error(shell, InputError(hostile)) == 2
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert "[bold red]x[/] [/y] [link=https://example.com]z[/link]" in text
        assert "\x1b" not in text
        assert "\u202e" not in text
