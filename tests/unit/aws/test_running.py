"""What Lambda says of a function, against what its stack deployed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bursar.aws.cloud import Cloud
from bursar.aws.running import require_deployed, running
from bursar.errors import StackError

ADDRESS = "0x1111111111111111111111111111111111111111"
OUTPUTS = {
    "FunctionName": "treasury-signer",
    "FunctionAlias": "live",
    "FunctionVersion": "4",
    "CodeSha256": "code",
    "CodeBucket": "bucket",
    "CodeKey": "key.zip",
    "KeyArn": "arn:aws:kms:us-east-1:1:key/k",
    "RoleArn": "arn:aws:iam::1:role/r",
    "Runtime": "python3.13",
    "BlindSigning": "refused",
    "SignerAddress": ADDRESS,
}
VARIABLES = {"KMS_KEY_ID": OUTPUTS["KeyArn"], "BURSAR_SIGNER_ADDRESS": ADDRESS}
LIVE = {
    "CodeSha256": "code",
    "Handler": "bursar.aws.handler.handle",
    "Role": OUTPUTS["RoleArn"],
    "Runtime": "python3.13",
    "Environment": {"Variables": VARIABLES},
}
ALIAS = {"Name": "live", "FunctionVersion": "4"}


def function(
    versions: dict[str, Any], aliases: list[Any] | None = None, urls: list[Any] | None = None
) -> Cloud:
    """Lambda, with a function of these versions, each as LIVE but for what is named."""
    listed = {
        "list_versions_by_function": {
            "Versions": [{**LIVE, "Version": name, **each} for name, each in versions.items()]
        },
        "list_aliases": {"Aliases": [ALIAS] if aliases is None else aliases},
        "list_function_url_configs": {"FunctionUrlConfigs": urls or []},
    }

    def paginator(name: str) -> Any:
        return SimpleNamespace(paginate=lambda **_: [listed[name]])

    return cast("Cloud", SimpleNamespace(functions=SimpleNamespace(get_paginator=paginator)))


def cloud_with(**changes: Any) -> Cloud:
    return function({"$LATEST": {}, "4": changes})


def variables(**changes: str) -> dict[str, Any]:
    return {"Environment": {"Variables": VARIABLES | changes}}


def test_a_function_as_deployed_has_no_differences() -> None:
    live = running(cloud_with(), OUTPUTS)
    assert (live.code_sha256, live.blind_signing, live.differences) == ("code", "refused", ())
    require_deployed(OUTPUTS, live)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (variables(BURSAR_BLIND_SIGNING="allowed"), "BURSAR_BLIND_SIGNING"),
        (variables(KMS_KEY_ID="another"), "KMS_KEY_ID"),
        (variables(PYTHONPATH="/opt"), "PYTHONPATH"),
        ({"Environment": {"Variables": {"KMS_KEY_ID": OUTPUTS["KeyArn"]}}}, "BURSAR_SIGNER_ADDRESS"),
        ({"Handler": "index.handle"}, "Handler"),
        ({"Role": "arn:aws:iam::1:role/admin"}, "Role"),
        ({"Runtime": "python3.11"}, "Runtime"),
        ({"Layers": [{"Arn": "arn:aws:lambda:us-east-1:2:layer:x:1"}]}, "Layers"),
    ],
    ids=str,
)  # fmt: skip
def test_every_setting_that_was_changed_is_named_and_so_is_the_repair(
    changes: dict[str, Any], named: str
) -> None:
    live = running(cloud_with(**changes), OUTPUTS)
    assert live.differences == (named,)
    with pytest.raises(StackError, match=named) as caught:
        require_deployed(OUTPUTS, live)
    # The latest state is as deployed, so it is published, and the version that is not goes.
    assert [step.split()[2] for step in str(caught.value.hint).split(": ")[1].split("; ")] == [
        *("publish-version", "update-alias", "delete-function"),
    ]


def test_a_latest_state_that_was_changed_is_put_back_in_code_and_settings() -> None:
    changed = {"CodeSha256": "other", "Layers": [{"Arn": "layer"}]}
    live = running(function({"$LATEST": changed, "4": {}}), OUTPUTS)
    assert live.differences == ("$LATEST CodeSha256", "$LATEST Layers")
    code, settings = live.repairs
    assert code.endswith("--s3-bucket bucket --s3-key key.zip")
    assert "update-function-configuration --function-name treasury-signer" in settings
    assert f"BURSAR_SIGNER_ADDRESS={ADDRESS}" in settings
    assert "--layers []" in settings


def test_calls_led_elsewhere_are_led_back_to_the_version_that_was_deployed() -> None:
    weights = {"AdditionalVersionWeights": {"5": 0.1}}
    alias = ALIAS | {"RoutingConfig": weights}
    live = running(
        function({"$LATEST": {}, "4": {}, "5": {"Handler": "index.handle"}}, [alias]), OUTPUTS
    )
    assert live.differences == ("Handler",)
    back, gone = live.repairs
    assert "--function-version 4 --routing-config AdditionalVersionWeights={}" in back
    assert gone.endswith("delete-function --function-name treasury-signer --qualifier 5")


def test_another_version_like_the_one_deployed_is_no_difference() -> None:
    live = running(function({"$LATEST": {}, "4": {}, "5": {}}), OUTPUTS)
    assert live.differences == ()


def test_a_stack_from_before_there_were_aliases_is_judged_by_the_latest_state() -> None:
    old = {name: value for name, value in OUTPUTS.items() if "FunctionAlias" not in name}
    live = running(function({"$LATEST": {"Handler": "index.handle"}}, []), old)
    assert live.differences == ("Handler",)
    assert "update-function-configuration" in live.repairs[0]


def test_an_alias_that_is_gone_is_said() -> None:
    with pytest.raises(StackError, match="alias live is gone"):
        running(function({"$LATEST": {}, "4": {}}, []), OUTPUTS)


@pytest.mark.parametrize(("value", "blind"), [("allowed", "allowed"), ("yes", "refused")])
def test_blind_signing_is_what_the_function_makes_of_its_switch(value: str, blind: str) -> None:
    live = running(cloud_with(**variables(BURSAR_BLIND_SIGNING=value)), OUTPUTS)
    assert live.blind_signing == blind


def test_variables_that_may_not_be_read_all_differ() -> None:
    answer = {"Environment": {"Error": {"ErrorCode": "AccessDeniedException", "Message": "no"}}}
    live = running(cloud_with(**answer), OUTPUTS)
    assert live.differences == ("BURSAR_SIGNER_ADDRESS", "KMS_KEY_ID")


def test_doors_that_the_stack_did_not_make_are_told_and_closed() -> None:
    other = {"Name": "evil", "FunctionVersion": "4"}
    live = running(
        function({"$LATEST": {}, "4": {}}, [ALIAS, other], [{"AuthType": "NONE"}]), OUTPUTS
    )
    assert live.differences == ("alias evil", "URL of its own")
    alias, url = live.repairs
    assert alias.endswith("delete-alias --function-name treasury-signer --name evil")
    assert url.endswith("delete-function-url-config --function-name treasury-signer")


def test_the_policys_hash_and_the_table_are_expected_where_the_stack_has_them() -> None:
    outputs = {**OUTPUTS, "PolicyHash": "sha256:aa", "LedgerTable": "treasury-Ledger-1"}
    told = {"BURSAR_POLICY_HASH": "sha256:aa", "BURSAR_LEDGER_TABLE": "treasury-Ledger-1"}
    as_deployed = {"Environment": {"Variables": {**VARIABLES, **told}}}
    versions = {"$LATEST": as_deployed, "4": as_deployed}
    assert running(function(versions), outputs).differences == ()
    assert "BURSAR_POLICY_HASH" in running(cloud_with(), outputs).differences
    other = {"Environment": {"Variables": {**VARIABLES, **told, "BURSAR_LEDGER_TABLE": "theirs"}}}
    found = running(function({**versions, "4": other}), outputs)
    assert found.differences == ("BURSAR_LEDGER_TABLE",)
    assert "BURSAR_LEDGER_TABLE" in running(function(versions), OUTPUTS).differences
