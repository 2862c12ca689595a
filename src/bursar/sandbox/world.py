"""The local world as one thing: bring it up, ask how it is, take it down.

```
with World.temporary() as world:
    os.environ.update(world.environment)
```
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bursar.errors import SandboxError
from bursar.sandbox import aws, processes
from bursar.sandbox.processes import HOST, Keeper
from bursar.sandbox.records import SERVICES, Place, Record, Running
from bursar.sandbox.servers import PROJECT, Servers
from bursar.sandbox.setup import tools

if TYPE_CHECKING:
    from bursar.sandbox.chain import Contracts

Report = Callable[[str], None]

_WATCH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Service:
    """How one server of a world is: where it answers, where it writes its log, whether it runs."""

    name: str
    url: str
    pid: int
    running: bool
    log: Path


@dataclass(frozen=True, slots=True)
class _Wish:
    """How a world is to be started."""

    fresh: bool
    hold: bool
    rate_limit_scale: float
    report: Report


class World:
    """One sandbox that was brought up.

    Held (`up(hold=True)`, `temporary`), its servers end when this process does, however that comes about.
    Otherwise they stay until `down`.
    """

    def __init__(self, place: Place, record: Record, keeper: Keeper | None = None) -> None:
        self.place = place
        self._record = record
        self._keeper = keeper

    @classmethod
    def up(
        cls,
        name: str = "default",
        *,
        fresh: bool = False,
        hold: bool = False,
        report: Report = lambda _line: None,
    ) -> Self:
        """Bring the sandbox of this name up and return when all of it answers; one that is up stays as it is.

        `fresh` forgets what it holds first. `hold` ties it to this process. State of a sandbox that was not
        stopped in order is not whole, and is forgotten too.

        Raises:
            SandboxError: the tools are not installed, a server does not come up, or `hold` asks for one
                that is up already.
        """
        place = Place.named(name)
        with place.locked():
            record = Record.read(place.record)
            if record and _is_up(record) and not fresh:
                if hold:
                    hint = f"bursar sandbox down --name {name}"
                    raise SandboxError(f"sandbox {name} is up already", hint=hint)
                return cls(place, record)
            return cls._start(place, _Wish(fresh, hold, 1.0, report))

    @classmethod
    def find(cls, name: str = "default") -> Self:
        """Return the sandbox of this name.

        Raises:
            SandboxError: it is not up, or not all of it.
        """
        place = Place.named(name)
        record = Record.read(place.record)
        if record and _is_up(record):
            return cls(place, record)
        raise SandboxError(f"sandbox {name} is not up", hint=f"bursar sandbox up --name {name}")

    @classmethod
    @contextmanager
    def temporary(
        cls, *, rate_limit_scale: float = 1.0, report: Report = lambda _line: None
    ) -> Iterator[Self]:
        """Bring up a world of its own in a temporary folder; it is gone after the `with` block.

        `rate_limit_scale` multiplies Crossmint's limits per minute; 0 lifts them.
        """
        with tempfile.TemporaryDirectory(prefix="bursar-", ignore_cleanup_errors=True) as folder:
            place = Place(Path(folder))
            with place.locked():
                world = cls._start(place, _Wish(True, True, rate_limit_scale, report))
            try:
                yield world
            finally:
                world.down()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point bursar, AWS clients and Crossmint clients at this world.

        `aws.FOREIGN_VARIABLES` should not be set beside them.
        """
        return {
            **aws.environment(self._record.ports["aws"], self._record.root),
            "BURSAR_CROSSMINT_URL": self.url("crossmint"),
            "BURSAR_CROSSMINT_API_KEY": self._record.api_key,
            "BURSAR_CHAIN_RPC_URL": self.url("chain"),
            # This chain's contracts are its own, whatever it is called.
            "BURSAR_WALLET_TOKENS": f"base-sepolia:usdc={self.contracts.usdc}/6",
            "BURSAR_WALLET_FACTORIES": self.contracts.kernel_factory,
            # What was paid in this world is no business of the user's own journal.
            "BURSAR_JOURNAL_URL": str(self.place.folder / "journal" / "journal.sqlite3"),
        }

    def url(self, service: str) -> str:
        """Return where a service answers: `aws`, `chain` or `crossmint`."""
        return f"http://{HOST}:{self._record.ports[service]}"

    @property
    def contracts(self) -> Contracts:
        """The addresses of the contracts on this world's chain."""
        from bursar.sandbox.crossmint import StandInConfig

        return StandInConfig.read(self.place.crossmint_config).contracts

    def services(self) -> list[Service]:
        """Return how each server is now."""
        return _services(self.place, self._record)

    def wait(self) -> None:
        """Return when the world has been taken down from elsewhere. Ctrl-C ends the waiting, not the world.

        Raises:
            SandboxError: one of its servers ended by itself.
        """
        running = self._record.running
        while running and running.keeper.alive:
            time.sleep(_WATCH_SECONDS)
            ended = [service for service in self.services() if not service.running]
            if ended and not self.place.stopping.exists() and running.keeper.alive:
                raise SandboxError(
                    f"{ended[0].name} ended:\n{processes.last_lines(ended[0].log)}",
                    hint="bring the sandbox up again",
                )

    def down(self) -> None:
        """Stop it. What it holds is kept for the next `up`."""
        with self.place.locked(make=False):
            if self._keeper:
                self._keeper.stop()
            _stop(self.place)
        self._record = replace(self._record, running=None)

    @classmethod
    def _start(cls, place: Place, wish: _Wish) -> Self:
        installed = tools()
        _stop(place)
        before = Record.read(place.record)
        if not wish.fresh and before and not place.whole.exists():
            wish.report("The last run did not end in order: starting with nothing.")
            before = None
        if wish.fresh or before is None:
            _forget(place)
        record = _plan(before)
        place.whole.unlink(missing_ok=True)
        keeper = Keeper.start(place.whole, place.log("keeper"))
        try:
            servers = Servers(
                keeper=keeper,
                tools=installed,
                place=place,
                ports=record.ports,
                root=record.root,
                api_key=record.api_key,
                rate_limit_scale=wish.rate_limit_scale,
                report=wish.report,
            )
            record = replace(record, running=Running(keeper.identity, servers.start()))
            record.write(place.record)
            if not wish.hold:
                keeper.release()
        except BaseException:
            keeper.stop()
            raise
        return cls(place, record, keeper if wish.hold else None)


