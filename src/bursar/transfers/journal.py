"""The journal: every transfer, what happened to it and when, in SQLite or PostgreSQL. It is what is true.

```
with Journal.open() as journal:                                          # the user's own file
with Journal.open("postgresql+psycopg://treasury@db.example/bursar") as journal:
```
An event is written on the condition that nothing happened since the transfer was read, together with what it
changes; whoever comes second reads again. So two processes at the same transfer cannot both take the same step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.exc import DBAPIError, IntegrityError

from bursar.errors import JournalError, JournalUnavailable, TransferConflict, UnknownTransfer
from bursar.sql import engine as sql
from bursar.sql.faults import Kept, spoken_of, was_undone
from bursar.transfers.batch import BatchTransfer
from bursar.transfers.record import (
    Asked,
    Happening,
    Key,
    Lane,
    Place,
    Transfer,
    canonical,
    intent_text,
    read_intent,
    require_same,
    require_same_place,
)
from bursar.transfers.states import Event, EventKind, Hold, Stage, Standing, after
from bursar.transfers.tables import EVENTS, TRANSFERS, make


class Overtaken(JournalUnavailable):
    """Something happened to the transfer since it was read. Nothing was written: read it again."""

    code = "journal_overtaken"


JOURNAL: Final = Kept(
    "the journal",
    JournalError,
    JournalUnavailable,
    JournalError,
    Overtaken,
    "it needs SELECT, INSERT, UPDATE and DELETE on bursar's tables, and CREATE the first time",
)
_t: Final = TRANSFERS.c
_PAGE: Final = 500
Guard = Callable[[Connection], None]
# How often what others wrote down at the same moment is read and written again.
_TRIES: Final = 3
# After these its work is begun anew, if it had come to an end.
_TURNING: Final = frozenset(
    {EventKind.TURNED, EventKind.RELEASED, EventKind.CONFIRMED, EventKind.UNBATCHED}
)


@dataclass(frozen=True, slots=True)
class NewTransfer:
    """A transfer to write down."""

    key: Key
    intent: Asked
    lane: Lane = Lane.SINGLE
    place: Place | None = None
    confirmed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which transfers to list; what is None does not matter. `held` asks for those that wait for people."""

    treasury: str | None = None
    stages: frozenset[Stage] | None = None
    payout: str | None = None
    batch: str | None = None
    held: bool | None = None
    recipient: str | None = None
    is_batch: bool | None = None
    since: str | None = None
    limit: int | None = None


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


