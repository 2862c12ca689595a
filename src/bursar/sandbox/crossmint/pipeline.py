"""What every request goes through: key, scope, limit, fault, body, idempotency, handler, answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bursar.errors import SandboxError
from bursar.sandbox.crossmint.auth import authenticate
from bursar.sandbox.crossmint.faults import Fault
from bursar.sandbox.crossmint.replies import (
    ApiError,
    Call,
    Json,
    Reply,
    bad_request,
    refused,
    to_json,
)
from bursar.sandbox.crossmint.requests import parse_json
from bursar.sandbox.crossmint.stand_in import StandIn

Handler = Callable[[StandIn, Call], Reply]
MAX_BODY_BYTES = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API: its name (which faults use), where it is, the scope it needs, who answers."""

    name: str
    method: str
    path: str
    scope: str
    handler: Handler
    idempotent: bool = False

    def route(self, stand_in: StandIn) -> Route:
        """Return its Starlette route."""

        async def endpoint(request: Request) -> Response:
            try:
                _admit(self, stand_in, request)
            except ApiError as refusal:
                return _response(refusal.reply)
            return await _serve(self, stand_in, request)

        return Route(self.path, endpoint, methods=[self.method])


async def _serve(operation: Operation, stand_in: StandIn, request: Request) -> Response:
    fault = stand_in.faults.take(operation.name)
    kind = fault.kind if fault else ""
    if kind == "slow" and fault:
        await asyncio.sleep(fault.seconds)
    if kind == "drop_before":
        return await _drop(request)
    if kind == "error_before" and fault:
        return _injected(fault)
    try:
        raw = await _body(request)
    except ApiError as refusal:
        return _response(refusal.reply)
    except ClientDisconnect:
        return Response()  # nobody is there to read it, and nothing was done
    reply = await run_in_threadpool(_answer, operation, stand_in, request, raw, fault)
    if kind == "duplicate":
        reply = await run_in_threadpool(_answer_again, operation, stand_in, request, raw, fault)
    if kind == "drop_after":
        return await _drop(request)
    return _injected(fault) if kind == "error_after" and fault else _response(reply)


def _admit(operation: Operation, stand_in: StandIn, request: Request) -> None:
    """Count a call as it arrives, whatever becomes of it, under the project of its key."""
    project = authenticate(stand_in.api_keys, request.headers.get("x-api-key"), operation.scope)
    stand_in.limits.count(project, write=operation.method != "GET")
    request.state.project = project


def _answer_again(
    operation: Operation, stand_in: StandIn, request: Request, raw: bytes, fault: Fault | None
) -> Reply:
    """Answer a call that a proxy repeated: to the server it is another."""
    try:
        _admit(operation, stand_in, request)
    except ApiError as refusal:
        return refusal.reply
    return _answer(operation, stand_in, request, raw, fault)


def _answer(
    operation: Operation, stand_in: StandIn, request: Request, raw: bytes, fault: Fault | None
) -> Reply:
    try:
        call = Call(
            project=request.state.project,
            path=dict(request.path_params),
            query=dict(request.query_params),
            body=parse_json(raw) if operation.method in ("POST", "PUT") else None,
            tamper=fault.tamper if fault and fault.kind == "tamper" else None,
        )
        _check_text(call)
        return _within_transaction(operation, stand_in, request, call)
    except ApiError as refusal:
        return refusal.reply
    except SandboxError as error:
        _log.warning("%s: %s", operation.name, error)
        return refused(503, "The sandbox's chain does not answer").reply


def _within_transaction(
    operation: Operation, stand_in: StandIn, request: Request, call: Call
) -> Reply:
    with stand_in.store.transaction():
        # A refusal is an answer, not a rollback: handlers check before they save, and screening counts attempts.
        try:
            if not operation.idempotent:
                return operation.handler(stand_in, call)
            return _once(operation, stand_in, request, call)
        except ApiError as refusal:
            return refusal.reply


def _once(operation: Operation, stand_in: StandIn, request: Request, call: Call) -> Reply:
    """Answer an idempotency key seen before with the record it made, as it is now.

    Assumptions: a key belongs to one project and operation, with another body it is refused by 409, and a refused
    request does not use its key up.
    """
    key = request.headers.get("x-idempotency-key")
    if not key:
        return operation.handler(stand_in, call)
    if len(key) > 255:
        raise bad_request("Invalid x-idempotency-key: at most 255 characters")
    name, fingerprint = f"{operation.name}/{key}", _fingerprint(call)
    seen = stand_in.store.find("idempotency", call.project, name)
    if seen is None:
        reply = operation.handler(stand_in, call)
        seen = {"fingerprint": fingerprint, "record": reply.record, "status": reply.status}
        stand_in.store.save("idempotency", call.project, name, seen)
        return reply
    if seen["fingerprint"] != fingerprint:
        raise refused(409, "This x-idempotency-key was used for another request")
    record: Json | None = stand_in.store.find(seen["record"][0], call.project, seen["record"][1])
    if record is None:
        raise refused(409, "What this x-idempotency-key made is gone")
    return Reply(seen["status"], record["api"])


def _fingerprint(call: Call) -> str:
    text = json.dumps([call.path, call.body], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_text(call: Call) -> None:
    """Refuse path and query text that SQLite or UTF-8 cannot carry."""
    try:
        for text in (*call.path.values(), *call.query.values()):
            text.encode()
    except UnicodeEncodeError:
        raise bad_request("Invalid request: not text") from None


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise refused(413, "Request body is too large")
    return body


async def _drop(request: Request) -> Response:
    """Reset the connection: the client sees it die, with no answer."""
    transport: Any = request.scope["state"]["transport"]
    transport.abort()
    await asyncio.sleep(0)
    return Response()


def _injected(fault: Fault) -> Response:
    return _response(refused(fault.status, "Internal server error").reply)


def _response(reply: Reply) -> Response:
    return Response(to_json(reply.body), reply.status, reply.headers, "application/json")
