"""KMS on a loopback port: real HTTP, real SigV4 checks, real secp256k1 signatures, and faults on demand.

```
with KmsServer() as server:
    key = server.create_key()
    server.script.append(Refuse("ThrottlingException"))
```
It stands in for AWS in tests and in the benchmark. The contract suite runs the same tests against it and against
ministack.
"""

from __future__ import annotations

import base64
import json
import socketserver
import ssl
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate
from typing import Any, Self

import coincurve
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SPKI_PREFIX = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")


@dataclass(frozen=True)
class Refuse:
    """Answer with a KMS error. `kind` may carry a namespace, as AWS's do."""

    kind: str
    status: int = 400
    message: str = "User: arn:aws:iam::111122223333:user/secret-name is told about the account"


@dataclass(frozen=True)
class Reply:
    """Answer with exactly these bytes."""

    data: bytes


@dataclass(frozen=True)
class Delay:
    """Answer rightly, this many seconds late."""

    seconds: float


@dataclass(frozen=True)
class HangUp:
    """Close the connection in place of an answer, after the request was read."""


@dataclass(frozen=True)
class HangUpAfterwards:
    """Answer rightly, then close the connection without having said so."""


@dataclass(frozen=True)
class SignWith:
    """Sign with another key, while naming the one that was asked for."""

    private: coincurve.PrivateKey


Fault = Refuse | Reply | Delay | HangUp | HangUpAfterwards | SignWith


@dataclass
class Key:
    arn: str
    private: coincurve.PrivateKey
    created: float
    spec: str = "ECC_SECG_P256K1"
    usage: str = "SIGN_VERIFY"
    state: str = "Enabled"
    description: str = ""

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "Arn": self.arn,
            "KeyId": self.id,
            "KeySpec": self.spec,
            "KeyUsage": self.usage,
            "KeyState": self.state,
            "CreationDate": self.created,
            "Description": self.description,
            "MultiRegion": self.id.startswith("mrk-"),
        }


