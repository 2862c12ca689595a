"""From KMS's DER to 65 bytes: strict reading, low s, proved recovery id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import coincurve
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from eth_keys.datatypes import PublicKey as EthPublicKey
from eth_keys.datatypes import Signature as EthSignature
from hypothesis import assume, given
from hypothesis import strategies as st

from bursar.chains import evm
from bursar.errors import (
    AddressError,
    BursarError,
    DigestError,
    MalformedSignature,
    SignatureError,
    WrongKey,
)

N, HALF = evm.CURVE_ORDER, evm.HALF_ORDER
VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "signatures.json").read_text(encoding="utf-8")
)
KEYS = st.integers(1, N - 1).map(lambda d: coincurve.PrivateKey(d.to_bytes(32, "big")))
DIGESTS = st.binary(min_size=32, max_size=32).filter(lambda d: int.from_bytes(d, "big") % N)


def public(key: coincurve.PrivateKey) -> evm.PublicKey:
    return evm.public_key_from_point(key.public_key.format(compressed=False)[1:])


def openssl_accepts(point: bytes, r: int, s: int, digest: bytes) -> bool:
    """Ask pyca/cryptography: it shares no code with coincurve."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), b"\x04" + point)
    try:
        key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    except InvalidSignature:
        return False
    return True


@given(KEYS, DIGESTS, st.booleans())
def test_either_half_from_kms_becomes_the_one_signature_that_recovers(
    key: coincurve.PrivateKey,
    digest: bytes,
    high: bool,  # noqa: FBT001  hypothesis gives it
) -> None:
    r, s = decode_dss_signature(key.sign(digest, hasher=None))
    der = encode_dss_signature(r, N - s if high else s)
    signature = evm.signature_from_kms(der, digest, public(key))
    assert (signature.r, signature.s) == (r, s)
    assert signature.to_bytes() == key.sign_recoverable(digest, hasher=None)[:64] + bytes(
        [signature.v]
    )
    recovered = EthSignature(vrs=(signature.recovery_id, r, s)).recover_public_key_from_msg_hash(
        digest
    )
    assert recovered == EthPublicKey(public(key).point)
    assert recovered.to_checksum_address() == public(key).address
    assert openssl_accepts(public(key).point, r, s, digest)


@given(st.integers(1, N - 1))
def test_making_s_low_is_idempotent_and_exact(s: int) -> None:
    low = evm.normalise_low_s(s)
    assert low in (s, N - s)
    assert 1 <= low <= HALF
    assert evm.normalise_low_s(low) == low


@pytest.mark.parametrize(
    ("s", "low"),
    [(1, 1), (HALF, HALF), (HALF + 1, HALF), (N - 1, 1), (HALF + 2, HALF - 1)],
    ids=["1", "n//2", "n//2+1", "n-1", "n//2+2"],
)
def test_the_half_order_is_compared_as_an_integer(s: int, low: int) -> None:
    assert evm.normalise_low_s(s) == low


def parts(vector: dict[str, Any]) -> tuple[int, int, bytes, evm.PublicKey]:
    key = evm.public_key_from_point(bytes.fromhex(vector["public_key"]))
    return int(vector["r"], 16), int(vector["s"], 16), bytes.fromhex(vector["digest"]), key


@pytest.mark.parametrize("vector", VECTORS["carried"], ids=lambda vector: vector["note"])
def test_rare_signatures_are_carried_in_full_width(vector: dict[str, Any]) -> None:
    r, s, digest, key = parts(vector)
    assert openssl_accepts(key.point, r, s, digest)
    signature = evm.signature_from_kms(encode_dss_signature(r, s), digest, key)
    raw = signature.to_bytes()
    assert len(raw) == 65
    assert len(signature.compact) == 64
    assert len(signature.to_hex()) == 132
    assert int.from_bytes(raw[:32], "big") == r
    assert int.from_bytes(raw[32:64], "big") == min(s, N - s)
    assert raw[64] in (27, 28)
    assert evm.parse_signature(raw, digest, key.address) == signature
    again = evm.signature_from_kms(encode_dss_signature(r, signature.s), digest, key)
    assert again == signature


@pytest.mark.parametrize("vector", VECTORS["not carried"], ids=lambda vector: vector["note"])
def test_a_signature_that_needs_recovery_id_2_or_3_is_refused(vector: dict[str, Any]) -> None:
    r, s, digest, key = parts(vector)
    assert openssl_accepts(key.point, r, s, digest)
    with pytest.raises(SignatureError, match="recovery id 2 or 3") as caught:
        evm.signature_from_kms(encode_dss_signature(r, s), digest, key)
    assert "sign again" in str(caught.value.hint)


@given(KEYS, KEYS, DIGESTS)
def test_another_key_s_signature_is_refused_and_both_addresses_are_named(
    pinned: coincurve.PrivateKey, other: coincurve.PrivateKey, digest: bytes
) -> None:
    assume(pinned.secret != other.secret)
    with pytest.raises(WrongKey) as caught:
        evm.signature_from_kms(other.sign(digest, hasher=None), digest, public(pinned))
    assert public(pinned).address in caught.value.message
    assert public(other).address in caught.value.message


