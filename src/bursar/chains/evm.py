"""EVM signatures from a secp256k1 key that only KMS can use. Pure.

The straight line: a hash and a `Scheme` become a 32-byte digest (`digest_of`), the digest becomes what KMS
must be asked to sign (`kms_request`), and KMS's DER answer becomes 65 bytes that the chain accepts
(`signature_from_kms`), proved under the pinned public key before they leave.

Sources: SEC 1 (SubjectPublicKeyInfo, ECDSA), RFC 5480, X.690 (DER), EIP-2 (low s), EIP-55 (address checksum),
EIP-191 (signed data), the KMS API reference (Sign: MessageType DIGEST).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import coincurve
from Crypto.Hash import keccak as _keccak

from bursar.errors import (
    AddressError,
    DigestError,
    MalformedSignature,
    PublicKeyError,
    RequestError,
    SignatureError,
    WrongKey,
)

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HALF_ORDER = CURVE_ORDER // 2
FIELD_PRIME = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F

KMS_KEY_SPEC = "ECC_SECG_P256K1"
KMS_SIGNING_ALGORITHM = "ECDSA_SHA_256"
KMS_MESSAGE_TYPE = "DIGEST"

# SEQUENCE { SEQUENCE { OID id-ecPublicKey, OID secp256k1 }, BIT STRING (65 bytes, no unused bits) }
_SPKI_PREFIX = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
_EC_PUBLIC_KEY_OID = bytes.fromhex("06072a8648ce3d0201")
_SECP256K1_OID = bytes.fromhex("06052b8104000a")
_ED25519_OID = bytes.fromhex("06032b6570")
_PEM = re.compile(
    r"\A\s*-----BEGIN PUBLIC KEY-----\s([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*\Z",
    re.ASCII,
)
_ADDRESS = re.compile(r"\A0x[0-9a-fA-F]{40}\Z", re.ASCII)
_HEX_32 = re.compile(r"\A(?:0x|0X)?([0-9a-fA-F]{64})\Z", re.ASCII)
_BASE64_32 = re.compile(r"\A[A-Za-z0-9+/]{43}=\Z", re.ASCII)


class Scheme(StrEnum):
    """How a 32-byte hash becomes the digest that is signed.

    EIP191 prefixes the 32 raw bytes as `personal_sign` does; it is what Crossmint's own clients send.
    RAW signs the hash as it is. The two never give the same signature, so every caller names one.
    """

    EIP191 = "eip191"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point on secp256k1: 64 bytes, x then y, big-endian."""

    point: bytes

    @property
    def address(self) -> str:
        """The account's address, checksummed (EIP-55)."""
        return _address_of(self.point)

    @property
    def uncompressed(self) -> bytes:
        """The 65-byte SEC 1 form: 0x04, x, y."""
        return b"\x04" + self.point


@dataclass(frozen=True, slots=True)
class KmsSignRequest:
    """What KMS must be asked to sign. `message` is the 32-byte digest itself, never hashed again."""

    message: bytes
    message_type: str = KMS_MESSAGE_TYPE
    signing_algorithm: str = KMS_SIGNING_ALGORITHM


@dataclass(frozen=True, slots=True)
class Signature:
    """A low-S secp256k1 signature with its proved recovery id (0 or 1)."""

    r: int
    s: int
    recovery_id: int

    @property
    def v(self) -> int:
        """27 or 28, as messages and legacy transactions carry it."""
        return 27 + self.recovery_id

    @property
    def compact(self) -> bytes:
        """r and s, 64 bytes."""
        return self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big")

    def to_bytes(self) -> bytes:
        """Return r, s and v (27 or 28): 65 bytes."""
        return self.compact + bytes([self.v])

    def to_hex(self) -> str:
        """Return the 65 bytes as 0x-prefixed hex: 132 characters."""
        return "0x" + self.to_bytes().hex()


def keccak256(data: bytes) -> bytes:
    """Return Ethereum's Keccak-256 of the bytes (not NIST SHA3-256): 32 bytes."""
    return _keccak.new(digest_bits=256, data=data).digest()


def checksum_address(address: bytes) -> str:
    """Return 20 bytes as a 0x-prefixed, mixed-case checksummed address (EIP-55)."""
    if len(address) != 20:
        raise AddressError(f"an address is 20 bytes, not {len(address)}")
    plain = address.hex()
    mask = keccak256(plain.encode()).hex()
    return "0x" + "".join(c.upper() if m >= "8" else c for c, m in zip(plain, mask, strict=False))


