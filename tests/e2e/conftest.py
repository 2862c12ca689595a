"""A chain and a Crossmint stand-in for the tests that need no AWS, and an AWS account for those that do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bursar.sandbox.chain import Anvil, Artifacts, Contracts, deploy_contracts
from bursar.sandbox.setup import Tools, tools
from tests.e2e.account import Account
from tests.e2e.payer import Payer
from tests.e2e.standin import World, configure, running
from tests.fakes.aws_root import ROOT
from tests.fakes.owner import Owner


@pytest.fixture(scope="session")
def sandbox_tools() -> Tools:
    return tools()


@pytest.fixture(scope="session")
def chain(sandbox_tools: Tools) -> Iterator[Anvil]:
    with Anvil.start(sandbox_tools.anvil) as running_chain:
        yield running_chain


@pytest.fixture(scope="session")
def contracts(chain: Anvil, sandbox_tools: Tools) -> Contracts:
    artifacts = Artifacts(
        sandbox_tools.entry_point_artifact, sandbox_tools.kernel_precompiles, sandbox_tools.compiled
    )
    return deploy_contracts(chain.rpc, artifacts)


@pytest.fixture(scope="session")
def standin(
    chain: Anvil, contracts: Contracts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One stand-in for the session: tests keep apart by alias."""
    config = configure(chain, contracts, tmp_path_factory.mktemp("standin") / "state.sqlite")
    with running(chain, contracts, config) as world:
        yield world


@pytest.fixture
def payer(standin: World) -> Payer:
    """A wallet with money, and a recipient who was never paid."""
    owner = Owner()
    wallet = standin.funded_treasury(owner, f"payer-{owner.address[2:12]}")
    return Payer(standin, owner, wallet, Owner().address)


@pytest.fixture
def account(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An empty AWS account, whose root is who the test is at first."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    found = Account(emulator, monkeypatch)
    found.root()
    yield found
    _reset(emulator)


def _reset(url: str) -> None:
    import httpx2

    proof = {"Authorization": f"Bearer {ROOT.secret_access_key}"}
    httpx2.post(f"{url}/_ministack/reset", headers=proof).raise_for_status()
