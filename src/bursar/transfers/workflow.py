"""Transfers as durable workflows on dbos: the journal says what is true, dbos sees to it that somebody goes on.

A workflow is one turn of one transfer: it takes steps at the desk until the transfer is over or held. What a step
did is in the journal, so a workflow that is begun again, here or elsewhere, goes on where the journal says. Its
shape is all that dbos remembers, and is the same in every release that has the same `WORKFLOW_VERSION`.
Source: the dbos documentation on workflows, queues and application versions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from bursar.errors import BursarError, JournalError, JournalUnavailable
from bursar.sql.faults import spoken_of
from bursar.transfers import feeding
from bursar.transfers.crew import Crew, Member
from bursar.transfers.desk import Desk, Next
from bursar.transfers.engine import (
    ENGINE,
    WORKFLOW,
    WORKFLOW_VERSION,
    engine_url,
    forget_ended,
    queue_of,
)
from bursar.transfers.journal import Overtaken
from bursar.transfers.record import Key, Lane, Transfer
from bursar.transfers.states import Event, EventKind, Hold, Stage, Step, next_step

if TYPE_CHECKING:
    from dbos import DBOSConfig

# The topic under which a sleeping workflow is told to look now.
LOOK_NOW: Final = "look"
_NAME: Final = "bursar"
# Seconds until a step is taken again where the journal could not be reached.
_AWAY: Final = 2.0
# Seconds for the steps in hand to end when the process is told to stop: one call of Crossmint, or of the signer.
_DRAIN: Final = 45.0
_POLL: Final = 0.2
# Seconds for which a line of a payout keeps its place with a worker; one that waits for longer is put off.
_LONGEST_NAP: Final = 3.0

Advance = Callable[[str, str, int], float | None]


def workflow_id(transfer: Transfer) -> str:
    """Return what dbos calls this turn of a transfer."""
    return _turn_id(transfer.key, transfer.turn)


def _turn_id(key: Key, turn: int) -> str:
    return f"{key.treasury}:{key.id}:{turn}"


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker takes from the queue: one treasury wallet's transfers, so many at once."""

    treasury: str
    concurrency: int = 16


class Stopped(BaseException):
    """This process is stopping. No error of the turn's: the engine must neither keep nor count it as one."""


