"""A worker process: what `bursar worker` does, over a key in memory. It is told its orders on standard input."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import coincurve

from bursar.crossmint.calls import ApiKey
from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.limits import Limits
from bursar.review.intent import Token
from bursar.signing_contract import BareSigner
from bursar.transfers.budget import SharedBudget
from bursar.transfers.desk import Desk, Tools
from bursar.transfers.journal import Journal
from bursar.transfers.pace import Lane
from bursar.transfers.reading import Reading
from bursar.transfers.worker import Round, Worker
from bursar.transfers.workflow import Runner, Work
from tests.fakes.owner import Owner
from tests.payout_run.signer import NotedSigner
from tests.payout_run.wanted import Orders

USDC = "base-sepolia:usdc"


def reading(orders: Orders) -> Reading:
    tokens = {USDC: Token(orders.contract, "USDC", 6)}
    return Reading.of(None, tokens, frozenset({orders.factory}))


@contextmanager
def client(orders: Orders, journal: Journal, lane: Lane) -> Iterator[CrossmintClient]:
    limits = Limits(window=orders.window, timeout=10)
    budget = SharedBudget(journal.engine, ApiKey(orders.api_key).project, lane=lane, limits=limits)
    budget.prepare()
    made = CrossmintClient(
        orders.api_key, base_url=orders.crossmint, limits=limits, allowance=budget
    )
    try:
        yield made
    finally:
        made.close()


def work(orders: Orders, stop: threading.Event) -> None:
    owner = Owner(coincurve.PrivateKey(bytes.fromhex(orders.private_key)))
    signer = BareSigner(NotedSigner(owner, Path(orders.signatures)))
    with (
        Journal.open(orders.journal) as journal,
        client(orders, journal, Lane.PRIORITY) as urgent,
        client(orders, journal, Lane.BULK) as bulk,
    ):
        desk = Desk(journal, Tools(urgent, signer, reading=reading(orders), bulk=bulk))
        with Runner(desk, Work(orders.address, orders.concurrency)) as runner:
            Worker(runner, orders.address, orders.concurrency).run(stop, tell)


def tell(round_: Round) -> None:
    if round_.error or round_.taken_over or round_.begun_anew:
        said = round_.error.message if round_.error else ""
        print(f"took {round_.taken_over} over, began {round_.begun_anew} anew {said}", flush=True)


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    work(Orders.read(sys.stdin.read()), stop)


if __name__ == "__main__":
    main()
