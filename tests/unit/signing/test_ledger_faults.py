"""Without its memory the key signs nothing: down, slow or damaged, and whatever the damage is."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import BursarError, LedgerDamaged, LedgerError, LedgerUnavailable
from bursar.ledger.store import HEAD
from bursar.signing_contract import Answer
from tests.fakes.memory_store import Fault, MemoryStore
from tests.unit.signing.scene import APPROVED, BY_ADA, CALLER, POLICY, Desk

KINDS = ["head", "operation#", "claim#", "recipient#", "spend#", "consent#"]
NEW_DELAY = POLICY.replace(
    "[recipients.allow]", '[recipients]\nnew_delay = "1h"\n[recipients.allow]'
)


class Always(deque[Fault]):
    """The same fault, for ever."""

    def __init__(self, fault: Fault) -> None:
        super().__init__([fault])

    def popleft(self) -> Fault:
        return self[0]


class Unreadable(MemoryStore):
    def get(self, book: str, names: Collection[str]) -> dict[str, str]:
        raise LedgerUnavailable(f"{len(names)} entries of {book} cannot be read")


def used() -> Desk:
    """A desk whose ledger has an entry of every kind about the honest payment, which is not signed yet."""
    desk = Desk(policy=NEW_DELAY + APPROVED)
    for step in range(2):
        desk.clock.step(hours=step)
        with suppress(BursarError):
            desk.treasury.sign(desk.request(id="rent"), CALLER)
    desk.treasury.consent(desk.approval(desk.waiting()), BY_ADA)
    desk.kms.failures = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        desk.treasury.sign(desk.request(id="rent"), CALLER)
    desk.clock.step(minutes=1)
    desk.kms.calls.clear()
    return desk


def test_the_desk_of_these_tests_has_every_kind_of_entry_and_would_sign() -> None:
    desk = used()
    names = desk.store.books[desk.key]
    assert all(any(name.startswith(kind) for name in names) for kind in KINDS)
    assert desk.treasury.sign(desk.request(id="rent"), CALLER)


@pytest.mark.parametrize("fault", [Fault.TAKEN, Fault.LOST_BEFORE, Fault.DOWN])
def test_a_ledger_that_never_takes_a_page_signs_nothing(fault: Fault) -> None:
    desk = Desk(store=MemoryStore(faults=Always(fault)))
    with pytest.raises(LedgerUnavailable) as failed:
        desk.treasury.sign(desk.request(), CALLER)
    assert failed.value.retryable
    assert (desk.kms.signatures, desk.receipts) == (0, [])


def test_a_ledger_that_cannot_be_read_signs_nothing() -> None:
    desk = Desk(store=Unreadable())
    for request in (desk.request(), desk.request(desk.waiting() | {"status": "pending"})):
        with pytest.raises(LedgerUnavailable):
            desk.treasury.sign(request, CALLER)
    assert desk.kms.signatures == 0


DAMAGE = [
    "",
    "null",
    "[]",
    "{}",
    "{",
    '"text"',
    "7",
    '{"a": 1.5}',
    '{"a": NaN}',
    "\ud800",
    "[" * 999,
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", DAMAGE, ids=[repr(each[:9]) for each in DAMAGE])
def test_an_entry_that_is_damaged_signs_nothing(kind: str, text: str) -> None:
    desk = used()
    if (kind, text) == ("spend#", "{}"):
        return  # what was given back looks like this
    desk.damage(kind, text)
    with pytest.raises(LedgerDamaged):
        desk.treasury.sign(desk.request(id="rent"), CALLER)
    assert desk.kms.signatures == 0


OPERATION: dict[str, Any] = {
    "transaction": "tx-1",
    "askedBy": [],
    "waiting": False,
    "spend": None,
    "lease": None,
    "signed": {},
    "doubtful": False,
}
AT = "2026-11-24T12:00:00.000000Z"
# What differs from an entry that is right; of the smaller ones it is the whole entry.
SUBTLE: list[tuple[str, dict[str, Any]]] = [
    ("operation#", {"transaction": None}),
    ("operation#", {"askedBy": "abc"}),
    ("operation#", {"askedBy": [1]}),
    ("operation#", {"askedBy": None}),
    ("operation#", {"waiting": 1}),
    ("operation#", {"doubtful": None}),
    ("operation#", {"spend": 7}),
    ("operation#", {"spend": "spend#then#0x"}),
    ("operation#", {"spend": "head"}),
    ("operation#", {"lease": []}),
    ("operation#", {"lease": [1, AT]}),
    ("operation#", {"lease": ["who", "then"]}),
    ("operation#", {"lease": ["who", "0001-01-01T00:00:00+23:59"]}),
    ("operation#", {"lease": ["who", "9999-12-31T23:59:59-23:59"]}),
    ("operation#", {"signed": []}),
    ("operation#", {"signed": {"0x": "abc"}}),
    ("operation#", {"signed": {"0x": [1, 2, 3]}}),
    ("operation#", {"signed": {"0x": ["a", "b"]}}),
    ("spend#", {"usdc|*": ["-1000000", 1]}),
    ("spend#", {"usdc|*": ["0", -1]}),
    ("spend#", {"usdc|*": ["0", True]}),
    ("spend#", {"usdc|*": [0, 1]}),
    ("spend#", {"usdc|*": ["1_0", 1]}),
    ("spend#", {"usdc|*": ["\u0663", 1]}),
    ("spend#", {"usdc|*": ["9" * 90, 1]}),
    ("spend#", {"usdc|*": "01"}),
    ("claim#", {"operation": "", "nonce": None, "shared": False}),
    ("claim#", {"operation": "", "nonce": ""}),
    ("claim#", {"operation": "", "nonce": "", "shared": 0}),
    ("recipient#", {"firstSeen": "2026-11-24T12:00:00"}),
    ("recipient#", {"firstSeen": 0}),
    ("consent#", {"at": "2026-11-24T12:00:00+00:00"}),
    ("head", {"number": True, "hash": "00"}),
    ("head", {"number": 0, "hash": "00"}),
    ("head", {"number": -1, "hash": "00"}),
    ("head", {"number": 1, "hash": None}),
    ("head", {"number": 1, "hash": "00" * 32, "recent": {}}),
    ("head", {"number": 1, "hash": "00" * 32, "recent": [None]}),
    ("head", {"number": 1, "hash": "00" * 32, "recent": [{"operation#": 1}]}),
]


@pytest.mark.parametrize(("kind", "change"), SUBTLE, ids=[f"{k}{v}" for k, v in SUBTLE])
def test_an_entry_that_is_json_and_still_none_of_ours_signs_nothing(
    kind: str, change: dict[str, Any]
) -> None:
    desk = used()
    desk.damage(kind, json.dumps(OPERATION | change if kind == "operation#" else change))
    with pytest.raises(LedgerDamaged):
        desk.treasury.sign(desk.request(id="rent"), CALLER)
    assert desk.kms.signatures == 0


def test_a_consent_by_a_name_that_is_too_long_to_be_one_is_damage() -> None:
    desk = used()
    entries = desk.store.books[desk.key]
    [name] = [each for each in entries if each.startswith("consent#")]
    entries[name + "x" * 1100] = entries[name]
    with pytest.raises(LedgerDamaged):
        desk.treasury.sign(desk.request(id="rent"), CALLER)


def test_a_signature_on_record_that_is_not_ours_is_not_given_again() -> None:
    desk, other = Desk(), Desk()
    mine = desk.treasury.sign(desk.request(), CALLER)
    theirs = other.kms.key.sign_recoverable(mine.signed.digest, hasher=None)
    forged = "0x" + theirs[:64].hex() + f"{theirs[64] + 27:02x}"
    for signature, address in (
        (forged, other.kms.address),
        (forged, desk.kms.address),
        ("0x", "x"),
    ):
        desk.forget_recent()
        entries = desk.store.books[desk.key]
        for name in [each for each in entries if each.startswith("operation#")]:
            body = json.loads(entries[name])
            body["signed"] = {digest: [signature, address, "kms"] for digest in body["signed"]}
            entries[name] = json.dumps(body)
        with pytest.raises(LedgerDamaged, match="not one over this digest"):
            desk.treasury.sign(desk.request(), CALLER)
    assert desk.kms.signatures == 1


def test_a_receipt_that_is_there_already_is_never_written_over() -> None:
    desk = Desk()
    desk.treasury.sign(desk.request(), CALLER)
    before = desk.receipts
    del desk.store.books[desk.key][HEAD]
    with pytest.raises(LedgerDamaged, match="the head does not know of it"):
        desk.treasury.sign(desk.payments(1)[0], CALLER)
    assert (desk.receipts, desk.kms.signatures) == (before, 1)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from([AT, "0x", "head", "spend#", f"spend#{AT}#0x", "tx-1"])
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
operations = st.fixed_dictionaries(dict.fromkeys(OPERATION, values))
damages = st.text(max_size=40) | values.map(json.dumps) | operations.map(json.dumps)


@given(st.dictionaries(st.sampled_from(KINDS), damages, min_size=1, max_size=3))
def test_whatever_the_damage_is_the_answer_is_ours_and_kms_is_not_asked_by_mistake(
    damage: dict[str, str],
) -> None:
    desk = used()
    for kind, text in damage.items():
        desk.damage(kind, text)
    found: object
    try:
        found = desk.treasury.sign(desk.request(id="rent"), CALLER)
    except BursarError as error:
        found = error
    # Text that happens to be an entry of ours is one: then it is judged by, and the request is allowed or refused.
    assert isinstance(found, Answer | BursarError)
    if isinstance(found, LedgerError):
        assert desk.kms.signatures == 0
