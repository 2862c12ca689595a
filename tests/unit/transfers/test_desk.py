"""Each step of a transfer, with a Crossmint that follows a script: it looks first, and repeats nothing blindly."""

from __future__ import annotations

from dataclasses import replace

import httpx2
import pytest

from bursar.errors import (
    KmsThrottled,
    NeedsApproval,
    UnknownTransfer,
)
from bursar.transfers import orders
from bursar.transfers.record import Transfer
from bursar.transfers.sight import Sight
from bursar.transfers.states import Event, EventKind, Hold, Stage
from tests.fakes.scripted_crossmint import LOST, key
from tests.unit.transfers.conftest import Scene

WHOLE = ["recorded", "asked", "created", "reviewed", "signed", "handing_in", "approved", "settled"]


def refusal(status: int, message: str = "no") -> httpx2.Response:
    return httpx2.Response(status, json={"error": True, "message": message})


def compliance(reason: str) -> httpx2.Response:
    return httpx2.Response(400, json={"error": {"reason": reason, "message": "no"}})


def test_a_transfer_is_asked_for_signed_and_handed_in_once(scene: Scene) -> None:
    ended = scene.finish(scene.desk())
    assert ended.stage is Stage.SETTLED
    assert scene.kinds() == WHOLE
    assert scene.crossmint.calls == ["create", "approve"]
    assert scene.crossmint.signer.signed == [bytes.fromhex(scene.crossmint.of().message[2:])]


def test_what_is_written_of_it_accounts_for_the_signature(scene: Scene) -> None:
    known = scene.finish(scene.desk()).known
    [submitted] = scene.crossmint.of().submitted
    assert known["signature"] == submitted["signature"]
    assert known["message"] == scene.crossmint.of().message
    assert known["signed_by"] == scene.crossmint.signer.address
    assert known["request_id"] == "kms-1"
    assert known["transaction"] == "tx-1"
    assert known["chain_transaction"] == "0x01"


def test_every_step_may_be_another_desk_s(scene: Scene) -> None:
    while scene.desk().advance(key()).wait is not None:
        pass
    assert scene.kinds() == WHOLE
    assert len(scene.crossmint.signer.signed) == 1
    assert scene.crossmint.calls.count("approve") == 1


def test_whoever_comes_second_gives_way_for_a_moment(scene: Scene) -> None:
    other = scene.desk()

    def overtake(point: str) -> None:
        if point == "create:answered":
            other.advance(key())

    found = scene.desk(trace=overtake, dice=lambda: 0.5).advance(key())
    assert found.wait == 0.5
    assert scene.finish(scene.desk()).stage is Stage.SETTLED
    assert scene.kinds() == ["recorded", "asked", *WHOLE[1:]]


def test_what_is_over_is_left_alone(scene: Scene) -> None:
    desk = scene.desk()
    scene.finish(desk)
    calls = list(scene.crossmint.calls)
    assert desk.advance(key()).wait is None
    assert scene.crossmint.calls == calls


def test_a_transfer_that_was_never_recorded_is_no_transfer(scene: Scene) -> None:
    with pytest.raises(UnknownTransfer):
        scene.desk().advance(key("never"))


def test_whoever_comes_with_an_older_turn_does_nothing(scene: Scene) -> None:
    desk = scene.desk()
    scene.journal.append(scene.get(), Event(EventKind.TURNED))
    assert desk.advance(key(), 0).wait is None
    assert scene.crossmint.calls == []
    assert desk.advance(key(), 1).wait is not None


# Creating


def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_key(scene: Scene) -> None:
    scene.crossmint.script["create"] = [LOST]
    assert scene.finish(scene.desk()).stage is Stage.SETTLED
    assert list(scene.crossmint.keys) == ["rent"]
    assert scene.crossmint.calls == ["create", "create", "approve"]
    assert "delayed" in scene.kinds()


