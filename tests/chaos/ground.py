"""A chain and a stand-in for Crossmint, and the two kinds of database, for what runs outside of pytest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bursar.sandbox.chain import Anvil, Artifacts, deploy_contracts
from bursar.sandbox.setup import tools
from tests.chaos.nursery import Nursery
from tests.contract.postgres import postgres
from tests.e2e.standin import World, configure, running

STORES = ("SQLite", "PostgreSQL")


@contextlib.contextmanager
def ground(folder: Path) -> Iterator[World]:
    """Run a chain and a stand-in, which keeps its memory in this folder."""
    parts = tools()
    artifacts = Artifacts(parts.entry_point_artifact, parts.kernel_precompiles, parts.compiled)
    with Anvil.start(parts.anvil) as chain:
        contracts = deploy_contracts(chain.rpc, artifacts)
        config = configure(chain, contracts, folder / "standin.sqlite")
        with running(chain, contracts, config) as world:
            yield world


@contextlib.contextmanager
def database(store: str, folder: Path) -> Iterator[str]:
    """Give a journal's path, or the URL of a server that runs meanwhile."""
    if store == "SQLite":
        yield str(folder / "journal.sqlite3")
        return
    with postgres() as url:
        yield url


@contextlib.contextmanager
def nurseries(folder: Path, count: int) -> Iterator[tuple[Nursery, ...]]:
    """Run so many processes that drivers come from."""
    with contextlib.ExitStack() as stack:
        yield tuple(
            stack.enter_context(Nursery(folder / f"nursery-{number}.log"))
            for number in range(count)
        )