ZERO_DIGESTS = {"zeros": bytes(32), "the curve order": N.to_bytes(32, "big")}


def forged_over_zero(key: evm.PublicKey) -> tuple[int, int]:
    """Make r and s that verify over zero under a key, from its public half alone: R = 5Q, s = r / 5."""
    point = coincurve.PublicKey(key.uncompressed).multiply((5).to_bytes(32, "big"))
    r = int.from_bytes(point.format(compressed=False)[1:33], "big") % N
    return r, evm.normalise_low_s(r * pow(5, -1, N) % N)


@pytest.mark.parametrize("digest", ZERO_DIGESTS.values(), ids=ZERO_DIGESTS)
def test_a_digest_of_zero_is_never_signed_and_no_signature_over_it_is_believed(
    digest: bytes,
) -> None:
    key = public(KEY)
    r, s = forged_over_zero(key)
    assert KEY.public_key.verify(encode_dss_signature(r, s), digest, hasher=None)
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    for call in (
        lambda: evm.kms_request(digest),
        lambda: evm.signature_from_kms(encode_dss_signature(r, s), digest, key),
        lambda: evm.parse_signature(raw + b"\x1b", digest, key.address),
        lambda: evm.parse_signature(raw + b"\x1c", digest, key.address),
    ):
        with pytest.raises(DigestError, match="zero"):
            call()


def test_a_hash_of_zero_is_signed_under_eip191_which_hashes_it() -> None:
    assert evm.kms_request(evm.digest_of(bytes(32), evm.Scheme.EIP191))


@given(KEYS, DIGESTS, DIGESTS)
def test_a_signature_over_another_digest_is_refused(
    key: coincurve.PrivateKey, asked: bytes, signed: bytes
) -> None:
    assume((int.from_bytes(asked, "big") - int.from_bytes(signed, "big")) % N)
    with pytest.raises(WrongKey):
        evm.signature_from_kms(key.sign(signed, hasher=None), asked, public(key))


def integer(body: bytes) -> bytes:
    return bytes([2, len(body)]) + body


def sequence(*items: bytes) -> bytes:
    inside = b"".join(items)
    return bytes([0x30, len(inside)]) + inside


ONE = integer(b"\x01")
ORDER = integer(b"\x00" + N.to_bytes(32, "big"))
GOOD = sequence(integer(b"\x00" + b"\x80" * 32), integer(b"\x11" * 32))
MALFORMED = {
    "empty": b"",
    "a sequence of nothing": b"\x30\x00",
    "one integer": sequence(ONE),
    "three integers": sequence(ONE, ONE, ONE),
    "not a sequence": b"\x31" + GOOD[1:],
    "long-form length": b"\x30\x81" + GOOD[1:],
    "indefinite length": b"\x30\x80" + GOOD[2:] + b"\x00\x00",
    "trailing byte": GOOD + b"\x00",
    "trailing byte inside": bytes([0x30, GOOD[1] + 1]) + GOOD[2:] + b"\x00",
    "too short a length": bytes([0x30, GOOD[1] - 1]) + GOOD[2:],
    "too long a length": bytes([0x30, GOOD[1] + 1]) + GOOD[2:],
    "r is a bit string": sequence(b"\x03\x01\x01", ONE),
    "s is an octet string": sequence(ONE, b"\x04\x01\x01"),
    "r is zero": sequence(integer(b"\x00"), ONE),
    "s is zero": sequence(ONE, integer(b"\x00")),
    "r is empty": sequence(b"\x02\x00", ONE, b"\x00\x00"),
    "s is empty": sequence(ONE, b"\x02\x00", b"\x00\x00"),
    "r is negative": sequence(integer(b"\x80" * 32), ONE),
    "s is negative": sequence(ONE, integer(b"\xff")),
    "r has a needless zero": sequence(integer(b"\x00\x7f"), ONE),
    "s has a needless zero": sequence(ONE, integer(b"\x00\x01")),
    "r is the order": sequence(ORDER, ONE),
    "s is the order": sequence(ONE, ORDER),
    "r is above the order": sequence(integer(b"\x00" + b"\xff" * 32), ONE),
    "r is 33 bytes": sequence(integer(b"\x01" + b"\x00" * 32), ONE),
    "r is 34 bytes": sequence(integer(b"\x00\x80" + b"\x00" * 32), ONE),
    "r's long-form length": sequence(b"\x02\x81\x01\x01", ONE),
    "r runs over the end": sequence(b"\x02\x21\x01", ONE),
    "s runs over the end": sequence(ONE, b"\x02\x20\x01\x01"),
    "far too long": sequence(integer(b"\x11" * 60), integer(b"\x11" * 60)),
    "raw r and s": b"\x11" * 64,
    "BER constructed integer": sequence(b"\x22\x03\x02\x01\x01", ONE),
}


