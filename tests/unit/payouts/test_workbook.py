from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta

import openpyxl
import pytest
from openpyxl.formatting.rule import Rule
from openpyxl.styles import Font
from openpyxl.styles.differential import DifferentialStyle
from openpyxl.styles.numbers import NumberFormat

from bursar.errors import PlanRejected
from bursar.payouts.files import Format
from bursar.payouts.outline import Tally
from tests.unit.payouts.payroll import (
    ADA,
    GRACE,
    cells,
    csv_of,
    fixes,
    json_of,
    numbers,
    paid,
    planned,
    problems,
    read,
    saved,
    warned,
    xlsx_of,
)

XLSX = Format.XLSX
TOO_MANY = "more digits than a spreadsheet shows; a formula may have made it"
HEADER = ["ID", "Recipient ", "amount"]
ONE = ["p-1", ADA, "25.00"]
SHEET = "xl/worksheets/sheet1.xml"


STRINGS = "xl/sharedStrings.xml"
MAIN = "application/vnd.openxmlformats-officedocument.spreadsheetml"
TYPES = f'<Override PartName="/{STRINGS}" ContentType="{MAIN}.sharedStrings+xml"/></Types>'


def changed(body: bytes, part: str, change: Callable[[str], str]) -> bytes:
    """A workbook with one of its parts changed, as other programs might write it."""
    old, new = zipfile.ZipFile(io.BytesIO(body)), io.BytesIO()
    parts = {name: old.read(name).decode() for name in old.namelist()}
    parts[part] = change(parts.get(part, ""))
    with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return new.getvalue()


def shared(body: bytes) -> bytes:
    """A workbook whose texts are in one part of their own, as spreadsheets write them."""
    texts: list[str] = []

    def taken(match: re.Match[str]) -> str:
        texts.append(f"<si>{match[1]}</si>")
        return f't="s"><v>{len(texts) - 1}</v>'

    body = changed(body, SHEET, lambda text: re.sub(r't="inlineStr"><is>(.*?)</is>', taken, text))
    body = changed(body, "[Content_Types].xml", lambda text: text.replace("</Types>", TYPES))
    strings = f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{"".join(texts)}</sst>'
    return changed(body, STRINGS, lambda _: strings)


def test_a_sheet_is_read_as_text_with_its_rows():
    body = xlsx_of([], HEADER, ONE, [], ["p-2", GRACE, "1", None, None])
    for each in (body, shared(body)):
        plan = planned(each, XLSX)
        assert paid(plan) == [("p-1", ADA, "25"), ("p-2", GRACE, "1")]
        assert numbers(plan.lines) == [3, 5]
        assert plan.warnings == ()


def test_amounts_that_are_numbers_are_read_as_shown_and_said():
    body = xlsx_of(HEADER, [17, ADA, 1250.1], ["p-2", GRACE, 3], formats={"C2": "#,##0.00"})
    plan = planned(body, XLSX)
    assert paid(plan) == [("17", ADA, "1250.1"), ("p-2", GRACE, "3")]
    said = "it is a number and no text: what the cell shows is read"
    assert warned(plan) == [(2, "amount", said), (3, "amount", said)]


def test_a_number_whose_cell_hides_some_of_it_is_refused():
    body = xlsx_of(HEADER, ["p-1", ADA, 12.345], ["p-2", ADA, 0.3], formats={"C2": "0.00"})
    # Spreadsheets write seventeen digits of what was computed.
    sum_of_tenths = "<v>0.30000000000000004</v>"
    body = changed(body, SHEET, lambda text: text.replace("<v>0.3</v>", sum_of_tenths))
    assert problems(body, XLSX) == [
        (2, "amount", "it holds 12.345 and shows fewer decimals"),
        (
            3,
            "amount",
            f"it holds 0.30000000000000004, which has {TOO_MANY}",
        ),
    ]
    assert set(fixes(body, XLSX)) == {"format the column as text, type the value again, and save"}


def test_a_number_with_more_decimals_than_the_token_has_says_how_to_put_it_right():
    body = xlsx_of(HEADER, ["p-1", ADA, 0.1234567])
    [(line, column, what)] = problems(body, XLSX)
    assert (line, column) == (2, "amount")
    assert what == "0.1234567 has more than 6 decimals, which this token has"
    assert fixes(body, XLSX) == ["format the column as text, type what is to be paid, and save"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "true or false and no text"),
        (datetime(2026, 11, 25), "a date or a time and no text"),  # noqa: DTZ001  as a sheet has it
        (timedelta(hours=5), "a date or a time and no text"),
    ],
)
def test_other_values_are_refused(value, kind):
    assert problems(xlsx_of(HEADER, ["p-1", ADA, value]), XLSX) == [(2, "amount", f"it is {kind}")]


