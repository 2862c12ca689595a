"""Every way to ask for a signature, in front of the same stub of KMS, without a network between the parts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import httpx2

from bursar.aws.cloud import Cloud
from bursar.aws.container import Edges
from bursar.aws.handler import SigningFunction
from bursar.aws.remote import Api, ApiSigner, LambdaSigner, Patience
from bursar.kms.client import KmsClient, Limits
from bursar.kms.names import parse_endpoint
from bursar.kms.sigv4 import Credentials
from bursar.ledger.store import Store
from bursar.policy.rulebook import Rulebook
from bursar.signer import KmsSigner, Signer
from tests.fakes.kms_server import Key, KmsServer

URL = "https://abc123.execute-api.us-east-1.amazonaws.com/prod/"
CALLER = Credentials("AKIDCALLER", "caller-secret", "caller-token")
QUICK = Patience(first_wait=0.0)


@dataclass
class Door:
    """A deployed function behind its API and its invocation. `script` replaces the API's answers, in order.

    `caller` is whom API Gateway found to be asking; an invocation tells nobody.
    """

    function: Callable[[Any], dict[str, Any]]
    script: list[httpx2.Response | Exception] = field(default_factory=list)
    requests: list[httpx2.Request] = field(default_factory=list)
    caller: str | None = None

    def api(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if self.script:
            planned = self.script.pop(0)
            if isinstance(planned, Exception):
                raise planned
            return planned
        event = {
            "requestContext": {"identity": {"userArn": self.caller} if self.caller else {}},
            "headers": dict(request.headers),
            "body": request.content.decode(),
        }
        result = self.function(event)
        return httpx2.Response(result["statusCode"], headers=result["headers"], text=result["body"])

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "signer"
        result = self.function(json.loads(Payload))
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(result).encode())}


@dataclass
class Stub:
    """One key in the stub of KMS. Clients opened here are closed with `stack`."""

    server: KmsServer
    key: Key
    stack: ExitStack

    def client(self, _seconds: float = 10.0) -> KmsClient:
        credentials = Credentials(self.server.access_key_id, self.server.secret_access_key)
        client = KmsClient(
            self.server.region,
            lambda: credentials,
            endpoint=parse_endpoint(self.server.url),
            limits=Limits(attempts=1),
        )
        return self.stack.enter_context(client)

    def door(self, **environ: str) -> Door:
        settings = {"KMS_KEY_ID": self.key.arn, "BURSAR_BLIND_SIGNING": "allowed"} | environ
        function = SigningFunction(settings, lambda _line: None, Edges(self.client))
        return Door(lambda event: function(event, SimpleNamespace(aws_request_id="lambda-1")))

    def guarded(self, policy: str, store: Store, caller: str) -> Door:
        """Return the door of a function with a policy, whose ledger is this store."""
        settings = {
            "KMS_KEY_ID": self.key.arn,
            "BURSAR_POLICY_HASH": Rulebook.read(policy).hash,
            "BURSAR_LEDGER_TABLE": "ledger",
        }
        edges = Edges(self.client, lambda _table, _seconds: store, policy.encode)
        function = SigningFunction(settings, lambda _line: None, edges)
        context = SimpleNamespace(
            aws_request_id="lambda-1", get_remaining_time_in_millis=lambda: 1_400
        )
        return Door(lambda event: function(event, context), caller=caller)

    def signer(self, kind: str) -> Signer:
        kms = KmsSigner.open(self.client(), self.key.arn)
        if kind == "kms":
            return kms
        make = api_signer if kind == "api" else lambda_signer
        return make(self.door(), kms.address)


def api_signer(door: Door, address: str, patience: Patience = QUICK) -> ApiSigner:
    client = httpx2.Client(transport=httpx2.MockTransport(door.api))
    return ApiSigner(
        Api.at(URL), address, credentials=lambda: CALLER, client=client, patience=patience
    )


def lambda_signer(door: Door, address: str) -> LambdaSigner:
    cloud = cast("Cloud", SimpleNamespace(invoker=door))
    return LambdaSigner("signer", address, cloud, patience=QUICK)
