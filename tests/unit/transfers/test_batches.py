"""When a batch is split: before a signature of it may be out, and for what one of its payments is at fault for."""

from __future__ import annotations

import pytest

from bursar.crossmint.locators import RecipientLocator, TokenLocator
from bursar.errors import (
    BursarError,
    CrossmintUnavailable,
    NeedsApproval,
    PolicyViolation,
    SigningServiceRefused,
    TransactionFailed,
)
from bursar.transfers import batches
from bursar.transfers.batch import BatchPayment, BatchTransfer
from bursar.transfers.record import Key, Lane, Transfer
from bursar.transfers.states import Event, EventKind, Standing, after
from tests.fakes.scripted_crossmint import TREASURY, WALLET, intent

TOKEN = TokenLocator.parse("base-sepolia:usdc")
PAYMENTS = tuple(
    BatchPayment(TOKEN, RecipientLocator.parse(f"0x{number:040x}"), "1") for number in (1, 2)
)
READY = (EventKind.ASKED, EventKind.CREATED, EventKind.REVIEWED)


def batch(*kinds: EventKind) -> Transfer:
    standing = Standing()
    for kind in kinds:
        standing = after(standing, Event(kind, {"transaction": "tx-1", "message": "0x01"}))
    made = BatchTransfer("b-1", WALLET, PAYMENTS)
    return Transfer(Key(TREASURY, "b-1"), made, standing, 1, 0, Lane.PAYOUT, "", "")


def refused(rule: str) -> list[BursarError]:
    details = {"rule": rule}
    far = SigningServiceRefused("no", reason=PolicyViolation.code, details=details)
    return [PolicyViolation("no", rule=rule), far]


@pytest.mark.parametrize(
    "rule",
    ["tokens.usdc.per_transfer", "recipients.allow", "limits[usdc, 1 day]", "calls_at_most"],
)
def test_a_payment_that_is_refused_is_looked_for(rule):
    assert [batches.spoils(batch(*READY), error) for error in refused(rule)] == [True, True]


@pytest.mark.parametrize("rule", ["hours", "callers.allow", "chains.base.fee_at_most", "kind", ""])
def test_what_is_no_payment_s_fault_splits_nothing(rule):
    assert [batches.spoils(batch(*READY), error) for error in refused(rule)] == [False, False]


def test_what_cannot_be_built_is_split_and_what_may_pass_is_not():
    assert batches.spoils(batch(EventKind.ASKED), TransactionFailed("no"))
    assert not batches.spoils(batch(EventKind.ASKED), CrossmintUnavailable("away"))
    assert not batches.spoils(batch(*READY), NeedsApproval("not yet"))


def test_what_may_have_been_handed_in_is_not_split_though_it_was_built_anew():
    again = batch(
        *READY, EventKind.SIGNED, EventKind.HANDING_IN, EventKind.REBUILT, EventKind.REVIEWED
    )
    for error in (*refused("tokens.usdc.per_transfer"), TransactionFailed("no")):
        assert not batches.spoils(again, error)


def test_a_single_transfer_is_never_split():
    single = Transfer(Key(TREASURY, "a"), intent("a"), Standing(), 1, 0, Lane.PAYOUT, "", "")
    assert not batches.spoils(single, TransactionFailed("no"))
