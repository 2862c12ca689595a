"""What a run is asked for, and what a worker of it is told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

WRITES, READS = 120, 360
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run: how many lines and workers, where it is written down, what goes wrong, how much faster time passes.

    `errors` is the share of calls that go wrong, `kill_every` the mean of the seconds between kills (0: none).
    With `kills` that many are made and no more. `spoilt` is the line whose amount the wallet does not have.
    `least` is the share of the writes that is to be used while there is enough to do, but for one a kill.
    """

    lines: int = 1000
    workers: int = 3
    store: str = "sqlite"
    batch: int = 1
    kind: str = "regulated"
    errors: float = 0.05
    scale: float = 10.0
    kill_every: float = 3.0
    kills: int | None = None
    seed: int = 1
    concurrency: int = 16
    seconds: float = 600.0
    spoilt: int | None = None
    least: float = 0.95

    @property
    def window(self) -> float:
        """The length of Crossmint's minute, in seconds."""
        return MINUTE / self.scale


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told, on its standard input: there are secrets in it. `signatures` is a file."""

    journal: str
    crossmint: str
    api_key: str
    private_key: str
    wallet: str
    address: str
    contract: str
    factory: str
    signatures: str
    window: float
    concurrency: int

    @classmethod
    def read(cls, text: str) -> Self:
        return cls(**json.loads(text))

    def text(self) -> str:
        return json.dumps(asdict(self))
