"""KMS's wire format. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KmsPublicKey:
    """KMS's answer to GetPublicKey. `key_arn` is the key itself, whatever name was asked for."""

    key_arn: str
    spki_der: bytes
    key_spec: str
    key_usage: str


@dataclass(frozen=True, slots=True)
class KmsSignature:
    """KMS's answer to Sign: DER bytes, the ARN of the key that signed, and the call's id for the audit trail."""

    key_arn: str
    der: bytes
    request_id: str