def parse_address(text: str) -> str:
    """Return the checksummed form of an address given in any consistent letter case.

    All lower case and all upper case are accepted as unchecked; mixed case must be the right checksum (EIP-55).

    Raises:
        AddressError: not 0x and 40 hex digits, or the checksum is wrong.
    """
    if not isinstance(text, str) or not _ADDRESS.match(text):
        raise AddressError(
            f"{str(text)[:60]!r} is not an EVM address", hint="it is 0x and 40 hex digits"
        )
    checksummed = checksum_address(bytes.fromhex(text[2:]))
    digits = text[2:]
    if text != checksummed and digits not in (digits.lower(), digits.upper()):
        raise AddressError(
            f"{text} has a wrong checksum",
            hint="one character may be mistyped; copy the address again from its source",
        )
    return checksummed


def same_address(one: str, other: str) -> bool:
    """Tell whether two addresses are the same account, whatever their letter case."""
    return parse_address(one) == parse_address(other)


def parse_spki_der(der: bytes) -> PublicKey:
    """Return the public key in a DER SubjectPublicKeyInfo, as `kms:GetPublicKey` gives it: 88 bytes.

    Only id-ecPublicKey on secp256k1 with an uncompressed point on the curve is accepted (RFC 5480, SEC 1).

    Raises:
        PublicKeyError: anything else; the message names which part is wrong.
    """
    if not isinstance(der, bytes):
        raise PublicKeyError("a DER public key is bytes")
    _check_spki_frame(der)
    if der[: len(_SPKI_PREFIX)] != _SPKI_PREFIX:
        raise PublicKeyError(_why_not_secp256k1(der))
    point = der[len(_SPKI_PREFIX) :]
    if point[0] != 4:
        raise PublicKeyError(
            f"the point's form is 0x{point[0]:02x}; only uncompressed points (0x04) are accepted"
        )
    return public_key_from_point(point[1:])


def parse_spki_pem(pem: str) -> PublicKey:
    """Return the public key in PEM text with the label PUBLIC KEY, as the KMS console shows it.

    Raises:
        PublicKeyError: not one PEM block of that label, or not a secp256k1 key.
    """
    if not isinstance(pem, str):
        raise PublicKeyError("a PEM public key is text")
    if "PRIVATE KEY" in pem:
        raise PublicKeyError(
            "this is a private key",
            hint="paste the public key only, and treat the private key as exposed",
        )
    match = _PEM.match(pem)
    if match is None:
        raise PublicKeyError(
            "not a PEM public key",
            hint="paste the whole block, from BEGIN PUBLIC KEY to END PUBLIC KEY",
        )
    try:
        der = base64.b64decode("".join(match.group(1).split()), validate=True)
    except (binascii.Error, ValueError):
        raise PublicKeyError("the PEM block's base64 is damaged") from None
    return parse_spki_der(der)


def public_key_from_point(point: bytes) -> PublicKey:
    """Return the key at x, y (64 bytes).

    Raises:
        PublicKeyError: the point is not on secp256k1.
    """
    if len(point) != 64:
        raise PublicKeyError(f"a point is 64 bytes, x then y, not {len(point)}")
    x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    if x >= FIELD_PRIME or y >= FIELD_PRIME or (y * y - x * x * x - 7) % FIELD_PRIME:
        raise PublicKeyError("the point is not on secp256k1")
    return PublicKey(bytes(point))


def parse_hash(text: str) -> bytes:
    """Return the 32 bytes of a hash given as 64 hex digits (0x optional) or as base64 of the 32 raw bytes.

    Base64 of the hex text is refused, so that a hash is never silently taken for another.

    Raises:
        DigestError: neither form, or not 32 bytes.
    """
    if not isinstance(text, str):
        raise DigestError("a hash is text: 0x and 64 hex digits, or base64 of 32 bytes")
    if match := _HEX_32.match(text):
        return bytes.fromhex(match.group(1))
    if _BASE64_32.match(text):
        raw = base64.b64decode(text, validate=True)
        if base64.b64encode(raw).decode() == text:
            return raw
    raise DigestError(
        f"not a 32-byte hash (got {len(text)} characters)",
        hint="give 0x and 64 hex digits, or the base64 of the 32 raw bytes",
    )


def digest_of(message_hash: bytes, scheme: Scheme) -> bytes:
    """Return the 32-byte digest that is signed for a 32-byte hash under the named scheme.

    Raises:
        DigestError: the hash is not 32 bytes.
        RequestError: the scheme is unknown.
    """
    require_32_bytes(message_hash)
    if scheme is Scheme.EIP191:
        return eip191_digest(bytes(message_hash))
    if scheme is Scheme.RAW:
        return bytes(message_hash)
    raise RequestError("the scheme is neither eip191 nor raw")


