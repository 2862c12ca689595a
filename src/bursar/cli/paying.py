"""`bursar transfer send|start|sign|approve`: pay, in one go or step by step."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bursar.chains.evm import Scheme
from bursar.cli import connect
from bursar.cli import office as offices
from bursar.cli.shell import Shell, shared_options
from bursar.errors import RequestError
from bursar.transfers.states import Hold

if TYPE_CHECKING:
    from bursar.cli.office import Office
    from bursar.crossmint.models import Transaction
    from bursar.signing_contract import Answer
    from bursar.transfers.intent import TransferIntent
    from bursar.transfers.record import Transfer

F = TypeVar("F", bound=Callable[..., Any])

WALLET = click.option("--wallet", metavar="LOCATOR", help="Another wallet than the settings'.")
VIA = click.option(
    "--via",
    type=click.Choice(["api", "lambda", "kms"]),
    help="Ask the deployed API, its function, or KMS from here [default: the settings', api].",
)


BLIND = click.option(
    "--blind",
    is_flag=True,
    help="Ask for the bare hash, reviewed here alone; for a signer that has no policy, or whose policy allows it.",
)


WAIT = click.option(
    "--wait",
    type=click.FloatRange(0, 86_400),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the end; it is written down and can be resumed.",
)


def _payment_options(function: F) -> F:
    for option in (
        click.option(
            "--to",
            "recipient",
            required=True,
            metavar="RECIPIENT",
            help="An address, or a user as in email:ada@example.com.",
        ),
        click.option("--amount", required=True, help="Decimal, in whole tokens: 25.00."),
        click.option("--token", metavar="LOCATOR", help="Another token than the settings'."),
        WALLET,
    ):
        function = option(function)
    return function


def _new_transfer_options(function: F) -> F:
    for option in (
        click.option(
            "--id",
            "transfer_id",
            help="Your id of this payment. The same id is never paid twice [default: a new one].",
        ),
        click.option(
            "--direct",
            is_flag=True,
            help="Pay straight from the wallet, without compliance checks.",
        ),
    ):
        function = option(function)
    return _payment_options(function)


@click.command("send")
@_new_transfer_options
@VIA
@BLIND
@click.option("--yes", is_flag=True, help="Do not ask for confirmation; needs --id.")
@WAIT
@shared_options
@click.pass_obj
def send(
    shell: Shell, /, *, via: str | None, blind: bool, yes: bool, wait: float, **options: Any
) -> None:
    """Pay, and wait until it landed.

    Start → review → sign → approve → wait. You are asked once Crossmint has built the transaction and it is known
    what it really does. It is written down first: whatever happens, `bursar transfer resume ID`, or the same
    command again, goes on where it stopped and never pays twice.
    """
    if options["transfer_id"] is None and (yes or shell.json):
        raise RequestError(
            "a payment that nobody confirms needs your own id",
            hint="give --id: should the answer be lost, the same id finds out and never pays twice",
        )
    intent = _intent(shell, **options)
    _announce(shell, intent)
    if not yes:
        shell.require_answerable("Pay?")
    with offices.office(shell, intent.wallet, via=via, blind=blind) as office:
        found = offices.new_transfer(office, intent, confirmed=yes)
        if found.standing.stage.value == "settled":
            shell.say(f"it was paid before, by {found.updated_at}: nothing is paid now")
        found = office.run(found.key, wait)
        if found.standing.hold is Hold.CONFIRMATION:
            found = confirmed(office, found, wait)
        found = offices.require_settled(office, found)
    shell.result(offices.data(found))


@click.command("start")
@_new_transfer_options
@WAIT
@shared_options
@click.pass_obj
def start(shell: Shell, /, *, wait: float, **options: Any) -> None:
    """Start a transfer and have it screened.

    Crossmint then waits for the signature. Nothing is paid yet.
    """
    intent = _intent(shell, **options)
    _announce(shell, intent)
    with offices.office(shell, intent.wallet, signs=False) as office:
        found = offices.new_transfer(office, intent, confirmed=False)
        # What somebody said yes to is on its way: here nothing can be signed.
        if not found.standing.is_confirmed:
            found = office.run(found.key, wait)
            if found.standing.hold is not Hold.CONFIRMATION:
                offices.require_settled(office, found)
    shell.result(offices.data(found))


@click.command("sign")
@click.argument("transaction_id")
@_payment_options
@click.option(
    "--id",
    "transfer_id",
    help="Your id of this payment, as you started it: it is never signed twice.",
)
@VIA
@BLIND
@shared_options
@click.pass_obj
def sign(
    shell: Shell, /, *, transaction_id: str, via: str | None, blind: bool, **options: Any
) -> None:
    """Sign a transfer, if it pays exactly what you say.

    What the transaction really does is worked out here and once more by the signer, which then asks its policy.
    One that pays somebody else, another amount or another token, or does anything besides, is not signed. The
    signature is not handed in; `bursar transfer approve` does that.
    """
    from bursar.crossmint.locators import SignerLocator
    from bursar.transfers import steps
    from bursar.transfers.intent import require_match

    own_id = options.pop("transfer_id")
    intent = _intent(shell, transfer_id=own_id or transaction_id, direct=False, **options)
    with offices.journal(shell) as book, offices.crossmint(shell, book) as client:
        transaction = connect.transaction(client, intent.wallet, transaction_id)
        sender = connect.treasury_wallet(client, intent.wallet).address
        require_match(transaction, intent, sender)
        address = connect.signer_address(shell, client, intent.wallet)
        locator = str(SignerLocator.external_wallet(address))
        found = connect.reading(shell).review(transaction, intent, locator, sender)
        shell.say(found.sentence)
        with (
            connect.treasury(shell, address, via, blind=blind) as signer,
            shell.waiting("signing"),
        ):
            answer = steps.sign(transaction, found, signer, _scheme(shell), own_id)
    shell.result({**shown_by_crossmint(transaction), **_signed(answer), "review": found.sentence})


@click.command("approve")
@click.argument("transaction_id")
@click.option(
    "--signature", required=True, metavar="0xHEX", help="As `bursar transfer sign` prints it."
)
@click.option("--no-wait", is_flag=True, help="Do not wait until it landed.")
@WALLET
@shared_options
@click.pass_obj
def approve(
    shell: Shell, *, transaction_id: str, signature: str, no_wait: bool, wallet: str | None
) -> None:
    """Hand a signature in and wait until it landed.

    The transaction is then broadcast. Scope: wallets:transactions.sign.

    A signature that is not the wallet's signer's, over this transaction, is not handed in.
    """
    locator = connect.wallet_locator(shell, wallet)
    with offices.office(shell, locator, signs=False) as office:
        transaction = connect.transaction(office.client, locator, transaction_id)
        kept = office.journal.by_transaction(office.treasury, transaction_id)
        if kept is not None:
            shell.context["transfer_id"] = kept.id
            kept = _take_signature(office, kept, transaction, signature)
            shell.result(offices.data(_finish(office, kept, wait=not no_wait)))
            return
        with shell.waiting("handing in the approval") as report:
            landed = _hand_in(office, transaction, signature, None if no_wait else report)
    shell.result(shown_by_crossmint(landed))


def confirmed(office: Office, transfer: Transfer, wait: float) -> Transfer:
    """Show what will be signed, ask, and go on. Where the answer is no, the transfer waits on."""
    from bursar.transfers import orders

    sentence = str(transfer.standing.known.get("sentence", ""))
    office.shell.say(sentence)
    office.shell.confirm("Pay?", yes=False)
    said = orders.confirm(office.journal, transfer, offices.somebody())
    return office.run(said.key, wait)


def _take_signature(
    office: Office, transfer: Transfer, transaction: Transaction, signature: str
) -> Transfer:
    """Write down a signature that was made elsewhere, once it is proved to be over this transaction."""
    from bursar.transfers import orders, steps

    if transfer.standing.is_final or transaction.submitted_by(office.desk.locator):
        return transfer
    scheme = _scheme(office.shell)
    proved = steps.proved_approval(transaction, office.desk.locator, signature, scheme)
    found = office.run(transfer.key, 30) if transfer.standing.stage.value == "created" else transfer
    return orders.signed_elsewhere(
        office.journal, found, proved.signature, office.desk.locator, offices.somebody()
    )


def _finish(office: Office, transfer: Transfer, *, wait: bool) -> Transfer:
    from bursar.transfers.states import Stage

    if wait:
        return offices.require_settled(office, office.run(transfer.key, 120))
    while transfer.standing.stage in {Stage.SIGNED, Stage.APPROVING} and not transfer.standing.hold:
        transfer = office.desk.advance(transfer.key).transfer
    return transfer


def _hand_in(
    office: Office,
    transaction: Transaction,
    signature: str,
    report: Callable[[str], None] | None,
) -> Transaction:
    """Hand in the signature of a transaction that the journal does not know, and wait if there is a `report`."""
    from bursar.crossmint.locators import WalletLocator
    from bursar.transfers import steps

    wallet, who = WalletLocator.parse(office.treasury), office.desk.locator
    if not (transaction.is_final or transaction.submitted_by(who)):
        approval = steps.proved_approval(transaction, who, signature, _scheme(office.shell))
        transaction = steps.approve(office.client, wallet, transaction.id, approval)
    if report is None:
        return transaction
    return steps.settle(
        office.client,
        wallet,
        transaction.id,
        steps.Patience(),
        lambda status: report(f"waiting: {status}"),
    )


def _intent(
    shell: Shell,
    *,
    recipient: str,
    amount: str,
    token: str | None,
    wallet: str | None,
    transfer_id: str | None,
    direct: bool,
) -> TransferIntent:
    from bursar.crossmint.locators import RecipientLocator, TokenLocator
    from bursar.transfers.intent import TransferIntent, TransferType

    return TransferIntent(
        transfer_id or f"t-{secrets.token_hex(8)}",
        connect.wallet_locator(shell, wallet),
        TokenLocator.parse(token or shell.config.wallet.token),
        RecipientLocator.parse(recipient),
        amount,
        TransferType.DIRECT if direct else TransferType.REGULATED,
    )


def _announce(shell: Shell, intent: TransferIntent) -> None:
    """Say the transfer's id now, and along with any error later: it is what leads back to the payment."""
    shell.context["transfer_id"] = intent.id
    shell.say(f"transfer {intent.id}: {intent}")


