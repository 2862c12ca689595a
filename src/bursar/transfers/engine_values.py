"""What the workflow engine keeps of a call, as JSON. By itself it would keep pickles, and run what is in them.

Whoever may write the engine's tables must not thereby run code in the processes that ask for signatures. A row can
say of itself that it is a pickle, whatever serializer the engine was given, so that its own is refused as well.
Sources: Python, "pickle"; dbos 3.4.0, `_serialization.py`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from dbos._serialization import DefaultSerializer, Serializer

from bursar.errors import JournalError

_ERROR: Final = "bursar_error"


class JsonValues(Serializer):
    """Numbers, texts and lists, as the workflow's arguments and waits are; of an error its kind alone."""

    def name(self) -> str:
        """Return what rows written by it say."""
        return "bursar_json"

    def serialize(self, data: Any) -> str:
        """Return JSON text."""
        return json.dumps(data, default=_told)

    def deserialize(self, serialized_data: str) -> Any:
        """Return what JSON text says.

        Raises:
            ValueError: it is no JSON.
        """
        found = json.loads(serialized_data)
        if isinstance(found, dict) and _ERROR in found:
            return JournalError(f"the workflow engine met a fault ({found[_ERROR]})")
        return found


def refuse_pickles() -> None:
    """Have the engine read none of its pickles any more, in this process, whatever a row says of itself."""
    DefaultSerializer.deserialize = _refuse  # type: ignore[assignment,method-assign]


def _refuse(_self: object, _text: str) -> Any:
    raise JournalError("a row of the workflow engine is a pickle, which is not read")


def _told(value: object) -> Any:
    if isinstance(value, BaseException):
        return {_ERROR: type(value).__name__}
    raise TypeError(f"{type(value).__name__} is nothing that the engine is to keep")
