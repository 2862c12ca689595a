"""The signing function: API Gateway or a direct invocation in, one KMS signature or one refusal out.

Lambda calls `bursar.aws.handler.handle`. Environment:

- `KMS_KEY_ID` (required): the key, by ARN, id, alias or alias ARN. Resolved and pinned once per container.
- `BURSAR_BLIND_SIGNING`: `allowed` lets it sign bare hashes. Anything else refuses them.
- `BURSAR_SIGNER_ADDRESS`: if set, the function refuses to work with any key of another address.
- `AWS_LAMBDA_FUNCTION_NAME`, which Lambda sets: what its metrics go by, which are part of its log line.

It needs `kms:GetPublicKey` once per container and `kms:Sign` per signature, on that one key. Both, one after the
other, end before Lambda's own timeout does: a slow KMS is an answer and a log line, not a killed container. It
imports the standard library, coincurve, pycryptodome's keccak and bursar's core, and nothing else: cold starts are
paid for.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from bursar.aws.environment import ALLOWED, BLIND_SIGNING, KEY, SIGNER_ADDRESS
from bursar.aws.events import caller_of, request_in, result_of
from bursar.aws.metrics import (
    ERRORS,
    FUNCTION_NAME,
    REFUSALS,
    SIGNATURES,
    Measured,
    Outcome,
    embedded,
)
from bursar.chains import evm
from bursar.chains.evm import KmsSignRequest
from bursar.errors import (
    BursarError,
    ConfigError,
    InputError,
    KmsError,
    KmsThrottled,
    Refused,
)
from bursar.kms.client import KmsClient, Limits
from bursar.kms.wire import KmsPublicKey, KmsSignature
from bursar.signer import KmsDataPlane, KmsSigner
from bursar.signing_contract import (
    DigestRequest,
    Reply,
    answer_body,
    fulfil,
    internal_failure,
    refusal,
    require_allowed,
    require_signer,
)

# Seconds. Lambda's default here where the context does not say; what reading, checking and logging may take.
_USUAL_TIMEOUT = 15.0
_MARGIN = 1.0
_SHORTEST_CALL = 0.1


class SigningFunction:
    """One container's signer: settings read once, KMS opened when the first allowed request needs it.

    `open_kms` is given how long one call of KMS may take, in seconds.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        open_kms: Callable[[float], KmsDataPlane],
        write_line: Callable[[str], object],
    ) -> None:
        self._environ = environ
        self._open_kms = open_kms
        self._write_line = write_line
        self._signer: KmsSigner | None = None
        self._kms_request_id = ""
        self._kms_unanswered = 0
        self._kms_ms: float | None = None
        self._outcome: Outcome = SIGNATURES

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer one event. Never raises: every failure is a reply, and every call is one log line."""
        began = time.perf_counter()
        line: dict[str, Any] = {"event": "sign", **caller_of(event)}
        self._kms_request_id, self._kms_unanswered, self._kms_ms = "", 0, None
        reply = self._reply(event, line, call_seconds(context))
        if self._kms_request_id:
            line["kmsRequestId"] = self._kms_request_id
        if self._kms_unanswered:
            line["kmsUnanswered"] = self._kms_unanswered
        line |= {
            "status": reply.status,
            "requestId": str(getattr(context, "aws_request_id", ""))[:64],
            "ms": _milliseconds_since(began),
        }
        self._write_line(json.dumps(line | self._metrics(line)))
        return result_of(event, reply)

    def _reply(self, event: Any, line: dict[str, Any], seconds: float) -> Reply:
        self._outcome = SIGNATURES
        try:
            return self._sign(event, line, seconds)
        except BursarError as error:
            self._outcome = REFUSALS if _is_callers_fault(error) else ERRORS
            line |= _described(error)
            return refusal(error)
        except Exception as error:  # noqa: BLE001  the caller must never see a trace
            self._outcome = ERRORS
            line |= {"code": "internal_error", "cause": type(error).__name__}
            return internal_failure()

    def _metrics(self, line: dict[str, Any]) -> dict[str, Any]:
        """Return what makes the line of a call its metrics too; nothing where no function has a name."""
        function = self._environ.get(FUNCTION_NAME)
        if not function:
            return {}
        throttled = line["code"] == KmsThrottled.code
        measured = Measured(
            self._outcome, line["code"], line["ms"], self._kms_ms, throttled=throttled
        )
        return embedded(function, measured, int(time.time() * 1000))

    def _sign(self, event: Any, line: dict[str, Any], seconds: float) -> Reply:
        blind = self._environ.get(BLIND_SIGNING) == ALLOWED
        request = require_allowed(request_in(event), blind_signing=blind)
        line |= {
            "kind": "digest",
            "scheme": request.scheme.value,
            "digest": "0x" + request.digest.hex(),
        }
        signed = fulfil(request, self._signer_for(request, seconds))
        line |= {"code": "ok", "address": signed.address}
        return Reply(200, answer_body(signed, request))

    def _signer_for(self, request: DigestRequest, seconds: float) -> KmsSigner:
        """Return the container's signer, opened now if this is its first use. A failure is not kept."""
        expected = self._environ.get(SIGNER_ADDRESS)
        if expected:
            require_signer(request, _setting_address(expected))
        if self._signer is None:
            self._signer = self._open(expected, seconds)
        return self._signer

    def _open(self, expected: str | None, seconds: float) -> KmsSigner:
        key_id = self._environ.get(KEY)
        if not key_id:
            raise ConfigError(f"{KEY} is not set")
        try:
            kms = _Noting(self._open_kms(seconds), self._note, self._time)
            return KmsSigner.open(kms, key_id, expected_address=expected)
        except (InputError, Refused) as error:
            # The caller did nothing wrong: the key behind this deployment is not what its settings say.
            raise ConfigError(error.message, hint=error.hint) from None

    def _note(self, kms_request_id: str, unanswered: int) -> None:
        self._kms_request_id, self._kms_unanswered = kms_request_id, unanswered

    def _time(self, milliseconds: float) -> None:
        self._kms_ms = milliseconds


