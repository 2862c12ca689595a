"""Transfers that are killed and resumed, and what the chain, Crossmint and the journal say became of them."""

from __future__ import annotations

import contextlib
import queue
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bursar.transfers.record import Key
from bursar.transfers.states import Stage, Standing
from tests.chaos.cases import Case, Fault
from tests.chaos.nursery import KILLED, Nursery
from tests.chaos.plan import AWAY, Plan
from tests.e2e.durable import Bench
from tests.e2e.standin import World
from tests.fakes.owner import Owner

_AMOUNT, UNITS = "0.01", 10_000
# Seconds for what happens at once on a machine that has nothing else to do.
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a transfer. `payments` is how often its amount is with the payee, on the chain."""

    case: Case
    store: str
    resumed_by: int
    crashes: int
    payments: float
    signatures: int
    transactions: int
    approvals: int
    stage: str

    @property
    def most_signatures(self) -> int:
        """How many signatures it may have taken."""
        return self.case.most_signatures(self.resumed_by)

    @property
    def problem(self) -> str | None:
        """What is wrong about it, if anything is."""
        found = {
            "it was not killed there": self.crashes != len(self.case.kills),
            "it is not paid once": self.payments != 1,
            "it is not settled": self.stage != Stage.SETTLED,
            "not one transaction is there": self.transactions != 1,
            "not one approval was taken": self.approvals != 1,
            "it was signed too often": not 1 <= self.signatures <= self.most_signatures,
        }
        return "; ".join(what for what, is_so in found.items() if is_so) or None


@dataclass(frozen=True, slots=True)
class Scene:
    """A wallet with money, its journal, and the processes that drivers come from."""

    bench: Bench
    store: str
    where: str
    folder: Path
    nurseries: tuple[Nursery, ...]

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, standin: World, store: str, where: str, nurseries: tuple[Nursery, ...]
    ) -> Iterator[Scene]:
        """Make the wallet, and the journal in a database: a path or URL."""
        with tempfile.TemporaryDirectory(prefix="bursar-chaos-") as folder:
            bench = Bench.make(standin, where)
            try:
                yield cls(bench, store, where, Path(folder), nurseries)
            finally:
                bench.close()

    def plan(self, keys: Sequence[Key], kill: str | None = None, **more: object) -> Plan:
        """Return what to tell a driver."""
        standin = self.bench.standin
        told = {
            "journal": self.where,
            "url": standin.config.url,
            "api_key": standin.config.api_keys[0].key.get_secret_value(),
            "signing_key": self.bench.signer.owner.key.to_hex(),
            "usdc": standin.contracts.usdc,
            "factory": standin.contracts.kernel_factory,
            "treasury": self.bench.address,
            "transfers": tuple(key.id for key in keys),
            "signatures": str(self.folder / "signatures"),
        }
        return Plan(**{**told, "kill": kill, **more})  # type: ignore[arg-type]

    def payee(self, name: str) -> tuple[Key, str]:
        """Write a transfer down, to somebody who has nothing yet; return it and them."""
        payee = Owner().address
        self.bench.record(name, payee, amount=_AMOUNT)
        return self.bench.key(name), payee

    def put_on_chain(self) -> None:
        """Have the wallet on the chain, by a first transfer that nothing happens to."""
        key, _payee = self.payee("first")
        assert _run(self.nurseries[0], self.plan([key])) == 0, self.said

    def crash_and_resume(self, cases: Sequence[Case], resumed_by: int = 1) -> list[Row]:
        """Have a transfer for each case killed there, then all resumed, by so many processes at the same time."""
        paid = [self.payee(f"{secrets.token_hex(3)}-{_name(case)}") for case in cases]
        crashes = self._crash_all(cases, [key for key, _ in paid])
        self.resume([key for key, _ in paid], resumed_by)
        signed, transactions = self.signatures(), self.transactions()
        return [
            Row(
                case,
                self.store,
                resumed_by,
                crashed,
                self.bench.paid(payee) / UNITS,
                signed[key.id],
                len(transactions.get(payee.lower(), ())),
                sum(transactions.get(payee.lower(), ())),
                _where(self.bench.journal.get(key).standing),
            )
            for case, crashed, (key, payee) in zip(cases, crashes, paid, strict=True)
        ]

    def _crash_all(self, cases: Sequence[Case], keys: Sequence[Key]) -> list[int]:
        # A fault is for whoever calls next, so that nobody else may call meanwhile.
        alone = any(case.fault for case in cases)
        several = self.nurseries[:1] if alone else self.nurseries
        free: queue.SimpleQueue[Nursery] = queue.SimpleQueue()
        for each in several:
            free.put(each)

        def crash(case: Case, key: Key) -> int:
            nursery = free.get()
            try:
                return self._crash(case, key, nursery)
            finally:
                free.put(nursery)

        with ThreadPoolExecutor(len(several)) as pool:
            return list(pool.map(crash, cases, keys))

    def _crash(self, case: Case, key: Key, nursery: Nursery) -> int:
        if case.fault is not None:
            self.bench.standin.fault(case.fault.operation, case.fault.kind, **case.fault.details)
        crashes = sum(_run(nursery, self.plan([key], kill)) == KILLED for kill in case.kills)
        if case.fault is not None:
            self._await_fault(case.fault)
        return crashes

    def _await_fault(self, fault: Fault) -> None:
        end = time.monotonic() + _PATIENCE
        while self.bench.standin.client.call(200, "GET", "/_sandbox/faults"):
            assert time.monotonic() < end, f"{fault} did not happen"
            time.sleep(0.02)

    def resume(self, keys: Sequence[Key], processes: int = 1) -> None:
        """Have transfers driven to their end, by so many processes at the same time."""
        plan = self.plan(keys)
        with ThreadPoolExecutor(processes) as pool:
            ended = list(pool.map(lambda each: _run(each, plan), self.nurseries[:processes]))
        assert ended == [0] * processes, self.said

    def signatures(self) -> Counter[str]:
        """Return how many signatures were made for each transfer, by its id."""
        file = self.folder / "signatures"
        return Counter(file.read_text().split() if file.exists() else ())

    def transactions(self) -> dict[str, list[int]]:
        """Return, by payee in lower case, how many approvals each transaction at Crossmint has."""
        found: dict[str, list[int]] = {}
        state = self.bench.standin.client.call(200, "GET", "/_sandbox/state")
        for each in state["transactions"]:
            if "sendParams" not in each["api"]:  # of other tests, which share the stand-in
                continue
            payee = each["api"]["sendParams"]["params"]["recipientAddress"].lower()
            found.setdefault(payee, []).append(len(each["api"]["approvals"]["submitted"]))
        return found

    @property
    def said(self) -> str:
        """What the drivers said."""
        return "\n".join(each.said for each in self.nurseries)


def _run(nursery: Nursery, plan: Plan) -> int:
    """Have a driver carry out a plan, as often as it says that the journal was too busy; return how it ended."""
    end = time.monotonic() + _PATIENCE
    while (status := nursery.run(plan)) == AWAY and time.monotonic() < end:
        time.sleep(0.5)
    return status


def _where(standing: Standing) -> str:
    return f"{standing.stage} ({standing.code})" if standing.code else standing.stage.value


def _name(case: Case) -> str:
    return case.kills[0].replace("@", ".")[:30]
