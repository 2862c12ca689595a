"""Lambda events: the request in them, and the result Lambda's caller expects. Pure.

Two shapes arrive. An API Gateway proxy event has `requestContext`; its result is a proxy response. Anything else
is a direct invocation, where the event is the request itself or has it as `body`; its result is the answer or
error object with `statusCode` added.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from bursar.errors import RequestError, RequestTooLarge
from bursar.signing_contract import MAX_BODY_BYTES, AnyRequest, Caller, Reply, parse_request

# curl's `--data` says the second of these unless told otherwise; the body is read as JSON either way.
_CONTENT_TYPES = ("application/json", "application/x-www-form-urlencoded")
# A path of 512 characters, a name of 64, and what stands before them (IAM user guide, "IAM and AWS STS quotas").
_LONGEST_ARN = 1000
_HEADERS = {"content-type": "application/json", "cache-control": "no-store"}


def is_api_event(event: Any) -> bool:
    """Tell whether this event has the form of API Gateway's. A direct invocation can have it too."""
    return isinstance(event, dict) and isinstance(event.get("requestContext"), dict)


def request_in(event: Any) -> AnyRequest:
    """Return the signing request of an event.

    Raises:
        RequestTooLarge: the body is over 256 KiB.
        RequestError: no body, a content type other than JSON, damaged base64, or as `parse_request`.
        DigestError, AddressError: as `parse_request`.
    """
    if not isinstance(event, dict):
        raise RequestError("the event is not a JSON object")
    if is_api_event(event):
        _check_content_type(event)
    elif "body" not in event:
        return parse_request(_text_of(event).encode())
    return parse_request(_body(event))


def caller_of(event: Any) -> dict[str, str]:
    """Return who called, as the event claims: `via`, `claimedCaller` (IAM ARN), `apiRequestId`, `sourceIp`.

    API Gateway fills these in truly. But whoever has `lambda:InvokeFunction` writes the whole event, and the
    function cannot tell the two apart: the claim is worth what that permission is. CloudTrail knows who invoked.
    """
    if not is_api_event(event):
        return {"via": "invoke"}
    context = event["requestContext"]
    identity = _mapping(context.get("identity"))
    found = {
        "claimedCaller": identity.get("userArn"),
        "apiRequestId": context.get("requestId"),
        "sourceIp": identity.get("sourceIp"),
    }
    return {"via": "api"} | {k: v[:256] for k, v in found.items() if isinstance(v, str)}


def caller_in(event: Any) -> Caller:
    """Return who asks, for the policy. A direct invocation says nothing of that, so that its caller is not known.

    It is `caller_of` in the contract's words, and worth no more.
    """
    found = caller_of(event)
    request, source = found.get("apiRequestId"), found.get("sourceIp")
    if not is_api_event(event):
        return Caller(None, found["via"])
    # Whole: what is cut for the log may be somebody else's ARN.
    arn = _mapping(event["requestContext"].get("identity")).get("userArn")
    known = isinstance(arn, str) and len(arn) <= _LONGEST_ARN
    return Caller(arn if known else None, found["via"], request, source)


def result_of(event: Any, reply: Reply) -> dict[str, Any]:
    """Return what the handler gives back for this event."""
    if not is_api_event(event):
        return {"statusCode": reply.status, **reply.body}
    return {
        "statusCode": reply.status,
        "headers": _HEADERS,
        "body": json.dumps(reply.body, separators=(",", ":")),
        "isBase64Encoded": False,
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _check_content_type(event: dict[str, Any]) -> None:
    for name, value in _mapping(event.get("headers")).items():
        if isinstance(name, str) and name.lower() == "content-type":
            kind = value.split(";")[0].strip().lower() if isinstance(value, str) else ""
            if kind not in _CONTENT_TYPES:
                raise RequestError(
                    "the content type is not JSON", hint="send content-type: application/json"
                )


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body")
    if isinstance(body, dict) and not is_api_event(event):
        return _text_of(body).encode()
    if not isinstance(body, str) or not body:
        raise RequestError("there is no body", hint="send one JSON object")
    if len(body) > MAX_BODY_BYTES * 2:
        raise RequestTooLarge(f"the body is over {MAX_BODY_BYTES} bytes")
    try:
        if event.get("isBase64Encoded") is True:
            return base64.b64decode(body, validate=True)
        return body.encode()
    except (binascii.Error, ValueError):
        raise RequestError("the body is neither text nor base64") from None


def _text_of(value: dict[str, Any]) -> str:
    # Direct invocations arrive read already; writing them out again puts them under the same limits.
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        raise RequestError("the event is not JSON") from None
