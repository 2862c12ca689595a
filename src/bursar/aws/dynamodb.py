"""DynamoDB's wire format, as far as a ledger's table needs it: calls, answers, and what its errors mean. Pure.

Our own words only: AWS's messages name ARNs, accounts and principals, and an API's caller may read these.
Source: DynamoDB API reference, GetItem, BatchGetItem, Query, TransactWriteItems, CancellationReason and "Common
Errors"; DynamoDB developer guide, "Error handling with DynamoDB" (x-amz-crc32 is in its low-level API chapter).
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bursar import strict_json
from bursar.errors import (
    BursarError,
    KmsAccessDenied,
    KmsCredentials,
    KmsError,
    KmsProtocolError,
    KmsThrottled,
    KmsTimeout,
    KmsUnavailable,
    LedgerDamaged,
    LedgerError,
    LedgerUnavailable,
)
from bursar.kms.faults import error_for, type_and_message
from bursar.kms.http1 import Response
from bursar.kms.wire import Call
from bursar.ledger.store import HEAD, Change, OutcomeUnknown, OutOfTurn
from bursar.strict_json import NotStrictJson

CONTENT_TYPE: Final = "application/x-amz-json-1.0"
# BatchGetItem gives up to 16 MB of items, and JSON takes more room: a quotation mark is two characters in it.
LARGEST_ANSWER: Final = 40 * 1024 * 1024
MOST_KEYS: Final = 100
MOST_WRITES: Final = 100

_NAMES: Final = {"#entry": "entry"}
_BUSY: Final = {"ProvisionedThroughputExceededException", "TransactionConflictException"}
_INVALID: Final = {"ValidationException", "ItemCollectionSizeLimitExceededException"}
_IN_PROGRESS: Final = "TransactionInProgressException"
_CANCELLED: Final = "TransactionCanceledException"
_OTHERS_FIRST: Final = {"ConditionalCheckFailed", "TransactionConflict"}
_PASSING: Final = {"ProvisionedThroughputExceeded", "ThrottlingError"}
_ROOM: Final = (
    "an entry has at most 400 KB, its name 1024 bytes, and a change 4 MB in 100 different entries"
)


class LedgerAccessDenied(LedgerError):
    """The caller may not use the ledger's table so; the hint names the permission."""

    code = "ledger_access_denied"


def get_call(table: str, book: str, name: str) -> Call:
    """Return the call that reads one entry. It needs `dynamodb:GetItem`."""
    return _call("GetItem", {"TableName": table, "Key": _key(book, name), "ConsistentRead": True})


def batch_call(table: str, book: str, names: Sequence[str]) -> Call:
    """Return the call that reads at most `MOST_KEYS` different entries. It needs `dynamodb:BatchGetItem`."""
    keys = [_key(book, name) for name in names]
    return _call("BatchGetItem", {"RequestItems": {table: {"Keys": keys, "ConsistentRead": True}}})


def query_call(
    table: str, book: str, bounds: tuple[str, str], start: Mapping[str, Any] | None
) -> Call:
    """Return the call that reads a page of a range, after `start` if there is one. It needs `dynamodb:Query`."""
    fields = {
        "TableName": table,
        "ConsistentRead": True,
        "KeyConditionExpression": "#book = :book AND #entry BETWEEN :first AND :last",
        "ExpressionAttributeNames": {"#book": "book", **_NAMES},
        "ExpressionAttributeValues": {
            ":book": {"S": book},
            ":first": {"S": bounds[0]},
            ":last": {"S": bounds[1]},
        },
    }
    return _call("Query", fields if start is None else fields | {"ExclusiveStartKey": start})


