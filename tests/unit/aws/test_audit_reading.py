"""What CloudTrail's events and our records say, as they are written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.aws.audit.records import Record, read_file, read_line
from bursar.aws.audit.trail import AuditedKey, read_event
from bursar.errors import AwsError, RequestError

ID = "0987dcba-09fe-87dc-65ba-ab0987654321"
ARN = f"arn:aws:kms:us-west-2:111122223333:key/{ID}"
OTHER = ARN.replace("0987dcba", "ffffffff")
KEY = AuditedKey(ARN, ("alias/treasury",))
ROLE = "arn:aws:iam::111122223333:role/treasury-signer"
AT = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)

# The fields of the example in the KMS developer guide ("Sign", CloudTrail log entries), with a role for the user.
EVENT: dict[str, Any] = {
    "eventVersion": "1.08",
    "userIdentity": {
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLE:treasury-signer",
        "arn": "arn:aws:sts::111122223333:assumed-role/treasury-signer/treasury-signer",
        "accountId": "111122223333",
        "accessKeyId": "ASIAEXAMPLE",
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": ROLE}},
    },
    "eventTime": "2026-11-24T11:22:33Z",
    "eventSource": "kms.amazonaws.com",
    "eventName": "Sign",
    "awsRegion": "us-west-2",
    "sourceIPAddress": "192.0.2.0",
    "userAgent": "python",
    "requestParameters": {
        "messageType": "DIGEST",
        "keyId": ID,
        "signingAlgorithm": "ECDSA_SHA_256",
    },
    "responseElements": None,
    "requestID": "8d0b35e0-46cf-48b9-be99-bf2ebc9ab9fb",
    "eventID": "107b3cac-b125-4556-9702-12a2b9afcff7",
    "readOnly": True,
    "resources": [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": ARN}],
    "eventType": "AwsApiCall",
}


def text(**changes: Any) -> str:
    return json.dumps(EVENT | changes)


def test_an_event_says_who_signed_when_and_from_where() -> None:
    event = read_event(text(), KEY)
    assert event is not None
    assert event.request_id == "8d0b35e0-46cf-48b9-be99-bf2ebc9ab9fb"
    assert event.at == datetime(2026, 11, 24, 11, 22, 33, tzinfo=UTC)
    assert (event.identity, event.issuer) == (EVENT["userIdentity"]["arn"], ROLE)
    assert (event.identity_type, event.access_key_id) == ("AssumedRole", "ASIAEXAMPLE")
    assert (event.source_ip, event.user_agent, event.error_code) == ("192.0.2.0", "python", "")


@pytest.mark.parametrize(
    "who",
    [
        {"type": "AWSService", "invokedBy": "lambda.amazonaws.com"},
        {"type": "AWSAccount", "principalId": "lambda.amazonaws.com", "accountId": "999"},
        {"type": "Unknown", "principalId": "lambda.amazonaws.com"},
    ],
)
def test_who_has_no_arn_is_named_by_what_there_is(who: dict[str, str]) -> None:
    event = read_event(text(userIdentity=who), KEY)
    assert event is not None
    assert (event.identity, event.identity_type) == ("lambda.amazonaws.com", who["type"])


@pytest.mark.parametrize("who", [None, {}, "root", {"arn": 7}])
def test_an_event_by_nobody_named_is_still_an_event(who: Any) -> None:
    event = read_event(text(userIdentity=who), KEY)
    assert event is not None
    assert event.identity == "nobody named"


NO_RESOURCES: dict[str, Any] = {"resources": None}


@pytest.mark.parametrize(
    "changes",
    [
        NO_RESOURCES | {"requestParameters": {"keyId": ARN}},
        NO_RESOURCES | {"requestParameters": {"keyId": ID}},
        NO_RESOURCES | {"requestParameters": {"KeyId": ID}},
        NO_RESOURCES | {"requestParameters": {"keyId": "alias/treasury"}},
        NO_RESOURCES
        | {"requestParameters": {"keyId": "arn:aws:kms:us-west-2:111122223333:alias/treasury"}},
        {"requestParameters": {"keyId": "alias/elsewhere-now"}},
        NO_RESOURCES | {"requestParameters": None, "errorMessage": f"not authorized on {ARN}"},
    ],
)
def test_the_key_is_known_by_each_of_its_names(changes: dict[str, Any]) -> None:
    assert read_event(text(**changes), KEY) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"eventName": "GetPublicKey"},
        {"eventSource": "signer.amazonaws.com"},
        {"resources": [{"ARN": OTHER}]},
        # The alias led to another key when it was used.
        {"resources": [{"ARN": OTHER}], "requestParameters": {"keyId": "alias/treasury"}},
        NO_RESOURCES | {"requestParameters": {"keyId": OTHER}},
        NO_RESOURCES | {"requestParameters": {"keyId": "alias/treasury-old"}},
        NO_RESOURCES
        | {"requestParameters": {"keyId": "arn:aws:kms:us-west-2:999999999999:alias/treasury"}},
        NO_RESOURCES | {"requestParameters": None},
    ],
)
def test_other_calls_and_other_keys_are_passed_over(changes: dict[str, Any]) -> None:
    assert read_event(text(**changes), KEY) is None


def test_a_replica_in_another_region_is_the_same_key_and_other_partitions_are_read() -> None:
    key = AuditedKey("arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-1234")
    replica = "arn:aws-us-gov:kms:us-gov-east-1:111122223333:key/mrk-1234"
    assert read_event(text(resources=[{"ARN": replica}]), key) is not None


@pytest.mark.parametrize(
    "broken", ["", "[]", "null", "{", text(eventTime="soon"), text(eventTime=None), '{"a": 1}']
)
def test_an_event_that_cannot_be_read_is_an_error_and_not_passed_over(broken: str) -> None:
    with pytest.raises(AwsError, match="cannot be read"):
        read_event(broken, KEY)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(sorted(EVENT)),
)
def test_any_event_raises_only_our_error(value: Any, name: str) -> None:
    try:
        read_event(text(**{name: value}), KEY)
    except AwsError:
        return


LINE: dict[str, Any] = {
    "event": "sign",
    "via": "api",
    "claimedCaller": "arn:aws:iam::111122223333:user/alice",
    "digest": "0x11",
    "code": "ok",
    "kmsRequestId": "kms-1",
    "status": 200,
    "requestId": "lambda-1",
    "ms": 61.5,
}


def line(**changes: Any) -> Record | None:
    fields = {name: value for name, value in (LINE | changes).items() if value is not None}
    return read_line(json.dumps(fields), AT, "group", ROLE)


def test_a_line_of_the_functions_log_is_a_record_under_kmss_id_and_not_lambdas() -> None:
    assert line() == Record(
        "kms-1",
        AT,
        "group",
        seconds=0.0615,
        principal=ROLE,
        caller="arn:aws:iam::111122223333:user/alice",
        digest="0x11",
    )


def test_a_line_with_metrics_in_it_is_the_same_record() -> None:
    assert line(_aws={"Timestamp": 1, "CloudWatchMetrics": []}, Signatures=1) == line()


def test_a_line_tells_lost_answers_and_whether_kms_must_have_signed() -> None:
    for changes, signed, unanswered in (
        ({"code": "wrong_key"}, True, 0),
        ({"code": "kms_access_denied"}, False, 0),
        ({"kmsUnanswered": 2}, True, 2),
        ({"code": "kms_timeout", "kmsRequestId": None, "kmsUnanswered": 4}, False, 4),
        ({"kmsUnanswered": True}, True, 0),
        ({"kmsUnanswered": -1}, True, 0),
        ({"kmsUnanswered": 10**9}, True, 0),
    ):
        found = line(**changes)
        assert found is not None
        assert (found.signed, found.unanswered) == (signed, unanswered), changes


@pytest.mark.parametrize(
    "other",
    [
        "START RequestId: 8d0b35e0 Version: $LATEST",
        "",
        "{not json",
        '{"event": "other", "kmsRequestId": "x"}',
        '["event", "sign"]',
        json.dumps(LINE | {"kmsRequestId": "", "code": "invalid_request"}),
    ],
)
def test_other_lines_are_no_records(other: str) -> None:
    assert read_line(other, AT, "group") is None


@pytest.mark.parametrize(
    "saved",
    [
        '{"signature": "0x", "request_id": "kms-1"}',
        '{"signature": "0x", "requestId": "kms-1"}',
        '{"transaction": "t", "signing_request_id": "kms-1"}',
        json.dumps(LINE),
        '{\n  "request_id": "kms-1"\n}',
        '[{"request_id": "kms-1"}]',
        '\n{"request_id": "kms-1"}\n\n{"error": {"code": "kms_throttled"}}\n',
    ],
)
def test_a_saved_answer_is_a_record(saved: str) -> None:
    assert [record.request_id for record in read_file(saved, "file")] == ["kms-1"]


def test_documents_one_after_the_other_are_read_as_a_shell_appends_them() -> None:
    saved = '{\n "request_id": "a"\n}\n{\n "request_id": "b"\n}\n{"request_id": "c"}'
    assert [record.request_id for record in read_file(saved, "file")] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ({"at": "2026-11-24T12:00:00Z"}, AT),
        ({"time": "2026-11-24T12:00:00"}, AT),
        ({"timestamp": 1795521600000}, AT),
        ({"_aws": {"Timestamp": 1795521600000}}, AT),
        ({"at": "noon"}, None),
        ({"at": 1e300}, None),
        ({}, None),
    ],
)
def test_a_saved_answers_time_is_taken_where_it_has_one(
    time: dict[str, Any], expected: datetime | None
) -> None:
    [record] = read_file(json.dumps({"request_id": "a", **time}), "file")
    assert record.at == expected


@pytest.mark.parametrize("bad", ["", "[]", '{"error": {}}', '{"event": "sign", "requestId": "l"}'])
def test_a_file_without_a_record_is_refused(bad: str) -> None:
    with pytest.raises(RequestError, match="no record"):
        read_file(bad, "file")


@pytest.mark.parametrize(
    ("bad", "where"),
    [("request_id=1", 1), ('{"request_id": "a"}\n{"request', 2), ("[" * 5000, 1)],
)
def test_a_file_that_is_not_json_is_refused_with_the_line(bad: str, where: int) -> None:
    with pytest.raises(RequestError, match=f"file, line {where}: not JSON"):
        read_file(bad, "file")


def test_receipts_of_the_keys_ledger_are_records_where_kms_had_a_part():
    body = {"kmsRequestId": "r-1", "unanswered": 0, "digest": "0x11"}
    receipts = [
        {"event": "decision", "at": "2026-11-24T12:00:00.000000Z", "body": {"digest": "0x11"}},
        {"event": "signature", "at": "2026-11-24T12:00:01.000000Z", "body": body},
        {"event": "failure", "at": "2026-11-24T12:00:02.000000Z", "body": {"kmsRequestId": None}},
        {
            "event": "failure",
            "at": "2026-11-24T12:00:03.000000Z",
            "body": {"kmsRequestId": None, "unanswered": 2},
        },
    ]
    found = read_file("\n".join(json.dumps(each) for each in receipts), "export")
    told = [(each.request_id, each.signed, each.unanswered) for each in found]
    assert told == [("r-1", True, 0), ("", False, 2)]
