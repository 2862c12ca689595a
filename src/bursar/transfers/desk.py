"""What is done about a transfer, one step at a time. Each step may be repeated, by anybody, at any moment.

A step that may have acted before looks first: creating has the transfer's id as idempotency key, handing in reads
the transaction, signing is the same signature over the same digest. What it did is written into the journal before
the next step, on the condition that nobody else wrote since.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from bursar.chains.evm import Scheme
from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.locators import SignerLocator
from bursar.crossmint.models import Transaction
from bursar.crossmint.requests import Approval
from bursar.errors import (
    ApprovalAlreadyComplete,
    ApprovalAlreadySubmitted,
    BursarError,
    ConfigError,
    CrossmintOutcomeUnknown,
    IntentMismatch,
    NotAwaitingApproval,
    SignatureError,
    TransferError,
)
from bursar.signing_contract import Answer, TransactionSigner
from bursar.transfers import batches, consent, deployment, feeding, steps
from bursar.transfers.batch import require_batch
from bursar.transfers.intent import TransferIntent, is_handed_in, require_match
from bursar.transfers.journal import Journal, Overtaken, utc_now
from bursar.transfers.reading import Reading
from bursar.transfers.record import Asked, Key, Lane, Transfer
from bursar.transfers.sight import NoWitness, Witness
from bursar.transfers.states import Event, EventKind, Hold, Stage, Step, next_step
from bursar.transfers.troubles import happened
from bursar.transfers.watch import Watch

Trace = Callable[[str], None]
# Seconds from handing in to the first look, and between looks: what a block takes, then ever longer.
_FIRST_LOOK: Final = 1.0
_LONGEST_LOOK: Final = 15.0
# Each takes one more signature.
_MOST_REBUILDS: Final = 5
_ALARM: Final = "set chain.rpc_url to an endpoint of the chain that is paid on, and look again"
# Seconds until a line of a payout asks again whether its wallet is there: long enough to be put off meanwhile.
_UNTIL_THERE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Next:
    """What comes next: a step at once (0), or after so many seconds, or nothing (None): it is over or held."""

    wait: float | None
    transfer: Transfer


@dataclass(frozen=True, slots=True)
class Tools:
    """What a desk works with.

    Transfers of payouts are made through `bulk`, a client that leaves room for single ones; without it through
    `client` like those. `trace` is told each point that is passed: the seam for tests that end it there.
    """

    client: CrossmintClient
    signer: TransactionSigner
    scheme: Scheme = Scheme.EIP191
    reading: Reading = Reading()  # noqa: RUF009  a frozen value
    witness: Witness = field(default_factory=NoWitness)
    clock: Callable[[], datetime] = utc_now
    dice: Callable[[], float] = random.random
    trace: Trace = lambda _point: None
    bulk: CrossmintClient | None = None

    def client_for(self, transfer: Transfer) -> CrossmintClient:
        """Return the client of a transfer's lane."""
        bulk = self.bulk or self.client
        return bulk if transfer.lane is Lane.PAYOUT else self.client


