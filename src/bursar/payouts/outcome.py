"""From the journal's transfers back to a payout's plan, and to what became of each line. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bursar.amounts import to_base_units
from bursar.errors import PayoutError
from bursar.payouts.lines import Line
from bursar.payouts.plan import Plan
from bursar.payouts.results import LineResult, State
from bursar.transfers.batches import batch_of, is_batch
from bursar.transfers.intent import TransferIntent
from bursar.transfers.reading import Reading
from bursar.transfers.record import Transfer
from bursar.transfers.states import Stage

if TYPE_CHECKING:
    from bursar.payouts.book import Payout

_STATES = {
    Stage.SETTLED: State.PAID,
    Stage.FAILED: State.FAILED,
    Stage.CANCELLED: State.CANCELLED,
    Stage.CONTRADICTED: State.CONTRADICTED,
}


def plan_of(transfers: Sequence[Transfer], address: str, reading: Reading, agreed: str) -> Plan:
    """Return the plan that a payout's lines were written down from, in the order of the file.

    `address` is the wallet's, `reading` says what tokens' names mean, `agreed` is the plan's hash.

    Raises:
        PayoutError: the lines are not all there, or not those of that plan.
        ConfigError: nobody has said what a token is.
    """
    lines = tuple(_line(each, reading) for each in transfers)
    if not lines:
        raise PayoutError("the payout has no lines in the journal", hint="run it again")
    first = transfers[0].intent
    plan = Plan(first.wallet, address, lines[0].token.chain, lines)
    if plan.hash != agreed:
        raise PayoutError(
            f"the lines in the journal are not those of plan {agreed[:20]}…",
            hint="if it was never written down to its end, run it again; or the settings say now that a token is "
            "another contract than it was then",
        )
    return plan


def require_planned(payout: Payout, transfers: Sequence[Transfer], reading: Reading) -> None:
    """Refuse a payout whose lines, or the batches that pay them, are not what its plan's hash stands for.

    Raises:
        PayoutError: they are not.
    """
    lines = [each for each in transfers if not is_batch(each)]
    plan_of(lines, str(payout.header["address"]), reading, payout.hash)
    paid: dict[str, list[Transfer]] = {}
    for line in lines:
        if line.batch is not None:
            paid.setdefault(line.batch, []).append(line)
    for each in transfers:
        if is_batch(each) and each.id in paid and batch_of(each.id, paid[each.id]) != each.intent:
            raise PayoutError(
                f"batch {each.id} in the journal does not pay what its lines are",
                hint="somebody changed the journal: cancel the payout, and see who may write its database",
            )


def results_of(
    transfers: Sequence[Transfer], batches: Mapping[str, Transfer], reading: Reading
) -> tuple[LineResult, ...]:
    """Return what became of each line. `batches` are the payout's, by their ids.

    Raises:
        PayoutError: one of them is no line. ConfigError: nobody has said what a token is.
    """
    return tuple(_result(each, batches.get(each.batch or ""), reading) for each in transfers)


def alarmed(
    results: Sequence[LineResult], paid: Sequence[str]
) -> tuple[tuple[LineResult, ...], tuple[str, ...]]:
    """Return results, and an alarm for each transfer that ended unpaid and was `paid`, as the chain shows.

    `paid` are their ids: a line of them is contradicted; of a batch there is the alarm alone.
    """
    ended = {each.id: each.state.words for each in results}
    alarms = (
        f"{each} {_called(ended.get(each))}, and the chain shows that it was paid" for each in paid
    )
    found = tuple(_contradicted(each) if each.id in paid else each for each in results)
    return found, tuple(alarms)


def _called(state: str | None) -> str:
    return "is a batch that ended unpaid" if state is None else f"is called {state}"


def _contradicted(result: LineResult) -> LineResult:
    ended = f"{result.state.words}: {result.reason}" if result.reason else result.state.words
    reason = f"the chain shows that it was paid; the journal has it as {ended}"
    return replace(result, state=State.CONTRADICTED, reason=reason)


def _result(transfer: Transfer, batch: Transfer | None, reading: Reading) -> LineResult:
    standing = transfer.standing
    state = _STATES.get(standing.stage, State.PENDING)
    if standing.stage is Stage.RECORDED and standing.hold is None and standing.reason is None:
        state = State.NOT_STARTED
    paid_by = batch or transfer
    known: Mapping[str, Any] = paid_by.standing.known
    return LineResult(
        transfer.id,
        state,
        reason=standing.reason or "",
        units=_units(_asked(transfer), reading),
        transaction=_text(known.get("transaction")),
        chain_transaction=_text(known.get("chain_transaction")),
        kms_request=_text(known.get("request_id")),
        digest=_text(known.get("digest")),
        batch=transfer.batch or "",
        started=datetime.fromisoformat(transfer.created_at),
        ended=datetime.fromisoformat(transfer.updated_at) if standing.is_final else None,
    )


def _line(transfer: Transfer, reading: Reading) -> Line:
    asked = _asked(transfer)
    place = transfer.place
    return Line(
        place.line if place else 0,
        transfer.id,
        asked.recipient,
        asked.token,
        reading.token(asked.token),
        _units(asked, reading),
        asked.type,
        place.note if place else "",
    )


def _units(asked: TransferIntent, reading: Reading) -> int:
    return to_base_units(asked.amount, reading.token(asked.token).decimals or 0)


def _asked(transfer: Transfer) -> TransferIntent:
    if not isinstance(transfer.intent, TransferIntent):
        raise PayoutError(f"{transfer.id} is a batch, and no line of a file")
    return transfer.intent


def _text(value: object) -> str:
    return "" if value is None else str(value)