def write_call(table: str, book: str, change: Change) -> Call:
    """Return the call that writes a change, or nothing. It needs `dynamodb:PutItem`.

    The same change has the same token, so that DynamoDB writes it once however often it is asked in ten minutes.

    Raises:
        LedgerError: it has too many entries for one call.
    """
    absent = {
        "ConditionExpression": "attribute_not_exists(#entry)",
        "ExpressionAttributeNames": _NAMES,
    }
    unchanged = {
        "ConditionExpression": "#data = :seen",
        "ExpressionAttributeNames": {"#data": "data"},
        "ExpressionAttributeValues": {":seen": {"S": change.seen}},
    }
    puts = [
        _put(table, book, (HEAD, change.head), absent if change.seen is None else unchanged),
        *(_put(table, book, entry, absent) for entry in change.new.items()),
        *(_put(table, book, entry, {}) for entry in change.entries.items()),
    ]
    if len(puts) > MOST_WRITES:
        raise LedgerError(
            f"a change of {len(puts)} entries is too large to be written at once",
            hint=f"at most {MOST_WRITES} fit, the head among them",
        )
    fields = {"TransactItems": puts}
    token = hashlib.sha256(_encoded(fields)).hexdigest()[:36]
    return _call("TransactWriteItems", fields | {"ClientRequestToken": token})


def read_one(response: Response) -> dict[str, str]:
    """Return the entry in GetItem's answer; nothing where it is not there.

    Raises:
        LedgerError: the answer is not DynamoDB's. LedgerDamaged: the item is not an entry.
    """
    item = _fields(response).get("Item")
    return {} if item is None else dict([_entry(item)])


def read_batch(response: Response, table: str) -> tuple[dict[str, str], list[str]]:
    """Return the entries in BatchGetItem's answer, and the names to ask for again.

    Raises:
        LedgerError: as `read_one`.
    """
    fields = _fields(response)
    try:
        items = fields.get("Responses", {}).get(table, [])
        left = fields.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        return dict(_entry(item) for item in items), [key["entry"]["S"] for key in left]
    except (AttributeError, TypeError, KeyError):
        raise _not_dynamodb() from None


def read_page(response: Response) -> tuple[list[tuple[str, str]], dict[str, Any] | None]:
    """Return the entries in Query's answer in order, and where the next page starts, if there is one.

    Raises:
        LedgerError: as `read_one`.
    """
    fields = _fields(response)
    items, start = fields.get("Items"), fields.get("LastEvaluatedKey")
    if not isinstance(items, list) or not isinstance(start, dict | None):
        raise _not_dynamodb()
    return [_entry(item) for item in items], start or None


def require_written(response: Response) -> None:
    """Return where TransactWriteItems' answer says that all is written.

    Raises:
        OutOfTurn: a condition did not hold; nothing is written.
        OutcomeUnknown: it is not an answer of DynamoDB's.
    """
    if response.status != 200:
        raise OutOfTurn("somebody else wrote the ledger first", hint="read it again")
    try:
        _fields(response)
    except LedgerError as error:
        raise OutcomeUnknown(error.message, hint=error.hint) from None


def fault(table: str, response: Response) -> BursarError | None:
    """Return what is wrong with an answer, None where it is one: also that a transaction's conditions do not hold.

    OutcomeUnknown: DynamoDB may have done what it was asked. LedgerUnavailable: it did not, and may the next time.
    """
    if _is_damaged(response):
        return OutcomeUnknown("DynamoDB's answer was damaged on its way")
    if response.status == 200:
        return None
    kind, _ = type_and_message(response)
    if kind == _CANCELLED:
        return _cancelled(response)
    if kind == "ResourceNotFoundException":
        return LedgerError(
            f"there is no table {table} for the ledger",
            hint="check its name, the account and AWS_REGION; a new table takes a moment",
        )
    return _common(kind, response.status)


