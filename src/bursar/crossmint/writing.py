"""How request bodies are written: frozen, and refusing anything unknown or wrong before a byte is sent.

A value that does not fit is `RequestError` (or `LocatorError`, `AmountError`, where one of those is wrong).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from bursar.crossmint import grammar
from bursar.crossmint.locators import (
    Locator,
    RecipientLocator,
    SignerLocator,
    TokenLocator,
    UserLocator,
)
from bursar.errors import AmountError, RequestError

_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,77})(?:\.[0-9]{1,78})?", re.ASCII)


def _parsed(kind: type[Locator], parse: Callable[[str], Locator]) -> Any:
    def read(value: Any) -> Any:
        return value if isinstance(value, kind) else parse(value)

    return BeforeValidator(read)


def check_amount(text: str) -> str:
    """Return decimal text that is an amount above zero; how many decimals fit is the token's affair.

    Raises:
        AmountError: not plain decimal text, or zero.
    """
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise AmountError(
            "an amount is decimal text above zero", hint="write digits and at most one dot"
        )
    if not text.strip("0."):
        raise AmountError("the amount is zero")
    return text


def _address(text: str) -> str:
    grammar.check_address(text)
    return text


def _email(text: str) -> str:
    grammar.check_email(text)
    return text


def _phone(text: str) -> str:
    grammar.check_phone(text)
    return text


def _chain(text: str) -> str:
    grammar.check_chain(text)
    return text


def _alias(text: str) -> str:
    grammar.check_value(text, "the alias")
    return text


def iso(moment: datetime) -> str:
    """Return a moment as the API takes it: ISO-8601 in UTC with milliseconds and a Z.

    Raises:
        RequestError: the moment has no zone.
    """
    if moment.tzinfo is None:
        raise RequestError("a time needs its zone", hint="use datetime(…, tzinfo=UTC)")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _aware(moment: datetime) -> datetime:
    iso(moment)
    return moment


_text = PlainSerializer(str)
UserRef = Annotated[InstanceOf[UserLocator], _parsed(UserLocator, UserLocator.parse), _text]
SignerRef = Annotated[InstanceOf[SignerLocator], _parsed(SignerLocator, SignerLocator.parse), _text]
TokenRef = Annotated[InstanceOf[TokenLocator], _parsed(TokenLocator, TokenLocator.parse), _text]
RecipientRef = Annotated[
    InstanceOf[RecipientLocator], _parsed(RecipientLocator, RecipientLocator.parse), _text
]
Amount = Annotated[str, BeforeValidator(check_amount)]
Address = Annotated[str, BeforeValidator(_address)]
Email = Annotated[str, BeforeValidator(_email)]
Phone = Annotated[str, BeforeValidator(_phone)]
ChainName = Annotated[str, BeforeValidator(_chain)]
Alias = Annotated[str, BeforeValidator(_alias)]
Instant = Annotated[datetime, AfterValidator(_aware), PlainSerializer(iso)]
Hex = Annotated[str, Field(pattern=r"^0x(?:[0-9a-fA-F]{2})*$")]
Name = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")
]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Coordinate = Annotated[str, Field(pattern=r"^[0-9]{1,78}$")]


class Writing(BaseModel):
    """Base of every request body."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _refusal(type(self).__name__, error) from None

    def body(self) -> dict[str, Any]:
        """Return the JSON object to send, without what was left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _refusal(what: str, error: ValidationError) -> RequestError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part)[:40] for part in first["loc"][:6]) or "the request"
    return RequestError(f"{what}: {place}: {first['msg'][:160]}")
