"""What a handler is given, what it answers with, and the error bodies of the API."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One request, authenticated and parsed. `tamper` names what an injected fault will falsify, if any."""

    project: str
    path: dict[str, str]
    query: dict[str, str]
    body: Any
    tamper: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `record` is (kind, id) of what was made, so that an idempotency key can find it again."""

    status: int
    body: Any
    record: tuple[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """A refusal as the API words it: an HTTP status and a body."""

    def __init__(self, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.reply = Reply(status, body, headers=headers or {})


def refused(status: int, message: str, code: str | None = None) -> ApiError:
    """Return the general error body (WalletV1Alpha2ErrorDTO)."""
    body: Json = {"error": True, "message": message}
    return ApiError(status, body | ({"code": code} if code else {}))


def bad_request(message: str) -> ApiError:
    """Return a 400."""
    return refused(400, message)


def not_found(what: str) -> ApiError:
    """Return a 404."""
    return refused(404, f"{what} not found")


def transaction_error(reason: str, message: str, revert: Json | None = None) -> Json:
    """Return the `error` object of a transaction that could not be built or did not succeed."""
    return {"reason": reason, "message": message} | ({"revert": revert} if revert else {})


def build_refused(error: Json) -> ApiError:
    """Return a 422: the transaction cannot be built (WalletV1Alpha2TransactionErrorDTO)."""
    return ApiError(422, {"error": error, "message": error["message"]})


def to_json(body: Any) -> str:
    """Return a body as JSON. A client's fraction (a Decimal, for we parse no floats) is echoed as text."""
    return json.dumps(body, default=str)


def timestamp() -> str:
    """Return now as the API writes times: ISO 8601, UTC, milliseconds, Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
