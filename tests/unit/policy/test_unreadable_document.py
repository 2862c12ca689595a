"""Whatever bytes are called a policy, they are one or every reason why not is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import ConfigError
from bursar.policy.document import MAX_BYTES, read_document, read_policy
from tests.unit.policy.treasury import BASIC, findings


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("version = ", 1, 1, "it is not TOML: Invalid value"),
        ("version = 1\nx = ?", 2, 5, "it is not TOML: Invalid value"),
        ("version = 1\n[a", 2, 1, "it is not TOML: Expected ']' at the end of a table declaration"),
        ('version = 1\na = "', 2, 1, "it is not TOML: Unterminated string"),
        ("a = 1\na = 2", 2, 1, "it is not TOML: Cannot overwrite a value"),
        ("x = " + "[" * 3000 + "]" * 3000, 1, 1, "it is nested too deeply"),
        ("x = " + "[" * 131_000 + "]" * 131_000, 1, 1, "it is nested too deeply"),
        ("a." * 131_000 + "a = 1", 1, 1, "it is nested too deeply"),
        ("x = " + "[" * 60 + "]" * 60, 1, 1, "it is nested too deeply"),
        ("version = " + "9" * 5000, 1, 1, "a number in it is too long"),
        ("# " + "x" * MAX_BYTES, 1, 1, f"it is over {MAX_BYTES} bytes"),
    ],
)
def test_what_is_no_toml_is_said_with_its_place(text, line, column, message):
    assert findings(text)[0][:3] == (line, column, message)
    assert read_document(text).policy is None


def test_what_is_no_text_is_said():
    assert read_document(b"\xff").errors[0].message == "it is not UTF-8"
    assert read_document(BASIC.encode()).policy == read_document(BASIC).policy


def test_lines_may_end_as_on_windows():
    text = "version = 1\r\n\r\ncalls_at_most = 0\r\n"
    assert findings(text)[0][:2] == (3, 1)


def test_a_file_of_the_greatest_size_is_read():
    assert MAX_BYTES == 256 * 1024
    head = "version = 1\n#"
    assert read_document(head + "x" * (MAX_BYTES - len(head))).policy is not None
    assert read_document(head + "x" * (MAX_BYTES - len(head) + 1)).policy is None


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "version = 0",
            "policy.toml line 1: version is 0, and must be 1 to 2147483648",
            "policy.toml",
        ),
        ("", "policy.toml line 1: version is missing", "it is a whole number"),
        (
            "\nversion = 1\nx = 1\ny = 2",
            "policy.toml line 3: unknown key 'x', and 1 more",
            "known: ",
        ),
    ],
)
def test_a_policy_that_cannot_be_read_is_an_error_with_the_first_line(text, message, hint):
    with pytest.raises(ConfigError) as caught:
        read_policy(text)
    assert caught.value.message == message
    assert hint in (caught.value.hint or "")


def test_the_error_names_the_file_it_was_given():
    with pytest.raises(ConfigError, match=r"^other\.toml line 1") as caught:
        read_policy("version = 0", "other.toml")
    assert caught.value.hint == "bursar policy check other.toml shows all of it"


# Whatever is written, it is a policy or one of our own errors

PIECES = st.sampled_from(
    [
        *BASIC.splitlines(),
        "[[limits]]",
        'per = "day"',
        "amount = 1.5",
        'amount = "5"',
        "[hours]",
        '"""',
        "'",
        "[",
        "]]",
        "{",
        "=",
        "a.b.c = 1",
        "[[a.b]]",
        "\x00",
        "é",
        "x = 2026-01-01 00:00:00",
        "x = [1, {a = [2]}]",
        "x = nan",
    ]
)


@given(st.lists(PIECES | st.text(max_size=8), max_size=12).map("\n".join))
def test_whatever_is_written_gives_a_policy_or_findings(text):
    document = read_document(text)
    assert (document.policy is None) == bool(document.errors)
    if document.policy is None:
        with pytest.raises(ConfigError):
            read_policy(text)
    else:
        assert read_policy(text) == document.policy


@given(st.binary(max_size=60))
def test_whatever_bytes_come_give_a_policy_or_findings(body):
    document = read_document(body)
    assert (document.policy is None) == bool(document.errors)


VALUES = st.recursive(
    st.booleans() | st.integers(-3, 200) | st.text("ab1.0", max_size=4).map(repr) | st.just("1.5"),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=4,
)
KEYS = [
    "version",
    "calls_at_most",
    "allow",
    "decimals",
    "per_transfer",
    "registered",
    "new_delay",
    "per",
    "amount",
    "count",
    "token",
    "recipient",
    "each_recipient",
    "zone",
    "open",
    "above",
    "approvers",
    "by",
    "within",
    "locators",
    "fee_at_most",
    "deny",
]
HEADS = [
    "",
    "[recipients]",
    "[callers]",
    "[[limits]]",
    "[hours]",
    "[[approvals]]",
    "[tokens.a]",
    "[chains.a]",
]


def toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(HEADS), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)
        ),
        max_size=5,
    )
)
def test_any_value_under_any_key_gives_a_policy_or_findings_with_places_in_the_text(sections):
    text = "\n".join(
        "\n".join([head, *(f"{key} = {toml(value)}" for key, value in pairs.items())])
        for head, pairs in sections
    )
    for finding in read_document(text).findings:
        assert 1 <= finding.line <= text.count("\n") + 1
        assert finding.column >= 1
