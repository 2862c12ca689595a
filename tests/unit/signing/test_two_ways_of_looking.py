"""One operation, looked at as a transfer and as a bare hash or as what cannot be verified: neither gives way."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bursar.chains.evm import Scheme
from bursar.errors import AlreadySigned, NeedsApproval, NotWaiting, PolicyViolation
from bursar.signing_contract import ApprovalRequest, Caller, DigestRequest
from tests.unit.signing.scene import (
    ADA,
    APPROVED,
    CALLER,
    DAILY,
    POLICY,
    Desk,
    dearer,
    hash_of,
    numbered,
)

OPEN = (
    POLICY.replace("version = 7", 'version = 7\nallow = ["unverifiable", "blind_signing"]')
    + '\n[[limits]]\nper = "day"\ncount = 50\n'
)


@pytest.fixture
def desk() -> Desk:
    return Desk(policy=OPEN, blind_signing=True)


def unreadable(transaction: dict[str, Any]) -> dict[str, Any]:
    found = copy.deepcopy(transaction)
    found["onChain"]["userOperation"]["paymasterAndData"] = "0x"
    return found


def blind(desk: Desk, transaction: Any, scheme: Scheme = Scheme.RAW) -> None:
    request = DigestRequest(hash_of(transaction), desk.kms.address, scheme)
    desk.treasury.sign(request, CALLER)


def test_a_bare_hash_of_a_payment_does_not_give_back_what_the_payment_took(desk):
    requests = desk.payments(DAILY + 1)
    for request in requests[:DAILY]:
        desk.treasury.sign(request, CALLER)
        blind(desk, request.transaction)
    with pytest.raises(PolicyViolation, match="usdc with this one"):
        desk.treasury.sign(requests[DAILY], CALLER)


def test_nor_does_what_cannot_be_verified(desk):
    requests = desk.payments(DAILY + 1)
    for request in requests[:DAILY]:
        desk.treasury.sign(request, CALLER)
    again = unreadable(dict(requests[0].transaction))
    asked = desk.request(again, accept=("unverifiable",), scheme=Scheme.RAW)
    desk.treasury.sign(asked, CALLER)
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(requests[DAILY], CALLER)


def test_a_payment_that_was_signed_blindly_first_takes_its_amount_when_it_is_seen(desk):
    requests = desk.payments(DAILY + 1)
    for request in requests[:DAILY]:
        blind(desk, request.transaction, Scheme.EIP191)
        desk.treasury.sign(request, CALLER)
    assert desk.kms.signatures == DAILY
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(requests[DAILY], CALLER)


def test_one_id_is_one_payment_whether_it_can_be_verified_or_not(desk):
    first = unreadable(desk.waiting(numbered(1), name="tx-1"))
    asked = desk.request(first, id="payroll-1", accept=("unverifiable",))
    desk.treasury.sign(asked, CALLER)
    desk.treasury.sign(asked, CALLER)
    second = unreadable(desk.waiting(numbered(2), name="tx-2"))
    for other in (
        desk.request(second, id="payroll-1", accept=("unverifiable",)),
        desk.request(desk.waiting(numbered(3), name="tx-3"), id="payroll-1"),
    ):
        with pytest.raises(AlreadySigned):
            desk.treasury.sign(other, CALLER)
    assert desk.kms.signatures == 1


def test_a_consent_to_a_bare_hash_is_none_to_the_payment_behind_it(desk):
    desk = desk.again(OPEN + APPROVED)
    request = desk.request()
    with pytest.raises(NeedsApproval):
        desk.treasury.sign(request, CALLER)
    looked_at = desk.approval(request.transaction)
    bare = ApprovalRequest(
        looked_at.digest, looked_at.signer, message_hash=hash_of(request.transaction)
    )
    with pytest.raises(NotWaiting, match="consent is to what it does"):
        desk.treasury.consent(bare, Caller(ADA, "api"))


def test_a_made_up_id_does_not_keep_the_honest_request_from_being_signed():
    desk = Desk(policy=POLICY + APPROVED)
    honest = desk.waiting()
    for waiting in ({**honest, "id": "forged"}, honest):
        with pytest.raises(NeedsApproval):
            desk.treasury.sign(desk.request(waiting), CALLER)
    desk.treasury.consent(desk.approval(honest), Caller(ADA, "api"))
    assert desk.treasury.sign(desk.request(honest), CALLER)


def test_an_operation_that_was_looked_at_keeps_its_nonce_when_it_comes_as_unverifiable(desk):
    request = desk.request(id="rent")
    desk.treasury.sign(request, CALLER)
    again = unreadable(dict(request.transaction))
    desk.treasury.sign(desk.request(again, id="rent", accept=("unverifiable",)), CALLER)
    estimated_again = desk.waiting(dearer(numbered(0), 2))
    assert desk.treasury.sign(desk.request(estimated_again, id="rent"), CALLER)
