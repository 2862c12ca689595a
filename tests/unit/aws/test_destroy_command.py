from __future__ import annotations

import pytest

from bursar.cli.main import run


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "Delete the protected stack treasury in eu-north-1 and its code? The key stays."),
        (("--delete-key", "alias/a"), "and the key alias/a after 30 days?"),
    ],
)
def test_the_question_says_what_becomes_of_the_key(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert run(["aws", "destroy", "--stack", "treasury", *options]) == 2
    assert said in capsys.readouterr().err
