"""What every KMS must do for the signer: the stub, ministack, and so AWS."""

from __future__ import annotations

import uuid

import pytest

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import (
    KmsAliasTaken,
    KmsCredentials,
    KmsError,
    KmsKeyDisabled,
    KmsKeyNotFound,
    KmsKeyPendingDeletion,
    KmsRegionMismatch,
    KmsWrongUsage,
)
from bursar.kms.keys import KeyDescription, NewKey
from bursar.kms.sigv4 import Credentials
from bursar.signer import KmsSigner
from tests.contract.conftest import KmsWorld

DIGEST = bytes(range(32))


def fresh_alias() -> str:
    return f"alias/treasury/{uuid.uuid4().hex}"


@pytest.fixture
def alias() -> str:
    return fresh_alias()


@pytest.fixture
def key(kms_world: KmsWorld, alias: str) -> KeyDescription:
    return kms_world.keys.create(NewKey(), alias=alias)


def test_every_kind_of_name_leads_to_the_same_key(
    kms_world: KmsWorld, key: KeyDescription, alias: str
) -> None:
    alias_arn = key.key_arn.rpartition(":")[0] + f":{alias}"
    with kms_world.client() as kms:
        answers = {kms.get_public_key(name) for name in (key.key_id, key.key_arn, alias, alias_arn)}
    assert [answer.key_arn for answer in answers] == [key.key_arn]


def test_the_public_key_is_the_one_boto3_reads(kms_world: KmsWorld, key: KeyDescription) -> None:
    with kms_world.client() as kms:
        assert kms.get_public_key(key.key_arn) == kms_world.keys.public_key(key.key_arn)


def test_sixteen_signatures_over_one_connection_are_all_low_and_all_proved(
    kms_world: KmsWorld, key: KeyDescription
) -> None:
    with kms_world.client() as kms:
        signer = KmsSigner.open(kms, key.key_arn)
        signed = [signer.sign_hash(bytes([i]) * 32, Scheme.RAW) for i in range(1, 17)]
    for i, one in enumerate(signed, start=1):
        assert one.signature.s <= evm.HALF_ORDER
        raw = one.signature.to_bytes()
        assert evm.parse_signature(raw, bytes([i]) * 32, signer.address) == one.signature
    assert len({one.request_id for one in signed}) == 16


def test_the_digest_is_signed_as_it_is_and_never_hashed_again(
    kms_world: KmsWorld, key: KeyDescription
) -> None:
    with kms_world.client() as kms:
        answer = kms.sign(key.key_arn, evm.kms_request(DIGEST))
        pinned = evm.parse_spki_der(kms.get_public_key(key.key_arn).spki_der)
    assert answer.key_arn == key.key_arn
    assert evm.signature_from_kms(answer.der, DIGEST, pinned)


def test_a_disabled_key_is_its_own_error(kms_world: KmsWorld, key: KeyDescription) -> None:
    kms_world.admin.disable_key(KeyId=key.key_arn)
    with kms_world.client() as kms, pytest.raises(KmsKeyDisabled) as caught:
        kms.sign(key.key_arn, evm.kms_request(DIGEST))
    assert_tells_nothing(caught.value, key)


def test_a_key_pending_deletion_is_its_own_error(kms_world: KmsWorld, key: KeyDescription) -> None:
    kms_world.admin.schedule_key_deletion(KeyId=key.key_arn)
    with kms_world.client() as kms, pytest.raises(KmsKeyPendingDeletion) as caught:
        kms.sign(key.key_arn, evm.kms_request(DIGEST))
    assert_tells_nothing(caught.value, key)


def test_a_name_that_leads_nowhere_is_not_found(kms_world: KmsWorld, alias: str) -> None:
    with kms_world.client() as kms, pytest.raises(KmsKeyNotFound):
        kms.get_public_key(alias)


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P256"])
def test_a_signing_key_of_another_spec_is_wrong_usage(kms_world: KmsWorld, spec: str) -> None:
    created = kms_world.admin.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")  # type: ignore[arg-type]  # literals
    with kms_world.client() as kms, pytest.raises(KmsWrongUsage):
        KmsSigner.open(kms, created["KeyMetadata"]["Arn"])


def test_a_key_that_signs_nothing_has_no_public_key_to_give(kms_world: KmsWorld) -> None:
    created = kms_world.admin.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    with kms_world.client() as kms, pytest.raises(KmsError) as caught:
        kms.get_public_key(created["KeyMetadata"]["Arn"])
    assert not caught.value.retryable


def test_a_wrong_secret_is_a_credentials_error(kms_world: KmsWorld, key: KeyDescription) -> None:
    wrong = Credentials(kms_world.credentials.access_key_id, "not-the-secret")
    with kms_world.client(wrong) as kms, pytest.raises(KmsCredentials):
        kms.get_public_key(key.key_arn)


def test_an_unknown_access_key_is_not_let_in(kms_world: KmsWorld, key: KeyDescription) -> None:
    unknown = Credentials("AKIANOBODY", "nothing")
    with kms_world.client(unknown) as kms, pytest.raises(KmsCredentials):
        kms.get_public_key(key.key_arn)


def test_a_key_of_another_region_is_refused_before_any_call(
    kms_world: KmsWorld, key: KeyDescription
) -> None:
    elsewhere = key.key_arn.replace("us-east-1", "eu-central-2")
    with kms_world.client() as kms, pytest.raises(KmsRegionMismatch):
        kms.sign(elsewhere, evm.kms_request(DIGEST))


def test_a_new_key_is_described_with_its_alias(
    kms_world: KmsWorld, key: KeyDescription, alias: str
) -> None:
    assert key.can_sign
    assert key.aliases == (alias,)
    assert kms_world.keys.describe(alias) == key


def test_a_taken_alias_is_refused_before_a_key_is_made(
    kms_world: KmsWorld, key: KeyDescription, alias: str
) -> None:
    before = kms_world.keys.signing_keys()
    with pytest.raises(KmsAliasTaken):
        kms_world.keys.create(NewKey(), alias=alias)
    assert kms_world.keys.signing_keys() == before
    assert key in before


def test_a_taken_alias_is_never_moved(kms_world: KmsWorld, key: KeyDescription, alias: str) -> None:
    other = kms_world.keys.create(NewKey())
    with pytest.raises(KmsAliasTaken):
        kms_world.keys.create_alias(alias, other.key_arn)
    assert kms_world.keys.describe(alias).key_arn == key.key_arn


def test_signing_keys_pass_over_keys_of_other_kinds(
    kms_world: KmsWorld, key: KeyDescription
) -> None:
    kms_world.admin.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    kms_world.admin.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    kms_world.admin.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    kms_world.admin.create_key()
    found = kms_world.keys.signing_keys()
    assert key in found
    assert {one.key_spec for one in found} == {"ECC_SECG_P256K1"}


def assert_tells_nothing(error: KmsError, key: KeyDescription) -> None:
    """Nothing of the key's ARN or account may reach whoever reads the error."""
    said = f"{error.to_dict()} {error!r}"
    assert key.key_id not in said
    assert key.key_arn.split(":")[4] not in said
    assert error.request_id
