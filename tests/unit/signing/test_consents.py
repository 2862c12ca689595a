"""Two pairs of eyes: whose consent counts, to what exactly, and for how long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import (
    DigestError,
    KmsThrottled,
    NeedsApproval,
    NotAwaitingApproval,
    NotWaiting,
    PolicyViolation,
)
from bursar.signing_contract import ApprovalRequest, Caller
from tests.unit.review import scene
from tests.unit.signing.scene import (
    ACCOUNT,
    ADA,
    APPROVED,
    BY_ADA,
    BY_GRACE,
    CALLER,
    GRACE,
    PAYROLL,
    POLICY,
    Desk,
    dearer,
    hash_of,
)

TWO = APPROVED.replace("approvers = 1", "approvers = 2")
UNSEEN = 'allow = ["blind_signing", "unverifiable"]\n'
OTHER_SESSION = Caller("arn:aws:sts::111122223333:assumed-role/payroll/laptop", "api")
MALLORY = Caller(f"{ACCOUNT}:user/mallory", "api")


@pytest.fixture
def desk() -> Desk:
    return Desk(policy=POLICY + APPROVED)


def ask(desk: Desk, caller: Caller = CALLER, **changes: Any) -> NeedsApproval:
    with pytest.raises(NeedsApproval) as waiting:
        desk.treasury.sign(desk.request(**changes), caller)
    return waiting.value


def give(desk: Desk, caller: Caller = BY_ADA, **changes: Any) -> int:
    return desk.treasury.consent(desk.approval(desk.waiting(), **changes), caller).missing


def test_a_refusal_says_what_to_consent_to_who_may_not_and_how(desk: Desk) -> None:
    waiting = ask(desk)
    digest = evm.digest_of(hash_of(desk.waiting()), Scheme.EIP191)
    assert (waiting.digest, waiting.missing) == ("0x" + digest.hex(), 1)
    assert waiting.not_from == (PAYROLL,)
    assert "bursar approve tx-1" in str(waiting.hint)
    assert (desk.kms.signatures, desk.outcomes, desk.spent) == (0, ["needs_approval"], [])


def test_another_ones_consent_releases_it(desk: Desk) -> None:
    ask(desk)
    given = desk.treasury.consent(desk.approval(desk.waiting()), BY_ADA)
    assert (given.by, given.missing, desk.kms.signatures) == (ADA, 0, 0)
    assert given.policy["receipt"]["number"] == 2
    assert desk.treasury.sign(desk.request(), CALLER)
    assert desk.receipts[1][1]["review"]["sentence"].startswith("pay 0.2 usdc")


def test_two_consents_are_those_of_two_people(desk: Desk) -> None:
    desk = desk.again(POLICY + TWO)
    assert ask(desk).missing == 2
    assert give(desk) == 1
    assert give(desk) == 1
    assert ask(desk).missing == 1
    assert give(desk, BY_GRACE) == 0
    assert desk.treasury.sign(desk.request(), CALLER)


@pytest.mark.parametrize("caller", [CALLER, OTHER_SESSION, Caller(PAYROLL, "api")])
def test_nobody_consents_to_what_they_asked_for_whatever_the_session(
    desk: Desk, caller: Caller
) -> None:
    ask(desk)
    with pytest.raises(PolicyViolation, match="nobody approves their own request"):
        give(desk, caller)
    assert desk.events == ["decision"]


def test_whoever_asked_first_does_not_count_when_somebody_else_asks_the_second_time(
    desk: Desk,
) -> None:
    ask(desk)
    ask(desk, BY_GRACE)
    with pytest.raises(PolicyViolation, match="nobody approves their own request"):
        give(desk, OTHER_SESSION)
    with pytest.raises(PolicyViolation, match="nobody approves their own request"):
        give(desk, BY_GRACE)
    assert give(desk, BY_ADA) == 0
    assert desk.treasury.sign(desk.request(), BY_GRACE)


def test_whoever_consented_and_then_asks_has_asked(desk: Desk) -> None:
    ask(desk)
    give(desk, BY_GRACE)
    ask(desk, BY_GRACE)
    ask(desk, CALLER)
    assert desk.kms.signatures == 0


@pytest.mark.parametrize("caller", [MALLORY, Caller(None, "invoke"), Caller("*", "api")])
def test_an_approver_nobody_named_does_not_count_and_is_not_recorded(
    desk: Desk, caller: Caller
) -> None:
    ask(desk)
    with pytest.raises(PolicyViolation) as refused:
        give(desk, caller)
    assert refused.value.rule == "approvals"
    assert desk.events == ["decision"]


def test_a_denied_approver_does_not_count(desk: Desk) -> None:
    ask(desk)
    denying = POLICY.replace("[callers]", f'[callers]\ndeny = ["{ADA}"]') + APPROVED
    with pytest.raises(PolicyViolation):
        give(desk.again(denying))
    give(desk)
    with pytest.raises(NeedsApproval):
        desk.again(denying).treasury.sign(desk.request(), CALLER)


def test_a_consent_before_anybody_asked_is_none(desk: Desk) -> None:
    with pytest.raises(NotWaiting):
        give(desk)
    assert desk.receipts == []


def test_a_consent_to_what_was_refused_is_none(desk: Desk) -> None:
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(desk.request(), MALLORY)
    with pytest.raises(NotWaiting):
        give(desk)


def test_a_consent_to_what_was_signed_is_none(desk: Desk) -> None:
    ask(desk)
    give(desk)
    desk.treasury.sign(desk.request(), CALLER)
    with pytest.raises(NotWaiting):
        give(desk, BY_GRACE)


def test_a_consent_is_to_one_digest_and_to_nothing_else(desk: Desk) -> None:
    dear = desk.waiting(dearer(scene.OPERATION, 2))
    ask(desk)
    ask(desk, transaction=dear)
    ask(desk, scheme=Scheme.RAW)
    give(desk)
    assert ask(desk, transaction=dear).missing == 1
    assert ask(desk, scheme=Scheme.RAW).missing == 1
    assert desk.treasury.sign(desk.request(), CALLER)


def test_the_other_scheme_can_be_consented_to_after_the_first_was_signed(desk: Desk) -> None:
    ask(desk)
    give(desk)
    desk.treasury.sign(desk.request(), CALLER)
    ask(desk, scheme=Scheme.RAW)
    give(desk, scheme=Scheme.RAW, digest=hash_of(desk.waiting()))
    assert desk.treasury.sign(desk.request(scheme=Scheme.RAW), CALLER)
    assert len(desk.spent) == 1


def test_a_consent_expires_and_can_be_renewed(desk: Desk) -> None:
    ask(desk)
    give(desk)
    desk.clock.step(hours=8)
    ask(desk)
    give(desk)
    desk.clock.step(hours=7, minutes=59, seconds=59)
    assert desk.treasury.sign(desk.request(), CALLER)


def test_a_signature_is_given_again_once_an_expired_consent_is_renewed(desk: Desk) -> None:
    ask(desk)
    give(desk)
    first = desk.treasury.sign(desk.request(), CALLER)
    desk.clock.step(hours=9)
    ask(desk)
    give(desk)
    assert desk.treasury.sign(desk.request(), CALLER).signed.signature == first.signed.signature
    assert desk.kms.signatures == 1
    with pytest.raises(NotWaiting):
        give(desk, BY_GRACE)


def test_a_policy_that_changed_since_the_consent_is_judged_again(desk: Desk) -> None:
    ask(desk)
    give(desk)
    stricter = POLICY + APPROVED.replace(f'"{ADA}", ', "")
    with pytest.raises(NeedsApproval):
        desk.again(stricter).treasury.sign(desk.request(), CALLER)
    capped = POLICY.replace('per_transfer = "10.00"', 'per_transfer = "0.10"') + APPROVED
    with pytest.raises(PolicyViolation, match="per_transfer"):
        desk.again(capped).treasury.sign(desk.request(), CALLER)
    assert desk.kms.signatures == 0


def test_a_consent_survives_a_failure_of_kms(desk: Desk) -> None:
    ask(desk)
    give(desk)
    desk.kms.failures = [KmsThrottled("busy")]
    with pytest.raises(KmsThrottled):
        desk.treasury.sign(desk.request(), CALLER)
    assert desk.treasury.sign(desk.request(), CALLER)


def test_a_wrong_digest_is_told_and_not_recorded(desk: Desk) -> None:
    ask(desk)
    for wrong in (b"\x01" * 32, hash_of(desk.waiting())):
        with pytest.raises(DigestError, match="the digest is"):
            give(desk, digest=wrong)
    with pytest.raises(DigestError):
        give(desk, scheme=Scheme.RAW)
    assert desk.events == ["decision"]


def test_an_altered_transaction_is_not_consented_to(desk: Desk) -> None:
    ask(desk)
    digest = evm.digest_of(hash_of(desk.waiting()), Scheme.EIP191)
    altered = desk.waiting(dearer(scene.OPERATION, 3))
    with pytest.raises(DigestError):
        desk.treasury.consent(desk.approval(altered, digest=digest), BY_ADA)
    settled = desk.waiting() | {"status": "success"}
    with pytest.raises(NotAwaitingApproval):
        desk.treasury.consent(desk.approval(settled), BY_ADA)
    assert desk.events == ["decision"]


def test_a_bare_hash_waits_for_consent_too(desk: Desk) -> None:
    desk = replace(desk, policy=UNSEEN + POLICY + APPROVED, blind_signing=True)
    blind = desk.blind()
    with pytest.raises(NeedsApproval, match="waits for approval") as waiting:
        desk.treasury.sign(blind, CALLER)
    assert f"bursar approve 0x{blind.message_hash.hex()}" in str(waiting.value.hint)
    consent = ApprovalRequest(blind.digest, desk.locator, message_hash=blind.message_hash)
    with pytest.raises(DigestError):
        desk.treasury.consent(replace(consent, digest=blind.message_hash), BY_ADA)
    assert desk.treasury.consent(consent, BY_ADA).missing == 0
    assert desk.treasury.sign(blind, CALLER)
    assert desk.events == ["decision", "consent", "decision", "signature"]


def test_what_cannot_be_verified_waits_for_consent_too(desk: Desk) -> None:
    desk = replace(desk.again(UNSEEN + POLICY + APPROVED), blind_signing=True)
    transaction = desk.waiting()
    del transaction["onChain"]
    request = desk.request(transaction, accept=("unverifiable",))
    with pytest.raises(NeedsApproval):
        desk.treasury.sign(request, CALLER)
    consent = replace(desk.approval(desk.waiting()), transaction=transaction)
    with pytest.raises(NotAwaitingApproval, match="does not wait for that digest"):
        desk.treasury.consent(replace(consent, digest=b"\x01" * 32), BY_ADA)
    assert desk.treasury.consent(consent, BY_ADA).missing == 0
    assert desk.treasury.sign(request, CALLER)


def test_consents_of_one_key_do_not_count_for_another(desk: Desk) -> None:
    ask(desk)
    give(desk)
    other = replace(desk, key=desk.key.replace("1111", "9999"))
    with pytest.raises(NeedsApproval):
        other.treasury.sign(desk.request(), CALLER)


def test_an_approver_of_another_rule_does_not_count_for_this_one() -> None:
    rules = f"""
[[approvals]]
approvers = 1
by = ["{GRACE}"]
within = "8h"
[[approvals]]
token = "usdc"
above = "5.00"
approvers = 1
by = ["{ADA}"]
within = "8h"
"""
    desk = Desk(policy=POLICY + rules)
    ask(desk)
    with pytest.raises(PolicyViolation, match="approvers are those the approval rules name"):
        give(desk, BY_ADA)
    assert give(desk, BY_GRACE) == 0


def test_each_of_two_approvers_is_told_how_many_more_it_takes() -> None:
    two = APPROVED.replace("approvers = 1", "approvers = 2").replace(f'"{GRACE}", ', "")
    eve = "arn:aws:iam::111122223333:user/eve"
    desk = Desk(policy=POLICY + two.replace("by = [", f'by = ["{eve}", '))
    request = desk.request()
    with pytest.raises(NeedsApproval):
        desk.treasury.sign(request, CALLER)
    approval = desk.approval(request.transaction)
    assert desk.treasury.consent(approval, BY_ADA).missing == 1
    assert desk.treasury.consent(approval, BY_ADA).missing == 1
    assert desk.treasury.consent(approval, Caller(eve, "api")).missing == 0
    assert desk.treasury.sign(request, CALLER)
