"""KMS fails: what it cannot have signed is given back, what it may have signed is not."""

from __future__ import annotations

from typing import Any

import coincurve
import pytest

from bursar.chains.evm import KmsSignRequest, Scheme
from bursar.errors import (
    AlreadySigned,
    KmsAccessDenied,
    KmsError,
    KmsKeyDisabled,
    KmsProtocolError,
    KmsThrottled,
    KmsTimeout,
    KmsUnavailable,
    MalformedSignature,
    PolicyViolation,
    SignatureError,
    WrongKey,
)
from bursar.kms.wire import KmsSignature
from tests.fakes.memory_store import Fault
from tests.unit.signing.scene import CALLER, DAILY, Desk, Kms, numbered, unanswered

CLEAN = [
    KmsThrottled("busy", request_id="kms-9"),
    KmsUnavailable("internal"),
    KmsAccessDenied("no"),
    KmsKeyDisabled("off"),
    KmsTimeout("no time was left to ask"),
]
UNSURE = [
    unanswered(KmsTimeout("late")),
    unanswered(KmsUnavailable("broken"), 2),
    unanswered(KmsThrottled("busy after a broken connection")),
    KmsProtocolError("not KMS's wire format"),
]


class Garbling(Kms):
    """A KMS whose signatures are not to be used."""

    answer: Any = b"not DER"

    def sign(self, key_arn: str, request: KmsSignRequest) -> KmsSignature:
        made = super().sign(key_arn, request)
        if isinstance(self.answer, coincurve.PrivateKey):
            der = self.answer.sign(request.message, hasher=None)
            return KmsSignature(key_arn, der, made.request_id)
        if self.answer == "other key":
            return KmsSignature(key_arn.replace("1111", "2222"), made.der, made.request_id)
        return KmsSignature(key_arn, self.answer, made.request_id)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def failing(desk: Desk, error: KmsError, **changes: Any) -> dict[str, Any]:
    desk.kms.failures = [error]
    with pytest.raises(type(error)):
        desk.treasury.sign(desk.request(**changes), CALLER)
    event, body = desk.receipts[-1]
    assert event == "failure"
    return body


@pytest.mark.parametrize("error", CLEAN, ids=lambda each: type(each).__name__)
def test_what_kms_did_not_sign_is_given_back_and_works_afterwards(
    desk: Desk, error: KmsError
) -> None:
    body = failing(desk, error, id="rent")
    assert (body["code"], body["released"], body["decision"]) == (error.code, True, 1)
    assert body["kmsRequestId"] == error.request_id
    assert desk.spent == []
    assert desk.treasury.sign(desk.request(id="rent"), CALLER)
    assert desk.events == ["decision", "failure", "decision", "signature"]
    assert len(desk.spent) == 1


@pytest.mark.parametrize("error", CLEAN, ids=lambda each: type(each).__name__)
def test_what_kms_did_not_sign_leaves_its_ids_free_for_another_operation(
    desk: Desk, error: KmsError
) -> None:
    failing(desk, error, id="rent")
    assert desk.treasury.sign(desk.request(desk.waiting(numbered(1)), id="rent"), CALLER)
    with pytest.raises(AlreadySigned):
        desk.treasury.sign(desk.request(id="rent"), CALLER)


@pytest.mark.parametrize("error", UNSURE, ids=lambda each: type(each).__name__)
def test_what_kms_may_have_signed_keeps_its_room_and_its_ids(desk: Desk, error: KmsError) -> None:
    body = failing(desk, error, id="rent")
    assert (body["released"], body["unanswered"]) == (False, error.unanswered)
    assert len(desk.spent) == 1
    with pytest.raises(AlreadySigned):
        desk.treasury.sign(desk.request(desk.waiting(numbered(1)), id="rent"), CALLER)
    assert desk.treasury.sign(desk.request(id="rent"), CALLER)
    assert len(desk.spent) == 1


@pytest.mark.parametrize("error", UNSURE, ids=lambda each: type(each).__name__)
def test_what_kms_may_have_signed_is_not_given_back_by_a_clean_failure_later(
    desk: Desk, error: KmsError
) -> None:
    failing(desk, error)
    assert failing(desk, KmsThrottled("busy"))["released"] is False
    assert len(desk.spent) == 1


def test_what_was_signed_is_not_given_back_when_its_other_scheme_fails(desk: Desk) -> None:
    desk.treasury.sign(desk.request(), CALLER)
    assert failing(desk, KmsThrottled("busy"), scheme=Scheme.RAW)["released"] is False
    assert len(desk.spent) == 1


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (b"not DER", MalformedSignature),
        (b"", MalformedSignature),
        (coincurve.PrivateKey(), WrongKey),
        ("other key", SignatureError),
    ],
    ids=["no DER", "nothing", "by another key", "said to be another key's"],
)
def test_a_signature_that_is_not_to_be_used_keeps_what_was_taken(
    answer: Any, refusal: type[SignatureError]
) -> None:
    desk = Desk(kms=Garbling())
    desk.kms.answer = answer  # type: ignore[attr-defined]
    with pytest.raises(refusal):
        desk.treasury.sign(desk.request(), CALLER)
    event, body = desk.receipts[-1]
    assert (event, body["released"], len(desk.spent)) == ("failure", False, 1)
    assert "signature" not in body


def test_a_throttled_key_at_the_limit_makes_room_for_somebody_else(desk: Desk) -> None:
    requests = desk.payments(DAILY + 1)
    for request in requests[: DAILY - 1]:
        desk.treasury.sign(request, CALLER)
    desk.kms.failures = [KmsThrottled("busy")]
    with pytest.raises(KmsThrottled):
        desk.treasury.sign(requests[-2], CALLER)
    assert desk.treasury.sign(requests[-1], CALLER)
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(requests[-2], CALLER)


def test_a_failure_that_cannot_be_written_down_keeps_what_was_taken(desk: Desk) -> None:
    desk.kms.failures = [KmsThrottled("busy")]
    desk.kms.before_signing = lambda: desk.store.faults.append(Fault.DOWN)
    with pytest.raises(KmsThrottled):
        desk.treasury.sign(desk.request(), CALLER)
    assert (desk.events, len(desk.spent)) == (["decision"], 1)


def test_a_key_that_cannot_be_read_signs_nothing_and_decides_nothing(desk: Desk) -> None:
    class Deaf(Kms):
        def get_public_key(self, key_id: str) -> Any:
            raise KmsAccessDenied(f"no GetPublicKey on {key_id}")

    desk.kms = Deaf()
    with pytest.raises(KmsAccessDenied):
        desk.treasury.sign(desk.request(), CALLER)
    assert (desk.kms.signatures, desk.receipts) == (0, [])