@dataclass(frozen=True)
class Request:
    """One request as it came in. Header names are in lower case."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.body)
        return fields


class KmsRefusal(Exception):
    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(kind)
        self.refuse = Refuse(kind, message=message or f"{kind} for arn:aws:kms:secret")


@dataclass
class KmsServer:
    """A KMS of one account and Region. `halves` picks the half of s: "high", "low", or "both" in turn."""

    region: str = "us-east-1"
    account: str = "111122223333"
    access_key_id: str = "AKIDLOCAL"
    secret_access_key: str = "local-secret"
    session_token: str | None = None
    checks_signatures: bool = True
    keeps_requests: bool = True
    halves: str = "both"
    clock_ahead: float = 0.0
    delay: float = 0.0
    tls: ssl.SSLContext | None = None
    keys: dict[str, Key] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    script: deque[Fault] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    _served: int = 0
    _server: socketserver.ThreadingTCPServer | None = None

    def __enter__(self) -> Self:
        world = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def setup(self) -> None:
                if world.tls:
                    self.request = world.tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def finish(self) -> None:
                super().finish()
                self.request.close()  # over TLS this is not the socket that the server closes

            def handle(self) -> None:
                world.connections += 1
                try:
                    while world.serve(self.rfile, self.wfile):
                        pass
                except ConnectionError:
                    return

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                """Say nothing: a client that hangs up or distrusts the certificate is a test's subject."""

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def authority(self) -> str:
        assert self._server is not None
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}"

    def create_key(self, *, spec: str = "ECC_SECG_P256K1", alias: str | None = None) -> Key:
        usage = "GENERATE_VERIFY_MAC" if spec.startswith("HMAC") else "SIGN_VERIFY"
        return self._create(spec=spec, usage=usage, alias=alias)

    def calls(self, action: str) -> list[Request]:
        return [request for request in self.requests if request.target.endswith(f".{action}")]

    def serve(self, rfile: Any, wfile: Any) -> bool:
        """Serve one request; tell whether the connection stays open."""
        if not rfile.readline():
            return False
        request = _read_request(rfile)
        self._served += 1
        if self.keeps_requests:
            self.requests.append(request)
        fault = self.script.popleft() if self.script else None
        time.sleep(fault.seconds if isinstance(fault, Delay) else self.delay)
        if isinstance(fault, HangUp):
            return False
        wfile.write(self._answer(request, fault))
        return not isinstance(fault, HangUpAfterwards | Reply)

    def _answer(self, request: Request, fault: Fault | None) -> bytes:
        if isinstance(fault, Reply):
            return fault.data
        if isinstance(fault, Refuse):
            return self._refusal(fault)
        try:
            if self.checks_signatures:
                self._check_signature(request)
            action = request.target.rpartition(".")[2]
            if action == "Sign":
                private = fault.private if isinstance(fault, SignWith) else None
                return self._http(200, self._sign(request.fields, private))
            return self._http(200, self._actions()[action](request.fields))
        except KmsRefusal as refusal:
            return self._refusal(refusal.refuse)

    def _actions(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {
            "GetPublicKey": self._get_public_key,
            "CreateKey": self._create_key,
            "CreateAlias": self._create_alias,
            "UpdateAlias": self._update_alias,
            "DescribeKey": lambda fields: {"KeyMetadata": self._find(fields["KeyId"]).metadata},
            "DisableKey": lambda fields: self._set_state(fields, "Disabled"),
            "ScheduleKeyDeletion": lambda fields: self._set_state(fields, "PendingDeletion"),
            "ListKeys": lambda _: {
                "Keys": [{"KeyArn": key.arn, "KeyId": key.id} for key in self.keys.values()],
                "Truncated": False,
            },
            "ListAliases": self._list_aliases,
        }

    def _sign(self, fields: dict[str, Any], other: coincurve.PrivateKey | None) -> dict[str, Any]:
        key = self._find(fields["KeyId"])
        if key.state == "Disabled":
            raise KmsRefusal("DisabledException", f"{key.arn} is disabled.")
        if key.state == "PendingDeletion":
            raise KmsRefusal("KMSInvalidStateException", f"{key.arn} is pending deletion.")
        if key.spec != "ECC_SECG_P256K1" or fields["SigningAlgorithm"] != "ECDSA_SHA_256":
            raise KmsRefusal("InvalidKeyUsageException")
        digest = base64.b64decode(fields["Message"])
        if fields["MessageType"] != "DIGEST" or len(digest) != 32:
            raise KmsRefusal("ValidationException", "Digest is invalid length for algorithm.")
        der = self._choose_half((other or key.private).sign(digest, hasher=None))
        return {
            "KeyId": key.arn,
            "Signature": base64.b64encode(der).decode(),
            "SigningAlgorithm": "ECDSA_SHA_256",
        }

    def _choose_half(self, der: bytes) -> bytes:
        r, s = decode_dss_signature(der)
        turn = self._served % 2 == 0 if self.halves == "both" else self.halves == "high"
        return encode_dss_signature(r, CURVE_ORDER - s if turn else s)

    def _get_public_key(self, fields: dict[str, Any]) -> dict[str, Any]:
        key = self._find(fields["KeyId"])
        if key.usage == "GENERATE_VERIFY_MAC":
            raise KmsRefusal("UnsupportedOperationException")
        der = SPKI_PREFIX + key.private.public_key.format(compressed=False)
        return {
            "KeyId": key.arn,
            "PublicKey": base64.b64encode(der).decode(),
            "KeySpec": key.spec,
            "CustomerMasterKeySpec": key.spec,
            "KeyUsage": key.usage,
            "SigningAlgorithms": ["ECDSA_SHA_256"],
        }

    def _create(self, *, spec: str, usage: str, alias: str | None = None) -> Key:
        arn = f"arn:aws:kms:{self.region}:{self.account}:key/{uuid.uuid4()}"
        key = self.keys[arn] = Key(arn, coincurve.PrivateKey(), time.time(), spec, usage)
        if alias:
            self.aliases[alias] = arn
        return key

    def _create_key(self, fields: dict[str, Any]) -> dict[str, Any]:
        key = self._create(
            spec=fields.get("KeySpec", "SYMMETRIC_DEFAULT"),
            usage=fields.get("KeyUsage", "ENCRYPT_DECRYPT"),
        )
        key.description = fields.get("Description", "")
        return {"KeyMetadata": key.metadata}

    def _create_alias(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields["AliasName"] in self.aliases:
            raise KmsRefusal("AlreadyExistsException")
        return self._update_alias(fields)

    def _update_alias(self, fields: dict[str, Any]) -> dict[str, Any]:
        self.aliases[fields["AliasName"]] = self._find(fields["TargetKeyId"]).arn
        return {}

    def _set_state(self, fields: dict[str, Any], state: str) -> dict[str, Any]:
        key = self._find(fields["KeyId"])
        key.state = state
        return {"KeyId": key.arn}

    def _list_aliases(self, fields: dict[str, Any]) -> dict[str, Any]:
        wanted = self._find(fields["KeyId"]).arn if "KeyId" in fields else None
        listed = [
            {"AliasName": alias, "TargetKeyId": self.keys[arn].id}
            for alias, arn in self.aliases.items()
            if wanted in (None, arn)
        ]
        return {"Aliases": listed, "Truncated": False}

    def _find(self, name: str) -> Key:
        prefix = f"arn:aws:kms:{self.region}:{self.account}:"
        short = name.removeprefix(prefix)
        arn = self.aliases.get(short, prefix + "key/" + short.removeprefix("key/"))
        if arn not in self.keys:
            raise KmsRefusal("NotFoundException", f"Key '{prefix}{short}' does not exist")
        return self.keys[arn]

    def _check_signature(self, request: Request) -> None:
        kind = signature_fault(self, request)
        if kind:
            raise KmsRefusal(kind, "Signature expired or not as computed for AKIDLOCAL")

    def _refusal(self, refuse: Refuse) -> bytes:
        return self._http(refuse.status, {"__type": refuse.kind, "message": refuse.message})

    def _http(self, status: int, fields: dict[str, Any]) -> bytes:
        body = json.dumps(fields).encode()
        return (
            f"HTTP/1.1 {status} Whatever\r\nx-amzn-RequestId: {uuid.uuid4()}\r\n"
            f"Date: {formatdate(time.time() + self.clock_ahead, usegmt=True)}\r\n"
            f"Content-Type: application/x-amz-json-1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


def signature_fault(server: KmsServer, request: Request) -> str | None:
    """Judge a request's SigV4 signature with botocore's signer; return AWS's error type, or None."""
    # Here and not above: the benchmark's server does not check, and should start at once.
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    authorization = request.headers.get("authorization", "")
    if not authorization:
        return "MissingAuthenticationTokenException"
    if f"Credential={server.access_key_id}/" not in authorization:
        return "UnrecognizedClientException"
    if request.headers.get("x-amz-security-token") != server.session_token:
        return "ExpiredTokenException"
    stamp = request.headers["x-amz-date"]
    signed_at = datetime.strptime(stamp + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp()
    if abs(signed_at - time.time() - server.clock_ahead) > 300:
        return "InvalidSignatureException"
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    asked = AWSRequest(
        method="POST",
        url=f"{server.url}/",
        data=request.body,
        headers={name: request.headers[name] for name in names},
    )
    asked.context["timestamp"] = stamp
    oracle = SigV4Auth(
        Credentials(server.access_key_id, server.secret_access_key), "kms", server.region
    )
    expected = oracle.signature(
        oracle.string_to_sign(asked, oracle.canonical_request(asked)), asked
    )
    return None if authorization.endswith(f"Signature={expected}") else "InvalidSignatureException"


def _read_request(rfile: Any) -> Request:
    headers: dict[str, str] = {}
    while (line := rfile.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = rfile.read(int(headers.get("content-length", "0")))
    return Request(headers.get("x-amz-target", ""), headers, body)


def main() -> None:
    """Serve one key, say where, and stop when standard input ends: for a process of its own."""
    with KmsServer(checks_signatures=False, keeps_requests=False) as server:
        print(json.dumps({"url": server.url, "key_arn": server.create_key().arn}), flush=True)  # noqa: T201
        sys.stdin.read()


if __name__ == "__main__":
    main()
