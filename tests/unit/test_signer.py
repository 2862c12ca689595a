"""The recipe, with a KMS that is a local key behind the seam."""

from __future__ import annotations

from typing import Any

import coincurve
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given
from hypothesis import strategies as st

from bursar.chains import evm
from bursar.chains.evm import KmsSignRequest, Scheme
from bursar.errors import (
    BursarError,
    DigestError,
    KmsThrottled,
    KmsWrongUsage,
    MalformedSignature,
    PublicKeyError,
    RequestError,
    SignatureError,
    SignerMismatch,
    WrongKey,
)
from bursar.kms.wire import KmsPublicKey, KmsSignature
from bursar.signer import KmsDataPlane, KmsSigner, PinnedKey, Signer

ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SPKI_PREFIX = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
HASH = bytes(range(32))


class LocalKms:
    """One key behind an alias, high and low halves in turn. Everything asked is recorded."""

    def __init__(self) -> None:
        self.key = coincurve.PrivateKey()
        self.arn = ARN
        self.spec = "ECC_SECG_P256K1"
        self.usage = "SIGN_VERIFY"
        self.spki = SPKI_PREFIX + self.key.public_key.format(compressed=False)
        self.signed: list[tuple[str, KmsSignRequest]] = []
        self.asked: list[str] = []
        self.fails: list[BursarError] = []
        self.answers: list[bytes] = []

    def get_public_key(self, key_id: str) -> KmsPublicKey:
        self.asked.append(key_id)
        return KmsPublicKey(self.arn, self.spki, self.spec, self.usage)

    def sign(self, key_arn: str, request: KmsSignRequest) -> KmsSignature:
        self.signed.append((key_arn, request))
        if self.fails:
            raise self.fails.pop()
        r, s = decode_dss_signature(self.key.sign(request.message, hasher=None))
        der = encode_dss_signature(r, evm.CURVE_ORDER - s if len(self.signed) % 2 else s)
        if self.answers:
            der = self.answers.pop()
        return KmsSignature(self.arn, der, f"request-{len(self.signed)}")

    @property
    def address(self) -> str:
        return evm.parse_spki_der(self.spki).address


@pytest.fixture
def kms() -> LocalKms:
    return LocalKms()


def test_the_fake_and_the_signer_keep_to_their_seams(kms: LocalKms) -> None:
    plane: KmsDataPlane = kms
    signer: Signer = KmsSigner.open(plane, ARN)
    assert signer.address == kms.address


@pytest.mark.parametrize(
    ("scheme", "digest"), [(Scheme.RAW, HASH), (Scheme.EIP191, evm.eip191_digest(HASH))]
)
def test_kms_is_asked_once_for_exactly_the_digest(
    kms: LocalKms, scheme: Scheme, digest: bytes
) -> None:
    signer = KmsSigner.open(kms, "alias/treasury")
    signed = signer.sign_hash(HASH, scheme)
    assert kms.signed == [(ARN, KmsSignRequest(digest, "DIGEST", "ECDSA_SHA_256"))]
    assert (signed.digest, signed.address) == (digest, kms.address)
    assert signed.request_id == "request-1"
    raw = signed.signature.to_bytes()
    assert evm.parse_signature(raw, digest, kms.address) == signed.signature


@given(st.binary(min_size=32, max_size=32).filter(any), st.sampled_from(Scheme))
def test_every_signature_is_low_and_recovers_to_the_signer(hash_: bytes, scheme: Scheme) -> None:
    kms = LocalKms()
    signer = KmsSigner.open(kms, ARN)
    first, second = signer.sign_hash(hash_, scheme), signer.sign_hash(hash_, scheme)
    assert first.signature == second.signature  # one answer was high, the other low
    assert first.signature.s <= evm.HALF_ORDER
    assert evm.parse_signature(first.signature.to_bytes(), first.digest, signer.address)


def test_the_key_is_resolved_once_and_pinned_by_its_arn(kms: LocalKms) -> None:
    signer = KmsSigner.open(kms, "alias/treasury")
    for _ in range(5):
        signer.sign_hash(HASH, Scheme.RAW)
    assert kms.asked == ["alias/treasury"]
    assert {key_arn for key_arn, _ in kms.signed} == {ARN}
    assert signer.key == PinnedKey(ARN, evm.parse_spki_der(kms.spki))


