"""Worlds for tests that need more than functions. Each is started once per process, when first asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from bursar.sandbox import aws
from bursar.sandbox.processes import HOST, Keeper, free_ports, wait_until_ready
from bursar.sandbox.setup import tools
from bursar.sandbox.world import World
from tests.fakes.aws_root import ROOT

# Where `make setup` puts the tools; a plain `pytest` finds them too.
os.environ.setdefault("BURSAR_HOME", str(Path(__file__).parents[1] / ".bursar"))
# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an AWS of this session's own. Its root key is `ROOT`; its state is gone afterwards."""
    with _aws(tmp_path_factory.mktemp("aws")) as url:
        yield url


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An AWS of this module's own, for tests that leave it empty."""
    with _aws(tmp_path_factory.mktemp("deploy")) as url:
        yield url


@contextmanager
def _aws(folder: Path) -> Iterator[str]:
    [port] = free_ports(1)
    command = aws.command(tools().ministack, port, folder, ROOT, folder / "log")
    with Keeper.start(folder / "whole", folder / "keeper.log") as keeper:
        process = keeper.run(command)
        wait_until_ready(process, command, lambda: aws.answers(port, command.log), 60)
        yield f"http://{HOST}:{port}"


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """A whole sandbox of this session's own, without Crossmint's rate limits."""
    with World.temporary(rate_limit_scale=0) as running:
        yield running
