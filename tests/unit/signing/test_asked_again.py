"""Asked twice, signed once: again, at the same time, after a crash, under another scheme, under another name."""

from __future__ import annotations

from dataclasses import replace
from threading import Event

import pytest

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import AlreadySigned, KmsThrottled, PolicyViolation, SigningInProgress
from bursar.signing_contract import Answer
from tests.fakes.memory_store import MemoryStore
from tests.unit.review import scene
from tests.unit.signing.scene import CALLER, DAILY, KEY, Desk, dearer, numbered, together


class Killed(BaseException):
    """The process ends here: nobody writes anything down."""


@pytest.fixture
def desk() -> Desk:
    return Desk()


def crash(desk: Desk, request) -> None:
    desk.kms.failures = [Killed()]
    with pytest.raises(Killed):
        desk.treasury.sign(request, CALLER)


def test_another_process_gives_the_same_signature(desk: Desk) -> None:
    first = desk.treasury.sign(desk.request(), CALLER)
    again = replace(desk).treasury.sign(desk.request(), CALLER)
    assert again.signed == replace(first.signed, unanswered=again.signed.unanswered)
    assert desk.kms.signatures == 1
    assert desk.events == ["decision", "signature", "decision"]
    assert desk.receipts[-1][1]["earlier"] is True


def test_the_other_scheme_is_another_signature_and_spends_no_more(desk: Desk) -> None:
    first = desk.treasury.sign(desk.request(), CALLER)
    other = desk.treasury.sign(desk.request(scheme=Scheme.RAW), CALLER)
    assert first.signed.digest != other.signed.digest
    evm.parse_signature(other.signed.signature.to_bytes(), other.signed.digest, desk.kms.address)
    assert (desk.kms.signatures, len(desk.spent)) == (2, 1)


def test_a_signature_once_given_is_judged_again_when_it_is_asked_for_again(desk: Desk) -> None:
    desk.treasury.sign(desk.request(), CALLER)
    stricter = desk.again(desk.policy.replace('per_transfer = "10.00"', 'per_transfer = "0.10"'))
    with pytest.raises(PolicyViolation):
        stricter.treasury.sign(desk.request(), CALLER)


def test_of_two_requests_at_once_one_asks_kms_and_the_other_is_told_to_wait(desk: Desk) -> None:
    desk.hurried = False
    asked, answered = Event(), Event()

    def wait() -> None:
        asked.set()
        assert answered.wait(30)

    def second() -> Answer:
        assert asked.wait(30)
        try:
            return desk.treasury.sign(desk.request(), CALLER)
        finally:
            answered.set()

    desk.kms.before_signing = wait
    first, other = together([lambda: desk.treasury.sign(desk.request(), CALLER), second])
    assert isinstance(first, Answer)
    assert isinstance(other, SigningInProgress)
    assert other.retryable
    assert desk.kms.signatures == 1


def test_of_many_requests_at_once_each_has_the_one_signature_or_is_told_to_wait(
    desk: Desk,
) -> None:
    desk.hurried = False
    tasks = [lambda: desk.treasury.sign(desk.request(), CALLER)] * 6
    found = together(tasks)
    answers = [each for each in found if isinstance(each, Answer)]
    assert len({each.signed.signature.to_hex() for each in answers}) == 1
    assert all(isinstance(each, Answer | SigningInProgress) for each in found)
    assert (desk.kms.signatures, len(desk.spent)) == (1, 1)


def test_after_a_crash_nobody_signs_before_the_lease_ends_and_then_it_is_signed_and_spent_once(
    desk: Desk,
) -> None:
    crash(desk, desk.request())
    assert desk.events == ["decision"]
    with pytest.raises(SigningInProgress):
        desk.treasury.sign(desk.request(), CALLER)
    desk.clock.step(seconds=39.9)
    with pytest.raises(SigningInProgress):
        desk.treasury.sign(desk.request(), CALLER)
    desk.clock.step(seconds=0.1)
    assert desk.treasury.sign(desk.request(), CALLER)
    assert desk.events == ["decision", "decision", "signature"]
    assert len(desk.spent) == 1


def test_after_a_crash_a_throttled_key_gives_nothing_back_for_kms_may_have_signed_before(
    desk: Desk,
) -> None:
    crash(desk, desk.request(id="rent"))
    desk.clock.step(minutes=1)
    desk.kms.failures = [KmsThrottled("busy")]
    with pytest.raises(KmsThrottled):
        desk.treasury.sign(desk.request(id="rent"), CALLER)
    assert (len(desk.spent), desk.receipts[-1][1]["released"]) == (1, False)
    with pytest.raises(AlreadySigned):
        desk.treasury.sign(desk.request(desk.waiting(numbered(1), name="tx-2"), id="rent"), CALLER)


def test_what_was_begun_long_ago_is_spent_when_it_is_signed(desk: Desk) -> None:
    old = desk.payments(DAILY)
    for request in old:
        crash(desk, request)
    desk.clock.step(days=2)
    new = [
        desk.request(desk.waiting(numbered(at), name=f"tx-{at}")) for at in range(10, 10 + DAILY)
    ]
    for request in [*old[:2], *new[:3]]:
        desk.treasury.sign(request, CALLER)
    for request in [*old[2:], *new[3:]]:
        with pytest.raises(PolicyViolation, match=r"1\.2 usdc"):
            desk.treasury.sign(request, CALLER)
    assert len(desk.spent) == 2 * DAILY - 2


