"""Payouts in the journal: a plan written down line by line, begun, paused, resumed, cancelled, counted.

A payout's lines are transfers, and are driven as such. Lines that are paid straight from the wallet are gathered
into batches, which are transfers too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from bursar.errors import PayoutError, PlanChanged, TransferError, UnknownPayout
from bursar.payouts.agreement import Agreement, Word
from bursar.payouts.batching import chunks, groups, may_be_batched
from bursar.payouts.lines import Line
from bursar.payouts.plan import Plan
from bursar.payouts.problems import rejected
from bursar.payouts.taken import taken
from bursar.policy.principals import identity_of
from bursar.transfers import batches, feeding
from bursar.transfers.feeding import RUNNING
from bursar.transfers.intent import TransferIntent
from bursar.transfers.journal import JOURNAL, Filter, Journal, NewTransfer, Overtaken
from bursar.transfers.record import Key, Lane, Place, Transfer, canonical
from bursar.transfers.states import FINAL, UNPAID, Event, EventKind, Stage
from bursar.transfers.tables import PAYOUTS, TRANSFERS

WAITING: Final = "waiting"
PAUSED: Final = "paused"
CANCELLED: Final = "cancelled"
DONE: Final = "done"
_p: Final = PAYOUTS.c


@dataclass(frozen=True, slots=True)
class Payout:
    """A payout: its plan's hash, how many lines, how it stands. `header` says who began it and what it pays."""

    treasury: str
    id: str
    hash: str
    state: str
    lines: int
    header: dict[str, Any]
    created_at: str
    updated_at: str

    @property
    def approvals(self) -> list[dict[str, str]]:
        """Who agreed to the plan, and when: `by` and `at`."""
        return list(self.header.get("approvals", []))

    @property
    def approvers(self) -> int:
        """The largest number of others that was ever asked for."""
        return int(self.header.get("approvers", 0))

    @property
    def approvals_missing(self) -> int:
        """How many more have to agree to the plan, besides who began it, as it was last counted."""
        return int(self.header.get("missing", max(0, self.approvers - len(self.approvals))))

    @property
    def began_by(self) -> str:
        """Who began it: an IAM ARN, or the machine's word."""
        return str(self.header.get("by", ""))

    @property
    def named(self) -> frozenset[str]:
        """The identities that the policy named to agree when it was begun."""
        return frozenset(self.header.get("named", ()))

    @property
    def words(self) -> list[Word]:
        """The approvals, as an agreement counts them."""
        return [Word(each["by"], datetime.fromisoformat(each["at"])) for each in self.approvals]


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a payout is begun: its id, by whom, in batches of how many.

    `approvers` others have to agree first, of the identities that the policy has `named`; `by` is an IAM ARN then,
    for nobody agrees to what they began.
    """

    id: str
    by: str
    batch: int = 1
    approvers: int = 0
    named: frozenset[str] = frozenset()


class PayoutBook:
    """The payouts of a journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def begin(
        self, plan: Plan, how: Beginning, progress: Callable[[int], None] = lambda _lines: None
    ) -> Payout:
        """Write a plan down and let it run; begun before, it is gone on with. `progress` is told lines written.

        Nothing runs before all of it is written: a process that dies in between begins it again.

        Raises:
            PlanChanged: the payout's id is another plan's.
            PlanRejected: lines have ids of other payments; nothing was written.
            TransferConflict: a line's id is another payment's. JournalError: it could not be written.
        """
        treasury = plan.address.lower()
        payout = self.find(treasury, how.id)
        if payout is None:
            if found := taken(self.journal, plan, how.id):
                raise rejected(found)
            payout = self._insert(plan, how)
        if payout.hash != plan.hash:
            raise PlanChanged(
                f"payout {how.id} is of another file: its plan is {payout.hash[:20]}…, this one {plan.hash[:20]}…",
                hint="pay that file, or give this one an id of its own",
            )
        if payout.state != _WRITING:
            return payout
        self._write_lines(plan, payout, how, progress)
        return self._set(payout, WAITING if payout.approvals_missing else RUNNING)

    def approve(self, payout: Payout, by: str, agreement: Agreement) -> Payout:
        """Write down that somebody, by their IAM ARN, agreed to the plan; once enough have, it runs.

        Raises:
            PayoutError: it waits for nobody, or they agreed already. PolicyViolation: their word does not count.
            JournalError: it could not be written.
        """
        if payout.state != WAITING:
            raise PayoutError(f"payout {payout.id} is {payout.state}: it waits for nobody")
        now = self.journal.now
        agreement.require(by, payout.words, datetime.fromisoformat(now), payout.named)
        # Whose word is too old to count may give it anew.
        others = [each for each in payout.approvals if identity_of(each["by"]) != identity_of(by)]
        return self._counted(payout, [*others, {"by": by, "at": now}], agreement)

    def recount(self, payout: Payout, agreement: Agreement) -> Payout:
        """Count by the present policy who has to agree; where that is more than did, the payout waits.

        What was asked for once is asked for still, though the policy asks less by now.

        Raises:
            JournalError: it could not be written.
        """
        if payout.state not in (RUNNING, PAUSED, WAITING):
            return payout
        return self._counted(payout, payout.approvals, agreement)

    def _counted(
        self, payout: Payout, approvals: list[dict[str, str]], agreement: Agreement
    ) -> Payout:
        asked = max(payout.approvers, agreement.approvers)
        header = payout.header | {"approvals": approvals, "approvers": asked}
        words = replace(payout, header=header).words
        now = datetime.fromisoformat(self.journal.now)
        missing = max(agreement.missing(words, now), asked - len(words), 0)
        header["missing"] = missing
        going_on = RUNNING if payout.state == WAITING else payout.state
        state = WAITING if missing else going_on
        same = payout.approvals == approvals and (payout.approvers, payout.approvals_missing) == (
            asked,
            missing,
        )
        if same and state == payout.state:
            return payout
        counted = self._set(payout, state, header)
        if (payout.state, state) == (WAITING, RUNNING):
            self._hand_out_anew(counted)
        return counted

    def find(self, treasury: str, payout: str) -> Payout | None:
        """Return a payout, or None."""
        query = sa.select(PAYOUTS).where(_p.treasury == treasury, _p.id == payout)
        with self.journal.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else _payout(row)

    def named(self, payout: str) -> Payout:
        """Return the payout of an id, whichever wallet's.

        Raises:
            UnknownPayout: there is none, or more than one.
        """
        with self.journal.reading() as connection:
            rows = connection.execute(sa.select(PAYOUTS).where(_p.id == payout)).all()
        if len(rows) != 1:
            what = "is of several wallets" if rows else "is not in the journal"
            raise UnknownPayout(f"payout {payout} {what}", hint="see: bursar payout list")
        return _payout(rows[0])

    def all(self, limit: int = 50) -> list[Payout]:
        """Return payouts, the newest first."""
        query = sa.select(PAYOUTS).order_by(_p.created_at.desc()).limit(limit)
        with self.journal.reading() as connection:
            return [_payout(row) for row in connection.execute(query)]

    def pause(self, payout: Payout) -> Payout:
        """Let no more lines begin; those whose transaction exists go on to their end.

        Raises:
            PayoutError: it is not running. JournalError: it could not be written.
        """
        _require(payout, {RUNNING, PAUSED}, "paused")
        return self._set(payout, PAUSED)

    def resume(self, payout: Payout, *, held: bool = False) -> Payout:
        """Let a payout go on; with `held` also the lines that trouble stopped.

        Raises:
            PayoutError: it is over, or waits for approval. JournalError: it could not be written.
        """
        _require(payout, {RUNNING, PAUSED}, "resumed")
        running = self._set(payout, RUNNING)
        self._hand_out_anew(payout)
        if held:
            stopped = Filter(treasury=payout.treasury, payout=payout.id, held=True)
            for transfer in self.journal.transfers(stopped):
                self._append(transfer, Event(EventKind.RELEASED))
        return running

    def _hand_out_anew(self, payout: Payout) -> None:
        """Have handed out again what was handed out while the payout stood still, and put back."""
        for transfer in feeding.put_back(self.journal, payout.treasury, payout.id):
            self._append(transfer, Event(EventKind.TURNED))

    def transfers(self, payout: Payout) -> Iterator[Transfer]:
        """Yield a payout's lines, and the batches that pay them, in the order of the file."""
        return self.journal.transfers(Filter(treasury=payout.treasury, payout=payout.id))

    def cancel(self, payout: Payout, by: str) -> tuple[Payout, int]:
        """End what nobody can have been paid by, and return how many lines that was.

        Raises:
            PayoutError: it is over. JournalError: it could not be written.
        """
        _require(payout, {RUNNING, PAUSED, WAITING, _WRITING}, "cancelled")
        stopped = self._set(payout, CANCELLED)
        event = Event(
            EventKind.CANCELLED,
            {"reason": f"cancelled by {by} with its payout", "code": "cancelled"},
        )
        count = 0
        # Once more, as a batch may have been split meanwhile; what was put apart is handed out to nobody by now.
        while some := sum(self._cancel(each, event) for each in self.transfers(payout)):
            count += some
        return stopped, count

    def _cancel(self, transfer: Transfer, event: Event) -> int:
        """Cancel a line, or a batch with its lines, and return how many lines that was."""
        while transfer.standing.stage in UNPAID:
            try:
                return self._append_all(transfer, event)
            except Overtaken:
                transfer = self.journal.get(transfer.key)
            except TransferError:
                return 0
        return 0

    def finish(self, payout: Payout, counts: Counts) -> Payout:
        """Mark a payout as done where all its lines are over, by what `counts` just returned of it."""
        return self._set(payout, DONE) if payout.state == RUNNING and not counts.open else payout

    def finish_all(self, treasury: str) -> list[Payout]:
        """Mark every running payout of a wallet as done whose lines are all over, and return those.

        Raises:
            JournalError: it could not be read or written.
        """
        running = sa.select(PAYOUTS).where(_p.treasury == treasury, _p.state == RUNNING)
        with self.journal.reading() as connection:
            found = [_payout(row) for row in connection.execute(running)]
        ended = [self.finish(each, self.counts(each)) for each in found]
        return [each for each in ended if each.state == DONE]

    def counts(self, payout: Payout) -> Counts:
        """Return how many lines are at which stage. What waits with its batch is held as that is."""
        t, batch = TRANSFERS.c, TRANSFERS.alias()
        pays = sa.and_(
            t.stage == Stage.BATCHED.value,
            batch.c.treasury == t.treasury,
            batch.c.id == t.batch,
        )
        hold = sa.or_(t.hold.is_not(None), batch.c.hold.is_not(None))
        query = (
            sa.select(t.stage, hold, sa.func.count())
            .select_from(TRANSFERS.outerjoin(batch, pays))
            .where(t.treasury == payout.treasury, t.payout == payout.id, t.is_batch.is_(False))
            .group_by(t.stage, hold)
        )
        stages: dict[str, int] = {}
        held = 0
        with self.journal.reading() as connection:
            for stage, is_held, count in connection.execute(query):
                stages[stage] = stages.get(stage, 0) + count
                held += count if is_held and Stage(stage) not in FINAL else 0
        return Counts(stages, held)

    def _insert(self, plan: Plan, how: Beginning) -> Payout:
        now = self.journal.now
        header = {
            "by": how.by,
            "batch": how.batch,
            "approvers": how.approvers,
            "named": sorted(how.named),
            "wallet": str(plan.wallet),
            "address": plan.address,
            "chain": plan.chain,
            "totals": [
                {"token": each.name, "count": each.count, "amount": each.text}
                for each in plan.totals
            ],
        }
        values = {
            "treasury": plan.address.lower(),
            "id": how.id,
            "hash": plan.hash,
            "state": _WRITING,
            "lines": len(plan.lines),
            "data": canonical(header),
            "created_at": now,
            "updated_at": now,
        }
        with self.journal.writing() as connection:
            try:
                connection.execute(sa.insert(PAYOUTS).values(values))
            except IntegrityError:
                raise JOURNAL.out_of_turn() from None
        return self.named(how.id)

    def _write_lines(
        self, plan: Plan, payout: Payout, how: Beginning, progress: Callable[[int], None]
    ) -> None:
        done = 0
        for some in chunks(plan.lines):
            new = [_new(plan, payout, line, how.by) for line in some]
            transfers = self.journal.record_all(new)
            for group in groups(transfers, how.batch, _fits):
                self._gather(payout, group, how)
            done += len(some)
            progress(done)

    def _gather(self, payout: Payout, group: Sequence[Transfer], how: Beginning) -> None:
        first = group[0].place
        name = f"{payout.id[:40]}.batch-{first.line if first else 0}"
        place = Place(payout.id, first.line if first else 0)
        new = NewTransfer(
            Key(payout.treasury, name),
            batches.batch_of(name, group),
            Lane.PAYOUT,
            place,
            how.by,
        )
        with self.journal.writing() as connection:
            batches.gather(self.journal, connection, new, group)

    def _set(self, payout: Payout, state: str, header: dict[str, Any] | None = None) -> Payout:
        values = {"state": state, "updated_at": self.journal.now}
        if header is not None:
            values["data"] = canonical(header)
        unchanged = sa.and_(
            _p.treasury == payout.treasury,
            _p.id == payout.id,
            _p.state == payout.state,
            _p.data == canonical(payout.header),
        )
        with self.journal.writing() as connection:
            done = connection.execute(sa.update(PAYOUTS).where(unchanged).values(values))
            if done.rowcount != 1:
                raise JOURNAL.out_of_turn()
            return _read(connection, payout)

    def _append(self, transfer: Transfer, event: Event) -> bool:
        try:
            self.journal.append(transfer, event)
        except (Overtaken, TransferError):
            return False
        return True

    def _append_all(self, transfer: Transfer, event: Event) -> int:
        """Write an event of a transfer, and of all lines where it is a batch; return how many lines that was."""
        with self.journal.writing() as connection:
            self.journal.write_event(connection, transfer, event)
            if not batches.is_batch(transfer):
                return 1
            members = self.journal.members(connection, transfer.key)
            for member in members:
                told = Event(EventKind.UNBATCHED, {"reason": event.data.get("reason")})
                freed = self.journal.write_event(connection, member, told)
                self.journal.write_event(connection, freed, event)
            return len(members)


