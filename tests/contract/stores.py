"""Every store of the ledger there is, as the contract suites ask for them: memory, SQL, and a DynamoDB table."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from bursar.aws.ledger_table import LedgerTable
from bursar.kms.names import parse_endpoint
from bursar.kms.service import Access, Limits, Machine
from bursar.kms.sigv4 import Credentials
from bursar.ledger.database import DatabaseStore
from bursar.ledger.store import HEAD, Change, Store
from tests.fakes.aws_root import ROOT

# What the table's docstring says the caller needs, and nothing else.
PERMISSIONS = ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem")
REGION = "us-east-1"
_ROOT_FOLDER = Path(__file__).parents[2]


@runtime_checkable
class Closable(Protocol):
    def close(self) -> None: ...


@dataclass(frozen=True)
class StoreWorld:
    """One kind of store. `make` makes a handle on it, with connections of its own.

    `elsewhere` is what another process needs to open it: see `opened`; None where no other process can.
    """

    name: str
    make: Callable[[], Store]
    elsewhere: str | None = None
    handles: list[Store] = field(default_factory=list)

    def open(self) -> Store:
        """Return another handle, which `close` closes."""
        self.handles.append(self.make())
        return self.handles[-1]

    def close(self) -> None:
        for each in self.handles:
            if isinstance(each, Closable):
                each.close()
        self.handles.clear()

    def run(self, code: str, *arguments: str) -> str:
        """Run code in another process, with `store` open and `arguments` in place, and return what it prints."""
        assert self.elsewhere is not None
        return finish(self.start(code, *arguments))

    def start(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        assert self.elsewhere is not None
        head = "import sys\nfrom tests.contract.stores import opened\nstore = opened(sys.argv[1])\n"
        return subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"{head}arguments = sys.argv[2:]\n{code}",
                self.elsewhere,
                *arguments,
            ],
            cwd=_ROOT_FOLDER,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def finish(process: subprocess.Popen[str]) -> str:
    """Return what a process printed, once it ended well."""
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out


def opened(elsewhere: str) -> Store:
    """Open the store that another process described."""
    fields: dict[str, Any] = json.loads(elsewhere)
    if "database" in fields:
        return DatabaseStore.open(fields["database"])
    key = Credentials(fields["access_key_id"], fields["secret_access_key"])
    return table_store(fields["url"], fields["table"], key)


def database_world(name: str, where: str) -> StoreWorld:
    return StoreWorld(name, lambda: DatabaseStore.open(where), json.dumps({"database": where}))


def table_store(
    url: str, table: str, key: Credentials, limits: Limits | None = None
) -> LedgerTable:
    access = Access(REGION, parse_endpoint(url), lambda: key)
    return LedgerTable(table, access, limits=limits, machine=Machine())


def table_world(url: str, table: str, key: Credentials) -> StoreWorld:
    fields = {
        "url": url,
        "table": table,
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key,
    }
    return StoreWorld("dynamodb", lambda: table_store(url, table, key), json.dumps(fields))


def make_table(url: str) -> str:
    """Make a ledger's table, and return its name."""
    import boto3  # the processes that only open a store need none of it

    name = f"ledger-{uuid.uuid4().hex[:12]}"
    admin: Any = boto3.client(
        "dynamodb",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=ROOT.access_key_id,
        aws_secret_access_key=ROOT.secret_access_key,
    )
    keys = {"book": "HASH", "entry": "RANGE"}
    admin.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": each, "KeyType": kind} for each, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in keys],
    )
    admin.close()
    return name


def fill(store: Store, book: str, entries: dict[str, str]) -> None:
    """Write entries, in as many changes as the smallest of the stores needs."""
    names = list(entries)
    for start in range(0, len(names), 90):
        part = {name: entries[name] for name in names[start : start + 90]}
        seen = store.get(book, [HEAD]).get(HEAD)
        store.put(book, Change(seen, f"{seen}.", entries=part))
