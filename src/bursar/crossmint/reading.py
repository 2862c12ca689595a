"""How answers are read: tolerant of what Crossmint adds, varies or leaves out, strict about types.

Unknown fields are ignored, null counts as absent, times come as ISO text or as numbers, signers as text or
as objects. A missing required field or a wrong type is `CrossmintProtocolError`, never a pydantic error.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from bursar.crossmint.locators import signer_key
from bursar.errors import CrossmintProtocolError

# Numbers from here on are milliseconds: as seconds they would be past the year 5138.
_MILLISECONDS_FROM = 1e11


def plain(text: object, limit: int = 300) -> str:
    """Return text of another party as it may enter a message: bounded, printable, on one line."""
    cut = str(text)[: limit * 4]
    line = " ".join("".join(c if c.isprintable() else " " for c in cut).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def read_time(value: object) -> datetime:
    """Return a moment with its zone from ISO-8601 text or from seconds or milliseconds since 1970.

    Text without a zone is UTC.

    Raises:
        ValueError: neither, or out of range.
    """
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, str):
        moment = datetime.fromisoformat(value.strip())
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a time")  # noqa: TRY004  pydantic reads ValueError as a failed check
    try:
        seconds = float(value)
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError("not a time")
        if seconds >= _MILLISECONDS_FROM:
            seconds /= 1000
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError):
        raise ValueError("a time out of range") from None


Moment = Annotated[datetime, BeforeValidator(read_time)]


class Reading(BaseModel):
    """Base of everything that is read from an answer. Immutable; field names are Crossmint's in camel case."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: part for name, part in value.items() if part is not None}
        return value

    @classmethod
    def read(cls, body: object) -> Self:
        """Return the object in a decoded JSON body.

        Raises:
            CrossmintProtocolError: the body is not of the documented shape.
        """
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            raise shape_error(cls.__name__, error) from None


class Recorded(Reading):
    """A reading that keeps the body it came from, untouched, as `raw`."""

    raw: dict[str, Any]

    # A wrap validator sees the body first; a "before" one would see what subclasses made of it.
    @model_validator(mode="wrap")
    @classmethod
    def _keep_body(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return handler({**value, "raw": value} if isinstance(value, dict) else value)

    def __repr_args__(self) -> Any:
        """Leave the raw body out of `repr`: it is long, and may hold personal data."""
        return [pair for pair in super().__repr_args__() if pair[0] != "raw"]


def shape_error(what: str, error: ValidationError) -> CrossmintProtocolError:
    """Return our error for a body of the wrong shape: where it is wrong, without the value that was there."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"][:8]) or "the body"
    return CrossmintProtocolError(
        f"Crossmint's answer is not a {what}: {plain(place, 80)}: {plain(first['msg'], 120)}",
        hint="bursar speaks API version 2025-06-09; check the base URL, and report the shape if it is right",
    )


class Signer(Reading):
    """A signer as Crossmint shows it. `locator` is what approvals name; `address` is absent for some kinds."""

    locator: str
    type: str
    address: str | None = None
    email: str | None = None
    phone: str | None = None
    id: str | None = None
    name: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text_or_parts(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"locator": value}
        if not isinstance(value, dict):
            return value
        signer = {name: part for name, part in value.items() if part is not None}
        locator, kind = signer.get("locator"), signer.get("type")
        if isinstance(locator, str) and locator and kind is None:
            signer["type"] = locator.partition(":")[0]
        elif locator is None and isinstance(kind, str):
            # Older answers name an external wallet by `id`, and some carry no locator at all.
            names = (signer.get(field) for field in ("address", "email", "phone", "id"))
            found = next((name for name in names if isinstance(name, str)), None)
            signer["locator"] = kind if found is None else f"{kind}:{found}"
        return signer

    def is_signer(self, locator: object) -> bool:
        """Tell whether this is the signer of that locator, ignoring letter case on EVM."""
        return signer_key(self.locator) == signer_key(str(locator))
