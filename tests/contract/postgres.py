"""A PostgreSQL server of the tests' own, on loopback. Its default order is a language's, not that of bytes."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bursar.sandbox.processes import HOST, Command, Keeper, Process, free_ports, wait_until_ready

_PROGRAMS = ("initdb", "postgres")
# PostgreSQL does not run as root.
_NOBODY = 65534
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "off",
    "max_connections": "60",
}


@dataclass
class Server:
    """A server that can be away for a while. `url` is its database's."""

    url: str
    _keeper: Keeper
    _command: Command
    _process: Process | None = None

    def start(self) -> None:
        """Have it answer."""
        self._process = self._keeper.run(self._command)
        wait_until_ready(self._process, self._command, lambda: _answers(self.url), 60)

    def stop(self) -> None:
        """End all its sessions, and have it gone: PostgreSQL's "fast shutdown"."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGINT)
        assert self._process.wait(60), "PostgreSQL does not stop"


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server, and give the URL of its database. Everything in it is gone afterwards."""
    with postgres_server() as server:
        yield server.url


@contextmanager
def postgres_server() -> Iterator[Server]:
    """Run a server that can be stopped and started again. Everything in it is gone afterwards."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    assert not missing, (
        f"PostgreSQL's {missing[0]} is not on PATH; on Debian: apt install postgresql"
    )
    folder = Path(tempfile.mkdtemp(prefix="bursar-postgres-"))
    try:
        with Keeper.start(folder / "whole", folder / "keeper.log") as keeper:
            password = _initialise(folder)
            [port] = free_ports(1)
            command = _command(folder, port)
            url = f"postgresql+psycopg://bursar:{password}@{HOST}:{port}/postgres"
            server = Server(url, keeper, command)
            server.start()
            yield server
    finally:
        shutil.rmtree(folder)


def _initialise(folder: Path) -> str:
    password = secrets.token_hex(16)
    (folder / "data").mkdir(mode=0o700)
    (folder / "password").write_text(password)
    if os.geteuid() == 0:
        for path in (folder, folder / "data", folder / "password"):
            os.chown(path, _NOBODY, _NOBODY)
    options = ["--username=bursar", "--encoding=UTF8", "--locale=C", "--no-sync"]
    order = ["--locale-provider=icu", "--icu-locale=en-US"]
    login = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
    made = subprocess.run(
        [*_as_user(), "initdb", f"--pgdata={folder / 'data'}", *options, *order, *login],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert made.returncode == 0, made.stderr
    return password


def _command(folder: Path, port: int) -> Command:
    settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    argv = [*_as_user(), "postgres", "-D", str(folder / "data"), "-p", str(port), *settings]
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    return Command("PostgreSQL", argv, env, folder, folder / "log")


def _as_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url.replace("+psycopg", ""), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
