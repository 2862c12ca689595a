"""Writing a report to files: the other edge of this package."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from bursar.errors import ConfigError
from bursar.payouts.page import html_page
from bursar.payouts.report import Report, csv_text


def write_csv(report: Report, path: Path, *, replace: bool = False) -> None:
    """Write the report as CSV: UTF-8 with a byte order mark, without which spreadsheets guess another encoding.

    Raises:
        ConfigError: as `write_text`.
    """
    write_text("\ufeff" + csv_text(report), path, replace=replace)


def write_page(report: Report, path: Path, *, replace: bool = False) -> None:
    """Write the report as one HTML page.

    Raises:
        ConfigError: as `write_text`.
    """
    write_text(html_page(report), path, replace=replace)


def write_text(text: str, path: Path, *, replace: bool = False) -> None:
    """Write a file that only its owner may read, whole or not at all.

    Raises:
        ConfigError: there is such a file and it is not to be replaced, or it cannot be written.
    """
    if not replace and path.exists():
        raise ConfigError(f"{path.name} is there already", hint="name another file")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
        try:
            # An id from a JSON file may hold half a character, which UTF-8 cannot carry.
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as problem:
        raise ConfigError(f"{path.name} cannot be written: {problem.strerror}") from None
