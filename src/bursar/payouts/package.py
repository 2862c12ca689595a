"""A workbook's package, a zip of XML parts, looked through before anything is made of it. Pure.

Three questions, answered in one pass that keeps nothing of what it reads: does it unpack to more than a workbook
of payments needs; is there a part, a row or a cell that one reader sees and another does not; which parts are
worksheets. The parser is defusedxml's, as openpyxl's is, so that both see the same elements and no entities.

Sources: ECMA-376 part 2 (names of parts), part 1, 18.3.1 (sheets, rows and cells) and 18.4 (shared strings).
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final
from urllib.parse import unquote
from xml.etree.ElementTree import ParseError

from bursar.payouts.problems import rejected_file

SAVE: Final = "open it in a spreadsheet and save it again, as .xlsx"
_ALONE: Final = "save the payments alone, without styles and pictures"
_MOST_UNPACKED: Final = 256 * 1024 * 1024
_MOST_PARTS: Final = 1_000
# All that is neither sheet nor text of cells: read as a whole, at some hundred times its size.
_MOST_BESIDES: Final = 4 * 1024 * 1024
_MOST_PLAIN: Final = 5_000_000
_MOST_OTHER: Final = 250_000
_DEEPEST: Final = 64
# In so many bytes an element has to begin, so that no text and no tag is longer than two of them.
_PIECE: Final = 1024 * 1024
_SHEETS: Final = "xl/worksheets/"
_TEXTS: Final = "xl/sharedStrings.xml"
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_SHEET, _STRINGS = f"{_MAIN}worksheet", f"{_MAIN}sst"
_ROW, _CELL = f"{_MAIN}row", f"{_MAIN}c"
_TO_A_ROW: Final = (_SHEET, f"{_MAIN}sheetData")
# Nothing but these may stand in there: readers differ in what they make of the rest.
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
# Of these there is one in its place; a bit for each.
_ONCE: Final = {_MAIN + name: 1 << at for at, name in enumerate(("sheetData", "f", "v", "is", "t"))}
# What plain cells are made of. The rest costs its reader some ten times as much.
_PLAIN: Final = frozenset(_MAIN + name for name in ("row", "c", "f", "v", "is", "t", "si"))
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_PLACE: Final = re.compile(r"([A-Z]{1,3})[0-9]+", re.ASCII)


def look_through(body: bytes) -> Mapping[str, str]:
    """Return what is wrong with each worksheet of a package, by its part's name; empty where nothing is.

    Takes memory for one piece of 1 MiB at a time.

    Raises:
        PlanRejected: it unpacks to too much, two parts have one name, or its shared strings are damaged.
        Exception: whatever `zipfile` raises about a damaged zip.
    """
    found = {}
    tally = Tally()
    with zipfile.ZipFile(BytesIO(body)) as archive:
        parts = archive.infolist()
        _require_bounded(parts)
        _require_one_reading(parts)
        for part in parts:
            outline = _outlined(archive, part.filename, tally)
            if outline.root == _STRINGS and outline.flaw:
                raise rejected_file(f"{outline.flaw} ({part.filename[:60]})", SAVE)
            if outline.root == _SHEET:
                found[part.filename] = outline.flaw
    return found


def _require_bounded(parts: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse what unpacks to too much. The sizes are the zip's own word, which its reader holds it to."""
    unpacked = sum(part.file_size for part in parts)
    if len(parts) > _MOST_PARTS or unpacked > _MOST_UNPACKED:
        raise rejected_file(
            f"it unpacks to {len(parts)} parts of {unpacked} bytes together, which is too much",
            f"keep to {_MOST_PARTS} parts and {_MOST_UNPACKED >> 20} MiB: save the payments alone",
        )
    besides = sum(part.file_size for part in parts if not _may_be_large(part.filename))
    if besides > _MOST_BESIDES:
        raise rejected_file(
            f"it unpacks to {besides} bytes besides its sheets and their texts, which is too much",
            f"keep to {_MOST_BESIDES >> 20} MiB: {_ALONE}",
        )


