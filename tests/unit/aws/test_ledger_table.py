"""How the ledger's table is set up, what it sends, and what it costs to import. No call is made."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bursar.aws import dynamodb
from bursar.aws.ledger_table import LedgerTable
from bursar.errors import ConfigError, LedgerError
from bursar.kms.names import Endpoint
from bursar.kms.service import chosen_endpoint
from bursar.ledger.store import HEAD, Change

IMPORTS = "import sys, bursar.aws.ledger_table; print(*sys.modules)"
HEAVY = {
    "boto3",
    "botocore",
    "http.client",
    "email",
    "urllib.parse",
    "logging",
    "asyncio",
    "random",
    "coincurve",
    "Crypto",
    "concurrent.futures",
    "sqlalchemy",
    "bursar.kms.client",
    "bursar.policy",
}


def endpoint(region: str, **environ: str) -> Endpoint:
    return chosen_endpoint("dynamodb", region, None, environ)


@pytest.mark.parametrize(
    ("region", "environ", "authority"),
    [
        ("us-east-1", {}, "dynamodb.us-east-1.amazonaws.com"),
        ("cn-north-1", {}, "dynamodb.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", {}, "dynamodb.eusc-de-east-1.amazonaws.eu"),
        (
            "us-gov-west-1",
            {"AWS_USE_FIPS_ENDPOINT": "true"},
            "dynamodb-fips.us-gov-west-1.amazonaws.com",
        ),
        ("us-east-1", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "127.0.0.1:1"),
        (
            "us-east-1",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_DYNAMODB": "https://x.y"},
            "x.y",
        ),
        (
            "us-east-1",
            {"AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:1"},
            "dynamodb.us-east-1.amazonaws.com",
        ),
    ],
)
def test_the_endpoint_follows_the_environment(
    region: str, environ: dict[str, str], authority: str
) -> None:
    assert endpoint(region, **environ).authority == authority


@pytest.mark.usefixtures("socket_disabled")
def test_a_store_from_the_environment_makes_no_call() -> None:
    with LedgerTable.from_environment("ledger", environ={"AWS_REGION": "us-east-1"}) as store:
        assert store.table == "ledger"


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 256, "a b", "arn:aws:dynamodb:x:1:table/y", "é" * 5]
)
def test_what_is_no_table_s_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        LedgerTable.from_environment(name, environ={"AWS_REGION": "us-east-1"})


def test_the_token_is_the_change_s_own() -> None:
    def token(book: str, change: Change) -> str:
        fields = json.loads(dynamodb.write_call("ledger", book, change).body)
        return str(fields["ClientRequestToken"])

    change = Change(None, "1", {"receipt": "r"}, {"a": "1"})
    others = [
        token("other", change),
        token("book", Change("0", "1", {"receipt": "r"}, {"a": "1"})),
        token("book", Change(None, "2", {"receipt": "r"}, {"a": "1"})),
        token("book", Change(None, "1", {"receipt": "r", "a": "1"})),
        token("book", Change(None, "1", {"receipt": "r"}, {"a": "2"})),
    ]
    assert token("book", change) == token("book", Change(None, "1", {"receipt": "r"}, {"a": "1"}))
    assert len({token("book", change), *others}) == 6
    assert {len(each) for each in others} == {36}


def test_only_the_head_and_what_is_new_carry_conditions() -> None:
    change = Change("0", "1", {"receipt": "r"}, {"a": "1"})
    puts = [
        each["Put"]
        for each in json.loads(dynamodb.write_call("ledger", "book", change).body)["TransactItems"]
    ]
    conditions = {each["Item"]["entry"]["S"]: each.get("ConditionExpression") for each in puts}
    assert conditions == {
        HEAD: "#data = :seen",
        "receipt": "attribute_not_exists(#entry)",
        "a": None,
    }


def test_half_a_surrogate_pair_is_never_sent() -> None:
    with pytest.raises(LedgerError, match="Unicode"):
        dynamodb.get_call("ledger", "book", "\ud800")


def test_importing_the_store_loads_only_what_a_cold_start_can_afford() -> None:
    out = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
    ).stdout
    assert "bursar.aws.ledger_table" in out.split()
    assert HEAVY & set(out.split()) == set()
