"""TLS to KMS: the certificate and the host name are always checked."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bursar.chains import evm
from bursar.errors import KmsProtocolError
from bursar.kms.client import KmsClient
from tests.fakes.kms_server import KmsServer


def self_signed(folder: Path, *names: x509.GeneralName) -> Path:
    """Write a certificate for these names, with its key, into one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kms.local")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "kms.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem


def serving(pem: Path) -> KmsServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return KmsServer(tls=context)


def environ(server: KmsServer, **more: str) -> dict[str, str]:
    return {
        "AWS_REGION": server.region,
        "AWS_ENDPOINT_URL_KMS": server.url,
        "AWS_ACCESS_KEY_ID": server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
        **more,
    }


@pytest.fixture
def loopback_pem(tmp_path: Path) -> Path:
    return self_signed(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


@pytest.fixture
def tls_server(loopback_pem: Path) -> Iterator[KmsServer]:
    with serving(loopback_pem) as server:
        yield server


def test_a_certificate_of_the_named_bundle_is_trusted_and_the_connection_kept(
    tls_server: KmsServer, loopback_pem: Path
) -> None:
    key = tls_server.create_key()
    settings = environ(tls_server, AWS_CA_BUNDLE=str(loopback_pem))
    with KmsClient.from_environment(environ=settings) as kms:
        for _ in range(3):
            assert kms.sign(key.arn, evm.kms_request(bytes(range(32)))).key_arn == key.arn
    assert tls_server.connections == 1


def test_an_unknown_certificate_is_refused_before_anything_is_said(tls_server: KmsServer) -> None:
    key = tls_server.create_key()
    with (
        KmsClient.from_environment(environ=environ(tls_server)) as kms,
        pytest.raises(KmsProtocolError, match="certificate"),
    ):
        kms.sign(key.arn, evm.kms_request(bytes(range(32))))
    assert tls_server.requests == []


def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    pem = self_signed(tmp_path, x509.DNSName("kms.us-east-1.amazonaws.com"))
    with serving(pem) as server:
        settings = environ(server, AWS_CA_BUNDLE=str(pem))
        with (
            KmsClient.from_environment(environ=settings) as kms,
            pytest.raises(KmsProtocolError, match="certificate"),
        ):
            kms.get_public_key("alias/treasury")
    assert server.requests == []
