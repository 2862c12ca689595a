"""What stands at the seams of a driver and tells each point that is passed: HTTP, the signer, the databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import Pool
from sqlalchemy.schema import CreateTable

from bursar.signing_contract import (
    Answer,
    ApprovalRequest,
    Consent,
    TransactionRequest,
    TransactionSigner,
)
from bursar.transfers.tables import EVENTS, PAYOUTS, TRANSFERS, WALLETS, WORKERS

Passed = Callable[[str], None]
_OURS = {table.name for table in (TRANSFERS, EVENTS, PAYOUTS, WORKERS, WALLETS)}
_WHAT = "written"


@dataclass
class WatchedSigner:
    """Notes each signature in a file, by the transfer's id, before anybody has it."""

    signer: TransactionSigner
    file: Path
    passed: Passed

    @property
    def address(self) -> str:
        return self.signer.address

    def sign_transaction(self, request: TransactionRequest) -> Answer:
        self.passed("signer:before")
        answer = self.signer.sign_transaction(request)
        with self.file.open("a") as file:
            file.write(f"{request.id}\n")
        self.passed("signer:after")
        return answer

    def consent(self, request: ApprovalRequest) -> Consent:
        return self.signer.consent(request)


@dataclass
class WatchedTransport(httpx2.BaseTransport):
    """Passes a point when a request is out, when its answer begins, and when that was read."""

    passed: Passed
    inner: httpx2.BaseTransport = field(default_factory=httpx2.HTTPTransport)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        name = _operation(request)
        sent = httpx2.Request(
            request.method,
            request.url,
            headers=request.headers.raw,
            stream=_Stream(request.stream, lambda: self.passed(f"http:{name}:sent")),
            extensions=request.extensions,
        )
        response = self.inner.handle_request(sent)
        self.passed(f"http:{name}:answered")
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Stream(response.stream, lambda: self.passed(f"http:{name}:read")),
            extensions=response.extensions,
        )

    def close(self) -> None:
        self.inner.close()


@dataclass
class _Stream(httpx2.SyncByteStream):
    """A stream that says when it is through."""

    inner: Any
    through: Callable[[], None]

    def __iter__(self) -> Iterator[bytes]:
        yield from self.inner
        self.through()

    def close(self) -> None:
        if hasattr(self.inner, "close"):
            self.inner.close()


def _operation(request: httpx2.Request) -> str:
    last = request.url.path.rpartition("/")[2]
    if request.method == "POST":
        return {"transfers": "create", "approvals": "approve"}.get(last, last)
    return "list" if last == "transactions" else "get"


def watch_databases(passed: Passed) -> None:
    """Pass a point before and after each commit of this process, named after what is written.

    Those of the journal are `commit:`, and those of the workflow engine `engine:`.
    """

    def execute(connection: Connection, statement: Any, *_: object) -> None:
        if (what := _written(statement)) is not None:
            connection.info[_WHAT] = what

    def before(connection: Connection) -> None:
        name = connection.info.pop(_WHAT, "engine")
        connection.info["committed"] = name
        passed(f"{name}:before")

    def after(_connection: Any, record: Any, *_: object) -> None:
        record.info.pop(_WHAT, None)
        if (name := record.info.pop("committed", None)) is not None:
            passed(f"{name}:after")

    sa.event.listen(Engine, "before_execute", execute)
    sa.event.listen(Engine, "commit", before)
    # A connection is given back right after its commit.
    sa.event.listen(Pool, "reset", after)


def _written(statement: Any) -> str | None:
    """Return what a statement writes into the journal: an event by its kind, or a table's row."""
    if isinstance(statement, CreateTable):
        return "commit:tables" if statement.element.name in _OURS else None
    if not isinstance(statement, sa.Insert | sa.Update | sa.Delete):
        return None
    if statement.table is EVENTS:
        return f"commit:{statement.compile().params.get('event')}"
    name = str(statement.table)
    return f"commit:{name}" if name in _OURS else None
