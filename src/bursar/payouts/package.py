"""A workbook's package, a zip of XML parts, looked through before anything is made of it. Pure.

Three questions, answered in one pass that keeps nothing of what it reads: does it unpack to more than a workbook
of payments needs; is there anything that one reader sees and another does not; which parts are worksheets. The
parser is defusedxml's, as openpyxl's is, so that both see the same elements and no entities.

Sources: ECMA-376 part 2 (parts and their names); openpyxl's reader, which finds the texts and the workbook by what
`[Content_Types].xml` says and the styles by their name, where a spreadsheet follows relationships.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Final
from urllib.parse import unquote
from xml.etree.ElementTree import ParseError

from bursar.errors import PlanRejected
from bursar.payouts.outline import ALONE, SAVE, SHEET, VARIES, Outline, Tally
from bursar.payouts.problems import rejected_file

_MOST_UNPACKED: Final = 256 * 1024 * 1024
_MOST_PARTS: Final = 1_000
# All that is neither sheet nor text of cells: read as a whole, at some hundred times its size.
_MOST_BESIDES: Final = 4 * 1024 * 1024
# In so many bytes an element has to begin, so that no text and no tag is longer than two of them.
_PIECE: Final = 1024 * 1024
_SHEETS: Final = "xl/worksheets/"
_TEXTS: Final = "xl/sharedStrings.xml"
_STYLES: Final = "xl/styles.xml"
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Of two of them, readers choose differently.
_SINGLE: Final = ("workbook", "sst", "styleSheet")
# A flaw in these is the whole workbook's.
_FOR_ALL: Final = (*_SINGLE, "Relationships", "Types")
NO_WORKBOOK: Final = "it is no workbook"


def look_through(body: bytes) -> Mapping[str, str]:
    """Return what is wrong with each worksheet of a package, by its part's name; empty where nothing is.

    Takes memory for one piece of 1 MiB at a time.

    Raises:
        PlanRejected: it unpacks to too much, or readers may differ about what is in it.
        Exception: whatever `zipfile` raises about a damaged zip.
    """
    tally = Tally()
    with zipfile.ZipFile(BytesIO(body)) as archive:
        parts = archive.infolist()
        _require_bounded(parts)
        _require_distinct(parts)
        found = {part.filename: _outlined(archive, part.filename, tally) for part in parts}
    _require_one_of_a_kind(found)
    variants = {number for each in found.values() for number in each.variants}
    return {
        name: each.flaw or (VARIES if each.rules & variants else "")
        for name, each in found.items()
        if each.root == SHEET
    }


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
            f"keep to {_MOST_BESIDES >> 20} MiB: {ALONE}",
        )


def _may_be_large(name: str) -> bool:
    return name.startswith(_SHEETS) or name == _TEXTS


def _require_distinct(parts: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse a zip in which readers may find different parts, or one that not all of them can unpack."""
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


def _require_one_of_a_kind(found: Mapping[str, Outline]) -> None:
    for name, each in found.items():
        if each.flaw and each.kind in _FOR_ALL:
            raise _rejected_part(each.flaw, name)
        if each.kind == "styleSheet" and name != _STYLES:
            raise _rejected_part("its styles are not where they are looked for", name)
    kinds = [each.kind for each in found.values()]
    if twice := [kind for kind in _SINGLE if kinds.count(kind) > 1]:
        raise rejected_file(f"it has more than one {twice[0]}", SAVE)


def _outlined(archive: zipfile.ZipFile, name: str, tally: Tally) -> Outline:
    """Return the outline of a part; without a root where it is no XML, such as a picture."""
    from defusedxml.ElementTree import XMLParser

    outline = Outline(tally, _may_be_large(name))
    parser = XMLParser(target=outline)
    piece = b""
    try:
        with archive.open(name) as part:
            while piece := part.read(_PIECE):
                before = tally.all
                parser.feed(piece)
                if len(piece) == _PIECE and tally.all == before:
                    raise _rejected_part(f"it holds a text of {_PIECE >> 20} MiB", name)
        parser.close()
    except (ParseError, ValueError, LookupError):  # malformed, an entity, an encoding
        # Another reader may know the encoding, and find one more part of a kind.
        if not outline.root and piece.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
            raise _rejected_part(NO_WORKBOOK, name) from None
        outline.flaw = NO_WORKBOOK
    return outline


def _rejected_part(what: str, name: str) -> PlanRejected:
    return rejected_file(f"{what} ({name[:60]})", SAVE)
