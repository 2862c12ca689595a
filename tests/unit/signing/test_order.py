"""Nothing happens before it is written down: the decision before KMS is asked, the signature before it leaves."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import BursarError, LedgerUnavailable, SigningInProgress
from bursar.ledger.receipts import read_receipt
from bursar.ledger.store import Change
from tests.fakes.memory_store import Fault, MemoryStore
from tests.unit.signing.scene import CALLER, Desk, hash_of


@dataclass
class Diary(MemoryStore):
    """A store that writes down, beside KMS's calls, which receipts were written."""

    entries: list[str] = field(default_factory=list)

    def put(self, book: str, change: Change) -> None:
        super().put(book, change)
        self.entries += [read_receipt(text)[0].event for text in change.new.values()]


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def desk(diary: Diary) -> Desk:
    made = Desk(store=diary)
    made.kms.before_signing = lambda: diary.entries.append("kms:Sign")
    return made


def test_the_decision_is_written_before_kms_is_asked_and_the_signature_before_it_is_released(
    desk: Desk, diary: Diary
) -> None:
    desk.treasury.sign(desk.request(), CALLER)
    diary.entries.append("released")
    assert diary.entries == ["decision", "kms:Sign", "signature", "released"]


def test_the_receipt_of_the_answer_is_the_signatures_and_names_the_decision(desk: Desk) -> None:
    request = desk.request()
    answer = desk.treasury.sign(request, CALLER)
    decision, signature = (body for _, body in desk.receipts)
    assert answer.policy["receipt"]["number"] == 2
    assert decision["outcome"] == "allowed"
    assert signature["decision"] == 1
    assert (
        signature["operation"] == decision["operation"] == "0x" + hash_of(request.transaction).hex()
    )
    assert signature["digest"] == decision["digest"]
    assert signature["signature"] == answer.signed.signature.to_hex()
    raw = bytes.fromhex(signature["signature"][2:])
    digest = evm.digest_of(hash_of(request.transaction), Scheme.EIP191)
    evm.parse_signature(raw, digest, desk.kms.address)


def test_kms_is_not_asked_where_the_decision_cannot_be_written(desk: Desk, diary: Diary) -> None:
    diary.faults.append(Fault.DOWN)
    with pytest.raises(LedgerUnavailable):
        desk.treasury.sign(desk.request(), CALLER)
    assert (diary.entries, desk.kms.signatures) == ([], 0)


def test_a_decision_whose_writing_was_not_confirmed_is_looked_up_before_kms_is_asked(
    desk: Desk, diary: Diary
) -> None:
    diary.faults.extend([Fault.LOST_AFTER, Fault.LOST_AFTER])
    assert desk.treasury.sign(desk.request(), CALLER)
    assert (desk.events, desk.kms.signatures) == (["decision", "signature"], 1)


def test_a_decision_that_was_lost_on_its_way_is_written_again_and_spends_once(
    desk: Desk, diary: Diary
) -> None:
    diary.faults.extend([Fault.LOST_BEFORE, Fault.NONE, Fault.LOST_BEFORE])
    assert desk.treasury.sign(desk.request(), CALLER)
    assert (desk.events, len(desk.spent)) == (["decision", "signature"], 1)


def test_a_ledger_that_goes_down_after_the_decision_releases_nothing(
    desk: Desk, diary: Diary
) -> None:
    diary.faults.extend([Fault.NONE, Fault.DOWN])
    with pytest.raises(LedgerUnavailable):
        desk.treasury.sign(desk.request(), CALLER)
    assert diary.entries == ["decision", "kms:Sign"]
    # Somebody may have the signature that KMS made: what it took stays taken, and nobody else begins.
    with pytest.raises(SigningInProgress):
        desk.treasury.sign(desk.request(), CALLER)
    desk.clock.step(minutes=1)
    assert desk.treasury.sign(desk.request(), CALLER)
    assert len(desk.spent) == 1


def test_a_refusal_that_cannot_be_written_down_is_no_answer_either(
    desk: Desk, diary: Diary
) -> None:
    diary.faults.append(Fault.DOWN)
    altered = desk.waiting() | {"status": "pending"}
    with pytest.raises(LedgerUnavailable):
        desk.treasury.sign(desk.request(altered), CALLER)


def test_every_answer_leaves_a_receipt_behind(desk: Desk, diary: Diary) -> None:
    for request in [*desk.payments(6), desk.request(id="again")]:
        before = len(diary.entries)
        with suppress(BursarError):
            desk.treasury.sign(request, CALLER)
        assert len(diary.entries) > before
