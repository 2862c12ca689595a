"""The signing function: API Gateway or a direct invocation in, one KMS signature or one refusal out.

Lambda calls `bursar.aws.handler.handle`. Environment:

- `KMS_KEY_ID` (required): the key, by ARN, id, alias or alias ARN. Resolved and pinned once per container.
- `BURSAR_POLICY_HASH` and `BURSAR_LEDGER_TABLE`: with a policy, its hash and the table of the key's memory. The
  policy itself is `policy.toml` at the root of the code. The function then signs what the policy allows.
- `BURSAR_BLIND_SIGNING`: `allowed` lets it sign bare hashes; with a policy that has to allow them too.
- `BURSAR_SIGNER_ADDRESS`: if set, the function refuses to work with any key of another address.
- `AWS_LAMBDA_FUNCTION_NAME`, which Lambda sets: what its metrics go by, which are part of its log line.

It needs `kms:GetPublicKey` once per container and `kms:Sign` per signature, on that one key; with a policy also
`dynamodb:GetItem`, `dynamodb:BatchGetItem`, `dynamodb:Query` and `dynamodb:PutItem` on the table. All of it, one
after the other, ends before Lambda's own timeout does: a slow KMS is an answer and a log line, not a killed
container. It imports the standard library, coincurve, pycryptodome's keccak and bursar's core, and nothing else:
cold starts are paid for.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from bursar.aws.container import Container, Edges, Notes
from bursar.aws.events import caller_in, caller_of, request_in, result_of
from bursar.aws.metrics import (
    ERRORS,
    FUNCTION_NAME,
    REFUSALS,
    SIGNATURES,
    Measured,
    Outcome,
    embedded,
)
from bursar.errors import BursarError, KmsError, KmsThrottled, PolicyViolation
from bursar.signing_contract import (
    Answer,
    AnyRequest,
    ApprovalRequest,
    DigestRequest,
    Reply,
    TransactionRequest,
    answer_body,
    blind_answer,
    consent_body,
    fulfil,
    internal_failure,
    is_callers_fault,
    refusal,
    require_blind,
)

# Seconds. Lambda's default here where the context does not say; what reading, checking and logging may take.
_USUAL_TIMEOUT = 15.0
_MARGIN = 1.0
_SHORTEST_CALL = 0.1
# What is done one after the other: two calls of KMS, and with a policy two pages of the ledger, which may take two
# thirds more each: what is written and looked up when all has been read.
_CALLS, _CALLS_WITH_LEDGER = 2, 5


class SigningFunction:
    """One container's signer: settings read once, everything else opened when the first request needs it."""

    def __init__(
        self, environ: Mapping[str, str], write_line: Callable[[str], object], edges: Edges
    ) -> None:
        self._environ = environ
        self._write_line = write_line
        self._container = Container(environ, edges)
        self._outcome: Outcome = SIGNATURES

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer one event. Never raises: every failure is a reply, and every call is one log line."""
        began = time.perf_counter()
        line: dict[str, Any] = {"event": "sign", **caller_of(event)}
        notes = self._container.notes = Notes()
        reply = self._reply(event, line, context)
        if notes.kms_request_id:
            line["kmsRequestId"] = notes.kms_request_id
        if notes.unanswered:
            line["kmsUnanswered"] = notes.unanswered
        line |= {
            "status": reply.status,
            "requestId": str(getattr(context, "aws_request_id", ""))[:64],
            "ms": round((time.perf_counter() - began) * 1000, 1),
        }
        self._write_line(json.dumps(line | self._metrics(line)))
        return result_of(event, reply)

    def _reply(self, event: Any, line: dict[str, Any], context: Any) -> Reply:
        self._outcome = SIGNATURES
        try:
            request = request_in(event)
            line |= _asked(request)
            if self._container.has_policy:
                return self._by_policy(request, event, line, context)
            return self._blindly(request, line, context)
        except BursarError as error:
            self._outcome = REFUSALS if is_callers_fault(error) else ERRORS
            line |= _described(error)
            return refusal(error)
        except Exception as error:  # noqa: BLE001  the caller must never see a trace
            self._outcome = ERRORS
            line |= {"code": "internal_error", "cause": type(error).__name__}
            return internal_failure()

    def _by_policy(
        self, request: AnyRequest, event: Any, line: dict[str, Any], context: Any
    ) -> Reply:
        caller = caller_in(event)
        treasury = self._container.treasury(call_seconds(context, _CALLS_WITH_LEDGER))
        line["policy"] = treasury.rules.hash
        if isinstance(request, ApprovalRequest):
            consent = treasury.consent(request, caller)
            line |= {"code": "ok", "digest": consent.digest, "receipt": consent.policy["receipt"]}
            self._outcome = None
            return Reply(200, consent_body(consent))
        answer = treasury.sign(request, caller)
        self._outcome = SIGNATURES if self._container.notes.kms_request_id else None
        line |= _told(answer)
        return Reply(200, answer_body(answer))

    def _blindly(self, request: AnyRequest, line: dict[str, Any], context: Any) -> Reply:
        blind = require_blind(request, blind_signing=self._container.blind_signing)
        signer = self._container.signer_for(blind, call_seconds(context, _CALLS))
        answer = blind_answer(fulfil(blind, signer), blind)
        line |= {"code": "ok", "address": answer.signed.address}
        return Reply(200, answer_body(answer))

    def _metrics(self, line: dict[str, Any]) -> dict[str, Any]:
        """Return what makes the line of a call its metrics too; nothing where no function has a name."""
        function = self._environ.get(FUNCTION_NAME)
        if not function:
            return {}
        measured = Measured(
            self._outcome,
            line["code"],
            line["ms"],
            self._container.notes.milliseconds,
            throttled=line["code"] == KmsThrottled.code,
        )
        return embedded(function, measured, int(time.time() * 1000))


def call_seconds(context: Any, calls: int = _CALLS) -> float:
    """Return how long one call may take, in seconds, so that so many fit into what Lambda has left.

    Clients live as long as the container, so the first request's time counts; later ones make fewer calls.
    """
    try:
        left = float(context.get_remaining_time_in_millis()) / 1000
    except (AttributeError, TypeError):
        left = _USUAL_TIMEOUT
    return max(_SHORTEST_CALL, (left - _MARGIN) / calls)


def handle(event: Any, context: Any) -> dict[str, Any]:
    """Lambda's entry point. Clients, signer and treasury live as long as the container."""
    return _function()(event, context)


