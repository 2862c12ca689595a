from __future__ import annotations

import os
from pathlib import Path

import pytest

from bursar.cli.config import load_config
from bursar.errors import ConfigError


def write(folder: Path, text: str) -> str:
    file = folder / "bursar.toml"
    file.write_text(text)
    return str(file)


def test_without_a_file_the_defaults_hold():
    config = load_config(environ={})
    assert config.wallet.locator == "evm:smart:alias:treasury"
    assert config.signer.via == "api"
    assert config.crossmint.api_key is None


def test_the_environment_overlays_the_file(tmp_path):
    file = write(tmp_path, '[aws]\nstack = "one"\nregion = "eu-west-1"\n')
    config = load_config(file, environ={"BURSAR_AWS_STACK": "two", "AWS_REGION": "us-east-1"})
    assert config.aws.stack == "two"
    assert config.aws.region == "eu-west-1"


def test_aws_region_counts_where_nothing_else_says():
    assert load_config(environ={"AWS_REGION": "eu-north-1"}).aws.region == "eu-north-1"


def test_the_api_key_comes_from_the_environment_and_never_prints():
    config = load_config(environ={"BURSAR_CROSSMINT_API_KEY": "sk_staging_k3y"})
    assert config.crossmint.api_key is not None
    assert config.crossmint.api_key.get_secret_value() == "sk_staging_k3y"
    assert "k3y" not in repr(config) + str(config) + config.model_dump_json()


def test_a_file_that_holds_an_api_key_is_refused_without_repeating_it(tmp_path):
    file = write(tmp_path, '[crossmint]\napi_key = "sk_staging_secret"\n')
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ={})
    assert "secret" not in caught.value.message + (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[aws]\nstakc = 'x'\n", "aws.stakc"),
        ("[signer]\nvia = 'phone'\n", "signer.via"),
        ("[nonsense]\n", "nonsense"),
        ("aws = 3\n", "aws"),
        ("[aws\n", "TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, what):
    with pytest.raises(ConfigError, match=what):
        load_config(write(tmp_path, text), environ={"AWS_REGION": "us-east-1"})


def test_a_named_file_must_exist_and_be_text(tmp_path):
    with pytest.raises(ConfigError, match="there is no"):
        load_config(str(tmp_path / "none.toml"), environ={})
    with pytest.raises(ConfigError, match="there is no"):
        load_config(environ={"BURSAR_CONFIG": str(tmp_path / "none.toml")})
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(str(binary), environ={})


def test_a_file_cannot_say_who_gets_the_api_key(tmp_path):
    file = write(tmp_path, '[crossmint]\nurl = "https://evil.example.com"\n')
    with pytest.raises(ConfigError, match="names Crossmint's address"):
        load_config(file, environ={"BURSAR_CROSSMINT_API_KEY": "sk_staging_secret"})
    allowed = load_config(environ={"BURSAR_CROSSMINT_URL": "http://127.0.0.1:1"})
    assert allowed.crossmint.url == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5000, "a = " + "9" * 5000, "#" * 70_000],
    ids=["deep", "long number", "large"],
)
def test_a_hostile_file_is_a_typed_error(tmp_path, text):
    with pytest.raises(ConfigError):
        load_config(write(tmp_path, text), environ={})


def test_only_a_regular_file_is_read(tmp_path):
    os.mkfifo(tmp_path / "bursar.toml")
    with pytest.raises(ConfigError, match="not a file"):
        load_config(str(tmp_path / "bursar.toml"), environ={})
    with pytest.raises(ConfigError):
        load_config("/dev/zero", environ={})
