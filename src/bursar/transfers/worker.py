"""A worker: drives the transfers of payouts, together with other workers at the same journal.

Any of them may be killed at any moment. What one that died had in hand the others take over; what is in nobody's
hand is handed out anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bursar.errors import BursarError
from bursar.transfers import consent, deployment, engine, feeding
from bursar.transfers.journal import Overtaken, moment, utc_now
from bursar.transfers.record import Transfer
from bursar.transfers.states import Event, EventKind, Stage
from bursar.transfers.workflow import Runner

# Seconds between rounds, and after which nothing written about a transfer makes it worth a look.
_ROUND: Final = 0.5
_STALLED: Final = 90.0
_SOME: Final = 100
# For each transfer that a worker may be at, so many wait in the engine's queue.
_AHEAD: Final = 3


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did: transfers handed out, taken over from the dead, begun anew. An error ends a round."""

    fed: int = 0
    taken_over: int = 0
    begun_anew: int = 0
    error: BursarError | None = None


class Worker:
    """Keeps the workflow engine fed for one treasury wallet, until it is stopped."""

    def __init__(self, runner: Runner, treasury: str, concurrency: int) -> None:
        self._runner, self._journal, self._treasury = runner, runner.journal, treasury
        self._ahead = concurrency * _AHEAD
        self._next_slow = 0.0

    def run(self, stop: threading.Event, report: Callable[[Round], None]) -> None:
        """Do rounds until `stop` is set. An error ends a round, never the worker: the next one tries again."""
        while not stop.is_set():
            report(self.round())
            stop.wait(_ROUND)

    def round(self) -> Round:
        """Hand out what is to be done, and now and then look for what nobody does."""
        fed = taken = anew = 0
        try:
            if time.monotonic() >= self._next_slow:
                self._next_slow = time.monotonic() + 10 * _ROUND
                taken = self._runner.take_over()
                anew = self._begin_anew()
                self._ask_again()
                with suppress(Overtaken):  # another worker is at it
                    engine.forget_ended()
            fed = self._feed()
        except BursarError as error:
            return Round(fed, taken, anew, error)
        return Round(fed, taken, anew)

    def _feed(self) -> int:
        room = self._room()
        if room <= 0:
            return 0
        found = feeding.hungry(self._journal, self._treasury, room)
        for transfer in found:
            self._runner.enqueue(transfer)
        return len(found)

    def _room(self) -> int:
        # Until the wallet is there, all but one would only wait for that one.
        most = self._ahead if deployment.is_known(self._journal, self._treasury) else 1
        # By what nobody has taken yet: what others have in hand keeps no worker from its own.
        return min(most, self._ahead - engine.queued(self._treasury, self._ahead))

    def _begin_anew(self) -> int:
        """Begin the work anew on what the engine has dropped, or never got."""
        before = moment(utc_now() - timedelta(seconds=_STALLED))
        found = feeding.stalled(self._journal, self._treasury, before, _SOME)
        idle = [each for each in found if not self._runner.is_driven(each)]
        for each in idle:
            self._turn(each)
        return len(idle)

    def _turn(self, transfer: Transfer) -> None:
        with suppress(Overtaken):
            turned = self._journal.append(transfer, Event(EventKind.TURNED))
            if turned.place is None:
                self._runner.enqueue(turned)
            elif turned.standing.stage is not Stage.RECORDED:
                # What has a transaction comes to its end, though its payout stands still: as what is due does.
                feeding.put_off(self._journal, turned, 0.0)

    def _ask_again(self) -> None:
        """Have the signer asked again about what waits for consent, held as it is."""
        before = moment(utc_now() - timedelta(seconds=consent.FIRST))
        for each in feeding.awaiting_consent(self._journal, self._treasury, before, _SOME):
            with suppress(Overtaken):
                # Put off for as long as an answer may take: then another worker asks.
                self._runner.enqueue(feeding.put_off(self._journal, each, consent.FIRST))