class Desk:
    """Takes transfers of one treasury wallet's signer a step further. Safe to share between threads."""

    def __init__(self, journal: Journal, tools: Tools) -> None:
        self.journal, self._tools = journal, tools
        self._watches = {lane: Watch(client) for lane, client in _clients(tools)}
        # What was read, and up to which version nobody but this desk wrote since.
        self._fresh: dict[Key, tuple[int, Transaction]] = {}
        self._troubles: dict[Key, BursarError] = {}
        self._lock = threading.Lock()

    @property
    def locator(self) -> SignerLocator:
        """The signer as Crossmint names it."""
        return SignerLocator.external_wallet(self._tools.signer.address)

    def trouble_of(self, transfer: Transfer) -> BursarError | None:
        """Return the error that stopped a transfer here, as it was raised; None where it was elsewhere."""
        with self._lock:
            error = self._troubles.get(transfer.key)
        return error if error is not None and error.message == transfer.standing.reason else None

    def advance(self, key: Key, turn: int | None = None) -> Next:
        """Take the next step of a transfer, if there is one, and say when to come again.

        Whoever comes with an older `turn` than the transfer's does nothing: its work was begun anew elsewhere.

        Raises:
            UnknownTransfer: the journal has none. JournalError: it cannot be read or written; come again.
        """
        transfer = self.journal.get(key)
        if turn is not None and turn != transfer.turn:
            self._leave(transfer)
            return Next(None, transfer)
        if turn is not None and consent.is_asked_for(transfer):
            return self._tried(transfer, self._sign)
        if (early := self._too_early(transfer)) > 0:
            return Next(early, transfer)
        return self._tried(transfer, self._step)

    def _tried(self, transfer: Transfer, act: Callable[[Transfer], Next]) -> Next:
        # A failure counts only where nobody went on since: it must not stop what others brought further.
        try:
            return act(transfer)
        except Overtaken:
            self._forget(transfer)
            return self._give_way(transfer)
        except BursarError as error:
            return self._trouble(transfer, error)

    def _step(self, transfer: Transfer) -> Next:
        taken = {
            Step.CREATE: self._create,
            Step.REVIEW: self._review,
            Step.CONFIRM: self._ask_confirmation,
            Step.SIGN: self._sign,
            Step.HAND_IN: self._hand_in,
            Step.LOOK: self._look,
            Step.SETTLE: self._settle,
        }
        step = next_step(transfer.standing)
        if step is Step.STOP:
            self._leave(transfer)
            return Next(None, transfer)
        self._tools.trace(f"{step}:begin")
        return taken[step](transfer)

    def _create(self, transfer: Transfer) -> Next:
        if not self._is_running(transfer):
            return Next(None, transfer)
        if not deployment.may_go(self.journal, transfer.key):
            return Next(_FIRST_LOOK if transfer.place is None else _UNTIL_THERE, transfer)
        # What pays it cannot be in an earlier block; and a wrong chain is noticed before anything is made.
        block = transfer.standing.known.get("block") or self._tools.witness.height(transfer) or None
        return self._tried(self._write(transfer, EventKind.ASKED, block=block), self._ask)

    def _ask(self, transfer: Transfer) -> Next:
        made = self._make(transfer)
        self._tools.trace("create:answered")
        self._keep(transfer, made)
        return Next(0.0, self._write(transfer, EventKind.CREATED, transaction=made.id))

    def _is_running(self, transfer: Transfer) -> bool:
        """Tell whether its payout goes on. One that was paused hands it out again when it is resumed."""
        if transfer.place is None:
            return True
        with self.journal.reading() as connection:
            state = feeding.payout_state(connection, transfer.key.treasury, transfer.place.payout)
        return state == feeding.RUNNING

    def _make(self, transfer: Transfer) -> Transaction:
        client = self._tools.client_for(transfer)
        asked, sender = transfer.intent, transfer.key.treasury
        try:
            if isinstance(asked, TransferIntent):
                return steps.start(client, asked, self.locator, sender)
            meant = self._tools.reading.batch(asked)
            return steps.start_batch(client, asked, meant, self.locator, sender)
        except CrossmintOutcomeUnknown as unknown:
            if unknown.record_id is None:
                raise
            # It said what it made before it failed: looked up, it is known to be there.
            found = client.get_transaction(asked.wallet, unknown.record_id)
            self._require_match(found, asked, sender)
            return found

    def _require_match(self, found: Transaction, asked: Asked, sender: str) -> None:
        if isinstance(asked, TransferIntent):
            require_match(found, asked, sender)
        else:
            require_batch(found, self._tools.reading.batch(asked), sender)

    def _review(self, transfer: Transfer) -> Next:
        transaction = self._transaction(transfer)
        if self._is_handed_in(transaction):
            return self._approved(transfer, transaction)
        found = self._tools.reading.review(
            transaction, transfer.intent, str(self.locator), transfer.key.treasury
        )
        self._require_same_nonce(transfer, found.nonce)
        if found.deployment is None:
            deployment.is_there(self.journal, transfer.key.treasury)
        return Next(
            0.0,
            self._write(
                transfer,
                EventKind.REVIEWED,
                sentence=found.sentence,
                message="0x" + found.hash.hex(),
                digest="0x" + found.digest(self._tools.scheme).hex(),
                nonce=hex(found.nonce),
            ),
        )

    def _require_same_nonce(self, transfer: Transfer, nonce: int) -> None:
        # Of two operations of one nonce the chain takes one: so what was signed before cannot be paid besides.
        before = transfer.standing.known.get("nonce")
        if before is not None and before != hex(nonce):
            raise IntentMismatch(
                "Crossmint built the transaction anew, with another nonce than it had when it was reviewed",
                hint="do not approve it; show the transaction and ask Crossmint",
            )

    def _ask_confirmation(self, transfer: Transfer) -> Next:
        told = {
            "hold": Hold.CONFIRMATION.value,
            "code": "not_confirmed",
            "reason": "nobody has said yes to it yet",
            "hint": "bursar transfer resume",
        }
        self._forget(transfer)
        return Next(None, self._write(transfer, EventKind.HELD, **told))

    def _sign(self, transfer: Transfer) -> Next:
        transaction = self._transaction(transfer)
        if self._is_handed_in(transaction):
            return self._approved(transfer, transaction)
        if self._is_rebuilt(transfer, transaction):
            return self._rebuilt(transfer)
        found = self._tools.reading.review(
            transaction, transfer.intent, str(self.locator), transfer.key.treasury
        )
        tools = self._tools
        answer = steps.sign(transaction, found, tools.signer, tools.scheme, transfer.id)
        tools.trace("sign:answered")
        return Next(0.0, self._write(transfer, EventKind.SIGNED, **_signed(answer)))

    def _hand_in(self, transfer: Transfer) -> Next:
        transaction = self._transaction(transfer)
        if self._is_handed_in(transaction):
            return self._approved(transfer, transaction)
        if self._is_rebuilt(transfer, transaction):
            return self._rebuilt(transfer)
        approval = self._approval(transfer, transaction)
        # Of several signatures handed in, the first may be the one that pays: it is looked for from there on.
        block = transfer.standing.known.get("block") or self._tools.witness.height(transfer) or None
        marked = self._write(transfer, EventKind.HANDING_IN, block=block)
        return self._tried(marked, lambda it: self._submit(it, transaction, approval))

    def _look(self, transfer: Transfer) -> Next:
        """Go on with what may have been handed in: look whether it was."""
        transaction = self._read(transfer)
        if self._is_handed_in(transaction):
            return self._approved(transfer, transaction)
        if self._is_rebuilt(transfer, transaction):
            return self._rebuilt(transfer)
        return self._submit(transfer, transaction, self._approval(transfer, transaction))

    def _approval(self, transfer: Transfer, transaction: Transaction) -> Approval:
        signature = transfer.standing.known.get("signature")
        if not isinstance(signature, str):
            raise SignatureError("the journal has no signature of what is to be approved")
        return Approval(signer=transaction.pending_for(self.locator).locator, signature=signature)

    def _submit(self, transfer: Transfer, transaction: Transaction, approval: Approval) -> Next:
        client, wallet = self._tools.client_for(transfer), transfer.intent.wallet
        self._tools.trace("hand_in:marked")
        try:
            taken = client.approve_transaction(wallet, transaction.id, [approval])
        except (ApprovalAlreadySubmitted, ApprovalAlreadyComplete):
            taken = self._read(transfer)
        self._tools.trace("hand_in:answered")
        return self._approved(transfer, taken)

    def _approved(self, transfer: Transfer, transaction: Transaction) -> Next:
        written = self._write(transfer, EventKind.APPROVED, transaction=transaction.id)
        if transaction.is_final:
            self._keep(written, transaction)
            return Next(0.0, written)
        self._forget(transfer)
        return Next(_FIRST_LOOK, written)

    def _settle(self, transfer: Transfer) -> Next:
        transaction = self._fresh_or(transfer, self._seen)
        if not transaction.is_final:
            return Next(self._next_look(transfer), transfer)
        sight = self._tools.witness.see(transfer, transaction)
        if sight.event is None:
            return Next(self._next_look(transfer), transfer)
        self._tools.trace("settle:seen")
        written = self._end(transfer, Event(sight.event, sight.data))
        if sight.event is EventKind.SETTLED:
            deployment.is_there(self.journal, transfer.key.treasury)
        self._leave(written)
        return Next(None, written)

    def _end(self, transfer: Transfer, event: Event) -> Transfer:
        if event.kind is EventKind.HELD or not batches.is_batch(transfer):
            written = self.journal.append(transfer, event)
        elif event.kind is EventKind.FAILED:
            written = batches.split(self.journal, transfer, dict(event.data))
        else:
            written = batches.conclude(self.journal, transfer, event)
        self._tools.trace(f"{event.kind}:written")
        return written

    def look_again(self, key: Key) -> Transfer:
        """Hear both witnesses once more about a transfer that they contradict each other about; return it.

        Raises:
            TransferError: it is not contradicted. ConfigError: there is no second witness to hear.
            CrossmintError, ChainError: one could not be heard.
        """
        transfer = self.journal.get(key)
        if transfer.standing.stage is not Stage.CONTRADICTED:
            raise TransferError(f"transfer {key.id} is {transfer.standing.stage}, not contradicted")
        if isinstance(self._tools.witness, NoWitness):
            raise ConfigError("Crossmint's word alone ends no contradiction", hint=_ALARM)
        transaction = self._read(transfer)
        self._forget(transfer)
        if not transaction.is_final:
            return transfer
        sight = self._tools.witness.see(transfer, transaction)
        if sight.event not in {EventKind.SETTLED, EventKind.FAILED}:
            return transfer
        event = Event(sight.event, sight.data)
        if batches.is_batch(transfer):
            return batches.conclude(self.journal, transfer, event)
        return self.journal.append(transfer, event)

    def _next_look(self, transfer: Transfer) -> float:
        self._forget(transfer)
        approved = datetime.fromisoformat(transfer.updated_at)
        since = max(0.0, (self._tools.clock() - approved).total_seconds())
        return min(_LONGEST_LOOK, max(_FIRST_LOOK, since / 2))

    def _trouble(self, transfer: Transfer, error: BursarError) -> Next:
        self._forget(transfer)
        with self._lock:
            self._troubles[transfer.key] = error
        standing = transfer.standing
        now, dice = self._tools.clock(), self._tools.dice()
        event = happened(error, standing.stage, standing.attempts, now, dice)
        try:
            if consent.is_told(self.journal, transfer, event):
                return Next(consent.ask_in(transfer, now), transfer)
            if batches.spoils(transfer, error):
                told = {"code": error.code, "reason": error.message, "hint": error.hint}
                return Next(None, batches.split(self.journal, transfer, told))
            written = self.journal.append(transfer, event)
        except Overtaken:
            return self._give_way(transfer)
        return Next(self._too_early(written) if written.standing.hold is None else None, written)

    def _give_way(self, transfer: Transfer) -> Next:
        # Two that come back at once could take the same step from each other for as long as both ask Crossmint.
        return Next(self._tools.dice() * _FIRST_LOOK, transfer)

    def _too_early(self, transfer: Transfer) -> float:
        if transfer.standing.retry_at is None or transfer.standing.hold is not None:
            return 0.0
        at = datetime.fromisoformat(transfer.standing.retry_at)
        left = (at - self._tools.clock().astimezone(UTC)).total_seconds()
        # A clock that was put back must not make anybody wait for as long.
        delay = (at - datetime.fromisoformat(transfer.updated_at)).total_seconds()
        return left if left <= delay else 0.0

    def _write(self, transfer: Transfer, kind: EventKind, **data: Any) -> Transfer:
        written = self.journal.append(transfer, Event(kind, data))
        with self._lock:
            seen = self._fresh.get(transfer.key)
            if seen is not None and seen[0] == transfer.version:
                self._fresh[transfer.key] = (written.version, seen[1])
        self._tools.trace(f"{kind}:written")
        return written

    def _transaction(self, transfer: Transfer) -> Transaction:
        return self._fresh_or(transfer, self._read)

    def _fresh_or(self, transfer: Transfer, read: Callable[[Transfer], Transaction]) -> Transaction:
        with self._lock:
            version, found = self._fresh.get(transfer.key, (0, None))
        return read(transfer) if found is None or version != transfer.version else found

    def _read(self, transfer: Transfer) -> Transaction:
        found = self._tools.client_for(transfer).get_transaction(
            transfer.intent.wallet, str(transfer.standing.known["transaction"])
        )
        self._keep(transfer, found)
        return found

    def _seen(self, transfer: Transfer) -> Transaction:
        transaction = str(transfer.standing.known["transaction"])
        return self._watches[transfer.lane].look(transfer.intent.wallet, transaction)

    def _keep(self, transfer: Transfer, transaction: Transaction) -> None:
        with self._lock:
            self._fresh[transfer.key] = (transfer.version, transaction)

    def _forget(self, transfer: Transfer) -> None:
        with self._lock:
            self._fresh.pop(transfer.key, None)

    def _leave(self, transfer: Transfer) -> None:
        self._forget(transfer)
        if (transaction := transfer.standing.known.get("transaction")) is not None:
            watch = self._watches[transfer.lane]
            watch.forget(transfer.intent.wallet, str(transaction))

    def _is_handed_in(self, transaction: Transaction) -> bool:
        return is_handed_in(transaction, self.locator)

    def _is_rebuilt(self, transfer: Transfer, transaction: Transaction) -> bool:
        try:
            message = transaction.pending_for(self.locator).message
        except NotAwaitingApproval:
            return False
        return message.lower() != str(transfer.standing.known.get("message")).lower()

    def _rebuilt(self, transfer: Transfer) -> Next:
        if transfer.standing.rebuilds >= _MOST_REBUILDS:
            raise TransferError(
                f"Crossmint built the transaction anew {_MOST_REBUILDS} times",
                hint="each time it would be signed again: ask Crossmint, then resume it",
            )
        reason = "Crossmint built the transaction anew; it is reviewed and signed again"
        return Next(0.0, self._write(transfer, EventKind.REBUILT, reason=reason))


def _clients(tools: Tools) -> Iterator[tuple[Lane, CrossmintClient]]:
    yield Lane.SINGLE, tools.client
    yield Lane.PAYOUT, tools.bulk or tools.client


def _signed(answer: Answer) -> dict[str, Any]:
    signed, policy = answer.signed, answer.policy
    receipt = policy.get("receipt")
    return {
        "digest": "0x" + signed.digest.hex(),
        "signature": signed.signature.to_hex(),
        "signed_by": signed.address,
        "request_id": signed.request_id,
        "policy": policy.get("hash"),
        "receipt": f"{receipt['number']}:{receipt['hash']}" if receipt else None,
    }
