from __future__ import annotations

import re
from pathlib import Path

import pytest

from bursar.crossmint.approvals import Status
from bursar.errors import SettlementContradicted
from bursar.settlement.agreement import Agreement, compare
from bursar.settlement.judgement import NOTHING, Finding, Verdict

PAID = Verdict(Finding.PAID, "paid exactly as asked", "0x1", 1)
SHALLOW = Verdict(Finding.NOT_YET, "is not final", "0x1", 1)
REVERTED = Verdict(Finding.REVERTED, "was reverted", "0x1", 1)
CONTRADICTED = Verdict(Finding.CONTRADICTED, "paid somebody else", "0x1", 1)
VERDICTS = (PAID, SHALLOW, NOTHING, REVERTED, CONTRADICTED)

TABLE = {
    Status.SUCCESS: ("paid", "wait", "wait", "contradiction", "contradiction"),
    Status.FAILED: ("contradiction", "wait", "unseen", "failed", "contradiction"),
    Status.PENDING: ("wait", "wait", "wait", "wait", "contradiction"),
    Status.AWAITING_APPROVAL: (
        "contradiction",
        "wait",
        "wait",
        "contradiction",
        "contradiction",
    ),
    Status.UNKNOWN: ("wait", "wait", "wait", "wait", "contradiction"),
}


@pytest.mark.parametrize("status", Status)
def test_a_payment_is_settled_only_where_both_say_the_same(status: Status) -> None:
    outcomes = [compare(status, verdict) for verdict in VERDICTS]
    assert tuple(outcome.agreement.value for outcome in outcomes) == TABLE[status]
    for outcome, verdict in zip(outcomes, VERDICTS, strict=True):
        assert outcome.words == f"Crossmint says {status.value}; the chain: {verdict.words}"


def test_nothing_but_both_saying_so_is_paid_or_failed() -> None:
    found = {
        (status, verdict.finding): compare(status, verdict).agreement
        for status in Status
        for verdict in VERDICTS
    }
    assert [key for key, what in found.items() if what is Agreement.PAID] == [
        (Status.SUCCESS, Finding.PAID)
    ]
    assert [key for key, what in found.items() if what is Agreement.FAILED] == [
        (Status.FAILED, Finding.REVERTED)
    ]


def test_a_contradiction_is_an_error_for_whoever_goes_on() -> None:
    fine = compare(Status.SUCCESS, PAID)
    assert fine.require_consistent() is fine
    with pytest.raises(SettlementContradicted, match="paid somebody else") as caught:
        compare(Status.SUCCESS, CONTRADICTED).require_consistent()
    assert "pay nothing anew" in str(caught.value.hint)


def test_the_page_says_what_the_code_does() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/settlement.md").read_text()
    rows = re.findall(r"^\| (?:`([a-z-]+)`|anything else) \| (.+) \|$", page, re.MULTILINE)
    said = {name or "unknown": re.sub(r"[*`]", "", cells).split(" | ") for name, cells in rows}
    for status in Status:
        paid, waits, unseen, reverted, other = TABLE[status]
        silent = waits if waits == unseen else f"{waits}; {unseen} without any trace"
        assert said[status.value] == [paid, silent, reverted, other]
    for finding in Finding:
        assert f"| `{finding.name}` | " in page
