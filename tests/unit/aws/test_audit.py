"""CloudTrail against our records: who signed what, and what nobody of ours did."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.aws.audit.reconciliation import Reconciliation, reconcile
from bursar.aws.audit.records import Record
from bursar.aws.audit.trail import SignEvent
from bursar.aws.audit.window import Window, parse_moment
from bursar.errors import ConfigError

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(hours=24), NOW, NOW)
ROLE = "arn:aws:iam::111122223333:role/treasury-signer"
SESSION = "arn:aws:sts::111122223333:assumed-role/treasury-signer/treasury-signer"


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def event(request_id: str, at: datetime, **changes: str) -> SignEvent:
    ours = SignEvent(
        event_id=f"event of {request_id}",
        request_id=request_id,
        at=at.replace(microsecond=0),
        identity=SESSION,
        identity_type="AssumedRole",
        issuer=ROLE,
        access_key_id="ASIAOURS",
        source_ip="192.0.2.1",
    )
    return replace(ours, **changes)  # type: ignore[arg-type]


def thief(request_id: str, at: datetime) -> SignEvent:
    mallory = "arn:aws:iam::111122223333:user/mallory"
    return event(request_id, at, identity=mallory, issuer="", access_key_id="AKIAMALLORY")


def record(request_id: str, at: datetime | None, unanswered: int = 0, **changes: float) -> Record:
    return Record(
        request_id,
        at,
        "/aws/lambda/signer",
        seconds=changes.get("seconds", 0.05),
        unanswered=unanswered,
        principal=ROLE,
    )


def ids(found: Reconciliation) -> dict[str, list[str]]:
    lists = {
        "matched": [e.request_id for e in found.matched],
        "retried": [e.request_id for e in found.retried],
        "early": [r.request_id for r in found.early],
        "missing": [r.request_id for r in found.missing],
        "foreign": [f.event.request_id for f in found.foreign],
        "refused": [e.request_id for e in found.refused],
    }
    return {name: each for name, each in lists.items() if each}


def test_a_signature_that_both_sides_know_is_matched() -> None:
    at = ago(hours=1)
    found = reconcile([event("a", at)], [record("a", at + timedelta(milliseconds=70))], WINDOW)
    assert ids(found) == {"matched": ["a"]}


def test_a_signature_that_we_have_no_record_of_is_foreign() -> None:
    found = reconcile([thief("b", ago(hours=1))], [record("a", ago(hours=1))], WINDOW)
    assert ids(found) == {"missing": ["a"], "foreign": ["b"]}
    assert found.foreign[0].reason == "no record of it"


def test_the_functions_own_role_without_a_record_is_foreign_and_said_to_be() -> None:
    at = ago(hours=1)
    found = reconcile([event("a", at), event("b", at)], [record("a", at)], WINDOW)
    assert ids(found) == {"matched": ["a"], "foreign": ["b"]}
    assert found.foreign[0].reason == "by the function's own role, which has no record of it"


def test_a_record_does_not_account_for_another_principals_signature() -> None:
    at = ago(hours=1)
    found = reconcile([thief("a", at)], [record("a", at)], WINDOW)
    assert ids(found) == {"foreign": ["a"]}
    assert "another principal" in found.foreign[0].reason


def test_a_record_whose_maker_is_not_known_goes_by_its_id_alone() -> None:
    at = ago(hours=1)
    found = reconcile([thief("a", at)], [replace(record("a", at), principal="")], WINDOW)
    assert ids(found) == {"matched": ["a"]}


@pytest.mark.parametrize(("minutes", "expected"), [(14, "early"), (16, "missing")])
def test_a_young_record_may_be_on_its_way_and_an_old_one_is_missing(
    minutes: int, expected: str
) -> None:
    found = reconcile([], [record("a", ago(minutes=minutes))], WINDOW)
    assert ids(found) == {expected: ["a"]}


def test_a_record_without_a_time_that_is_not_found_is_missing() -> None:
    assert ids(reconcile([], [record("a", None)], WINDOW)) == {"missing": ["a"]}


def test_what_kms_refused_is_told_apart_and_is_no_signature() -> None:
    events = [replace(thief("b", ago(hours=1)), error_code="AccessDenied")]
    assert ids(reconcile(events, [], WINDOW)) == {"refused": ["b"]}
    # A record of a signature that KMS says it refused is no match.
    assert ids(reconcile(events, [record("b", ago(hours=1))], WINDOW)) == {
        "refused": ["b"],
        "missing": ["b"],
    }


def test_a_call_that_kms_answered_with_an_error_is_not_expected_to_have_signed() -> None:
    refused = replace(record("a", ago(hours=1)), signed=False)
    assert ids(reconcile([], [refused], WINDOW)) == {}


def test_a_call_whose_record_says_error_but_that_signed_is_ours_all_the_same() -> None:
    at = ago(hours=1)
    unread = replace(record("a", at), signed=False)
    assert ids(reconcile([event("a", at)], [unread], WINDOW)) == {"matched": ["a"]}


def test_lost_answers_are_accounted_for_as_often_as_the_record_says_and_no_more() -> None:
    at = ago(hours=1)
    events = [event("a", at), *(event(f"lost {n}", at - timedelta(seconds=n)) for n in (3, 2, 1))]
    found = reconcile(events, [record("a", at, unanswered=2, seconds=4.0)], WINDOW)
    assert ids(found) == {
        "matched": ["a"],
        "retried": ["lost 3", "lost 2"],
        "foreign": ["lost 1"],
    }


@pytest.mark.parametrize(
    "stranger",
    [
        event("x", ago(hours=1, seconds=60)),
        event("x", ago(hours=1, seconds=-30)),
        event("x", ago(hours=1), access_key_id="ASIATHIEF"),
        event("x", ago(hours=1), identity=SESSION + "-other"),
        event("x", ago(hours=1), user_agent="aws-cli/2.99"),
        thief("x", ago(hours=1)),
    ],
    ids=["before", "after", "other key", "other session", "other program", "other principal"],
)
def test_only_the_calls_own_session_while_it_lasted_explains_a_lost_answer(
    stranger: SignEvent,
) -> None:
    at = ago(hours=1)
    found = reconcile(
        [event("a", at), stranger], [record("a", at, unanswered=5, seconds=4.0)], WINDOW
    )
    assert ids(found) == {"matched": ["a"], "foreign": ["x"]}


def test_a_call_that_never_got_an_answer_explains_what_its_role_did_meanwhile() -> None:
    at = ago(hours=1)
    lost = replace(record("", at, unanswered=2, seconds=6.0), signed=False)
    events = [
        event("one", at - timedelta(seconds=5)),
        event("two", at - timedelta(seconds=2)),
        event("three", at),
        thief("four", at),
    ]
    assert ids(reconcile(events, [lost], WINDOW)) == {
        "retried": ["one", "two"],
        "foreign": ["three", "four"],
    }
    nobodys = replace(lost, principal="")
    assert len(reconcile(events, [nobodys], WINDOW).foreign) == 4


def test_two_calls_do_not_explain_the_same_event() -> None:
    at = ago(hours=1)
    records = [record(name, at, unanswered=1) for name in ("a", "b")]
    events = [event("a", at), event("b", at), event("lost", at), event("more", at), event("x", at)]
    found = ids(reconcile(events, records, WINDOW))
    assert (len(found["retried"]), len(found["foreign"])) == (2, 1)


def test_a_record_without_a_time_takes_its_own_events() -> None:
    at = ago(hours=1)
    saved = replace(record("a", None, unanswered=1), seconds=0.0)
    found = reconcile([event("a", at), event("lost", at - timedelta(seconds=8))], [saved], WINDOW)
    assert ids(found) == {"matched": ["a"], "retried": ["lost"]}


def test_an_event_that_was_delivered_twice_counts_once() -> None:
    at = ago(hours=1)
    assert ids(reconcile([event("a", at)] * 2, [record("a", at)] * 2, WINDOW)) == {"matched": ["a"]}
    assert ids(reconcile([], [record("a", at)] * 2, WINDOW)) == {"missing": ["a"]}


def test_an_event_without_an_id_is_nobodys() -> None:
    found = reconcile([event("", ago(hours=1))], [record("", ago(hours=1))], WINDOW)
    assert len(found.foreign) == 1


def test_only_the_window_is_judged_and_a_call_over_its_edge_is_whole() -> None:
    edge = WINDOW.since
    before, after = edge - timedelta(milliseconds=200), edge + timedelta(milliseconds=100)
    assert ids(reconcile([event("a", before)], [record("a", after)], WINDOW)) == {}
    outside = [thief("b", edge - timedelta(minutes=1))]
    assert ids(reconcile(outside, [record("c", edge - timedelta(minutes=1))], WINDOW)) == {}
    assert WINDOW.wide[0] < before


@given(
    made=st.sets(st.integers(0, 30)),
    recorded=st.sets(st.integers(0, 30)),
    unanswered=st.integers(0, 3),
)
def test_every_signature_is_in_exactly_one_list(
    made: set[int], recorded: set[int], unanswered: int
) -> None:
    at = ago(hours=2)
    events = [event(str(n), at) for n in made]
    records = [record(str(n), at, unanswered) for n in recorded]
    found = reconcile(events, records, WINDOW)
    seen = [*found.matched, *found.retried, *(each.event for each in found.foreign)]
    assert sorted(e.request_id for e in seen) == sorted(str(n) for n in made)
    assert {e.request_id for e in found.matched} == {str(n) for n in made & recorded}
    assert {r.request_id for r in found.missing} == {str(n) for n in recorded - made}
    assert len(found.foreign) >= len(made - recorded) - unanswered * len(recorded)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", NOW - timedelta(hours=24)),
        ("90m", NOW - timedelta(minutes=90)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(days=14)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T08:30:00Z", datetime(2026, 11, 1, 8, 30, tzinfo=UTC)),
        ("2026-11-01T10:30:00+02:00", datetime(2026, 11, 1, 8, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_time_ago_a_date_or_iso_8601(text: str, expected: datetime) -> None:
    assert parse_moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "24", "-3h", "1.5h", "2026-13-01", "٣h", "7d "])
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(ConfigError, match="not a time"):
        parse_moment(text, NOW)


def test_a_window_ends_now_at_the_latest_and_is_never_empty() -> None:
    assert Window.parse("24h", None, NOW) == WINDOW
    assert Window.parse("24h", "2027-01-01", NOW) == WINDOW
    for since, until in (("1h", "2h"), ("2027-01-01", None), ("2026-11-01", "2026-11-01")):
        with pytest.raises(ConfigError, match="empty"):
            Window.parse(since, until, NOW)
