"""Public keys, read once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bursar.errors import KmsProtocolError, KmsUnavailable
from bursar.kms.names import parse_key_name
from bursar.kms.wire import KmsPublicKey


class PublicKeys:
    """Remembers public keys by key ARN, and lets callers who ask at the same time share one call.

    A key ARN's public key never changes, so it is kept. An alias may move to another key, and a key id does not
    say whose account, so where those lead is asked each time. Failures are never kept.
    """

    def __init__(self, fetch: Callable[[str], KmsPublicKey]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._known: dict[str, KmsPublicKey] = {}
        self._asked: dict[str, _Question] = {}

    def get(self, key_id: str) -> KmsPublicKey:
        """Return a key's public key. At most one `kms:GetPublicKey` call, none for a known key ARN.

        Raises:
            ConfigError: not a name of a key.
            KmsProtocolError: the answer is about another key than was asked for.
            KmsError: KMS refused or could not be reached; all who shared the call get the same error.
        """
        name = parse_key_name(key_id)
        with self._lock:
            if known := self._known.get(key_id):
                return known
            question = self._asked.get(key_id)
            is_first = question is None
            if question is None:
                question = self._asked[key_id] = _Question()
        if is_first:
            question.settle(lambda: self._ask(key_id))
        answer = question.wait()
        if not name.is_alias and not answer.key_arn.endswith(f":key/{name.resource}"):
            raise KmsProtocolError("KMS answered about another key than was asked for")
        return answer

    def _ask(self, key_id: str) -> KmsPublicKey:
        try:
            answer = self._fetch(key_id)
        except BaseException:
            self._answered(key_id)
            raise
        self._answered(key_id, answer)
        return answer

    def _answered(self, key_id: str, answer: KmsPublicKey | None = None) -> None:
        with self._lock:
            del self._asked[key_id]
            if answer is not None:
                self._known[answer.key_arn] = answer


class _Question:
    """One call in flight and those who wait for it."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._answer: KmsPublicKey | None = None
        self._error: Exception | None = None

    def settle(self, ask: Callable[[], KmsPublicKey]) -> None:
        try:
            self._answer = ask()
        except Exception as error:  # noqa: BLE001  every waiter raises it again
            self._error = error
        finally:  # an interrupt goes to its own thread; the others are told below
            self._done.set()

    def wait(self) -> KmsPublicKey:
        self._done.wait()
        if self._answer is not None:
            return self._answer
        raise self._error or KmsUnavailable("the call that this one waited for was interrupted")
