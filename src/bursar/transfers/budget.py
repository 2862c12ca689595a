"""One budget of calls for all processes of a Crossmint project, kept in the database. It needs `bursar[ledger]`.

```
budget = SharedBudget(engine, ApiKey(api_key).project, lane=Lane.BULK)
budget.prepare()
with CrossmintClient(api_key, allowance=budget) as crossmint: ...
```
`pace.py` decides which moment a call gets; here is the row that it decides on, under a lock, and the waiting.
One table, `crossmint_budget`, with a row for each project and kind of call. Sources: the rate limits page of
Crossmint's API documentation; SQLite, "Transaction"; PostgreSQL, "Explicit Locking" and "Date/Time Functions".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, ProgrammingError, SQLAlchemyError

from bursar.crossmint.limits import Clock, Limits
from bursar.errors import ConfigError, CrossmintRateLimited, JournalError, JournalUnavailable
from bursar.transfers import pace
from bursar.transfers.pace import MICROSECONDS, Lane, Pace, Row

# Seconds: for another caller to let go of the row, and for a caller that froze while it held it.
_PATIENCE: Final = 5
# Seconds that a server's word holds everybody back, at most.
_LONGEST_REFUSAL: Final = 600.0
# The name, a number, of the lock that is held while the table is made.
_MAKING: Final = 0x62756467
_KINDS: Final = {True: "write", False: "read"}
_TABLE: Final = sa.Table(
    "crossmint_budget",
    sa.MetaData(),
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    *(
        sa.Column(name, sa.BigInteger, nullable=False)
        for name in ("line", "reserve", "refused_until", "seen")
    ),
)
_its: Final = _TABLE.c
_SERVER_TIME: Final = sa.cast(
    sa.extract("epoch", sa.func.clock_timestamp()) * MICROSECONDS, sa.BigInteger
)
# A file that is no database will be none later either.
_BROKEN: Final = ("SQLITE_ERROR", "SQLITE_CORRUPT", "SQLITE_NOTADB")


@dataclass(frozen=True, slots=True)
class _Place:
    """A slot in the database's time, how long that is from `made`, a moment of our own clock, in seconds."""

    slot: int
    made: float
    wait: float


