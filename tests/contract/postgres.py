"""A PostgreSQL server of the tests' own, on loopback. Its default order is a language's, not that of bytes."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bursar.sandbox.processes import HOST, Command, Keeper, free_ports, wait_until_ready

_PROGRAMS = ("initdb", "postgres")
# PostgreSQL does not run as root.
_NOBODY = 65534
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "off",
    "max_connections": "60",
}


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server, and give the URL of its database. Everything in it is gone afterwards."""
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
            url = f"postgresql://bursar:{password}@{HOST}:{port}/postgres"
            wait_until_ready(keeper.run(command), command, lambda: _answers(url), 60)
            yield url.replace("postgresql:", "postgresql+psycopg:")
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
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