_WRITING: Final = "writing"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many lines of a payout are at which stage, and how many are held for people."""

    stages: dict[str, int]
    held: int

    @property
    def total(self) -> int:
        """All lines."""
        return sum(self.stages.values())

    @property
    def open(self) -> int:
        """Lines that are not over."""
        over = sum(self.stages.get(stage.value, 0) for stage in FINAL)
        return self.total - over

    def of(self, *stages: Stage) -> int:
        """Lines at any of these stages."""
        return sum(self.stages.get(stage.value, 0) for stage in stages)


def _new(plan: Plan, payout: Payout, line: Line, by: str) -> NewTransfer:
    place = Place(payout.id, line.number, line.note)
    key = Key(payout.treasury, line.id)
    return NewTransfer(key, line.intent(plan.wallet), Lane.PAYOUT, place, by)


def _fits(transfer: Transfer) -> bool:
    asked = transfer.intent
    return (
        isinstance(asked, TransferIntent)
        and may_be_batched(asked.type, asked.recipient)
        and transfer.standing.stage is Stage.RECORDED
    )


def _require(payout: Payout, states: set[str], what: str) -> None:
    if payout.state not in states:
        raise PayoutError(f"payout {payout.id} is {payout.state}: it cannot be {what}")


def _read(connection: Connection, payout: Payout) -> Payout:
    query = sa.select(PAYOUTS).where(_p.treasury == payout.treasury, _p.id == payout.id)
    return _payout(connection.execute(query).one())


def _payout(row: Row[Any]) -> Payout:
    return Payout(
        row.treasury,
        row.id,
        row.hash,
        row.state,
        row.lines,
        json.loads(row.data),
        row.created_at,
        row.updated_at,
    )
