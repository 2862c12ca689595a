"""Workbooks that mean harm: what readers take differently, what unpacks without end, what hides."""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import warnings
import zipfile

import openpyxl
import pytest
from openpyxl.formatting.rule import Rule
from openpyxl.styles import Font
from openpyxl.styles.differential import DifferentialStyle
from openpyxl.styles.numbers import NumberFormat

from bursar.errors import PlanRejected
from bursar.payouts.outline import Tally
from tests.unit.payouts.payroll import (
    ADA,
    GRACE,
    fixes,
    paid,
    planned,
    problems,
    read,
    saved,
    xlsx_of,
)
from tests.unit.payouts.workbooks import (
    HEADER,
    ONE,
    SHEET,
    STRINGS,
    XLSX,
    changed,
    shared,
    two_sheets,
)


def zipped(*parts: tuple[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    body = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(body, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that come twice
        for name, text in parts:
            archive.writestr(name, text)
    return body.getvalue()


def parts_of(body: bytes) -> list[tuple[str, bytes]]:
    archive = zipfile.ZipFile(io.BytesIO(body))
    return [(name, archive.read(name)) for name in archive.namelist()]


def test_a_bomb_is_refused_before_it_is_unpacked():
    body = io.BytesIO()
    with (
        zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(SHEET, "w") as part,
    ):
        for _ in range(300):
            part.write(bytes(1024 * 1024))
    assert len(body.getvalue()) < 1024 * 1024
    [(_, _, what)] = problems(body.getvalue(), XLSX)
    assert what == "it unpacks to 1 parts of 314572800 bytes together, which is too much"


def test_a_workbook_of_very_many_parts_is_refused():
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for number in range(1001):
            archive.writestr(f"part{number}", b"")
    [(_, _, what)] = problems(body.getvalue(), XLSX)
    assert "1001 parts" in what


def test_styles_that_take_far_more_than_their_size_are_refused():
    many = "<xf/>" * 800_000
    styles = lambda text: text.replace("</cellXfs>", many + "</cellXfs>")  # noqa: E731
    [(_, _, what)] = problems(changed(xlsx_of(HEADER, ONE), "xl/styles.xml", styles), XLSX)
    assert what == "it has more than 250000 elements besides plain cells"
    many = f'<xf numFmtId="0" applyFont="{"1" * 100}"/>' * 40_000
    [(_, _, what)] = problems(changed(xlsx_of(HEADER, ONE), "xl/styles.xml", styles), XLSX)
    assert re.fullmatch(r"it unpacks to \d+ bytes besides its sheets and .*", what)


def test_a_sheet_of_very_many_elements_is_refused():
    many = '<cols><col min="1" max="1"/></cols>' * 125_001
    body = changed(
        xlsx_of(HEADER, ONE), SHEET, lambda text: text.replace("<sheetData>", f"{many}<sheetData>")
    )
    what = "it has more than 250000 elements besides plain cells"
    assert problems(body, XLSX) == [(0, "", what)]
    tally = Tally(plain=4_999_999)
    tally.take(is_plain=True)
    with pytest.raises(PlanRejected, match="more than 5000000 elements in its cells"):
        tally.take(is_plain=True)


def test_a_text_without_end_and_elements_in_elements_are_refused():
    long = changed(
        shared(xlsx_of(HEADER, ONE)), STRINGS, lambda text: text.replace("25.00", "2" * 3_000_000)
    )
    assert problems(long, XLSX) == [(0, "", f"it holds a text of 1 MiB ({STRINGS})")]
    deep = changed(xlsx_of(HEADER, ONE), "xl/styles.xml", lambda _: "<a>" * 100 + "</a>" * 100)
    assert problems(deep, XLSX) == [(0, "", "it has elements nested deeper than 64")]


def test_entities_are_not_expanded():
    entity = '<!DOCTYPE a [<!ENTITY b "25.00">]>'
    body = changed(
        shared(xlsx_of(HEADER, ONE)),
        STRINGS,
        lambda text: re.sub(r"(<sst)", entity + r"\1", text, count=1).replace("25.00", "&b;"),
    )
    assert problems(body, XLSX) == [(0, "", f"it is no workbook ({STRINGS})")]


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body[: len(body) // 2],
        lambda body: body[:4] + b"\0" * 100,
        lambda body: changed(body, SHEET, lambda text: text[:-20]),
        lambda body: changed(body, SHEET, lambda text: text.replace("<v>0</v>", "<v>99</v>", 1)),
        lambda body: changed(body, SHEET, lambda text: text.replace("<v>0</v>", "<v>x</v>", 1)),
        lambda body: changed(body, "[Content_Types].xml", lambda _: "<html/>"),
    ],
    ids=["half", "nothing inside", "sheet cut off", "string 99", "string x", "no parts"],
)
def test_a_damaged_workbook_is_refused(damage):
    [(line, _, what)] = problems(damage(shared(xlsx_of(HEADER, ONE))), XLSX)
    assert line == 0
    assert what.startswith("it is no workbook (")


def test_a_size_that_is_a_lie_unpacks_to_no_more_than_it_says():
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(SHEET, b"<row " * 600_000)
    lie = body.getvalue().replace(struct.pack("<I", 3_000_000), struct.pack("<I", 3_000))
    assert problems(lie, XLSX) == [(0, "", "it is no workbook (BadZipFile)")]


@pytest.mark.parametrize("number", ["1", "2"])
def test_no_row_is_lost_because_its_number_came_before(number):
    body = changed(
        xlsx_of(HEADER, ONE, ["p-2", GRACE, "1"]),
        SHEET,
        lambda text: re.sub(r'<row r="3"(.*?</row>)', rf'<row spans="1:3" r="{number}"\1', text),
    )
    assert problems(body, XLSX) == [(0, "", f"its rows are not in order ({SHEET})")]


@pytest.mark.parametrize(
    "form", ["r='2'", 'r ="2"', 'r = "2"', 'r="02"', 'r="&#50;"', 'spans="1:3"\n r="2"']
)
def test_a_row_s_number_is_seen_however_it_is_written(form):
    body = changed(
        xlsx_of(HEADER, ONE, ["p-2", GRACE, "1"]),
        SHEET,
        lambda text: text.replace('<row r="3"', f"<row {form}"),
    )
    assert problems(body, XLSX) == [(0, "", f"its rows are not in order ({SHEET})")]


def test_a_row_s_number_is_seen_under_any_prefix():
    def prefixed(text: str) -> str:
        text = text.replace('<row r="3"', '<row r="2"').replace("xmlns=", "xmlns:y-1=")
        return re.sub(r"<(/?)(\w)", r"<\1y-1:\2", text)

    body = changed(xlsx_of(HEADER, ONE, ["p-2", GRACE, "1"]), SHEET, prefixed)
    assert problems(body, XLSX) == [(0, "", f"its rows are not in order ({SHEET})")]


def test_a_row_without_a_number_is_the_next_one():
    rows = [HEADER, ONE, ["p-2", GRACE, "1"], ["p-3", GRACE, "2"]]
    plain = changed(xlsx_of(*rows), SHEET, lambda text: re.sub(r' r="[A-Z]?\d+"', "", text))
    assert [paid(planned(each, XLSX)) for each in (plain, xlsx_of(*rows))] == 2 * [
        [("p-1", ADA, "25"), ("p-2", GRACE, "1"), ("p-3", GRACE, "2")]
    ]
    again = changed(
        xlsx_of(*rows),
        SHEET,
        lambda text: text.replace('<row r="3"', "<row").replace(' r="4"', ' r="3"'),
    )
    assert problems(again, XLSX) == [(0, "", f"its rows are not in order ({SHEET})")]


@pytest.mark.parametrize("number", ["0", "-1", "x", "2_0", "3.0", " 3", "\u0663", "9" * 5000])
def test_a_row_whose_number_is_none_is_refused(number):
    body = changed(
        xlsx_of(HEADER, ONE), SHEET, lambda text: text.replace('<row r="2"', f'<row r="{number}"')
    )
    assert problems(body, XLSX) == [(0, "", f"its rows are not in order ({SHEET})")]


@pytest.mark.parametrize("place", ["B2", "A2", "c2", "2", "C", ""])
def test_a_cell_that_another_would_hide_is_refused(place):
    body = changed(xlsx_of(HEADER, ONE), SHEET, lambda text: text.replace('r="C2"', f'r="{place}"'))
    assert problems(body, XLSX) == [(0, "", f"its cells are not in order ({SHEET})")]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("<v>7</v>", "<v>7</v><v>700</v>", "'v'"),
        ("<v>7</v>", "<v>7<b/>00</v>", "'b'"),
        ("<v>7</v>", '<a:v xmlns:a="urn:a">7</a:v>', "'v'"),
        ("</sheetData>", "</sheetData><sheetData/>", "'sheetData'"),
        ("</sheetData>", '</sheetData><a><row r="3"/></a>', "'row'"),
        ("</row>", '<a:AlternateContent xmlns:a="urn:a"/></row>', "'AlternateContent'"),
        ("<t>p-1</t>", "<t>p-1</t><t>p-2</t>", "'t'"),
    ],
)
def test_what_readers_of_a_sheet_take_differently_is_refused(old, new, what):
    body = changed(xlsx_of(HEADER, ["p-1", ADA, 7]), SHEET, lambda text: text.replace(old, new, 1))
    assert problems(body, XLSX) == [(0, "", f"it holds {what} where none may be ({SHEET})")]


