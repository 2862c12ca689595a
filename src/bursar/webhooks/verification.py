"""Crossmint's webhooks: is a delivery genuine, and what does it hint at? Pure.

A delivery never settles anything. It says that it is worth looking now, at Crossmint and at the chain; whoever
forged, held back or repeated one has gained nothing by it. So the reader takes what it can use and ignores the
rest, while the signature is read strictly.

Sources: Svix, "Verifying Webhooks Manually" (headers, signed content, five minutes' tolerance, several
signatures); Crossmint's webhooks guide (`wallets.transfer.out` and the shape of `data`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from bursar import strict_json
from bursar.errors import ConfigError, RequestError, WebhookRejected
from bursar.strict_json import NotStrictJson

TOLERANCE: Final = timedelta(minutes=5)

_ID, _TIMESTAMP, _SIGNATURE = "svix-id", "svix-timestamp", "svix-signature"
# No dot: it divides id, time and body in what is signed, which must be divided in one way alone.
_IDS: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,11}", re.ASCII)
_MOST_SIGNATURES: Final = 16
_LONGEST_SIGNATURE: Final = 4096
# What Svix takes as a secret: 24 to 75 bytes.
_SECRET_BYTES: Final = range(24, 76)
_TEXT: Final = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)


class Seen(Protocol):
    """Which deliveries came before. The seam for a database."""

    def first(self, delivery: str, at: datetime) -> bool:
        """Remember a delivery's id, and tell whether it had not been seen; to exactly one of several who ask."""
        ...

    def forget(self, delivery: str) -> None:
        """Let this one come again: nothing came of it."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """A genuine delivery: look now. `id` is Svix's, the same for every attempt to deliver it.

    The rest is what Crossmint says, None where it says nothing that can be used: `type` of event, `wallet` the
    sender's address, `transfer` Crossmint's id of the transaction, `transaction` the chain's hash, `operation` the
    user operation hash, `status` of the transfer.
    """

    id: str
    type: str
    wallet: str | None = None
    transfer: str | None = None
    transaction: str | None = None
    operation: str | None = None
    status: str | None = None


class WebhookVerifier:
    """Knows the secrets of an endpoint: one, or while it is being changed the old and the new."""

    __slots__ = ("_keys",)

    def __init__(self, *secrets: str) -> None:
        """Take secrets as Svix shows them: base64 of 24 to 75 bytes, with or without `whsec_` before it.

        Raises:
            ConfigError: none, or not such secrets; the message does not show them.
        """
        self._keys = tuple(_key(secret) for secret in secrets)
        if not self._keys:
            raise ConfigError("there is no webhook secret", hint=_WHERE)

    def __repr__(self) -> str:
        return f"WebhookVerifier({len(self._keys)} secrets)"

    def __reduce__(self) -> Any:
        raise TypeError("webhook secrets are not pickled")

    def genuine(self, headers: Iterable[tuple[str, str]], body: bytes, now: datetime) -> str:
        """Return the delivery's id, once its signature is shown to be by one of the secrets and not too old.

        `headers` are all of the request's, `body` its bytes as they came, `now` has a zone.

        Raises:
            WebhookRejected: a header is missing, there twice or malformed; no signature is right; or the time
                is more than five minutes away from now, in either direction.
        """
        found = _headers(headers)
        delivery, seconds = found[_ID], found[_TIMESTAMP]
        if not _IDS.fullmatch(delivery):
            raise WebhookRejected("the delivery's svix-id is not one")
        if not _SECONDS.fullmatch(seconds):
            raise WebhookRejected("the delivery's svix-timestamp is not a time in seconds")
        signed = f"{delivery}.{seconds}.".encode() + body
        expected = [hmac.digest(key, signed, hashlib.sha256) for key in self._keys]
        given = _signatures(found[_SIGNATURE])
        # All are compared, so that the time it takes does not tell which came close.
        matches = [hmac.compare_digest(one, other) for one in expected for other in given]
        if not any(matches):
            raise WebhookRejected("no signature of the delivery is by a secret of this endpoint")
        if abs(now.timestamp() - int(seconds)) > TOLERANCE.total_seconds():
            raise WebhookRejected(
                "the delivery is more than five minutes old, or from the future",
                hint="check this machine's clock; Svix delivers again with a new time",
            )
        return delivery


def read_delivery(delivery: str, body: bytes) -> Delivery:
    """Return what a genuine body hints at. `delivery` is its id.

    Raises:
        RequestError: not a JSON object with a type.
    """
    try:
        found = strict_json.loads(body)
    except NotStrictJson:
        found = None
    kind = _text(found, "type")
    if kind is None:
        raise RequestError("the delivery is not a JSON object with a type")
    data = found.get("data")
    return Delivery(
        id=delivery,
        type=kind,
        wallet=_text(_part(data, "sender"), "address"),
        transfer=_text(data, "transferId"),
        transaction=_text(_part(data, "onChain"), "txId"),
        operation=_text(_part(data, "onChain"), "userOperationHash"),
        status=_text(data, "status"),
    )


_WHERE: Final = "copy the endpoint's signing secret, whsec_…, from Crossmint's console"


def _key(secret: str) -> bytes:
    try:
        text = secret.removeprefix("whsec_")
        # Svix leaves the padding out, at times.
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error, AttributeError, TypeError):
        key = b""
    if len(key) not in _SECRET_BYTES:
        raise ConfigError("that is not a webhook secret", hint=_WHERE)
    return key


def _headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        if key in found:
            raise WebhookRejected(f"the delivery has {key} twice")
        if key in {_ID, _TIMESTAMP, _SIGNATURE}:
            found[key] = value
    for key in (_ID, _TIMESTAMP, _SIGNATURE):
        if key not in found:
            raise WebhookRejected(f"the delivery has no {key}")
    return found


def _signatures(text: str) -> list[bytes]:
    """Return the signatures of version 1; those of other versions, and what is none, are passed over."""
    parts = text.split(" ") if len(text) <= _LONGEST_SIGNATURE else []
    found = []
    for version, _, signature in (part.partition(",") for part in parts[:_MOST_SIGNATURES]):
        try:
            raw = base64.b64decode(signature, validate=True) if version == "v1" else b""
        except ValueError:
            continue
        if len(raw) == 32:
            found.append(raw)
    return found


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: Any, name: str) -> str | None:
    found = _part(value, name)
    return found if isinstance(found, str) and _TEXT.fullmatch(found) else None
