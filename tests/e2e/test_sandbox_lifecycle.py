"""A sandbox comes up, keeps what it holds, stands beside others, and leaves no process behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import boto3
import pytest

from bursar.errors import SandboxError
from bursar.sandbox.aws import RootKey
from bursar.sandbox.chain import Rpc, Token
from bursar.sandbox.crossmint import mint_api_key
from bursar.sandbox.processes import Keeper, Process, free_ports
from bursar.sandbox.records import SERVICES, Place
from bursar.sandbox.servers import Servers
from bursar.sandbox.setup import tools
from bursar.sandbox.setup.tools import tools_folder
from bursar.sandbox.world import World, down

SOON = 20.0
HOLDER = "0x00000000000000000000000000000000000000A1"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Iterator[Path]:
    """A BURSAR_HOME with the tools and no sandboxes; none of its sandboxes is left."""
    (tmp_path / "tools").symlink_to(tools_folder())
    monkeypatch.setenv("BURSAR_HOME", str(tmp_path))
    yield tmp_path
    for sandbox in tmp_path.glob("sandbox/*"):
        down(sandbox.name)


def bursar(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bursar", "sandbox", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def answer(*arguments: str, status: int = 0) -> Any:
    done = bursar(*arguments, "--json")
    assert done.returncode == status, done.stderr + done.stdout
    return json.loads(done.stdout)


def processes(record: Path) -> list[Process]:
    """Return a sandbox's servers and their keeper."""
    running = json.loads(record.read_text())["running"]
    return [Process(**running["keeper"]), *(Process(**s) for s in running["services"].values())]


