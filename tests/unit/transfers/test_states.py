"""Every move there is and every one that is refused, written down once more and by hand."""

from __future__ import annotations

from typing import Any

import pytest

from bursar.errors import NotCancellable, TransferEnded, TransferError
from bursar.transfers.states import (
    FINAL,
    UNPAID,
    Event,
    EventKind,
    Hold,
    Stage,
    Standing,
    Step,
    after,
    next_step,
)

# Columns: recorded, batched, created, reviewed, signed, approving, approved, settled, failed, cancelled,
# contradicted. A letter is the stage it leads to (x: contradicted, =: where it was), a dot is refused.
TABLE = """
recorded      . . . . . . . . . . .
asked         = . . . . . . . . . .
batched       b . . . . . . . . . .
unbatched     . r . . . . . . . . .
created       c . . . . . . . . . .
reviewed      . . v . . . . . . . .
confirmed     = . = = = . . . . . .
signed        . . . s . . . . . . .
handing_in    . . . . h . . . . . .
approved      . . a a a a . . . . .
rebuilt       . . . c c c . . . . .
settled       . t . . . . t . . . t
failed        f f f f f f f . . . f
cancelled     k . k k k . . . . . .
contradicted  . x . . . . x x x . .
held          = = = = = = = . . . .
released      = = = = = = = . . . .
delayed       = = = = = = = . . . =
turned        = = = = = = = . . . =
"""
LETTERS = {
    "r": Stage.RECORDED,
    "b": Stage.BATCHED,
    "c": Stage.CREATED,
    "v": Stage.REVIEWED,
    "s": Stage.SIGNED,
    "h": Stage.APPROVING,
    "a": Stage.APPROVED,
    "t": Stage.SETTLED,
    "f": Stage.FAILED,
    "k": Stage.CANCELLED,
    "x": Stage.CONTRADICTED,
}
MOVES = [
    (EventKind(kind), stage, letter)
    for kind, *letters in (line.split() for line in TABLE.strip().splitlines())
    for stage, letter in zip(Stage, letters, strict=True)
]
SIGNED: dict[str, Any] = {
    "transaction": "tx-1",
    "message": "0xaa",
    "digest": "0xbb",
    "nonce": "0x1",
    "sentence": "pay",
    "signature": "0xcc",
    "signed_by": "0xdd",
    "request_id": "kms-1",
    "receipt": "4:0xee",
    "policy": "0xff",
    "block": 7,
    "confirmed_by": "Ada",
}


def event(kind: EventKind, **data: Any) -> Event:
    return Event(kind, {"hold": "trouble"} | data if kind is EventKind.HELD else data)


def test_the_table_is_of_every_event_at_every_stage() -> None:
    assert {(kind, stage) for kind, stage, _ in MOVES} == {
        (kind, stage) for kind in EventKind for stage in Stage
    }


@pytest.mark.parametrize(("kind", "stage", "letter"), [m for m in MOVES if m[2] != "."])
def test_what_may_happen_leads_where_the_table_says(
    kind: EventKind, stage: Stage, letter: str
) -> None:
    assert after(Standing(stage), event(kind)).stage is LETTERS.get(letter, stage)


@pytest.mark.parametrize(("kind", "stage", "_letter"), [m for m in MOVES if m[2] == "."])
def test_what_may_not_happen_is_refused(kind: EventKind, stage: Stage, _letter: str) -> None:
    standing = Standing(stage, reason="so it was")
    with pytest.raises(TransferError) as caught:
        after(standing, event(kind))
    if kind is EventKind.RECORDED:
        assert caught.value.message == "recorded is how a transfer begins"
    elif stage in FINAL:
        assert isinstance(caught.value, TransferEnded)
        assert caught.value.message == f"the transfer is {stage}: so it was"
    elif kind is EventKind.CANCELLED:
        assert isinstance(caught.value, NotCancellable)
        assert caught.value.hint
    else:
        assert type(caught.value) is TransferError
        assert caught.value.message == f"a transfer that is {stage} cannot be {kind}"


