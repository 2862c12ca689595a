"""Payments in a workbook (.xlsx), by openpyxl: one visible sheet, its first full row the header.

A workbook is a zip of XML, so it is measured before it is unpacked, and only read with defusedxml, which expands
no entities. Formulas are not computed: what a spreadsheet last saved of them counts, and where it saved nothing
the cell is an error. Source: ECMA-376 part 1, 18.3.1 (cells and their values).
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from bursar.errors import ConfigError, PlanRejected
from bursar.payouts.numbers import NotShown, number_text
from bursar.payouts.problems import Problem, rejected, rejected_file
from bursar.payouts.table import MOST_COLUMNS, MOST_LINES, Cell, Origin, Table, table_of

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

_MOST_UNPACKED: Final = 256 * 1024 * 1024
_MOST_PARTS: Final = 1_000
# A sheet has no more rows than this; beyond them a row's number is a trap.
_LAST_ROW: Final = 1_048_576
# Rows of the same number, or out of order, would be passed over by the reader: payments would be lost.
_ROW: Final = re.compile(rb'<(?:\w+:)?row\s(?:[^<>]*?\s)?r="(\d+)"')
_SHEETS: Final = "xl/worksheets/"
_SAVE: Final = "open it in a spreadsheet and save it again, as .xlsx"
_RECALCULATE: Final = (
    "open it in a spreadsheet, let it compute, and save it; or write the value as text"
)


def read_workbook(body: bytes, sheet: str | None = None) -> Table:
    """Return the table in a workbook's sheet; without a name, in its only visible one.

    Raises:
        PlanRejected: not a workbook, too large unpacked, several sheets and none named, or what `table_of` raises.
        ConfigError: defusedxml is not installed.
    """
    _require_defused()
    _require_bounded(body)
    _require_in_order(body)
    records = list(_records(body, sheet, data_only=False))
    if any(cell.origin is Origin.FORMULA for _, cells in records for cell in cells):
        saved = list(_records(body, sheet, data_only=True))
        records = [_computed(*pair) for pair in zip(records, saved, strict=True)]
    return table_of(records, padded=True)


def _require_defused() -> None:
    import openpyxl

    if not openpyxl.DEFUSEDXML:
        raise ConfigError(
            "a workbook is only read with defusedxml", hint="install it: bursar[payouts]"
        )


def _require_bounded(body: bytes) -> None:
    """Refuse what unpacks to too much. The sizes are the zip's own word, which its reader holds it to."""
    with _readable(), zipfile.ZipFile(BytesIO(body)) as archive:
        parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    if len(parts) > _MOST_PARTS or unpacked > _MOST_UNPACKED:
        raise rejected_file(
            f"it unpacks to {len(parts)} parts of {unpacked} bytes together, which is too much",
            f"keep to {_MOST_PARTS} parts and {_MOST_UNPACKED >> 20} MiB: save the payments alone",
        )


def _require_in_order(body: bytes) -> None:
    with _readable(), zipfile.ZipFile(BytesIO(body)) as archive:
        for name in archive.namelist():
            if name.startswith(_SHEETS) and name.endswith(".xml"):
                numbers = [int(each) for each in _ROW.findall(archive.read(name))]
                if any(one >= next_one for one, next_one in pairwise(numbers)):
                    raise rejected_file(f"its rows are not in order ({name[:60]})", _SAVE)


@contextmanager
def _readable() -> Iterator[None]:
    """Turn whatever is raised about a damaged workbook into one error, and let no warning about it out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PlanRejected:
        raise
    except Exception as problem:  # noqa: BLE001  zipfile, expat and openpyxl each raise what they like
        raise rejected_file(f"it is no workbook ({type(problem).__name__})", _SAVE) from None


def _records(
    body: bytes, sheet: str | None, *, data_only: bool
) -> Iterator[tuple[int, Sequence[Cell]]]:
    import openpyxl

    with _readable():
        book = openpyxl.load_workbook(
            BytesIO(body), read_only=True, data_only=data_only, keep_links=False
        )
        found: Any = book[_sheet_name(book, sheet)]
        # The size is the file's own word, and often wrong.
        found.reset_dimensions()
        for number, cells in enumerate(found.iter_rows(), 1):
            _require_within(number, cells)
            yield number, [_cell(each) for each in cells]
        book.close()


def _sheet_name(book: Workbook, wanted: str | None) -> str:
    visible = [each.title for each in book.worksheets if each.sheet_state == "visible"]
    if wanted is None and len(visible) == 1:
        return visible[0]
    if wanted in visible:
        return wanted
    what = (
        f"it has {len(visible)} visible sheets" if wanted is None else f"no sheet {wanted[:40]!r}"
    )
    raise rejected_file(what, f"name one of them: {', '.join(visible[:10])}")


def _require_within(number: int, cells: Sequence[Any]) -> None:
    if number > _LAST_ROW or (cells and number > 2 * MOST_LINES):
        what = f"it has more than {MOST_LINES} payments"
        raise rejected_file(what, "divide it into several files, and delete empty rows")
    if len(cells) > MOST_COLUMNS:
        what = f"it has {len(cells)} columns; {MOST_COLUMNS} at most"
        raise rejected([Problem(number, "", "", what, "delete the columns to the right")])
    for cell in cells:
        row = getattr(cell, "row", number)
        if row != number:
            what = f"it holds a cell of row {row}: the workbook is damaged"
            raise rejected([Problem(number, "", "", what, _SAVE)])


def _cell(cell: Any) -> Cell:
    value = cell.value
    if cell.data_type == "f":
        return Cell("", Origin.FORMULA, "its formula has no saved value", _RECALCULATE)
    if value is None:
        return Cell("")
    if cell.data_type == "e":
        return Cell(str(value), flaw=f"it is the error {str(value)[:20]}", fix=_RECALCULATE)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value, str(cell.number_format))
    return Cell(str(value), flaw="" if isinstance(value, str) else _no_text(value))


def _no_text(value: Any) -> str:
    kinds = {bool: "true or false"} | dict.fromkeys(
        (datetime, date, time, timedelta), "a date or a time"
    )
    return f"it is {kinds.get(type(value), 'something else')} and no text"


def _number(value: float, shown_as: str) -> Cell:
    try:
        return Cell(number_text(value, shown_as), Origin.NUMBER)
    except NotShown as problem:
        return Cell(repr(value)[:40], Origin.NUMBER, str(problem))


def _computed(
    record: tuple[int, Sequence[Cell]], saved: tuple[int, Sequence[Cell]]
) -> tuple[int, Sequence[Cell]]:
    """Return a record with what was saved of its formulas."""
    number, cells = record
    return number, [
        _saved(cell, other) if cell.origin is Origin.FORMULA else cell
        for cell, other in zip(cells, saved[1], strict=True)
    ]


def _saved(formula: Cell, saved: Cell) -> Cell:
    if saved.flaw:
        return saved
    return Cell(saved.text, Origin.FORMULA) if saved.text else formula
