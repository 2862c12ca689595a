"""A treasury whose deployed signer goes by a policy: the sandbox, a stack, a wallet with money, and its people."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.locators import SignerLocator
from bursar.crossmint.requests import Approval
from bursar.review.intent import MOST_PAYMENTS, AnyIntent, BatchIntent, Intent, Token
from bursar.sandbox.callers import create_caller, recorded_signatures
from bursar.sandbox.careless import ask
from bursar.sandbox.chain import Rpc
from bursar.sandbox.chain import Token as Erc20
from bursar.sandbox.world import World
from bursar.signing_contract import Answer
from bursar.transfers.batch import new_transaction
from tests.fakes.owner import Owner

ACCOUNT = "arn:aws:iam::000000000000"
UNITS = 1_000_000
WALLET = "evm:smart:alias:treasury"


@dataclass
class Guarded:
    """One deployed treasury. Whoever acts is named by their credentials' variables.

    `crowd` may be paid as well, in batches.
    """

    world: World
    folder: Path
    recipient: str = field(default_factory=lambda: Owner().address)
    crowd: list[str] = field(
        default_factory=lambda: [Owner().address for _ in range(MOST_PAYMENTS)]
    )
    outputs: dict[str, str] = field(default_factory=dict)
    people: dict[str, dict[str, str]] = field(default_factory=dict)

    def deploy(self, *, more: str = "") -> None:
        """Write a policy for the people and the recipient, and deploy the signer with it."""
        callers = [f"--caller={ACCOUNT}:user/{name}" for name in ("payroll", "grace")]
        limits = ("--per-transfer", "10.00", "--per-day", "60.00")
        named = {"acme": self.recipient} | {f"p{n}": each for n, each in enumerate(self.crowd)}
        recipients = [f"--recipient={name}={each}" for name, each in named.items()]
        self.done("policy", "new", *recipients, *callers, *limits, "--output", "policy.toml")
        file = self.folder / "policy.toml"
        several = file.read_text().replace("calls_at_most = 50 ", "calls_at_most = 100 ")
        file.write_text(several.replace("count = 100", "count = 500") + more)
        deployed = self.done("aws", "deploy", "--policy", "policy.toml", "--yes")
        self.outputs = deployed["outputs"]
        for name in ("payroll", "grace", "ada"):
            made = create_caller(
                self.world.environment, name, policy_arn=self.outputs["InvokePolicyArn"]
            )
            self.people[name] = {**made, "BURSAR_SIGNER_API_URL": self.outputs["ApiUrl"]}
        self.done("wallet", "create", "--yes")
        self.done("wallet", "fund", "100")

    def run(self, *words: str, by: str | None = None) -> tuple[int, Any]:
        who: Mapping[str, str] = self.people[by] if by else {}
        ran = subprocess.run(
            [sys.executable, "-m", "bursar", "--json", *words],
            env={**os.environ, **self.world.environment, **who},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        return ran.returncode, json.loads(ran.stdout)

    def done(self, *words: str, by: str | None = None) -> Any:
        status, answer = self.run(*words, by=by)
        assert status == 0, (words, answer)
        return answer

    @property
    def address(self) -> str:
        return str(self.done("key", "show")["address"])

    def start(self, amount: str = "1.00") -> Any:
        """Return a new transfer of the treasury, which waits for its signature."""
        payment = ("--direct", "--to", self.recipient, "--amount", amount)
        return self.done("transfer", "start", *payment, "--id", f"t-{secrets.token_hex(6)}")

    def alter(self, how: str, operation: str = "transactions.get") -> None:
        fault = {"operation": operation, "kind": "tamper", "tamper": how}
        url = f"{self.world.environment['BURSAR_CROSSMINT_URL']}/_sandbox/faults"
        httpx2.post(url, json=fault, trust_env=False).raise_for_status()

    def ask(self, transaction_id: str, units: int = UNITS, by: str = "payroll") -> Answer:
        """Have the signer asked for a payment by a caller who looks at nothing."""
        return self.ask_for(transaction_id, self.payment(self.recipient, units), by)

    def ask_for(self, transaction_id: str, intent: AnyIntent, by: str = "payroll") -> Answer:
        """Have the signer asked for anything by a caller who looks at nothing."""
        environment = self.world.environment
        return ask(environment, self.people[by], transaction_id, intent, address=self.address)

    def payment(self, recipient: str, units: int) -> Intent:
        token = Token(self.world.contracts.usdc, "USDC", 6)
        return Intent("base-sepolia", token, recipient, units)

    def start_batch(self, intent: BatchIntent) -> str:
        """Have Crossmint make a batch of the treasury, and return its transaction's id."""
        asked = new_transaction(intent, SignerLocator.external_wallet(self.address))
        with self._crossmint() as client:
            key = f"b-{secrets.token_hex(6)}"
            return client.create_transaction(WALLET, asked, idempotency_key=key).id

    def hand_in(self, transaction_id: str, answer: Answer) -> None:
        signed = answer.signed
        approval = Approval(
            signer=f"external-wallet:{signed.address}", signature=signed.signature.to_hex()
        )
        with self._crossmint() as client:
            client.approve_transaction(WALLET, transaction_id, [approval])
            deadline = time.monotonic() + 30
            while not client.get_transaction(WALLET, transaction_id).succeeded:
                assert time.monotonic() < deadline, "the batch did not land"
                time.sleep(0.1)

    def _crossmint(self) -> CrossmintClient:
        environment = self.world.environment
        key, url = environment["BURSAR_CROSSMINT_API_KEY"], environment["BURSAR_CROSSMINT_URL"]
        return CrossmintClient(key, environment="staging", base_url=url)

    @property
    def signatures(self) -> int:
        """How many signatures of the key CloudTrail has seen."""
        return len(recorded_signatures(self.world.environment, self.outputs["KeyArn"]))

    @property
    def paid(self) -> int:
        return self.held(self.recipient)[0]

    def held(self, *people: str) -> list[int]:
        with Rpc(self.world.environment["BURSAR_CHAIN_RPC_URL"]) as rpc:
            token = Erc20(rpc, self.world.contracts.usdc)
            return [token.balance_of(each) for each in people]
