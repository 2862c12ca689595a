from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from bursar.errors import ConfigError, KmsCredentials
from bursar.kms.credentials import (
    CredentialChain,
    Renewable,
    environment_credentials,
    profile_region,
    resolve_with_botocore,
)
from bursar.kms.sigv4 import Credentials

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "secret-env"}


@pytest.fixture
def aws_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An AWS config file, and an environment that holds nothing else of AWS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return config


def never(_profile: str | None) -> Renewable:
    raise AssertionError


def test_the_environment_s_keys_are_taken_without_asking_botocore() -> None:
    chain = CredentialChain(environ={**KEYS, "AWS_SESSION_TOKEN": "token"}, resolve=never)
    assert chain() == Credentials("AKIDENV", "secret-env", "token")
    assert chain() is chain()


@pytest.mark.parametrize("missing", KEYS)
def test_half_a_key_names_the_missing_half(missing: str) -> None:
    with pytest.raises(KmsCredentials, match=f"{missing} is not set") as caught:
        environment_credentials({name: value for name, value in KEYS.items() if name != missing})
    assert caught.value.hint
    assert "secret-env" not in str(caught.value.to_dict())


def test_an_empty_session_token_is_none() -> None:
    assert environment_credentials({**KEYS, "AWS_SESSION_TOKEN": ""}).session_token is None


class Role:
    """A role whose credentials botocore's own class renews before they expire."""

    def __init__(self, lifetime: float) -> None:
        self.lifetime = lifetime
        self.renewals = 0
        self.now = dt.datetime.now(dt.UTC)
        self.credentials = RefreshableCredentials(
            "AKID0",
            "secret",
            "token0",
            self.now + dt.timedelta(seconds=lifetime),
            self.renew,
            "test",
            time_fetcher=lambda: self.now,
        )

    def metadata(self) -> dict[str, Any]:
        return {
            "access_key": f"AKID{self.renewals}",
            "secret_key": "secret",
            "token": f"token{self.renewals}",
            "expiry_time": (self.now + dt.timedelta(seconds=self.lifetime)).isoformat(),
        }

    def renew(self) -> dict[str, Any]:
        self.renewals += 1
        return self.metadata()


def test_a_role_s_credentials_are_renewed_before_they_expire() -> None:
    role = Role(lifetime=3600)
    chain = CredentialChain(environ={}, resolve=lambda _: role.credentials)
    assert chain().session_token == "token0"
    role.now += dt.timedelta(seconds=2400)
    assert chain().session_token == "token0"
    role.now += dt.timedelta(seconds=1000)
    assert chain().session_token == "token1"
    assert role.renewals == 1


def test_credentials_that_did_not_change_are_the_same_object() -> None:
    chain = CredentialChain(environ={}, resolve=lambda _: Role(3600).credentials)
    assert chain() is chain()


def test_credentials_that_cannot_be_renewed_are_an_error_with_a_next_step() -> None:
    class Broken:
        def get_frozen_credentials(self) -> Any:
            raise RuntimeError("the token in /home/somebody/.aws/sso/cache/secret has expired")

    with pytest.raises(KmsCredentials, match="could not be renewed") as caught:
        CredentialChain(environ={}, resolve=lambda _: Broken())()
    assert "secret" not in str(caught.value)
    assert "aws sso login" in str(caught.value.hint)


def test_a_named_profile_wins_over_the_environment_s_keys(aws_config: Path) -> None:
    aws_config.write_text(
        "[profile treasury]\naws_access_key_id = AKIDFILE\naws_secret_access_key = secret\n"
    )
    assert CredentialChain(profile="treasury", environ=KEYS)().access_key_id == "AKIDFILE"


def test_no_credentials_anywhere_is_an_error_with_a_next_step(aws_config: Path) -> None:
    aws_config.write_text("")
    with pytest.raises(KmsCredentials, match="there are no AWS credentials") as caught:
        CredentialChain(environ={})()
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "[profile other]\n", "not a config file ["])
def test_a_profile_that_is_not_there_is_an_error_of_ours(aws_config: Path, text: str) -> None:
    aws_config.write_text(text)
    with pytest.raises(KmsCredentials):
        resolve_with_botocore("treasury")
    with pytest.raises(ConfigError):
        profile_region("treasury")


def test_the_profile_s_region_is_found_where_none_is_set(aws_config: Path) -> None:
    aws_config.write_text("[profile treasury]\nregion = eu-central-2\n")
    assert profile_region("treasury") == "eu-central-2"


def test_no_region_anywhere_is_an_error_with_a_next_step(aws_config: Path) -> None:
    aws_config.write_text("")
    with pytest.raises(ConfigError, match="no AWS Region") as caught:
        profile_region(None)
    assert "AWS_REGION" in str(caught.value.hint)


WITHOUT_BOTOCORE = """
import sys
sys.modules["botocore"] = None
from bursar.errors import BursarError
from bursar.kms.credentials import profile_region, resolve_with_botocore
for call in (profile_region, resolve_with_botocore):
    try:
        call(None)
    except BursarError as error:
        print(error.code, error.hint)
"""


def test_without_botocore_the_errors_say_what_to_set() -> None:
    out = subprocess.run(
        [sys.executable, "-c", WITHOUT_BOTOCORE], capture_output=True, text=True, check=True
    ).stdout
    first, second = out.splitlines()
    assert first.startswith("invalid_config set AWS_REGION")
    assert second.startswith("kms_credentials set AWS_ACCESS_KEY_ID")
