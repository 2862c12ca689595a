from __future__ import annotations

import pytest

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import (
    AlreadySigned,
    KmsThrottled,
    KmsTimeout,
    LedgerUnavailable,
    NeedsApproval,
    NotWaiting,
    PolicyViolation,
    SigningInProgress,
)
from bursar.signing_contract import Caller
from tests.fakes.memory_store import Fault
from tests.unit.signing.scene import (
    ADA,
    APPROVED,
    CALLER,
    DAILY,
    GRACE,
    POLICY,
    Desk,
    hash_of,
    numbered,
    unanswered,
)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_honest_payment_is_signed_once_and_the_ledger_has_decision_and_signature(desk):
    request = desk.request()
    answer = desk.treasury.sign(request, CALLER)
    digest = evm.digest_of(hash_of(request.transaction), Scheme.EIP191)
    assert answer.signed.digest == digest
    raw = bytes.fromhex(answer.signed.signature.to_hex()[2:])
    assert evm.parse_signature(raw, digest, desk.kms.address) == answer.signed.signature
    assert desk.kms.calls == ["GetPublicKey", "Sign"]
    assert desk.events == ["decision", "signature"]
    assert answer.policy["sentence"].startswith("pay 0.2 usdc")


def test_the_same_request_again_gives_the_same_signature_and_spends_once(desk):
    for request in desk.payments(DAILY):
        first = desk.treasury.sign(request, CALLER)
        again = desk.treasury.sign(request, CALLER)
        assert again.signed.signature == first.signed.signature
    assert desk.kms.signatures == DAILY
    with pytest.raises(PolicyViolation, match=r"1\.2 usdc with this one"):
        desk.treasury.sign(desk.payments(DAILY + 1)[-1], CALLER)


def test_a_throttled_key_gives_back_what_was_taken_and_a_timeout_does_not(desk):
    requests = desk.payments(DAILY + 1)
    for request in requests[: DAILY - 1]:
        desk.treasury.sign(request, CALLER)
    desk.kms.failures = [KmsThrottled("busy"), unanswered(KmsTimeout("late"))]
    with pytest.raises(KmsThrottled):
        desk.treasury.sign(requests[-1], CALLER)
    with pytest.raises(KmsTimeout):
        desk.treasury.sign(requests[-2], CALLER)
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(requests[-1], CALLER)
    assert desk.treasury.sign(requests[-2], CALLER)


def test_what_cannot_be_written_down_is_not_released(desk):
    desk.kms.before_signing = lambda: desk.store.faults.extend([Fault.DOWN] * 3)
    with pytest.raises(LedgerUnavailable):
        desk.treasury.sign(desk.request(), CALLER)
    desk.kms.before_signing = lambda: None
    desk.store.faults.clear()
    with pytest.raises(SigningInProgress):
        desk.treasury.sign(desk.request(), CALLER)
    desk.clock.step(minutes=1)
    assert desk.treasury.sign(desk.request(), CALLER)
    assert desk.events == ["decision", "decision", "signature"]


def test_a_payment_waits_for_another_pair_of_eyes(desk):
    desk = desk.again(POLICY + APPROVED)
    request = desk.request()
    with pytest.raises(NotWaiting):
        desk.treasury.consent(desk.approval(request.transaction), Caller(GRACE, "api"))
    with pytest.raises(NeedsApproval) as waiting:
        desk.treasury.sign(request, CALLER)
    assert (waiting.value.missing, desk.kms.signatures) == (1, 0)
    with pytest.raises(PolicyViolation, match="nobody approves their own"):
        desk.treasury.consent(desk.approval(request.transaction), CALLER)
    given = desk.treasury.consent(desk.approval(request.transaction), Caller(ADA, "api"))
    assert given.missing == 0
    assert desk.treasury.sign(request, CALLER)
    assert desk.events == ["decision", "consent", "decision", "signature"]


def test_a_consent_of_whoever_asked_before_does_not_count(desk):
    desk = desk.again(POLICY + APPROVED)
    request = desk.request()
    with pytest.raises(NeedsApproval):
        desk.treasury.sign(request, CALLER)
    desk.treasury.consent(desk.approval(request.transaction), Caller(GRACE, "api"))
    with pytest.raises(NeedsApproval):
        desk.treasury.sign(request, Caller(GRACE, "api"))
    with pytest.raises(NeedsApproval):
        desk.treasury.sign(request, CALLER)


def test_one_id_is_never_paid_by_two_nonces(desk):
    desk.treasury.sign(desk.request(desk.waiting(numbered(1)), id="payroll-1"), CALLER)
    with pytest.raises(AlreadySigned, match="signed before as operation"):
        desk.treasury.sign(desk.request(desk.waiting(numbered(2))), CALLER)
    other = desk.request(desk.waiting(numbered(3), name="tx-3"), id="payroll-1")
    with pytest.raises(AlreadySigned):
        desk.treasury.sign(other, CALLER)
    replayed = desk.request(desk.waiting(numbered(1), name="tx-9"))
    with pytest.raises(AlreadySigned, match="asked for before as transaction tx-1"):
        desk.treasury.sign(replayed, CALLER)
    assert desk.kms.signatures == 1
