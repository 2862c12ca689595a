"""Our side: what the project itself recorded of each signature. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bursar import strict_json
from bursar.errors import RequestError
from bursar.strict_json import NotStrictJson

# What the function's log, `bursar transfer send --json`, `bursar sign --json` and the signing API call KMS's id.
_NAMES = ("kmsRequestId", "signing_request_id", "request_id", "requestId")
MOST_UNANSWERED = 4
_TIMES = ("at", "time", "timestamp")


@dataclass(frozen=True, slots=True)
class Record:
    """One call of `kms:Sign` as the project recorded it.

    `request_id` is KMS's id of the call, empty where no answer came. `at` is when the record was written, None
    where it does not say; the call took up to `seconds` before that. `unanswered` attempts of it may have reached
    KMS under ids of their own. `signed` is whether KMS must have made a signature. `principal` is the role that
    must have called, empty where it is not known.
    """

    request_id: str
    at: datetime | None
    source: str
    seconds: float = 0.0
    unanswered: int = 0
    signed: bool = True
    principal: str = ""
    caller: str = ""
    digest: str = ""


def read_line(text: str, at: datetime, source: str, principal: str = "") -> Record | None:
    """Return the record in one line of the signing function's log, None where KMS had no part in it.

    Such a line is JSON with `event: sign`; Lambda's own lines are none.
    """
    if not text.lstrip().startswith("{"):
        return None
    try:
        fields = strict_json.loads(text.encode())
    except NotStrictJson:
        return None
    if not isinstance(fields, dict) or fields.get("event") != "sign":
        return None
    return _logged(fields, at, source, principal)


def read_file(text: str, source: str) -> tuple[Record, ...]:
    """Return the records in a file: JSON, or JSON lines, a ledger's export too.

    Objects without an id of a KMS call are passed over.

    Raises:
        RequestError: not JSON, or no record in it.
    """
    found = [record for each in _objects(text, source) if (record := _saved(each, source))]
    if not found:
        raise RequestError(
            f"{source} holds no record of a signature",
            hint="a record is a JSON object with kmsRequestId, request_id or requestId",
        )
    return tuple(found)


def _logged(
    fields: Mapping[str, Any], at: datetime | None, source: str, principal: str
) -> Record | None:
    request_id, code = _text(fields.get("kmsRequestId")), _text(fields.get("code"))
    unanswered = _count(fields.get("kmsUnanswered"))
    if not request_id and not unanswered:
        return None
    return Record(
        request_id=request_id,
        at=at,
        source=source,
        seconds=_number(fields.get("ms")) / 1000,
        unanswered=unanswered,
        # KMS's own errors carry the id of a call that made none, or none for certain.
        signed=bool(request_id) and not code.startswith("kms_"),
        principal=principal,
        caller=_text(fields.get("claimedCaller")),
        digest=_text(fields.get("digest")),
    )


def _saved(fields: Mapping[str, Any], source: str) -> Record | None:
    at = _moment(fields)
    if fields.get("event") == "sign":  # there, requestId is Lambda's
        return _logged(fields, at, source, "")
    if isinstance(fields.get("body"), dict):
        return _receipt(fields, fields["body"], source)
    request_id = next((fields[name] for name in _NAMES if _text(fields.get(name))), "")
    if not request_id:
        return None
    unanswered = _count(fields.get("kmsUnanswered") or fields.get("unanswered"))
    return Record(request_id, at, source, unanswered=unanswered, digest=_text(fields.get("digest")))


def _receipt(fields: Mapping[str, Any], body: Mapping[str, Any], source: str) -> Record | None:
    """Return the record in a receipt of the key's ledger, None where KMS had no part in it."""
    request_id, unanswered = _text(body.get("kmsRequestId")), _count(body.get("unanswered"))
    if fields.get("event") not in ("signature", "failure") or not (request_id or unanswered):
        return None
    return Record(
        request_id,
        _moment(fields),
        source,
        unanswered=unanswered,
        signed=fields["event"] == "signature",
        digest=_text(body.get("digest")),
    )


def _objects(text: str, source: str) -> Iterator[Mapping[str, Any]]:
    try:
        whole = strict_json.loads(text.encode())
    except NotStrictJson:
        yield from _lines(text, source)
        return
    yield from (each for each in _walk(whole) if isinstance(each, dict))


def _lines(text: str, source: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of JSON lines, or of documents one after the other, as `>>` leaves them."""
    decoder, position = json.JSONDecoder(), 0
    while rest := text[position:].lstrip():
        position = len(text) - len(rest)
        try:
            _, end = decoder.raw_decode(text, position)
            value = strict_json.loads(text[position:end].encode())
        except (ValueError, RecursionError):
            line = text.count("\n", 0, position) + 1
            raise RequestError(f"{source}, line {line}: not JSON") from None
        position = end
        yield from (each for each in _walk(value) if isinstance(each, dict))


def _walk(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _walk(each)
    else:
        yield value


def _moment(fields: Mapping[str, Any]) -> datetime | None:
    stamp = fields.get("_aws")
    value = stamp.get("Timestamp") if isinstance(stamp, dict) else None
    value = next((fields[name] for name in _TIMES if fields.get(name)), value)
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if isinstance(value, int | float):  # as CloudWatch has them
            return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _text(value: Any) -> str:
    return value[:300] if isinstance(value, str) else ""


def _count(value: Any) -> int:
    # The client gives up after four attempts: more unanswered ones than that is no record of its making.
    return value if type(value) is int and 0 < value <= MOST_UNANSWERED else 0


def _number(value: Any) -> float:
    # API Gateway waits 29 s, and the function never longer.
    return float(value) if isinstance(value, int | float) and 0 <= value <= 30_000 else 0.0