@pytest.mark.parametrize("der", MALFORMED.values(), ids=MALFORMED)
def test_der_that_is_not_strict_is_refused(der: bytes) -> None:
    with pytest.raises(MalformedSignature):
        evm.parse_der_signature(der)


@pytest.mark.parametrize("der", [None, "30", 5, bytearray(GOOD), memoryview(GOOD)])
def test_der_is_bytes(der: Any) -> None:
    with pytest.raises(MalformedSignature):
        evm.parse_der_signature(der)


@given(st.integers(1, N - 1), st.integers(1, N - 1))
def test_strict_der_reads_what_an_independent_encoder_writes(r: int, s: int) -> None:
    assert evm.parse_der_signature(encode_dss_signature(r, s)) == (r, s)


@given(st.binary(max_size=80))
def test_arbitrary_der_raises_only_our_error_and_never_reads_two_ways(der: bytes) -> None:
    try:
        r, s = evm.parse_der_signature(der)
    except MalformedSignature:
        return
    assert encode_dss_signature(r, s) == der


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_one_wrong_byte_never_reads_two_ways(at: int, value: int) -> None:
    der = GOOD[:at] + bytes([value]) + GOOD[at + 1 :]
    try:
        r, s = evm.parse_der_signature(der)
    except MalformedSignature:
        return
    assert encode_dss_signature(r, s) == der


@pytest.mark.parametrize("end", range(len(GOOD)))
def test_cut_der_is_refused(end: int) -> None:
    with pytest.raises(MalformedSignature):
        evm.parse_der_signature(GOOD[:end])


KEY = coincurve.PrivateKey()
DIGEST = bytes(range(32))
RAW = evm.signature_from_kms(KEY.sign(DIGEST, hasher=None), DIGEST, public(KEY)).to_bytes()


def test_a_signature_made_elsewhere_is_read_once_it_is_proved() -> None:
    signature = evm.parse_signature(RAW, DIGEST, public(KEY).address.lower())
    assert signature.to_bytes() == RAW


OTHER_PARITY = bytes([RAW[64] ^ 7])
BAD_RAW: dict[str, Any] = {
    "64 bytes": RAW[:64],
    "66 bytes": RAW + b"\x00",
    "v of 0": RAW[:64] + b"\x00",
    "v of 1": RAW[:64] + b"\x01",
    "v of 29": RAW[:64] + b"\x1d",
    "v of 37": RAW[:64] + b"\x25",
    "high s": RAW[:32] + (N - int.from_bytes(RAW[32:64], "big")).to_bytes(32, "big") + OTHER_PARITY,
    "zero r": bytes(32) + RAW[32:],
    "zero s": RAW[:32] + bytes(32) + RAW[64:],
    "r of n": N.to_bytes(32, "big") + RAW[32:],
    "text": "0x" + RAW.hex(),
    "65 characters": "a" * 65,
    "nothing": None,
    "a list": list(RAW),
}


@pytest.mark.parametrize("raw", BAD_RAW.values(), ids=BAD_RAW)
def test_a_signature_made_elsewhere_is_refused_when_malformed(raw: Any) -> None:
    with pytest.raises(MalformedSignature):
        evm.parse_signature(raw, DIGEST, public(KEY).address)


def test_a_signature_made_elsewhere_with_the_other_parity_is_another_key_s() -> None:
    with pytest.raises(WrongKey, match=public(KEY).address):
        evm.parse_signature(RAW[:64] + OTHER_PARITY, DIGEST, public(KEY).address)


@given(st.binary(min_size=60, max_size=70), st.binary(max_size=40), st.text(max_size=50))
def test_hostile_signatures_digests_and_addresses_raise_only_our_errors(
    raw: bytes, digest: bytes, address: str
) -> None:
    for arguments in ((raw, DIGEST, public(KEY).address), (RAW, digest, address)):
        with pytest.raises(BursarError):
            evm.parse_signature(*arguments)


@pytest.mark.parametrize(
    "digest", [b"", b"\x00" * 31, b"\x00" * 33, "00" * 32, "0x" + "00" * 32, None, 0, [0] * 32]
)
def test_what_is_not_32_bytes_is_refused_everywhere(digest: Any) -> None:
    der = encode_dss_signature(1, 1)
    for call in (
        lambda: evm.kms_request(digest),
        lambda: evm.require_32_bytes(digest),
        lambda: evm.digest_of(digest, evm.Scheme.RAW),
        lambda: evm.digest_of(digest, evm.Scheme.EIP191),
        lambda: evm.eip712_digest(digest, DIGEST),
        lambda: evm.eip712_digest(DIGEST, digest),
        lambda: evm.signature_from_kms(der, digest, public(KEY)),
        lambda: evm.parse_signature(RAW, digest, public(KEY).address),
    ):
        with pytest.raises(DigestError):
            call()


def test_a_wrong_address_is_an_address_error_and_not_a_wrong_key() -> None:
    with pytest.raises(AddressError):
        evm.parse_signature(RAW, DIGEST, "0x12")
