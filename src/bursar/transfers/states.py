"""Where a transfer stands, what may happen to it, and what is done next. Pure.

```
recorded ─► created ─► reviewed ─► signed ─► approving ─► approved ─► settled
                ▲──────────┴──rebuilt──┴─────────┘                └─► failed, contradicted
```
A transfer is *recorded* before Crossmint is asked, *created* once it is bound to one Crossmint transaction, for
good; *approving* from the moment its signature may have been handed in. Up to there it can be *cancelled*; after
that never again, not even where the transaction is built anew: what was signed may still be carried out. A hold
stops it where it is, for people; a delay does for a while. One that is *batched* is paid by its batch, which is a
transfer of its own, and ends as that does; or it is taken out again and is *recorded* as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from bursar.errors import NotCancellable, TransferEnded, TransferError


class Stage(StrEnum):
    """How far a transfer came."""

    RECORDED = "recorded"
    BATCHED = "batched"
    CREATED = "created"
    REVIEWED = "reviewed"
    SIGNED = "signed"
    APPROVING = "approving"
    APPROVED = "approved"
    SETTLED = "settled"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CONTRADICTED = "contradicted"


class Hold(StrEnum):
    """What a transfer waits for that no time brings: somebody's yes, others' consent, or what `reason` names."""

    CONFIRMATION = "confirmation"
    APPROVAL = "approval"
    TROUBLE = "trouble"


class EventKind(StrEnum):
    """What happens to a transfer."""

    RECORDED = "recorded"
    ASKED = "asked"
    BATCHED = "batched"
    UNBATCHED = "unbatched"
    CREATED = "created"
    REVIEWED = "reviewed"
    CONFIRMED = "confirmed"
    SIGNED = "signed"
    HANDING_IN = "handing_in"
    APPROVED = "approved"
    REBUILT = "rebuilt"
    SETTLED = "settled"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CONTRADICTED = "contradicted"
    HELD = "held"
    RELEASED = "released"
    DELAYED = "delayed"
    TURNED = "turned"


_S, _E = Stage, EventKind
FINAL: Final = frozenset({_S.SETTLED, _S.FAILED, _S.CANCELLED, _S.CONTRADICTED})
_OPEN: Final = frozenset(Stage) - FINAL
# Before its signature may have been handed in: nobody can have been paid.
UNPAID: Final = frozenset({_S.RECORDED, _S.CREATED, _S.REVIEWED, _S.SIGNED})
# From which stages to which; None is where it was.
_MOVES: Final[Mapping[EventKind, tuple[frozenset[Stage], Stage | None]]] = MappingProxyType(
    {
        _E.ASKED: (frozenset({_S.RECORDED}), None),
        _E.BATCHED: (frozenset({_S.RECORDED}), _S.BATCHED),
        _E.UNBATCHED: (frozenset({_S.BATCHED}), _S.RECORDED),
        _E.CREATED: (frozenset({_S.RECORDED}), _S.CREATED),
        _E.REVIEWED: (frozenset({_S.CREATED}), _S.REVIEWED),
        _E.CONFIRMED: (UNPAID, None),
        _E.SIGNED: (frozenset({_S.REVIEWED}), _S.SIGNED),
        _E.HANDING_IN: (frozenset({_S.SIGNED}), _S.APPROVING),
        _E.APPROVED: (_OPEN - {_S.RECORDED, _S.BATCHED, _S.APPROVED}, _S.APPROVED),
        _E.REBUILT: (frozenset({_S.REVIEWED, _S.SIGNED, _S.APPROVING}), _S.CREATED),
        _E.SETTLED: (frozenset({_S.APPROVED, _S.BATCHED, _S.CONTRADICTED}), _S.SETTLED),
        _E.FAILED: (_OPEN | {_S.CONTRADICTED}, _S.FAILED),
        _E.CANCELLED: (UNPAID, _S.CANCELLED),
        _E.CONTRADICTED: (
            frozenset({_S.APPROVED, _S.BATCHED, _S.SETTLED, _S.FAILED}),
            _S.CONTRADICTED,
        ),
        _E.HELD: (_OPEN, None),
        _E.RELEASED: (_OPEN, None),
        _E.DELAYED: (_OPEN | {_S.CONTRADICTED}, None),
        _E.TURNED: (_OPEN | {_S.CONTRADICTED}, None),
    }
)
# What an event tells of, kept in the standing under the same name.
_KEPT: Final = frozenset(
    {"transaction", "message", "digest", "nonce", "sentence", "signature", "signed_by", "block"}
    | {"request_id", "receipt", "policy", "chain_transaction", "confirmed_by", "hash"}
)
# Kept for good from the moment a signature may have been handed in: the messages of all that were.
_HANDED_IN: Final = "handed_in"
# Told of a failure by whoever knows that no signature of it can be carried out any more.
UNDONE: Final = "undone"
# Why a transfer whose signature may be out is held until somebody knows more.
MAY_STILL_LAND: Final = "may_still_land"
ELSEWHERE: Final = "approved_elsewhere"
_REBUILDS: Final = "rebuilds"
_SIGNING: Final = ("message", "digest", "sentence", "signature", "request_id", "receipt", "hash")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, with what is told of it: JSON values."""

    kind: EventKind
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a transfer stands.

    `known` holds what events told: the Crossmint `transaction`, the `message` that waits and its `digest`, the
    `signature`, the `chain_transaction` and so on. `reason` and `code` say why it is held, delayed or over.
    `attempts` counts the delays in a row.
    """

    stage: Stage = Stage.RECORDED
    hold: Hold | None = None
    known: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    code: str | None = None
    attempts: int = 0
    retry_at: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing is done about it any more by itself."""
        return self.stage in FINAL

    @property
    def is_confirmed(self) -> bool:
        """Whether somebody said yes to it."""
        return "confirmed_by" in self.known

    @property
    def handed_in(self) -> tuple[str, ...]:
        """The messages whose signatures may have been handed in, the first one first."""
        return tuple(self.known.get(_HANDED_IN, ()))

    @property
    def rebuilds(self) -> int:
        """How often Crossmint has built its transaction anew since somebody looked at it."""
        return int(self.known.get(_REBUILDS, 0))

    @property
    def is_cancellable(self) -> bool:
        """Whether nobody can have been paid by it, now or later: no signature of it may have been handed in."""
        return self.stage in UNPAID and _HANDED_IN not in self.known


