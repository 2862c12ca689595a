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


def cloud_with(**changes: Any) -> Cloud:
    answer = LIVE | changes
    functions = SimpleNamespace(get_function_configuration=lambda **_: answer)
    return cast("Cloud", SimpleNamespace(functions=functions))


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
    hint = str(caught.value.hint)
    assert "update-function-configuration --function-name treasury-signer" in hint
    assert f"BURSAR_SIGNER_ADDRESS={ADDRESS}" in hint
    assert "--layers []" in hint


@pytest.mark.parametrize(("value", "blind"), [("allowed", "allowed"), ("yes", "refused")])
def test_blind_signing_is_what_the_function_makes_of_its_switch(value: str, blind: str) -> None:
    live = running(cloud_with(**variables(BURSAR_BLIND_SIGNING=value)), OUTPUTS)
    assert live.blind_signing == blind


def test_variables_that_may_not_be_read_all_differ() -> None:
    answer = {"Environment": {"Error": {"ErrorCode": "AccessDeniedException", "Message": "no"}}}
    live = running(cloud_with(**answer), OUTPUTS)
    assert live.differences == ("BURSAR_SIGNER_ADDRESS", "KMS_KEY_ID")
