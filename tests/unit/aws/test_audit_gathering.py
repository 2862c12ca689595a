"""Both sides of an audit as AWS hands them over: in pages, at a pace, for as long as they are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from bursar.aws.audit import Subject, audit, subject_of_stack
from bursar.aws.audit.gathering import Gathering, Pace
from bursar.aws.audit.records import Record
from bursar.aws.audit.trail import AuditedKey
from bursar.aws.audit.window import Window
from bursar.aws.cloud import Cloud
from bursar.errors import AwsAccessDenied, AwsError, ConfigError, StackError

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
ARN = "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321"
ROLE = "arn:aws:iam::111122223333:role/treasury-signer"
KEY = AuditedKey(ARN)
GROUP = "/aws/lambda/treasury-signer"
AT = NOW - timedelta(hours=1)


def window(**since: float) -> Window:
    return Window(NOW - timedelta(**(since or {"hours": 24})), NOW, NOW)


def event(request_id: str, key: str = ARN, issuer: str = ROLE) -> str:
    fields = {
        "eventID": f"event {request_id}",
        "eventTime": f"{AT:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "kms.amazonaws.com",
        "eventName": "Sign",
        "requestID": request_id,
        "resources": [{"ARN": key}],
        "userIdentity": {
            "arn": "someone",
            "type": "AssumedRole",
            "sessionContext": {"sessionIssuer": {"arn": issuer}},
        },
    }
    return json.dumps(fields)


def line(request_id: str) -> str:
    return json.dumps({"event": "sign", "code": "ok", "kmsRequestId": request_id})


@dataclass
class FakeAws:
    """CloudTrail and CloudWatch Logs, whose answers are pages of texts."""

    history: list[list[str]] = field(default_factory=lambda: [[]])
    logs: dict[str, list[list[str]]] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    began: datetime = NOW - timedelta(days=1000)
    denied: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    emulated: bool = False
    region: str = "us-east-1"
    relatives: dict[str, Any] = field(default_factory=dict)
    others: dict[str, FakeAws] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    def client(self, _service: str) -> Any:
        return self

    def lookup_events(self, **asked: Any) -> Any:
        if self.denied:
            error = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
            raise ClientError(cast("Any", error), "LookupEvents")
        self.asked.append(dict(asked))
        page, more = self._page(self.history, asked.get("NextToken"))
        events = [{"CloudTrailEvent": text} for text in page]
        return {"Events": events, **({"NextToken": more} if more else {})}

    def describe_log_groups(self, **asked: Any) -> Any:
        names = [name for name in self.logs if name.startswith(asked["logGroupNamePrefix"])]
        if "nextToken" not in asked:
            return {
                "logGroups": [{"logGroupName": asked["logGroupNamePrefix"] + "-2"}],
                "nextToken": "2",
            }
        created = int(self.began.timestamp() * 1000)
        groups = [
            {"logGroupName": name, "creationTime": created, **self.kept.get(name, {})}
            for name in names
        ]
        return {"logGroups": groups}

    def filter_log_events(self, **asked: Any) -> Any:
        self.asked.append(dict(asked))
        page, more = self._page(self.logs[asked["logGroupName"]], asked.get("nextToken"))
        stamp = int(AT.timestamp() * 1000)
        events = [{"message": text, "timestamp": stamp} for text in page]
        return {"events": events, **({"nextToken": more} if more else {})}

    @property
    def kms(self) -> Any:
        metadata = {"MultiRegionConfiguration": self.relatives}
        return SimpleNamespace(describe_key=lambda **_: {"KeyMetadata": metadata})

    @property
    def cloudformation(self) -> Any:
        stack = {
            "StackName": "treasury",
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in self.outputs.items()],
        }
        return SimpleNamespace(describe_stacks=lambda **_: {"Stacks": [stack]})

    def _page(self, pages: list[list[str]], token: str | None) -> tuple[list[str], str | None]:
        number = int(token or 0)
        return pages[number], str(number + 1) if number + 1 < len(pages) else None

    @property
    def cloud(self) -> Cloud:
        return cast("Cloud", self)

    def gathering(self, over: Window | None = None) -> Gathering:
        pace = Pace(sleep=self.slept.append)
        return Gathering(
            self.cloud,
            over or window(),
            self.told.append,
            pace,
            lambda region: self.others[region].cloud,
        )


def test_the_event_history_is_read_to_its_end_at_two_requests_a_second() -> None:
    pages = [[event(f"{page}-{n}") for n in range(50)] for page in range(3)]
    aws = FakeAws(history=[*pages, []])
    found = aws.gathering().history(KEY)
    assert [each.request_id for each in found.events][::75] == ["0-0", "1-25"]
    assert len(found.events) == 150
    assert len(aws.asked) == 4
    assert len(aws.slept) == 3
    assert min(aws.slept) >= 0.5
    told = "CloudTrail, us-east-1: {n} events read, {n} of this key"
    assert aws.told == [told.format(n=n) for n in (50, 100, 150)]
    assert found.gaps == ()


def test_the_event_history_is_asked_for_sign_alone_and_a_little_over_the_window() -> None:
    aws = FakeAws()
    aws.gathering().history(KEY)
    assert aws.asked[0]["LookupAttributes"] == [
        {"AttributeKey": "EventName", "AttributeValue": "Sign"}
    ]
    assert aws.asked[0]["StartTime"] < NOW - timedelta(hours=24)
    assert aws.asked[0]["EndTime"] > NOW


def test_signatures_of_other_keys_are_left_out() -> None:
    other = ARN.replace("0987dcba", "ffffffff")
    aws = FakeAws(history=[[event("a"), event("b", key=other)]])
    assert [each.request_id for each in aws.gathering().history(KEY).events] == ["a"]


def test_every_region_with_a_replica_of_a_multi_region_key_is_looked_at() -> None:
    here = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd"
    there = here.replace("us-east-1", "eu-west-1")
    aws = FakeAws(
        history=[[event("a", key=here)]],
        relatives={
            "MultiRegionKeyType": "REPLICA",
            "PrimaryKey": {"Arn": there, "Region": "eu-west-1"},
            "ReplicaKeys": [{"Arn": here, "Region": "us-east-1"}],
        },
        others={"eu-west-1": FakeAws(history=[[event("b", key=there), event("c")]])},
    )
    found = aws.gathering().history(AuditedKey(here))
    assert [each.request_id for each in found.events] == ["a", "b"]


def test_a_key_of_one_region_is_looked_up_there_alone() -> None:
    aws = FakeAws(region="eu-west-1", others={"us-east-1": FakeAws(history=[[event("a")]])})
    assert [each.request_id for each in aws.gathering().history(KEY).events] == ["a"]


def test_a_window_that_begins_before_the_event_history_is_not_whole() -> None:
    found = FakeAws().gathering(window(days=91)).history(KEY)
    assert "begins on 2026-08-26" in found.gaps[0]
    assert FakeAws().gathering(window(days=89)).history(KEY).gaps == ()


def test_the_emulators_full_page_may_not_be_all() -> None:
    aws = FakeAws(history=[[event(str(n)) for n in range(50)]], emulated=True)
    assert "latest 50" in aws.gathering().history(KEY).gaps[0]


def test_a_missing_permission_is_named() -> None:
    with pytest.raises(AwsAccessDenied, match="LookupEvents"):
        FakeAws(denied=True).gathering().history(KEY)


def test_an_event_that_cannot_be_read_stops_the_audit() -> None:
    with pytest.raises(AwsError, match="cannot be read"):
        FakeAws(history=[["{}"]]).gathering().history(KEY)


def test_our_records_are_read_over_empty_pages_too() -> None:
    aws = FakeAws(logs={GROUP: [[line("a"), "START RequestId"], [], [line("b")]]})
    found = aws.gathering().records(GROUP, ROLE)
    assert found.records == (
        Record("a", AT, GROUP, principal=ROLE),
        Record("b", AT, GROUP, principal=ROLE),
    )
    assert [asked.get("nextToken") for asked in aws.asked] == [None, "1", "2"]
    assert aws.asked[0]["filterPattern"] == '{ $.event = "sign" }'
    assert len(aws.slept) == 2


def test_logs_that_are_kept_for_less_than_the_window_are_not_whole() -> None:
    aws = FakeAws(logs={GROUP: [[]]}, kept={GROUP: {"retentionInDays": 7}})
    assert aws.gathering(window(days=6)).records(GROUP, "").gaps == ()
    [gap] = aws.gathering(window(days=8)).records(GROUP, "").gaps
    assert "keeps 7 days" in gap


def test_a_log_group_that_is_not_there_is_a_gap_and_not_nothing() -> None:
    aws = FakeAws(logs={GROUP + "-2": [[]]})
    assert "no log group" in aws.gathering().records(GROUP, "").gaps[0]
    assert "no log group" in aws.gathering().trail(GROUP, KEY).gaps[0]


def test_a_trails_log_group_gives_events_and_says_since_when() -> None:
    aws = FakeAws(logs={"trail": [[event("a")], [event("b")]]})
    found = aws.gathering().trail("trail", KEY)
    assert [each.request_id for each in found.events] == ["a", "b"]
    assert found.gaps == ()
    young = FakeAws(logs={"trail": [[]]}, began=NOW - timedelta(hours=2))
    assert "begins on 2026-11-24 10:00" in young.gathering().trail("trail", KEY).gaps[0]


def test_an_audit_is_clean_where_both_sides_agree_and_all_was_seen() -> None:
    aws = FakeAws(history=[[event("a"), event("b")]], logs={GROUP: [[line("a")]]})
    subject = Subject(KEY, (GROUP,), None, ROLE)
    by_hand = Record("b", None, "file")
    assert audit(aws.gathering(), subject, window(), (by_hand,)).clean
    found = audit(aws.gathering(), subject, window())
    assert not found.clean
    assert [each.event.request_id for each in found.found.foreign] == ["b"]


def test_an_audit_of_less_than_the_window_is_never_clean() -> None:
    aws = FakeAws(history=[[event("a")]])
    found = audit(aws.gathering(), Subject(KEY, ("gone",)), window(), (Record("a", None, "file"),))
    assert (found.clean, len(found.found.foreign), len(found.gaps)) == (False, 0, 1)


def test_a_trails_log_group_is_read_in_place_of_the_history_where_it_is_named() -> None:
    aws = FakeAws(history=[[event("x")]], logs={"trail": [[event("a")]], GROUP: [[line("a")]]})
    found = audit(aws.gathering(), Subject(KEY, (GROUP,), "trail", ROLE), window())
    assert found.clean
    assert [each.request_id for each in found.found.matched] == ["a"]


def test_a_stack_tells_what_to_audit() -> None:
    outputs = {
        "KeyArn": ARN,
        "KeyAlias": "alias/treasury",
        "LogGroup": "/signer",
        "FunctionName": "treasury-signer",
        "RoleArn": ROLE,
        "TrailLogGroup": "trail",
    }
    expected = Subject(AuditedKey(ARN, ("alias/treasury",)), ("/signer",), "trail", ROLE)
    assert subject_of_stack(FakeAws(outputs=outputs).cloud, "treasury") == expected
    older = {name: outputs[name] for name in ("KeyArn", "FunctionName", "RoleArn")}
    assert subject_of_stack(FakeAws(outputs=older).cloud, "treasury") == Subject(
        KEY, (GROUP,), None, ROLE
    )
    for compute in ({"KeyArn": ARN}, {"KeyArn": ARN, "RoleArn": ROLE}):
        assert subject_of_stack(FakeAws(outputs=compute).cloud, "t").log_groups == ()


def test_a_stack_without_a_key_is_none_to_audit() -> None:
    with pytest.raises(ConfigError, match="no signing key"):
        subject_of_stack(FakeAws().cloud, "treasury")


def test_a_stack_that_is_not_there_is_said_to_be() -> None:
    def describe_stacks(**_: Any) -> Any:
        error = {"Error": {"Code": "ValidationError", "Message": "Stack x does not exist"}}
        raise ClientError(cast("Any", error), "DescribeStacks")

    cloud = SimpleNamespace(cloudformation=SimpleNamespace(describe_stacks=describe_stacks))
    with pytest.raises(StackError, match="no stack x"):
        subject_of_stack(cast("Cloud", cloud), "x")
