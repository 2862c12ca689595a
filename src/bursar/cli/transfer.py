"""`bursar transfer`: pay, in one go or step by step."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bursar.chains.evm import Scheme
from bursar.cli import connect
from bursar.cli.shell import Shell, shared_options

if TYPE_CHECKING:
    from bursar.crossmint.models import Transaction
    from bursar.transfers.intent import TransferIntent

F = TypeVar("F", bound=Callable[..., Any])

WALLET = click.option("--wallet", metavar="LOCATOR", help="Another wallet than the settings'.")
VIA = click.option(
    "--via",
    type=click.Choice(["api", "lambda", "kms"]),
    help="Ask the deployed API, its function, or KMS from here [default: the settings', api].",
)
YES = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


def _intent_options(function: F) -> F:
    for option in (
        click.option(
            "--to", "recipient", required=True, metavar="RECIPIENT", help="Address or user."
        ),
        click.option("--amount", required=True, help="Decimal, in whole tokens: 25.00."),
        click.option("--token", metavar="LOCATOR", help="Another token than the settings'."),
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
        WALLET,
    ):
        function = option(function)
    return function


@click.group("transfer")
def command() -> None:
    """Start, sign, approve and follow transfers."""


@command.command("send")
@_intent_options
@VIA
@YES
@shared_options
@click.pass_obj
def send(shell: Shell, /, *, via: str | None, yes: bool, **options: Any) -> None:
    """Pay: start → check → sign → approve → wait until it landed.

    If it is interrupted, run it again with the same --id: it goes on where it stopped and never pays twice.
    """
    from bursar.transfers.steps import Treasurer

    intent = _intent(shell, **options)
    shell.say(f"transfer {intent.id}: {intent}")
    shell.confirm("Pay?", yes=yes)
    with connect.crossmint(shell) as client:
        address = connect.signer_address(shell, client, intent.wallet)
        with (
            connect.signer(shell, address, via) as signer,
            shell.waiting("starting") as report,
        ):
            treasurer = Treasurer(client, signer, Scheme(shell.config.signer.scheme))
            payment = treasurer.send(intent, report)
    data = _data(payment.transaction, intent)
    if payment.signed:
        data["signed_by"] = payment.signed.address
        data["digest"] = "0x" + payment.signed.digest.hex()
        data["signature"] = payment.signed.signature.to_hex()
        data["signing_request_id"] = payment.signed.request_id
    shell.result(data)


@command.command("start")
@_intent_options
@shared_options
@click.pass_obj
def start(shell: Shell, /, **options: Any) -> None:
    """Start a transfer: Crossmint screens it and waits for the signature. Nothing is paid yet."""
    from bursar.crossmint.locators import SignerLocator
    from bursar.transfers.steps import Patience, start_when_cleared

    intent = _intent(shell, **options)
    shell.say(f"transfer {intent.id}: {intent}")
    with connect.crossmint(shell) as client, shell.waiting("asking Crossmint for the transfer"):
        address = connect.signer_address(shell, client, intent.wallet)
        locator = SignerLocator.external_wallet(address)
        transaction = start_when_cleared(client, intent, locator, Patience())
    shell.result(_data(transaction, intent))


@command.command("sign")
@click.argument("transaction_id")
@WALLET
@VIA
@YES
@shared_options
@click.pass_obj
def sign(
    shell: Shell, *, transaction_id: str, wallet: str | None, via: str | None, yes: bool
) -> None:
    """Sign a waiting transaction, after showing what it says it pays. It does not hand the signature in."""
    from bursar.crossmint.locators import SignerLocator
    from bursar.transfers.intent import describe
    from bursar.transfers.steps import sign as sign_transaction

    locator = connect.wallet_locator(shell, wallet)
    with connect.crossmint(shell) as client:
        transaction = client.get_transaction(locator, transaction_id)
        address = connect.signer_address(shell, client, locator)
        shell.say(describe(transaction))
        shell.confirm("Sign it?", yes=yes)
        with connect.signer(shell, address, via) as signer, shell.waiting("signing"):
            who = SignerLocator.external_wallet(address)
            signed = sign_transaction(transaction, who, signer, Scheme(shell.config.signer.scheme))
    shell.result(
        {
            "transaction_id": transaction.id,
            "message": transaction.user_operation_hash,
            "digest": "0x" + signed.digest.hex(),
            "signature": signed.signature.to_hex(),
            "signed_by": signed.address,
            "signing_request_id": signed.request_id,
        }
    )


@command.command("approve")
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
    """Hand a signature in; the transaction is then broadcast. Scope: wallets:transactions.sign."""
    from bursar.crossmint.locators import SignerLocator
    from bursar.crossmint.requests import Approval
    from bursar.transfers import steps

    locator = connect.wallet_locator(shell, wallet)
    with connect.crossmint(shell) as client:
        address = connect.signer_address(shell, client, locator)
        who = SignerLocator.external_wallet(address)
        with shell.waiting("handing in the approval") as report:
            approval = Approval(signer=str(who), signature=signature)
            transaction = steps.approve(client, locator, transaction_id, approval)
            if not no_wait:
                transaction = steps.settle(
                    client,
                    locator,
                    transaction_id,
                    steps.Patience(),
                    lambda status: report(f"waiting: {status}"),
                )
    shell.result(_data(transaction))


@command.command("show")
@click.argument("transaction_id")
@WALLET
@shared_options
@click.pass_obj
def show(shell: Shell, *, transaction_id: str, wallet: str | None) -> None:
    """Show where a transfer stands. Scope: wallets:transactions.read."""
    with connect.crossmint(shell) as client:
        locator = connect.wallet_locator(shell, wallet)
        shell.result(_data(client.get_transaction(locator, transaction_id)))


def _intent(
    shell: Shell,
    *,
    recipient: str,
    amount: str,
    token: str | None,
    transfer_id: str | None,
    direct: bool,
    wallet: str | None,
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


def _data(transaction: Transaction, intent: TransferIntent | None = None) -> dict[str, Any]:
    sent = transaction.send_params
    problem = transaction.error
    return {
        "id": intent.id if intent else None,
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
