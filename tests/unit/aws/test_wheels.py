from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

import pytest

from bursar.aws.wheels import (
    REQUIREMENTS,
    Target,
    Wheel,
    cache_directory,
    fetch_wheels,
    host_target,
)
from bursar.errors import AwsError, ConfigError

DATA = b"a wheel"
NAME = "tiny-1.0-py3-none-any.whl"


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    pinned = tmp_path / "requirements.txt"
    pinned.write_text(f"tiny==1.0 \\\n    --hash=sha256:{hashlib.sha256(DATA).hexdigest()}\n")
    return pinned


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BURSAR_HOME", str(tmp_path / "home"))
    folder = cache_directory() / Target("python3.13", "arm64").folder
    folder.mkdir(parents=True)
    return folder


def test_a_cached_wheel_of_the_pinned_hash_is_used_without_asking_anyone(
    cache: Path, requirements: Path
) -> None:
    (cache / NAME).write_bytes(DATA)
    found = fetch_wheels(Target("python3.13", "arm64"), requirements=requirements)
    assert found == (Wheel(cache / NAME, DATA),)


def test_a_cached_wheel_that_is_not_the_pinned_file_is_refused(
    cache: Path, requirements: Path
) -> None:
    (cache / NAME).write_bytes(b"another wheel")
    with pytest.raises(AwsError, match="not the file that was pinned"):
        fetch_wheels(Target("python3.13", "arm64"), requirements=requirements)


def test_a_wheel_of_another_package_that_is_pinned_too_is_refused(
    cache: Path, requirements: Path
) -> None:
    other = b"another wheel"
    with requirements.open("a") as pinned:
        pinned.write(f"other==2.0 \\\n    --hash=sha256:{hashlib.sha256(other).hexdigest()}\n")
    (cache / NAME).write_bytes(other)
    (cache / "other-2.0-py3-none-any.whl").write_bytes(other)
    with pytest.raises(AwsError, match=r"tiny-1\.0.*not the file that was pinned"):
        fetch_wheels(Target("python3.13", "arm64"), requirements=requirements)


def test_a_missing_wheel_that_cannot_be_fetched_names_the_option(
    cache: Path, requirements: Path, tmp_path: Path
) -> None:
    with pytest.raises(AwsError) as caught:
        fetch_wheels(Target("python3.13", "arm64"), find_links=tmp_path, requirements=requirements)
    assert "could not be fetched" in caught.value.message
    assert "--wheels DIR" in str(caught.value.hint)
    assert not list(cache.iterdir())


def test_lambdas_wheels_are_asked_for_by_platform_and_this_machines_are_not() -> None:
    arm = Target("python3.12", "arm64").pip_options()
    assert "--platform=manylinux2014_aarch64" in arm
    assert "--python-version=3.12" in arm
    assert host_target().pip_options() == []


def test_this_machines_target_is_its_interpreter_and_has_a_folder_of_its_own() -> None:
    here = host_target()
    assert here.runtime == f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert here.folder != Target(here.runtime, here.architecture).folder


@pytest.mark.parametrize(("runtime", "architecture"), [("python3.9", "arm64"), ("python3.13", "")])
def test_a_runtime_or_architecture_lambda_does_not_have_is_refused(
    runtime: str, architecture: str
) -> None:
    with pytest.raises(ConfigError):
        Target(runtime, architecture)


def test_the_functions_packages_are_the_ones_the_project_is_tested_with() -> None:
    locked = (Path(__file__).parents[3] / "requirements" / "dev.txt").read_text()
    for block in re.split(r"\n(?=\w)", REQUIREMENTS.read_text().split("\n\n")[-1]):
        if not block.startswith("#"):
            assert block.rstrip() in locked
