"""An imagined world for one transfer: a journal, a Crossmint, a chain, and whoever drives, stops or says yes.

Whoever acts is a generator that pauses wherever something else may come between. A driver is what `desk.py` is:
it looks first, asks `next_step` what is next, and has the journal judge by `after` what may be written. `Luck` is
what befalls the next call: it, or its answer, is lost; what is read is old.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from bursar.errors import (
    ApprovalRejected,
    BursarError,
    CrossmintOutcomeUnknown,
    CrossmintUnavailable,
    IntentMismatch,
    JournalUnavailable,
    RecipientWalletSanctioned,
)
from bursar.transfers.journal import Overtaken
from bursar.transfers.states import Event, EventKind, Stage, Standing, Step, after, next_step
from bursar.transfers.troubles import happened

Acting = Generator[None, None, None]
_NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Luck(StrEnum):
    """What befalls a call."""

    GOOD = "good"
    LOST = "lost before it had an effect"
    UNANSWERED = "done, and its answer lost"
    STALE = "answered from an old copy"


@dataclass(frozen=True)
class Row:
    """The transfer as the journal has it."""

    standing: Standing = field(default_factory=Standing)
    version: int = 1


@dataclass(frozen=True)
class Seen:
    """Crossmint's transaction, as it is read."""

    message: int = 1
    nonce: int = 1
    status: str = "awaiting-approval"
    approved: bool = False

    @property
    def is_handed_in(self) -> bool:
        return self.status != "awaiting-approval" or self.approved


@dataclass
class World:
    """What is so, whatever anybody believes."""

    row: Row = field(default_factory=Row)
    copies: list[Seen] = field(default_factory=list)
    nonces: dict[int, int] = field(default_factory=dict)
    signed: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    payments: int = 0
    luck: Luck = Luck.GOOD
    refuses: bool = False
    cancelling: int = 0

    # The journal

    def write(self, row: Row, kind: EventKind, **data: Any) -> Row:
        """Write an event on the condition that nobody wrote since `row` was read."""
        luck, self.luck = self.luck, Luck.GOOD
        made = Row(after(row.standing, Event(kind, data)), row.version + 1)
        if luck is Luck.LOST:
            raise JournalUnavailable("away")
        if self.row.version != row.version:
            raise Overtaken("somebody else was first")
        self.row = made
        if luck is Luck.UNANSWERED:
            raise JournalUnavailable("whether it wrote is not known")
        return made

    # Crossmint

    @property
    def transaction(self) -> Seen | None:
        return self.copies[-1] if self.copies else None

    def create(self) -> None:
        """Make the transfer's transaction; under the same key there is only one."""
        luck, self.luck = self.luck, Luck.GOOD
        if luck is Luck.LOST:
            raise CrossmintUnavailable("nothing was sent")
        if self.refuses and not self.copies:
            raise RecipientWalletSanctioned("not to them")
        if not self.copies:
            self.change(Seen())
        if luck is Luck.UNANSWERED:
            raise CrossmintOutcomeUnknown("no answer")

    def read(self) -> Seen:
        luck, self.luck = self.luck, Luck.GOOD
        if luck in {Luck.LOST, Luck.UNANSWERED}:
            raise CrossmintUnavailable("no answer")
        return self.copies[-2] if luck is Luck.STALE and len(self.copies) > 1 else self.copies[-1]

    def approve(self, signature: int) -> bool:
        """Take a signature over the message that waits; False where one is in already."""
        luck, self.luck = self.luck, Luck.GOOD
        if luck is Luck.LOST:
            raise CrossmintOutcomeUnknown("no answer")
        self.received.append(signature)
        seen = self.copies[-1]
        is_first = not seen.is_handed_in
        if is_first and signature != seen.message:
            raise ApprovalRejected("not over this message")
        if is_first:
            self.change(replace(seen, status="pending", approved=True))
        if luck is Luck.UNANSWERED:
            raise CrossmintOutcomeUnknown("no answer")
        return is_first

    def change(self, seen: Seen) -> None:
        self.copies.append(seen)
        self.nonces[seen.message] = seen.nonce

    # The chain

    def include(self, message: int, *, reverts: bool = False) -> bool:
        """Carry a signed operation out, if its nonce is free; tell whether it paid."""
        nonce = self.nonces[message]
        if nonce in self.used:
            return False
        self.used.add(nonce)
        self.payments += not reverts
        return not reverts