def test_an_error_in_a_cell_is_refused():
    assert problems(xlsx_of(HEADER, ["p-1", ADA, "#N/A"]), XLSX) == [
        (2, "amount", "it is the error #N/A")
    ]


def test_a_formula_without_a_saved_value_is_refused():
    body = xlsx_of(HEADER, ["p-1", ADA, "=12*2"], ['="p-"&2', ADA, "1"])
    assert problems(body, XLSX) == [
        (2, "amount", "its formula has no saved value"),
        (3, "id", "its formula has no saved value"),
    ]


def with_saved(body: bytes, value: str, kind: str = "") -> bytes:
    """The workbook with a value saved for its formulas."""
    with_value = rf"<c\1{kind}><f>\2</f><v>{value}</v></c>"
    pattern = r"<c( r=\"\w+\")[^>]*><f>(.*?)</f><v ?/?>(?:</v>)?</c>"
    return changed(body, SHEET, lambda text: re.sub(pattern, with_value, text))


def test_what_was_saved_of_a_formula_is_read_and_said():
    plan = planned(
        with_saved(xlsx_of(HEADER, ["p-1", ADA, "=12*2"], ["p-2", ADA, "1"]), "24"), XLSX
    )
    assert paid(plan)[0] == ("p-1", ADA, "24")
    assert (2, "amount", "it is a formula: what it last came to is read") in warned(plan)


def test_a_formula_s_saved_number_has_to_be_shown_and_fit_the_token_as_well():
    sheet = xlsx_of(HEADER, ["p-1", ADA, "=1/3"])
    [(_, _, what)] = problems(with_saved(sheet, "0.33333333333333331"), XLSX)
    assert what.startswith("it holds 0.3333333333333333, which has more digits")
    [(_, _, what)] = problems(with_saved(sheet, "#DIV/0!", ' t="e"'), XLSX)
    assert what == "it is the error #DIV/0!"


def test_a_formula_that_gave_nothing_is_not_an_empty_cell():
    body = xlsx_of([*HEADER, "note"], [*ONE, '=""'])
    assert problems(body, XLSX) == [(2, "note", "its formula has no saved value")]


def two_sheets(state: str = "visible") -> bytes:
    book = openpyxl.Workbook()
    first = book.active
    assert first is not None
    first.append(HEADER)
    first.append(ONE)
    other = book.create_sheet("Old")
    other.sheet_state = state
    return saved(book)


def test_of_several_sheets_one_has_to_be_named():
    assert problems(two_sheets(), XLSX) == [(0, "", "it has 2 visible sheets")]
    assert fixes(two_sheets(), XLSX) == ["name one of them: Sheet, Old"]
    assert numbers(read(two_sheets(), XLSX, sheet="Sheet").rows) == [2]
    assert numbers(read(two_sheets("hidden"), XLSX).rows) == [2]


@pytest.mark.parametrize("name", ["Old", "None"])
def test_a_hidden_sheet_is_not_read(name):
    with pytest.raises(PlanRejected, match="no sheet"):
        read(two_sheets("hidden"), XLSX, sheet=name)


def test_styles_and_wrong_sizes_are_no_trouble():
    book = openpyxl.load_workbook(io.BytesIO(xlsx_of(HEADER, ONE)))
    sheet = book.active
    assert sheet is not None
    sheet["A2"].font = Font(bold=True)
    sheet["F900"].font = Font(bold=True)
    body = changed(
        saved(book), SHEET, lambda text: re.sub(r'ref="[A-Z0-9:]+"', 'ref="A1:A1"', text)
    )
    assert cells(read(body, XLSX)) == [{"id": "p-1", "recipient": ADA, "amount": "25.00"}]


def test_characters_nobody_can_see_are_named_here_as_well():
    assert problems(xlsx_of(HEADER, ["p-1", ADA + "\u00a0", "25"]), XLSX) == [
        (2, "recipient", "character 43 is U+00A0 NO-BREAK SPACE, which nobody can see")
    ]


def test_the_same_payments_are_the_same_plan_whatever_the_file_is():
    names = ["id", "recipient", "amount", "token", "type", "note"]
    rows = [
        ["p-1", ADA, "25.00", "", "direct", "Grüße 🎉"],
        ["p-2", GRACE, "0.5", "base-sepolia:usdc", "", ""],
    ]
    lines = [",".join(row) for row in rows]
    plans = [
        planned(csv_of(*lines, header=",".join(names))),
        planned(xlsx_of(names, *rows), XLSX),
        planned(xlsx_of(names, ["p-1", ADA, 25, None, "direct", "Grüße 🎉"], rows[1]), XLSX),
        planned(json_of(*(dict(zip(names, row, strict=True)) for row in rows)), Format.JSON_LINES),
    ]
    assert len({plan.hash for plan in plans}) == 1


# Files that mean harm


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
