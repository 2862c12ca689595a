"""What the elements of a workbook's part show, followed one by one and not kept. Pure.

Readers of a damaged workbook differ: one takes the first of two values, another the last; one passes over what it
does not know, another reads it as a cell. A part in which they could differ about a payment has a flaw.

Source: ECMA-376 part 1, 18.3.1 (sheets, rows and cells), 18.4 (shared strings), 18.8 (styles); part 2, 9.3
(relationships).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bursar.payouts.problems import rejected_file

SAVE: Final = "open it in a spreadsheet and save it again, as .xlsx"
VARIES: Final = "a conditional format changes what its numbers show"
ALONE: Final = "save the payments alone, without styles and pictures"
_MOST_PLAIN: Final = 5_000_000
_MOST_OTHER: Final = 250_000
_DEEPEST: Final = 64

_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATIONS: Final = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
SHEET: Final = f"{_MAIN}worksheet"
_ROW, _CELL = f"{_MAIN}row", f"{_MAIN}c"
_RULE, _FORMAT = f"{_MAIN}cfRule", f"{_MAIN}numFmt"
_VARIANT: Final = f"{_MAIN}dxf"
# Nothing but these may stand in there.
_CHILDREN: Final = {
    _MAIN + name: frozenset(_MAIN + child for child in children.split())
    for name, children in {
        "sheetData": "row",
        "row": "c extLst",
        "c": "f v is extLst",
        "si": "t r rPh phoneticPr",
        "is": "t r rPh phoneticPr",
        "r": "rPr t",
        "rPh": "t",
        **dict.fromkeys(("f", "v", "t"), ""),
    }.items()
}
# These are read wherever they stand, and may stand nowhere else.
_PLACES: Final = {_ROW: (SHEET, f"{_MAIN}sheetData"), f"{_MAIN}si": (f"{_MAIN}sst",)}
# Of these there is one in its place; a bit for each.
_ONCE: Final = {_MAIN + name: 1 << at for at, name in enumerate(("sheetData", "f", "v", "is", "t"))}
# What names these, in the element around them, is there once.
_NAMED: Final = {_RELATIONS: (f"{_RELATIONS}s", "Id"), _FORMAT: (f"{_MAIN}numFmts", "numFmtId")}
# What plain cells are made of. The rest costs its reader some ten times as much.
_PLAIN: Final = frozenset(_MAIN + name for name in ("row", "c", "f", "v", "is", "t", "si"))
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_PLACE: Final = re.compile(r"([A-Z]{1,3})[0-9]+", re.ASCII)


@dataclass(slots=True)
class Tally:
    """How many elements there are in all parts together."""

    plain: int = 0
    other: int = 0

    @property
    def all(self) -> int:
        """How many there are of both."""
        return self.plain + self.other

    def take(self, *, is_plain: bool) -> None:
        """Count one more.

        Raises:
            PlanRejected: there are too many.
        """
        if is_plain:
            self.plain += 1
        else:
            self.other += 1
        if self.plain > _MOST_PLAIN:
            what = f"it has more than {_MOST_PLAIN} elements in its cells"
            raise rejected_file(what, f"divide it into several files, or {ALONE}")
        if self.other > _MOST_OTHER:
            what = f"it has more than {_MOST_OTHER} elements besides plain cells"
            raise rejected_file(what, ALONE)


@dataclass(slots=True)
class Outline:
    """An XML parser's target. `root` is the outermost element, `flaw` the first thing that is wrong, if any.

    `is_cells`: the part may be large, so what cells are made of is counted as such. `rules` are the numbers of the
    variants that conditional formats of a sheet use, `variants` those that have a number format of their own.
    """

    tally: Tally
    is_cells: bool
    root: str = ""
    flaw: str = ""
    rules: set[int] = field(default_factory=set)
    variants: set[int] = field(default_factory=set)
    _path: list[str] = field(default_factory=list)
    _marks: list[int] = field(default_factory=lambda: [0])
    _names: set[str] = field(default_factory=set)
    _row: int = 0
    _column: int = 0
    _variant: int = -1

    @property
    def kind(self) -> str:
        """The outermost element's name without its namespace."""
        return self.root.rpartition("}")[2]

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take the beginning of an element.

        Raises:
            PlanRejected: there are too many, or too many in each other.
        """
        self.root = self.root or tag
        self.tally.take(is_plain=self.is_cells and tag in _PLAIN)
        self._stand(tag)
        if tag == _CELL:
            self._begin_cell(attributes.get("r"))
        elif tag == _ROW:
            self._begin_row(attributes.get("r"))
        elif tag not in _PLAIN:
            self._begin_other(tag, attributes)
        self._path.append(tag)
        self._marks.append(0)
        if len(self._path) > _DEEPEST:
            raise rejected_file(f"it has elements nested deeper than {_DEEPEST}", SAVE)

    def end(self, _tag: str) -> None:
        """Take the end of an element."""
        self._path.pop()
        self._marks.pop()

    def _stand(self, tag: str) -> None:
        mark = _ONCE.get(tag, 0)
        may_stand = tag in _CHILDREN.get(self._around, (tag,)) and not self._marks[-1] & mark
        place = _PLACES.get(tag)
        if not may_stand or (place and tuple(self._path) != place):
            self._note(f"it holds {_short(tag)} where none may be")
        self._marks[-1] |= mark

    @property
    def _around(self) -> str:
        return self._path[-1] if self._path else ""

    def _begin_row(self, number: str | None) -> None:
        # Rows of the same number, or out of order, would be passed over: payments would be lost.
        last, self._column = self._row, 0
        self._row = last + 1 if number is None else _read(number)
        if self._row <= last:
            self._note("its rows are not in order")

    def _begin_cell(self, place: str | None) -> None:
        # Of two cells in one place one is not read, and behind the last one none is.
        last = self._column
        self._column = last + 1 if place is None else _column(place)
        if self._column <= last:
            self._note("its cells are not in order")

    def _begin_other(self, tag: str, attributes: Mapping[str, str]) -> None:
        around, name = _NAMED.get(tag, ("", ""))
        if name and around == self._around:
            self._name(tag, attributes.get(name, ""))
        elif tag == _FORMAT and self._around.endswith("}dxf"):
            # In a sheet itself it belongs to a rule of that sheet.
            if self.root == SHEET:
                self._note(VARIES)
            self.variants.add(self._variant)
        elif tag == _VARIANT and self._around == f"{_VARIANT}s":
            self._variant += 1
        elif tag == _RULE and "dxfId" in attributes:
            self.rules.add(int(attributes["dxfId"]))

    def _name(self, tag: str, name: str) -> None:
        key = str(int(name)) if tag == _FORMAT else name.strip()
        if key in self._names:
            self._note(f"it holds {_short(tag)} twice under {key[:20]!a}")
        self._names.add(key)

    def _note(self, flaw: str) -> None:
        self.flaw = self.flaw or flaw


def _read(number: str) -> int:
    """Return a row's number, 0 where it is none."""
    return int(number) if _NUMBER.fullmatch(number) else 0


def _column(place: str) -> int:
    """Return the number of a cell's column, of `C7` 3; 0 where it is no cell's place."""
    found = _PLACE.fullmatch(place)
    number = 0
    for letter in found.group(1) if found else "":
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def _short(tag: str) -> str:
    return ascii(tag.rpartition("}")[2][:20])