class Journal:
    """The journal over a database. Threads and processes may share one; a fork opens its own."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now) -> None:
        self.engine = engine
        self._clock = clock

    @classmethod
    def open(cls, where: str | Path | None = None, clock: Callable[[], datetime] = utc_now) -> Self:
        """Return the journal at a path or URL, and make its tables if they are not there yet.

        Without one it is a file in the user's data folder, for its owner alone.

        Raises:
            ConfigError: not a path or URL of these, or the driver is not installed.
            JournalUnavailable: the database could not be reached. JournalError: the tables cannot be made.
        """
        path = sql.default_path("journal.sqlite3") if where is None else where
        journal = cls(sql.open_engine(path, JOURNAL), clock)
        try:
            sql.make_tables(journal.engine, JOURNAL, make)
        except BaseException:
            journal.close()
            raise
        return journal

    def __repr__(self) -> str:
        url = self.engine.url
        return f"Journal({url.get_backend_name()}, {url.host or ''}, {url.database})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections."""
        self.engine.dispose()

    @property
    def now(self) -> str:
        """The present moment, as the journal writes it."""
        return moment(self._clock())

    def record(self, new: NewTransfer) -> Transfer:
        """Write a transfer down and return it; where its id is there already with the same content, return that.

        Raises:
            TransferConflict: the id is another payment's. JournalError: it could not be written.
        """
        return self.record_all([new])[0]

    def record_all(
        self, several: Sequence[NewTransfer], guard: Guard = lambda _connection: None
    ) -> list[Transfer]:
        """Do `record` for several, all of them or none; none where `guard`, first in their transaction, raises."""
        for _ in range(_TRIES):
            with suppress(Overtaken):
                return self._record_all(several, guard)
        return self._record_all(several, guard)

    def _record_all(self, several: Sequence[NewTransfer], guard: Guard) -> list[Transfer]:
        keys = [new.key for new in several]
        with self.writing() as connection:
            guard(connection)
            there = {Key(row.treasury, row.id) for row in _rows_of(connection, keys)}
            missing = {new.key: new for new in reversed(several) if new.key not in there}
            self.insert(connection, list(missing.values()))
            kept = [transfer_of(row) for row in _rows_of(connection, keys)]
            found = {each.key: each for each in kept}
            for new in several:
                require_same(found[new.key].intent, new.intent)
                require_same_place(found[new.key], new.place)
        return [found[key] for key in keys]

    def get(self, key: Key) -> Transfer:
        """Return a transfer.

        Raises:
            UnknownTransfer: there is none of that id. JournalError: it could not be read.
        """
        found = self.find(key)
        if found is None:
            raise UnknownTransfer(
                f"the journal has no transfer {key.id} of wallet {key.treasury}",
                hint="see what there is with: bursar transfer list",
            )
        return found

    def find(self, key: Key) -> Transfer | None:
        """Return a transfer, or None."""
        with self.reading() as connection:
            row = connection.execute(_of(key)).first()
        return None if row is None else transfer_of(row)

    def by_transaction(self, treasury: str, transaction: str) -> Transfer | None:
        """Return the transfer that a Crossmint transaction is bound to, or None."""
        query = sa.select(TRANSFERS).where(
            _t.treasury == treasury, _t.transaction_id == transaction
        )
        with self.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else transfer_of(row)

    def named(self, name: str) -> list[Transfer]:
        """Return the transfers of an id, the caller's own or Crossmint's: more than one where wallets share it."""
        query = sa.select(TRANSFERS).where(sa.or_(_t.id == name, _t.transaction_id == name))
        with self.reading() as connection:
            return [transfer_of(row) for row in connection.execute(query.limit(10))]

    def transfers(self, wanted: Filter) -> Iterator[Transfer]:
        """Yield transfers: those of a payout in the order of its lines, others the newest first."""
        newest = not wanted.payout
        first = _t.created_at.desc() if newest else _t.line
        query = sa.select(TRANSFERS).where(*_conditions(wanted))
        query = query.order_by(first, _t.id, _t.treasury)
        left = wanted.limit
        rest: sa.ColumnElement[bool] = sa.true()
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            with self.reading() as connection:
                page = connection.execute(query.where(rest).limit(size)).all()
            yield from (transfer_of(row) for row in page)
            if len(page) < size:
                return
            # From the last one on, and not so many rows further: what was changed meanwhile hides none.
            rest = _after(page[-1], newest=newest)
            left = None if left is None else left - size

    def history(self, key: Key) -> list[Happening]:
        """Return everything that happened to a transfer, in order."""
        events = EVENTS.c
        query = (
            sa.select(events.number, events.at, events.event, events.data)
            .where(events.treasury == key.treasury, events.id == key.id)
            .order_by(events.number)
        )
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return [Happening(number, at, kind, json.loads(data)) for number, at, kind, data in rows]

    def append(self, transfer: Transfer, event: Event) -> Transfer:
        """Write that something happened to a transfer as it was read, and return it as it is now.

        Raises:
            Overtaken: something happened since; nothing was written.
            TransferError, NotCancellable, TransferEnded: such a thing cannot happen now.
            TransferConflict: the transaction is another transfer's.
            JournalError: it could not be written.
        """
        with self.writing() as connection:
            return self.write_event(connection, transfer, event)

    def write_event(self, connection: Connection, transfer: Transfer, event: Event) -> Transfer:
        """Do `append` in a transaction that somebody else began with `writing`."""
        standing = after(transfer.standing, event)
        now = self.now
        changed = replace(
            transfer,
            standing=standing,
            version=transfer.version + 1,
            turn=transfer.turn + (event.kind in _TURNING),
            batch=_batch(transfer, event),
            updated_at=now,
        )
        values = _standing_values(standing) | {
            "version": changed.version,
            "turn": changed.turn,
            "batch": changed.batch,
            "updated_at": now,
        }
        # A turn may end without an event: whoever is at one that has ended is overtaken as well.
        as_read = (_t.version == transfer.version, _t.turn == transfer.turn)
        is_it = sa.and_(_is(transfer.key), *as_read)
        try:
            done = connection.execute(sa.update(TRANSFERS).where(is_it).values(values))
        except IntegrityError:
            raise TransferConflict(
                "Crossmint's transaction is another transfer's already",
                hint="find it with: bursar transfer list; a new payment needs a new id",
            ) from None
        if done.rowcount != 1:
            raise JOURNAL.out_of_turn()
        _insert_event(connection, changed, event, now)
        return changed

    def mark_fed(self, transfer: Transfer) -> None:
        """Remember that this turn's work was handed to the workflow engine."""
        with self.writing() as connection:
            fed = sa.and_(_is(transfer.key), _t.turn == transfer.turn)
            connection.execute(sa.update(TRANSFERS).where(fed).values(fed=transfer.turn))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection to read with; a database's errors become the journal's."""
        with spoken_of(JOURNAL), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection whose writes are made together at the end, or not at all where an error is raised.

        Raises:
            JournalUnavailable: it could not be written, or it is not known whether it was: read again.
        """
        with spoken_of(JOURNAL), self.engine.connect() as connection:
            sql.begin_writing(connection)
            yield connection
            try:
                connection.commit()
            except DBAPIError as error:
                connection.invalidate()  # whatever it still has open, nobody goes on with
                raise _commit_error(error) from None

    def members(self, connection: Connection, batch: Key) -> list[Transfer]:
        """Return the transfers that a batch pays, in order, read in a transaction of `writing`."""
        query = sa.select(TRANSFERS).where(_t.treasury == batch.treasury, _t.batch == batch.id)
        rows = connection.execute(query.order_by(_t.line, _t.id))
        return [transfer_of(row) for row in rows]

    def insert(self, connection: Connection, several: Sequence[NewTransfer]) -> None:
        """Write down transfers whose ids are new, in a transaction of `writing`.

        Raises:
            Overtaken: one of the ids is there.
        """
        if not several:
            return
        now = self.now
        try:
            connection.execute(sa.insert(TRANSFERS), [_new_values(new, now) for new in several])
        except IntegrityError:
            raise JOURNAL.out_of_turn() from None
        firsts = [_event_values(new.key, 1, now, "recorded", _told(new)) for new in several]
        connection.execute(sa.insert(EVENTS), firsts)


