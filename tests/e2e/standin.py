"""The Crossmint stand-in on a thread of the test, and a thin client that says what it expects."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from pydantic import SecretStr

from bursar.sandbox.chain import Anvil, Contracts, Token
from bursar.sandbox.chain.anvil import free_port
from bursar.sandbox.chain.deploy import first_account
from bursar.sandbox.crossmint import ApiKey, StandInConfig, mint_api_key
from bursar.sandbox.crossmint.app import make_server
from tests.fakes.owner import Owner

Json = Any


@dataclass(frozen=True)
class Client:
    """One API key's view of the stand-in."""

    url: str
    key: str = field(repr=False)

    def ask(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes = b"",
    ) -> httpx2.Response:
        sent = {"X-API-KEY": self.key, **(headers or {})}
        with httpx2.Client(trust_env=False, verify=False, timeout=20) as http:
            content = {"json": body} if body is not None else {"content": raw}
            return http.request(method, f"{self.url}{path}", headers=sent, **content)

    def call(self, status: int, method: str, path: str, body: Json = None, **more: Any) -> Json:
        """Ask version 2025-06-09, insist on a status, and return the body."""
        prefix = "" if path.startswith("/") else "/api/2025-06-09/"
        answer = self.ask(method, prefix + path, body, **more)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json()

    def treasury(self, owner: Owner, alias: str) -> Json:
        signer = {"type": "external-wallet", "address": owner.address}
        body = {
            "chainType": "evm",
            "config": {"adminSigner": signer},
            "owner": "COMPANY",
            "alias": alias,
        }
        return self.call(201, "POST", "wallets", body)

    def transfer(self, status: int, wallet: str, recipient: str, amount: str, **more: Any) -> Json:
        path = f"wallets/{wallet}/tokens/base-sepolia:usdc/transfers"
        headers = more.pop("headers", None)
        return self.call(
            status,
            "POST",
            path,
            {"recipient": recipient, "amount": amount, **more},
            headers=headers,
        )

    def transaction(self, status: int, wallet: str, identity: str) -> Json:
        return self.call(status, "GET", f"wallets/{wallet}/transactions/{identity}")

    def approve(
        self, status: int, wallet: str, transaction: Json, owner: Owner, **how: bool
    ) -> Json:
        item = owner.approval(transaction["approvals"]["pending"][0], **how)
        path = f"wallets/{wallet}/transactions/{transaction['id']}/approvals"
        return self.call(status, "POST", path, {"approvals": [item]})

    def settled(self, wallet: str, transaction: str) -> Json:
        """Poll a transaction until it is final."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = self.transaction(200, wallet, transaction)
            if found["status"] in ("success", "failed"):
                return found
            time.sleep(0.02)
        raise AssertionError("the transaction did not settle")


@dataclass(frozen=True)
class World:
    """A running stand-in and the chain below it."""

    client: Client
    reader: Client
    stranger: Client
    chain: Anvil
    contracts: Contracts
    config: StandInConfig

    @property
    def token(self) -> Token:
        return Token(self.chain.rpc, self.contracts.usdc)

    def fault(self, operation: str, kind: str, **more: Any) -> None:
        body = {"operation": operation, "kind": kind, **more}
        self.client.call(200, "POST", "/_sandbox/faults", body)

    def alter(self, operation: str, how: str, count: int = 1) -> None:
        """Alter the next answers of `transfers.create` (what is made) or `transactions.get` (what is read)."""
        self.fault(operation, "tamper", tamper=how, count=count)

    def funded_treasury(self, owner: Owner, alias: str, units: int = 100_000_000) -> str:
        address: str = self.client.treasury(owner, alias)["address"]
        self.token.mint(address, units)
        return address


def configure(chain: Anvil, contracts: Contracts, state_file: Path, **more: Any) -> StandInConfig:
    """Return a configuration with three keys: all scopes, reading only, and another project's."""
    keys = [
        ApiKey(key=SecretStr(mint_api_key("project-a").key), project="project-a"),
        ApiKey(
            key=SecretStr(mint_api_key("project-a").key),
            project="project-a",
            scopes=("wallets.read",),
        ),
        ApiKey(key=SecretStr(mint_api_key("project-b").key), project="project-b"),
    ]
    given = {"rate_limit_scale": 0.0, "settle_seconds": 0.05, **more}
    return StandInConfig(
        port=free_port(),
        rpc_url=chain.url,
        contracts=contracts,
        bundler=first_account(chain.rpc),
        api_keys=tuple(keys),
        state_file=state_file,
        **given,
    )


@contextlib.contextmanager
def running(chain: Anvil, contracts: Contracts, config: StandInConfig) -> Iterator[World]:
    """Run the stand-in on a thread until the block ends."""
    server = make_server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the stand-in did not start"
            time.sleep(0.01)
        clients = [Client(config.url, key.key.get_secret_value()) for key in config.api_keys]
        yield World(clients[0], clients[1], clients[2], chain, contracts, config)
    finally:
        server.should_exit = True
        thread.join(20)