class _Noting:
    """KMS, telling the id of each signature it gives: one that fails the checks was made all the same.

    It also tells how many attempts got no answer: KMS may have signed in each, under an id that is not known here.
    And how many milliseconds each call of it took, whatever came of it.
    """

    def __init__(
        self,
        kms: KmsDataPlane,
        note: Callable[[str, int], None],
        time_call: Callable[[float], None],
    ) -> None:
        self._kms = kms
        self._note = note
        self._time_call = time_call

    def get_public_key(self, key_id: str) -> KmsPublicKey:
        return self._kms.get_public_key(key_id)

    def sign(self, key_arn: str, request: KmsSignRequest) -> KmsSignature:
        began = time.perf_counter()
        try:
            answer = self._kms.sign(key_arn, request)
        except KmsError as error:
            self._note("", error.unanswered)
            raise
        finally:
            self._time_call(_milliseconds_since(began))
        self._note(answer.request_id, answer.unanswered)
        return answer


def call_seconds(context: Any) -> float:
    """Return how long one call of KMS may take, in seconds, so that two fit into what Lambda has left.

    The client lives as long as the container, so the first request's time counts; later ones make one call only.
    """
    try:
        left = float(context.get_remaining_time_in_millis()) / 1000
    except (AttributeError, TypeError):
        left = _USUAL_TIMEOUT
    return max(_SHORTEST_CALL, (left - _MARGIN) / 2)


def handle(event: Any, context: Any) -> dict[str, Any]:
    """Lambda's entry point. The KMS client and signer live as long as the container."""
    return _function()(event, context)


@cache
def _function() -> SigningFunction:
    return SigningFunction(dict(os.environ), _open_kms, _log)


def _open_kms(seconds: float) -> KmsClient:
    return KmsClient.from_environment(limits=Limits(deadline=seconds))


def _log(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _setting_address(text: str) -> str:
    try:
        return evm.parse_address(text)
    except InputError:
        raise ConfigError(f"{SIGNER_ADDRESS} is not an EVM address") from None


def _milliseconds_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


def _is_callers_fault(error: BursarError) -> bool:
    return isinstance(error, (InputError, Refused)) and not isinstance(error, ConfigError)


def _described(error: BursarError) -> dict[str, Any]:
    """Return what the log says of an error. Refusals of input keep their message back: it may quote the caller."""
    described: dict[str, Any] = {"code": error.code}
    if isinstance(error, KmsError) and error.request_id:
        described["kmsRequestId"] = error.request_id
    if not _is_callers_fault(error):
        described["cause"] = error.message[:300]
    return described