def moment(at: datetime) -> str:
    """Return a time as the journal writes it: UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _told(new: NewTransfer) -> dict[str, Any]:
    return {"intent": json.loads(intent_text(new.intent)), "confirmed_by": new.confirmed_by}


def _new_values(new: NewTransfer, now: str) -> dict[str, Any]:
    known = {"confirmed_by": new.confirmed_by} if new.confirmed_by else {}
    place = new.place
    return _standing_values(Standing(known=known)) | {
        "treasury": new.key.treasury,
        "id": new.key.id,
        "is_batch": isinstance(new.intent, BatchTransfer),
        "intent": intent_text(new.intent),
        "lane": int(new.lane),
        "payout": place.payout if place else None,
        "line": place.line if place else None,
        "note": place.note if place else None,
        "turn": 0,
        "fed": -1,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }


def _standing_values(standing: Standing) -> dict[str, Any]:
    return {
        "stage": standing.stage.value,
        "hold": standing.hold.value if standing.hold else None,
        "code": standing.code,
        "reason": standing.reason,
        "attempts": standing.attempts,
        "retry_at": standing.retry_at,
        "known": canonical(standing.known),
        "transaction_id": standing.known.get("transaction"),
    }


def transfer_of(row: Row[Any]) -> Transfer:
    """Return the transfer of a row of `tables.TRANSFERS`.

    Raises:
        JournalError: it is none.
    """
    try:
        return _read(row)
    except (ValueError, TypeError):
        raise JournalError(f"what the journal has of {row.id} is no transfer") from None


def _read(row: Row[Any]) -> Transfer:
    known = json.loads(row.known)
    hold = Hold(row.hold) if row.hold else None
    standing = Standing(
        Stage(row.stage), hold, known, row.reason, row.code, row.attempts, row.retry_at
    )
    place = Place(row.payout, row.line, row.note or "") if row.payout else None
    return Transfer(
        key=Key(row.treasury, row.id),
        intent=read_intent(row.id, row.intent),
        standing=standing,
        version=row.version,
        turn=row.turn,
        lane=Lane(row.lane),
        created_at=row.created_at,
        updated_at=row.updated_at,
        place=place,
        batch=row.batch,
    )


def _insert_event(connection: Connection, transfer: Transfer, event: Event, now: str) -> None:
    values = _event_values(transfer.key, transfer.version, now, event.kind.value, event.data)
    connection.execute(sa.insert(EVENTS).values(values))


def _event_values(key: Key, number: int, at: str, kind: str, data: Any) -> dict[str, Any]:
    told = {name: value for name, value in data.items() if value is not None}
    return {
        "treasury": key.treasury,
        "id": key.id,
        "number": number,
        "at": at,
        "event": kind,
        "data": canonical(told),
    }


def _batch(transfer: Transfer, event: Event) -> str | None:
    if event.kind is EventKind.BATCHED:
        return str(event.data["batch"])
    return None if event.kind is EventKind.UNBATCHED else transfer.batch


def _of(key: Key) -> sa.Select[Any]:
    return sa.select(TRANSFERS).where(_is(key))


def _is(key: Key) -> sa.ColumnElement[bool]:
    return sa.and_(_t.treasury == key.treasury, _t.id == key.id)


def _rows_of(connection: Connection, keys: Iterable[Key]) -> Iterator[Row[Any]]:
    asked = list(dict.fromkeys(keys))
    for start in range(0, len(asked), _PAGE):
        some = asked[start : start + _PAGE]
        treasuries = {key.treasury for key in some}
        query = sa.select(TRANSFERS).where(
            _t.treasury.in_(treasuries), _t.id.in_([key.id for key in some])
        )
        yield from connection.execute(query)


def _after(last: Row[Any], *, newest: bool) -> sa.ColumnElement[bool]:
    first, value = (_t.created_at, last.created_at) if newest else (_t.line, last.line)
    beside = sa.tuple_(_t.id, _t.treasury) > sa.tuple_(sa.literal(last.id), last.treasury)
    beyond = first < value if newest else first > value
    return sa.or_(beyond, sa.and_(first == value, beside))


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    pairs = (
        (wanted.treasury, lambda v: _t.treasury == v),
        (wanted.stages, lambda v: _t.stage.in_(sorted(stage.value for stage in v))),
        (wanted.payout, lambda v: _t.payout == v),
        (wanted.batch, lambda v: _t.batch == v),
        (wanted.is_batch, _t.is_batch.is_),
        (wanted.held, lambda v: _t.hold.is_not(None) if v else _t.hold.is_(None)),
        (wanted.recipient, lambda v: _pays(str(v))),
        (wanted.since, lambda v: _t.created_at >= v),
    )
    return [made(value) for value, made in pairs if value is not None]


def _pays(part: str) -> sa.ColumnElement[bool]:
    # The intent is canonical JSON, so that after the recipient comes the token.
    quoted = json.dumps(part.lower(), ensure_ascii=False)[1:-1]
    escaped = re.sub(r"([%_/])", r"/\1", quoted)
    pattern = f'%"recipient":"%{escaped}%","token":%'
    return sa.func.lower(_t.intent).like(pattern, escape="/")


def _commit_error(error: DBAPIError) -> JournalUnavailable:
    if was_undone(error):
        return Overtaken("somebody else wrote the journal first", hint="read it again")
    return JournalUnavailable(
        "the journal's database did not say whether it wrote", hint="read it again"
    )
