"""Setting the sandbox's tools up: once, pinned, and never half."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from bursar.errors import SandboxError
from bursar.sandbox.setup import components
from bursar.sandbox.setup.commands import run
from bursar.sandbox.setup.components import Component, PinnedFile
from bursar.sandbox.setup.install import install_tools, take_file
from bursar.sandbox.setup.tools import find_anvil, find_node, tools

Hook = Callable[[Sequence[str]], None]


def no_which(_name: str) -> None:
    return None


def machine_which(name: str) -> str:
    return f"/machine/{name}"


class Installer:
    """Stands in for pip and npm: makes the files they would make, and remembers what it was asked."""

    def __init__(self, folder: Path, before: Hook = lambda _command: None) -> None:
        self.folder = folder
        self.before = before
        self.commands: list[list[str]] = []
        self.env: dict[str, str] = {}

    def __call__(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.commands.append(list(command))
        self.before(command)
        if "ci" in command:
            self.env = dict(env or {})
            Path(self.env["npm_config_cache"]).mkdir(exist_ok=True)
        for part in parts(self.folder):
            if cwd.name == part.folder.name:
                for need in part.needs:
                    (cwd / need).parent.mkdir(parents=True, exist_ok=True)
                    (cwd / need).touch()

    def ran(self, word: str) -> bool:
        return any(word in command for command in self.commands)


def parts(folder: Path) -> list[Component]:
    return [components.ministack(folder), components.node(folder), components.anvil(folder)]


def put(part: Component) -> None:
    for need in part.needs:
        (part.folder / need).parent.mkdir(parents=True, exist_ok=True)
        (part.folder / need).touch()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tools folder that has what does not come from pip or `npm ci`."""
    put(components.contracts(tmp_path))
    put(components.compiled(tmp_path))
    return tmp_path


def test_the_first_run_installs_and_the_second_runs_nothing(folder):
    first, second, said = Installer(folder), Installer(folder), list[str]()
    assert install_tools(said.append, folder, run=first, which=machine_which) == [
        "ministack",
        "anvil",
    ]
    assert install_tools(said.append, folder, run=second, which=machine_which) == []
    assert second.commands == []
    assert sorted(said) == [
        "Fetching anvil, the chain …",
        "Fetching anvil, the chain: 0 s",
        "Installing ministack, the AWS emulator …",
        "Installing ministack, the AWS emulator: 0 s",
    ]
    assert tools(folder).ministack[0].endswith("bin/python")


def test_pip_is_held_to_the_hashes_and_npm_runs_no_scripts(folder):
    installer = Installer(folder)
    install_tools(lambda _line: None, folder, run=installer, which=machine_which)
    [pip] = [command for command in installer.commands if "pip" in command]
    [npm] = [command for command in installer.commands if "ci" in command]
    assert "--require-hashes" in pip
    assert npm[0] == "/machine/npm"
    assert "--ignore-scripts" in npm


def test_a_machine_without_npm_gets_node_from_pypi(folder):
    installer = Installer(folder)
    installed = install_tools(lambda _line: None, folder, run=installer, which=no_which)
    assert installed == ["ministack", "node", "anvil"]
    node = find_node(folder, no_which)
    assert [*node.npm, "ci"] == next(c for c in installer.commands if "ci" in c)[:3]
    assert installer.env["PATH"].startswith(str(node.node.parent))


def test_the_machines_own_npm_is_used_where_there_is_one(tmp_path):
    assert find_node(tmp_path, machine_which).npm == ["/machine/npm"]
    with pytest.raises(SandboxError, match="no npm") as refused:
        find_node(tmp_path, no_which)
    assert "sandbox setup" in str(refused.value.hint)


def test_npm_keeps_out_of_the_users_home_and_its_cache_goes_in_the_end(folder):
    installer = Installer(folder)
    install_tools(lambda _line: None, folder, run=installer, which=machine_which)
    cache = Path(installer.env["npm_config_cache"])
    assert cache.parent == folder
    assert not cache.exists()


def test_what_fails_half_way_is_not_taken_for_done(folder):
    def fail(command: Sequence[str]) -> None:
        if "pip" in command:
            raise SandboxError("no network")

    with pytest.raises(SandboxError, match="no network"):
        install_tools(lambda _line: None, folder, run=Installer(folder, fail), which=machine_which)
    assert not components.ministack(folder).folder.exists()
    with pytest.raises(SandboxError, match="ministack"):
        tools(folder)
    again = install_tools(lambda _line: None, folder, run=Installer(folder), which=machine_which)
    assert again == ["ministack"]


def test_leftovers_of_a_killed_run_are_cleared(folder):
    (folder / ".new-left").mkdir()
    install_tools(lambda _line: None, folder, run=Installer(folder), which=machine_which)
    assert list(folder.glob(".new-*")) == []


def test_a_folder_with_a_missing_file_is_made_again(folder):
    put(components.ministack(folder))
    (components.ministack(folder).folder / "bin/python").unlink()
    installed = install_tools(
        lambda _line: None, folder, run=Installer(folder), which=machine_which
    )
    assert "ministack" in installed


def test_outdated_versions_are_removed(folder):
    family = components.ministack(folder).family
    (folder / f"{family}-0123456789abcdef").mkdir()
    install_tools(lambda _line: None, folder, run=Installer(folder), which=machine_which)
    assert [p.name for p in folder.glob(f"{family}-*")] == [
        components.ministack(folder).folder.name
    ]


