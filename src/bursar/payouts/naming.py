"""What a payout is called, and what the batches are called that pay its lines. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from bursar.errors import RequestError

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_NOT_IN_ONE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST: Final = 64
# So much of a payout's id is in its batches' ids, for people; a digest tells those with the same beginning apart.
_SHOWN: Final = 20
_DIGITS: Final = 8


def require_payout_id(text: str) -> None:
    """Refuse what cannot be a payout's id.

    Raises:
        RequestError: not 1 to 64 letters, digits, dots, colons, dashes or underscores, a letter or digit first.
    """
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise RequestError(
            "a payout's id is 1 to 64 letters, digits, dots, colons, dashes or underscores",
            hint="a letter or a digit first; give it one with --id, for example payroll-2026-11",
        )


def id_of_file(name: str) -> str:
    """Return the id of the payout of a file, by the file's name without its ending. It can always be one."""
    plain = _NOT_IN_ONE.sub("-", name).lstrip("._-")[:_LONGEST]
    return plain or f"payout-{_digest(name)}"


def batch_id(treasury: str, payout: str, line: int) -> str:
    """Return the id of the batch whose first payment is a line of the file: at most 40 characters, one's own."""
    return f"{payout[:_SHOWN]}.{_digest(f'{treasury}/{payout}')}.{line}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
