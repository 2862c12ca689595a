"""One call of the API as a value, its answer as a value, and the key and address they travel with. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from bursar import strict_json
from bursar.errors import ConfigError, CrossmintProtocolError, RequestError
from bursar.strict_json import NotStrictJson

API_VERSION = "2025-06-09"

ORIGINS = {
    "staging": "https://staging.crossmint.com",
    "production": "https://www.crossmint.com",
}

_KEY = re.compile(r"(sk|ck)_(development|staging|production)_[A-Za-z0-9._~-]{1,1000}", re.ASCII)
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_RECORD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}", re.ASCII)


class Kind(StrEnum):
    """What a call does, as far as its errors are concerned."""

    READ = "read"
    WRITE = "write"
    MOVE = "move"  # makes a transaction: compliance and build errors are possible
    APPROVE = "approve"


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `path` follows `/api` and is encoded; `scope` is the API key scope it needs."""

    name: str
    method: str
    path: str
    scope: str
    kind: Kind = Kind.READ
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    query: Mapping[str, str] | None = None
    idempotency_key: str | None = None

    @property
    def writes(self) -> bool:
        """Whether it may have an effect, so that it is never repeated blindly."""
        return self.kind is not Kind.READ


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the headers in lower case, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the decoded body.

        Raises:
            CrossmintProtocolError: not JSON.
        """
        try:
            return strict_json.loads(self.body)
        except NotStrictJson:
            raise CrossmintProtocolError(
                f"Crossmint answered {self.status} with something that is not JSON",
                hint="a proxy may be in between; check the base URL",
                status=self.status,
            ) from None


class ApiKey:
    """A server-side API key. It never shows in `repr`, `str` or a pickle."""

    __slots__ = ("_value", "environment")

    def __init__(self, value: str) -> None:
        """Take a key of the form `sk_<environment>_…`.

        Raises:
            ConfigError: not such a key; the message does not show it.
        """
        match = _KEY.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ConfigError(_why_no_key(value), hint=_KEY_HINT)
        if match.group(1) == "ck":
            raise ConfigError(
                "this is a client-side key (ck_…); a treasury needs a server-side key (sk_…)",
                hint=_KEY_HINT,
            )
        self._value = value
        self.environment = match.group(2)

    @property
    def project(self) -> str:
        """A name for the key's project, the same for all of its keys, out of which neither can be read.

        A key ends in the base58 of `<project>.<data>:<signature>`. Those that do not are taken to be of one
        project for each environment: what is counted for it is then too much, never too little.
        Source: Crossmint's SDK, which checks keys before it sends them.
        """
        data, colon, _ = _from_base58(self._value.rpartition("_")[2]).partition(b":")
        project, dot, _ = data.partition(b".")
        known = project if colon and dot else b""
        return f"{self.environment}-{hashlib.sha256(known).hexdigest()[:32]}"

    def reveal(self) -> str:
        """Return the key, to be put into the X-API-KEY header and nowhere else."""
        return self._value

    def hide(self, text: str) -> str:
        """Return text without the key, should a server have echoed it."""
        return text.replace(self._value, "[api key]")

    def hidden_in(self, body: bytes) -> bytes:
        """Return an answer without the key, before anything of it is quoted or cut short."""
        return body.replace(self._value.encode(), b"[api key]")

    def __repr__(self) -> str:
        return f"ApiKey(sk_{self.environment}_…)"

    def __reduce__(self) -> Any:
        raise TypeError("an API key is not pickled")


def _from_base58(text: str) -> bytes:
    number = 0
    for letter in text:
        digit = _BASE58.find(letter)
        if digit < 0:
            return b""
        number = number * 58 + digit
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


_KEY_HINT = (
    "create one under API keys, server-side, in the Crossmint console of the same environment"
)


def _why_no_key(value: object) -> str:
    if not isinstance(value, str) or not value:
        return "there is no Crossmint API key"
    if value.startswith(("sk_live", "sk_test", "ck_live", "ck_test")):
        return "this is an API key of the old form (live/test), which Crossmint no longer accepts"
    return "this is not a Crossmint API key: one begins with sk_staging_ or sk_production_"


def origin_for(key: ApiKey, environment: str | None, base_url: str | None) -> str:
    """Return the origin to talk to, without a trailing slash, after checking it fits the key.

    With neither an environment nor a base URL the key's own environment decides.

    Raises:
        ConfigError: unknown environment, a base URL that is not https (loopback excepted), or a key of
            another environment.
    """
    if base_url is not None:
        origin = _checked_origin(base_url)
        environment = environment or next((n for n, o in ORIGINS.items() if o == origin), None)
    else:
        environment = environment or key.environment
        if environment not in ORIGINS:
            raise ConfigError(
                f"{str(environment)[:40]!r} is not an environment: staging or production",
                hint="for a development key give the base URL as well",
            )
        origin = ORIGINS[environment]
    if environment in ORIGINS and key.environment != environment:
        raise ConfigError(
            f"the API key is for {key.environment}, the address is {environment}",
            hint=_KEY_HINT,
        )
    return origin


def is_loopback(origin: str) -> bool:
    """Tell whether an origin is this machine."""
    host = urlsplit(origin).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked_origin(base_url: str) -> str:
    wrong = ConfigError(
        "the base URL must be an https address without query or user name",
        hint="for example https://staging.crossmint.com, or http://127.0.0.1:<port> for the sandbox",
    )
    if not isinstance(base_url, str) or not base_url.isascii() or not base_url.isprintable():
        raise wrong
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise wrong
    if parts.path.rstrip("/") not in ("", "/api"):
        raise wrong
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(origin)):
        raise wrong
    return origin


def check_idempotency_key(key: str) -> str:
    """Return a key that fits a header: 1 to 255 visible ASCII characters.

    Raises:
        RequestError: it does not.
    """
    if not isinstance(key, str) or not _IDEMPOTENCY_KEY.fullmatch(key):
        raise RequestError(
            "an idempotency key is 1 to 255 visible ASCII characters",
            hint="use the transfer's own id, so that a repeat is recognised",
        )
    return key


def record_segment(record_id: str) -> str:
    """Return a record's id as a URL path segment.

    Raises:
        RequestError: it has characters no Crossmint id has.
    """
    if not isinstance(record_id, str) or not _RECORD_ID.fullmatch(record_id):
        raise RequestError(f"{str(record_id)[:60]!r} is not the id of a Crossmint record")
    return record_id


def is_record_id(value: object) -> bool:
    """Tell whether a value could be a record's id."""
    return isinstance(value, str) and bool(_RECORD_ID.fullmatch(value))
