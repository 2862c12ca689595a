"""Whatever comes between whatever: at most one payment, never one that is cancelled or said to have failed."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bursar.transfers.states import EventKind, Stage
from tests.unit.transfers.imagined import (
    Acting,
    Luck,
    Seen,
    World,
    canceller,
    driver,
    is_over,
    says,
)

WHO = st.integers(0, 3)


class Interleaving(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.acting: list[Acting] = []
        self.confirmed = False

    def _waits(self) -> bool:
        seen = self.world.transaction
        return seen is not None and not seen.is_handed_in

    @precondition(lambda self: len(self.acting) < 4)
    @rule()
    def somebody_drives(self) -> None:
        self.acting.append(driver(self.world))

    @precondition(lambda self: self.acting)
    @rule(who=WHO, luck=st.sampled_from(Luck), steps=st.integers(1, 6))
    def somebody_goes_on(self, who: int, luck: Luck, steps: int) -> None:
        acting = self.acting[who % len(self.acting)]
        self.world.luck = luck
        for _ in range(steps):
            if next(acting, self) is self:
                self.acting.remove(acting)
                break
        self.world.luck = Luck.GOOD

    @precondition(lambda self: self.acting)
    @rule(who=WHO)
    def somebody_dies(self, who: int) -> None:
        self.acting.pop(who % len(self.acting)).close()

    @precondition(lambda self: len(self.acting) < 4)
    @rule()
    def somebody_says_yes(self) -> None:
        self.confirmed = True
        self.acting.append(says(self.world, EventKind.CONFIRMED, confirmed_by="Ada"))

    @precondition(lambda self: len(self.acting) < 4)
    @rule()
    def somebody_has_it_go_on(self) -> None:
        self.acting.append(says(self.world, EventKind.RELEASED))

    @precondition(lambda self: len(self.acting) < 4)
    @rule()
    def somebody_cancels(self) -> None:
        self.acting.append(canceller(self.world))

    @precondition(lambda self: self._waits())
    @rule(other_nonce=st.booleans())
    def it_is_built_anew(self, other_nonce: bool) -> None:  # noqa: FBT001  hypothesis names it
        seen = self.world.transaction
        assert seen is not None
        self.world.change(
            replace(seen, message=seen.message + 1, nonce=seen.nonce + int(other_nonce))
        )

    # Who approves in Crossmint's console answers for it: nothing that the journal does not know or says is over,
    # not while others cancel or before everybody can see it, and not what is another operation.
    @precondition(
        lambda self: (
            self._waits()
            and not self.world.cancelling
            and not is_over(self.world)
            and "transaction" in self.world.row.standing.known
            and {each.nonce for each in self.world.copies} == {1}
        )
    )
    @rule()
    def it_is_approved_elsewhere(self) -> None:
        seen = self.world.transaction
        assert seen is not None
        self.confirmed = True
        self.world.copies.clear()
        self.world.change(replace(seen, status="pending", approved=True))

    @precondition(lambda self: self.world.transaction is None)
    @rule(refuses=st.booleans())
    def the_recipient_is_screened(self, refuses: bool) -> None:  # noqa: FBT001  hypothesis names it
        self.world.refuses = refuses

    @precondition(
        lambda self: self.world.transaction and self.world.transaction.status == "pending"
    )
    @rule(reverts=st.booleans())
    def it_lands(self, reverts: bool) -> None:  # noqa: FBT001  hypothesis names it
        self._land(reverts=reverts)

    def _land(self, *, reverts: bool) -> None:
        seen = self.world.transaction
        assert seen is not None
        paid = self.world.include(seen.message, reverts=reverts)
        self.world.change(replace(seen, status="success" if paid else "failed"))

    @precondition(lambda self: self.world.received)
    @rule(which=st.integers(0, 9))
    def what_was_handed_in_is_carried_out_whatever_crossmint_says(self, which: int) -> None:
        received = self.world.received
        self.world.include(received[which % len(received)])

    @invariant()
    def it_is_paid_at_most_once(self) -> None:
        assert self.world.payments <= 1

    @invariant()
    def what_was_paid_is_not_said_to_be_unpaid(self) -> None:
        stage = self.world.row.standing.stage
        if self.world.payments:
            assert stage not in {Stage.RECORDED, Stage.FAILED, Stage.CANCELLED}
        if stage is Stage.SETTLED:
            assert self.world.payments

    @invariant()
    def what_is_cancelled_can_never_be_paid(self) -> None:
        if self.world.row.standing.stage is Stage.CANCELLED:
            assert not self.world.received
            seen = self.world.transaction or Seen()
            assert not seen.is_handed_in

    @invariant()
    def nothing_is_signed_that_nobody_said_yes_to(self) -> None:
        assert self.confirmed or not self.world.signed

    def teardown(self) -> None:
        """With nobody in the way it comes to its end, or waits for people with a transaction of another nonce."""
        for _ in range(20):
            for acting in (says(self.world, EventKind.RELEASED), driver(self.world)):
                for _ in zip(range(200), acting, strict=False):
                    seen = self.world.transaction
                    if seen is not None and seen.status == "pending":
                        self._land(reverts=False)
            if self.world.row.standing.hold == "confirmation":
                list(says(self.world, EventKind.CONFIRMED, confirmed_by="Ada"))
        is_other = len({each.nonce for each in self.world.copies}) > 1
        assert is_over(self.world) or (is_other and self.world.row.standing.hold == "trouble")
        self.it_is_paid_at_most_once()
        self.what_was_paid_is_not_said_to_be_unpaid()


Interleaving.TestCase.settings = settings(max_examples=250, stateful_step_count=60)
TestInterleaving = Interleaving.TestCase
