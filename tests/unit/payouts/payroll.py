"""A treasury that pays and files of payments, from which each test departs in one thing."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import openpyxl
import pytest

from bursar.crossmint.locators import TokenLocator, WalletLocator
from bursar.errors import PlanRejected
from bursar.payouts.files import Format, read_body
from bursar.payouts.lines import Payer
from bursar.payouts.plan import Plan, make_plan
from bursar.payouts.table import Table

WALLET = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
ADA = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
GRACE = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB"
CLOSED = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
HEADER = "id,recipient,amount"


def payer(**changes: Any) -> Payer:
    usual: dict[str, Any] = {
        "wallet": WalletLocator.treasury("treasury"),
        "address": WALLET,
        "token": TokenLocator.parse("base-sepolia:usdc"),
    }
    return Payer(**usual | changes)


def csv_of(*lines: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *lines, ""]).encode()


def json_of(*payments: dict[str, Any]) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in payments).encode()


def xlsx_of(*rows: Sequence[Any], formats: dict[str, str] | None = None) -> bytes:
    """A workbook as openpyxl writes it; `formats` are number formats of cells, by their names."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(list(row))
    for name, form in (formats or {}).items():
        sheet[name].number_format = form
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    body = io.BytesIO()
    book.save(body)
    return body.getvalue()


def read(body: bytes, kind: Format = Format.CSV, **more: Any) -> Table:
    return read_body(body, kind, **more)


def planned(body: bytes, kind: Format = Format.CSV, **changes: Any) -> Plan:
    return make_plan(read(body, kind), payer(**changes))


def problems(body: bytes, kind: Format = Format.CSV, **changes: Any) -> list[tuple[int, str, str]]:
    """Line, column and words of everything that is wrong with a file."""
    with pytest.raises(PlanRejected) as caught:
        planned(body, kind, **changes)
    return [(each["line"], each["column"], each["what"]) for each in caught.value.problems]


def fixes(body: bytes, kind: Format = Format.CSV, **changes: Any) -> list[str]:
    with pytest.raises(PlanRejected) as caught:
        planned(body, kind, **changes)
    return [each["fix"] for each in caught.value.problems]


def warned(plan: Plan) -> list[tuple[int, str, str]]:
    return [(each.line, each.column, each.what) for each in plan.warnings]


def paid(plan: Plan) -> list[tuple[str, str, str]]:
    """Id, recipient and amount of every line."""
    return [(each.id, str(each.recipient), each.amount) for each in plan.lines]


def cells(table: Table) -> list[dict[str, str]]:
    return [dict(row.cells) for row in table.rows]


def numbers(rows: Iterable[Any]) -> list[int]:
    return [each.number for each in rows]
