from __future__ import annotations

import json

import pytest

from bursar.cli.main import run


def test_the_template_is_printed_without_asking_aws(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["aws", "template", "--stage", "test", "--runtime", "python3.12"]) == 0
    template = json.loads(capsys.readouterr().out)
    function = template["Resources"]["Function"]["Properties"]
    assert (function["Runtime"], function["Architectures"]) == ("python3.12", ["arm64"])
    assert template["Outputs"]["Stage"]["Value"] == "test"


def test_a_runtime_lambda_does_not_have_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["aws", "template", "--runtime", "python3.9"]) == 2
    assert "python3.9" in capsys.readouterr().err