def status(name: str = "default") -> list[Service]:
    """Return how each server of a sandbox is; empty where it is not up at all."""
    place = Place.named(name)
    record = Record.read(place.record)
    return _services(place, record) if record else []


def down(name: str = "default", *, forget: bool = False) -> bool:
    """Stop what runs of a sandbox and return whether anything did.

    What it holds is kept for the next `up`, or with `forget` removed, logs and all.
    """
    place = Place.named(name)
    with place.locked(make=False):
        stopped = _stop(place)
        if forget and place.folder.exists():
            place.remove()
        return stopped


def kept(name: str = "default") -> Path | None:
    """Return the folder of what a sandbox holds, up or not; None where it holds nothing."""
    folder = Place.named(name).folder
    return folder if folder.exists() else None


def _is_up(record: Record) -> bool:
    running = record.running
    return running is not None and all(process.alive for process in running.services.values())


def _services(place: Place, record: Record) -> list[Service]:
    if record.running is None:
        return []
    return [
        Service(
            name=name,
            url=f"http://{HOST}:{record.ports[name]}",
            pid=process.pid,
            running=process.alive,
            log=place.log(name),
        )
        for name, process in sorted(record.running.services.items())
    ]


def _stop(place: Place) -> bool:
    record = Record.read(place.record)
    if record is None or record.running is None:
        return False
    running = record.running
    servers = list(running.services.values())
    found = any(process.alive for process in (running.keeper, *servers))
    place.stopping.touch(mode=0o600)
    try:
        processes.end(running.keeper, servers)
    finally:
        place.stopping.unlink(missing_ok=True)
    replace(record, running=None).write(place.record)
    return found


def _forget(place: Place) -> None:
    for service in (*SERVICES, "journal"):
        shutil.rmtree(place.folder / service, ignore_errors=True)
    place.record.unlink(missing_ok=True)


def _plan(before: Record | None) -> Record:
    """Keep ports and keys where there was a run before, so that what a shell was told stays true."""
    wanted = [before.ports[name] for name in SERVICES] if before else ()
    ports = dict(zip(SERVICES, processes.free_ports(len(SERVICES), wanted), strict=True))
    if before:
        return Record(ports, before.root, before.api_key)
    from bursar.sandbox.crossmint import mint_api_key

    return Record(ports, aws.RootKey.new(), mint_api_key(PROJECT).key)