def after(standing: Standing, event: Event) -> Standing:
    """Return the standing once an event has happened.

    Raises:
        NotCancellable: its signature may have been handed in.
        TransferEnded: it is over.
        TransferError: such a thing cannot happen at this stage, or a failure is not proved whose signature may
            be out.
    """
    _require_move(standing, event)
    target = _MOVES[event.kind][1] or standing.stage
    known = dict(standing.known)
    if event.kind is EventKind.REBUILT:
        known = {name: value for name, value in known.items() if name not in _SIGNING}
        known[_REBUILDS] = standing.rebuilds + 1
    if event.kind is EventKind.RELEASED:
        known.pop(_REBUILDS, None)
    known |= {name: value for name, value in event.data.items() if name in _KEPT}
    if event.kind in {EventKind.HANDING_IN, EventKind.APPROVED}:
        known[_HANDED_IN] = _with(standing.handed_in, known.get("message"))
    reason, code = event.data.get("reason"), event.data.get("code")
    if event.kind is EventKind.HELD:
        hold = Hold(event.data["hold"])
        return Standing(target, hold, known, reason, code, standing.attempts)
    if event.kind is EventKind.DELAYED:
        retry_at = event.data.get("retry_at")
        return Standing(target, None, known, reason, code, standing.attempts + 1, retry_at)
    if event.kind in {EventKind.ASKED, EventKind.TURNED}:
        return replace(standing, stage=target, known=known)
    return Standing(target, None, known, reason, code)


def _with(messages: tuple[str, ...], message: Any) -> list[str]:
    return [*messages, *([message] if message is not None and message not in messages else [])]


def _require_move(standing: Standing, event: Event) -> None:
    kind = event.kind
    if kind not in _MOVES:
        raise TransferError(f"{kind} is how a transfer begins")
    if _may(standing, kind):
        if kind is EventKind.FAILED and _HANDED_IN in standing.known and not event.data.get(UNDONE):
            raise TransferError(
                "its signature may be out, so it has not failed until it is known that it cannot land any more"
            )
        return
    if kind is EventKind.CANCELLED and not standing.is_final:
        raise NotCancellable(
            "its approval was handed in, so it cannot be cancelled any more",
            hint="see how it ends: bursar transfer watch",
        )
    if standing.is_final:
        raise TransferEnded(
            f"the transfer is {standing.stage}: {standing.reason or 'it is over'}",
            hint="a new payment needs a new id",
        )
    raise TransferError(f"a transfer that is {standing.stage} cannot be {kind}")


def _may(standing: Standing, kind: EventKind) -> bool:
    if kind is EventKind.CANCELLED:
        return standing.is_cancellable
    return standing.stage in _MOVES[kind][0]


class Step(StrEnum):
    """What is done next about a transfer."""

    CREATE = "create"
    REVIEW = "review"
    SIGN = "sign"
    HAND_IN = "hand_in"
    LOOK = "look"
    SETTLE = "settle"
    CONFIRM = "confirm"
    STOP = "stop"


def next_step(standing: Standing) -> Step:
    """Return what is to be done next; STOP where it is over or held."""
    if standing.is_final or standing.hold is not None or standing.stage is Stage.BATCHED:
        return Step.STOP
    steps = {
        Stage.RECORDED: Step.CREATE,
        Stage.CREATED: Step.REVIEW,
        Stage.REVIEWED: Step.SIGN if standing.is_confirmed else Step.CONFIRM,
        Stage.SIGNED: Step.HAND_IN,
        Stage.APPROVING: Step.LOOK,
        Stage.APPROVED: Step.SETTLE,
    }
    return steps[standing.stage]
