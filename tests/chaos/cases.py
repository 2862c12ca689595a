"""Where a transfer is killed: every point that one passes on its way, alone and after trouble at Crossmint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_STEPS: Final = ("create", "review", "sign", "hand_in", "settle")
_WRITTEN: Final = (
    "asked",
    "created",
    "reviewed",
    "signed",
    "handing_in",
    "approved",
    "settled",
)
_BETWEEN: Final = (
    "create:answered",
    "sign:answered",
    "hand_in:marked",
    "hand_in:answered",
    "settle:seen",
)
_HTTP: Final = ("create", "approve", "get")
# Up to here the workflow engine writes for a transfer; afterwards it mostly looks.
_ENGINE: Final = 28
# The signature is made, and nobody knows.
_UNNOTICED: Final = frozenset({"signer:after", "sign:answered", "commit:signed:before"})
_TROUBLE: Final = {"error_before": 502, "error_after": 502, "drop_before": 0, "drop_after": 0}


@dataclass(frozen=True, slots=True)
class Fault:
    """Trouble that the stand-in makes at the next call of an operation."""

    operation: str
    kind: str

    def __str__(self) -> str:
        return f"{self.operation.partition('.')[2]} {self.kind}"

    @property
    def details(self) -> dict[str, Any]:
        if self.kind == "slow":
            return {"seconds": 0.5}
        return {"status": _TROUBLE[self.kind]} if _TROUBLE[self.kind] else {}


@dataclass(frozen=True, slots=True)
class Case:
    """A transfer that is killed at each of some points in turn, each time by another process."""

    kills: tuple[str, ...]
    fault: Fault | None = None

    def __str__(self) -> str:
        return ", then ".join(self.kills)

    def most_signatures(self, resumed_by: int) -> int:
        """How many signatures it may take, all over one digest: one for each who cannot know of another's.

        That is whoever signs at last, whoever died between signing and writing it down, and of several who resume
        it all but one: a process that is silent for long is taken for dead, while it may be signing.
        """
        names = [kill.partition("@")[0] for kill in self.kills]
        unnoticed = sum(name in _UNNOTICED or name.startswith("engine") for name in names)
        return 1 + unnoticed + (resumed_by - 1)


def own_points() -> list[str]:
    """Return every point of ours that a transfer passes on its way, but for those that take two processes."""
    steps = [f"{step}:begin" for step in _STEPS]
    written = [f"{kind}:written" for kind in _WRITTEN]
    http = [f"http:{name}:{when}" for name in _HTTP for when in ("sent", "answered", "read")]
    commits = [
        f"commit:{what}:{when}"
        for what in ("workers", "transfers", *_WRITTEN)
        for when in ("before", "after")
    ]
    return [*steps, *written, *_BETWEEN, *http, "signer:before", "signer:after", *commits]


def plain() -> list[Case]:
    """Return a case for each point, and for some that are passed only on the way back."""
    twice = [
        ("hand_in:marked", "look:begin"),
        ("hand_in:marked", "hand_in:marked", "http:approve:sent"),
        ("http:approve:read", "http:get:sent", "http:get:read"),
        ("create:begin", "commit:turned:before", "commit:turned:after"),
        ("create:answered", "create:answered", "create:answered"),
        ("sign:answered", "signer:after", "commit:signed:before"),
    ]
    return [Case((point,)) for point in own_points()] + [Case(kills) for kills in twice]


def engine(step: int = 1) -> list[Case]:
    """Return a case before and after every `step`-th commit of the workflow engine."""
    return [
        Case((f"engine:{when}@{number}",))
        for number in range(1, _ENGINE + 1, step)
        for when in ("before", "after")
    ]


def first_of_its_wallet() -> list[Case]:
    """Return the cases of a transfer that puts its wallet on the chain."""
    points = ["commit:wallets:before", "commit:wallets:after", "create:answered"]
    points += ["http:approve:sent", "http:approve:read", "settle:seen"]
    return [Case((point,)) for point in points]


def troubled(*, fully: bool = True) -> list[Case]:
    """Return the cases in which Crossmint's answer fails and the transfer is killed as well."""
    return [
        Case((point,), Fault(operation, kind))
        for operation, kind, point in _troubles()
        if fully or not point.startswith(("commit:delayed:before", "create:answered"))
    ]


def _troubles() -> Iterator[tuple[str, str, str]]:
    for kind in (*_TROUBLE, "slow"):
        happened = kind.endswith("after")
        delayed = () if kind == "slow" else ("commit:delayed:before", "commit:delayed:after")
        # A connection that breaks at once may do so before everything is sent.
        sent = () if kind == "drop_before" else ("sent",)
        looked = () if kind == "slow" else ("look:begin",)
        end = "commit:approved:before" if happened else "hand_in:answered"
        for point in (*(f"http:create:{each}" for each in sent), *delayed, "create:answered"):
            yield "transfers.create", kind, point
        for point in (*(f"http:approve:{each}" for each in sent), *delayed, *looked, end):
            yield "transactions.approve", kind, point