@contextmanager
def in_foreground(home: Path) -> Iterator[tuple[subprocess.Popen[str], list[Process]]]:
    """Run `up --foreground` until it is up; kill it if the test has not ended it."""
    # A shell starts its background jobs with SIGINT ignored, and children inherit that.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeding}; from bursar.__main__ import main; main()"
    command = [sys.executable, "-c", program, "sandbox", "up", "--foreground"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stderr is not None
            wait_for_line(owner.stderr, "Ctrl-C stops it")
            yield owner, processes(home / "sandbox/default/sandbox.json")
        finally:
            owner.kill()


def wait_for_line(stream: IO[str], text: str) -> None:
    seen = []
    for line in stream:
        seen.append(line)
        if text in line:
            return
    raise AssertionError("".join(seen))


def kms(world: World) -> Any:
    variables = world.environment
    return boto3.client(
        "kms",
        region_name=variables["AWS_REGION"],
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )


def mint(world: World, units: int) -> None:
    with Rpc(world.url("chain")) as rpc:
        Token(rpc, world.contracts.usdc).mint(HOLDER, units)


def balance(world: World) -> int:
    with Rpc(world.url("chain")) as rpc:
        return Token(rpc, world.contracts.usdc).balance_of(HOLDER)


def test_up_status_env_and_down_tell_the_same_story(home):
    assert answer("status", status=1) == {"name": "default", "running": False, "services": []}
    up = answer("up")
    services = {service["name"]: service for service in up["services"]}
    assert up["running"]
    assert list(services) == ["aws", "chain", "crossmint"]
    assert answer("up")["services"] == up["services"]
    assert answer("status") == {"name": "default", "running": True, "services": up["services"]}
    variables = answer("env")
    assert variables["AWS_ENDPOINT_URL"] == services["aws"]["url"]
    assert variables["BURSAR_CHAIN_RPC_URL"] == services["chain"]["url"]
    assert variables["BURSAR_CROSSMINT_URL"] == services["crossmint"]["url"]
    kept = processes(home / "sandbox/default/sandbox.json")
    assert answer("down")["stopped"]
    assert not any(process.alive for process in kept)
    assert not answer("down")["stopped"]
    assert "not up" in answer("env", status=1)["error"]["message"]


def test_a_shell_takes_the_environment_as_it_is_printed(home):
    with World.temporary() as world:
        place = home / "sandbox" / "default"
        place.parent.mkdir()
        place.symlink_to(world.place.folder)
        printed = bursar("env").stdout
        script = f"export AWS_PROFILE=mine AWS_SESSION_TOKEN=old\n{printed}\nenv"
        shell = subprocess.run(
            ["/bin/sh", "-c", script], capture_output=True, text=True, check=True
        )
        place.unlink()
        # Its journal is where the sandbox was found.
        journal = str(place / "journal" / "journal.sqlite3")
        wanted = world.environment | {"BURSAR_JOURNAL_URL": journal}
    lines = shell.stdout.splitlines()
    assert {f"{name}={value}" for name, value in wanted.items()} <= set(lines)
    assert not [line for line in lines if line.startswith(("AWS_PROFILE", "AWS_SESSION_TOKEN"))]


@pytest.mark.usefixtures("home")
def test_what_a_sandbox_holds_survives_down_and_up_until_it_is_told_to_forget():
    first = World.up("kept")
    key = kms(first).create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")
    kms(first).create_alias(AliasName="alias/kept", TargetKeyId=key["KeyMetadata"]["KeyId"])
    public_key = kms(first).get_public_key(KeyId="alias/kept")["PublicKey"]
    mint(first, 5)
    first.down()

    again = World.up("kept")
    assert again.environment == first.environment
    assert again.contracts == first.contracts
    assert kms(again).get_public_key(KeyId="alias/kept")["PublicKey"] == public_key
    assert balance(again) == 5

    fresh = World.up("kept", fresh=True)
    assert kms(fresh).list_aliases()["Aliases"] == []
    assert balance(fresh) == 0


@pytest.mark.usefixtures("home")
def test_two_sandboxes_stand_side_by_side():
    one, other = World.up("one"), World.up("other")
    mint(one, 7)
    assert balance(other) == 0
    assert (
        one.environment["BURSAR_CROSSMINT_API_KEY"] != other.environment["BURSAR_CROSSMINT_API_KEY"]
    )
    one.down()
    assert all(service.running for service in other.services())


@pytest.mark.usefixtures("home")
def test_two_ups_at_once_make_one_sandbox():
    command = [sys.executable, "-m", "bursar", "sandbox", "up", "--json"]
    racing = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (json.loads(racer.communicate(timeout=60)[0]) for racer in racing)
    assert first["services"] == second["services"]


def test_a_killed_sandbox_leaves_no_process(home):
    with in_foreground(home) as (owner, kept):
        assert all(process.alive for process in kept)
        owner.kill()
        assert all(process.wait(SOON) for process in kept)
    # It was the owner that was killed, not the servers: what they held is whole.
    assert (home / "sandbox/default/stopped-in-order").exists()
    assert answer("status", status=1)["running"] is False


def test_ctrl_c_leaves_no_process(home):
    with in_foreground(home) as (owner, kept):
        owner.send_signal(signal.SIGINT)
        assert owner.wait(SOON) == 130
        assert owner.stderr is not None
        assert owner.stderr.read().lower().count("stopped") == 1
        assert not any(process.alive for process in kept)
    assert answer("status", status=1)["services"] == []


def test_a_sandbox_in_the_foreground_can_be_taken_down_from_elsewhere(home):
    with in_foreground(home) as (owner, kept):
        assert answer("down")["stopped"]
        assert owner.wait(SOON) == 0
        assert not any(process.alive for process in kept)


def test_a_sandbox_in_the_foreground_can_be_forgotten_from_elsewhere(home):
    with in_foreground(home) as (owner, kept):
        assert answer("down", "--forget", "--yes")["forgotten"]
        assert owner.wait(SOON) == 0
        assert not any(process.alive for process in kept)
    assert list((home / "sandbox").iterdir()) == []


@pytest.mark.usefixtures("home")
def test_nothing_is_forgotten_without_a_yes():
    world = World.up("dear")
    refused = answer("down", "--name", "dear", "--forget", status=2)
    assert refused["error"]["hint"] == "give --yes to go ahead"
    assert all(service.running for service in world.services())
    down("dear")
    assert world.place.record.exists()
    assert not answer("down", "--name", "never", "--forget")["forgotten"]


@pytest.mark.usefixtures("home")
def test_a_person_sees_every_column_named_and_no_line_too_long_for_a_terminal():
    World.up("seen")
    shown = bursar("status", "--name", "seen").stdout.splitlines()
    assert shown[0].split() == ["service", "address", "pid", "state"]
    assert [line.split()[-1] for line in shown[1:]] == ["up"] * 3
    assert max(map(len, shown)) < 80


def test_a_sandbox_in_the_foreground_ends_when_one_of_its_servers_does(home):
    with in_foreground(home) as (owner, kept):
        os.kill(kept[2].pid, signal.SIGKILL)
        assert owner.wait(SOON) == 1
        assert owner.stderr is not None
        assert "error: chain ended" in owner.stderr.read()
        assert not any(process.alive for process in kept)


def test_a_sandbox_that_did_not_stop_in_order_starts_with_nothing_and_says_so(home):
    world = World.up("torn")
    mint(world, 5)
    for process in processes(home / "sandbox/torn/sandbox.json"):
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(SOON)
    done = bursar("up", "--name", "torn")
    assert done.returncode == 0
    assert "did not end in order" in done.stderr
    assert balance(World.find("torn")) == 0


@pytest.mark.usefixtures("home")
def test_a_sandbox_that_is_up_is_not_held_by_two():
    World.up("held")
    with pytest.raises(SandboxError, match="up already"):
        World.up("held", hold=True)


def test_a_server_that_fails_stops_the_others_at_once(tmp_path):
    broken = replace(tools(), ministack=["/bin/sh", "-c", "echo no memory; exit 1", "--"])
    place = Place(tmp_path / "failing")
    began = time.monotonic()
    with place.locked(), Keeper.start(place.whole, place.log("keeper")) as keeper:
        ports = dict(zip(SERVICES, free_ports(3), strict=True))
        keys = RootKey.new(), mint_api_key("p").key
        servers = Servers(keeper, broken, place, ports, *keys, 1.0, lambda _: None)
        with pytest.raises(
            SandboxError, match=r"AWS \(ministack\) ended while starting:\n  no memo"
        ):
            servers.start()
        assert not keeper.identity.alive
    assert time.monotonic() - began < SOON


@pytest.mark.usefixtures("home")
def test_ports_that_others_took_meanwhile_are_replaced():
    first = World.up("moved")
    first.down()
    taken = int(first.url("chain").rpartition(":")[2])
    with socket.create_server(("127.0.0.1", taken)):
        second = World.up("moved")
    assert second.url("chain") != first.url("chain")
    assert balance(second) == 0


def test_free_ports_are_distinct_and_can_be_had_again():
    ports = free_ports(3)
    assert len(set(ports)) == 3
    assert free_ports(3, ports) == ports


def test_servers_listen_on_loopback_only(world):
    own = socket.gethostbyname(socket.gethostname())
    outside = [own] if not own.startswith("127.") else []
    for service in ("aws", "chain", "crossmint"):
        port = int(world.url(service).rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        for address in outside:
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((address, port), timeout=5)


def test_a_temporary_world_leaves_nothing():
    with World.temporary() as world:
        folder, kept = world.place.folder, processes(world.place.record)
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    assert not any(process.alive for process in kept)


def test_a_second_set_up_has_nothing_to_do_and_does_it_quickly():
    began = time.monotonic()
    assert answer("setup")["installed"] == []
    assert time.monotonic() - began < 5
