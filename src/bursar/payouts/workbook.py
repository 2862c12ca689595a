"""Payments in a workbook (.xlsx), by openpyxl: one visible sheet, its first full row the header.

A workbook is a zip of XML, so `package` looks through it before it is unpacked, and it is only read with
defusedxml, which expands no entities. Formulas are not computed: what a spreadsheet last saved of them counts, and
where it saved nothing the cell is an error. Source: ECMA-376 part 1, 18.3.1 (cells and their values).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from bursar.errors import ConfigError, PlanRejected
from bursar.payouts.numbers import NotShown, number_text
from bursar.payouts.outline import SAVE, VARIES
from bursar.payouts.package import NO_WORKBOOK, look_through
from bursar.payouts.problems import Problem, rejected, rejected_file
from bursar.payouts.table import MOST_LINES, Cell, Origin, Table, table_of, width_problems

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

# A sheet has no more rows than this; beyond them a row's number is a trap.
_LAST_ROW: Final = 1_048_576
_PLAIN: Final = "take the conditional formats away, and save"
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
    with _readable():
        flaws = look_through(body)
    records = list(_records(body, sheet, flaws, data_only=False))
    if any(cell.origin is Origin.FORMULA for _, cells in records for cell in cells):
        saved = list(_records(body, sheet, flaws, data_only=True))
        records = [_computed(*pair) for pair in zip(records, saved, strict=True)]
    return table_of(records, padded=True)


def _require_defused() -> None:
    import openpyxl

    if not openpyxl.DEFUSEDXML:
        raise ConfigError(
            "a workbook is only read with defusedxml", hint="install it: bursar[payouts]"
        )


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
        raise rejected_file(f"it is no workbook ({type(problem).__name__})", SAVE) from None


def _records(
    body: bytes, sheet: str | None, flaws: Mapping[str, str], *, data_only: bool
) -> Iterator[tuple[int, Sequence[Cell]]]:
    import openpyxl

    with _readable():
        book = openpyxl.load_workbook(
            BytesIO(body), read_only=True, data_only=data_only, keep_links=False
        )
        found = _sheet(book, sheet)
        _require_sound(found, flaws)
        # The size is the file's own word, and often wrong.
        found.reset_dimensions()
        for number, cells in enumerate(found.iter_rows(), 1):
            _require_within(number, cells)
            yield number, [_cell(each) for each in cells]
        book.close()


def _sheet(book: Workbook, wanted: str | None) -> Any:
    # Never by its name alone: a hidden sheet may have the same.
    visible = [each for each in book.worksheets if each.sheet_state == "visible"]
    chosen = [each for each in visible if wanted in (None, each.title)]
    if len(chosen) == 1:
        return chosen[0]
    what = (
        f"no sheet {wanted[:40]!r}"
        if wanted is not None and not chosen
        else f"{len(visible)} visible sheets"
    )
    names = ", ".join(each.title for each in visible[:10])
    raise rejected_file(f"it has {what}", f"name one of them: {names}")


def _require_sound(sheet: Any, flaws: Mapping[str, str]) -> None:
    part = sheet._worksheet_path  # noqa: SLF001  which part is read, openpyxl alone knows
    if flaw := flaws.get(part, NO_WORKBOOK):
        raise rejected_file(f"{flaw} ({part[:60]})", _PLAIN if flaw == VARIES else SAVE)


def _require_within(number: int, cells: Sequence[Any]) -> None:
    if number > _LAST_ROW or (cells and number > 2 * MOST_LINES):
        what = f"it has more than {MOST_LINES} payments"
        raise rejected_file(what, "divide it into several files, and delete empty rows")
    if problems := width_problems(number, len(cells)):
        raise rejected(problems)
    for cell in cells:
        row = getattr(cell, "row", number)
        if row != number:
            what = f"it holds a cell of row {row}: the workbook is damaged"
            raise rejected([Problem(number, "", "", what, SAVE)])


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