def test_what_readers_of_shared_texts_take_differently_is_refused():
    body = shared(xlsx_of(HEADER, ONE))
    body = changed(body, STRINGS, lambda text: text.replace("25.00</t>", "25.00</t><t>2500</t>"))
    assert problems(body, XLSX) == [(0, "", f"it holds 't' where none may be ({STRINGS})")]


OTHER = "xl/worksheets/Sheet1.xml"


@pytest.mark.parametrize(
    "name",
    [
        SHEET,
        OTHER,
        "/" + SHEET,
        "xl//worksheets/sheet1.xml",
        "xl/./worksheets/sheet1.xml",
        SHEET.replace("/", "\\"),
        "xl/worksheets/sheet%31.xml",
    ],
)
def test_two_parts_that_a_reader_may_take_for_one_are_refused(name):
    parts = parts_of(xlsx_of(HEADER, ONE))
    thief = dict(parts)[SHEET].replace(ADA.encode(), GRACE.encode())
    for both in ([*parts, (name, thief)], [(name, thief), *parts]):
        [(line, _, what)] = problems(zipped(*both), XLSX)
        assert (line, what.partition(" (")[0]) == (0, "two of its parts have one name")


def test_what_is_packed_oddly_or_stands_before_the_workbook_is_refused():
    body = xlsx_of(HEADER, ONE)
    packed = zipped(*parts_of(body), method=zipfile.ZIP_BZIP2)
    assert problems(packed, XLSX) == [(0, "", "it is packed in a way that no spreadsheet uses")]
    [(_, _, what)] = problems(body + xlsx_of(HEADER, ["p-2", GRACE, "1"]), XLSX)
    assert what == "something else stands before the workbook in this file"


