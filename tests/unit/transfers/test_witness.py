"""What Crossmint's word and the chain's come to, where operations were rebuilt, replaced or unknown here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import httpx2
import pytest

from bursar.errors import ConfigError
from bursar.settlement.chain_witness import ChainWitness
from bursar.settlement.judgement import NOTHING, Finding, Question, Verdict
from bursar.transfers.sight import Sight
from bursar.transfers.states import Event, EventKind, Stage
from bursar.transfers.witness import BothWitnesses
from tests.fakes.scripted_crossmint import READING, key
from tests.unit.transfers.conftest import Scene

PAID = Verdict(Finding.PAID, "paid", "0x" + "aa" * 32, 120)
REVERTED = Verdict(Finding.REVERTED, "reverted", "0x" + "bb" * 32, 120)


@dataclass
class Chain:
    """A node: what it shows of each operation, the wallets' used nonces, and all that it was asked."""

    shows: dict[str, Verdict] = field(default_factory=dict)
    used: bool = False
    chain: str = "base-sepolia"
    blocks: int = 100
    asked: list[Question] = field(default_factory=list)

    def height(self) -> int:
        return self.blocks

    def is_used(self, _wallet: str, _nonce: int) -> bool:
        return self.used

    def verdict(self, question: Question) -> Verdict:
        self.asked.append(question)
        return self.shows.get("0x" + question.operation.hex(), NOTHING)


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def witness(chain: Chain, scene: Scene) -> BothWitnesses:
    return BothWitnesses(cast("ChainWitness", chain), READING, scene.clock)


def handed_in(scene: Scene, witness: BothWitnesses, ends: str) -> Any:
    """Take a transfer to where Crossmint's last word is there, and return that."""
    scene.crossmint.ends = ends
    desk = scene.desk(witness=witness)
    scene.until(desk, Stage.APPROVED)
    with scene.crossmint.client() as client:
        known = scene.standing().known
        return client.get_transaction(scene.get().intent.wallet, str(known["transaction"]))


def see(scene: Scene, witness: BothWitnesses, transaction: Any) -> Sight:
    return witness.see(scene.get(), transaction)


def test_the_chain_s_height_is_noted_before_anything_is_asked_for(
    scene: Scene, witness: BothWitnesses
) -> None:
    scene.until(scene.desk(witness=witness), Stage.CREATED)
    [asked] = [each for each in scene.journal.history(key()) if each.kind == "asked"]
    assert asked.data["block"] == 100


def test_another_chain_s_node_is_noticed_before_anything_is_made(
    scene: Scene, chain: Chain, witness: BothWitnesses
) -> None:
    chain.chain = "base"
    desk = scene.desk(witness=witness)
    held = scene.finish(desk)
    assert (held.stage, held.code) == (Stage.RECORDED, ConfigError.code)
    assert scene.crossmint.calls == []


def test_what_failed_and_is_not_on_the_chain_may_still_land_while_its_nonce_is_free(
    scene: Scene, chain: Chain, witness: BothWitnesses
) -> None:
    failed = handed_in(scene, witness, "failed")
    sight = see(scene, witness, failed)
    assert (sight.event, sight.data["code"]) == (EventKind.HELD, "may_still_land")
    chain.used = True
    sight = see(scene, witness, failed)
    assert (sight.event, sight.data["undone"]) == (EventKind.FAILED, True)
    assert "can never land" in sight.data["reason"]


def test_what_was_paid_by_an_operation_before_it_was_built_anew_is_seen(
    scene: Scene, chain: Chain, witness: BothWitnesses
) -> None:
    scene.crossmint.script["approve"] = [httpx2.ReadTimeout("lost on the way")]
    scene.until(scene.desk(witness=witness), Stage.APPROVING)
    first = scene.standing().known["message"]
    scene.journal.append(scene.get(), Event(EventKind.REBUILT))
    scene.crossmint.rebuild()
    success = handed_in(scene, witness, "success")
    assert scene.standing().known["message"] != first
    assert scene.standing().handed_in == (first, scene.standing().known["message"])
    chain.shows[first] = PAID
    chain.used = True
    assert see(scene, witness, success).event is EventKind.SETTLED


def test_a_nonce_that_an_earlier_operation_of_it_took_is_no_proof_of_failure(
    scene: Scene, chain: Chain, witness: BothWitnesses
) -> None:
    scene.crossmint.script["approve"] = [httpx2.ReadTimeout("lost on the way")]
    scene.until(scene.desk(witness=witness), Stage.APPROVING)
    first = scene.standing().known["message"]
    scene.journal.append(scene.get(), Event(EventKind.REBUILT))
    scene.crossmint.rebuild()
    failed = handed_in(scene, witness, "failed")
    chain.used, chain.shows[first] = True, PAID
    assert see(scene, witness, failed).event is EventKind.CONTRADICTED


@pytest.mark.parametrize(("block", "event"), [(120, EventKind.SETTLED), (99, EventKind.HELD)])
def test_what_nobody_here_has_read_pays_only_where_it_is_later_than_it_was_asked_for(
    scene: Scene, chain: Chain, witness: BothWitnesses, block: int, event: EventKind
) -> None:
    scene.until(scene.desk(witness=witness), Stage.CREATED)
    scene.crossmint.approve_elsewhere()
    scene.until(scene.desk(witness=witness), Stage.APPROVED)
    with scene.crossmint.client() as client:
        known = scene.standing().known
        found = client.get_transaction(scene.get().intent.wallet, str(known["transaction"]))
    chain.shows[str(found.user_operation_hash)] = Verdict(Finding.PAID, "paid", "0x01", block)
    sight = see(scene, witness, found)
    assert sight.event is event
    if event is EventKind.HELD:
        assert sight.data["code"] == "approved_elsewhere"


def test_the_time_for_a_contradiction_runs_from_crossmint_s_first_word(
    scene: Scene, witness: BothWitnesses
) -> None:
    success = handed_in(scene, witness, "success")
    scene.clock.now += timedelta(hours=1)
    assert see(scene, witness, success).event is None
    scene.clock.now += timedelta(minutes=14)
    assert see(scene, witness, success).event is None
    scene.clock.now += timedelta(minutes=2)
    assert see(scene, witness, success).event is EventKind.CONTRADICTED


def test_what_was_reverted_is_proved_to_have_failed(
    scene: Scene, chain: Chain, witness: BothWitnesses
) -> None:
    failed = handed_in(scene, witness, "failed")
    chain.shows[scene.standing().known["message"]] = REVERTED
    sight = see(scene, witness, failed)
    assert (sight.event, sight.data["undone"]) == (EventKind.FAILED, True)
