"""The signing function: API Gateway or a direct invocation in, one KMS signature or one refusal out.

Lambda calls `bursar.aws.handler.handle`. Environment:

- `KMS_KEY_ID` (required): the key, by ARN, id, alias or alias ARN. Resolved and pinned once per container.
- `BURSAR_BLIND_SIGNING`: `allowed` lets it sign bare hashes. Anything else refuses them.
- `BURSAR_SIGNER_ADDRESS`: if set, the function refuses to work with any key of another address.

It needs `kms:GetPublicKey` once per container and `kms:Sign` per signature, on that one key. It imports the
standard library, coincurve, pycryptodome's keccak and bursar's core, and nothing else: cold starts are paid for.
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
from bursar.chains import evm
from bursar.errors import (
    BursarError,
    ConfigError,
    InputError,
    KmsError,
    Refused,
)
from bursar.kms.client import KmsClient
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


class SigningFunction:
    """One container's signer: settings read once, KMS opened when the first allowed request needs it."""

    def __init__(
        self,
        environ: Mapping[str, str],
        open_kms: Callable[[], KmsDataPlane],
        write_line: Callable[[str], object],
    ) -> None:
        self._environ = environ
        self._open_kms = open_kms
        self._write_line = write_line
        self._signer: KmsSigner | None = None

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer one event. Never raises: every failure is a reply, and every call is one log line."""
        began = time.perf_counter()
        line: dict[str, Any] = {"event": "sign", **caller_of(event)}
        reply = self._reply(event, line)
        line |= {
            "status": reply.status,
            "requestId": str(getattr(context, "aws_request_id", ""))[:64],
            "ms": round((time.perf_counter() - began) * 1000, 1),
        }
        self._write_line(json.dumps(line))
        return result_of(event, reply)

    def _reply(self, event: Any, line: dict[str, Any]) -> Reply:
        try:
            return self._sign(event, line)
        except BursarError as error:
            line |= _described(error)
            return refusal(error)
        except Exception as error:  # noqa: BLE001  the caller must never see a trace
            line |= {"code": "internal_error", "cause": type(error).__name__}
            return internal_failure()

    def _sign(self, event: Any, line: dict[str, Any]) -> Reply:
        blind = self._environ.get(BLIND_SIGNING) == ALLOWED
        request = require_allowed(request_in(event), blind_signing=blind)
        line |= {
            "kind": "digest",
            "scheme": request.scheme.value,
            "digest": request.digest.hex()[:16],
        }
        signed = fulfil(request, self._signer_for(request))
        line |= {"code": "ok", "kmsRequestId": signed.request_id, "address": signed.address}
        return Reply(200, answer_body(signed, request))

    def _signer_for(self, request: DigestRequest) -> KmsSigner:
        """Return the container's signer, opened now if this is its first use. A failure is not kept."""
        expected = self._environ.get(SIGNER_ADDRESS)
        if expected:
            require_signer(request, _setting_address(expected))
        if self._signer is None:
            self._signer = self._open(expected)
        return self._signer

    def _open(self, expected: str | None) -> KmsSigner:
        key_id = self._environ.get(KEY)
        if not key_id:
            raise ConfigError(f"{KEY} is not set")
        try:
            return KmsSigner.open(self._open_kms(), key_id, expected_address=expected)
        except (InputError, Refused) as error:
            # The caller did nothing wrong: the key behind this deployment is not what its settings say.
            raise ConfigError(error.message, hint=error.hint) from None


def handle(event: Any, context: Any) -> dict[str, Any]:
    """Lambda's entry point. The KMS client and signer live as long as the container."""
    return _function()(event, context)


@cache
def _function() -> SigningFunction:
    return SigningFunction(dict(os.environ), KmsClient.from_environment, _log)


def _log(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _setting_address(text: str) -> str:
    try:
        return evm.parse_address(text)
    except InputError:
        raise ConfigError(f"{SIGNER_ADDRESS} is not an EVM address") from None


def _described(error: BursarError) -> dict[str, Any]:
    """Return what the log says of an error. Refusals of input keep their message back: it may quote the caller."""
    described: dict[str, Any] = {"code": error.code}
    if isinstance(error, KmsError) and error.request_id:
        described["kmsRequestId"] = error.request_id
    if not isinstance(error, (InputError, Refused)) or isinstance(error, ConfigError):
        described["cause"] = error.message[:300]
    return described
