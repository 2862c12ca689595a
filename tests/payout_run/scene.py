"""Where a run takes place: a chain, a stand-in with Crossmint's limits, a database, a wallet, and a payout."""

from __future__ import annotations

import csv
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from bursar.crossmint.locators import TokenLocator, WalletLocator
from bursar.payouts.book import Beginning, Payout, PayoutBook
from bursar.payouts.files import read_file
from bursar.payouts.lines import Payer
from bursar.payouts.plan import Plan, make_plan
from bursar.sandbox.chain import Anvil, Artifacts, Contracts, deploy_contracts
from bursar.sandbox.setup import tools
from bursar.transfers.intent import TransferType
from bursar.transfers.journal import Journal
from tests.contract.postgres import postgres
from tests.e2e.standin import World, configure, running
from tests.fakes.owner import Owner
from tests.payout_run import worker
from tests.payout_run.wanted import Orders, Wanted

FUNDS = 10_000_000_000
_PERSONS = 20
_PAYOUT = "run"


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything is set up, and nothing is paid yet."""

    standin: World
    journal: Journal
    orders: Orders
    plan: Plan
    payout: Payout

    @property
    def book(self) -> PayoutBook:
        return PayoutBook(self.journal)

    @property
    def signatures(self) -> Path:
        return Path(self.orders.signatures)


@contextmanager
def chain_of_its_own() -> Iterator[tuple[Anvil, Contracts]]:
    found = tools()
    artifacts = Artifacts(found.entry_point_artifact, found.kernel_precompiles, found.compiled)
    with Anvil.start(found.anvil) as chain:
        yield chain, deploy_contracts(chain.rpc, artifacts)


@contextmanager
def store(kind: str, folder: Path) -> Iterator[str]:
    """Give the journal's path or URL."""
    if kind == "sqlite":
        yield str(folder / "journal.sqlite3")
        return
    with postgres() as url:
        yield url


@contextmanager
def opened(
    wanted: Wanted, chain: tuple[Anvil, Contracts], journal: str, folder: Path
) -> Iterator[Scene]:
    config = configure(
        *chain, folder / "standin.sqlite3", rate_limit_scale=1.0, rate_limit_window=wanted.window
    )
    with running(*chain, config) as standin, Journal.open(journal) as book:
        owner, wallet = Owner(), WalletLocator.treasury("payout-run")
        address = standin.funded_treasury(owner, "payout-run", FUNDS)
        orders = Orders(
            journal=journal,
            crossmint=config.url,
            api_key=config.api_keys[0].key.get_secret_value(),
            private_key=owner.key.secret.hex(),
            wallet=str(wallet),
            address=address.lower(),
            contract=standin.contracts.usdc,
            factory=standin.contracts.kernel_factory,
            signatures=str(folder / "signatures"),
            window=wanted.window,
            concurrency=wanted.concurrency,
        )
        plan = planned(wanted, orders, payees(wanted, standin), folder)
        payout = PayoutBook(book).begin(plan, Beginning(_PAYOUT, "the run", wanted.batch))
        # What the persons took of the allowance must not count as the workers'.
        time.sleep(wanted.window)
        chance = {"kind": "random", "rate": wanted.errors, "seed": wanted.seed, "seconds": 0.5}
        standin.client.call(200, "POST", "/_sandbox/faults", chance)
        yield Scene(standin, book, orders, plan, payout)


def payees(wanted: Wanted, standin: World) -> list[str]:
    """Return whom the lines pay: an address each, or the wallets of some registered persons in turn."""
    if wanted.kind == "direct":
        return [_address(wanted.seed, number) for number in range(wanted.lines)]
    # For each of them two writes of the allowance are used.
    count = min(_PERSONS, wanted.lines)
    persons = [_person(standin, number) for number in range(count)]
    return [persons[number % count] for number in range(wanted.lines)]


def planned(wanted: Wanted, orders: Orders, to: list[str], folder: Path) -> Plan:
    """Return the plan of a file of so many payments, each of another amount: cents, and some millionths."""
    file = folder / "payments.csv"
    run = secrets.token_hex(4)
    amounts = {number: f"0.01{number % 10_000:04d}" for number in range(wanted.lines)}
    if wanted.spoilt is not None:
        amounts[wanted.spoilt] = str(2 * FUNDS // 10**6)
    with file.open("w", newline="") as opened_file:
        rows = csv.writer(opened_file)
        rows.writerow(["id", "recipient", "amount"])
        rows.writerows(
            [f"{run}-{number}", payee, amounts[number]] for number, payee in enumerate(to)
        )
    payer = Payer(
        WalletLocator.parse(orders.wallet),
        to_checksum_address(orders.address),
        TokenLocator.parse(worker.USDC),
        TransferType.DIRECT if wanted.kind == "direct" else TransferType.REGULATED,
        worker.reading(orders),
    )
    return make_plan(read_file(file), payer)


def _address(seed: int, number: int) -> str:
    return str(to_checksum_address(keccak(text=f"payee {seed} {number}")[12:]))


def _person(standin: World, number: int) -> str:
    locator = f"email:person-{number}@example.com"
    details = {
        "firstName": "Pat",
        "lastName": f"Payee{number}",
        "dateOfBirth": "1990-01-15",
        "countryOfResidence": "ES",
    }
    standin.client.call(200, "PUT", f"users/{locator}", {"userDetails": details})
    config = {"adminSigner": {"type": "email", "email": "someone@example.com"}}
    body = {"chainType": "evm", "config": config, "owner": locator}
    return str(standin.client.call(201, "POST", "wallets", body)["address"])
