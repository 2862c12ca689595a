"""What a driver is told to do: one JSON object a line, on its standard input, for it has keys in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final, Self

# How a driver ends that could not reach the journal: whoever sent it sends it again.
AWAY: Final = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """A run of a driver: what it works with, which transfers it drives, and where it is killed.

    `kill` is a point and its passing, as in `create:answered@1`, or `#7` for the seventh point of all. At `pause`,
    a point, it makes the file `paused` and goes on when that is gone. With
    `workers` it takes transfers from the queue, so many at once, until it is killed or all of them are over.
    `signatures` and `passed` are files that each signature, and each point, are noted in.
    """

    journal: str
    url: str
    api_key: str
    signing_key: str
    usdc: str
    factory: str
    treasury: str
    transfers: tuple[str, ...]
    signatures: str
    passed: str | None = None
    kill: str | None = None
    pause: str | None = None
    paused: str | None = None
    workers: int | None = None
    deadline: float = 400.0

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def of_line(cls, line: str) -> Self:
        told = json.loads(line)
        return cls(**told | {"transfers": tuple(told["transfers"])})
