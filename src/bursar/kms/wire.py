"""KMS's wire format: the two calls of the data plane, and their answers. Pure.

Source: KMS API reference, Sign and GetPublicKey; AWS JSON 1.1 protocol.
"""

from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bursar import strict_json
from bursar.errors import ConfigError, KmsProtocolError
from bursar.kms.http1 import Response
from bursar.kms.names import parse_key_name
from bursar.strict_json import NotStrictJson

if TYPE_CHECKING:  # the curve library is the signer's to load, not the wire's
    from bursar.chains.evm import KmsSignRequest

CONTENT_TYPE = "application/x-amz-json-1.1"

_REQUEST_ID = re.compile(r"\A[A-Za-z0-9-]{1,64}\Z", re.ASCII)
_TOKEN = re.compile(r"\A[A-Za-z0-9_]{1,64}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class KmsPublicKey:
    """KMS's answer to GetPublicKey. `key_arn` is the key itself, whatever name was asked for."""

    key_arn: str
    spki_der: bytes
    key_spec: str
    key_usage: str


@dataclass(frozen=True, slots=True)
class KmsSignature:
    """KMS's answer to Sign: DER bytes, the ARN of the key that signed, and the call's id for the audit trail.

    `unanswered` counts earlier attempts of the same call that may have reached KMS and got no answer: each may
    have left a line in CloudTrail under an id that nobody here knows.
    """

    key_arn: str
    der: bytes
    request_id: str
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what the X-Amz-Target header says, and the JSON body."""

    target: str
    body: bytes


def public_key_call(key_id: str) -> Call:
    """Return the call that reads a public key. It needs `kms:GetPublicKey`."""
    return Call("TrentService.GetPublicKey", json.dumps({"KeyId": key_id}).encode())


def sign_call(key_id: str, request: KmsSignRequest) -> Call:
    """Return the call that signs. It needs `kms:Sign`."""
    fields = {
        "KeyId": key_id,
        "Message": _base64(request.message),
        "MessageType": request.message_type,
        "SigningAlgorithm": request.signing_algorithm,
    }
    return Call("TrentService.Sign", json.dumps(fields).encode())


def read_public_key(response: Response) -> KmsPublicKey:
    """Return the public key in KMS's answer. It is not parsed here.

    Raises:
        KmsProtocolError: a field is missing, or not what KMS sends.
    """
    fields = read_object(response.body)
    return KmsPublicKey(
        key_arn=_key_arn(fields),
        spki_der=_bytes(fields, "PublicKey"),
        # The older name is still what some endpoints send alone.
        key_spec=_token(fields, "KeySpec" if "KeySpec" in fields else "CustomerMasterKeySpec"),
        key_usage=_token(fields, "KeyUsage"),
    )


def read_signature(
    response: Response, request: KmsSignRequest, unanswered: int = 0
) -> KmsSignature:
    """Return the signature in KMS's answer. It proves nothing: that is the signer's part.

    `unanswered` is how many earlier attempts of the call got no answer.

    Raises:
        KmsProtocolError: a field is missing, not what KMS sends, or names another algorithm than was asked for.
    """
    fields = read_object(response.body)
    if _token(fields, "SigningAlgorithm") != request.signing_algorithm:
        raise KmsProtocolError("KMS answered with another signing algorithm than was asked for")
    return KmsSignature(
        key_arn=_key_arn(fields),
        der=_bytes(fields, "Signature"),
        request_id=request_id(response),
        unanswered=unanswered,
    )


def request_id(response: Response) -> str:
    """Return KMS's id of the call, or "" where there is none that can be printed."""
    text = response.headers.get("x-amzn-requestid", "")
    return text if _REQUEST_ID.match(text) else ""


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises:
        KmsProtocolError: not a JSON object.
    """
    try:
        fields = strict_json.loads(body)
    except NotStrictJson:
        raise KmsProtocolError("KMS's answer is not JSON") from None
    if not isinstance(fields, dict):
        raise KmsProtocolError("KMS's answer is not a JSON object")
    return fields


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise KmsProtocolError(f"KMS's answer has no {name}")
    return value


def _token(fields: dict[str, Any], name: str) -> str:
    value = _text(fields, name)
    if not _TOKEN.match(value):
        raise KmsProtocolError(f"KMS's answer has a malformed {name}")
    return value


def _bytes(fields: dict[str, Any], name: str) -> bytes:
    try:
        data = binascii.a2b_base64(_text(fields, name), strict_mode=True)
    except ValueError:  # binascii.Error, or text outside ASCII
        raise KmsProtocolError(f"KMS's answer has a {name} that is not base64") from None
    if not data:
        raise KmsProtocolError(f"KMS's answer has an empty {name}")
    return data


def _key_arn(fields: dict[str, Any]) -> str:
    text = _text(fields, "KeyId")
    try:
        name = parse_key_name(text)
    except ConfigError:
        raise KmsProtocolError("KMS's answer does not name a key") from None
    if not name.is_key_arn:
        raise KmsProtocolError("KMS's answer does not name the key by its ARN")
    return text
