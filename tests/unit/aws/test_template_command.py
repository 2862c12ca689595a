from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bursar.cli.main import run

KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["aws", "template", *arguments]) == 0
    template: dict[str, Any] = json.loads(capsys.readouterr().out)
    return template


def test_the_template_is_printed_without_asking_aws(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["aws", "template", "--stage", "test", "--runtime", "python3.12"]) == 0
    template = json.loads(capsys.readouterr().out)
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
    role = template["Resources"]["FunctionRole"]["Properties"]["Policies"][0]
    assert role["PolicyDocument"]["Statement"][0]["Resource"] == KEY
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