def test_a_signature_by_another_key_is_refused_and_both_addresses_are_named(kms: LocalKms) -> None:
    signer = KmsSigner.open(kms, "alias/treasury")
    other = LocalKms()
    kms.key = other.key
    with pytest.raises(WrongKey) as caught:
        signer.sign_hash(HASH, Scheme.RAW)
    assert signer.address in caught.value.message
    assert other.address in caught.value.message
    assert len(kms.signed) == 1


def test_an_answer_that_names_another_key_is_refused(kms: LocalKms) -> None:
    signer = KmsSigner.open(kms, "alias/treasury")
    kms.arn = ARN.replace("1234abcd", "ffffffff")
    with pytest.raises(SignatureError):
        signer.sign_hash(HASH, Scheme.RAW)


@pytest.mark.parametrize("der", [b"", b"\x30", bytes(64), b"\x30\x06\x02\x01\x00\x02\x01\x01"])
def test_a_malformed_answer_releases_nothing(kms: LocalKms, der: bytes) -> None:
    signer = KmsSigner.open(kms, ARN)
    kms.answers = [der]
    with pytest.raises(MalformedSignature):
        signer.sign_hash(HASH, Scheme.RAW)


def test_a_replayed_signature_over_another_digest_is_refused(kms: LocalKms) -> None:
    signer = KmsSigner.open(kms, ARN)
    kms.answers = [kms.key.sign(bytes(32), hasher=None)]
    with pytest.raises(WrongKey):
        signer.sign_hash(HASH, Scheme.RAW)


@pytest.mark.parametrize(
    "hash_", [b"", bytes(31), bytes(33), "0x" + "00" * 32, "A" * 43 + "=", None, 7], ids=repr
)
@pytest.mark.parametrize("scheme", Scheme)
def test_what_is_not_a_32_byte_hash_never_reaches_kms(
    kms: LocalKms, hash_: Any, scheme: Scheme
) -> None:
    signer = KmsSigner.open(kms, ARN)
    with pytest.raises(DigestError):
        signer.sign_hash(hash_, scheme)
    assert kms.signed == []


def test_a_hash_of_zero_never_reaches_kms_as_it_is(kms: LocalKms) -> None:
    signer = KmsSigner.open(kms, ARN)
    with pytest.raises(DigestError, match="zero"):
        signer.sign_hash(bytes(32), Scheme.RAW)
    assert kms.signed == []
    assert signer.sign_hash(bytes(32), Scheme.EIP191)


def test_an_unknown_scheme_never_reaches_kms(kms: LocalKms) -> None:
    unknown: Any = "raw"
    with pytest.raises(RequestError):
        KmsSigner.open(kms, ARN).sign_hash(HASH, unknown)
    assert kms.signed == []


def test_kms_s_error_passes_through_and_the_signer_does_not_retry(kms: LocalKms) -> None:
    signer = KmsSigner.open(kms, ARN)
    kms.fails = [KmsThrottled("slow down", request_id="r")]
    with pytest.raises(KmsThrottled):
        signer.sign_hash(HASH, Scheme.RAW)
    assert len(kms.signed) == 1
    assert signer.sign_hash(HASH, Scheme.RAW)


@pytest.mark.parametrize(
    ("spec", "usage"),
    [
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
        ("RSA_2048", "SIGN_VERIFY"),
        ("ECC_SECG_P256K1", "KEY_AGREEMENT"),
    ],
)
def test_a_key_of_another_kind_is_not_pinned(kms: LocalKms, spec: str, usage: str) -> None:
    kms.spec, kms.usage = spec, usage
    with pytest.raises(KmsWrongUsage, match=spec):
        KmsSigner.open(kms, ARN)


def test_a_public_key_that_cannot_be_read_is_not_pinned(kms: LocalKms) -> None:
    kms.spki = kms.spki[:-1]
    with pytest.raises(PublicKeyError):
        KmsSigner.open(kms, ARN)


def test_the_expected_address_may_be_in_any_letter_case(kms: LocalKms) -> None:
    for address in (kms.address, kms.address.lower()):
        assert KmsSigner.open(kms, ARN, expected_address=address).address == kms.address


def test_a_key_of_another_address_than_expected_is_refused(kms: LocalKms) -> None:
    other = LocalKms().address
    with pytest.raises(SignerMismatch) as caught:
        KmsSigner.open(kms, "alias/treasury", expected_address=other)
    assert kms.address in caught.value.message
    assert other in caught.value.message