def test_what_a_failed_answer_names_is_looked_up_and_not_made_again(scene: Scene) -> None:
    def made_and_broken() -> None:
        named = {"error": True, "message": "broken", "id": "tx-1"}
        scene.crossmint.script["create"] = [httpx2.Response(500, json=named)]

    scene.crossmint.script["create"] = [LOST]
    desk = scene.desk()
    scene.clock.forward(desk.advance(key()).wait or 0)
    made_and_broken()
    desk.advance(key())
    assert scene.standing().stage is Stage.CREATED
    assert scene.crossmint.calls == ["create", "create", "read"]


def test_a_recipient_who_may_not_be_paid_ends_it_before_there_is_a_transaction(
    scene: Scene,
) -> None:
    scene.crossmint.script["create"] = [compliance("recipient_wallet_sanctioned")]
    ended = scene.finish(scene.desk())
    assert (ended.stage, ended.code) == (Stage.FAILED, "recipient_wallet_sanctioned")
    assert scene.crossmint.signer.signed == []


def test_missing_data_of_a_recipient_holds_it_until_somebody_puts_that_right(scene: Scene) -> None:
    scene.crossmint.script["create"] = [compliance("recipient_personal_data_missing")]
    desk = scene.desk()
    assert scene.finish(desk).hold is Hold.TROUBLE
    orders.again(scene.journal, scene.get())
    assert scene.finish(desk).stage is Stage.SETTLED


def test_a_key_that_is_another_payment_s_ends_it(scene: Scene) -> None:
    scene.crossmint.script["create"] = [refusal(409)]
    assert scene.finish(scene.desk()).stage is Stage.FAILED


def test_a_transaction_of_another_transfer_is_not_bound_again(scene: Scene) -> None:
    scene.until(scene.desk(), Stage.REVIEWED)
    scene.record("other")
    scene.crossmint.keys["other"] = scene.crossmint.of()
    ended = scene.finish(scene.desk(), "other")
    assert (ended.stage, ended.code) == (Stage.FAILED, "transfer_conflict")


def test_a_transaction_that_pays_something_else_is_not_signed(scene: Scene) -> None:
    scene.crossmint.script["approve"] = []
    scene.until(scene.desk(), Stage.CREATED)
    scene.crossmint.of().asked["amount"] = "26"
    held = scene.finish(scene.desk())
    assert (held.stage, held.hold, held.code) == (Stage.CREATED, Hold.TROUBLE, "intent_mismatch")
    assert scene.crossmint.signer.signed == []


def test_a_word_that_nobody_knows_is_neither_signed_nor_taken_for_paid(scene: Scene) -> None:
    scene.until(scene.desk(), Stage.REVIEWED)
    scene.crossmint.of().status = "teleporting"
    held = scene.finish(scene.desk())
    assert (held.stage, held.hold) == (Stage.REVIEWED, Hold.TROUBLE)
    assert held.code == "not_awaiting_approval"
    assert scene.crossmint.signer.signed == []


def test_a_word_that_nobody_knows_leaves_a_signed_transfer_to_be_cancelled(scene: Scene) -> None:
    scene.until(scene.desk(), Stage.SIGNED)
    scene.crossmint.of().status = "teleporting"
    held = scene.finish(scene.desk())
    assert (held.stage, held.hold) == (Stage.SIGNED, Hold.TROUBLE)
    assert held.is_cancellable
    assert "approve" not in scene.crossmint.calls


@pytest.mark.parametrize("stage", [Stage.CREATED, Stage.REVIEWED, Stage.SIGNED, Stage.APPROVING])
def test_what_was_approved_elsewhere_is_neither_signed_nor_handed_in_again(
    scene: Scene, stage: Stage
) -> None:
    if stage is Stage.APPROVING:
        scene.crossmint.script["approve"] = [httpx2.ReadTimeout("lost on the way")]
    scene.until(scene.desk(), stage)
    signed, calls = len(scene.crossmint.signer.signed), scene.crossmint.calls.count("approve")
    scene.crossmint.approve_elsewhere()
    assert scene.finish(scene.desk()).stage is Stage.SETTLED
    assert len(scene.crossmint.signer.signed) == signed
    assert scene.crossmint.calls.count("approve") == calls


# Building anew


