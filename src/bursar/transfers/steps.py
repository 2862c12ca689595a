"""The steps of one transfer, in order: start, sign, approve, settle. Each may be repeated safely.

Nothing is stored here: Crossmint holds the transaction, and the caller's id is the idempotency key that leads back
to it. `desk.py` takes them one by one and writes down what came of each.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.locators import SignerLocator, WalletLocator
from bursar.crossmint.models import Transaction
from bursar.crossmint.requests import Approval, NewTransfer
from bursar.errors import (
    ApprovalAlreadyComplete,
    ApprovalAlreadySubmitted,
    IntentMismatch,
    MalformedSignature,
    SettlementTimeout,
    SignatureError,
)
from bursar.review.intent import BatchIntent
from bursar.review.report import Review
from bursar.signing_contract import Answer, TransactionRequest, TransactionSigner
from bursar.transfers.batch import BatchTransfer, new_transaction, require_batch
from bursar.transfers.intent import TransferIntent, message_to_sign, require_match

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: `deadline` in all; between looks `first_wait`, growing to `longest_wait`."""

    deadline: float = 120.0
    first_wait: float = 0.5
    longest_wait: float = 5.0
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def start(
    client: CrossmintClient, intent: TransferIntent, signer: SignerLocator, sender: str
) -> Transaction:
    """Create the transfer at Crossmint and return its transaction, which waits for our approval. One POST.

    `sender` is the wallet's address, which the user operation must be from. Repeating it with the same intent
    returns the same transaction: the intent's id is the idempotency key.

    Raises:
        ComplianceError: screening turned the recipient down; there is nothing to sign.
        CrossmintOutcomeUnknown: it may have been created; repeat with the same id to find out.
        IntentMismatch: what came back is not what was asked for.
        CrossmintError: anything else that Crossmint says.
    """
    body = NewTransfer(
        token=intent.token,
        recipient=intent.recipient,
        amount=intent.amount,
        signer=signer,
        transaction_type=intent.type.value,
    )
    transaction = client.create_transfer(intent.wallet, body, idempotency_key=intent.id)
    require_match(transaction, intent, sender)
    return transaction


def start_batch(
    client: CrossmintClient,
    batch: BatchTransfer,
    meant: BatchIntent,
    signer: SignerLocator,
    sender: str,
) -> Transaction:
    """Create a batch at Crossmint, as `start` a transfer. `meant` is the batch in the review's words. One POST.

    Raises:
        TransactionFailed: it cannot be built, or its simulation fails: one of its payments is wrong.
        CrossmintOutcomeUnknown: it may have been created; repeat with the same id to find out.
        IntentMismatch: what came back is not what was asked for.
        CrossmintError: anything else that Crossmint says.
    """
    body = new_transaction(meant, signer)
    transaction = client.create_transaction(batch.wallet, body, idempotency_key=batch.id)
    require_batch(transaction, meant, sender)
    return transaction


def sign(
    transaction: Transaction,
    found: Review,
    signer: TransactionSigner,
    scheme: Scheme,
    transfer_id: str | None = None,
) -> Answer:
    """Return a verified signature over what was reviewed here, which the signer reviews once more. One signature.

    Raises:
        SignatureError: it is over something else than was reviewed here.
        BursarError: whatever the signer raises.
    """
    if found.intent is None:
        raise IntentMismatch("the transaction was not compared with what was asked for")
    request = TransactionRequest(
        transaction.raw, found.intent, found.wallet, found.signer, scheme, transfer_id
    )
    answer = signer.sign_transaction(request)
    if answer.signed.digest != found.digest(scheme):
        raise SignatureError("the signature is over something else than was reviewed")
    return answer


def proved_approval(
    transaction: Transaction, locator: SignerLocator, signature: str, scheme: Scheme
) -> Approval:
    """Return the approval of a signature made elsewhere, once it is proved to be this signer's over this message.

    Raises:
        NotAwaitingApproval: nothing waits for this signer.
        MalformedSignature, WrongKey: it is not this signer's signature over this message under this scheme.
    """
    digest = evm.digest_of(message_to_sign(transaction, locator), scheme)
    try:
        proved = evm.parse_signature(
            bytes.fromhex(signature.removeprefix("0x")), digest, locator.value or ""
        )
    except ValueError:
        raise MalformedSignature("a signature is 0x and 130 hex digits") from None
    return Approval(signer=transaction.pending_for(locator).locator, signature=proved.to_hex())


def approve(
    client: CrossmintClient, wallet: WalletLocator, transaction_id: str, approval: Approval
) -> Transaction:
    """Hand the signature in and return the transaction. One POST; on enough approvals it is broadcast.

    A signature that was handed in before, and a transaction that is fully approved already, are not errors:
    the transaction is read instead.

    Raises:
        ApprovalRejected: Crossmint does not accept the signer or the signature.
        CrossmintOutcomeUnknown: it may have been taken; look with `settle` or repeat it.
    """
    try:
        return client.approve_transaction(wallet, transaction_id, [approval])
    except (ApprovalAlreadySubmitted, ApprovalAlreadyComplete):
        return client.get_transaction(wallet, transaction_id)


def settle(
    client: CrossmintClient,
    wallet: WalletLocator,
    transaction_id: str,
    patience: Patience,
    report: Report = lambda _status: None,
) -> Transaction:
    """Wait until the transaction is final and return it. Reads only.

    Raises:
        TransactionFailed: it failed, with Crossmint's reason.
        SettlementTimeout: it is not final yet; nothing is lost, look again later.
    """
    started = patience.now()
    wait = patience.first_wait
    while True:
        transaction = client.get_transaction(wallet, transaction_id)
        report(transaction.status_text)
        transaction.require_not_failed()
        if transaction.succeeded:
            return transaction
        if patience.now() - started + wait > patience.deadline:
            raise SettlementTimeout(
                f"transaction {transaction_id} is still {transaction.status_text}",
                hint=f"it goes on without us; look with: bursar transfer show {transaction_id}",
            )
        patience.sleep(wait)
        wait = min(wait * 1.5, patience.longest_wait)
