from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from bursar.aws.plan import KEY_KINDS
from bursar.chains import ed25519, evm
from bursar.chains.ed25519 import GROUP_ORDER, MAX_MESSAGE_BYTES, PublicKey
from bursar.chains.evm import KmsSignRequest
from bursar.errors import (
    BursarError,
    MalformedSignature,
    PublicKeyError,
    RequestError,
    RequestTooLarge,
    WrongKey,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "ed25519.json").read_text()
)
RFC = VECTORS["rfc8032"]["vectors"]
PREFIX = bytes.fromhex("302a300506032b6570032100")
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = ed25519.public_key_from_raw(PRIVATE.public_key().public_bytes_raw())
MESSAGE = b"a transaction, as it is"
SIGNATURE = PRIVATE.sign(MESSAGE)


def shifted(signature: bytes, times: int) -> bytes:
    """The same signature with S + times · L, which is the same point of the curve."""
    s = int.from_bytes(signature[32:], "little") + times * GROUP_ORDER
    return signature[:32] + s.to_bytes(32, "little")


@pytest.mark.parametrize("vector", RFC, ids=lambda vector: vector["message"][:8])
def test_the_rfcs_signatures_are_proved_under_the_rfcs_keys(vector: dict[str, str]) -> None:
    message, signature = bytes.fromhex(vector["message"]), bytes.fromhex(vector["signature"])
    key = ed25519.parse_spki_der(PREFIX + bytes.fromhex(vector["public_key"]))
    assert ed25519.signature_from_kms(signature, message, key) == signature
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["secret_key"]))
    assert private.sign(message) == signature


def test_kms_is_asked_for_the_message_itself_and_never_for_a_digest() -> None:
    assert ed25519.kms_request(MESSAGE) == KmsSignRequest(MESSAGE, "RAW", "ED25519_SHA_512")
    # 32 bytes are a message too: a Stellar transaction's hash.
    assert ed25519.kms_request(bytes(32)).message_type == "RAW"


def test_the_policy_of_an_ed25519_key_allows_what_is_asked_and_nothing_else() -> None:
    asked = ed25519.kms_request(MESSAGE)
    for chain in ("solana", "stellar"):
        kind = KEY_KINDS[chain]
        assert (kind.spec, kind.algorithm, kind.message_type) == (
            ed25519.KMS_KEY_SPEC,
            asked.signing_algorithm,
            asked.message_type,
        )


def test_kmss_limit_of_4096_bytes_is_kept() -> None:
    assert ed25519.kms_request(bytes(MAX_MESSAGE_BYTES)).message == bytes(4096)
    with pytest.raises(RequestTooLarge, match="4097 bytes"):
        ed25519.kms_request(bytes(4097))


@pytest.mark.parametrize("message", [b"", "text", None, bytearray(b"x")])
def test_what_is_no_message_never_reaches_kms(message: Any) -> None:
    with pytest.raises(RequestError):
        ed25519.kms_request(message)


@pytest.mark.parametrize("times", [1, 2, 14])
def test_a_second_form_of_a_signature_is_refused(times: int) -> None:
    with pytest.raises(MalformedSignature, match="S is not below"):
        ed25519.signature_from_kms(shifted(SIGNATURE, times), MESSAGE, KEY)


@pytest.mark.parametrize("s", [GROUP_ORDER, GROUP_ORDER + 1, 2**253, 2**256 - 1])
def test_an_s_that_is_not_below_the_order_is_refused(s: int) -> None:
    with pytest.raises(MalformedSignature, match="S is not below"):
        ed25519.signature_from_kms(SIGNATURE[:32] + s.to_bytes(32, "little"), MESSAGE, KEY)


def test_the_largest_s_is_well_formed_and_still_has_to_verify() -> None:
    signature = SIGNATURE[:32] + (GROUP_ORDER - 1).to_bytes(32, "little")
    with pytest.raises(WrongKey):
        ed25519.signature_from_kms(signature, MESSAGE, KEY)


