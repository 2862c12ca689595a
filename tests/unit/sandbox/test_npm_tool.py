"""The tools that only tests run are fetched before them, once, and never by them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bursar.errors import SandboxError
from bursar.sandbox.setup import components
from tests.npm_tool import ORACLE, SDK, NpmTool


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


@pytest.fixture(params=[SDK, ORACLE], ids=lambda tool: tool.family)
def tool(request: pytest.FixtureRequest) -> NpmTool:
    which: NpmTool = request.param
    return which


def test_it_is_fetched_once_and_an_older_one_goes(tool, folder):
    npm = Npm()
    (folder / f"{tool.family}-old").mkdir()
    installed = tool.install(folder, npm)
    assert tool.install(folder, npm) == tool.installed(folder) == installed
    assert (installed / "node_modules").is_dir()
    assert list(folder.glob(f"{tool.family}-*")) == [installed]
    assert npm.caches == [str(folder / "npm-cache")]


def test_what_failed_half_way_is_not_taken_for_done(tool, folder):
    with pytest.raises(SandboxError, match="no network"):
        tool.install(folder, Npm(SandboxError("no network")))
    with pytest.raises(SandboxError, match="not installed"):
        tool.installed(folder)
    assert tool.install(folder, Npm()) == tool.installed(folder)


def test_without_it_the_tests_name_the_command_that_fetches_it(tool, folder):
    with pytest.raises(SandboxError, match="`make test` fetches it"):
        tool.installed(folder)


def test_one_tool_does_not_put_another_out(folder):
    sdk = SDK.install(folder, Npm())
    ORACLE.install(folder, Npm())
    assert SDK.installed(folder) == sdk


def test_the_lock_files_name_exact_versions_by_hash_and_no_registry(tool):
    wanted = json.loads((tool.sources / "package.json").read_text())
    named = {**wanted.get("dependencies", {}), **wanted.get("devDependencies", {})}
    assert [version for version in named.values() if not re.fullmatch(r"[0-9.]+", version)] == []
    locked = json.loads((tool.sources / "package-lock.json").read_text())["packages"]
    for name, package in locked.items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name


def test_bursar_neither_needs_nor_mentions_the_simulator():
    root = Path(__file__).parents[3]
    places = [root / "pyproject.toml", root / "requirements", root / "src"]
    files = [
        file for place in places for file in ([place] if place.is_file() else place.rglob("*.*"))
    ]
    texts = {file: file.read_bytes() for file in files if file.is_file()}
    assert texts
    assert [str(file) for file, text in texts.items() if b"cloud-copilot" in text] == []
