"""The control plane against boto3's own model of KMS: botocore's stubber checks every parameter and answer."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.stub import Stubber
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bursar import kms
from bursar.errors import (
    AwsAccessDenied,
    AwsCredentials,
    BursarError,
    ConfigError,
    KmsAliasTaken,
    KmsError,
    KmsKeyNotFound,
    KmsRegionMismatch,
    KmsThrottled,
    KmsTimeout,
    KmsUnavailable,
)
from bursar.kms.client import KmsClient
from bursar.kms.control import calling
from bursar.kms.keys import KeyDescription, Keys, NewKey, require_alias, spki_pem

PREFIX = "arn:aws:kms:us-east-1:111122223333:key/"
BORN = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


def key_id(number: int) -> str:
    return f"{number:08d}-12ab-34cd-56ef-1234567890ab"


def metadata(number: int, **more: Any) -> dict[str, Any]:
    return {
        "KeyId": key_id(number),
        "Arn": PREFIX + key_id(number),
        "KeySpec": "ECC_SECG_P256K1",
        "KeyUsage": "SIGN_VERIFY",
        "KeyState": "Enabled",
        "CreationDate": BORN + dt.timedelta(minutes=-number),
        "MultiRegion": False,
        **more,
    }


class World:
    """boto3's client with scripted answers, and a clock that only sleeping moves."""

    def __init__(self) -> None:
        self.client = boto3.client(
            "kms", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        self.stub = Stubber(self.client)
        self.time = 0.0
        self.slept: list[float] = []
        self.keys = Keys(self.client, patience=5.0, monotonic=lambda: self.time, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def describes(self, number: int, **more: Any) -> None:
        self.stub.add_response("describe_key", {"KeyMetadata": metadata(number, **more)})

    def knows_nothing(self) -> None:
        self.cannot_find("describe_key")

    def cannot_find(self, action: str) -> None:
        self.stub.add_client_error(action, "NotFoundException", http_status_code=400)

    def denies(self, action: str) -> None:
        text = "User: arn:aws:iam::111122223333:user/x is not authorized"
        self.stub.add_client_error(action, "AccessDeniedException", text, http_status_code=400)

    def creates(self, number: int) -> None:
        self.stub.add_response("create_key", {"KeyMetadata": metadata(number)})

    def lists_aliases(self, *names: str, number: int = 1) -> None:
        entries = [{"AliasName": name, "TargetKeyId": key_id(number)} for name in names]
        self.stub.add_response("list_aliases", {"Aliases": entries, "Truncated": False})


@pytest.fixture
def world() -> Iterator[World]:
    one = World()
    with one.stub:
        yield one
        one.stub.assert_no_pending_responses()


def test_a_key_is_made_for_secp256k1_signing_with_aws_s_default_policy(world: World) -> None:
    expected = {
        "KeySpec": "ECC_SECG_P256K1",
        "KeyUsage": "SIGN_VERIFY",
        "Description": "treasury",
        "MultiRegion": True,
        "Tags": [{"TagKey": "team", "TagValue": "treasury"}],
    }
    world.knows_nothing()
    world.stub.add_response("create_key", {"KeyMetadata": metadata(1)}, expected)
    alias = {"AliasName": "alias/treasury", "TargetKeyId": PREFIX + key_id(1)}
    world.stub.add_response("create_alias", {}, alias)
    world.describes(1)
    made = world.keys.create(
        NewKey("treasury", {"team": "treasury"}, multi_region=True), alias="alias/treasury"
    )
    assert made.key_arn == PREFIX + key_id(1)
    assert made.aliases == ("alias/treasury",)
    assert made.can_sign


def test_an_alias_that_is_not_visible_yet_is_waited_for(world: World) -> None:
    world.knows_nothing()
    world.creates(1)
    world.stub.add_response("create_alias", {})
    world.knows_nothing()
    world.knows_nothing()
    world.describes(1)
    world.keys.create(NewKey(), alias="alias/treasury")
    assert world.slept == [0.1, 0.2]


def test_a_key_that_is_not_visible_yet_is_waited_for_before_its_alias_is_given(
    world: World,
) -> None:
    world.knows_nothing()
    world.creates(1)
    for _ in range(2):
        world.cannot_find("create_alias")
    world.stub.add_response("create_alias", {})
    world.describes(1)
    assert world.keys.create(NewKey(), alias="alias/treasury").aliases == ("alias/treasury",)
    assert world.slept == [0.1, 0.2]


def test_the_wait_for_the_alias_is_bounded_and_the_way_on_is_named(world: World) -> None:
    world.knows_nothing()
    world.creates(1)
    for _ in range(6):
        world.cannot_find("create_alias")
    with pytest.raises(KmsKeyNotFound) as caught:
        world.keys.create(NewKey(), alias="alias/treasury")
    assert sum(world.slept) <= 5.0
    assert f"--target-key-id {PREFIX}{key_id(1)}" in str(caught.value.hint)


def test_an_alias_for_a_key_that_was_not_just_made_is_not_waited_for(world: World) -> None:
    world.cannot_find("create_alias")
    with pytest.raises(KmsKeyNotFound):
        world.keys.create_alias("alias/treasury", PREFIX + key_id(1))
    assert world.slept == []


def test_the_wait_is_bounded_and_the_key_is_named(world: World) -> None:
    world.knows_nothing()
    world.creates(1)
    world.stub.add_response("create_alias", {})
    for _ in range(6):
        world.knows_nothing()
    with pytest.raises(KmsTimeout) as caught:
        world.keys.create(NewKey(), alias="alias/treasury")
    assert sum(world.slept) <= 5.0
    assert PREFIX + key_id(1) in caught.value.message
    assert "was not given" not in caught.value.message


def test_a_taken_alias_is_found_before_a_key_is_made(world: World) -> None:
    world.describes(7)
    with pytest.raises(KmsAliasTaken, match="alias/treasury"):
        world.keys.create(NewKey(), alias="alias/treasury")


def test_an_alias_taken_in_between_leaves_a_key_that_the_error_names(world: World) -> None:
    world.knows_nothing()
    world.creates(1)
    world.stub.add_client_error("create_alias", "AlreadyExistsException", http_status_code=400)
    with pytest.raises(KmsAliasTaken) as caught:
        world.keys.create(NewKey(), alias="alias/treasury")
    arn = PREFIX + key_id(1)
    assert f"the key {arn} was made" in caught.value.message
    assert f"--target-key-id {arn}" in str(caught.value.hint)
    assert f"schedule-key-deletion --key-id {arn}" in str(caught.value.hint)


def test_an_interrupt_between_key_and_alias_carries_the_key_s_name(world: World) -> None:
    def interrupt(**_: Any) -> None:
        raise KeyboardInterrupt

    world.knows_nothing()
    world.creates(1)
    world.client.meta.events.register("provide-client-params.kms.CreateAlias", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        world.keys.create(NewKey(), alias="alias/treasury")
    assert PREFIX + key_id(1) in caught.value.__notes__[0]


def test_who_may_not_look_may_still_create(world: World) -> None:
    world.denies("describe_key")
    world.creates(1)
    world.denies("create_alias")
    with pytest.raises(AwsAccessDenied, match="kms:CreateAlias"):
        world.keys.create(NewKey(), alias="alias/treasury")


def test_discovery_reads_every_page_and_passes_over_what_is_not_a_signing_key(world: World) -> None:
    world.stub.add_response(
        "list_aliases",
        {
            "Aliases": [
                {"AliasName": "alias/b", "TargetKeyId": key_id(1)},
                {"AliasName": "alias/aws/s3"},
            ],
            "Truncated": True,
            "NextMarker": "more",
        },
    )
    world.lists_aliases("alias/a")
    numbers = list(range(1, 251))
    for page in (numbers[:100], numbers[100:200], numbers[200:]):
        entries = [{"KeyId": key_id(n), "KeyArn": PREFIX + key_id(n)} for n in page]
        more = {"Truncated": True, "NextMarker": str(page[-1])} if page[-1] < 250 else {}
        world.stub.add_response("list_keys", {"Keys": entries, **more})
    other: list[dict[str, Any]] = [
        {"KeySpec": "RSA_2048"},
        {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
        {"KeySpec": "ECC_NIST_P256"},
        {"KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT"},
    ]
    for number in numbers:
        if number == 100:
            world.denies("describe_key")
        elif number == 101:
            world.knows_nothing()
        elif number % 100 < 3:
            world.describes(number, KeyState="Disabled" if number == 2 else "Enabled")
        else:
            world.describes(number, **other[number % 4])
    found = world.keys.signing_keys()
    assert [key.key_id for key in found] == [key_id(n) for n in (202, 201, 200, 102, 2, 1)]
    assert found[-1].aliases == ("alias/a", "alias/b")
    assert not found[-2].can_sign


def test_describing_reads_every_page_of_aliases(world: World) -> None:
    world.describes(1)
    names = [f"alias/a{n:03d}" for n in range(150)]
    first = [{"AliasName": name, "TargetKeyId": key_id(1)} for name in names[:100]]
    world.stub.add_response(
        "list_aliases", {"Aliases": first, "Truncated": True, "NextMarker": "m"}
    )
    world.lists_aliases(*names[100:])
    assert world.keys.describe("alias/a001").aliases == tuple(names)


@pytest.mark.parametrize("refuse", [World.cannot_find, World.denies])
def test_a_key_of_another_account_is_described_without_its_aliases(
    world: World, refuse: Callable[[World, str], None]
) -> None:
    """ListAliases is not cross-account, however much the key's policy allows."""
    world.describes(1)
    refuse(world, "list_aliases")
    found = world.keys.describe(PREFIX + key_id(1))
    assert (found.key_arn, found.aliases) == (PREFIX + key_id(1), ())


def test_a_missing_permission_to_list_the_own_account_s_aliases_is_named(world: World) -> None:
    world.describes(1)
    world.denies("list_aliases")
    with pytest.raises(AwsAccessDenied, match="kms:ListAliases"):
        world.keys.describe("alias/treasury")


def test_a_key_of_another_region_is_refused_before_any_call(world: World) -> None:
    with pytest.raises(KmsRegionMismatch):
        world.keys.describe(PREFIX.replace("us-east-1", "eu-west-1") + key_id(1))


@pytest.mark.parametrize("alias", ["treasury", "alias/aws/mine", key_id(1), "alias/", "alias/a b"])
def test_a_name_that_cannot_be_ours_is_refused_before_any_call(world: World, alias: str) -> None:
    with pytest.raises(ConfigError):
        world.keys.create(NewKey(), alias=alias)
    with pytest.raises(ConfigError):
        require_alias(alias)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (NoCredentialsError(), AwsCredentials),
        (EndpointConnectionError(endpoint_url="https://kms"), KmsUnavailable),
        (ReadTimeoutError(endpoint_url="https://kms"), KmsUnavailable),
        (ValueError("arn:aws:iam::111122223333:user/x"), KmsError),
    ],
)
def test_what_boto3_raises_becomes_ours_without_its_words(
    raised: Exception, expected: type[BursarError]
) -> None:
    with pytest.raises(expected) as caught, calling("kms:CreateKey"):
        raise raised
    assert "111122223333" not in str(caught.value.to_dict())


def test_a_throttled_call_keeps_its_meaning(world: World) -> None:
    world.stub.add_client_error("get_public_key", "ThrottlingException", http_status_code=400)
    with pytest.raises(KmsThrottled):
        world.keys.public_key("alias/treasury")


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment that holds nothing of AWS."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return monkeypatch


def test_keys_open_in_the_environment_s_region_which_boto3_would_pass_over(
    aws_environment: pytest.MonkeyPatch,
) -> None:
    aws_environment.setenv("AWS_REGION", "eu-central-2")
    with pytest.raises(KmsRegionMismatch, match="eu-central-2"):
        Keys.open().describe(PREFIX + key_id(1))


@pytest.mark.usefixtures("aws_environment")
def test_keys_without_a_region_or_with_an_unknown_profile_say_what_to_check() -> None:
    for opened in (Keys.open, lambda: Keys.open("us-east-1", profile="nobody")):
        with pytest.raises(ConfigError) as caught:
            opened()
        assert "AWS_REGION" in str(caught.value.hint)


WITHOUT_BOTO3 = """
import sys
sys.modules["boto3"] = None
import bursar.kms
try:
    bursar.kms.Keys.open("us-east-1")
except bursar.errors.UnsupportedOperation as error:
    print(error.hint)
"""


def test_without_boto3_the_error_says_what_to_install() -> None:
    out = subprocess.run(
        [sys.executable, "-c", WITHOUT_BOTO3], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "pip install 'bursar[aws]'"


def test_the_package_names_its_two_clients_and_nothing_else() -> None:
    assert (kms.Keys, kms.KmsClient) == (Keys, KmsClient)
    assert not hasattr(kms, "Secrets")


def test_the_pem_is_what_cryptography_writes() -> None:
    public = ec.generate_private_key(ec.SECP256K1()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    der = public.public_bytes(serialization.Encoding.DER, form)
    assert spki_pem(der).encode() == public.public_bytes(serialization.Encoding.PEM, form)


def test_a_key_whose_private_half_somebody_brought_along_is_no_signer() -> None:
    described = KeyDescription(
        key_arn="arn",
        key_id="id",
        key_spec="ECC_SECG_P256K1",
        key_usage="SIGN_VERIFY",
        state="Enabled",
        created_at=dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
        description="",
        is_multi_region=False,
    )
    assert described.can_sign
    assert not replace(described, origin="EXTERNAL").can_sign