@cache
def _function() -> SigningFunction:
    return SigningFunction(dict(os.environ), _log, Edges())


def _log(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _asked(request: AnyRequest) -> dict[str, Any]:
    """Return what the log says of a request before anything is decided: nothing of anybody else's."""
    if isinstance(request, DigestRequest):
        digest = "0x" + request.digest.hex()
        return {"kind": "digest", "scheme": request.scheme.value, "digest": digest}
    kind = "transaction" if isinstance(request, TransactionRequest) else "approval"
    return {"kind": kind, "scheme": request.scheme.value}


def _told(answer: Answer) -> dict[str, Any]:
    """Return what the log says of a signature; the sentence is the one that callers and receipts have."""
    return {
        "code": "ok",
        "address": answer.signed.address,
        "digest": "0x" + answer.signed.digest.hex(),
        "receipt": answer.policy["receipt"],
        "sentence": answer.policy["sentence"],
    }


def _described(error: BursarError) -> dict[str, Any]:
    """Return what the log says of an error. Refusals of input keep their message back: it may quote the caller."""
    described: dict[str, Any] = {"code": error.code}
    if isinstance(error, KmsError) and error.request_id:
        described["kmsRequestId"] = error.request_id
    if isinstance(error, PolicyViolation):
        described["rule"] = error.rule
    if not is_callers_fault(error):
        described["cause"] = error.message[:300]
    return described