def _scheme(shell: Shell) -> Scheme:
    return Scheme(shell.config.signer.scheme)


def _signed(answer: Answer) -> dict[str, Any]:
    signed, policy = answer.signed, answer.policy
    return {
        "digest": "0x" + signed.digest.hex(),
        "signature": signed.signature.to_hex(),
        "signed_by": signed.address,
        "signing_request_id": signed.request_id,
        "policy": policy.get("hash"),
        "receipt": _receipt(policy.get("receipt")),
    }


def _receipt(receipt: dict[str, Any] | None) -> str | None:
    return f"{receipt['number']}:{receipt['hash']}" if receipt else None


def shown_by_crossmint(transaction: Transaction) -> dict[str, Any]:
    """Return a transaction as `--json` prints it where the journal does not know it."""
    sent = transaction.send_params
    problem = transaction.error
    return {
        "id": None,
        "transaction_id": transaction.id,
        "status": transaction.status_text,
        "amount": sent.params.amount if sent else None,
        "token": sent.token if sent else None,
        "recipient": (sent.params.recipient_address or sent.params.recipient) if sent else None,
        "message": transaction.user_operation_hash,
        "waiting_for": ", ".join(transaction.waiting_for()) or None,
        "chain_transaction": transaction.on_chain.tx_id,
        "error": (problem.message or problem.reason) if problem else None,
    }
