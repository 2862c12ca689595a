"""Reading a file of payments, whatever it is: the edge of this package towards the disk."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

from bursar.errors import PlanRejected
from bursar.payouts.delimited import read_delimited
from bursar.payouts.json_lines import read_json_lines
from bursar.payouts.problems import rejected_file
from bursar.payouts.table import Table

MOST_BYTES: Final = 64 * 1024 * 1024
_ZIP: Final = b"PK\x03\x04"


class Format(StrEnum):
    """What a file of payments can be."""

    CSV = "csv"
    XLSX = "xlsx"
    JSON_LINES = "jsonl"


_ENDINGS: Final = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".xlsx": Format.XLSX,
    ".jsonl": Format.JSON_LINES,
    ".ndjson": Format.JSON_LINES,
}


def read_file(path: Path, *, sheet: str | None = None) -> Table:
    """Return the table in a file; what it is, its name's ending says. `sheet` is a workbook's.

    Reads one file of at most 64 MiB, and nothing else.

    Raises:
        PlanRejected: it cannot be read, is too large, or not what its ending says; else as its reader raises.
    """
    kind = _ENDINGS.get(path.suffix.lower())
    if kind is None:
        raise rejected_file(
            f"its name, {path.name[:60]}, does not say what it is",
            f"one of {', '.join(_ENDINGS)}",
        )
    return read_body(_body(path), kind, sheet=sheet)


def read_body(body: bytes, kind: Format, *, sheet: str | None = None) -> Table:
    """Return the table in the bytes of a file.

    Raises:
        PlanRejected: it is something else than said; else as its reader raises.
        ConfigError: a workbook, and defusedxml is not installed.
    """
    is_workbook = body.startswith(_ZIP)
    if is_workbook and kind is not Format.XLSX:
        raise rejected_file("it is a workbook", "let its name end in .xlsx")
    if kind is Format.XLSX:
        if not is_workbook:
            raise rejected_file("it is no .xlsx workbook", "save it as .xlsx, without a password")
        from bursar.payouts.workbook import read_workbook

        return read_workbook(body, sheet)
    if sheet is not None:
        raise rejected_file("only a workbook has sheets", "leave the sheet out")
    return read_json_lines(body) if kind is Format.JSON_LINES else read_delimited(body)


def _body(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(MOST_BYTES + 1)
    except OSError as problem:
        raise PlanRejected(
            f"{path.name[:60]} cannot be read: {problem.strerror}", hint="nothing was paid"
        ) from None
    if len(body) > MOST_BYTES:
        raise rejected_file(
            f"it is larger than {MOST_BYTES >> 20} MiB", "divide it into several files"
        )
    return body
