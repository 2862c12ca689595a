"""Ed25519 signatures, for Solana and Stellar, from a key that only KMS can use. Pure.

The straight line: a message becomes what KMS must be asked (`kms_request`), and KMS's answer becomes 64 bytes
(`signature_from_kms`), proved under the pinned public key before they leave. KMS is given the message itself:
Ed25519 hashes it inside (RFC 8032, 5.1.6). Its other algorithm, ED25519_PH_SHA_512 over a digest, is Ed25519ph,
whose signatures no chain here accepts.

Proving needs `cryptography`, which the extra `ed25519` installs.
Sources: RFC 8032 (Ed25519), RFC 8410 (SubjectPublicKeyInfo), the KMS API reference (Sign: MessageType RAW).
"""

from __future__ import annotations

from dataclasses import dataclass

from bursar.chains.evm import KmsSignRequest
from bursar.errors import (
    ConfigError,
    MalformedSignature,
    PublicKeyError,
    RequestError,
    RequestTooLarge,
    WrongKey,
)

# The order of the group, L in RFC 8032, and the field's prime.
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD_PRIME = 2**255 - 19

KMS_KEY_SPEC = "ECC_NIST_EDWARDS25519"
KMS_SIGNING_ALGORITHM = "ED25519_SHA_512"
KMS_MESSAGE_TYPE = "RAW"
# KMS API reference, Sign, Message: at most 4096 bytes, at least one.
MAX_MESSAGE_BYTES = 4096

# SEQUENCE { SEQUENCE { OID id-Ed25519 }, BIT STRING (32 bytes, no unused bits) }
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
_D = -121665 * pow(121666, -1, FIELD_PRIME) % FIELD_PRIME
# y of the eight points whose order divides 8. Under such a key anybody's signature verifies.
_ORDER_8_Y = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL_ORDER_Y = frozenset({0, 1, FIELD_PRIME - 1, _ORDER_8_Y, FIELD_PRIME - _ORDER_8_Y})


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point on edwards25519 as RFC 8032 writes it: 32 bytes."""

    raw: bytes


def parse_spki_der(der: bytes) -> PublicKey:
    """Return the public key in a DER SubjectPublicKeyInfo, as `kms:GetPublicKey` gives it: 44 bytes.

    Raises:
        PublicKeyError: anything but id-Ed25519 with a point of the curve; the message names what is wrong.
    """
    if not isinstance(der, bytes):
        raise PublicKeyError("a DER public key is bytes")
    if der[: len(_SPKI_PREFIX)] != _SPKI_PREFIX:
        raise PublicKeyError(
            f"not an Ed25519 public key; Solana and Stellar signers need one ({KMS_KEY_SPEC})"
        )
    if len(der) != len(_SPKI_PREFIX) + 32:
        raise PublicKeyError(f"an Ed25519 public key is 44 bytes of DER, not {len(der)}")
    return public_key_from_raw(der[len(_SPKI_PREFIX) :])


def public_key_from_raw(raw: bytes) -> PublicKey:
    """Return the key with this encoding, 32 bytes (RFC 8032, 5.1.2 and 5.1.3).

    Raises:
        PublicKeyError: another length, no point of the curve, or one that proves nothing.
    """
    if not isinstance(raw, bytes) or len(raw) != 32:
        raise PublicKeyError("an Ed25519 public key is 32 bytes")
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if y in _SMALL_ORDER_Y:
        raise PublicKeyError("the point is of small order: anybody could sign for it")
    if y >= FIELD_PRIME or not _is_on_curve(y):
        raise PublicKeyError("the point is not on edwards25519")
    return PublicKey(raw)


def kms_request(message: bytes) -> KmsSignRequest:
    """Return what KMS must be asked, so that it signs this message, 1 to 4096 bytes, as plain Ed25519.

    It does not hash the message, and there is no way round the limit: another hash is another signature.

    Raises:
        RequestTooLarge: over 4096 bytes.
        RequestError: empty, or not bytes.
    """
    if not isinstance(message, bytes) or not message:
        raise RequestError("Ed25519 signs a message of at least one byte")
    if len(message) > MAX_MESSAGE_BYTES:
        raise RequestTooLarge(
            f"the message is {len(message)} bytes, and KMS signs {MAX_MESSAGE_BYTES} at most"
        )
    return KmsSignRequest(message, KMS_MESSAGE_TYPE, KMS_SIGNING_ALGORITHM)


def signature_from_kms(signature: bytes, message: bytes, public_key: PublicKey) -> bytes:
    """Return KMS's 64 bytes, R then S, once they are proved to be over this message by the pinned key.

    Raises:
        MalformedSignature: not 64 bytes, or S is not below the group's order (RFC 8032, 5.1.7): such a signature
            is a second form of another, and chains refuse it.
        WrongKey: it does not verify.
        ConfigError: `cryptography` is not installed.
    """
    if not isinstance(signature, bytes) or len(signature) != 64:
        raise MalformedSignature("an Ed25519 signature is 64 bytes, R then S")
    if int.from_bytes(signature[32:], "little") >= GROUP_ORDER:
        raise MalformedSignature("S is not below the group's order (RFC 8032, 5.1.7)")
    if not _verifies(signature, message, public_key):
        raise WrongKey(
            f"the signature is not by the key {public_key.raw.hex()} over this message",
            hint="the key or alias behind the signer has changed; check which key it is pinned to",
        )
    return signature


def _is_on_curve(y: int) -> bool:
    """Tell whether there is an x to this y: -x² + y² = 1 + d x² y²."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, FIELD_PRIME) % FIELD_PRIME
    return pow(square, (FIELD_PRIME - 1) // 2, FIELD_PRIME) == 1


def _verifies(signature: bytes, message: bytes, public_key: PublicKey) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise ConfigError(
            "Ed25519 needs the package cryptography", hint="pip install 'bursar[ed25519]'"
        ) from None
    # A key that was not parsed here may be one that proves nothing.
    point = public_key_from_raw(public_key.raw).raw
    try:
        Ed25519PublicKey.from_public_bytes(point).verify(signature, message)
    except InvalidSignature:
        return False
    return True