def eip191_digest(data: bytes) -> bytes:
    """Return the EIP-191 version 0x45 (`personal_sign`) digest of raw bytes. It hashes once."""
    if not isinstance(data, bytes):
        raise DigestError("EIP-191 over raw bytes takes bytes; use eip191_text_digest for text")
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data)


def eip191_text_digest(text: str) -> bytes:
    """Return the EIP-191 version 0x45 digest of text, encoded as UTF-8.

    Text that looks like hex is still text: `"0x01"` is four characters here. For bytes use `eip191_digest`.
    """
    if not isinstance(text, str):
        raise DigestError("EIP-191 over text takes text; use eip191_digest for bytes")
    try:
        return eip191_digest(text.encode())
    except UnicodeEncodeError:
        raise DigestError("the text holds a lone surrogate, which UTF-8 cannot carry") from None


def eip712_digest(domain_separator: bytes, struct_hash: bytes) -> bytes:
    """Return the EIP-712 digest: keccak256(0x1901 ‖ domain separator ‖ struct hash).

    Raises:
        DigestError: either hash is not 32 bytes.
    """
    require_32_bytes(domain_separator)
    require_32_bytes(struct_hash)
    return keccak256(b"\x19\x01" + domain_separator + struct_hash)


def kms_request(digest: bytes) -> KmsSignRequest:
    """Return what KMS must be asked, so that it signs this digest without hashing it again.

    Raises:
        DigestError: not a digest that a signature can prove anything about.
    """
    require_digest(digest)
    return KmsSignRequest(bytes(digest))


def require_32_bytes(value: bytes) -> None:
    """Refuse anything but exactly 32 bytes.

    Raises:
        DigestError: another type or length.
    """
    if not isinstance(value, bytes | bytearray):
        raise DigestError(f"a digest is 32 bytes, not {type(value).__name__}")
    if len(value) != 32:
        raise DigestError(f"a digest is 32 bytes, not {len(value)}")


def require_digest(digest: bytes) -> None:
    """Refuse what no signature may be made or accepted over: not 32 bytes, or a number that n divides.

    ECDSA (SEC 1, 4.1.4) sees the digest as a number modulo n. Over zero, anybody can make a signature that
    verifies, from the public key alone, and each is as good for the key's negative. No honest hash is zero.

    Raises:
        DigestError: another type or length, all zeros, or the curve order.
    """
    require_32_bytes(digest)
    if int.from_bytes(digest, "big") % CURVE_ORDER == 0:
        raise DigestError(
            "the digest is zero, which anybody can sign for any key",
            hint="it is no hash of anything: look for the variable that was never filled",
        )


def parse_der_signature(der: bytes) -> tuple[int, int]:
    """Return (r, s) of a strict DER ECDSA signature: SEQUENCE of two minimal positive INTEGERs, nothing after.

    Both are in 1 … n-1. s may be high; `normalise_low_s` is next.

    Raises:
        MalformedSignature: any departure from that.
    """
    if not isinstance(der, bytes):
        raise MalformedSignature("a DER signature is bytes")
    if len(der) < 8 or len(der) > 72:
        raise MalformedSignature(f"a secp256k1 DER signature is 8 to 72 bytes, not {len(der)}")
    if der[0] != 0x30:
        raise MalformedSignature("the DER does not begin with a SEQUENCE")
    if der[1] != len(der) - 2:
        raise MalformedSignature("the DER length is not the signature's length")
    r, rest = _der_integer(der[2:], "r")
    s, rest = _der_integer(rest, "s")
    if rest:
        raise MalformedSignature("there are bytes after s")
    return r, s


def normalise_low_s(s: int) -> int:
    """Return s, or n - s where s is above n // 2 (EIP-2). KMS returns either half; chains accept the low one."""
    return s if s <= HALF_ORDER else CURVE_ORDER - s


def signature_from_kms(der: bytes, digest: bytes, public_key: PublicKey) -> Signature:
    """Return the 65-byte signature in KMS's DER answer, proved under the pinned key.

    s is made low first and the recovery id is found afterwards, by recovering the key for 0 and 1 and
    comparing all 64 bytes. A signature needing id 2 or 3 (probability 2⁻¹²⁷) is refused, since no EVM
    chain can carry it.

    Raises:
        DigestError: the digest is not 32 bytes, or zero.
        MalformedSignature: the DER is not strict, or r or s is out of range.
        WrongKey: another key made it; the message names both addresses.
    """
    require_digest(digest)
    r, s = parse_der_signature(der)
    return prove(r, normalise_low_s(s), digest, public_key)


