"""Everything a command needs to drive transfers: the journal, Crossmint, who signs, and the workflow engine."""

from __future__ import annotations

import getpass
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bursar.chains.evm import Scheme
from bursar.cli import connect
from bursar.cli.shell import Shell
from bursar.errors import (
    BursarError,
    SettlementContradicted,
    SettlementTimeout,
    TransferError,
    UnsupportedOperation,
    all_errors,
)

if TYPE_CHECKING:
    from bursar.crossmint.client import CrossmintClient
    from bursar.crossmint.locators import SignerLocator, WalletLocator
    from bursar.signing_contract import (
        Answer,
        ApprovalRequest,
        Consent,
        TransactionRequest,
        TransactionSigner,
    )
    from bursar.transfers.budget import SharedBudget
    from bursar.transfers.desk import Desk
    from bursar.transfers.intent import TransferIntent
    from bursar.transfers.journal import Journal
    from bursar.transfers.reading import Reading
    from bursar.transfers.record import Key, Place, Transfer
    from bursar.transfers.sight import Witness
    from bursar.transfers.workflow import Runner


@dataclass(frozen=True)
class Office:
    """An open journal and who drives its transfers of one wallet. `treasury` is the wallet's address."""

    shell: Shell
    journal: Journal
    client: CrossmintClient
    treasury: str
    runner: Runner

    @property
    def desk(self) -> Desk:
        """Where steps are taken."""
        return self.runner.desk

    def key(self, transfer_id: str) -> Key:
        """Return what names a transfer of this wallet."""
        from bursar.transfers.record import Key

        return Key(self.treasury, transfer_id)

    def run(self, key: Key, seconds: float) -> Transfer:
        """Drive a transfer until it is over or held, saying what happens; for at most so many seconds."""
        return self.runner.run(key, lambda each: self.shell.say(progress(each)), seconds)


@contextmanager
def journal(shell: Shell) -> Iterator[Journal]:
    """Open the settings' journal."""
    from bursar.transfers.journal import Journal

    url = shell.config.journal.url
    with Journal.open(url.get_secret_value() if url else None) as opened:
        yield opened


@contextmanager
def office(
    shell: Shell,
    wallet: WalletLocator,
    *,
    via: str | None = None,
    blind: bool = False,
    signs: bool = True,
    concurrency: int | None = None,
) -> Iterator[Office]:
    """Open everything it takes to drive a wallet's transfers. Without `signs` nothing can be signed."""
    from bursar.transfers.desk import Desk, Tools
    from bursar.transfers.workflow import Runner, Work

    with (
        journal(shell) as book,
        crossmint(shell, book) as client,
        crossmint(shell, book, "bulk") as bulk,
        ExitStack() as stack,
    ):
        found = connect.treasury_wallet(client, wallet)
        address = connect.admin_address(shell, found)
        with _signer(shell, address, via, blind=blind, signs=signs) as signer:
            scheme = Scheme(shell.config.signer.scheme)
            reading = connect.reading(shell)
            witness = _witness(shell, stack, reading)
            tools = Tools(client, signer, scheme, reading, witness, bulk=bulk)
            treasury = found.address.lower()
            work = Work(treasury, concurrency) if concurrency else None
            with Runner(Desk(book, tools), work) as runner:
                yield Office(shell, book, client, treasury, runner)


@contextmanager
def crossmint(shell: Shell, book: Journal, lane: str = "priority") -> Iterator[CrossmintClient]:
    """Open Crossmint's client within the budget of calls that all processes at a journal share.

    Raises:
        ConfigError: there is no API key. JournalError: the budget cannot be used.
    """
    with connect.crossmint(shell, _budget(shell, book, lane)) as client:
        yield client


