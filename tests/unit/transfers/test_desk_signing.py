"""What is confirmed and signed at the desk, and what neither is."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from bursar.errors import (
    JournalUnavailable,
    KmsThrottled,
    NeedsApproval,
)
from bursar.transfers import feeding, orders
from bursar.transfers.states import Hold, Stage
from tests.fakes.scripted_crossmint import key
from tests.unit.transfers.conftest import Scene

# Confirming


def test_nothing_is_signed_that_nobody_said_yes_to(scene: Scene) -> None:
    scene.record("asked", confirmed=False)
    held = scene.finish(scene.desk(), "asked")
    assert (held.stage, held.hold) == (Stage.REVIEWED, Hold.CONFIRMATION)
    assert scene.crossmint.signer.signed == []
    assert scene.finish(scene.desk(), "asked") == held


def test_what_is_confirmed_later_is_looked_at_again_first(scene: Scene) -> None:
    scene.record("asked", confirmed=False)
    desk = scene.desk()
    scene.finish(desk, "asked")
    scene.crossmint.rebuild("asked")
    orders.confirm(scene.journal, scene.get("asked"), "Ada")
    assert scene.finish(desk, "asked").stage is Stage.SETTLED
    assert scene.kinds("asked").count("rebuilt") == 1
    assert len(scene.crossmint.signer.signed) == 1


# Signing


def test_a_signer_that_is_busy_is_asked_again(scene: Scene) -> None:
    scene.crossmint.signer.before = [KmsThrottled("slow down"), KmsThrottled("slow down")]
    assert scene.finish(scene.desk()).stage is Stage.SETTLED
    assert scene.kinds().count("delayed") == 2


def test_a_payment_that_others_must_consent_to_waits_for_them(scene: Scene) -> None:
    scene.crossmint.signer.before = [NeedsApproval("two more", digest="0xab", missing=2)]
    desk = scene.desk()
    held = scene.finish(desk)
    assert (held.stage, held.hold, held.code) == (Stage.REVIEWED, Hold.APPROVAL, "needs_approval")
    trouble = desk.trouble_of(scene.get())
    assert isinstance(trouble, NeedsApproval)
    assert scene.desk().trouble_of(scene.get()) is None
    orders.again(scene.journal, scene.get())
    assert scene.finish(desk).stage is Stage.SETTLED


def test_what_waits_for_consent_is_asked_about_ever_less_often_and_nothing_is_written(
    scene: Scene,
) -> None:
    scene.crossmint.signer.before = [NeedsApproval("two more", digest="0xab", missing=2)] * 9
    scene.finish(scene.desk())
    written = scene.kinds()
    waits = [asked_again(scene) for _ in range(8)]
    assert waits == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0, 900.0]
    assert (scene.kinds(), scene.standing().hold) == (written, Hold.APPROVAL)
    scene.clock.forward(900)
    assert asked_again(scene) == 0.0
    assert scene.finish(scene.desk()).stage is Stage.SETTLED
    assert scene.kinds() == [*written, "signed", "handing_in", "approved", "settled"]


def asked_again(scene: Scene) -> float | None:
    """Have the signer asked as a worker does when it is time; return in how many seconds it is the next time."""
    held = scene.get()
    due = held.standing.retry_at
    at = datetime.fromisoformat(due or held.updated_at) + timedelta(seconds=0 if due else 60)
    scene.clock.now = max(scene.clock.now, at)
    handed_out = feeding.put_off(scene.journal, held, 60)
    found = scene.desk().advance(handed_out.key, handed_out.turn)
    if found.wait:
        feeding.put_off(scene.journal, found.transfer, found.wait)
    return found.wait


def test_another_answer_about_consent_is_written_down(scene: Scene) -> None:
    scene.crossmint.signer.before = [
        NeedsApproval("it waits", hint="two more must approve"),
        NeedsApproval("it waits", hint="one more must approve"),
    ]
    scene.finish(scene.desk())
    assert asked_again(scene) is None
    hints = [each.data["hint"] for each in scene.journal.history(key()) if each.kind == "held"]
    assert hints == ["two more must approve", "one more must approve"]
    assert scene.standing().retry_at is None


def test_what_is_held_is_signed_for_nobody_who_was_not_handed_it_for_that(scene: Scene) -> None:
    scene.crossmint.signer.before = [NeedsApproval("two more", digest="0xab", missing=2)]
    scene.finish(scene.desk())
    held = scene.get()
    assert scene.desk().advance(held.key, held.turn).wait is None
    feeding.put_off(scene.journal, held, 60)
    assert scene.desk().advance(held.key).wait is None
    assert scene.desk().advance(held.key, held.turn).wait is None
    assert scene.crossmint.signer.signed == []


def test_a_signature_that_cannot_be_written_down_is_not_handed_in(scene: Scene) -> None:
    scene.until(scene.desk(), Stage.REVIEWED)

    def full() -> None:
        with scene.journal.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only = 1")

    scene.crossmint.signer.before = [full]
    desk = scene.desk()
    for _ in range(3):
        with pytest.raises(JournalUnavailable):
            desk.advance(key())
    assert "approve" not in scene.crossmint.calls
    with scene.journal.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = 0")
    assert scene.finish(desk).stage is Stage.SETTLED
    [submitted] = scene.crossmint.of().submitted
    assert submitted["signature"] == scene.standing().known["signature"]


def test_handing_in_that_cannot_be_written_down_does_not_begin(scene: Scene) -> None:
    scene.until(scene.desk(), Stage.SIGNED)
    desk = scene.desk()

    def refuse(*_: object) -> None:
        raise sa.exc.OperationalError("COMMIT", None, Exception("the disk is gone"))

    sa.event.listen(scene.journal.engine, "commit", refuse)
    with pytest.raises(JournalUnavailable):
        desk.advance(key())
    assert "approve" not in scene.crossmint.calls
    sa.event.remove(scene.journal.engine, "commit", refuse)
    assert scene.finish(desk).stage is Stage.SETTLED


def test_cancelled_while_it_is_being_signed_its_signature_is_dropped(scene: Scene) -> None:
    scene.until(scene.desk(), Stage.REVIEWED)
    with scene.crossmint.client() as client:
        locator = scene.desk().locator
        scene.crossmint.signer.before = [
            lambda: orders.cancel(scene.journal, client, locator, scene.get(), "Ada")
        ]
        assert scene.finish(scene.desk()).stage is Stage.CANCELLED
    assert "approve" not in scene.crossmint.calls
    assert "signature" not in scene.standing().known


def test_what_was_cancelled_is_neither_read_nor_signed(scene: Scene) -> None:
    scene.until(scene.desk(), Stage.REVIEWED)
    with scene.crossmint.client() as client:
        orders.cancel(scene.journal, client, scene.desk().locator, scene.get(), "Ada")
    calls = list(scene.crossmint.calls)
    scene.finish(scene.desk())
    assert scene.crossmint.calls == calls
    assert scene.crossmint.signer.signed == []
