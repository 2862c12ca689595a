"""Ed25519 through the data plane, against a key of KMS's own kind for Solana and Stellar (ministack)."""

from __future__ import annotations

import pytest

from bursar.chains import ed25519
from bursar.chains.evm import KmsSignRequest
from bursar.errors import KmsError, KmsWrongUsage, WrongKey
from bursar.kms.sigv4 import Credentials
from bursar.signer import KmsSigner
from tests.contract.conftest import KmsWorld, world


@pytest.fixture(scope="module")
def kms_world(ministack: str, ministack_user: Credentials) -> KmsWorld:
    return world(ministack, ministack_user)


@pytest.fixture(scope="module")
def key_arn(kms_world: KmsWorld) -> str:
    return new_key(kms_world)


def new_key(kms_world: KmsWorld) -> str:
    made = kms_world.admin.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")
    return made["KeyMetadata"]["Arn"]


@pytest.mark.parametrize("size", [1, 32, 1232, 4096])
def test_a_message_is_signed_as_it_is_and_proved(
    kms_world: KmsWorld, key_arn: str, size: int
) -> None:
    message = bytes(range(256)) * 16
    with kms_world.client() as kms:
        answer = kms.get_public_key(key_arn)
        key = ed25519.parse_spki_der(answer.spki_der)
        signed = kms.sign(key_arn, ed25519.kms_request(message[:size]))
    assert answer.key_spec == ed25519.KMS_KEY_SPEC
    assert ed25519.signature_from_kms(signed.der, message[:size], key) == signed.der


def test_another_keys_signature_is_not_released(kms_world: KmsWorld, key_arn: str) -> None:
    with kms_world.client() as kms:
        pinned = ed25519.parse_spki_der(kms.get_public_key(key_arn).spki_der)
        signed = kms.sign(new_key(kms_world), ed25519.kms_request(b"message"))
    with pytest.raises(WrongKey):
        ed25519.signature_from_kms(signed.der, b"message", pinned)


@pytest.mark.parametrize(
    ("message_type", "algorithm"), [("DIGEST", "ED25519_SHA_512"), ("RAW", "ECDSA_SHA_256")]
)
def test_kms_signs_with_such_a_key_in_no_other_way(
    kms_world: KmsWorld, key_arn: str, message_type: str, algorithm: str
) -> None:
    request = KmsSignRequest(bytes(32), message_type, algorithm)
    with kms_world.client() as kms, pytest.raises(KmsError):
        kms.sign(key_arn, request)


def test_an_evm_signer_does_not_open_on_it(kms_world: KmsWorld, key_arn: str) -> None:
    with kms_world.client() as kms, pytest.raises(KmsWrongUsage, match="ECC_NIST_EDWARDS25519"):
        KmsSigner.open(kms, key_arn)
