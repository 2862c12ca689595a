from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.policy.places import Path, Place, TooDeep, places_in, require_short_keys

TEXT = (
    '''# a comment with [brackets] and = signs
version = 1
title = """two
lines = "3" # no comment"""   # a comment
raw = \'\'\'it's
raw\'\'\'
when = 2026-11-24 10:00:00   # a date and a time
[ chains . "base.x" ]
a.b = 1 ; '''.replace(" ; ", "\n")
    + """
[[limits]]
per = "day"   # "
list = [ 1, [2,
   3], { x = "]", 'y z' = [4] } , ]
[limits.inner]
deep = true
[[limits]]
  per = "week"
[[limits.more]]
z = ""
[[limits.more]]
"q\\u0041" = "\\"="
"""
)


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("version",), 2, 1),
        (("title",), 3, 1),
        (("raw",), 5, 1),
        (("when",), 7, 1),
        (("chains",), 8, 1),
        (("chains", "base.x"), 8, 1),
        (("chains", "base.x", "a"), 9, 1),
        (("chains", "base.x", "a", "b"), 9, 1),
        (("limits",), 11, 1),
        (("limits", 0), 11, 1),
        (("limits", 0, "per"), 12, 1),
        (("limits", 0, "list"), 13, 1),
        (("limits", 0, "list", 0), 13, 10),
        (("limits", 0, "list", 1), 13, 13),
        (("limits", 0, "list", 1, 0), 13, 14),
        (("limits", 0, "list", 1, 1), 14, 4),
        (("limits", 0, "list", 2), 14, 8),
        (("limits", 0, "list", 2, "x"), 14, 10),
        (("limits", 0, "list", 2, "y z"), 14, 19),
        (("limits", 0, "list", 2, "y z", 0), 14, 28),
        (("limits", 0, "inner"), 15, 1),
        (("limits", 0, "inner", "deep"), 16, 1),
        (("limits", 1), 17, 1),
        (("limits", 1, "per"), 18, 3),
        (("limits", 1, "more", 0, "z"), 20, 1),
        (("limits", 1, "more", 1), 21, 1),
        (("limits", 1, "more", 1, "qA"), 22, 1),
        # What is not in the text is where the nearest above it is.
        (("limits", 1, "amount"), 17, 1),
        (("limits", 7, "amount"), 11, 1),
        (("nowhere", "at", "all"), 1, 1),
        ((), 1, 1),
    ],
)
def test_a_path_is_found_where_it_stands(path, line, column):
    tomllib.loads(TEXT)
    assert places_in(TEXT).of(path) == Place(line, column)


def test_a_tables_own_header_is_its_place_and_not_that_of_a_table_inside_it():
    places = places_in("[a.b]\nx = 1\n[a]\ny = 1\n")
    assert places.of(("a",)) == Place(3, 1)
    assert places.of(("a", "b")) == Place(1, 1)


@pytest.mark.parametrize(
    ("begin", "middle", "end", "depth"), [("[", "", "]", 51), ("{ a = ", "1", "}", 50)]
)
def test_nesting_is_bounded(begin, middle, end, depth):
    text = f"x = {begin * depth}{middle}{end * depth}"
    assert places_in(text).of(("x",)) == Place(1, 1)
    deeper = f"x = {begin}{text[4:]}{end}"
    tomllib.loads(deeper)
    with pytest.raises(TooDeep):
        places_in(deeper)


WRITTEN = [
    "1", "-1.5", "true", "nan", '"x"', '""', "'it = [1] #'", '"a\\"b"', '"""a\n"b" # ]\n"""', '""""q""""',
    '"""a"""""', '""""""', "'''\n'x' }'''", "'''a'''''", "''''''", "''", '"""a\\\n b"""',
    "2026-11-24", "2026-11-24 10:00:00.5", "10:00:00", "2026-11-24T10:00:00Z", "0x1F", "[]", "{}",
]  # fmt: skip