@pytest.mark.parametrize("stage", [Stage.REVIEWED, Stage.SIGNED, Stage.APPROVING])
def test_a_transaction_that_was_built_anew_is_reviewed_and_signed_again(
    scene: Scene, stage: Stage
) -> None:
    if stage is Stage.APPROVING:
        scene.crossmint.script["approve"] = [httpx2.ReadTimeout("lost on the way")]
    scene.until(scene.desk(), stage)
    before = scene.standing().known["message"]
    scene.crossmint.rebuild()
    ended = scene.finish(scene.desk())
    assert ended.stage is Stage.SETTLED
    assert ended.known["message"] == scene.crossmint.of().message != before
    assert scene.kinds().count("rebuilt") == 1
    assert scene.crossmint.of().submitted[0]["message"] == ended.known["message"]


def test_built_anew_with_another_nonce_it_is_not_signed(scene: Scene) -> None:
    scene.until(scene.desk(), Stage.SIGNED)
    scene.crossmint.rebuild(nonce=77)
    held = scene.finish(scene.desk())
    assert (held.hold, held.code) == (Hold.TROUBLE, "intent_mismatch")
    assert len(scene.crossmint.signer.signed) == 1
    assert "approve" not in scene.crossmint.calls
    assert scene.finish(scene.desk()) == held


def test_an_older_reading_does_not_undo_what_others_did_since(scene: Scene) -> None:
    first, second = scene.desk(), scene.desk()
    scene.until(first, Stage.CREATED)
    scene.crossmint.rebuild()
    scene.until(second, Stage.REVIEWED)
    assert scene.finish(first).stage is Stage.SETTLED
    assert "rebuilt" not in scene.kinds()
    assert len(scene.crossmint.signer.signed) == 1


def test_of_several_signatures_handed_in_the_block_of_the_first_is_kept(scene: Scene) -> None:
    class Chain:
        blocks = iter([100, 200])

        def height(self, _transfer: Transfer) -> int:
            return next(self.blocks)

        def see(self, *_: object) -> Sight:
            return Sight(EventKind.SETTLED, {"chain_transaction": "0x01"})

    scene.crossmint.script["approve"] = [httpx2.ReadTimeout("lost on the way")]
    desk = scene.desk(witness=Chain())
    scene.until(desk, Stage.APPROVING)
    scene.crossmint.rebuild()
    ended = scene.finish(desk)
    assert ended.stage is Stage.SETTLED
    assert scene.kinds().count("handing_in") == 2
    assert ended.known["block"] == 100


# Handing in


def test_an_approval_whose_answer_was_lost_is_looked_for_and_not_repeated(scene: Scene) -> None:
    scene.crossmint.script["approve"] = [LOST]
    assert scene.finish(scene.desk()).stage is Stage.SETTLED
    assert scene.crossmint.calls == ["create", "approve", "read"]


def test_an_approval_that_did_not_arrive_is_handed_in_again(scene: Scene) -> None:
    scene.crossmint.script["approve"] = [httpx2.ReadTimeout("lost on the way")]
    assert scene.finish(scene.desk()).stage is Stage.SETTLED
    assert scene.crossmint.calls == ["create", "approve", "read", "approve"]
    assert len(scene.crossmint.signer.signed) == 1


@pytest.mark.parametrize("status", [409, 422])
def test_told_that_it_was_approved_before_it_reads_how_it_stands(scene: Scene, status: int) -> None:
    scene.until(scene.desk(), Stage.SIGNED)
    scene.crossmint.ends = "pending"
    desk = scene.desk()
    scene.crossmint.script["approve"] = [refusal(status)]
    scene.crossmint.script["read"] = [None, scene.crossmint.approve_elsewhere]
    desk.advance(key())
    assert scene.standing().stage is Stage.APPROVED
    assert scene.crossmint.calls == ["create", "read", "approve", "read"]


def test_a_signature_that_is_not_accepted_holds_it_and_it_cannot_be_cancelled_any_more(
    scene: Scene,
) -> None:
    scene.crossmint.script["approve"] = [refusal(400)]
    held = scene.finish(scene.desk())
    assert (held.stage, held.hold, held.code) == (
        Stage.APPROVING,
        Hold.TROUBLE,
        "approval_rejected",
    )
    assert not held.is_cancellable


