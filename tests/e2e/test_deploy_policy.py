"""A policy deployed with the signer: in the zip, in the environment, in the template; and the table beside it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bursar.aws import deploy, removal
from bursar.aws.deploy import DeployRequest
from bursar.aws.plan import RecordsPlan, StackPlan
from bursar.cli.main import run
from bursar.errors import ConfigError
from tests.e2e.account import STACK, Account
from tests.fakes.policies import RAISED, TEXT, planned

REQUEST = DeployRequest(STACK, StackPlan(policy=planned()))
ENTRY = {"book": {"S": "key"}, "entry": {"S": "2026-11-24T00:00:00Z#1"}}


def remembering(name: str) -> DeployRequest:
    return replace(REQUEST, plan=replace(REQUEST.plan, records=RecordsPlan(ledger=name)))


def denied(call: Callable[..., object], **arguments: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_the_policy_is_in_the_functions_zip_its_environment_and_the_stacks_outputs(
    account: Account,
) -> None:
    found = account.deploy(REQUEST)
    assert found.outputs["PolicyHash"] == planned().hash
    assert found.outputs["PolicyVersion"] == "1"
    function = account.client("lambda").get_function_configuration(
        FunctionName=found.outputs["FunctionName"], Qualifier="live"
    )
    variables = function["Environment"]["Variables"]
    assert variables["BURSAR_POLICY_HASH"] == planned().hash
    assert variables["BURSAR_LEDGER_TABLE"] == found.outputs["LedgerTable"]
    stored = account.client("s3").get_object(
        Bucket=found.outputs["CodeBucket"], Key=found.outputs["CodeKey"]
    )
    with zipfile.ZipFile(io.BytesIO(stored["Body"].read())) as archive:
        assert archive.read("policy.toml").decode() == TEXT
    assert found.differences == ()


def test_the_function_adds_to_its_table_and_reads_it_and_can_do_nothing_else_with_it(
    account: Account,
) -> None:
    found = account.deploy(REQUEST)
    table = found.outputs["LedgerTable"]
    described = account.client("dynamodb").describe_table(TableName=table)["Table"]
    assert [each["AttributeName"] for each in described["KeySchema"]] == ["book", "entry"]
    assert described["DeletionProtectionEnabled"] is True

    account.become_function(found)
    dynamodb = account.client("dynamodb")
    once = {"TableName": table, "Item": ENTRY, "ConditionExpression": "attribute_not_exists(book)"}
    dynamodb.put_item(**once)
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.put_item(**once)
    more = {**ENTRY, "entry": {"S": "2026-11-24T00:00:01Z#2"}}
    dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": more}}])
    assert dynamodb.get_item(TableName=table, Key=ENTRY)["Item"] == ENTRY
    book = dynamodb.query(
        TableName=table,
        KeyConditionExpression="book = :book",
        ExpressionAttributeValues={":book": ENTRY["book"]},
        ConsistentRead=True,
    )
    assert book["Count"] == 2
    batch = {"RequestItems": {table: {"Keys": [ENTRY]}}}
    assert dynamodb.batch_get_item(**batch)["Responses"][table] == [ENTRY]

    denied(dynamodb.delete_item, TableName=table, Key=ENTRY)
    denied(
        dynamodb.update_item,
        TableName=table,
        Key=ENTRY,
        UpdateExpression="SET amount = :none",
        ExpressionAttributeValues={":none": {"N": "0"}},
    )
    denied(dynamodb.scan, TableName=table)
    denied(
        dynamodb.transact_write_items,
        TransactItems=[{"Delete": {"TableName": table, "Key": ENTRY}}],
    )
    denied(dynamodb.delete_table, TableName=table)
    denied(dynamodb.update_table, TableName=table, DeletionProtectionEnabled=False)

    account.become_another_function(found)
    denied(account.client("dynamodb").put_item, TableName=table, Item=ENTRY)
    denied(account.client("dynamodb").get_item, TableName=table, Key=ENTRY)


def test_a_changed_policy_is_shown_rule_by_rule_and_deployed(
    account: Account,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "policy.toml"
    file.write_text(TEXT)
    options = ["--stack", STACK, "--policy", str(file)]
    assert run(["aws", "deploy", "--yes", "--json", *options]) == 0
    first = json.loads(capsys.readouterr().out)["policy"]
    assert first["from"] is None
    assert first["to"] == {"version": 1, "hash": planned().hash}
    assert "tokens.usdc" in {each["rule"] for each in first["added"]}

    file.write_text(RAISED)
    assert run(["aws", "plan", "--json", *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["policy"]["from"] == first["to"]
    assert told["policy"]["to"] == {"version": 2, "hash": planned(RAISED).hash}
    [[gone], [come]] = (told["policy"][name] for name in ("removed", "added"))
    assert (gone["rule"], come["rule"]) == ("tokens.usdc", "tokens.usdc")
    assert "1000" in gone["text"]
    assert "2500" in come["text"]
    assert "Function" in {each["name"] for each in told["changes"]}

    assert run(["aws", "deploy", "--yes", *options]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "policy: version 1, sha256:" in said
    assert "- tokens.usdc: One payment moves at most 1000" in said
    assert "+ tokens.usdc: One payment moves at most 2500" in said
    assert deploy.status(account.root(), STACK).outputs["PolicyVersion"] == "2"


def test_rules_that_change_under_the_same_version_are_warned_of(account: Account) -> None:
    account.deploy(REQUEST)
    same = planned(RAISED.replace("version = 2", "version = 1"))
    prepared = deploy.prepare(account.root(), replace(REQUEST, plan=StackPlan(policy=same)))
    assert any("did not rise" in note for note in prepared.notes)
    unchanged = deploy.prepare(account.root(), REQUEST)
    assert unchanged.policy is not None
    assert (unchanged.policy.changes, unchanged.policy.removed, unchanged.policy.added) == (
        False,
        (),
        (),
    )
    assert unchanged.preview.changes == ()


def test_a_policy_is_not_taken_away_unless_that_is_asked_for_and_its_table_stays(
    account: Account,
) -> None:
    found = account.deploy(REQUEST)
    bare = replace(REQUEST, plan=StackPlan())
    with pytest.raises(ConfigError, match="signs by a policy") as caught:
        deploy.prepare(account.root(), bare)
    assert "--without-policy" in str(caught.value.hint)
    without = account.deploy(replace(bare, without_policy=True))
    assert "PolicyHash" not in without.outputs
    tables = account.client("dynamodb").list_tables()["TableNames"]
    assert tables == [found.outputs["LedgerTable"]]


def test_the_table_outlives_its_stack_and_a_new_one_does_not_forget_it_unless_told_to(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    found = account.deploy(REQUEST)
    table = found.outputs["LedgerTable"]
    account.client("dynamodb").put_item(TableName=table, Item=ENTRY)
    assert run(["aws", "destroy", "--stack", STACK, "--yes"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f'[records] ledger = "{table}"' in said
    assert f"delete-table --table-name {table}" in said

    with pytest.raises(ConfigError, match=table) as caught:
        deploy.prepare(account.root(), REQUEST)
    assert "forgets what was spent" in str(caught.value.hint)
    again = account.deploy(remembering(table))
    assert again.outputs["LedgerTable"] == table
    account.become_function(again)
    assert account.client("dynamodb").get_item(TableName=table, Key=ENTRY)["Item"] == ENTRY


def test_that_a_new_table_remembers_nothing_is_told(account: Account) -> None:
    prepared = deploy.prepare(account.root(), remembering("new"))
    assert any("a new table is made" in note for note in prepared.notes)
    deploy.finish(account.root(), prepared, account.events.append)
    assert not any("new table" in note for note in deploy.prepare(account.root(), REQUEST).notes)
    assert removal.destroy(account.root(), STACK, account.events.append).ledger is not None


def test_that_the_key_is_to_remember_by_another_table_is_told(account: Account) -> None:
    found = account.deploy(REQUEST)
    account.client("dynamodb").create_table(
        TableName="elsewhere",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("book", "entry")
        ],
        KeySchema=[
            {"AttributeName": "book", "KeyType": "HASH"},
            {"AttributeName": "entry", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    prepared = deploy.prepare(account.root(), remembering("elsewhere"))
    assert any(f"no longer by {found.outputs['LedgerTable']}" in note for note in prepared.notes)
    assert account.deploy(remembering("elsewhere")).outputs["LedgerTable"] == "elsewhere"
    assert found.outputs["LedgerTable"] in account.client("dynamodb").list_tables()["TableNames"]


def test_a_table_to_take_on_has_to_be_there_and_to_be_one_of_these(account: Account) -> None:
    with pytest.raises(ConfigError, match="there is no table"):
        deploy.prepare(account.root(), remembering("treasury-Ledger-1ABC"))
    account.client("dynamodb").create_table(
        TableName="other",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with pytest.raises(ConfigError, match="another table"):
        deploy.prepare(account.root(), remembering("other"))
