"""A deployed function with a policy and a ledger: the desk of the signing tests behind Lambda's events."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from bursar.aws.container import Edges
from bursar.aws.handler import SigningFunction
from bursar.policy.rulebook import Rulebook
from bursar.signing_contract import AnyRequest, request_body
from tests.unit.signing.scene import ADA, KEY, SESSION, Desk

FUNCTION = "bursar-signer"


@dataclass
class Guarded:
    """`environ` is what differs from a sound deployment; a value of None takes a setting away."""

    desk: Desk = field(default_factory=Desk)
    environ: dict[str, str | None] = field(default_factory=dict)
    policy_file: str | None = None
    lines: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings: dict[str, str | None] = {
            "KMS_KEY_ID": KEY,
            "BURSAR_POLICY_HASH": Rulebook.read(self.desk.policy).hash,
            "BURSAR_LEDGER_TABLE": "ledger",
            "AWS_LAMBDA_FUNCTION_NAME": FUNCTION,
        }
        settings |= self.environ
        there = {name: value for name, value in settings.items() if value is not None}
        edges = Edges(lambda _: self.desk.kms, self._open_store, self._read_policy)
        self.function = SigningFunction(there, self.lines.append, edges)

    def _open_store(self, table: str, seconds: float) -> Any:
        assert seconds > 0
        self.tables.append(table)
        return self.desk.store

    def _read_policy(self) -> bytes:
        if self.policy_file == "":
            raise FileNotFoundError("policy.toml")
        return (self.policy_file or self.desk.policy).encode()

    def send(self, event: Any) -> dict[str, Any]:
        """Let the function answer an event; its ledger's waits are short, so that a test's are."""
        context = SimpleNamespace(
            aws_request_id="lambda-1", get_remaining_time_in_millis=lambda: 1_400
        )
        return self.function(event, context)

    def post(
        self, request: AnyRequest | dict[str, Any], arn: Any = SESSION, **identity: Any
    ) -> tuple[int, dict[str, Any]]:
        """Send a request through the API and return its status and its body."""
        result = self.send(event_of(request, arn, **identity))
        return result["statusCode"], json.loads(result["body"])

    def approve(self, transaction: dict[str, Any], arn: str = ADA) -> tuple[int, dict[str, Any]]:
        return self.post(self.desk.approval(transaction), arn)

    @property
    def line(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.lines[-1])
        return found

    @property
    def counted(self) -> dict[str, int]:
        """What the last call counts as."""
        return {name: self.line[name] for name in ("Signatures", "Refusals", "Errors")}


def body_of(request: AnyRequest | dict[str, Any]) -> dict[str, Any]:
    return request if isinstance(request, dict) else request_body(request)


def event_of(
    request: AnyRequest | dict[str, Any], arn: Any = SESSION, **identity: Any
) -> dict[str, Any]:
    return {
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "requestId": "api-1",
            "identity": {"userArn": arn, "sourceIp": "192.0.2.7"} | identity,
        },
        "body": json.dumps(body_of(request)),
    }
