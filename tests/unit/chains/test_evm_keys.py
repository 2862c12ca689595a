"""Public keys, addresses and the hashes that are signed."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import coincurve
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from eth_account.messages import defunct_hash_message
from eth_keys.datatypes import PrivateKey as EthPrivateKey
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.errors import AddressError, BursarError, DigestError, PublicKeyError, RequestError

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "evm.json").read_text(encoding="utf-8")
)
SPKI = bytes.fromhex(VECTORS["keys"]["spki_der"])
ENCODING, FORMAT = serialization.Encoding, serialization.PublicFormat


def der_of(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(ENCODING.DER, FORMAT.SubjectPublicKeyInfo)


def pem_of(key: PublicKeyTypes) -> str:
    return key.public_bytes(ENCODING.PEM, FORMAT.SubjectPublicKeyInfo).decode()


def test_the_key_of_one_has_its_well_known_address() -> None:
    assert evm.parse_spki_der(SPKI).address == VECTORS["keys"]["address"]


@given(st.integers(1, evm.CURVE_ORDER - 1))
def test_der_pem_and_address_agree_with_independent_libraries(secret: int) -> None:
    key = ec.derive_private_key(secret, ec.SECP256K1()).public_key()
    parsed = evm.parse_spki_der(der_of(key))
    assert parsed == evm.parse_spki_pem(pem_of(key))
    theirs = EthPrivateKey(secret.to_bytes(32, "big")).public_key
    assert parsed.point == theirs.to_bytes()
    assert parsed.address == theirs.to_checksum_address()
    assert parsed.uncompressed == key.public_bytes(ENCODING.X962, FORMAT.UncompressedPoint)


@pytest.mark.parametrize("coordinate", [slice(0, 32), slice(32, 64)], ids=["x", "y"])
def test_a_coordinate_with_leading_zeros_keeps_its_width(coordinate: slice) -> None:
    for secret in range(1, 3000):
        key = coincurve.PrivateKey(secret.to_bytes(32, "big"))
        point = key.public_key.format(compressed=False)[1:]
        if point[coordinate][0] == 0:
            break
    assert point[coordinate][0] == 0
    theirs = EthPrivateKey(key.secret).public_key.to_checksum_address()
    assert evm.public_key_from_point(point).address == theirs


def test_pem_is_read_with_other_line_breaks_and_space_around_it() -> None:
    pem = pem_of(ec.derive_private_key(1, ec.SECP256K1()).public_key())
    expected = evm.parse_spki_der(SPKI)
    one_line = "-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(SPKI).decode()
    for text in (
        pem.replace("\n", "\r\n"),
        f"\n  {pem}\n\n",
        pem.rstrip(),
        one_line + "\n-----END PUBLIC KEY-----",
    ):
        assert evm.parse_spki_pem(text) == expected


def compressed(der: bytes) -> bytes:
    prefix = bytes.fromhex("3036301006072a8648ce3d020106052b8104000a032200")
    return prefix + bytes([2 + (der[-1] & 1)]) + der[24:56]


P256 = ec.generate_private_key(ec.SECP256R1()).public_key()
WRONG_DER = {
    "wrong curve": (der_of(P256), "wrong curve"),
    "P-384": (der_of(ec.generate_private_key(ec.SECP384R1()).public_key()), "wrong curve"),
    "Ed25519": (der_of(ed25519.Ed25519PrivateKey.generate().public_key()), "Ed25519"),
    "RSA": (der_of(rsa.generate_private_key(65537, 2048).public_key()), "not an elliptic-curve"),
    "compressed": (compressed(SPKI), "compressed"),
    "hybrid form": (SPKI[:23] + b"\x06" + SPKI[24:], "only uncompressed"),
    "off the curve": (SPKI[:-1] + bytes([SPKI[-1] ^ 1]), "not on secp256k1"),
    "all zero point": (SPKI[:24] + bytes(64), "not on secp256k1"),
    "x of the prime": (
        SPKI[:24] + evm.FIELD_PRIME.to_bytes(32, "big") + SPKI[56:],
        "not on secp256k1",
    ),
    "trailing byte": (SPKI + b"\x00", "1 trailing byte"),
    "trailing key": (SPKI + SPKI, "88 trailing bytes"),
    "cut short": (SPKI[:-1], "cut short"),
    "unused bits": (SPKI[:22] + b"\x01" + SPKI[23:], "RFC 5480"),
    "empty": (b"", "not a DER"),
    "one byte": (b"\x30", "not a DER"),
    "a bare point": (SPKI[23:], "not a DER"),
    "a private key's DER": (
        ec.derive_private_key(1, ec.SECP256K1()).private_bytes(
            ENCODING.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        "RFC 5480",
    ),
}


@pytest.mark.parametrize(("der", "says"), WRONG_DER.values(), ids=WRONG_DER)
def test_each_wrong_public_key_says_what_is_wrong(der: bytes, says: str) -> None:
    with pytest.raises(PublicKeyError, match=says):
        evm.parse_spki_der(der)


PEM = pem_of(ec.derive_private_key(1, ec.SECP256K1()).public_key())
SECRET_PEM = (
    ec.derive_private_key(1, ec.SECP256K1())
    .private_bytes(
        ENCODING.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    .decode()
)
WRONG_PEM: dict[str, tuple[Any, str]] = {
    "empty": ("", "not a PEM"),
    "bytes": (PEM.encode(), "text"),
    "nothing": (None, "text"),
    "a private key": (SECRET_PEM, "private key"),
    "another label": (PEM.replace("PUBLIC", "RSA PUBLIC"), "not a PEM"),
    "two blocks": (PEM + PEM, "not a PEM"),
    "text before": ("key:\n" + PEM, "not a PEM"),
    "no end": (PEM.rpartition("-----END")[0], "not a PEM"),
    "an odd character": (PEM.replace("MF", "M*"), "not a PEM"),
    "padding inside": (PEM.replace("MFYw", "MF=="), "damaged"),
    "a character missing": (PEM.replace("MFYw", "MFY"), "damaged"),
    "wrong curve": (pem_of(P256), "wrong curve"),
}


@pytest.mark.parametrize(("pem", "says"), WRONG_PEM.values(), ids=WRONG_PEM)
def test_each_wrong_pem_says_what_is_wrong_and_repeats_nothing(pem: Any, says: str) -> None:
    with pytest.raises(PublicKeyError, match=says) as caught:
        evm.parse_spki_pem(pem)
    body = SECRET_PEM.splitlines()[1]
    assert body not in str(caught.value.to_dict())


def test_a_pem_made_to_be_slow_is_refused_quickly() -> None:
    began = time.perf_counter()
    for filler in (" ", "\n", "A", "A "):
        with pytest.raises(PublicKeyError):
            evm.parse_spki_pem("-----BEGIN PUBLIC KEY-----" + filler * 50_000)
    assert time.perf_counter() - began < 2


@given(st.binary(max_size=120), st.text(max_size=120))
def test_arbitrary_keys_raise_only_our_error(der: bytes, pem: str) -> None:
    for call in (
        lambda: evm.parse_spki_der(der),
        lambda: evm.parse_spki_der(SPKI[:23] + der),
        lambda: evm.parse_spki_pem(pem),
        lambda: evm.parse_spki_pem(f"-----BEGIN PUBLIC KEY-----\n{pem}-----END PUBLIC KEY-----"),
    ):
        with pytest.raises(PublicKeyError):
            call()


@given(st.integers(0, 87), st.integers(0, 255))
def test_one_wrong_byte_gives_no_key_that_openssl_would_not(at: int, value: int) -> None:
    der = SPKI[:at] + bytes([value]) + SPKI[at + 1 :]
    try:
        parsed = evm.parse_spki_der(der)
    except PublicKeyError:
        return
    assert der_of(serialization.load_der_public_key(der)) == der
    assert parsed.point == der[24:]


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_point_is_64_bytes(length: int) -> None:
    with pytest.raises(PublicKeyError):
        evm.public_key_from_point(bytes(length))


@pytest.mark.parametrize("address", VECTORS["eip55"]["addresses"])
def test_eip_55_s_own_addresses(address: str) -> None:
    assert evm.checksum_address(bytes.fromhex(address[2:])) == address
    assert evm.parse_address(address) == address
    assert evm.parse_address(address.lower()) == address
    assert evm.parse_address("0x" + address[2:].upper()) == address
    assert evm.same_address(address, address.lower())


@given(st.binary(min_size=20, max_size=20))
def test_the_checksum_is_eth_utils_s(raw: bytes) -> None:
    assert evm.checksum_address(raw) == to_checksum_address(raw)


@pytest.mark.parametrize("address", VECTORS["eip55"]["addresses"][4:])
def test_one_letter_in_the_wrong_case_is_a_wrong_checksum(address: str) -> None:
    for at in range(2, 42):
        if address[at].isalpha():
            with pytest.raises(AddressError, match="checksum"):
                evm.parse_address(address[:at] + address[at].swapcase() + address[at + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        "0x" + "a" * 39,
        "0x" + "a" * 41,
        "a" * 40,
        "0X" + "a" * 40,
        "0x" + "g" * 40,
        "0x" + "a" * 40 + "\n",
        " 0x" + "a" * 40,
        "0x" + "\u0660" * 40,
        None,
        0,
        b"0x" + b"a" * 40,
    ],
    ids=repr,
)
def test_what_is_not_an_address_is_refused(text: Any) -> None:
    with pytest.raises(AddressError):
        evm.parse_address(text)


@pytest.mark.parametrize("length", [0, 19, 21, 32])
def test_an_address_is_20_bytes(length: int) -> None:
    with pytest.raises(AddressError):
        evm.checksum_address(bytes(length))


@given(st.text(max_size=60))
def test_arbitrary_text_raises_only_our_errors(text: str) -> None:
    for parse in (evm.parse_address, evm.parse_hash):
        with pytest.raises(BursarError):
            parse(text)


DIGEST = bytes(range(32))


@given(st.binary(min_size=32, max_size=32))
def test_a_hash_is_read_from_hex_and_from_base64_of_the_raw_bytes(raw: bytes) -> None:
    for text in (raw.hex(), "0x" + raw.hex(), "0X" + raw.hex().upper()):
        assert evm.parse_hash(text) == raw
    assert evm.parse_hash(base64.b64encode(raw).decode()) == raw


NOT_A_HASH: dict[str, Any] = {
    "empty": "",
    "31 bytes of hex": "00" * 31,
    "33 bytes of hex": "0x" + "00" * 33,
    "63 digits": "0" * 63,
    "31 bytes in base64": base64.b64encode(bytes(31)).decode(),
    "33 bytes in base64": base64.b64encode(bytes(33)).decode(),
    "base64 of the hex": base64.b64encode(DIGEST.hex().encode()).decode(),
    "base64 of 0x and the hex": base64.b64encode(b"0x" + DIGEST.hex().encode()).decode(),
    "base64url": base64.urlsafe_b64encode(b"\xff" * 32).decode(),
    "base64 without padding": base64.b64encode(DIGEST).decode().rstrip("="),
    "base64 with spare bits": base64.b64encode(bytes(32)).decode()[:-2] + "B=",
    "a line break": DIGEST.hex() + "\n",
    "bytes": DIGEST,
    "nothing": None,
    "a number": 0,
}


@pytest.mark.parametrize("text", NOT_A_HASH.values(), ids=NOT_A_HASH)
def test_what_is_not_a_32_byte_hash_is_refused(text: Any) -> None:
    with pytest.raises(DigestError):
        evm.parse_hash(text)


@given(st.binary(max_size=200))
def test_eip_191_over_bytes_is_eth_account_s(data: bytes) -> None:
    assert evm.eip191_digest(data) == bytes(defunct_hash_message(primitive=data))


@given(st.text(max_size=60))
def test_eip_191_over_text_is_eth_account_s(text: str) -> None:
    assert evm.eip191_text_digest(text) == bytes(defunct_hash_message(text=text))


@pytest.mark.parametrize("vector", VECTORS["eip191"]["texts"], ids=lambda one: repr(one["text"]))
def test_eip_191_gives_the_published_digests(vector: dict[str, str]) -> None:
    assert evm.eip191_text_digest(vector["text"]).hex() == vector["digest"]


def test_raw_bytes_their_hex_text_and_no_prefix_are_three_digests() -> None:
    digests = {
        evm.digest_of(DIGEST, Scheme.EIP191),
        evm.digest_of(DIGEST, Scheme.RAW),
        evm.eip191_text_digest("0x" + DIGEST.hex()),
        evm.eip191_text_digest(DIGEST.hex()),
    }
    assert len(digests) == 4
    assert evm.digest_of(DIGEST, Scheme.RAW) == DIGEST
    assert evm.digest_of(DIGEST, Scheme.EIP191) == evm.eip191_digest(DIGEST)


@pytest.mark.parametrize("scheme", ["raw", "eip191", "EIP191", None, 0])
def test_a_scheme_is_named_by_its_type(scheme: Any) -> None:
    with pytest.raises(RequestError):
        evm.digest_of(DIGEST, scheme)


@pytest.mark.parametrize("scheme", Scheme)
def test_a_hash_in_a_bytearray_is_the_same_hash(scheme: Scheme) -> None:
    held: Any = bytearray(DIGEST)
    assert evm.digest_of(held, scheme) == evm.digest_of(DIGEST, scheme)


@pytest.mark.parametrize("data", ["text", None, 5, bytearray(b"x")])
def test_text_and_bytes_are_not_taken_for_each_other(data: Any) -> None:
    with pytest.raises(DigestError):
        evm.eip191_digest(data)
    with pytest.raises(DigestError):
        evm.eip191_text_digest(data if not isinstance(data, str) else data.encode())  # type: ignore[arg-type]


def test_text_that_utf_8_cannot_carry_is_refused() -> None:
    with pytest.raises(DigestError, match="surrogate"):
        evm.eip191_text_digest("\ud800")


def test_eip_712_gives_the_mail_example_s_digest_and_its_signature_proves() -> None:
    mail = VECTORS["eip712"]
    domain, message = (bytes.fromhex(mail[name]) for name in ("domain_separator", "struct_hash"))
    digest = evm.eip712_digest(domain, message)
    assert digest.hex() == mail["digest"]
    raw = bytes.fromhex(mail["r"] + mail["s"]) + bytes([mail["v"]])
    assert evm.parse_signature(raw, digest, mail["address"]).recovery_id == 1


def test_kms_is_asked_to_sign_the_digest_itself() -> None:
    held: Any = bytearray(DIGEST)
    request = evm.kms_request(held)
    assert request == evm.KmsSignRequest(DIGEST, "DIGEST", "ECDSA_SHA_256")
    assert type(request.message) is bytes
