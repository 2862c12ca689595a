"""The control API under /_sandbox/, which Crossmint does not have: faults, a count of calls, and a look inside."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bursar.sandbox.crossmint.alterations import ALTERABLE
from bursar.sandbox.crossmint.faults import EVERY_OPERATION, Fault
from bursar.sandbox.crossmint.replies import ApiError, Json, bad_request, refused
from bursar.sandbox.crossmint.requests import parse, parse_json
from bursar.sandbox.crossmint.stand_in import StandIn

_KINDS = ("wallet", "transaction", "signature", "user")


def routes(stand_in: StandIn, operations: frozenset[str]) -> list[Route]:
    """Return the control routes and /healthz. None of them needs a key or counts towards a limit."""

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "chainId": stand_in.chain_id})

    async def state(_request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(_state, stand_in))

    async def calls(_request: Request) -> Response:
        return JSONResponse(stand_in.limits.to_json())

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            stand_in.faults.clear()
        elif request.method == "POST":
            try:
                _require_json(request)
                _add(stand_in, operations, await request.body())
            except ApiError as refusal:
                return JSONResponse(refusal.reply.body, refusal.reply.status)
        return JSONResponse(stand_in.faults.to_json())

    return [
        Route("/healthz", health),
        Route("/_sandbox/state", state),
        Route("/_sandbox/calls", calls),
        Route("/_sandbox/faults", faults, methods=["GET", "POST", "DELETE"]),
    ]


def _require_json(request: Request) -> None:
    # The types a web page may send without asking first are others.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise refused(415, "Content-Type must be application/json")


def _add(stand_in: StandIn, operations: frozenset[str], raw: bytes) -> None:
    fault = parse(Fault, parse_json(raw))
    everywhere = fault.kind == "random" and fault.operation == EVERY_OPERATION
    if fault.operation not in operations and not everywhere:
        raise bad_request(f"Unknown operation; one of {', '.join(sorted(operations))}")
    if fault.kind == "tamper" and fault.operation not in ALTERABLE:
        raise bad_request(f"Only these can be altered: {', '.join(sorted(ALTERABLE))}")
    stand_in.faults.add(fault)


def _state(stand_in: StandIn) -> Json:
    state: Json = {kind + "s": stand_in.store.all(kind) for kind in _KINDS}
    return state | {
        "contracts": stand_in.contracts.to_dict(),
        "projects": sorted({key.project for key in stand_in.api_keys}),
        "faults": stand_in.faults.to_json(),
    }