def test_who_was_overtaken_neither_ends_the_others_turn_nor_gives_back_what_is_theirs(
    desk: Desk,
) -> None:
    """The first one sleeps in KMS past its lease; a second one begins; then the first one fails."""
    desk.kms.failures = [KmsThrottled("busy"), Killed()]

    def overtake() -> None:
        desk.kms.before_signing = lambda: None
        desk.clock.step(minutes=1)
        failure = desk.kms.failures.pop(0)
        with pytest.raises(Killed):
            desk.treasury.sign(desk.request(), CALLER)
        desk.kms.failures = [failure]

    desk.kms.before_signing = overtake
    with pytest.raises(KmsThrottled):
        desk.treasury.sign(desk.request(), CALLER)
    assert desk.receipts[-1][1]["released"] is False
    assert len(desk.spent) == 1
    with pytest.raises(SigningInProgress):
        desk.treasury.sign(desk.request(), CALLER)


def test_two_keys_over_one_store_have_books_of_their_own(desk: Desk) -> None:
    other = Desk(store=desk.store, clock=desk.clock, key=KEY.replace("1111", "9999"))
    for each in (desk, other):
        for request in each.payments(DAILY):
            each.treasury.sign(replace(request, id=f"{request.transaction['id']}"), CALLER)
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(desk.payments(DAILY + 1)[-1], CALLER)
    assert (desk.kms.signatures, other.kms.signatures) == (DAILY, DAILY)
    assert {body["address"] for event, body in other.receipts if event == "signature"} == {
        other.kms.address
    }


def test_an_operation_shown_as_another_transaction_is_not_signed_again(desk: Desk) -> None:
    desk.treasury.sign(desk.request(desk.waiting(name="A")), CALLER)
    with pytest.raises(AlreadySigned, match="asked for before as transaction A, not as B"):
        desk.treasury.sign(desk.request(desk.waiting(name="B")), CALLER)
    assert desk.outcomes == ["allowed", "refused"]


@pytest.mark.parametrize(("name", "own"), [("tx-1", None), ("tx-1", "b"), ("tx-2", "a")])
def test_an_id_that_paid_pays_no_other_nonce(desk: Desk, name: str, own: str | None) -> None:
    desk.treasury.sign(desk.request(id="a"), CALLER)
    other = desk.request(desk.waiting(numbered(1), name=name), id=own)
    with pytest.raises(AlreadySigned, match="signed before as operation"):
        desk.treasury.sign(other, CALLER)
    assert (desk.kms.signatures, desk.outcomes) == (1, ["allowed", "refused"])


def test_an_id_pays_its_own_nonce_with_gas_that_was_estimated_again(desk: Desk) -> None:
    first = desk.treasury.sign(desk.request(id="a"), CALLER)
    again = desk.request(desk.waiting(dearer(scene.OPERATION, 2)), id="a")
    assert desk.treasury.sign(again, CALLER).signed.digest != first.signed.digest


def test_gas_estimated_again_never_frees_the_id_of_what_was_signed(desk: Desk) -> None:
    desk.treasury.sign(desk.request(id="a"), CALLER)
    desk.kms.failures = [KmsThrottled("busy")]
    with pytest.raises(KmsThrottled):
        desk.treasury.sign(desk.request(desk.waiting(dearer(scene.OPERATION, 2)), id="a"), CALLER)
    with pytest.raises(AlreadySigned):
        desk.treasury.sign(desk.request(desk.waiting(numbered(1)), id="a"), CALLER)
    assert desk.treasury.sign(
        desk.request(desk.waiting(dearer(scene.OPERATION, 3)), id="a"), CALLER
    )


def test_gas_estimated_again_and_given_up_leaves_the_id_to_the_first_estimate(desk: Desk) -> None:
    """The first operation has not been signed, but may be: the id is not free while it can."""
    crash(desk, desk.request(id="a"))
    desk.kms.failures = [KmsThrottled("busy")]
    with pytest.raises(KmsThrottled):
        desk.treasury.sign(desk.request(desk.waiting(dearer(scene.OPERATION, 2)), id="a"), CALLER)
    with pytest.raises(AlreadySigned):
        desk.treasury.sign(desk.request(desk.waiting(numbered(1)), id="a"), CALLER)


def test_an_id_that_is_named_only_the_second_time_is_used_up_too(desk: Desk) -> None:
    desk.treasury.sign(desk.request(), CALLER)
    desk.treasury.sign(desk.request(id="late"), CALLER)
    with pytest.raises(AlreadySigned):
        desk.treasury.sign(desk.request(desk.waiting(numbered(1), name="tx-2"), id="late"), CALLER)


def test_an_id_is_one_payment_whatever_wallet_crossmint_says_it_is_of(desk: Desk) -> None:
    desk.treasury.sign(desk.request(id="a"), CALLER)
    elsewhere = replace(numbered(1), sender=scene.OTHER)
    request = desk.request(desk.waiting(elsewhere), id="a", wallet=scene.OTHER)
    with pytest.raises(AlreadySigned):
        desk.treasury.sign(request, CALLER)
    assert desk.treasury.sign(replace(request, id="b"), CALLER)


def test_a_transaction_named_by_half_a_character_is_signed_and_remembered() -> None:
    desk = Desk(store=MemoryStore())
    request = desk.request(desk.waiting(name="\ud800"))
    first = desk.treasury.sign(request, CALLER)
    assert desk.treasury.sign(request, CALLER).signed.signature == first.signed.signature