class SharedBudget:
    """`bursar.crossmint.limits.CallAllowance` over a database. Threads may share one; a fork opens its own engine.

    In any window (a minute, unless `limits` says otherwise) no more calls leave than Crossmint allows, counted
    over all processes and threads with the same database, project and limits, by the database's clock:
    PostgreSQL's own, and over SQLite this machine's. A process that dies while it waits loses a slot of each kind;
    nobody else does. What the lanes are, and what a clock that is set does to it: see `pace`.
    """

    def __init__(
        self,
        engine: Engine,
        project: str,
        *,
        lane: Lane = Lane.PRIORITY,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Count for `project`, any name that is not the API key: `ApiKey.project` has one. Nothing is asked yet.

        Raises:
            ConfigError: fewer than one call, or no window.
        """
        self._engine, self._project, self._lane = engine, project, lane
        self._limits, self._clock = limits or Limits(), clock or Clock()
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._threads = threading.Lock()
        self._queues = {True: threading.Lock(), False: threading.Lock()}
        calls = {True: self._limits.writes_per_minute, False: self._limits.reads_per_minute}
        if not 0 < self._limits.window < float("inf") or min(calls.values()) < 1:
            raise ConfigError("a budget is of one call or more, in a window that takes time")
        window = _microseconds(self._limits.window)
        self._paces = {write: Pace.of(limit, window) for write, limit in calls.items()}

    def __repr__(self) -> str:
        return f"SharedBudget({self._engine.dialect.name}, {self._project!r}, {self._lane})"

    def prepare(self) -> None:
        """Make the table and the project's rows, where they are not there yet. May be called by many at once.

        A PostgreSQL user needs SELECT, INSERT and UPDATE on the table, and CREATE on the schema the first time.

        Raises:
            JournalUnavailable: the database could not be reached.
            JournalError: it refused.
        """
        with _our_errors(), self._engine.connect() as connection:
            self._begin(connection)
            if not self._is_sqlite:  # where two make it at once, one of them would fail
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING)))
            if not sa.inspect(connection).has_table(_TABLE.name):
                connection.execute(sa.schema.CreateTable(_TABLE))
            there = connection.scalars(sa.select(_its.kind).where(_its.project == self._project))
            missing = set(_KINDS.values()) - set(there)
            for kind in sorted(missing):
                values = {"project": self._project, "kind": kind, **asdict(Row())}
                connection.execute(sa.insert(_TABLE), values)
            connection.commit()

    def take(self, *, write: bool) -> None:
        """Return when one more call of this kind may leave, sleeping until then. It is to leave at once.

        Of those who ask here one stands in line for all, whichever that is. Whoever oversleeps, or wakes while the
        server wants no calls, queues anew.

        Raises:
            CrossmintRateLimited: it would take longer than the longest wait; nothing is reserved.
            JournalUnavailable: the database could not be reached, so nobody knows; nothing may leave.
            JournalError: it refused, or was never prepared.
        """
        deadline = self._clock.now() + self._limits.longest_wait
        with self._in_line(write=write):
            while True:
                place = self._reserve(deadline, write=write)
                if place.wait > 0:
                    self._clock.sleep(place.wait)
                if self._holds(place, write=write):
                    return

    def refused(self, *, write: bool, retry_after: float | None) -> None:
        """Keep everybody's calls of this kind back for so many seconds: others use the project up as well.

        Ten minutes at most, whatever the server asks: an answer gone wrong must not stop all payments.

        Raises:
            JournalUnavailable, JournalError: it could not be written. The call that was refused did nothing.
        """
        wait = None if retry_after is None else _microseconds(min(retry_after, _LONGEST_REFUSAL))
        with self._turn(write=write) as (connection, row, now):
            self._write(connection, pace.refused(self._paces[write], row, now, wait), write=write)

    @contextmanager
    def _in_line(self, *, write: bool) -> Iterator[None]:
        # A process that dies loses the slot it waits for. With one for all its threads that is one, and the line,
        # in which priority calls stand as well, is as long as there are processes.
        longest = min(self._limits.longest_wait, threading.TIMEOUT_MAX)
        if not self._queues[write].acquire(timeout=longest):
            raise _used_up(write=write, wait=None)
        try:
            yield
        finally:
            self._queues[write].release()

    def _reserve(self, deadline: float, *, write: bool) -> _Place:
        with self._turn(write=write) as (connection, row, now):
            made = self._clock.now()
            slot, taken = pace.next_slot(self._paces[write], row, now, self._lane)
            place = _Place(slot, made, (slot - now) / MICROSECONDS)
            if place.wait > deadline - made:
                raise _used_up(write=write, wait=place.wait)
            self._write(connection, taken, write=write)
        return place

    def _holds(self, place: _Place, *, write: bool) -> bool:
        # Our own clock too: the database's may have been set back while this machine slept on.
        late = self._clock.now() - place.made - place.wait
        if _microseconds(late) > self._paces[write].grace:
            return False
        if place.wait <= 0:
            return True
        with _our_errors(), self._engine.connect() as connection:
            row, now = self._look(connection, write=write)
        return pace.still_holds(self._paces[write], row, place.slot, now)

    @contextmanager
    def _turn(self, *, write: bool) -> Iterator[tuple[Connection, Row, int]]:
        """Give the row and the time, while nobody else has it, and commit what was done with it."""
        with self._one_thread(), _our_errors(), self._engine.connect() as connection:
            self._begin(connection)
            row, now = self._look(connection, write=write, lock=True)
            yield connection, row, now
            connection.commit()

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        # Who waits for a locked file looks now and then, and may look in vain: the fewer, the fairer.
        if not self._threads.acquire(timeout=_PATIENCE):
            raise JournalUnavailable(
                "calls before this one wait for the budget's database", hint=_REPEAT
            )
        try:
            yield
        finally:
            self._threads.release()

    def _begin(self, connection: Connection) -> None:
        if self._is_sqlite:
            # At once for writing: to begin by reading could not wait its turn afterwards.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        settings = ("lock_timeout", "idle_in_transaction_session_timeout")
        local = ((f"SET LOCAL {name} = '{_PATIENCE}s'") for name in settings)
        connection.exec_driver_sql("; ".join(local))

    def _look(self, connection: Connection, *, write: bool, lock: bool = False) -> tuple[Row, int]:
        columns = (_its.line, _its.reserve, _its.refused_until, _its.seen)
        query = sa.select(*columns).where(*self._is_row(write=write))
        if not self._is_sqlite:
            # From inside: the time outside it is read once the row is locked, not before the wait for it.
            locked = (query.with_for_update() if lock else query).cte("found")
            query = sa.select(locked, _SERVER_TIME)
        found: Any = connection.execute(query).one_or_none()
        if found is None:
            raise JournalError("the budget has no row for this project", hint=_PREPARE)
        here = _microseconds(self._clock.wall()) if self._is_sqlite else found[4]
        return Row(*found[:4]), here

    def _write(self, connection: Connection, row: Row, *, write: bool) -> None:
        connection.execute(sa.update(_TABLE).where(*self._is_row(write=write)).values(asdict(row)))

    def _is_row(self, *, write: bool) -> tuple[sa.ColumnElement[bool], ...]:
        return _its.project == self._project, _its.kind == _KINDS[write]


_PREPARE: Final = "SharedBudget.prepare makes it; a user needs SELECT, INSERT and UPDATE"
_REPEAT: Final = "the call did nothing; check that the database is up and has room, then repeat"


def _microseconds(seconds: float) -> int:
    return int(seconds * MICROSECONDS)


def _used_up(*, write: bool, wait: float | None) -> CrossmintRateLimited:
    return CrossmintRateLimited(
        f"the project's {_KINDS[write]}s of a minute are used up or kept back",
        hint="run fewer transfers at once",
        status=None,
        retry_after=wait,
    )


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:  # its message has statements and addresses
        raise _meaning(error) from None


def _meaning(error: SQLAlchemyError) -> JournalError:
    """Return our error. Whatever was not committed for certain lost a slot at most, and lets nobody through."""
    name = getattr(error.orig, "sqlite_errorname", "") if isinstance(error, DBAPIError) else ""
    if isinstance(error, ProgrammingError) or name in _BROKEN:
        return JournalError("the database has no budget that can be used", hint=_PREPARE)
    return JournalUnavailable(
        f"the budget's database could not be used ({name or type(error).__name__})",
        hint=_REPEAT,
    )
