"""What the signer writes is what the verification accepts."""

from __future__ import annotations

from collections import Counter

import pytest

from bursar.chains.evm import Scheme
from bursar.errors import (
    BlindSigningDisabled,
    BursarError,
    IntentMismatch,
    KmsThrottled,
    KmsTimeout,
    MalformedSignature,
    NeedsApproval,
)
from bursar.ledger.book import Book
from bursar.ledger.findings import Verification
from bursar.ledger.receipts import moment_text
from bursar.ledger.verification import Known, verify
from bursar.policy.rulebook import Rulebook
from bursar.signing_contract import Caller, DigestRequest
from tests.unit.signing.scene import (
    ADA,
    APPROVED,
    CALLER,
    KEY,
    POLICY,
    Desk,
    intent,
    unanswered,
)


def checked(desk: Desk) -> Verification:
    book = Book(desk.store, KEY)
    hashes = [Rulebook.read(desk.policy).hash]
    known = Known(desk.kms.address, KEY, heads=[book.head()], policy_hashes=hashes)
    return verify(book.receipts(), known)


def test_signatures_failures_refusals_and_repetitions_are_accounted_for():
    desk = Desk()
    desk.kms.failures = [
        KmsThrottled("busy"),
        unanswered(KmsTimeout("late"), 3),
        MalformedSignature("bad"),
    ]
    payments = desk.payments(4)
    for request in (*payments, payments[3], payments[0]):
        try:
            desk.treasury.sign(request, CALLER)
        except (KmsThrottled, KmsTimeout, MalformedSignature):
            continue
    with pytest.raises(IntentMismatch):
        desk.treasury.sign(desk.request(intent=intent(amount=7)), CALLER)
    stranger = Caller("arn:aws:iam::111122223333:user/mallory", "api")
    with pytest.raises(BursarError):
        desk.treasury.sign(desk.payments(5)[4], stranger)
    found = checked(desk)
    assert (found.problems, found.notes) == ((), ())
    counts = found.counts
    assert (counts.allowed, counts.repeated, counts.refused) == (6, 1, 2)
    assert (counts.signatures, counts.failures, counts.unanswered) == (2, 3, 3)
    assert desk.kms.signatures == counts.signatures + counts.failures


def test_consents_and_what_waited_for_them_are_accounted_for():
    desk = Desk(policy=POLICY + APPROVED)
    request = desk.request()
    with pytest.raises(NeedsApproval):
        desk.treasury.sign(request, CALLER)
    desk.treasury.consent(desk.approval(dict(request.transaction)), Caller(ADA, "api"))
    desk.treasury.sign(request, CALLER)
    found = checked(desk)
    assert (found.problems, found.notes) == ((), ())
    assert Counter(desk.events) == {"decision": 2, "consent": 1, "signature": 1}
    assert found.counts.needs_approval == 1


@pytest.mark.parametrize("scheme", Scheme)
def test_bare_hashes_are_accounted_for(scheme):
    blind = 'allow = ["blind_signing"]\n'
    desk = Desk(policy=blind + POLICY, blind_signing=True)
    desk.treasury.sign(DigestRequest(b"\x07" * 32, desk.kms.address, scheme), CALLER)
    with pytest.raises(BlindSigningDisabled):
        Desk.again(Desk(store=desk.store), desk.policy).treasury.sign(
            DigestRequest(b"\x08" * 32, desk.kms.address, scheme), CALLER
        )
    found = checked(desk)
    assert (found.problems, found.notes) == ((), ())
    assert (found.counts.signatures, found.counts.refused) == (1, 1)


def test_a_signer_that_dies_while_kms_signs_leaves_a_note():
    desk = Desk()
    desk.kms.failures = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        desk.treasury.sign(desk.request(), CALLER)
    found = checked(desk)
    assert found.sound
    assert [(note.number, note.code.value) for note in found.notes] == [(1, "outcome_unknown")]


def test_a_consent_that_was_put_into_the_ledger_is_found():
    desk = Desk(policy=POLICY + APPROVED)
    request = desk.request()
    with pytest.raises(NeedsApproval):
        desk.treasury.sign(request, CALLER)
    digest = "0x" + request.digest.hex()
    at = moment_text(desk.clock.now)
    desk.store.books[KEY][f"consent#{digest}#{ADA}"] = f'{{"at":"{at}"}}'
    assert desk.treasury.sign(request, CALLER)
    assert [each.code for each in checked(desk).problems] == ["no_consent"]


def test_a_consent_that_was_given_is_accounted_for():
    desk = Desk(policy=POLICY + APPROVED)
    request = desk.request()
    with pytest.raises(NeedsApproval):
        desk.treasury.sign(request, CALLER)
    desk.treasury.consent(desk.approval(request.transaction), Caller(ADA, "api"))
    desk.clock.step(minutes=5)
    assert desk.treasury.sign(request, CALLER)
    assert checked(desk).sound
