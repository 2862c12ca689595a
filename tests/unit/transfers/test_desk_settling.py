"""How a transfer ends at the desk: by whose word, and what is left to people."""

from __future__ import annotations

import httpx2
import pytest

from bursar.errors import (
    ConfigError,
    NotCancellable,
    TransferError,
)
from bursar.transfers import orders
from bursar.transfers.record import Lane, Transfer
from bursar.transfers.sight import Sight
from bursar.transfers.states import MAY_STILL_LAND, Event, EventKind, Hold, Stage
from tests.fakes.scripted_crossmint import WALLET, key
from tests.unit.transfers.conftest import Scene


def test_an_approved_transfer_is_looked_at_ever_less_often(scene: Scene) -> None:
    scene.crossmint.ends = "pending"
    desk = scene.desk()
    scene.until(desk, Stage.APPROVED)
    waits = []
    for _ in range(12):
        wait = desk.advance(key()).wait
        assert wait is not None
        waits.append(wait)
        scene.clock.forward(wait)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (1.0, 15.0)
    scene.clock.forward(-3600)
    assert desk.advance(key()).wait == 1.0
    assert scene.standing().stage is Stage.APPROVED


def test_whoever_finds_it_over_waits_for_it_no_more(scene: Scene) -> None:
    scene.crossmint.ends = "pending"
    names = ["rent", "second", "third"]
    for name in names[1:]:
        scene.record(name)
    desk = scene.desk()
    for name in names:
        scene.until(desk, Stage.APPROVED, name)
        desk.advance(key(name))
    for name in names[:2]:
        scene.crossmint.of(name).status = "success"
        scene.finish(scene.desk(), name)
        assert desk.advance(key(name)).wait is None
    assert list(desk._watches[Lane.SINGLE]._place(WALLET).waiting) == ["tx-3"]


def test_what_was_undone_on_the_chain_failed_with_crossmint_s_reason(scene: Scene) -> None:
    scene.crossmint.ends, scene.crossmint.revert = "failed", {"type": "contract_call"}
    ended = scene.finish(scene.desk())
    assert (ended.stage, ended.code) == (Stage.FAILED, "transaction_failed")
    assert "no balance" in (ended.reason or "")


@pytest.mark.parametrize("revert", [None, {"type": "wallet_authorization"}, {"type": "x"}], ids=str)
def test_what_crossmint_calls_failed_and_may_still_land_waits_for_people(
    scene: Scene, revert: dict[str, str] | None
) -> None:
    scene.crossmint.ends, scene.crossmint.revert = "failed", revert
    held = scene.finish(scene.desk())
    assert (held.stage, held.hold, held.code) == (Stage.APPROVED, Hold.TROUBLE, MAY_STILL_LAND)
    assert "no balance" in (held.reason or "")
    with pytest.raises(NotCancellable):
        scene.journal.append(scene.get(), Event(EventKind.CANCELLED))
    orders.again(scene.journal, scene.get())
    assert scene.finish(scene.desk()) == held


def test_people_conclude_what_no_witness_can_tell(scene: Scene) -> None:
    scene.crossmint.ends = "failed"
    for name, paid in (("rent", None), ("gas", "0x" + "ab" * 32)):
        if name != "rent":
            scene.record(name)
        word = orders.Conclusion("Ada", "the nonce is another's", paid)
        with pytest.raises(TransferError, match="not for people to conclude"):
            orders.conclude(scene.journal, scene.get(name), word)
        scene.finish(scene.desk(), name)
        ended = orders.conclude(scene.journal, scene.get(name), word).standing
        assert ended.stage is (Stage.SETTLED if paid else Stage.FAILED)
        assert ended.known.get("chain_transaction") == paid
        assert "by the word of Ada" in scene.journal.history(key(name))[-1].data["reason"]


def test_crossmint_s_word_alone_ends_no_contradiction(scene: Scene) -> None:
    scene.crossmint.ends = "failed"
    scene.finish(scene.desk())
    scene.journal.append(scene.get(), Event(EventKind.CONTRADICTED, {"reason": "the chain paid"}))
    with pytest.raises(ConfigError, match="ends no contradiction"):
        scene.desk().look_again(key())
    assert scene.standing().stage is Stage.CONTRADICTED


def test_what_is_built_anew_without_end_is_not_signed_without_end(scene: Scene) -> None:
    def anew() -> None:
        scene.crossmint.rebuild()
        raise httpx2.ReadTimeout("lost on the way")

    scene.crossmint.script["approve"] = [anew] * 9
    held = scene.finish(scene.desk())
    assert (held.hold, held.code) == (Hold.TROUBLE, TransferError.code)
    assert len(scene.crossmint.signer.signed) == 6


def test_a_word_that_nobody_knows_is_not_taken_for_the_end(scene: Scene) -> None:
    scene.crossmint.ends = "teleporting"
    desk = scene.desk()
    scene.until(desk, Stage.APPROVED)
    assert desk.advance(key()).wait is not None
    assert scene.standing().stage is Stage.APPROVED


def test_what_the_witness_does_not_see_yet_is_looked_at_again(scene: Scene) -> None:
    class Slow:
        sights = iter([Sight(None), Sight(EventKind.CONTRADICTED, {"reason": "not on the chain"})])

        def height(self, _transfer: Transfer) -> int:
            return 7

        def see(self, *_: object) -> Sight:
            return next(self.sights)

    desk = scene.desk(witness=Slow())
    scene.until(desk, Stage.APPROVED)
    assert desk.advance(key()).wait is not None
    assert scene.finish(desk).stage is Stage.CONTRADICTED
    assert scene.standing().known["block"] == 7
