"""What one container of the signing function keeps: the key's signer and, with a policy, its treasury.

Both are opened when the first request needs them, and a failure is not kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bursar.aws.environment import (
    ALLOWED,
    BLIND_SIGNING,
    KEY,
    LEDGER_TABLE,
    POLICY_FILE,
    POLICY_HASH,
    SIGNER_ADDRESS,
)
from bursar.chains import evm
from bursar.chains.evm import KmsSignRequest
from bursar.errors import ConfigError, InputError, KmsError, Refused
from bursar.kms.client import KmsClient, Limits
from bursar.kms.names import parse_key_name
from bursar.kms.wire import KmsPublicKey, KmsSignature
from bursar.ledger.book import Book, Pace
from bursar.ledger.store import Store
from bursar.policy.rulebook import Rulebook
from bursar.signer import KmsDataPlane, KmsSigner
from bursar.signing.treasury import Treasury
from bursar.signing_contract import AnyRequest, require_signer


@dataclass
class Notes:
    """What is to be told of the KMS call of one request: its id, the attempts without an answer, milliseconds."""

    kms_request_id: str = ""
    unanswered: int = 0
    milliseconds: float | None = None


def _open_kms(seconds: float) -> KmsDataPlane:
    return KmsClient.from_environment(limits=Limits(deadline=seconds))


def _open_store(table: str, seconds: float) -> Store:
    from bursar.aws.ledger_table import LIMITS, LedgerTable

    return LedgerTable.from_environment(table, limits=replace(LIMITS, deadline=seconds))


def _read_policy() -> bytes:
    # The zip's root is what bursar's own package lies in. Without pathlib, which a cold start would pay for.
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120
    with open(os.path.join(root, POLICY_FILE), "rb") as file:  # noqa: PTH118, PTH123
        return file.read()


@dataclass(frozen=True, slots=True)
class Edges:
    """What a container reaches: KMS and the ledger's table, given how long a call may take, and its own files."""

    open_kms: Callable[[float], KmsDataPlane] = _open_kms
    open_store: Callable[[str, float], Store] = _open_store
    read_policy: Callable[[], bytes] = _read_policy


class Container:
    """The signer and the treasury of one container. `notes` is about the request at hand."""

    def __init__(self, environ: Mapping[str, str], edges: Edges) -> None:
        self._environ = environ
        self._edges = edges
        self._signer: KmsSigner | None = None
        self._treasury: Treasury | None = None
        self.notes = Notes()

    @property
    def has_policy(self) -> bool:
        """Whether the deployment has a policy. One that has lost half of it still has one, and fails."""
        return POLICY_HASH in self._environ or LEDGER_TABLE in self._environ

    @property
    def blind_signing(self) -> bool:
        """Whether the deployment signs bare hashes."""
        return self._environ.get(BLIND_SIGNING) == ALLOWED

    def signer_for(self, request: AnyRequest, seconds: float) -> KmsSigner:
        """Return the signer, once the request is known to be for the address the deployment is pinned to.

        Raises:
            SignerMismatch: it is for another one; KMS was not called.
            ConfigError: the key is not what the settings say.
            KmsError: KMS refused or could not be reached.
        """
        expected = self._environ.get(SIGNER_ADDRESS)
        if expected:
            require_signer(request, _setting_address(expected))
        return self.signer(seconds)

    def signer(self, seconds: float) -> KmsSigner:
        """Return the signer, opened now if this is its first use. `seconds` is for each call of KMS."""
        if self._signer is None:
            self._signer = self._open(seconds)
        return self._signer

    def treasury(self, seconds: float) -> Treasury:
        """Return the treasury, opened now if this is its first use. `seconds` is for each call it makes.

        Raises:
            ConfigError: the policy is not the one that was deployed, or there is no ledger.
        """
        if self._treasury is None:
            self._treasury = self._open_treasury(seconds)
        return self._treasury

    def _open_treasury(self, seconds: float) -> Treasury:
        table = self._environ.get(LEDGER_TABLE)
        if not table:
            raise ConfigError(f"{LEDGER_TABLE} is not set")
        # Reading may take all of it; what is written then, and looked up, are calls of a third each.
        store = self._edges.open_store(table, seconds / 3)
        book = Book(store, self._key_arn(), Pace(deadline=seconds))
        return Treasury(
            self._rules(), book, lambda: self.signer(seconds), blind_signing=self.blind_signing
        )

    def _rules(self) -> Rulebook:
        try:
            rules = Rulebook.read(self._edges.read_policy(), POLICY_FILE)
        except OSError:
            raise ConfigError("the policy is not in the function's code") from None
        if rules.hash != self._environ.get(POLICY_HASH):
            raise ConfigError(f"the policy's hash is not {POLICY_HASH}: it was changed")
        return rules

    def _key_id(self) -> str:
        key_id = self._environ.get(KEY)
        if not key_id:
            raise ConfigError(f"{KEY} is not set")
        return key_id

    def _key_arn(self) -> str:
        """Return the key's ARN, by which its ledger is found: another name for it would find an empty one."""
        key_id = self._key_id()
        if not parse_key_name(key_id).is_key_arn:
            raise ConfigError(f"{KEY} is not the ARN of a key, which a policy needs")
        return key_id

    def _open(self, seconds: float) -> KmsSigner:
        key_id, expected = self._key_id(), self._environ.get(SIGNER_ADDRESS)
        try:
            kms = _Noting(self._edges.open_kms(seconds), self)
            return KmsSigner.open(kms, key_id, expected_address=expected)
        except (InputError, Refused) as error:
            # The caller did nothing wrong: the key behind this deployment is not what its settings say.
            raise ConfigError(error.message, hint=error.hint) from None


class _Noting:
    """KMS, telling the id of each signature it gives: one that fails the checks was made all the same.

    It also tells how many attempts got no answer: KMS may have signed in each, under an id that is not known here.
    And how many milliseconds each call of it took, whatever came of it.
    """

    def __init__(self, kms: KmsDataPlane, container: Container) -> None:
        self._kms = kms
        self._container = container

    def get_public_key(self, key_id: str) -> KmsPublicKey:
        return self._kms.get_public_key(key_id)

    def sign(self, key_arn: str, request: KmsSignRequest) -> KmsSignature:
        notes, began = self._container.notes, time.perf_counter()
        try:
            answer = self._kms.sign(key_arn, request)
        except KmsError as error:
            notes.unanswered = error.unanswered
            raise
        finally:
            notes.milliseconds = round((time.perf_counter() - began) * 1000, 1)
        notes.kms_request_id, notes.unanswered = answer.request_id, answer.unanswered
        return answer


def _setting_address(text: str) -> str:
    try:
        return evm.parse_address(text)
    except InputError:
        raise ConfigError(f"{SIGNER_ADDRESS} is not an EVM address") from None
