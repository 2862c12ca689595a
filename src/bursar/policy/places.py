"""Where in a TOML text each value stands. Pure.

The standard library's reader gives values without places. This walks a text that it has accepted, so it needs to
find things, not to judge them. A path is the keys that lead to a value, list positions included:
`("limits", 1, "amount")`. Source: TOML 1.0.0.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_SCALAR = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*"  # a date and a time may be parted by a space
    r"|[^\s,\]}#]+",
    re.DOTALL | re.ASCII,
)
_DEEPEST = 50
# Possessive, and beginning where a key can begin, so that no text takes more than linear time.
_LONG_KEY = re.compile(
    r"""(?<![A-Za-z0-9_\\-])(?:(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){50}""",
    re.ASCII,
)


class TooDeep(ValueError):
    """Values are nested, or keys are dotted, deeper than any policy needs."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Places:
    """The places of a text's keys and list members."""

    text: str
    offsets: Mapping[Path, int]

    def of(self, path: Path) -> Place:
        """Return where a path stands; for one that is not in the text, where the nearest above it does."""
        while path and path not in self.offsets:
            path = path[:-1]
        at = self.offsets.get(path, 0)
        begin = self.text.rfind("\n", 0, at) + 1
        return Place(self.text.count("\n", 0, at) + 1, at - begin + 1)


def require_short_keys(text: str) -> None:
    """Refuse a text with a key of more than 50 parts, before anything reads it.

    The standard library's reader keeps every beginning of a key, which takes memory by the square of its parts.

    Raises:
        TooDeep: there is such a key, or something in a text or a comment that looks like one.
    """
    if _LONG_KEY.search(text):
        raise TooDeep


def places_in(text: str) -> Places:
    """Return the places in a text that `tomllib.loads` accepts.

    Raises:
        TooDeep: lists or inline tables are nested deeper than 50.
    """
    scanner = _Scanner(text)
    scanner.scan()
    return Places(text, scanner.offsets)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.offsets: dict[Path, int] = {}
        self.lengths: dict[Path, int] = {}  # of lists of tables, by their path

    def scan(self) -> None:
        table: Path = ()
        self.skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table, 0)
            self.skip(_BLANK)

    def header(self) -> Path:
        begin, repeated = self.at, self.text.startswith("[[", self.at)
        self.at += 2 if repeated else 1
        keys = self.keys()
        self.at += 2 if repeated else 1
        path: Path = ()
        for key in keys[:-1]:
            path = self.inside((*path, key), begin)
        path = (*path, keys[-1])
        if repeated:
            self.lengths[path] = self.lengths.get(path, 0) + 1
        else:
            self.offsets[path] = begin  # its own header says more than an earlier table inside it
        return self.inside(path, begin)

    def inside(self, path: Path, at: int) -> Path:
        self.offsets.setdefault(path, at)
        if path in self.lengths:
            path = (*path, self.lengths[path] - 1)
            self.offsets.setdefault(path, at)
        return path

    def pair(self, table: Path, depth: int) -> None:
        begin, path = self.at, table
        for key in self.keys():
            path = (*path, key)
            self.offsets.setdefault(path, begin)
        self.at += 1  # the equals sign
        self.skip(_SPACE)
        self.value(path, depth)

    def value(self, path: Path, depth: int) -> None:
        if depth > _DEEPEST:
            raise TooDeep
        if self.text[self.at] == "[":
            self.members(path, depth)
        elif self.text[self.at] == "{":
            self.inline(path, depth)
        else:
            self.skip(_SCALAR)

    def members(self, path: Path, depth: int) -> None:
        position = 0
        while self.more("]"):
            self.offsets[*path, position] = self.at
            self.value((*path, position), depth + 1)
            position += 1

    def inline(self, path: Path, depth: int) -> None:
        while self.more("}"):
            self.pair(path, depth + 1)

    def more(self, closing: str) -> bool:
        """Step over the bracket or comma here, and tell whether a member follows."""
        if self.text[self.at] in "[{,":
            self.at += 1
        self.skip(_BLANK)
        if self.text[self.at] == ",":
            return self.more(closing)
        if self.text[self.at] == closing:
            self.at += 1
            return False
        return True

    def keys(self) -> list[str]:
        found = []
        while True:
            self.skip(_SPACE)
            found.append(_bare(self.skip(_KEY)))
            self.skip(_SPACE)
            if self.text[self.at] != ".":
                return found
            self.at += 1

    def skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        found = match.group() if match else ""
        self.at += len(found)
        return found


def _bare(key: str) -> str:
    if key[:1] not in ('"', "'"):
        return key
    return str(tomllib.loads(f"key = {key}")["key"])
