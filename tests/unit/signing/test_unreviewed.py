"""What a review cannot look at, and what changes who owns the wallet: only where somebody said so by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import (
    BlindSigningDisabled,
    DigestError,
    IntentMismatch,
    PolicyViolation,
    SignerMismatch,
    Unverifiable,
)
from bursar.review.intent import SignerChangeIntent
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.abi import call_data
from bursar.signing_contract import SigningRequest
from tests.unit.review import scene
from tests.unit.signing.scene import CALLER, DAILY, POLICY, Desk, doing, hash_of

MEMBER, STRANGER = scene.address("new member"), scene.address("stranger")
BLIND = 'allow = ["blind_signing"]\n' + POLICY
UNSEEN = 'allow = ["unverifiable"]\n' + POLICY
CHANGES = 'allow = ["signer_changes"]\n' + POLICY
COUNTED = """
[[limits]]
per = "day"
count = 2
"""


def broken(desk: Desk, **changes: Any) -> dict[str, Any]:
    """A transaction whose operation nobody can read."""
    found = desk.waiting() | changes
    del found["onChain"]
    return found


def change() -> kernel.Call:
    return kernel.Call(scene.VALIDATOR, 0, call_data("addSigner(address)", MEMBER))


def test_a_bare_hash_needs_the_deployments_leave_and_the_policys() -> None:
    off = Desk(policy=BLIND)
    with pytest.raises(BlindSigningDisabled):
        off.treasury.sign(off.blind(), CALLER)
    assert (off.kms.calls, off.outcomes) == ([], ["refused"])
    unlisted = Desk(blind_signing=True)
    with pytest.raises(PolicyViolation) as refused:
        unlisted.treasury.sign(unlisted.blind(), CALLER)
    assert refused.value.rule == "allow.blind_signing"
    assert (unlisted.kms.signatures, unlisted.outcomes) == (0, ["refused"])


def test_a_bare_hash_that_both_allow_is_signed_once_and_said_to_be_unseen() -> None:
    desk = Desk(policy=BLIND, blind_signing=True)
    first = desk.treasury.sign(desk.blind(), CALLER)
    again = desk.treasury.sign(desk.blind(), CALLER)
    assert first.signed.signature == again.signed.signature
    assert (first.policy["reviewed"], first.policy["sentence"]) == (False, None)
    assert desk.kms.signatures == 1
    assert desk.receipts[0][1]["review"] is None


def test_a_bare_hash_for_another_signer_is_refused_on_record() -> None:
    desk = Desk(policy=BLIND, blind_signing=True)
    with pytest.raises(SignerMismatch):
        desk.treasury.sign(desk.blind(signer_address=scene.OWNER), CALLER)
    assert (desk.kms.signatures, desk.outcomes) == (0, ["refused"])


@pytest.mark.parametrize("message", [bytes(32), b"short"])
def test_what_is_no_digest_is_not_signed(message: bytes) -> None:
    desk = Desk(policy=BLIND, blind_signing=True)
    with pytest.raises(DigestError):
        desk.treasury.sign(desk.blind(message, scheme=Scheme.RAW), CALLER)
    assert desk.kms.signatures == 0


def test_bare_hashes_count_in_the_windows_over_everything() -> None:
    desk = Desk(policy=BLIND + COUNTED, blind_signing=True)
    for at in (1, 2):
        desk.treasury.sign(desk.blind(bytes([at]) * 32), CALLER)
    with pytest.raises(PolicyViolation, match="3 payments"):
        desk.treasury.sign(desk.blind(b"\x03" * 32), CALLER)


def test_a_bare_hash_does_not_get_round_the_review_of_what_was_refused() -> None:
    """The hash of a stolen payment is a bare hash like any other: the switch lets it through, and nothing else."""
    desk = Desk(blind_signing=True)
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(desk.blind(hash_of(desk.waiting())), CALLER)


def test_what_cannot_be_verified_needs_to_be_accepted_by_name_and_by_the_policy() -> None:
    desk = Desk(policy=UNSEEN, blind_signing=True)
    with pytest.raises(Unverifiable):
        desk.treasury.sign(desk.request(broken(desk)), CALLER)
    assert (desk.kms.calls, desk.outcomes) == ([], ["refused"])
    unlisted = Desk(blind_signing=True)
    with pytest.raises(PolicyViolation) as refused:
        unlisted.treasury.sign(unlisted.request(broken(unlisted), accept=("unverifiable",)), CALLER)
    assert refused.value.rule == "allow.unverifiable"
    assert (unlisted.kms.signatures, unlisted.outcomes) == (0, ["refused"])


def test_what_both_accept_unverified_is_signed_and_the_record_says_so() -> None:
    desk = Desk(policy=UNSEEN, blind_signing=True)
    answer = desk.treasury.sign(desk.request(broken(desk), accept=("unverifiable",)), CALLER)
    evm.parse_signature(answer.signed.signature.to_bytes(), answer.signed.digest, desk.kms.address)
    body = desk.receipts[0][1]
    assert (body["review"], body["request"]["accept"]) == (None, ["unverifiable"])
    assert body["proposal"]["kind"] == "unverifiable"
    assert answer.policy["reviewed"] is False


def test_what_could_be_verified_is_reviewed_though_less_would_have_been_accepted() -> None:
    desk = Desk(policy=UNSEEN, blind_signing=True)
    theft = desk.waiting(doing(kernel.Call(scene.USDC, 0, b"")))
    accepted = desk.request(theft, accept=("unverifiable",))
    with pytest.raises(IntentMismatch):
        desk.treasury.sign(accepted, CALLER)


def test_an_unverified_message_that_is_not_ours_or_not_one_is_refused_all_the_same() -> None:
    desk = Desk(policy=UNSEEN, blind_signing=True)
    two = broken(desk)
    pending = two["approvals"]["pending"]
    pending.append(pending[0] | {"message": "0x" + "22" * 32})
    for found in (two, broken(desk, status="pending"), broken(desk, approvals={"pending": []})):
        with pytest.raises(Exception, match=r"waits for|status is"):
            desk.treasury.sign(desk.request(found, accept=("unverifiable",)), CALLER)
    assert desk.kms.calls == []
    assert desk.outcomes == ["refused"] * 3


def test_a_change_of_signers_needs_the_policys_leave() -> None:
    desk = Desk()
    transaction = desk.waiting(doing(change()))
    asked = SignerChangeIntent(scene.CHAIN, True, MEMBER, scene.VALIDATOR)
    with pytest.raises(PolicyViolation) as refused:
        desk.treasury.sign(desk.request(transaction, intent=asked), CALLER)
    assert refused.value.rule == "allow.signer_changes"
    assert desk.kms.signatures == 0
    desk = desk.again(CHANGES)
    assert desk.treasury.sign(desk.request(transaction, intent=asked), CALLER)
    assert MEMBER in desk.receipts[-2][1]["review"]["sentence"]


@pytest.mark.parametrize(
    "asked",
    [
        SignerChangeIntent(scene.CHAIN, True, STRANGER, scene.VALIDATOR),
        SignerChangeIntent(scene.CHAIN, False, MEMBER, scene.VALIDATOR),
        SignerChangeIntent("base", True, MEMBER, scene.VALIDATOR),
        scene.INTENT,
    ],
    ids=["another signer", "removed, not added", "another chain", "a payment"],
)
def test_another_change_of_signers_than_was_asked_for_is_refused(asked: Any) -> None:
    desk = Desk(policy=CHANGES)
    with pytest.raises(IntentMismatch):
        desk.treasury.sign(desk.request(desk.waiting(doing(change())), intent=asked), CALLER)
    assert (desk.kms.calls, desk.outcomes) == ([], ["refused"])


def test_a_payment_is_no_change_of_signers_and_a_mixture_is_neither() -> None:
    desk = Desk(policy=CHANGES)
    asked = SignerChangeIntent(scene.CHAIN, True, MEMBER, scene.VALIDATOR)
    mixture = desk.waiting(doing(change(), scene.PAY))
    for transaction in (desk.waiting(), mixture):
        for intent in (asked, scene.INTENT):
            if transaction is not mixture and intent is scene.INTENT:
                continue
            with pytest.raises(IntentMismatch):
                desk.treasury.sign(desk.request(transaction, intent=intent), CALLER)
    assert desk.kms.calls == []


def test_a_switch_for_one_kind_opens_no_other() -> None:
    for policy in (BLIND, UNSEEN, CHANGES):
        desk = replace(Desk(policy=policy), blind_signing=True)
        requests: dict[str, SigningRequest] = {
            "blind_signing": desk.blind(),
            "unverifiable": desk.request(broken(desk), accept=("unverifiable",)),
            "signer_changes": desk.request(
                desk.waiting(doing(change()), name="tx-2"),
                intent=SignerChangeIntent(scene.CHAIN, True, MEMBER, scene.VALIDATOR),
            ),
        }
        for name, request in requests.items():
            if name in policy.splitlines()[0]:
                assert desk.treasury.sign(request, CALLER)
            else:
                with pytest.raises(PolicyViolation, match=name):
                    desk.treasury.sign(request, CALLER)


def test_a_hash_that_was_signed_blindly_uses_up_the_id_it_is_paid_under_later() -> None:
    desk = Desk(policy=BLIND, blind_signing=True)
    request = desk.request(id="rent")
    blind = desk.blind(request.message_hash)
    first = desk.treasury.sign(blind, CALLER)
    assert desk.treasury.sign(request, CALLER).signed.signature == first.signed.signature
    with pytest.raises(Exception, match="signed before as operation"):
        desk.treasury.sign(replace(desk.payments(1)[0], id="rent"), CALLER)
    assert DAILY > desk.kms.signatures == 1