def test_what_two_hand_in_at_once_is_taken_once(scene: Scene) -> None:
    first, second = scene.desk(), scene.desk()
    scene.until(first, Stage.SIGNED)
    scene.crossmint.script["approve"] = [lambda: scene.finish(second)]
    assert scene.finish(first).stage is Stage.SETTLED
    assert len(scene.crossmint.of().submitted) == 1


def test_a_failure_stops_no_transfer_that_somebody_else_brought_further(scene: Scene) -> None:
    first, second = scene.desk(), scene.desk()
    scene.until(first, Stage.REVIEWED)

    def overtaken() -> None:
        scene.finish(second)
        raise NeedsApproval("too late")

    scene.crossmint.signer.before = [overtaken]
    assert first.advance(key()).wait == 0
    assert scene.standing().stage is Stage.SETTLED
    assert "held" not in scene.kinds()


def test_a_failure_does_not_lift_what_people_hold(scene: Scene) -> None:
    scene.until(scene.desk(), Stage.REVIEWED)

    def stopped() -> None:
        held = Event(EventKind.HELD, {"hold": "trouble", "code": "stop", "reason": "look at it"})
        scene.journal.append(scene.get(), held)
        raise KmsThrottled("slow down")

    scene.crossmint.signer.before = [stopped]
    assert scene.finish(scene.desk()).code == "stop"


# Waiting


def test_a_delay_is_waited_for_and_longer_each_time(scene: Scene) -> None:
    scene.crossmint.script["create"] = [httpx2.ConnectError("no network")] * 4
    desk, waits = scene.desk(), []
    for _ in range(4):
        wait = desk.advance(key()).wait
        assert wait
        waits.append(wait)
        assert desk.advance(key()).wait == wait
        assert len(scene.crossmint.calls) == len(waits)
        scene.clock.forward(wait)
    assert waits == [0.25, 0.5, 1.0, 2.0]
    assert scene.finish(desk).stage is Stage.SETTLED
    assert scene.standing().attempts == 0


def test_a_clock_that_was_put_back_makes_nobody_wait_as_long(scene: Scene) -> None:
    scene.crossmint.script["create"] = [httpx2.ConnectError("no network")]
    desk = scene.desk()
    assert desk.advance(key()).wait
    scene.clock.forward(-86_400)
    assert desk.advance(key()).wait == 0
    assert scene.standing().stage is Stage.CREATED


def test_what_an_answer_says_is_waited_for_within_reason(scene: Scene) -> None:
    later = {"retry-after": "999999999"}
    limited = httpx2.Response(429, headers=later, json={"error": True, "message": "slow down"})
    scene.crossmint.script["create"] = [limited]
    wait = scene.desk().advance(key()).wait
    assert wait is not None
    assert 60 < wait <= 3600


def test_the_first_operation_of_a_wallet_goes_alone(scene: Scene) -> None:
    scene.record("second")
    desk = scene.desk()
    desk.advance(key())
    assert desk.advance(key("second")).wait
    assert list(scene.crossmint.keys) == ["rent"]
    scene.finish(desk)
    assert scene.finish(desk, "second").stage is Stage.SETTLED


def test_each_point_is_told_as_it_is_passed(scene: Scene) -> None:
    passed: list[str] = []
    scene.finish(scene.desk(trace=passed.append))
    assert passed == [
        *("create:begin", "asked:written", "create:answered", "created:written"),
        *("review:begin", "reviewed:written"),
        *("sign:begin", "sign:answered", "signed:written"),
        *("hand_in:begin", "handing_in:written", "hand_in:marked", "hand_in:answered"),
        *("approved:written", "settle:begin", "settle:seen", "settled:written"),
    ]


def test_a_signer_of_another_address_is_not_handed_in(scene: Scene) -> None:
    desk = scene.desk()
    scene.until(desk, Stage.SIGNED)
    stranger = replace(scene.crossmint, signer=type(scene.crossmint.signer)())
    scene.crossmint.signer = stranger.signer
    held = scene.finish(scene.desk())
    assert held.hold is Hold.TROUBLE
    assert scene.crossmint.of().submitted == []
