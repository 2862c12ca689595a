"""Crossmint's SDK is fetched before the tests, once, and never by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bursar.errors import SandboxError
from bursar.sandbox.setup import components
from tests.e2e.official_sdk import install_sdk, installed_sdk


class Npm:
    """Stands in for npm: counts its calls, and fails where told to."""

    def __init__(self, problem: SandboxError | None = None) -> None:
        self.problem = problem
        self.caches: list[str] = []

    def __call__(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
    ) -> None:
        assert {"ci", "--ignore-scripts"} <= set(command)
        self.caches.append((env or {})["npm_config_cache"])
        if self.problem:
            raise self.problem
        (cwd / "node_modules").mkdir()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tools folder with a Node, so that the machine needs none."""
    node = components.node(tmp_path)
    for need in node.needs:
        (node.folder / need).parent.mkdir(parents=True, exist_ok=True)
        (node.folder / need).touch()
    return tmp_path


def test_it_is_fetched_once_and_an_older_one_goes(folder):
    npm = Npm()
    (folder / "sdk-old").mkdir()
    sdk = install_sdk(folder, npm)
    assert install_sdk(folder, npm) == installed_sdk(folder) == sdk
    assert (sdk / "node_modules").is_dir()
    assert list(folder.glob("sdk-*")) == [sdk]
    assert npm.caches == [str(folder / "npm-cache")]


def test_what_failed_half_way_is_not_taken_for_done(folder):
    with pytest.raises(SandboxError, match="no network"):
        install_sdk(folder, Npm(SandboxError("no network")))
    with pytest.raises(SandboxError, match="not installed"):
        installed_sdk(folder)
    assert install_sdk(folder, Npm()) == installed_sdk(folder)


def test_without_it_the_tests_name_the_command_that_fetches_it(folder):
    with pytest.raises(SandboxError, match="`make test` fetches it"):
        installed_sdk(folder)