class Runner:
    """Drives transfers in this process, from entering to leaving it. There can be one in a process.

    With `work` it takes transfers from the queue as well, as workers do.
    """

    def __init__(self, desk: Desk, work: Work | None = None) -> None:
        self.desk, self.journal = desk, desk.journal
        self._work = work
        self.crew = Crew(self.journal, works=work is not None)
        self._drive: Any = None
        # The turns that a thread of this process is at, or will be: dbos takes one for running that broke off.
        self._turns: set[str] = set()
        self._is_stopping = False

    def __enter__(self) -> Self:
        """Start dbos, which makes its own tables the first time.

        Raises:
            JournalError: the journal, or dbos' own tables, cannot be written.
        """
        self.crew.start()
        try:
            self._launch()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Let the steps in hand come to their end, begin no other, and leave the rest to whoever drives next."""
        from dbos import DBOS

        self._is_stopping = True
        self._drain()
        DBOS.destroy(destroy_registry=True)
        self.crew.stop(is_idle=not self._turns)

    def _launch(self) -> None:
        from dbos import DBOS

        work = self._work
        try:
            DBOS(config=self._config())
            self._drive = _workflow(self._advance, self._taking)
            DBOS.listen_queues([queue_of(work.treasury)] if work else [])
            DBOS.launch()
        except BursarError:
            raise
        except Exception as error:  # noqa: BLE001  its own kinds, SQLAlchemy's and the drivers'
            raise JournalUnavailable(
                f"the workflow engine could not start ({type(error).__name__})",
                hint="it keeps its own tables beside the journal: check the database and its rights",
            ) from None
        if work:
            DBOS.register_queue(
                queue_of(work.treasury),
                worker_concurrency=work.concurrency,
                polling_interval_sec=_POLL,
            )

    def _config(self) -> DBOSConfig:
        from bursar.transfers.engine_values import JsonValues, refuse_pickles

        refuse_pickles()
        return {
            "name": _NAME,
            "system_database_url": engine_url(self.journal.engine.url),
            "application_version": WORKFLOW_VERSION,
            "executor_id": self.crew.id,
            "max_executor_threads": 8 + 2 * (self._work.concurrency if self._work else 1),
            "log_level": "CRITICAL",
            "serializer": JsonValues(),
            "notification_listener_polling_interval_sec": _POLL,
        }

    def _drain(self) -> None:
        # Their client is closed next: a step that went on without it would be taken for a fault.
        end = time.monotonic() + _DRAIN
        woken: set[str] = set()
        while self._turns and time.monotonic() < end:
            for turn in self._turns - woken:
                woken.add(turn)
                with suppress(Exception):  # whoever is not woken comes by itself, later
                    self._wake(turn)
            time.sleep(0.02)

    @contextmanager
    def _taking(self, turn: str) -> Iterator[None]:
        self._turns.add(turn)
        try:
            yield
        finally:
            self._turns.discard(turn)

    def _advance(self, treasury: str, transfer_id: str, turn: int) -> float | None:
        if self._is_stopping:
            raise Stopped
        key = Key(treasury, transfer_id)
        try:
            return self._nap(self.desk.advance(key, turn))
        except (Overtaken, JournalUnavailable):
            return _AWAY
        except BursarError as error:
            return self._give_up(key, turn, error.code, error.message)
        except Exception as error:  # noqa: BLE001  whatever it is must not be taken for done
            fault = f"a fault in bursar: {type(error).__name__}"
            return self._give_up(key, turn, "unexpected", fault)

    def _nap(self, found: Next) -> float | None:
        """Return for how long to wait here; None where it is over, held, or put off so that others go on."""
        transfer, wait = found.transfer, found.wait
        if wait is None or wait <= _LONGEST_NAP or self._work is None:
            return wait
        # A transfer of its own was taken from the queue by a worker that goes on with it, unless it is held.
        if transfer.place is None and transfer.standing.hold is None:
            return wait
        feeding.put_off(self.journal, transfer, wait)
        return None

    def _give_up(self, key: Key, turn: int, code: str, reason: str) -> float | None:
        told = {"hold": Hold.TROUBLE.value, "code": code, "reason": reason}
        try:
            transfer = self.journal.get(key)
            if transfer.turn == turn and next_step(transfer.standing) is not Step.STOP:
                self.journal.append(transfer, Event(EventKind.HELD, told))
        except JournalError:
            return _AWAY
        except BursarError:
            return None
        return None

    def start(self, key: Key) -> Transfer:
        """Begin to drive a transfer in this process, unless a process that is alive does; return it.

        Raises:
            UnknownTransfer: the journal has none. JournalError: it could not be read or written.
        """
        while True:
            try:
                return self._start(key)
            except Overtaken:
                continue  # somebody else began it, or went on with it: look again

    def _start(self, key: Key) -> Transfer:
        from dbos import DBOS, SetWorkflowID

        transfer = self.journal.get(key)
        if next_step(transfer.standing) is Step.STOP:
            return transfer
        # Looked up once: a turn that another process begins meanwhile is joined, not begun anew.
        status = self._known(transfer)
        if self._is_in_hand(status):
            return transfer
        if status is not None:
            try:
                transfer = self.journal.append(transfer, Event(EventKind.TURNED))
            except Overtaken:
                return self.journal.get(key)  # somebody is at it after all
        named = workflow_id(transfer)
        self._turns.add(named)
        try:
            with SetWorkflowID(named), spoken_of(ENGINE):
                DBOS.start_workflow(self._drive, key.treasury, key.id, transfer.turn)
        except BaseException:
            self._turns.discard(named)
            raise
        self.journal.mark_fed(transfer)
        return transfer

    def run(
        self,
        key: Key,
        report: Callable[[Transfer], None] = lambda _transfer: None,
        deadline: float | None = None,
    ) -> Transfer:
        """Drive a transfer until it is over or held, or for so many seconds, and return it. It goes on meanwhile.

        `report` is told of each change. Where another process drives it, this one looks on. Once it began, it
        outlasts a journal that is away.

        Raises:
            UnknownTransfer: the journal has none. JournalError: it could not be begun.
        """
        end = None if deadline is None else time.monotonic() + deadline
        seen = -1
        transfer = self.start(key)
        while True:
            if transfer.version != seen:
                report(transfer)
                seen = transfer.version
            if next_step(transfer.standing) is Step.STOP:
                with suppress(JournalError):
                    forget_ended()
                return transfer
            if end is not None and time.monotonic() >= end:
                return transfer
            time.sleep(_POLL / 2)
            try:
                transfer = self._current(key)
            except JournalUnavailable:
                time.sleep(_AWAY)

    def _current(self, key: Key) -> Transfer:
        transfer = self.journal.get(key)
        return transfer if self.is_driven(transfer) else self.start(key)

    def enqueue(self, transfer: Transfer) -> None:
        """Hand a transfer's turn to whichever worker is free. Doing it twice is doing it once."""
        from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

        with (
            SetWorkflowID(workflow_id(transfer)),
            SetEnqueueOptions(priority=_priority(transfer)),
            spoken_of(ENGINE),
        ):
            DBOS.enqueue_workflow(
                queue_of(transfer.key.treasury),
                self._drive,
                transfer.key.treasury,
                transfer.key.id,
                transfer.turn,
            )
        self.journal.mark_fed(transfer)

    def is_driven(self, transfer: Transfer) -> bool:
        """Tell whether a process that is alive has this turn of a transfer in hand, or in its queue."""
        return self._is_in_hand(self._known(transfer))

    def _is_in_hand(self, status: Any) -> bool:
        if status is None or status.status not in {"PENDING", "ENQUEUED", "DELAYED"}:
            return False
        if status.status == "PENDING" and status.executor_id == self.crew.id:
            return status.workflow_id in self._turns
        if status.status == "PENDING":
            return status.executor_id in self.crew.alive()
        return any(member.works for member in self.crew.members() if member.is_alive)

    def take_over(self) -> int:
        """Have the workers go on with what processes that died had in hand; return how much that was.

        Of a process that is only silent nothing is taken before this one has been heard for as long.

        Raises:
            JournalError: it could not be read who is alive.
        """
        from dbos import DBOS

        if self._work is None:
            return 0
        members = {member.id: member for member in self.crew.members()}
        mine = f"{self._work.treasury}:"
        with spoken_of(ENGINE):
            held = DBOS.list_workflows(
                status="PENDING", workflow_id_prefix=mine, load_input=False, load_output=False
            )
            orphans = [each for each in held if self._is_dead(members.get(each.executor_id or ""))]
            for each in orphans:
                DBOS.resume_workflow(each.workflow_id, queue_name=queue_of(self._work.treasury))
        return len(orphans)

    def _is_dead(self, member: Member | None) -> bool:
        if member is not None and member.is_gone:
            return True
        return self.crew.may_judge and (member is None or not member.is_alive)

    def hurry(self, transfer: Transfer) -> None:
        """Have whoever waits for this transfer to settle look now. It only looks: nothing is taken for true."""
        from dbos._error import DBOSNonExistentWorkflowError

        try:
            with spoken_of(ENGINE):
                self._wake(workflow_id(transfer))
        except DBOSNonExistentWorkflowError:
            self._hurry_put_off(transfer)

    def _hurry_put_off(self, transfer: Transfer) -> None:
        standing = transfer.standing
        waits = standing.stage is Stage.APPROVED and standing.retry_at is not None
        if waits and transfer.place is not None:
            with suppress(Overtaken):
                feeding.put_off(self.journal, transfer, 0.0)

    @staticmethod
    def _wake(turn: str) -> None:
        from dbos import DBOS

        DBOS.send(turn, True, topic=LOOK_NOW)

    def _known(self, transfer: Transfer) -> Any:
        from dbos import DBOS

        with spoken_of(ENGINE):
            return DBOS.get_workflow_status(workflow_id(transfer))


def _workflow(advance: Advance, taking: Callable[[str], AbstractContextManager[None]]) -> Any:
    """Return the workflow of one turn, as dbos knows it. What may change about its steps needs another version."""
    from dbos import DBOS

    @DBOS.step(name="advance")
    def take_step(treasury: str, transfer_id: str, turn: int) -> float | None:
        return advance(treasury, transfer_id, turn)

    @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=1_000_000)
    def drive(treasury: str, transfer_id: str, turn: int) -> None:
        with taking(_turn_id(Key(treasury, transfer_id), turn)):
            while (wait := take_step(treasury, transfer_id, turn)) is not None:
                if wait > 0:
                    DBOS.recv(LOOK_NOW, timeout_seconds=wait)

    return drive


def _priority(transfer: Transfer) -> int:
    # What was begun goes ahead of a whole queue of what was not: it may need one look to be over.
    ahead = transfer.lane is Lane.PAYOUT and transfer.standing.stage is not Stage.RECORDED
    return int(transfer.lane) - ahead