class Late:
    """Crossmint's client, opened when it is first asked for: where there is nothing to ask, it need not be there.

    It is open for as long as `stack`. Safe to share between threads.
    """

    def __init__(
        self, shell: Shell, book: Journal, stack: ExitStack, lane: str = "priority"
    ) -> None:
        self._shell, self._book, self._stack, self._lane = shell, book, stack, lane
        self._lock = threading.Lock()
        self._client: CrossmintClient | None = None

    def __call__(self) -> CrossmintClient:
        """Return the client.

        Raises:
            ConfigError: there is no API key. JournalError: the budget cannot be used.
        """
        with self._lock:
            if self._client is None:
                opened = crossmint(self._shell, self._book, self._lane)
                self._client = self._stack.enter_context(opened)
            return self._client


@contextmanager
def bulk_crossmint(shell: Shell) -> Iterator[CrossmintClient]:
    """Open Crossmint's client for many calls that nobody waits for: transfers of their own go before them.

    Raises:
        ConfigError: there is no API key. JournalError: the journal, which holds the budget, cannot be used.
    """
    with journal(shell) as book, crossmint(shell, book, "bulk") as client:
        yield client


def _witness(shell: Shell, stack: ExitStack, reading: Reading) -> Witness:
    """Return who tells whether a transfer was paid: with `chain.rpc_url` the chain as well."""
    from bursar.settlement.chain_witness import ChainWitness, Looking
    from bursar.transfers.sight import NoWitness
    from bursar.transfers.witness import BothWitnesses

    settings = shell.config.chain
    if settings.rpc_url is None:
        return NoWitness()
    name = settings.name or shell.config.wallet.token.partition(":")[0]
    looking = Looking(confirmations=settings.confirmations)
    chain = stack.enter_context(ChainWitness(settings.rpc_url, name, looking=looking))
    return BothWitnesses(chain, reading)


def _budget(shell: Shell, book: Journal, lane: str) -> SharedBudget:
    """Return the project's budget of calls, which all processes at this journal share."""
    from bursar.crossmint.calls import ApiKey
    from bursar.transfers.budget import SharedBudget
    from bursar.transfers.pace import Lane

    key = ApiKey(connect.api_key(shell))
    budget = SharedBudget(book.engine, key.project, lane=Lane(lane))
    budget.prepare()
    return budget


@contextmanager
def _signer(
    shell: Shell, address: str, via: str | None, *, blind: bool, signs: bool
) -> Iterator[TransactionSigner]:
    if signs:
        with connect.treasury(shell, address, via, blind=blind) as opened:
            yield opened
    else:
        yield _Nobody(address)


@dataclass(frozen=True)
class _Nobody:
    """Stands where somebody signs, for what needs no signature."""

    address: str

    def sign_transaction(self, request: TransactionRequest) -> Answer:
        """Refuse."""
        raise UnsupportedOperation(f"{request.id} is not to be signed here")

    def consent(self, request: ApprovalRequest) -> Consent:
        """Refuse."""
        raise UnsupportedOperation(f"{request.signer} consents to nothing here")


def signer_locator(shell: Shell, client: CrossmintClient, wallet: WalletLocator) -> SignerLocator:
    """Return the wallet's signer as Crossmint names it."""
    from bursar.crossmint.locators import SignerLocator

    return SignerLocator.external_wallet(connect.signer_address(shell, client, wallet))


