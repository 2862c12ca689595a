"""Payments in lines of cells, parted by commas, semicolons or tabs. Pure. Source: RFC 4180.

Which of the three it is, the header says: under exactly one of them its names have to be columns. Quoting is read
strictly, so that a quote that is never closed does not swallow the payments after it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from bursar.payouts.problems import Problem, rejected, rejected_file
from bursar.payouts.table import (
    MOST_COLUMNS,
    Cell,
    Table,
    column_name,
    header_problems,
    table_of,
    width_problems,
)

_DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs"}
_OTHER_ENCODINGS: Final = (b"\xff\xfe", b"\xfe\xff")
_SAVE: Final = "save it as CSV UTF-8"
_UNENDED: Final = "the last line does not end with a line break: look whether the file is whole"


def read_delimited(body: bytes) -> Table:
    """Return the table in UTF-8 bytes, with or without a byte order mark.

    Raises:
        PlanRejected: another encoding, quotes that do not match, a line that is too wide, a header that is
            wrong, or no payments.
    """
    text = _decoded(body)
    delimiter = _delimiter(text)
    table = table_of(_records(text, delimiter), padded=False)
    if text.endswith(("\n", "\r")):
        return table
    last = table.rows[-1].number
    warning = Problem(last, "", "", _UNENDED, "compare the last line with where the file came from")
    return Table(table.columns, table.rows, table.problems, (*table.warnings, warning))


def decoded(body: bytes) -> str:
    """Return the text in UTF-8 bytes without its byte order mark.

    Raises:
        PlanRejected: another encoding; the message has the first line that is not UTF-8.
    """
    if body.startswith(_OTHER_ENCODINGS):
        raise rejected_file("it is UTF-16 and not UTF-8", _SAVE)
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = body.count(b"\n", 0, problem.start) + 1
        raise rejected([Problem(line, "", "", "it is not UTF-8", _SAVE)]) from None


def _decoded(body: bytes) -> str:
    text = decoded(body)
    if "\0" in text:
        raise rejected_file("it holds zero bytes, so it is no text", _SAVE)
    return text


def _delimiter(text: str) -> str:
    """Return what parts the cells; where no choice makes a header, the one that parts the most of it."""
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    headers = {each: _names(first, each) for each in _DELIMITERS}
    fitting = [each for each, names in headers.items() if _is_header(names)]
    if len(fitting) > 1:
        told = " as well as by ".join(_DELIMITERS[each] for each in fitting)
        raise rejected_file(f"its header can be parted by {told}", "quote the names in the header")
    return fitting[0] if fitting else max(headers, key=lambda each: len(headers[each]))


def _names(line: str, delimiter: str) -> Sequence[str]:
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:  # what is wrong with it is said when the whole text is read
        return []
    # One more than there may be: no header then, and still the widest.
    return [column_name(each) for each in cells[: MOST_COLUMNS + 1]]


def _is_header(names: Sequence[str]) -> bool:
    return 1 < len(names) <= MOST_COLUMNS and not header_problems(1, names)


def _records(text: str, delimiter: str) -> Iterator[tuple[int, Sequence[Cell]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begin = 1
    try:
        for cells in reader:
            if problems := width_problems(begin, len(cells)):
                raise rejected(problems)
            # A quoted cell may go over several lines; the first of them is where people look.
            yield begin, [Cell(each) for each in cells]
            begin = reader.line_num + 1
    except csv.Error as problem:
        what = f"its cells cannot be told apart ({problem})"
        fix = "look for a quote that is not closed, from this line on"
        raise rejected([Problem(begin, "", "", what, fix)]) from None