def driver(world: World) -> Acting:
    """Take steps until there is none, as a desk does."""
    while next_step((row := world.row).standing) is not Step.STOP:
        yield
        yield from _tried(world, row, _STEPS[next_step(row.standing)])


def _tried(world: World, row: Row, act: Any) -> Acting:
    try:
        yield from act(world, row)
    except Overtaken:
        return
    except BursarError as error:
        yield
        yield from _trouble(world, row, error)


def _trouble(world: World, row: Row, error: BursarError) -> Acting:
    standing = row.standing
    event = happened(error, standing.stage, standing.attempts, _NOW, 0.0)
    try:
        world.write(row, event.kind, **event.data)
    except JournalUnavailable:
        yield


def _create(world: World, row: Row) -> Acting:
    asked = world.write(row, EventKind.ASKED)
    yield
    yield from _tried(world, asked, _ask)


def _ask(world: World, row: Row) -> Acting:
    world.create()
    yield
    world.write(row, EventKind.CREATED, transaction="tx-1")


def _review(world: World, row: Row) -> Acting:
    seen = world.read()
    yield
    if seen.is_handed_in:
        world.write(row, EventKind.APPROVED)
        return
    if row.standing.known.get("nonce") not in {None, seen.nonce}:
        raise IntentMismatch("another nonce")
    world.write(row, EventKind.REVIEWED, message=seen.message, nonce=seen.nonce)


def _confirm(world: World, row: Row) -> Acting:
    world.write(row, EventKind.HELD, hold="confirmation")
    yield


def _looked(world: World, row: Row) -> Generator[None, None, bool]:
    """Look first; tell whether there is still something to do."""
    seen = world.read()
    yield
    if seen.is_handed_in:
        world.write(row, EventKind.APPROVED)
        return False
    if seen.message != row.standing.known.get("message"):
        world.write(row, EventKind.REBUILT)
        return False
    return True


def _sign(world: World, row: Row) -> Acting:
    if (yield from _looked(world, row)):
        signature = row.standing.known["message"]
        world.signed.append(signature)
        yield
        world.write(row, EventKind.SIGNED, signature=signature)


def _hand_in(world: World, row: Row) -> Acting:
    if (yield from _looked(world, row)):
        marked = world.write(row, EventKind.HANDING_IN)
        yield
        yield from _tried(world, marked, _submit)


def _look(world: World, row: Row) -> Acting:
    if (yield from _looked(world, row)):
        yield from _submit(world, row)


def _submit(world: World, row: Row) -> Acting:
    if not world.approve(row.standing.known["signature"]):
        yield
        world.read()
    yield
    world.write(row, EventKind.APPROVED)


def _settle(world: World, row: Row) -> Acting:
    seen = world.read()
    yield
    if world.payments and seen.status in {"success", "failed"}:
        world.write(row, EventKind.SETTLED)
    elif seen.status == "failed" and seen.nonce in world.used:
        world.write(row, EventKind.FAILED, code="transaction_failed", undone=True)
    elif seen.status == "failed":
        world.write(row, EventKind.HELD, hold="trouble", code="may_still_land")


_STEPS = {
    Step.CREATE: _create,
    Step.REVIEW: _review,
    Step.CONFIRM: _confirm,
    Step.SIGN: _sign,
    Step.HAND_IN: _hand_in,
    Step.LOOK: _look,
    Step.SETTLE: _settle,
}


def canceller(world: World) -> Acting:
    """Cancel as `orders.cancel` does."""
    world.cancelling += 1
    try:
        row = world.row
        if "transaction" in row.standing.known and row.standing.is_cancellable:
            seen = world.read()
            yield
            if seen.is_handed_in:
                row = world.write(row, EventKind.APPROVED)
        yield
        world.write(row, EventKind.CANCELLED, code="cancelled", reason="cancelled by Ada")
    except BursarError:
        return
    finally:
        world.cancelling -= 1


def says(world: World, kind: EventKind, **data: Any) -> Acting:
    """Say yes, or go on, to what was read a while ago."""
    row = world.row
    yield
    try:
        world.write(row, kind, **data)
    except BursarError:
        return


def is_over(world: World) -> bool:
    return world.row.standing.stage in {Stage.SETTLED, Stage.FAILED, Stage.CANCELLED}
