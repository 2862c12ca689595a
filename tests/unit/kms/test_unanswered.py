"""Attempts that may have reached KMS without an answer coming back: each may be one more line in CloudTrail."""

from __future__ import annotations

import pickle
import socket

import pytest

from bursar.errors import (
    KmsAccessDenied,
    KmsError,
    KmsProtocolError,
    KmsThrottled,
    KmsTimeout,
    KmsUnavailable,
)
from bursar.kms.client import Limits
from tests.unit.kms.test_client import ARN, GOOD, REQUEST, THROTTLED, Line, http

INTERNAL = http({"__type": "KMSInternalException"}, 500)


def test_an_answer_at_once_leaves_none() -> None:
    assert Line([GOOD]).client().sign(ARN, REQUEST).unanswered == 0


def test_each_attempt_that_broke_or_timed_out_is_counted() -> None:
    line = Line([ConnectionResetError(), TimeoutError(), GOOD])
    assert line.client().sign(ARN, REQUEST).unanswered == 2


def test_an_error_of_kms_is_an_answer() -> None:
    line = Line([THROTTLED, INTERNAL, ConnectionResetError(), GOOD])
    assert line.client().sign(ARN, REQUEST).unanswered == 1


def test_an_answer_that_was_cut_off_is_none() -> None:
    line = Line([GOOD[:20], b"", GOOD])
    assert line.client().sign(ARN, REQUEST).unanswered == 1


def test_a_kept_connection_that_closes_may_have_carried_the_request() -> None:
    line = Line([GOOD, b"", GOOD])
    kms = line.client(Limits(attempts=1))
    assert kms.sign(ARN, REQUEST).unanswered == 0
    assert kms.sign(ARN, REQUEST).unanswered == 1


def test_one_call_does_not_count_for_the_next() -> None:
    kms = Line([ConnectionResetError(), GOOD, GOOD]).client()
    assert [kms.sign(ARN, REQUEST).unanswered for _ in range(2)] == [1, 0]


def test_a_connection_that_was_never_opened_reached_nobody() -> None:
    for error in (ConnectionRefusedError(), socket.gaierror(-2, "unknown"), TimeoutError()):
        with pytest.raises(KmsError) as caught:
            Line([], cannot_connect=error).client().sign(ARN, REQUEST)
        assert caught.value.unanswered == 0


def test_a_call_that_failed_altogether_says_how_many_went_unanswered() -> None:
    cases: list[tuple[list[bytes | Exception], type[KmsError], int]] = [
        ([TimeoutError()] * 4, KmsTimeout, 4),
        ([ConnectionResetError()] * 4, KmsUnavailable, 4),
        ([TimeoutError(), *[THROTTLED] * 3], KmsThrottled, 1),
        ([TimeoutError(), http({"__type": "AccessDeniedException"}, 400)], KmsAccessDenied, 1),
        ([b"SSH-2.0-OpenSSH\r\n\r\n"], KmsProtocolError, 1),
    ]
    for events, expected, count in cases:
        with pytest.raises(expected) as caught:
            Line(events).client().sign(ARN, REQUEST)
        assert caught.value.unanswered == count
        assert pickle.loads(pickle.dumps(caught.value)).unanswered == count  # noqa: S301  our own


def test_an_answer_that_cannot_be_used_still_has_its_id() -> None:
    answer = http({"KeyId": ARN, "Signature": "AA==", "SigningAlgorithm": "RSASSA_PSS_SHA_256"})
    answer = answer.replace(b"\r\nContent", b"\r\nx-amzn-RequestId: kms-7\r\nContent")
    with pytest.raises(KmsProtocolError) as caught:
        Line([ConnectionResetError(), answer]).client().sign(ARN, REQUEST)
    assert (caught.value.request_id, caught.value.unanswered) == ("kms-7", 1)