@pytest.mark.parametrize("signature", [b"", SIGNATURE[:63], SIGNATURE + b"\0", SIGNATURE.hex()])
def test_a_signature_is_64_bytes(signature: Any) -> None:
    with pytest.raises(MalformedSignature, match="64 bytes"):
        ed25519.signature_from_kms(signature, MESSAGE, KEY)


def test_an_ecdsa_answer_is_no_ed25519_signature() -> None:
    der = bytes.fromhex("3045022100" + "80" + "11" * 31 + "0220" + "22" * 32)
    with pytest.raises(MalformedSignature):
        ed25519.signature_from_kms(der, MESSAGE, KEY)


def test_a_signature_by_another_key_or_over_another_message_is_not_released() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).sign(MESSAGE)
    for signature, message in ((other, MESSAGE), (SIGNATURE, MESSAGE + b".")):
        with pytest.raises(WrongKey, match=KEY.raw.hex()):
            ed25519.signature_from_kms(signature, message, KEY)


@given(st.integers(0, 63), st.integers(1, 255))
def test_one_wrong_byte_is_never_released(position: int, flip: int) -> None:
    damaged = bytearray(SIGNATURE)
    damaged[position] ^= flip
    with pytest.raises(BursarError):
        ed25519.signature_from_kms(bytes(damaged), MESSAGE, KEY)


def test_kmss_public_key_is_read_as_cryptography_writes_it() -> None:
    der = PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert ed25519.parse_spki_der(der) == KEY


@pytest.mark.parametrize("point", VECTORS["small_order"]["points"])
def test_a_key_that_proves_nothing_is_refused_wherever_it_comes_from(point: str) -> None:
    raw = bytes.fromhex(point)
    with pytest.raises(PublicKeyError, match="small order"):
        ed25519.parse_spki_der(PREFIX + raw)
    # Under the point of order 1 this "signature" verifies for any message.
    universal = (1).to_bytes(32, "little") + bytes(32)
    with pytest.raises(PublicKeyError, match="small order"):
        ed25519.signature_from_kms(universal, MESSAGE, PublicKey(raw))


@pytest.mark.parametrize(
    "y", [2, 2**255 - 19, 2**255 - 18, 2**255 - 1], ids=["no x", "p", "p + 1", "all ones"]
)
def test_what_is_no_point_of_the_curve_is_refused(y: int) -> None:
    for sign in (0, 2**255):
        with pytest.raises(PublicKeyError, match="not on edwards25519"):
            ed25519.public_key_from_raw((y + sign).to_bytes(32, "little"))


@given(st.binary(min_size=32, max_size=32))
def test_every_key_of_cryptographys_is_taken(seed: bytes) -> None:
    raw = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert ed25519.public_key_from_raw(raw).raw == raw


SECP256K1 = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200") + b"\x04" + bytes(64)


@pytest.mark.parametrize(
    "der",
    [
        b"",
        "text",
        PREFIX,
        KEY.raw,
        PREFIX + KEY.raw[:31],
        PREFIX + KEY.raw + b"\0",
        b"\x30\x81\x2a" + PREFIX[2:] + KEY.raw,
        PREFIX[:8] + b"\x71" + PREFIX[9:] + KEY.raw,
        SECP256K1,
    ],
    ids=[
        "empty", "text", "no point", "no frame", "cut", "trailing", "long form", "Ed448's OID", "EVM",
    ],
)  # fmt: skip
def test_any_other_public_key_is_refused(der: Any) -> None:
    with pytest.raises(PublicKeyError):
        ed25519.parse_spki_der(der)


def test_an_ed25519_key_is_none_for_an_evm_signer() -> None:
    with pytest.raises(PublicKeyError, match="Ed25519"):
        evm.parse_spki_der(PREFIX + KEY.raw)


def test_cryptography_is_loaded_only_to_prove_a_signature_and_its_absence_says_what_to_install() -> (
    None
):
    program = """
import sys
sys.modules["cryptography"] = None
from bursar.chains import ed25519
from bursar.errors import ConfigError
ed25519.kms_request(b"x")
try:
    ed25519.signature_from_kms(bytes(64), b"x", ed25519.PublicKey(bytes(32)))
except ConfigError as error:
    print(error.hint)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "pip install 'bursar[ed25519]'\n"
