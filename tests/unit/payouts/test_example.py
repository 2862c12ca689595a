"""The example in the documentation is a file that can be paid."""

from __future__ import annotations

from pathlib import Path

from bursar.payouts.files import read_file
from bursar.payouts.plan import make_plan
from bursar.payouts.table import COLUMNS
from tests.unit.payouts.payroll import payer

ROOT = Path(__file__).parents[3]


def test_the_example_becomes_a_plan():
    plan = make_plan(read_file(ROOT / "docs/examples/payout.csv"), payer())
    assert [each.text for each in plan.totals] == ["5695.75"]
    assert plan.warnings == ()


def test_every_column_is_documented():
    page = (ROOT / "docs/reference/payout-files.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in COLUMNS)