PARTS = ["a", "A-1_", '""', "'.'", '"\\""', "'\"'", "''"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("dot", [".", " .\t", "\t. "])
def test_a_key_has_fifty_parts_at_most(part, dot):
    for text in ("{} = 1", "x = 1\n[{}]", "x = [ {{ {} = 1 }} ]"):
        require_short_keys(text.format(dot.join([part] * 50)))
        with pytest.raises(TooDeep):
            require_short_keys(text.format(dot.join([part] * 51)))


@pytest.mark.parametrize(
    "text",
    [
        *[word * 200_000 for word in ("a", "A", "0", "_", "-")],
        "a " * 100_000,
        '"' * 200_000,
        '"' + '\\"' * 100_000,
        "a.\n" * 60_000,
        '"a\n".' * 60,
        "'a\n'." * 60,
    ],
    ids=lambda text: ascii(text[:6]),
)
def test_what_is_no_long_key_is_looked_at_once(text):
    require_short_keys(text)


@pytest.mark.parametrize("value", WRITTEN, ids=ascii)
@pytest.mark.parametrize(
    "text",
    [
        "x = {}\ny = 1",
        "x = {}# ] = \ny = 1",
        "x = [{0},{0}]\ny = [{0}]",
        "x = [ {0} , {0} ]# ,\ny = 1",
        "x = [ # ]\n{0}\n,{0}# ]\n,]\ny = 1",
        "x = {{a={0},b = {0} }}\ny = 1",
        "x = [[{0}],{{ a = {0}}}]",
    ],
)
def test_a_value_ends_where_the_standard_librarys_reader_ends_it(text, value):
    written = text.format(value)
    assert set(places_in(written).offsets) == paths(tomllib.loads(written))


@pytest.mark.parametrize(
    "text",
    [
        "A = 1",
        '"" = 1',
        "'' = 1",
        '"a\\"b" = 1\n"\\\\" = 2',
        "'a\"b' = [1]",
        "\"a.b\".'c.d' = 1",
        "#\nx = 1\n#\n\n#",
        "[a]# x\nb = 1",
        "[a]#=\nb = 1",
        "[a]",
        "[ a . b ]#\nc = 1",
        "[[a]]# x\nb = 1\n[[a]]# y\nc = 1",
        "[[a]]",
        '"".a = 1',
        "[A]\nB = 1\n[A.C]\nD = 1",
    ],
)
def test_keys_and_headers_are_those_of_the_standard_librarys_reader(text):
    assert set(places_in(text).offsets) == paths(tomllib.loads(text))


KEYS = st.sampled_from(["a", "b-1", "_", "0", "a b", "é", "=", "#", "]", '"', "\\", "'", ".", ""])
SCALARS = st.sampled_from(
    [
        "1",
        "-1.5",
        "true",
        "nan",
        '"x"',
        '""',
        "'it = [1] #'",
        '"a\\"b"',
        '"""a\n"b" # ]\n"""',
        '""""q""""',
        "'''\n'x' }'''",
        "''",
        "2026-11-24",
        "2026-11-24 10:00:00.5",
        "10:00:00",
        "2026-11-24T10:00:00Z",
        "0x1F",
    ]
)
GAPS = st.sampled_from(["", " ", "\t"])
BREAKS = st.sampled_from(["", "\n", " # ] , [\n", "\r\n\t"])


def quoted(key: str) -> str:
    if key and all(c.isascii() and (c.isalnum() or c in "_-") for c in key):
        return key
    if "'" in key:
        return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"'{key}'"


@st.composite
def values(draw: Any, depth: int = 2, *, inline: bool = False) -> str:
    kind = draw(st.sampled_from(["scalar", "list", "table"])) if depth else "scalar"
    if kind == "scalar":
        return str(draw(SCALARS))
    gap = GAPS if kind == "table" or inline else BREAKS
    if kind == "list":
        parts = draw(st.lists(values(depth - 1, inline=inline), max_size=3))
        end = draw(st.sampled_from(["", ","])) if parts else ""
        return f"[{','.join(f'{draw(gap)}{p}{draw(gap)}' for p in parts)}{end}{draw(gap)}]"
    names = draw(st.lists(KEYS, unique=True, max_size=3))
    pairs = [
        f"{quoted(n)}{draw(GAPS)}={draw(GAPS)}{draw(values(depth - 1, inline=True))}" for n in names
    ]
    return f"{{{draw(GAPS)}{', '.join(pairs)}{draw(GAPS)}}}"


@st.composite
def texts(draw: Any) -> str:
    lines: list[str] = []
    for head in draw(
        st.lists(
            st.sampled_from(["", "[x]", "[[y]]", "[y.z]", "[[y.w]]", "[ 'q r' . s ]"]), max_size=5
        )
    ):
        lines.append(head)
        lines += [
            f"{draw(GAPS)}{quoted(name)}{draw(GAPS)}={draw(GAPS)}{draw(values())}{draw(GAPS)}# c = 1"
            for name in draw(st.lists(KEYS, unique=True, max_size=3))
        ]
    return "\n".join(lines)


def paths(value: Any, path: Path = ()) -> set[Path]:
    found: set[Path] = {path} if path else set()
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for step, member in inner:
        found |= paths(member, (*path, step))
    return found


@given(texts())
def test_exactly_the_paths_of_the_standard_librarys_reader_have_places(text):
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    places = places_in(text)
    assert set(places.offsets) == paths(data)
    lines = text.split("\n")
    for path in places.offsets:
        place = places.of(path)
        begins = lines[place.line - 1][place.column - 1 :]
        if isinstance(path[-1], str) and not begins.startswith("["):
            assert begins.startswith(quoted(path[-1]))
