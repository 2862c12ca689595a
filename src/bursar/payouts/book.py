"""Payouts in the journal: a plan written down line by line, begun, paused, resumed, cancelled, counted.

A payout's lines are transfers, and are driven as such. Lines that are paid straight from the wallet are gathered
into batches, which are transfers too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Row

from bursar.errors import PayoutError, PlanChanged, TransferConflict, TransferError, UnknownPayout
from bursar.payouts.agreement import Agreement, Word
from bursar.payouts.beginning import WRITING, as_begun, insert, is_it, write_lines
from bursar.payouts.counting import Counts, count_lines
from bursar.payouts.ending import Ended, cancel_all, withdraw
from bursar.payouts.naming import require_payout_id
from bursar.payouts.plan import Plan
from bursar.payouts.problems import rejected
from bursar.payouts.taken import taken
from bursar.policy.principals import identity_of
from bursar.transfers import feeding
from bursar.transfers.feeding import RUNNING
from bursar.transfers.journal import JOURNAL, Filter, Journal, Overtaken
from bursar.transfers.orders import Look
from bursar.transfers.record import Transfer, canonical
from bursar.transfers.states import Event, EventKind, Hold
from bursar.transfers.tables import PAYOUTS

WAITING: Final = "waiting"
PAUSED: Final = "paused"
CANCELLED: Final = "cancelled"
DONE: Final = "done"
# Of one that was taken out of the journal again, as it never was all in it.
WITHDRAWN: Final = "withdrawn"
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

    Raises:
        RequestError: the id is none.
    """

    id: str
    by: str
    batch: int = 1
    approvers: int = 0
    named: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        require_payout_id(self.id)


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
            TransferConflict: a line's id became another payment's meanwhile; what was written is taken out again.
            PayoutError: it was cancelled meanwhile. JournalError: it could not be written.
        """
        treasury = plan.address.lower()
        payout = self.find(treasury, how.id)
        if payout is None:
            if found := taken(self.journal, plan, how.id):
                raise rejected(found)
            insert(self.journal, plan, how)
            payout = self.named(how.id, treasury)
        if payout.hash != plan.hash:
            raise PlanChanged(
                f"payout {how.id} is of another file: its plan is {payout.hash[:20]}…, this one {plan.hash[:20]}…",
                hint=_other_file(payout),
            )
        if payout.state != WRITING:
            return payout
        try:
            write_lines(self.journal, plan, payout, how, progress)
        except TransferConflict:
            # It can never be written whole, and must not use up the ids of those lines that were.
            withdraw(self.journal, as_begun(payout))
            raise
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

    def named(self, payout: str, treasury: str | None = None) -> Payout:
        """Return the payout of an id, of the wallet with that address in lower case, else of the only one.

        Raises:
            UnknownPayout: there is none, or more than one.
        """
        found = self.having(payout)
        chosen = [each for each in found if treasury in (None, each.treasury)]
        if len(chosen) == 1:
            return chosen[0]
        if not found:
            raise UnknownPayout(
                f"payout {payout} is not in the journal", hint="see: bursar payout list"
            )
        wallets = ", ".join(each.treasury for each in found)
        which = "of several wallets" if treasury is None else f"not of wallet {treasury}, but"
        raise UnknownPayout(f"payout {payout} is {which}: {wallets}", hint="name one with --wallet")

    def having(self, payout: str) -> list[Payout]:
        """Return the payouts of an id, whichever wallets' they are.

        Raises:
            JournalError: they could not be read.
        """
        query = sa.select(PAYOUTS).where(_p.id == payout).order_by(_p.treasury)
        with self.journal.reading() as connection:
            return [_payout(row) for row in connection.execute(query)]

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
        """Let a payout go on, and ask again for what waits for consent; with `held` also what trouble stopped.

        Raises:
            PayoutError: it is over, or waits for approval. JournalError: it could not be written.
        """
        _require(payout, {RUNNING, PAUSED}, "resumed")
        running = self._set(payout, RUNNING)
        self._hand_out_anew(payout)
        self.ask_again(payout, held=held)
        return running

    def ask_again(self, payout: Payout, *, held: bool = False) -> None:
        """Have the signer asked again about what waits for consent; with `held` also try what trouble stopped."""
        stopped = Filter(treasury=payout.treasury, payout=payout.id, held=True)
        for transfer in self.journal.transfers(stopped):
            if held or transfer.standing.hold is Hold.APPROVAL:
                self._append(transfer, Event(EventKind.RELEASED))

    def _hand_out_anew(self, payout: Payout) -> None:
        """Have handed out again what was handed out while the payout stood still, and put back."""
        for transfer in feeding.put_back(self.journal, payout.treasury, payout.id):
            self._append(transfer, Event(EventKind.TURNED))

    def transfers(self, payout: Payout) -> Iterator[Transfer]:
        """Yield a payout's lines, and the batches that pay them, in the order of the file."""
        return self.journal.transfers(Filter(treasury=payout.treasury, payout=payout.id))

    def cancel(
        self,
        payout: Payout,
        by: str,
        look: Look,
        progress: Callable[[int], None] = lambda _lines: None,
    ) -> tuple[Payout, int]:
        """End what nobody can have been paid by, and return how many lines that was; repeated, it goes on with it.

        `look` tells whether Crossmint has an approval of a transfer: those go on. `progress` is told lines gone
        through. A payout that was never written down whole is taken out, so that none of its ids is used up.

        Raises:
            PayoutError: it is over, or some lines are left, as Crossmint could not be asked about them.
            JournalError: it could not be written.
        """
        _require(payout, {RUNNING, PAUSED, WAITING, CANCELLED, WRITING}, "cancelled")
        if payout.state == WRITING and withdraw(self.journal, as_begun(payout)):
            return replace(payout, state=WITHDRAWN), 0
        stopped = self._set(payout, CANCELLED)
        ended = some = cancel_all(self.journal, self.transfers(payout), by, look, progress)
        # Once more, as a batch may have been split meanwhile; what was put apart is handed out to nobody by now.
        while some.lines and not ended.unknown:
            some = cancel_all(self.journal, self.transfers(payout), by, look)
            ended += some
        if ended.unknown:
            raise _left(payout, ended)
        return stopped, ended.lines

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
        """Return how many lines are at which stage. What waits with its batch is held as that is.

        Raises:
            JournalError: it could not be read.
        """
        return count_lines(self.journal, payout.treasury, payout.id)

    def _set(self, payout: Payout, state: str, header: dict[str, Any] | None = None) -> Payout:
        values = {"state": state, "updated_at": self.journal.now}
        if header is not None:
            values["data"] = canonical(header)
        unchanged = sa.and_(
            is_it(payout),
            _p.state == payout.state,
            _p.data == canonical(payout.header),
        )
        with self.journal.writing() as connection:
            done = connection.execute(sa.update(PAYOUTS).where(unchanged).values(values))
            if done.rowcount != 1:
                raise JOURNAL.out_of_turn()
            return _payout(connection.execute(sa.select(PAYOUTS).where(is_it(payout))).one())

    def _append(self, transfer: Transfer, event: Event) -> bool:
        try:
            self.journal.append(transfer, event)
        except (Overtaken, TransferError):
            return False
        return True


def _require(payout: Payout, states: set[str], what: str) -> None:
    if payout.state not in states:
        again = f"run its file again, or take it out with: bursar payout cancel {payout.id}"
        raise PayoutError(
            f"payout {payout.id} is {payout.state}: it cannot be {what}",
            hint=f"writing it down broke off; {again}" if payout.state == WRITING else None,
        )


def _other_file(payout: Payout) -> str:
    own = "pay that file, or give this one an id of its own"
    if payout.state != WRITING:
        return own
    return (
        f"{own}; nothing of it began yet, so it can be taken out: bursar payout cancel {payout.id}"
    )


def _left(payout: Payout, ended: Ended) -> PayoutError:
    count = len(ended.unknown)
    return PayoutError(
        f"payout {payout.id}: {ended.lines} lines were cancelled now; of {count} transactions Crossmint did not "
        f"say whether they are approved: {ended.unknown[0].message}",
        hint=f"once it answers, do it again: bursar payout cancel {payout.id}",
    )


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
