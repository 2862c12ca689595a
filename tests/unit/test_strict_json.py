from __future__ import annotations

import contextlib
import json
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.strict_json import MAX_DEPTH, NotStrictJson, loads

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_what_the_standard_library_writes_is_read_back(value):
    assert loads(json.dumps(value).encode()) == value


@given(st.text())
def test_brackets_quotes_and_backslashes_in_strings_do_not_count(text):
    value = [text + '[[[["\\' * 50]
    assert loads(json.dumps(value).encode()) == value


@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ('{"a":', "}")], ids=["list", "object"])
def test_depth_is_bounded_even_where_the_recursion_limit_is_not(open_, close):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        inner = "1" if open_ != "[" else ""
        assert loads((open_ * MAX_DEPTH + inner + close * MAX_DEPTH).encode()) is not None
        for depth in (MAX_DEPTH + 1, 1_000_000):
            with pytest.raises(NotStrictJson):
                loads((open_ * depth + inner + close * depth).encode())
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'"',
        b'"\\',
        b"nul",
        b"\xff",
        b"[NaN]",
        b"[-Infinity]",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":2}}',
        b"1" * 5000,
        b"[1] [2]",
        b'\xef\xbb\xbf{"a":1}',
    ],
    ids=range(13),
)
def test_what_is_not_strict_json_is_refused(body):
    with pytest.raises(NotStrictJson):
        loads(body)


@given(st.binary(max_size=200) | st.text(alphabet='[]{}"\\,:1a ', max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(body):
    with contextlib.suppress(NotStrictJson):
        loads(body)


@pytest.mark.parametrize(
    "body", [b'"' * 300_001, b'"\\' * 150_000, b"\\" * 300_000, b'["' * 150_000]
)
def test_hostile_text_costs_linear_time(body):
    began = time.process_time()
    with pytest.raises(NotStrictJson):
        loads(body)
    # Quadratic behaviour would take minutes, not seconds; no finer claim is made here.
    assert time.process_time() - began < 30
