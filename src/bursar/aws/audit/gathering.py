"""Where an audit's two sides come from: CloudTrail and CloudWatch Logs.

CloudTrail's event history holds 90 days of one Region, and nobody can switch it off. A trail's log group may hold
more and all Regions, from when the trail was made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bursar.aws.audit.records import Record, read_line
from bursar.aws.audit.trail import AuditedKey, SignEvent, read_event
from bursar.aws.audit.window import Window
from bursar.aws.cloud import Cloud, aws_errors

Tell = Callable[[str], None]

# CloudTrail API reference, LookupEvents: the last 90 days, 50 events an answer, two requests a second, account
# and Region.
_HISTORY = timedelta(days=90)
_PAGE = 50
_SIGN_EVENTS = '{ ($.eventSource = "kms.amazonaws.com") && ($.eventName = "Sign") }'
_SIGN_LINES = '{ $.event = "sign" }'


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two requests, so that their quotas hold; for `logs` that is 5 a second at the lowest."""

    history: float = 0.55
    logs: float = 0.2
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Source:
    """One way to what happened, and what of the window it cannot show."""

    events: tuple[SignEvent, ...] = ()
    records: tuple[Record, ...] = ()
    gaps: tuple[str, ...] = ()


class Gathering:
    """Reads both sides of one window. `tell` is told how far it has come; `elsewhere` opens another Region."""

    def __init__(
        self,
        cloud: Cloud,
        window: Window,
        tell: Tell,
        pace: Pace | None = None,
        elsewhere: Callable[[str], Cloud] = Cloud,
    ) -> None:
        self._cloud = cloud
        self._elsewhere = elsewhere
        self._window = window
        self._tell = tell
        self._pace = pace or Pace()

    def history(self, key: AuditedKey) -> Source:
        """Return the key's events in CloudTrail's event history. It costs `cloudtrail:LookupEvents`.

        An answer holds 50 events of every key in the Region, and AWS allows two requests a second. A multi-Region
        key signs wherever it has a replica: those Regions are asked too, which costs `kms:DescribeKey`.

        Raises:
            AwsError: AWS refused or could not be reached, or gave an event that cannot be read.
        """
        regions = self._regions(key)
        sources = [self._history_in(region, key) for region in regions]
        events = tuple(event for source in sources for event in source.events)
        gaps = [gap for source in sources for gap in source.gaps]
        oldest = self._window.now - _HISTORY
        if self._window.since < oldest:
            gaps.append(
                f"CloudTrail's event history begins on {oldest:%Y-%m-%d}, 90 days ago; "
                "a trail's log group may hold more"
            )
        return Source(events=events, gaps=tuple(gaps))

    def trail(self, group: str, key: AuditedKey) -> Source:
        """Return the key's events in a trail's log group.

        It costs `logs:FilterLogEvents` and `logs:DescribeLogGroups`.

        Raises:
            AwsError: AWS refused or could not be reached, or gave an event that cannot be read.
        """
        found = self._log_group(group)
        if found is None:
            return Source(gaps=(f"there is no log group {group}, so no events",))
        events = [
            event
            for line in self._lines(group, _SIGN_EVENTS)
            if (event := read_event(line["message"], key))
        ]
        gaps = [*self._kept(group, found)]
        began = _moment(found["creationTime"])
        if began > self._window.since:
            gaps.append(f"the trail's log group {group} begins on {began:%Y-%m-%d %H:%M} UTC only")
        return Source(events=tuple(events), gaps=tuple(gaps))

    def records(self, group: str, principal: str) -> Source:
        """Return the signing function's own records. It costs `logs:FilterLogEvents`, `logs:DescribeLogGroups`.

        `principal` is the function's role, empty where it is not known.

        Raises:
            AwsError: AWS refused or could not be reached.
        """
        found = self._log_group(group)
        if found is None:
            return Source(gaps=(f"there is no log group {group}, so no records",))
        records = [
            record
            for line in self._lines(group, _SIGN_LINES)
            if (record := read_line(line["message"], _moment(line["timestamp"]), group, principal))
        ]
        return Source(records=tuple(records), gaps=self._kept(group, found))

    def _regions(self, key: AuditedKey) -> list[str]:
        """Return the Regions that the key can sign in, its own first."""
        here = key.arn.split(":")[3]
        if not key.id.startswith("mrk-"):
            return [here]
        with aws_errors():
            found: Any = self._cloud.kms.describe_key(KeyId=key.arn)["KeyMetadata"]
        shape = found.get("MultiRegionConfiguration", {})
        relatives = [shape.get("PrimaryKey", {}), *shape.get("ReplicaKeys", [])]
        return list(dict.fromkeys([here, *(each["Region"] for each in relatives if each)]))

    def _history_in(self, region: str, key: AuditedKey) -> Source:
        cloud = self._cloud if region == self._cloud.region else self._elsewhere(region)
        events: list[SignEvent] = []
        count = 0
        for count, text in enumerate(self._history_texts(cloud.client("cloudtrail")), 1):
            if event := read_event(text, key):
                events.append(event)
            if count % _PAGE == 0:
                self._tell(f"CloudTrail, {region}: {count} events read, {len(events)} of this key")
        gaps: tuple[str, ...] = ()
        if cloud.emulated and count >= _PAGE:
            gaps = (f"the emulator shows its latest {_PAGE} signatures only, of all keys",)
        return Source(events=tuple(events), gaps=gaps)

    def _history_texts(self, client: Any) -> Iterator[str]:
        begin, end = self._window.wide
        asked: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "Sign"}],
            "StartTime": begin,
            "EndTime": end,
            "MaxResults": _PAGE,
        }
        while True:
            with aws_errors():
                answer = client.lookup_events(**asked)
            yield from (event["CloudTrailEvent"] for event in answer["Events"])
            if not answer.get("NextToken"):
                return
            asked["NextToken"] = answer["NextToken"]
            self._pace.sleep(self._pace.history)

    def _lines(self, group: str, pattern: str) -> Iterator[dict[str, Any]]:
        begin, end = self._window.wide
        asked: dict[str, Any] = {
            "logGroupName": group,
            "startTime": _milliseconds(begin),
            "endTime": _milliseconds(end),
            "filterPattern": pattern,
        }
        client, count = self._cloud.client("logs"), 0
        while True:
            with aws_errors():
                answer = client.filter_log_events(**asked)
            yield from answer["events"]
            count += len(answer["events"])
            # A page may be empty and yet not the last one.
            if not answer.get("nextToken"):
                return
            self._tell(f"{group}: {count} lines read")
            asked["nextToken"] = answer["nextToken"]
            self._pace.sleep(self._pace.logs)

    def _log_group(self, name: str) -> dict[str, Any] | None:
        client = self._cloud.client("logs")
        asked: dict[str, Any] = {"logGroupNamePrefix": name}
        while True:
            with aws_errors():
                answer = client.describe_log_groups(**asked)
            for group in answer["logGroups"]:
                if group["logGroupName"] == name:
                    found: dict[str, Any] = group
                    return found
            if not answer.get("nextToken"):
                return None
            asked["nextToken"] = answer["nextToken"]

    def _kept(self, name: str, group: dict[str, Any]) -> tuple[str, ...]:
        days = group.get("retentionInDays")
        if days is None or self._window.now - timedelta(days=days) <= self._window.since:
            return ()
        return (f"the log group {name} keeps {days} days, and the window begins before that",)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
