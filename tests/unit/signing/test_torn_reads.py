"""A store that shows a transaction's head before its other entries, as DynamoDB may for a moment."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import pytest

from bursar.errors import AlreadySigned, NeedsApproval, PolicyViolation
from bursar.ledger.store import HEAD, Change
from bursar.signing_contract import Caller
from tests.fakes.memory_store import MemoryStore
from tests.unit.signing.scene import ADA, APPROVED, CALLER, DAILY, POLICY, Desk, numbered


@dataclass
class TornStore(MemoryStore):
    """Of the last change only the head is seen, and its receipt."""

    before: dict[str, dict[str, str]] = field(default_factory=dict)

    def get(self, book: str, names: Collection[str]) -> dict[str, str]:
        now, old = super().get(book, names), self.before.get(book, {})
        seen = {name: text for name, text in now.items() if name == HEAD or "receipt" in name}
        return {name: old[name] for name in names if name in old} | seen

    def between(self, book: str, first: str, last: str) -> Iterator[tuple[str, str]]:
        old = self.before.get(book, {})
        return iter(sorted((n, t) for n, t in old.items() if first <= n <= last))

    def put(self, book: str, change: Change) -> None:
        kept = dict(self.books.get(book, {}))
        super().put(book, change)
        self.before[book] = kept


def test_an_id_that_was_just_used_is_not_used_again():
    desk = Desk(store=TornStore())
    desk.treasury.sign(desk.request(desk.waiting(numbered(1)), id="rent"), CALLER)
    with pytest.raises(AlreadySigned):
        desk.treasury.sign(desk.request(desk.waiting(numbered(2), name="tx-2"), id="rent"), CALLER)


def test_what_was_just_spent_is_counted_and_signed_once():
    desk = Desk(store=TornStore())
    requests = desk.payments(DAILY + 1)
    for request in requests[:DAILY]:
        first = desk.treasury.sign(request, CALLER)
        assert desk.treasury.sign(request, CALLER).signed.signature == first.signed.signature
    assert desk.kms.signatures == DAILY
    with pytest.raises(PolicyViolation):
        desk.treasury.sign(requests[DAILY], CALLER)


def test_a_consent_that_was_just_given_counts():
    desk = Desk(store=TornStore(), policy=POLICY + APPROVED)
    with pytest.raises(NeedsApproval):
        desk.treasury.sign(desk.request(), CALLER)
    desk.treasury.consent(desk.approval(desk.waiting()), Caller(ADA, "api"))
    assert desk.treasury.sign(desk.request(), CALLER)
