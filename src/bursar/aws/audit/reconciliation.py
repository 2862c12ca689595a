"""CloudTrail's events against our records: matched, missing, foreign. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bursar.aws.audit.records import Record
from bursar.aws.audit.trail import SignEvent
from bursar.aws.audit.window import Window

# CloudTrail delivers within about 5 minutes on average, with no time guaranteed (user guide, "Getting and viewing
# your CloudTrail log files"); until 2023 the guide said 15 minutes, which leaves some room.
DELIVERY = timedelta(minutes=15)
# CloudTrail's times are cut to the second, and two clocks differ.
_SLACK = timedelta(seconds=5)
# The client's own limit of one call, for records that do not say how long theirs took.
_LONGEST_CALL = 10.0


@dataclass(frozen=True, slots=True)
class Foreign:
    """A signature that nothing of ours accounts for, and why."""

    event: SignEvent
    reason: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What became of each event and each record.

    `matched`: CloudTrail and we agree. `retried`: attempts of a recorded call whose answer was lost. `early`:
    records so young that CloudTrail may not have them yet. `missing`: records of signatures that CloudTrail does
    not know. `foreign`: signatures in CloudTrail that are not ours. `refused`: attempts that KMS turned down.
    """

    matched: tuple[SignEvent, ...]
    retried: tuple[SignEvent, ...]
    early: tuple[Record, ...]
    missing: tuple[Record, ...]
    foreign: tuple[Foreign, ...]
    refused: tuple[SignEvent, ...]


def reconcile(
    events: Iterable[SignEvent], records: Iterable[Record], window: Window
) -> Reconciliation:
    """Return what of the window is accounted for. Events that CloudTrail delivered twice count once."""
    ours = list(records)
    every = sorted({event.event_id: event for event in events}.values(), key=lambda each: each.at)
    made = [event for event in every if not event.error_code]
    matched, foreign, loose = _match(made, ours)
    retried = _retried(loose, ours, {event.request_id: event for event in matched})
    foreign += [
        Foreign(event, _why(event, ours)) for event in loose if event.event_id not in retried
    ]
    lost = _lost(ours, {event.request_id for event in made}, window)
    early = {id(record) for record in lost if _is_early(record, window.now)}
    return Reconciliation(
        matched=tuple(event for event in matched if window.holds(event.at)),
        retried=tuple(e for e in loose if e.event_id in retried and window.holds(e.at)),
        early=tuple(record for record in lost if id(record) in early),
        missing=tuple(record for record in lost if id(record) not in early),
        foreign=tuple(each for each in foreign if window.holds(each.event.at)),
        refused=tuple(event for event in every if event.error_code and window.holds(event.at)),
    )


def _match(
    made: Sequence[SignEvent], ours: Sequence[Record]
) -> tuple[list[SignEvent], list[Foreign], list[SignEvent]]:
    known: defaultdict[str, list[Record]] = defaultdict(list)
    for record in ours:
        if record.request_id:
            known[record.request_id].append(record)
    matched, foreign, loose = [], [], []
    for event in made:
        records = known.get(event.request_id, [])
        if not records:
            loose.append(event)
        elif any(_could_be(event, record) for record in records):
            matched.append(event)
        else:
            foreign.append(
                Foreign(event, "our record has its id, but another principal asked for it")
            )
    return matched, foreign, loose


def _could_be(event: SignEvent, record: Record) -> bool:
    return record.principal in ("", event.issuer, event.identity)


def _retried(
    loose: Sequence[SignEvent], ours: Sequence[Record], matched: dict[str, SignEvent]
) -> set[str]:
    """Return the ids of events that lost answers explain: at most as many for each call as it lost."""
    explained: set[str] = set()
    for record in ours:
        answered = matched.get(record.request_id) if record.request_id else None
        candidates = [
            event.event_id
            for event in loose
            if record.unanswered
            and event.event_id not in explained
            and _is_attempt(event, record, answered)
        ]
        explained.update(candidates[: record.unanswered])
    return explained


def _is_attempt(event: SignEvent, record: Record, answered: SignEvent | None) -> bool:
    """Tell whether this can be another attempt of the recorded call: the same session, while the call lasted."""
    if answered is not None:
        if event.session != answered.session:
            return False
    elif not record.principal or not _could_be(event, record):
        return False  # nothing says whose attempt it would have been
    end = record.at or (answered.at if answered else None)
    if end is None:
        return False
    begin = end - timedelta(seconds=record.seconds or _LONGEST_CALL)
    return begin - _SLACK <= event.at <= end + _SLACK


def _why(event: SignEvent, ours: Sequence[Record]) -> str:
    roles = {record.principal for record in ours if record.principal}
    if event.issuer in roles:
        return "by the function's own role, which has no record of it"
    return "no record of it"


def _lost(ours: Sequence[Record], seen: set[str], window: Window) -> list[Record]:
    found = {
        record.request_id: record
        for record in reversed(ours)
        if record.signed
        and record.request_id not in seen
        and (record.at is None or window.holds(record.at))
    }
    return sorted(found.values(), key=lambda record: record.at or window.since)


def _is_early(record: Record, now: datetime) -> bool:
    return record.at is not None and now - record.at < DELIVERY