def somebody() -> str:
    """Return who sits here, for the journal: the machine's word, which proves nothing."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def new_transfer(
    office: Office, intent: TransferIntent, *, confirmed: bool, place: Place | None = None
) -> Transfer:
    """Write a transfer down, or find it again; what had stopped it before is tried again.

    Raises:
        TransferConflict: the id is another payment's. TransferEnded: it failed, or was cancelled.
    """
    from bursar.transfers import orders
    from bursar.transfers.journal import NewTransfer

    by = somebody() if confirmed else None
    new = NewTransfer(office.key(intent.id), intent, place=place, confirmed_by=by)
    found = office.journal.record(new)
    return orders.again(office.journal, found, by)


def progress(transfer: Transfer) -> str:
    """Return what is being done about a transfer, in a line."""
    standing = transfer.standing
    sentence = standing.known.get("sentence", "")
    if standing.retry_at and standing.reason:
        return f"waiting, then again: {standing.reason}"
    return {
        "recorded": "asking Crossmint for the transfer",
        "batched": "paid as part of a batch",
        "created": "looking at what it really does",
        "reviewed": f"signing: {sentence}" if standing.is_confirmed else "looked at",
        "signed": "signed",
        "approving": "handing in the approval",
        "approved": "waiting for it to land",
        "settled": "landed",
    }.get(standing.stage.value, f"{standing.stage.value}: {standing.reason or ''}")


def data(transfer: Transfer) -> dict[str, Any]:
    """Return a transfer as `--json` prints it."""
    standing = transfer.standing
    known = standing.known
    return {
        "id": transfer.id,
        "transaction_id": known.get("transaction"),
        "status": _STATUS.get(standing.stage.value, standing.stage.value),
        "stage": standing.stage.value,
        "held_for": standing.hold.value if standing.hold else None,
        **asked(transfer),
        "wallet": transfer.key.treasury,
        "review": known.get("sentence"),
        "message": known.get("message"),
        "digest": known.get("digest"),
        "signature": known.get("signature"),
        "signed_by": known.get("signed_by"),
        "signing_request_id": known.get("request_id"),
        "policy": known.get("policy"),
        "receipt": known.get("receipt"),
        "chain_transaction": known.get("chain_transaction"),
        "payout": transfer.place.payout if transfer.place else None,
        "batch": transfer.batch,
        "created_at": transfer.created_at,
        "updated_at": transfer.updated_at,
        "error": standing.reason,
    }


def asked(transfer: Transfer) -> dict[str, Any]:
    """Return what was asked for: amount, token, recipient and type; of a batch, how many payments."""
    from bursar.transfers.batch import BatchTransfer

    intent = transfer.intent
    if isinstance(intent, BatchTransfer):
        count = f"{len(intent.payments)} payments"
        return {"amount": None, "token": None, "recipient": count, "type": "batch"}
    return {
        "amount": intent.amount,
        "token": str(intent.token),
        "recipient": str(intent.recipient),
        "type": intent.type.value,
    }


# Crossmint's words for how a transaction ends, which scripts know.
_STATUS = {"settled": "success", "created": "awaiting-approval", "reviewed": "awaiting-approval"}


def require_settled(office: Office, transfer: Transfer) -> Transfer:
    """Return a transfer that landed.

    Raises:
        BursarError: what stopped it, as it was raised where that was here.
        SettlementContradicted: chain and Crossmint disagree. SettlementTimeout: it is still under way.
    """
    if transfer.standing.stage.value != "settled" and (error := office.desk.trouble_of(transfer)):
        raise error
    return require_over(office.journal, transfer)


def require_over(book: Journal, transfer: Transfer) -> Transfer:
    """Do `require_settled` for a transfer that others drive."""
    standing = transfer.standing
    if standing.stage.value == "settled":
        return transfer
    if standing.hold is None and not standing.is_final:
        raise SettlementTimeout(
            f"transfer {transfer.id} is still {standing.stage}"
            + (f": {standing.reason}" if standing.reason else ""),
            hint=f"it is written down and nothing is lost; go on with: bursar transfer resume {transfer.id}",
        )
    raise _trouble(book, transfer)


def _trouble(book: Journal, transfer: Transfer) -> BursarError:
    standing = transfer.standing
    reason = standing.reason or f"transfer {transfer.id} is {standing.stage}"
    hint = next((each.data.get("hint") for each in reversed(book.history(transfer.key))), None)
    if standing.stage.value == "contradicted":
        return SettlementContradicted(reason, hint=hint)
    kind = next((each for each in all_errors() if each.code == standing.code), TransferError)
    return kind(reason, hint=hint)
