"""What a sandbox remembers, and what it says where there is none."""

from __future__ import annotations

import json
import os
import platform
import sys
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from bursar.errors import SandboxError
from bursar.sandbox import aws
from bursar.sandbox.chain import Contracts
from bursar.sandbox.crossmint.config import ApiKey, StandInConfig
from bursar.sandbox.processes import Process
from bursar.sandbox.records import SERVICES, Place, Record, Running
from bursar.sandbox.world import World, down, kept, status

CONTRACTS = Contracts(*(f"0x{number:040x}" for number in range(7)))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("BURSAR_HOME", str(tmp_path))
    return tmp_path


ROOT = aws.RootKey("SANDBOX1", "made up for this test")


def record(running: Running | None = None) -> Record:
    return Record({"aws": 1, "chain": 2, "crossmint": 3}, ROOT, "sk_staging_made_up", running)


def ended() -> Running:
    gone = Process(os.getpid(), "another time")
    return Running(gone, dict.fromkeys(SERVICES, gone))


@pytest.mark.parametrize("running", [None, ended()])
def test_a_record_reads_back_as_it_was_written(tmp_path, running):
    record(running).write(tmp_path / "file")
    assert Record.read(tmp_path / "file") == record(running)


def test_a_record_is_for_its_owner_alone_and_shows_no_key(tmp_path):
    record().write(tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert "made_up" not in repr(record())
    assert ROOT.secret_access_key not in repr(record())


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"ports": {}, "api_key": 1, "running": 5}'])
def test_a_damaged_record_is_no_record(tmp_path, text):
    (tmp_path / "file").write_text(text)
    assert Record.read(tmp_path / "file") is None
    assert Record.read(tmp_path / "none") is None


@pytest.mark.parametrize("name", ["default", "a", "ci-2", "0"])
def test_a_name_is_a_folder(home, name):
    assert Place.named(name).folder == home / "sandbox" / name


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "A", "-a", "a-", "a" * 33, "a\n"])
def test_what_could_lead_out_of_the_folder_is_no_name(name):
    with pytest.raises(SandboxError, match="not a name"):
        Place.named(name)


def test_the_folder_of_a_sandbox_is_closed_to_others():
    place = Place.named("closed")
    with place.locked():
        assert place.folder.stat().st_mode & 0o777 == 0o700
        assert place.state("aws").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_is_a_clear_error(home):
    (home / "sandbox").touch()
    with pytest.raises(SandboxError, match="cannot be written"), Place.named("x").locked():
        pass


def test_a_sandbox_that_was_never_up_says_how_to_bring_it_up():
    assert status("other") == []
    assert down("other") is False
    with pytest.raises(SandboxError, match="other is not up") as refused:
        World.find("other")
    assert refused.value.hint == "bursar sandbox up --name other"


def test_a_sandbox_whose_servers_have_gone_is_not_up():
    place = Place.named("dead")
    with place.locked():
        record(ended()).write(place.record)
    with pytest.raises(SandboxError, match="not up"):
        World.find("dead")
    assert [service.running for service in status("dead")] == [False, False, False]
    assert down("dead") is False
    assert status("dead") == []


def test_down_keeps_what_a_sandbox_holds_until_it_is_told_to_forget(home):
    place = Place.named("dead")
    with place.locked():
        record(ended()).write(place.record)
    down("dead")
    assert kept("dead") == place.folder
    down("dead", forget=True)
    assert kept("dead") is None
    assert list((home / "sandbox").iterdir()) == []
    assert down("dead", forget=True) is False


def test_who_waited_while_a_sandbox_was_forgotten_holds_the_new_folder():
    place, held = Place.named("a"), list[Path]()

    def wait() -> None:
        with place.locked():
            record().write(place.record)
            held.extend(place.folder.iterdir())

    with place.locked():
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.05)
        place.remove()
    waiting.join()
    assert {file.name for file in held} == {"lock", "logs", "sandbox.json"}


def test_a_forgotten_sandbox_is_not_made_again_to_be_taken_down(home):
    World(Place.named("gone"), record()).down()
    assert not (home / "sandbox").exists()


def test_a_world_cannot_start_without_tools():
    with pytest.raises(SandboxError, match="not installed") as refused:
        World.up("new")
    assert refused.value.hint == "run `bursar sandbox setup`"


def test_the_environment_points_at_the_sandbox_and_at_this_machine():
    place = Place.named("known")
    place.crossmint_config.parent.mkdir(parents=True)
    StandInConfig(
        port=3,
        rpc_url="http://127.0.0.1:2",
        contracts=CONTRACTS,
        bundler="0x" + "b0" * 20,
        api_keys=(ApiKey(key=SecretStr("sk_staging_made_up"), project="p"),),
        state_file=place.folder / "state",
    ).write(place.crossmint_config)
    environment = World(place, record()).environment
    assert environment["BURSAR_WALLET_TOKENS"] == f"base-sepolia:usdc={CONTRACTS.usdc}/6"
    assert environment["BURSAR_WALLET_FACTORIES"] == CONTRACTS.kernel_factory
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["BURSAR_CHAIN_RPC_URL"] == "http://127.0.0.1:2"
    assert environment["BURSAR_CROSSMINT_URL"] == "http://127.0.0.1:3"
    assert ROOT.environment.items() <= environment.items()
    assert environment["BURSAR_CROSSMINT_API_KEY"] == "sk_staging_made_up"
    assert environment["BURSAR_FUNCTION_RUNTIME"] == f"python3.{sys.version_info.minor}"
    machine = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
    assert environment["BURSAR_FUNCTION_ARCHITECTURE"] == machine


def test_aws_sees_nothing_of_the_callers_credentials_and_stays_on_loopback(home, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    command = aws.command(["python"], 4566, home, ROOT, home / "log")
    assert "AKIAREAL" not in json.dumps(dict(command.env))
    assert "HTTPS_PROXY" not in command.env
    assert command.env["BIND_HOST"] == "127.0.0.1"
    assert command.env["IOT_MTLS_ENABLED"] == "0"


def test_another_server_on_the_port_is_not_taken_for_ours(tmp_path):
    (tmp_path / "log").write_text("ERROR: 127.0.0.1:4566 is already in use.\n")
    assert aws.answers(4566, tmp_path / "log") is False