def moved(body: bytes, name: str) -> bytes:
    """The workbook with its sheet in another part."""
    parts = {name if each == SHEET else each: text for each, text in parts_of(body)}
    for each, text in parts.items():
        if each.endswith((".rels", "[Content_Types].xml")):
            parts[each] = text.replace(SHEET.encode(), name.encode())
    return zipped(*parts.items())


@pytest.mark.parametrize("name", ["payments.xml", "xl/media/image1.png", "sheet"])
def test_a_sheet_in_another_place_is_read_and_kept_in_order_as_well(name):
    rows = [HEADER, ONE, ["p-2", GRACE, "1"]]
    assert len(read(moved(xlsx_of(*rows), name), XLSX).rows) == 2
    body = changed(xlsx_of(*rows), SHEET, lambda text: text.replace('<row r="3"', '<row r="2"'))
    assert problems(moved(body, name), XLSX) == [(0, "", f"its rows are not in order ({name})")]


def test_a_part_that_is_no_worksheet_is_not_read_as_one():
    body = changed(
        xlsx_of(HEADER, ONE), SHEET, lambda text: text.replace("worksheet", "externalLink")
    )
    assert problems(body, XLSX) == [(0, "", f"it is no workbook ({SHEET})")]


STYLES = "xl/styles.xml"
RELATIONS = "xl/_rels/workbook.xml.rels"


@pytest.mark.parametrize(
    ("part", "what"),
    [
        ("xl/workbook.xml", "it has more than one workbook"),
        (STRINGS, "it has more than one sst"),
        (STYLES, "its styles are not where they are looked for (xl/z)"),
    ],
)
def test_of_two_parts_of_a_kind_none_is_chosen(part, what):
    parts = parts_of(shared(xlsx_of(HEADER, ONE)))
    second = dict(parts)[part]
    assert problems(zipped(*parts, ("xl/z", second)), XLSX) == [(0, "", what)]
    broken = zipped(*parts, ("xl/z", second + b"<a"))
    assert problems(broken, XLSX) == [(0, "", "it is no workbook (xl/z)")]


def test_a_part_in_an_encoding_that_another_reader_may_know_is_refused():
    styles = "<?xml version='1.0' encoding='Shift_JIS'?><styleSheet/>"
    body = zipped(*parts_of(xlsx_of(HEADER, ONE)), ("xl/z", styles))
    assert problems(body, XLSX) == [(0, "", "it is no workbook (xl/z)")]
    picture = zipped(*parts_of(xlsx_of(HEADER, ONE)), ("xl/media/image1.png", b"\x89PNG\r\n"))
    assert len(read(picture, XLSX).rows) == 1


