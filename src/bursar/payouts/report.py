"""What a payout was and what became of it; as CSV, one row a line. Pure. As a page it is in `page`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bursar.amounts import to_decimal_text
from bursar.payouts.plan import Plan
from bursar.payouts.reconciliation import Entry, Reconciliation, reconcile
from bursar.payouts.results import LineResult
from bursar.payouts.texts import safe

COLUMNS: Final = (
    "line",
    "id",
    "recipient",
    "token",
    "amount",
    "base_units",
    "type",
    "state",
    "reason",
    "next_step",
    "transaction",
    "chain_transaction",
    "kms_request",
    "digest",
    "batch",
    "started",
    "ended",
    "note",
)


@dataclass(frozen=True, slots=True)
class Header:
    """What a report is about besides the plan. Times are aware.

    `file` is the file's name, `who` the IAM ARN of whoever had it paid, `policy_hash` that of the policy it was
    signed by; empty where not known.
    """

    file: str
    made: datetime
    who: str = ""
    policy_hash: str = ""
    started: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A plan, what became of it, what was seen on the chain, and alarms (see `reconciliation.reconcile`)."""

    plan: Plan
    header: Header
    results: tuple[LineResult, ...]
    on_chain: Mapping[str | None, int] | None = None
    alarms: tuple[str, ...] = ()

    @property
    def reconciliation(self) -> Reconciliation:
        """How plan, results and chain fit together. Worked out each time."""
        return reconcile(self.plan, self.results, self.on_chain, self.alarms)


def csv_text(report: Report) -> str:
    """Return one row for each line (and each result without one) under a header, lines ended as RFC 4180 has it.

    No cell begins as a formula does: such a one has an apostrophe put before it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for entry in report.reconciliation.entries:
        writer.writerow([safe(each) for each in _row(entry)])
    return text.getvalue()


def moment(at: datetime | None) -> str:
    """Return a time in UTC, to the second: `2026-11-25T12:00:05Z`; empty for none."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(entry: Entry) -> list[str]:
    return [*_asked(entry), *_became(entry.result), entry.line.note if entry.line else ""]


def _asked(entry: Entry) -> list[str]:
    line = entry.line
    if line is None:
        return ["", entry.result.id if entry.result else "", "", "", "", "", ""]
    return [
        str(line.number),
        line.id,
        str(line.recipient),
        str(line.token),
        to_decimal_text(line.units, line.meant.decimals or 0),
        str(line.units),
        line.type.value,
    ]


def _became(result: LineResult | None) -> list[str]:
    if result is None:
        return ["no result", *[""] * 9]
    return [
        result.state.words,
        result.reason,
        result.advice,
        result.transaction,
        result.chain_transaction,
        result.kms_request,
        result.digest,
        result.batch,
        moment(result.started),
        moment(result.ended),
    ]