def test_a_platform_npm_has_no_anvil_for_can_bring_its_own(folder, monkeypatch):
    class WithoutAnvil(Installer):
        def __call__(self, command, *, cwd, env=None):
            if "ci" not in command:
                super().__call__(command, cwd=cwd, env=env)

    with pytest.raises(SandboxError, match="no anvil") as refused:
        install_tools(lambda _line: None, folder, run=WithoutAnvil(folder), which=machine_which)
    assert "BURSAR_ANVIL" in str(refused.value.hint)
    monkeypatch.setenv("BURSAR_ANVIL", "/own/anvil")
    install_tools(lambda _line: None, folder, run=WithoutAnvil(folder), which=machine_which)
    assert tools(folder).anvil == Path("/own/anvil")


def test_missing_tools_say_how_to_get_them(tmp_path):
    for look in (tools, find_anvil):
        with pytest.raises(SandboxError, match="not installed") as refused:
            look(tmp_path)
        assert refused.value.hint == "run `bursar sandbox setup`"


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SandboxError, match="cannot be written") as refused:
        install_tools(lambda _line: None, tmp_path / "file" / "tools")
    assert "BURSAR_HOME" in str(refused.value.hint)


def archive(folder: Path, member: tarfile.TarInfo, content: bytes = b"") -> PinnedFile:
    pin = PinnedFile("@scope/name@1.0.0", "", "package/wanted.json", "wanted.json")
    with tarfile.open(folder / pin.archive, "w:gz") as tar:
        tar.addfile(member, io.BytesIO(content))
    digest = hashlib.sha512((folder / pin.archive).read_bytes()).digest()
    return PinnedFile(
        pin.package, f"sha512-{base64.b64encode(digest).decode()}", pin.member, pin.file
    )


def regular(name: str, content: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member


def test_only_the_pinned_file_is_taken_out_of_a_package(tmp_path):
    pin = archive(tmp_path, regular("package/wanted.json", b"{}"), b"{}")
    into = tmp_path / "into"
    into.mkdir()
    take_file(tmp_path / "scope-name-1.0.0.tgz", pin, into)
    assert (into / "wanted.json").read_bytes() == b"{}"


def test_a_package_that_is_not_the_pinned_one_is_refused(tmp_path):
    pin = archive(tmp_path, regular("package/wanted.json", b"{}"), b"{}")
    (tmp_path / pin.archive).write_bytes(b"something else")
    with pytest.raises(SandboxError, match="not the package that was pinned"):
        take_file(tmp_path / pin.archive, pin, tmp_path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE])
def test_a_member_that_is_no_regular_file_is_refused(tmp_path, kind):
    member = tarfile.TarInfo("package/wanted.json")
    member.type = kind
    member.linkname = "/etc/passwd"
    pin = archive(tmp_path, member)
    with pytest.raises(SandboxError, match="not a file"):
        take_file(tmp_path / pin.archive, pin, tmp_path)


def test_a_package_without_the_file_is_refused(tmp_path):
    pin = archive(tmp_path, regular("package/other.json", b"{}"), b"{}")
    with pytest.raises(SandboxError, match="not a file"):
        take_file(tmp_path / pin.archive, pin, tmp_path)


def test_a_package_npm_did_not_make_is_a_clear_error(tmp_path):
    pin = PinnedFile("@scope/name@1.0.0", "sha512-", "package/x", "x")
    with pytest.raises(SandboxError, match="made no scope-name"):
        take_file(tmp_path / pin.archive, pin, tmp_path)


def test_a_failed_command_shows_its_last_lines_without_passwords(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("print('old\\n' * 50 + 'looking at https://me:secret@index/'); exit(3)")
    with pytest.raises(SandboxError) as refused:
        run([sys.executable, str(script)], cwd=tmp_path)
    assert "https://…@index/" in refused.value.message
    assert "secret" not in refused.value.message
    assert refused.value.message.count("\n  old") == 7


@pytest.mark.parametrize("reason", ["SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"])
def test_a_proxy_nobody_told_of_is_named_with_the_variable_that_tells(tmp_path, reason):
    with pytest.raises(SandboxError) as refused:
        run([sys.executable, "-c", f"print('npm error code {reason}'); exit(1)"], cwd=tmp_path)
    assert "NODE_EXTRA_CA_CERTS" in str(refused.value.hint)


def test_a_command_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(SandboxError, match="nothing cannot be run"):
        run([str(tmp_path / "nothing")], cwd=tmp_path)


def test_a_command_does_not_import_what_the_caller_imports(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    check = "import os; assert 'PYTHONPATH' not in os.environ and os.environ['GIVEN'] == '1'"
    run([sys.executable, "-c", check], cwd=tmp_path, env={"GIVEN": "1"})


@pytest.mark.parametrize("name", ["ministack.txt", "node.txt"])
def test_every_requirement_is_pinned_by_hash_and_names_no_index(name):
    text = components.pinned(name).decode()
    requirements = re.split(r"\n(?=\S)", text.strip())
    assert all("==" in one and "--hash=sha256:" in one for one in requirements)
    assert "://" not in text
    assert "index" not in text


def test_the_lock_file_names_no_address_and_every_platform():
    lock = json.loads(components.pinned("package-lock.json"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert "resolved" not in json.dumps(lock)
    assert {entry["version"] for entry in packages.values()} == {"1.7.1"}
    platforms = {name.rpartition("/anvil-")[2] for name in packages if "/anvil-" in name}
    assert {"linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"} <= platforms


def test_the_archives_are_named_as_npm_names_them():
    assert [pin.archive for pin in components.pinned_files()] == [
        "account-abstraction-contracts-0.7.0.tgz",
        "rhinestone-modulekit-0.5.9.tgz",
    ]