@pytest.mark.parametrize(
    ("stage", "step"),
    [
        (Stage.RECORDED, Step.CREATE),
        (Stage.CREATED, Step.REVIEW),
        (Stage.REVIEWED, Step.SIGN),
        (Stage.SIGNED, Step.HAND_IN),
        (Stage.APPROVING, Step.LOOK),
        (Stage.APPROVED, Step.SETTLE),
        *((stage, Step.STOP) for stage in (*sorted(FINAL), Stage.BATCHED)),
    ],
)
def test_each_stage_has_its_next_step_and_a_hold_has_none(stage: Stage, step: Step) -> None:
    said = {"confirmed_by": "Ada"}
    assert next_step(Standing(stage, known=said)) is step
    for hold in Hold:
        assert next_step(Standing(stage, hold, said)) is Step.STOP


def test_what_nobody_said_yes_to_is_not_signed() -> None:
    assert next_step(Standing(Stage.REVIEWED)) is Step.CONFIRM


def test_what_is_told_is_kept_and_what_is_not_known_of_is_not() -> None:
    standing = Standing(Stage.REVIEWED, known={"transaction": "tx-1"})
    told = {"signature": "0xcc", "password": "hunter2", "hint": "do this"}
    assert after(standing, Event(EventKind.SIGNED, told)).known == {
        "transaction": "tx-1",
        "signature": "0xcc",
    }
    assert standing.known == {"transaction": "tx-1"}


def test_built_anew_nothing_that_was_signed_is_left_but_its_nonce_and_the_yes() -> None:
    standing = after(Standing(Stage.APPROVING, known=SIGNED), Event(EventKind.REBUILT))
    assert standing.stage is Stage.CREATED
    assert {"nonce", "confirmed_by", "transaction", "block"} <= standing.known.keys()
    gone = {"message", "digest", "sentence", "signature", "request_id", "receipt"}
    assert not gone & standing.known.keys()


def test_a_hold_says_why_and_ends_with_whatever_happens_next() -> None:
    told = {"hold": "approval", "code": "needs_approval", "reason": "two more"}
    held = after(Standing(Stage.REVIEWED, attempts=2), Event(EventKind.HELD, told))
    assert held.hold is Hold.APPROVAL
    assert (held.code, held.reason, held.attempts) == ("needs_approval", "two more", 2)
    released = after(held, Event(EventKind.RELEASED))
    assert released == Standing(Stage.REVIEWED)


def test_delays_are_counted_until_something_comes_of_it() -> None:
    told = {"code": "kms_throttled", "reason": "slow", "retry_at": "2026-11-01T00:00:00.500+00:00"}
    once = after(Standing(Stage.REVIEWED), Event(EventKind.DELAYED, told))
    twice = after(once, Event(EventKind.DELAYED, told))
    assert (once.attempts, twice.attempts) == (1, 2)
    assert twice.retry_at == told["retry_at"]
    done = after(twice, Event(EventKind.SIGNED))
    assert (done.attempts, done.retry_at, done.reason) == (0, None, None)


@pytest.mark.parametrize("kind", [EventKind.ASKED, EventKind.TURNED])
def test_beginning_anew_changes_nothing_else(kind: EventKind) -> None:
    standing = Standing(Stage.RECORDED, None, {"transaction": "t"}, "slow", "kms_throttled", 3, "x")
    assert after(standing, Event(kind)) == standing


def test_nobody_can_have_been_paid_before_the_signature_is_handed_in() -> None:
    assert {stage for stage in Stage if Standing(stage).is_cancellable} == UNPAID


def test_once_a_signature_was_handed_in_no_rebuilding_makes_it_cancellable_again() -> None:
    standing = Standing(Stage.SIGNED, known=SIGNED)
    for kind in (EventKind.HANDING_IN, EventKind.REBUILT):
        standing = after(standing, Event(kind))
    for kind in (EventKind.REVIEWED, EventKind.SIGNED):
        assert not standing.is_cancellable
        with pytest.raises(NotCancellable):
            after(standing, Event(EventKind.CANCELLED))
        standing = after(standing, Event(kind))


def test_a_contradiction_may_be_cleared_up_by_looking_again() -> None:
    contradicted = Standing(Stage.CONTRADICTED)
    assert contradicted.is_final
    assert after(contradicted, Event(EventKind.SETTLED)).stage is Stage.SETTLED
