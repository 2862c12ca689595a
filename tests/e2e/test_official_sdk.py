"""Crossmint's own TypeScript SDK, unchanged, pays out of a treasury wallet of the stand-in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pydantic import SecretStr

from bursar.sandbox.chain import Anvil, Contracts
from bursar.sandbox.crossmint import ApiKey, mint_api_key
from tests.e2e.standin import configure, running
from tests.fakes.owner import Owner
from tests.npm_tool import SDK


@pytest.fixture(scope="session")
def sdk() -> Path:
    return SDK.installed()


@pytest.mark.timeout(400)
def test_the_sdk_creates_a_treasury_sends_and_approves(
    sdk: Path, chain: Anvil, contracts: Contracts, tmp_path: Path
) -> None:
    minted = mint_api_key("sdk-project")
    config = configure(chain, contracts, tmp_path / "state.sqlite")
    keys = (*config.api_keys, ApiKey(key=SecretStr(minted.key), project=minted.project))
    config = config.model_copy(update={"api_keys": keys})
    recipient = Owner().address
    asked = {
        "url": config.url,
        "apiKey": minted.key,
        "publicKey": minted.public_key,
        "recipient": recipient,
        "alias": "treasury",
    }
    shutil.copy(SDK.sources / "treasury.mjs", sdk)
    with running(chain, contracts, config) as world:
        printed = SDK.run_node("treasury.mjs", json.dumps(asked))
        outcome = json.loads(printed.splitlines()[-1])
        assert world.token.balance_of(recipient) == 1_750_000
        assert world.token.balance_of(outcome["address"]) == 8_250_000
    assert outcome["sameWallet"] is True
    assert outcome["usdc"] == "8.25"
    assert outcome["sent"]["hash"].startswith("0x")
    assert len(outcome["asked"]) == 1
    assert [r for r in outcome["requests"] if not r.endswith((" 200", " 201"))] == []