def line_error(error: KmsError) -> LedgerError:
    """Return our error for one of the connection or of the credentials."""
    if isinstance(error, KmsTimeout):
        return LedgerUnavailable(
            "DynamoDB did not answer in time", hint="check the network path to DynamoDB"
        )
    if isinstance(error, KmsUnavailable):
        return LedgerUnavailable(
            "DynamoDB could not be reached", hint="check AWS_REGION and the network path"
        )
    if isinstance(error, KmsProtocolError):
        return _not_dynamodb(error.hint)
    return LedgerError(error.message, hint=error.hint)


def throttled() -> LedgerUnavailable:
    """Return the error for too many requests at once."""
    return LedgerUnavailable(
        "DynamoDB is throttling the ledger's table",
        hint="ask again in a moment; a table with on-demand capacity grows by itself",
    )


def _common(kind: str, status: int) -> BursarError:
    """Return what an error means that needs no more than its type."""
    error = error_for(kind, "", status=status, request=None)
    if isinstance(error, KmsThrottled) or kind in _BUSY:
        return throttled()
    if isinstance(error, KmsUnavailable) or kind == _IN_PROGRESS:
        return OutcomeUnknown(f"DynamoDB did not get done with it (status {status})")
    if kind in _INVALID:
        return LedgerError("DynamoDB does not take the request as it is", hint=_ROOM)
    if isinstance(error, KmsAccessDenied):
        return LedgerAccessDenied("AWS does not allow these credentials to use the ledger's table")
    if not kind:
        return _not_dynamodb()
    is_ours = isinstance(error, KmsCredentials)
    return LedgerError(
        error.message if is_ours else f"DynamoDB refused it ({kind})", hint=error.hint
    )


def _cancelled(response: Response) -> BursarError | None:
    """Return what is wrong where more than a condition stood in a transaction's way."""
    codes = _reasons(response)
    if codes and codes <= _OTHERS_FIRST:
        return None
    if codes and codes <= _OTHERS_FIRST | _PASSING:
        return throttled()
    if codes & {"ValidationError", "ItemCollectionSizeLimitExceeded"}:
        return LedgerError("DynamoDB does not take the change as it is", hint=_ROOM)
    return LedgerError("DynamoDB cancelled the change for a reason of its own")


def _reasons(response: Response) -> set[str]:
    try:
        return {str(each["Code"]) for each in _fields(response)["CancellationReasons"]} - {"None"}
    except (LedgerError, KeyError, TypeError):
        return set()


def _is_damaged(response: Response) -> bool:
    stated = response.headers.get("x-amz-crc32")
    return stated is not None and stated != str(zlib.crc32(response.body))


def _fields(response: Response) -> dict[str, Any]:
    try:
        fields = strict_json.loads(response.body)
    except NotStrictJson:
        raise _not_dynamodb() from None
    if not isinstance(fields, dict):
        raise _not_dynamodb()
    return fields


def _entry(item: Any) -> tuple[str, str]:
    try:
        name, text = item["entry"]["S"], item["data"]["S"]
    except (KeyError, TypeError):
        name = text = None
    if not isinstance(name, str) or not isinstance(text, str):
        raise LedgerDamaged("an item of the ledger's table is not an entry of a ledger")
    return name, text


def _not_dynamodb(hint: str | None = None) -> LedgerError:
    return LedgerError(
        "the answer is not one of DynamoDB's",
        hint=hint or "something between here and DynamoDB may be answering in its place",
    )


def _put(table: str, book: str, entry: tuple[str, str], condition: dict[str, Any]) -> Any:
    name, text = entry
    item = _key(book, name) | {"data": {"S": text}}
    return {"Put": {"TableName": table, "Item": item, **condition}}


def _key(book: str, name: str) -> dict[str, Any]:
    return {"book": {"S": book}, "entry": {"S": name}}


def _call(action: str, fields: dict[str, Any]) -> Call:
    return Call(f"DynamoDB_20120810.{action}", _encoded(fields))


def _encoded(fields: dict[str, Any]) -> bytes:
    try:
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise LedgerError(
            "a text for the ledger is not Unicode", hint="half a surrogate pair is in it"
        ) from None
