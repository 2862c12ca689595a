"""Who is taken for gone at once, and for whose silence it takes a while."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bursar.transfers.crew import Crew, Member, here, place
from bursar.transfers.journal import Journal


def member(pid: int, host: str | None = None, silent: float = 0.5) -> Member:
    return Member("m", host or here(), pid, works=True, silent=silent)


@pytest.fixture(scope="module")
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_process_that_ended_here_is_gone_at_once(ended: int) -> None:
    assert member(ended).is_gone
    assert not member(ended).is_alive


def test_one_that_runs_here_is_dead_only_once_it_has_been_silent() -> None:
    running = member(os.getpid())
    assert running.is_alive
    assert not replace(running, silent=60).is_alive
    assert not replace(running, silent=60).is_gone


@pytest.mark.parametrize("host", ["", "/another-start/4026531836", "/another-namespace"])
def test_another_container_of_the_same_name_is_alive_while_it_is_heard(
    ended: int, host: str
) -> None:
    other = member(ended, socket.gethostname() + host)
    assert other.is_alive
    assert not other.is_gone
    assert not replace(other, silent=60).is_alive


def test_a_place_is_a_host_a_start_and_a_namespace(tmp_path: Path) -> None:
    boot, again, processes, others = (tmp_path / each for each in "abcd")
    for each in (boot, again, processes, others):
        each.write_text(each.name)
    names = {place(boot, processes), place(again, processes), place(boot, others)}
    assert len(names) == 3
    assert place(boot, processes) == place(boot, processes)
    assert all(each.startswith(socket.gethostname()) for each in names)


def test_where_the_system_does_not_say_a_place_is_nobody_else_s(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    assert place(nothing, nothing) != place(nothing, nothing)
    assert here() == here()


def test_a_process_says_where_it_is(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.sqlite3") as journal:
        crew = Crew(journal, works=True)
        crew.beat()
        [found] = crew.members()
    assert (found.host, found.pid, found.is_gone) == (here(), os.getpid(), False)


def test_who_left_with_nothing_under_way_is_gone_at_once_wherever_it_was(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.sqlite3") as journal:
        crew = Crew(journal, works=True)
        crew.start()
        crew.stop()
        [left] = crew.members()
    assert replace(left, host="elsewhere").is_gone


def test_of_who_left_in_the_middle_of_a_step_others_wait_for_the_silence(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.sqlite3") as journal:
        crew = Crew(journal, works=True)
        crew.start()
        crew.stop(is_idle=False)
        assert crew.members() == []