def prove(r: int, s: int, digest: bytes, public_key: PublicKey) -> Signature:
    """Return the signature with the recovery id that yields exactly this public key.

    Raises:
        WrongKey: no recovery id does.
    """
    others: list[bytes] = []
    for recovery_id in (0, 1):
        point = _recover(r, s, recovery_id, digest)
        if point == public_key.point:
            return Signature(r, s, recovery_id)
        if point is not None:
            others.append(point)
    if r < FIELD_PRIME - CURVE_ORDER and any(
        _recover(r, s, recovery_id, digest) == public_key.point for recovery_id in (2, 3)
    ):
        raise SignatureError(
            "the signature needs recovery id 2 or 3, which EVM chains cannot carry",
            hint="sign again: KMS draws a new nonce",
        )
    found = " or ".join(_address_of(point) for point in others) or "no key"
    raise WrongKey(
        f"the signature is not by {public_key.address} (it recovers to {found})",
        hint="the key or alias behind the signer has changed; check which key it is pinned to",
    )


def parse_signature(signature: bytes, digest: bytes, public_key_address: str) -> Signature:
    """Return a 65-byte signature made elsewhere, once it is proved to be this address's and low-S.

    Raises:
        DigestError: the digest is not 32 bytes, or zero.
        MalformedSignature: not 65 bytes, v not 27 or 28, r or s out of range, or s high.
        WrongKey: it recovers to another address.
    """
    require_digest(digest)
    if not isinstance(signature, bytes) or len(signature) != 65 or signature[64] not in (27, 28):
        raise MalformedSignature("a signature is 65 bytes: r, s and a v of 27 or 28")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    if not 0 < r < CURVE_ORDER or not 0 < s <= HALF_ORDER:
        raise MalformedSignature("r or s is out of range, or s is not low (EIP-2)")
    recovery_id = signature[64] - 27
    point = _recover(r, s, recovery_id, digest)
    expected = parse_address(public_key_address)
    found = PublicKey(point).address if point else "no key"
    if found != expected:
        raise WrongKey(f"the signature is not by {expected} (it recovers to {found})")
    return Signature(r, s, recovery_id)


@lru_cache(maxsize=64)
def _address_of(point: bytes) -> str:
    # Every answer names the signer's address, and a checksum costs as much as a signature's request.
    return checksum_address(keccak256(point)[12:])


def _recover(r: int, s: int, recovery_id: int, digest: bytes) -> bytes | None:
    compact = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([recovery_id])
    try:
        key = coincurve.PublicKey.from_signature_and_message(compact, bytes(digest), hasher=None)
    except Exception:  # noqa: BLE001  libsecp256k1 says "failed to recover" with a bare Exception
        return None
    return bytes(key.format(compressed=False)[1:])


def _der_integer(data: bytes, name: str) -> tuple[int, bytes]:
    if len(data) < 3 or data[0] != 0x02:
        raise MalformedSignature(f"{name} is not a DER INTEGER")
    length = data[1]
    # Long-form lengths (0x80 and up) are never minimal for integers this small.
    if not 1 <= length <= 33 or len(data) < 2 + length:
        raise MalformedSignature(f"{name} has a wrong DER length")
    body = data[2 : 2 + length]
    if body[0] & 0x80:
        raise MalformedSignature(f"{name} is negative")
    if length > 1 and body[0] == 0 and not body[1] & 0x80:
        raise MalformedSignature(f"{name} has a needless leading zero")
    value = int.from_bytes(body, "big")
    if not 0 < value < CURVE_ORDER:
        raise MalformedSignature(f"{name} is not in 1 … n-1")
    return value, data[2 + length :]


def _check_spki_frame(der: bytes) -> None:
    if len(der) < 2 or der[0] != 0x30:
        raise PublicKeyError("not a DER SubjectPublicKeyInfo")
    if der[1] < 0x80 and len(der) > 2 + der[1]:
        raise PublicKeyError(f"{len(der) - 2 - der[1]} trailing bytes after the public key")
    if der[1] < 0x80 and len(der) < 2 + der[1]:
        raise PublicKeyError("the DER public key is cut short")


def _why_not_secp256k1(der: bytes) -> str:
    head = der[:32]
    if _ED25519_OID in head:
        return "this is an Ed25519 key; an EVM signer needs secp256k1 (ECC_SECG_P256K1)"
    if _EC_PUBLIC_KEY_OID not in head:
        return "not an elliptic-curve key; an EVM signer needs secp256k1 (ECC_SECG_P256K1)"
    if _SECP256K1_OID not in head:
        return "wrong curve: an EVM signer needs secp256k1 (ECC_SECG_P256K1)"
    if len(der) == 56:
        return "the point is compressed; only uncompressed points (0x04) are accepted"
    return "the secp256k1 key is not encoded as RFC 5480 asks"