def _may_be_large(name: str) -> bool:
    return name.startswith(_SHEETS) or name == _TEXTS


def _require_one_reading(parts: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse a zip in which readers may find different parts under one name, or one that not all can unpack."""
    names = set()
    for part in parts:
        name = _same_for_all(part.filename)
        if name in names:
            raise rejected_file(f"two of its parts have one name ({part.filename[:60]})", SAVE)
        names.add(name)
    if any(part.compress_type not in _METHODS for part in parts):
        raise rejected_file("it is packed in a way that no spreadsheet uses", SAVE)
    if min((part.header_offset for part in parts), default=0):
        raise rejected_file("something else stands before the workbook in this file", SAVE)


def _same_for_all(name: str) -> str:
    """Return a part's name as the most lenient reader takes it."""
    return posixpath.normpath("/" + unquote(name).replace("\\", "/").lstrip("/")).casefold()


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
            raise rejected_file(what, f"divide it into several files, or {_ALONE}")
        if self.other > _MOST_OTHER:
            what = f"it has more than {_MOST_OTHER} elements besides plain cells"
            raise rejected_file(what, _ALONE)


@dataclass(slots=True)
class _Outline:
    """An XML parser's target that follows rows and cells, and makes nothing of them."""

    tally: Tally
    may_be_large: bool
    root: str = ""
    flaw: str = ""
    path: list[str] = field(default_factory=list)
    marks: list[int] = field(default_factory=lambda: [0])
    row: int = 0
    column: int = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.root = self.root or tag
        self.tally.take(is_plain=self.may_be_large and tag in _PLAIN)
        self._stand(tag)
        if tag == _ROW:
            self._begin_row(attributes.get("r"))
        elif tag == _CELL:
            self._begin_cell(attributes.get("r"))
        self.path.append(tag)
        self.marks.append(0)
        if len(self.path) > _DEEPEST:
            raise rejected_file(f"it has elements nested deeper than {_DEEPEST}", SAVE)

    def end(self, _tag: str) -> None:
        self.path.pop()
        self.marks.pop()

    def _stand(self, tag: str) -> None:
        inside = self.path[-1] if self.path else ""
        mark = _ONCE.get(tag, 0)
        may_stand = tag in _CHILDREN.get(inside, (tag,)) and not self.marks[-1] & mark
        if not may_stand or (tag == _ROW and tuple(self.path) != _TO_A_ROW):
            self._note(f"it holds {_short(tag)} where none may be")
        self.marks[-1] |= mark

    def _begin_row(self, number: str | None) -> None:
        # Rows of the same number, or out of order, would be passed over: payments would be lost.
        last, self.column = self.row, 0
        self.row = last + 1 if number is None else _read(number)
        if self.row <= last:
            self._note("its rows are not in order")

    def _begin_cell(self, place: str | None) -> None:
        # Of two cells in one place one is not read, and behind the last one none is.
        last = self.column
        self.column = last + 1 if place is None else _column(place)
        if self.column <= last:
            self._note("its cells are not in order")

    def _note(self, flaw: str) -> None:
        self.flaw = self.flaw or flaw


def _outlined(archive: zipfile.ZipFile, name: str, tally: Tally) -> _Outline:
    """Return the outline of a part; without a root where it is no XML, such as a picture."""
    from defusedxml.ElementTree import XMLParser

    outline = _Outline(tally, _may_be_large(name))
    parser = XMLParser(target=outline)
    with archive.open(name) as part:
        for piece in iter(lambda: part.read(_PIECE), b""):
            before = tally.all
            try:
                parser.feed(piece)
            except (ParseError, ValueError, LookupError):  # malformed, an entity, an encoding
                return _Outline(tally, may_be_large=False)
            if len(piece) == _PIECE and tally.all == before:
                raise rejected_file(f"it holds a text of {_PIECE >> 20} MiB ({name[:60]})", SAVE)
    try:
        parser.close()
    except ParseError:
        return _Outline(tally, may_be_large=False)
    return outline


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
