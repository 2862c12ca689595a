"""Servers end when they are told to, and when their owner can no longer tell them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bursar.errors import SandboxError
from bursar.sandbox.processes import Command, Keeper, Process, end, last_lines, wait_until_ready

SOON = 10.0


def shell(folder: Path, script: str, name: str = "server") -> Command:
    env = {"PATH": os.environ["PATH"]}
    return Command(name, ["/bin/sh", "-c", script], env, folder, folder / f"{name}.log")


def said(command: Command) -> str:
    """Wait for a line of the server's and return it."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        if "\n" in (text := command.log.read_text()):
            return text.strip()
        time.sleep(0.01)
    raise AssertionError(f"{command.name} said nothing")


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    with Keeper.start(tmp_path / "whole", tmp_path / "keeper.log", grace=5) as started:
        yield started


def test_a_server_ends_with_its_keeper(keeper, tmp_path):
    server = keeper.run(shell(tmp_path, "exec sleep 60"))
    assert server.alive
    keeper.stop()
    assert not server.alive
    assert not keeper.identity.alive
    assert (tmp_path / "whole").exists()


def test_what_a_server_started_ends_too(keeper, tmp_path):
    command = shell(tmp_path, "sleep 60 & echo $!; exec sleep 60")
    keeper.run(command)
    grandchild = Process.of(int(said(command)))
    assert grandchild.alive
    keeper.stop()
    assert grandchild.wait(SOON)


def test_a_server_gets_its_environment_and_writes_to_its_log(keeper, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    command = shell(tmp_path, 'echo "${AWS_SECRET_ACCESS_KEY-none}"')
    keeper.run(command)
    assert said(command) == "none"
    assert command.log.stat().st_mode & 0o777 == 0o600


def test_a_server_has_time_to_write_its_state(keeper, tmp_path):
    command = shell(
        tmp_path, "trap 'sleep 0.2; touch state; exit' TERM; echo up; while :; do sleep 0.01; done"
    )
    keeper.run(command)
    said(command)
    keeper.stop()
    assert (tmp_path / "state").exists()
    assert (tmp_path / "whole").exists()


def test_a_server_that_will_not_end_is_killed_and_its_state_is_not_whole(tmp_path):
    command = shell(tmp_path, "trap '' TERM; echo up; while :; do sleep 0.05; done")
    with Keeper.start(tmp_path / "whole", tmp_path / "keeper.log", grace=0.2) as keeper:
        server = keeper.run(command)
        said(command)
    assert not server.alive
    assert not (tmp_path / "whole").exists()


def test_a_server_that_had_ended_by_itself_leaves_no_whole_state(keeper, tmp_path):
    server = keeper.run(shell(tmp_path, "exit 3"))
    assert server.wait(SOON)
    keeper.stop()
    assert not (tmp_path / "whole").exists()


def test_a_server_that_cannot_be_run_is_a_clear_error(keeper, tmp_path):
    command = Command("the chain", [str(tmp_path / "nothing")], {}, tmp_path, tmp_path / "log")
    with pytest.raises(SandboxError, match="the chain cannot be run: No such file"):
        keeper.run(command)


def test_nothing_runs_under_a_stopped_keeper(keeper, tmp_path):
    keeper.stop()
    with pytest.raises(SandboxError, match="stopped"):
        keeper.run(shell(tmp_path, "exec sleep 60"))


def test_a_keeper_that_was_killed_is_a_clear_error(keeper, tmp_path):
    os.kill(keeper.identity.pid, signal.SIGKILL)
    keeper.identity.wait(SOON)
    with pytest.raises(SandboxError, match="gone"):
        keeper.run(shell(tmp_path, "exec sleep 60"))


def test_a_server_that_ends_while_starting_shows_what_it_said(keeper, tmp_path):
    command = shell(tmp_path, "echo port taken; exit 1", name="the chain")
    process = keeper.run(command)
    with pytest.raises(SandboxError, match=r"the chain ended while starting:\n  port taken"):
        wait_until_ready(process, command, lambda: False, SOON)


def test_a_server_that_never_answers_is_given_up(keeper, tmp_path):
    command = shell(tmp_path, "exec sleep 60")
    process = keeper.run(command)
    with pytest.raises(SandboxError, match=r"did not answer in 0 s:\n  \(it said nothing\)"):
        wait_until_ready(process, command, lambda: False, 0.05)


def test_released_servers_outlive_their_owner_until_they_are_ended(tmp_path):
    keeper = Keeper.start(tmp_path / "whole", tmp_path / "keeper.log")
    server = keeper.run(shell(tmp_path, "exec sleep 60"))
    keeper.release()
    assert keeper.identity.alive
    assert server.alive
    end(keeper.identity, [server])
    assert not server.alive
    assert keeper.identity.wait(SOON)
    assert (tmp_path / "whole").exists()


def test_a_released_keeper_goes_when_its_servers_have_gone(tmp_path):
    keeper = Keeper.start(tmp_path / "whole", tmp_path / "keeper.log")
    server = keeper.run(shell(tmp_path, "exec sleep 0.3"))
    keeper.release()
    assert server.wait(SOON)
    assert keeper.identity.wait(SOON)


def test_servers_of_a_killed_keeper_are_ended_one_by_one(keeper, tmp_path):
    command = shell(tmp_path, "sleep 60 & echo $!; exec sleep 60")
    server = keeper.run(command)
    grandchild = Process.of(int(said(command)))
    os.kill(keeper.identity.pid, signal.SIGKILL)
    keeper.identity.wait(SOON)
    assert server.alive
    end(keeper.identity, [server])
    assert not server.alive
    assert grandchild.wait(SOON)


def test_ending_what_has_ended_does_nothing():
    end(Process(os.getpid(), "another time"), [Process(os.getpid(), "another time")])


def test_a_killed_owner_leaves_no_process(tmp_path):
    owner_script = (
        "import sys, time; from pathlib import Path\n"
        "from bursar.sandbox.processes import Command, Keeper\n"
        "folder = Path(sys.argv[1])\n"
        "keeper = Keeper.start(folder / 'whole', folder / 'keeper.log')\n"
        "server = keeper.run(Command('s', ['/bin/sleep', '60'], {}, folder, folder / 'log'))\n"
        "print(server.pid, keeper.identity.pid, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", owner_script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        kept = [Process.of(int(pid)) for pid in owner.stdout.readline().split()]
        assert all(process.alive for process in kept)
        owner.kill()
    assert all(process.wait(SOON) for process in kept)
    assert (tmp_path / "whole").exists()


def test_a_process_is_its_id_and_its_start_time():
    me = Process.of(os.getpid())
    assert me.alive
    assert me == Process.of(os.getpid())
    assert not Process(me.pid, "another time").alive
    assert not Process(me.pid, "").alive


def test_a_process_that_has_ended_but_was_not_waited_for_is_not_alive():
    with subprocess.Popen(["/bin/sh", "-c", "exit"]) as child:
        assert Process.of(child.pid).wait(SOON)


def test_the_end_of_a_log_is_short(tmp_path):
    (tmp_path / "log").write_text("\n".join(str(n) for n in range(100)))
    assert last_lines(tmp_path / "log").split() == [str(n) for n in range(92, 100)]
    assert last_lines(tmp_path / "none") == "  (it said nothing)"
