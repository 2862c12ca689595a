"""Pages of a list: `page` and `perPage`, or a cursor."""

from __future__ import annotations

from typing import TypeVar

from bursar.sandbox.crossmint.replies import Call, bad_request

_Item = TypeVar("_Item")
_MAX_PER_PAGE = 100


def page(call: Call, items: list[_Item]) -> list[_Item]:
    """Return one page: `page` from 1, `perPage` 10 unless said otherwise, at most 100.

    Raises:
        ApiError: 400; not such numbers.
    """
    number = integer(call, "page", default=1, maximum=10**6)
    size = integer(call, "perPage", default=10, maximum=_MAX_PER_PAGE)
    return items[(number - 1) * size : number * size]


def integer(call: Call, name: str, *, default: int, maximum: int) -> int:
    """Return a positive whole number of the query.

    Raises:
        ApiError: 400.
    """
    text = call.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 8 and 1 <= int(text) <= maximum):
        raise bad_request(f"Invalid {name}: a whole number from 1 to {maximum}")
    return int(text)
