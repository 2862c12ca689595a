"""Workbooks as other programs write them, from which each test departs in one thing."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

import openpyxl

from bursar.payouts.files import Format
from tests.unit.payouts.payroll import (
    ADA,
    saved,
)

XLSX = Format.XLSX
TOO_MANY = "more digits than a spreadsheet shows; a formula may have made it"
HEADER = ["ID", "Recipient ", "amount"]
ONE = ["p-1", ADA, "25.00"]
SHEET = "xl/worksheets/sheet1.xml"


STRINGS = "xl/sharedStrings.xml"
MAIN = "application/vnd.openxmlformats-officedocument.spreadsheetml"
TYPES = f'<Override PartName="/{STRINGS}" ContentType="{MAIN}.sharedStrings+xml"/></Types>'


def changed(body: bytes, part: str, change: Callable[[str], str]) -> bytes:
    """A workbook with one of its parts changed, as other programs might write it."""
    old, new = zipfile.ZipFile(io.BytesIO(body)), io.BytesIO()
    parts = {name: old.read(name).decode() for name in old.namelist()}
    parts[part] = change(parts.get(part, ""))
    with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return new.getvalue()


def shared(body: bytes) -> bytes:
    """A workbook whose texts are in one part of their own, as spreadsheets write them."""
    texts: list[str] = []

    def taken(match: re.Match[str]) -> str:
        texts.append(f"<si>{match[1]}</si>")
        return f't="s"><v>{len(texts) - 1}</v>'

    body = changed(body, SHEET, lambda text: re.sub(r't="inlineStr"><is>(.*?)</is>', taken, text))
    body = changed(body, "[Content_Types].xml", lambda text: text.replace("</Types>", TYPES))
    strings = f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{"".join(texts)}</sst>'
    return changed(body, STRINGS, lambda _: strings)


def two_sheets(state: str = "visible") -> bytes:
    book = openpyxl.Workbook()
    first = book.active
    assert first is not None
    first.append(HEADER)
    first.append(ONE)
    other = book.create_sheet("Old")
    other.sheet_state = state
    return saved(book)
