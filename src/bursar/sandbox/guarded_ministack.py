"""Run ministack behind the guard, with a root key that has to be known.

Run by path under ministack's own Python with `-I`, so it imports the standard library and ministack alone.
As it comes, ministack 1.5.33 answers every `Host` and `Origin` with `Access-Control-Allow-Origin: *`, takes
`test` and any twelve digits (and an `Authorization` it cannot read) for the account's root without looking at the
signature, and lets anybody reset it. Whoever is root can make a Lambda function, which is code run as this user.

Here root is one key, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` of this process, and its signature is
checked as an IAM user's is. `condition_keys.py` adds what policies ask of a request and its credentials. Paths
under `/_ministack/` want `Authorization: Bearer <that secret>`, but for `/_ministack/ready`.
"""

from __future__ import annotations

import hmac
import importlib
import os
import runpy
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_GUARD = runpy.run_path(str(Path(__file__).with_name("guard.py")))
_KEYS = runpy.run_path(str(Path(__file__).with_name("condition_keys.py")))
_OPEN = {"/_ministack/ready"}
_PRIVATE = ("/_ministack/", "/_localstack/")


class AdminOnly:
    """ASGI 3 middleware that keeps ministack's own paths for who knows the root secret."""

    def __init__(self, app: Any, secret: str) -> None:
        self.app = app
        self.expected = f"Bearer {secret}".encode()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass on what is not private, or comes with the secret."""
        if self._private(scope) and not self._knows_the_secret(scope):
            message = "Refused by the sandbox: this path needs the root's secret."
            await _GUARD["refuse"](scope, send, message)
        else:
            await self.app(scope, receive, send)

    def _private(self, scope: dict[str, Any]) -> bool:
        path = scope.get("path", "")
        return path.startswith(_PRIVATE) and path not in _OPEN

    def _knows_the_secret(self, scope: dict[str, Any]) -> bool:
        given = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(given[0], self.expected)


def keep_one_root(evaluator: Any, root: str) -> None:
    """Make `root` the only root key of `ministack.core.iam_evaluator`, with a signature like any other's.

    Must come before other parts of ministack import from it.

    Raises:
        AttributeError: this is not the version of ministack it was written for.
    """
    pin = evaluator.pin_signed_request
    _ = (evaluator.is_root_access_key, evaluator._is_root_key)  # noqa: SLF001  must be there to be replaced
    pinning: ContextVar[bool] = ContextVar("bursar_pinning", default=False)

    def is_root(access_key_id: str) -> bool:
        return access_key_id == root

    def is_exempt(access_key_id: str) -> bool:
        return is_root(access_key_id) and not pinning.get()

    def pin_signed_request(*arguments: Any, **named: Any) -> Any:
        # It leaves the signatures of root keys unchecked, unless it takes root for a user meanwhile.
        token = pinning.set(True)
        try:
            return pin(*arguments, **named)
        finally:
            pinning.reset(token)

    evaluator.is_root_access_key = is_root
    evaluator._is_root_key = is_exempt  # noqa: SLF001  the name its own functions look up
    evaluator.pin_signed_request = pin_signed_request


def _roles() -> dict[str, Any]:
    iam: Any = importlib.import_module("ministack.services.iam")
    return dict(iam._roles.items())  # noqa: SLF001  it has no other name


def main() -> None:
    """Serve until SIGTERM, as `python -m ministack` does."""
    root, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    evaluator = importlib.import_module("ministack.core.iam_evaluator")
    keep_one_root(evaluator, root)
    _KEYS["fill"](evaluator, importlib.import_module("ministack.core.iam_actions"), _roles)
    runtime = importlib.import_module("ministack.core.lambda_runtime")
    _KEYS["fill_source_function"](evaluator, runtime)
    server: Any = importlib.import_module("ministack.app")
    # What its own main() serves.
    server.app = _GUARD["Guard"](AdminOnly(server.app, secret), int(os.environ["GATEWAY_PORT"]))
    server.main()


if __name__ == "__main__":
    main()
