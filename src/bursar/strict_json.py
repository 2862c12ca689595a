"""JSON from somebody else, read strictly. Pure.

The standard library's reader recurses, and trusts Python's recursion limit to stop it before the C stack ends.
eth-account raises that limit a hundredfold on import, so that a few kilobytes of brackets would end the process.
Depth is therefore checked first, in linear time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn

MAX_DEPTH = 100

# A string (or the unfinished one that ends the text), or one bracket. Possessive, so that it cannot backtrack.
_PIECE = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)


class NotStrictJson(ValueError):
    """The text is not JSON as RFC 8259 recommends it; the message never quotes the text."""


def loads(body: bytes, *, parse_float: Callable[[str], Any] | None = None) -> Any:
    """Return the JSON value in UTF-8 bytes.

    Raises:
        NotStrictJson: not UTF-8, not JSON, nested deeper than 100, a name twice in an object, NaN or Infinity,
            or a number of thousands of digits.
    """
    _check_depth(body)
    try:
        return _decoder(parse_float).decode(body.decode("utf-8"))
    except NotStrictJson:
        raise
    except (ValueError, RecursionError):
        raise NotStrictJson("not JSON") from None


@lru_cache(maxsize=4)
def _decoder(parse_float: Callable[[str], Any] | None) -> json.JSONDecoder:
    # Making one costs more than reading a small answer with it.
    return json.JSONDecoder(
        object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=parse_float
    )


def _check_depth(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:  # a small answer: nothing to follow
        return
    depth = 0
    for piece in _PIECE.finditer(body):
        first = piece.group()[0]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotStrictJson(f"nested deeper than {MAX_DEPTH}")
        elif first in b"]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictJson("an object has the same name twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise NotStrictJson(f"{name} is not JSON")