def test_styles_that_only_a_spreadsheet_finds_are_refused():
    parts = [
        ("xl/Styles.xml" if name == STYLES else name, text)
        for name, text in parts_of(xlsx_of(HEADER, ONE))
    ]
    what = "its styles are not where they are looked for (xl/Styles.xml)"
    assert problems(zipped(*parts), XLSX) == [(0, "", what)]


def test_what_is_named_twice_is_not_chosen_from():
    twice = '<Relationship Id="rId1" Type="a" Target="b"/></Relationships>'
    body = changed(
        xlsx_of(HEADER, ONE), RELATIONS, lambda text: text.replace("</Relationships>", twice)
    )
    what = f"it holds 'Relationship' twice under 'rId1' ({RELATIONS})"
    assert problems(body, XLSX) == [(0, "", what)]
    body = xlsx_of(HEADER, ["p-1", ADA, 500], formats={"C2": "0.000"})
    again = '<numFmt numFmtId="0164" formatCode="0\\.00"/></numFmts>'
    body = changed(body, STYLES, lambda text: text.replace("</numFmts>", again))
    assert problems(body, XLSX) == [(0, "", f"it holds 'numFmt' twice under '164' ({STYLES})")]


def conditional(**style: object) -> bytes:
    book = openpyxl.load_workbook(io.BytesIO(xlsx_of(HEADER, ["p-1", ADA, 500])))
    sheet = book.active
    assert sheet is not None
    for each in ({"font": Font(bold=True)}, style):
        rule = Rule(type="expression", dxf=DifferentialStyle(**each), formula=["TRUE"])
        sheet.conditional_formatting.add("C1:C9", rule)
    return saved(book)


def test_a_conditional_format_may_colour_numbers_and_not_change_what_they_show():
    assert paid(planned(conditional(font=Font(italic=True)), XLSX)) == [("p-1", ADA, "500")]
    body = conditional(numFmt=NumberFormat(200, "0\\.00"))
    what = f"a conditional format changes what its numbers show ({SHEET})"
    assert problems(body, XLSX) == [(0, "", what)]
    assert fixes(body, XLSX) == ["take the conditional formats away, and save"]
    within = '<extLst><a:dxf xmlns:a="urn:a"><numFmt numFmtId="9" formatCode="0"/></a:dxf></extLst></worksheet>'
    body = changed(xlsx_of(HEADER, ONE), SHEET, lambda text: text.replace("</worksheet>", within))
    assert problems(body, XLSX) == [(0, "", what)]


def test_a_sheet_that_is_not_read_may_be_out_of_order():
    body = changed(
        two_sheets(),
        "xl/worksheets/sheet2.xml",
        lambda text: text.replace(
            "<sheetData", '<sheetData><row r="2"/><row r="2"/></sheetData><a'
        ).replace("</sheetData></worksheet", "</worksheet"),
    )
    assert len(read(body, XLSX, sheet="Sheet").rows) == 1


def test_a_hidden_sheet_of_the_same_name_is_not_read_in_its_place():
    def renamed(text: str) -> str:
        return text.replace('name="Sheet"', 'name="Old"', 1).replace(
            'state="visible"', 'state="hidden"', 1
        )

    body = changed(two_sheets(), "xl/workbook.xml", renamed)
    assert problems(body, XLSX) == [(0, "", "it has no payments")]
    with pytest.raises(PlanRejected, match="it has no payments"):
        read(body, XLSX, sheet="Old")


def test_a_cell_far_to_the_right_is_refused_without_making_room_for_it():
    body = changed(xlsx_of(HEADER, ONE), SHEET, lambda text: text.replace('r="C2"', 'r="XFD2"'))
    assert problems(body, XLSX) == [(2, "", "it has 16384 columns; 64 at most")]


def test_a_row_of_an_endless_number_is_refused():
    body = changed(
        xlsx_of(HEADER, ONE), SHEET, lambda text: text.replace('<row r="2"', '<row r="99999999999"')
    )
    assert problems(body, XLSX) == [(0, "", "it has more than 100000 payments")]


def test_a_cell_that_says_it_is_of_another_row_is_refused():
    body = changed(xlsx_of(HEADER, ONE), SHEET, lambda text: text.replace('r="C2"', 'r="C7"'))
    assert problems(body, XLSX) == [(2, "", "it holds a cell of row 7: the workbook is damaged")]


def test_without_defusedxml_no_workbook_is_read():
    code = "from bursar.payouts.workbook import read_workbook; read_workbook(b'PK')"
    environment = os.environ | {"OPENPYXL_DEFUSEDXML": "False"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert "a workbook is only read with defusedxml" in run.stderr
