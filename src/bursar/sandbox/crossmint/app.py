"""The application: every operation in one table, and the server that runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from bursar.sandbox.crossmint import (
    balances,
    control,
    history,
    signatures,
    signers,
    transactions,
    transfers,
    users,
    wallets,
)
from bursar.sandbox.crossmint.config import StandInConfig
from bursar.sandbox.crossmint.faults import DELIVERIES
from bursar.sandbox.crossmint.pipeline import Operation
from bursar.sandbox.crossmint.settlement import Settler
from bursar.sandbox.crossmint.stand_in import StandIn
from bursar.sandbox.crossmint.webhooks import Postman
from bursar.sandbox.guard import Guard

_USERS = "/api/2025-06-09/users/{user}"
_WALLETS = "/api/2025-06-09/wallets"
_WALLET = f"{_WALLETS}/{{wallet}}"
_TRANSACTIONS = f"{_WALLET}/transactions"
_TRANSFERS = f"{_WALLET}/tokens/{{token}}/transfers"
_SIGNATURES = f"{_WALLET}/signatures"
_SIGNERS = f"{_WALLET}/signers"
_FUNDING = "/api/v1-alpha2/wallets/{wallet}/balances"
_HISTORY = "/api/unstable/wallets/{wallet}/transfers"

# fmt: off
OPERATIONS = (
    Operation("wallets.create", "POST", _WALLETS, "wallets.create", wallets.create, idempotent=True),
    Operation("wallets.get", "GET", _WALLET, "wallets.read", wallets.get),
    Operation("balances.get", "GET", f"{_WALLET}/balances", "wallets:balance.read", balances.get),
    Operation("balances.get_v1", "GET", _FUNDING, "wallets:balance.read", balances.get_v1),
    Operation("balances.fund", "POST", _FUNDING, "wallets.fund", balances.fund),
    Operation("transfers.create", "POST", _TRANSFERS, "wallets:transactions.create", transfers.create,
              idempotent=True),
    Operation("transfers.get", "GET", f"{_TRANSFERS}/{{transaction}}", "wallets:transactions.read", transfers.get),
    Operation("transfers.list", "GET", _HISTORY, "wallets.read", history.list_all),
    Operation("transactions.create", "POST", _TRANSACTIONS, "wallets:transactions.create", transactions.create,
              idempotent=True),
    Operation("transactions.list", "GET", _TRANSACTIONS, "wallets:transactions.read", transactions.list_all),
    Operation("transactions.get", "GET", f"{_TRANSACTIONS}/{{transaction}}", "wallets:transactions.read",
              transactions.get),
    Operation("transactions.approve", "POST", f"{_TRANSACTIONS}/{{transaction}}/approvals",
              "wallets:transactions.sign", transactions.approve),
    Operation("signatures.create", "POST", _SIGNATURES, "wallets:signatures.create", signatures.create,
              idempotent=True),
    Operation("signatures.list", "GET", _SIGNATURES, "wallets:signatures.read", signatures.list_all),
    Operation("signatures.get", "GET", f"{_SIGNATURES}/{{signature}}", "wallets:signatures.read", signatures.get),
    Operation("signatures.approve", "POST", f"{_SIGNATURES}/{{signature}}/approvals", "wallets:signatures.create",
              signatures.approve),
    Operation("signers.create", "POST", _SIGNERS, "wallets.create", signers.create),
    Operation("signers.get", "GET", f"{_SIGNERS}/{{signer}}", "wallets.read", signers.get),
    Operation("signers.remove", "DELETE", f"{_SIGNERS}/{{signer}}", "wallets.create", signers.remove),
    Operation("users.put", "PUT", _USERS, "users.create", users.put),
    Operation("users.put_legal_document", "PUT", f"{_USERS}/legal-documents", "users.create",
              users.put_legal_document),
    Operation("users.put_identity_verification", "PUT", f"{_USERS}/identity-verification", "users.create",
              users.put_identity_verification),
)
# fmt: on


def create_app(stand_in: StandIn) -> Starlette:
    """Return the ASGI application over an opened stand-in, which it closes when it shuts down."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        settler, postman = Settler(stand_in), Postman(stand_in)
        settler.start()
        postman.start()
        try:
            yield
        finally:
            settler.stop()
            postman.stop()
            stand_in.close()

    names = frozenset({DELIVERIES, *(operation.name for operation in OPERATIONS)})
    return Starlette(
        routes=[
            *(operation.route(stand_in) for operation in OPERATIONS),
            *control.routes(stand_in, names),
        ],
        exception_handlers={HTTPException: _http_error},
        lifespan=lifespan,
    )


def make_server(config: StandInConfig) -> uvicorn.Server:
    """Return the stand-in, connected and ready to `run()` until SIGTERM or SIGINT (or `should_exit`).

    Raises:
        SandboxError: the chain or the state file cannot be used.
    """
    return uvicorn.Server(
        uvicorn.Config(
            Guard(create_app(StandIn.open(config)), config.port),
            host=config.host,
            port=config.port,
            http=_DroppableProtocol,
            log_level="warning",
            access_log=False,
            # Longer than clients keep their idle connections, so that none is closed under a request.
            timeout_keep_alive=120,
            timeout_graceful_shutdown=2,
        )
    )


class _DroppableProtocol(H11Protocol):
    """HTTP/1.1 with the connection's transport in the scope, so that a fault can reset it."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


async def _http_error(_request: Request, error: Exception) -> Response:
    """Word an unknown path or method as the API does."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "Internal server error"
    return JSONResponse({"error": True, "message": detail}, status)
