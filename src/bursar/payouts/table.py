"""A file of payments as a table: which columns there are, and in each row clean text with its line. Pure.

Whatever a file is, it comes here as cells. A column that is not known is an error, for a mistyped header must not
take its values away unseen; columns of one's own begin with `x_` and are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from bursar.errors import PlanRejected
from bursar.payouts import texts
from bursar.payouts.problems import Problem, rejected, rejected_file

COLUMNS: Final = ("id", "recipient", "amount", "token", "type", "note")
REQUIRED: Final = ("recipient", "amount")
OWN: Final = "x_"
MOST_LINES: Final = 100_000
MOST_COLUMNS: Final = 64
# Notes are for people, in whatever script; the rest decides who gets what.
_ANY_SCRIPT: Final = frozenset({"note"})
AS_TEXT: Final = "format the column as text, type the value again, and save"


class Origin(Enum):
    """Where a cell's text comes from: typed as text, a number, or what a formula last came to."""

    TEXT = auto()
    NUMBER = auto()
    FORMULA = auto()


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of one cell; or, with `flaw`, why it cannot be read, and with `fix` what to do."""

    text: str
    origin: Origin = Origin.TEXT
    flaw: str = ""
    fix: str = AS_TEXT


@dataclass(frozen=True, slots=True)
class Row:
    """One payment as the file has it. `number` is its line, or row; columns that are empty are left out.

    `numbers` are the columns whose cells were no text, but a workbook's numbers or formulas.
    """

    number: int
    cells: Mapping[str, str]
    numbers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Table:
    """All rows in the order of the file, with what is wrong and what is worth knowing about their text."""

    columns: frozenset[str]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


@dataclass
class Gathering:
    """Takes a file's records one by one and makes the table of them."""

    columns: set[str] = field(default_factory=set)
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def add(self, number: int, named: Iterable[tuple[str, Cell]]) -> None:
        """Take the cells of one payment, by their columns.

        Raises:
            PlanRejected: there are more payments than one file may have.
        """
        cells: dict[str, str] = {}
        numbers = set()
        for column, cell in named:
            text = self._read(number, column, cell)
            self.columns.add(column)
            if text:
                cells[column] = text
            if cell.origin is not Origin.TEXT:
                numbers.add(column)
        if len(self.rows) >= MOST_LINES:
            raise too_many()
        self.rows.append(Row(number, cells, frozenset(numbers)))

    def table(self) -> Table:
        """Return the table.

        Raises:
            PlanRejected: there is no payment in it, or a column is missing altogether.
        """
        if not self.rows:
            raise rejected_file("it has no payments", "write one payment a line under the header")
        missing = [
            Problem(0, name, "", "the column is missing", _header_fix())
            for name in REQUIRED
            if name not in self.columns
        ]
        if missing:
            raise rejected(missing)
        return Table(
            frozenset(self.columns), tuple(self.rows), tuple(self.problems), tuple(self.warnings)
        )

    def _read(self, number: int, column: str, cell: Cell) -> str:
        text = texts.trimmed(cell.text)
        problem = cell.flaw or texts.flaw(text, ascii_only=column not in _ANY_SCRIPT)
        if problem:
            fix = cell.fix if cell.flaw else "type the value again"
            self.problems.append(Problem(number, column, cell.text, problem, fix))
            return text
        if text != cell.text:
            self._warn(number, column, cell, "spaces around it were taken away")
        if cell.origin is Origin.FORMULA:
            self._warn(number, column, cell, "it is a formula: what it last came to is read")
        if cell.origin is Origin.NUMBER and column == "amount":
            self._warn(
                number, column, cell, "it is a number and no text: what the cell shows is read"
            )
        return text

    def _warn(self, number: int, column: str, cell: Cell, what: str) -> None:
        self.warnings.append(Problem(number, column, cell.text, what, cell.fix))


def column_name(text: str) -> str:
    """Return a header's name as the columns are called: small letters, no spaces around."""
    return texts.trimmed(text).lower()


def too_many() -> PlanRejected:
    """Return the error of a file of more lines than are read."""
    return rejected_file(f"it has more than {MOST_LINES} payments", "divide it into several files")


def header_problems(number: int, names: Sequence[str]) -> list[Problem]:
    """Return what is wrong with the names of a header, in their order. Empty names are none of its business."""
    found = []
    before = set()
    for name in names:
        flaw = texts.flaw(name, ascii_only=True)
        if flaw:
            found.append(Problem(number, "", name, f"a column's name: {flaw}", "type it again"))
        elif name and not is_column(name):
            what = f"there is no column {name[:40]!r}"
            found.append(Problem(number, "", name, what, _header_fix()))
        elif name in before:
            what = f"the column {name[:40]!r} is there twice"
            found.append(Problem(number, "", name, what, "keep one of the two"))
        if name:
            before.add(name)
    return found


def width_problems(number: int, columns: int) -> list[Problem]:
    """Return what is wrong with how many columns a record has. Asked before anything else is made of it."""
    if columns <= MOST_COLUMNS:
        return []
    what = f"it has {columns} columns; {MOST_COLUMNS} at most"
    return [Problem(number, "", "", what, "delete those that are not needed, empty ones too")]


def is_column(name: str) -> bool:
    """Tell whether a name is a column's, or somebody's own."""
    return name in COLUMNS or (name.startswith(OWN) and name != OWN)


def table_of(records: Iterable[tuple[int, Sequence[Cell]]], *, padded: bool) -> Table:
    """Return the table of records under a header. Records that are wholly empty count for nothing.

    `padded`: cells at the end may be left out, as workbooks do; otherwise a record that is too short is wrong.

    Raises:
        PlanRejected: the header is wrong, or there is nothing under it.
    """
    full = ((number, cells) for number, cells in records if any(map(_is_there, cells)))
    number, header = next(full, (0, ()))
    names = [column_name(each.text) for each in header]
    if problems := header_problems(number, names):
        raise rejected(problems)
    gathering = Gathering(columns={name for name in names if name in COLUMNS})
    for number, cells in full:
        if not padded and len(cells) < len(names):
            what = f"it has {len(cells)} cells, where the header has {len(names)}"
            fix = "put every cell there, empty ones too; it may have been cut off"
            gathering.problems.append(Problem(number, "", "", what, fix))
        gathering.add(number, _under(gathering, names, number, cells))
    return gathering.table()


def _under(
    gathering: Gathering, names: Sequence[str], number: int, cells: Sequence[Cell]
) -> list[tuple[str, Cell]]:
    """Return the cells that stand under a known column; others that are not empty are problems."""
    for place, cell in enumerate(cells):
        if _is_there(cell) and (place >= len(names) or not names[place]):
            what = f"there is something in column {place + 1}, which has no name in the header"
            fix = "take it away, or give the column a name that begins with x_"
            gathering.problems.append(Problem(number, "", cell.text, what, fix))
    return [(name, cell) for name, cell in zip(names, cells, strict=False) if name in COLUMNS]


def _is_there(cell: Cell) -> bool:
    return bool(texts.trimmed(cell.text) or cell.flaw)


def _header_fix() -> str:
    return f"columns are {', '.join(COLUMNS)}; one of your own begins with {OWN}"
