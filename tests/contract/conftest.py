"""The KMS data plane's two worlds, the local stub and ministack, and the ledger's stores.

Each test that asks for `kms_world` runs in both, and with `stores` over every store. No policy binds ministack's
root, so a user is made there.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
import pytest

from bursar.kms.client import KmsClient, Limits
from bursar.kms.keys import Keys
from bursar.kms.names import parse_endpoint
from bursar.kms.sigv4 import Credentials
from bursar.sandbox.chain.anvil import Anvil
from bursar.sandbox.setup.tools import find_anvil, tools_folder
from tests.contract.postgres import postgres
from tests.contract.stores import (
    PERMISSIONS,
    StoreWorld,
    database_world,
    make_table,
    table_world,
)
from tests.fakes.aws_root import ROOT
from tests.fakes.kms_server import KmsServer
from tests.fakes.memory_store import MemoryStore

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient


@dataclass(frozen=True)
class KmsWorld:
    """A KMS to talk to, and boto3 to arrange things in it."""

    url: str
    region: str
    credentials: Credentials
    admin: KMSClient

    def client(self, credentials: Credentials | None = None) -> KmsClient:
        given = credentials or self.credentials
        return KmsClient(
            self.region,
            lambda: given,
            endpoint=parse_endpoint(self.url),
            limits=Limits(first_wait=0.001),
        )

    @property
    def keys(self) -> Keys:
        return Keys(self.admin)


def iam_user(url: str, name: str, *actions: str) -> Credentials:
    """Make a user in ministack who may do these actions, and return an access key of theirs."""
    iam = boto3.client(
        "iam",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=ROOT.access_key_id,
        aws_secret_access_key=ROOT.secret_access_key,
    )
    iam.create_user(UserName=name)
    if actions:
        rule = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
        iam.put_user_policy(UserName=name, PolicyName="kms", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def world(url: str, credentials: Credentials) -> KmsWorld:
    admin = boto3.client(
        "kms",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
    )
    return KmsWorld(url, "us-east-1", credentials, admin)


@pytest.fixture(scope="session")
def ministack_user(ministack: str) -> Credentials:
    return iam_user(ministack, "engineer", "kms:*")


@pytest.fixture
def kms_server() -> Iterator[KmsServer]:
    with KmsServer() as server:
        yield server


@pytest.fixture(params=["stub", "ministack"])
def kms_world(request: pytest.FixtureRequest) -> KmsWorld:
    if request.param == "ministack":
        url: str = request.getfixturevalue("ministack")
        return world(url, request.getfixturevalue("ministack_user"))
    server: KmsServer = request.getfixturevalue("kms_server")
    return world(server.url, Credentials(server.access_key_id, server.secret_access_key))


@pytest.fixture(scope="session")
def anvil_url() -> Iterator[str]:
    """A chain of this session's own."""
    with Anvil.start(find_anvil(tools_folder())) as chain:
        yield chain.url


@pytest.fixture(scope="session")
def ledger_table(ministack: str) -> StoreWorld:
    """A ledger's table, and a user who has the four permissions that its store needs."""
    return table_world(
        ministack, make_table(ministack), iam_user(ministack, "ledger", *PERMISSIONS)
    )


@pytest.fixture(scope="session")
def ledger_memory() -> StoreWorld:
    memory = MemoryStore()
    return StoreWorld("memory", lambda: memory)


@pytest.fixture(scope="session")
def ledger_sqlite(tmp_path_factory: pytest.TempPathFactory) -> StoreWorld:
    return database_world("sqlite", str(tmp_path_factory.mktemp("ledger") / "ledger.sqlite3"))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL database of this session's own."""
    with postgres() as url:
        yield url


@pytest.fixture(scope="session")
def ledger_postgres(postgres_url: str) -> StoreWorld:
    return database_world("postgres", postgres_url)


@pytest.fixture(params=["memory", "sqlite", "postgres", "table"])
def stores(request: pytest.FixtureRequest) -> Iterator[StoreWorld]:
    """Each store of the ledger in turn."""
    found: StoreWorld = request.getfixturevalue(f"ledger_{request.param}")
    yield found
    found.close()


@pytest.fixture
def book() -> str:
    """The name of a book that nobody wrote yet."""
    return f"arn:aws:kms:us-east-1:000000000000:key/{uuid.uuid4()}"
