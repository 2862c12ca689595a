"""What the function's log says of every call of KMS, so that an audit can account for each line of CloudTrail."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import coincurve
import pytest

from bursar.aws.audit.records import Record, read_line
from bursar.aws.container import Edges
from bursar.aws.handler import SigningFunction
from bursar.chains.evm import KmsSignRequest, PublicKey
from bursar.errors import KmsAccessDenied, KmsError, KmsProtocolError, KmsTimeout
from bursar.kms.wire import KmsPublicKey, KmsSignature

ARN = "arn:aws:kms:us-east-1:111122223333:key/0fca8ec8-6d4a-40c6-a38b-36bad9007534"
SPKI_PREFIX = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")


@dataclass
class Kms:
    """KMS with one key: it signs after `unanswered` lost answers, or fails."""

    private: coincurve.PrivateKey = field(default_factory=coincurve.PrivateKey)
    unanswered: int = 0
    failure: KmsError | None = None
    signs_with: coincurve.PrivateKey | None = None

    @property
    def address(self) -> str:
        return PublicKey(self.private.public_key.format(compressed=False)[1:]).address

    def get_public_key(self, _key_id: str) -> KmsPublicKey:
        der = SPKI_PREFIX + self.private.public_key.format(compressed=False)
        return KmsPublicKey(ARN, der, "ECC_SECG_P256K1", "SIGN_VERIFY")

    def sign(self, key_arn: str, request: KmsSignRequest) -> KmsSignature:
        if self.failure:
            raise self.failure
        der = (self.signs_with or self.private).sign(request.message, hasher=None)
        return KmsSignature(key_arn, der, "kms-1", self.unanswered)


def lines_of(kms: Kms, calls: int = 1) -> list[dict[str, Any]]:
    lines: list[str] = []
    settings = {"KMS_KEY_ID": "alias/treasury", "BURSAR_BLIND_SIGNING": "allowed"}
    function = SigningFunction(settings, lines.append, Edges(lambda _seconds: kms))
    for _ in range(calls):
        event = {"messageHash": "0x" + "11" * 32, "signerAddress": kms.address}
        function(event, SimpleNamespace(aws_request_id="lambda-1"))
        kms.unanswered, kms.failure = 0, None
    return [json.loads(line) for line in lines]


def record_of(line: dict[str, Any]) -> Record | None:
    return read_line(json.dumps(line), datetime(2026, 11, 24, tzinfo=UTC), "group")


def failed(error: KmsError, unanswered: int = 0, request_id: str | None = None) -> KmsError:
    error.unanswered, error.request_id = unanswered, request_id
    return error


def test_a_signature_is_a_record_by_kmss_id() -> None:
    [line] = lines_of(Kms())
    assert "kmsUnanswered" not in line
    record = record_of(line)
    assert record is not None
    assert (record.request_id, record.signed, record.unanswered) == ("kms-1", True, 0)


def test_lost_answers_are_in_the_line_of_their_own_call_and_not_of_the_next() -> None:
    first, second = lines_of(Kms(unanswered=2), calls=2)
    assert first["kmsUnanswered"] == 2
    assert "kmsUnanswered" not in second


def test_a_signature_by_another_key_was_made_all_the_same() -> None:
    record = record_of(lines_of(Kms(signs_with=coincurve.PrivateKey()))[0])
    assert record is not None
    assert (record.request_id, record.signed) == ("kms-1", True)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (failed(KmsTimeout("t"), 4), ("", False, 4)),
        (failed(KmsAccessDenied("d"), 1, "kms-9"), ("kms-9", False, 1)),
        (failed(KmsProtocolError("p"), 0, "kms-9"), ("kms-9", False, 0)),
    ],
    ids=["timeout", "denied", "unreadable"],
)
def test_a_call_that_failed_says_what_may_have_been_signed(
    failure: KmsError, expected: tuple[str, bool, int]
) -> None:
    record = record_of(lines_of(Kms(failure=failure))[0])
    assert record is not None
    assert (record.request_id, record.signed, record.unanswered) == expected


def test_a_call_that_reached_nobody_is_no_record() -> None:
    assert record_of(lines_of(Kms(failure=failed(KmsTimeout("t"))))[0]) is None


def test_reading_the_public_key_is_not_signing() -> None:
    class Unreadable(Kms):
        def get_public_key(self, _key_id: str) -> KmsPublicKey:
            raise failed(KmsTimeout("t"), 4)

    assert record_of(lines_of(Unreadable())[0]) is None
