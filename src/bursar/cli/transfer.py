"""`bursar transfer`: pay, in one go or step by step."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bursar.chains.evm import Scheme
from bursar.cli import connect
from bursar.cli.shell import Shell, shared_options
from bursar.errors import RequestError

if TYPE_CHECKING:
    from bursar.crossmint.client import CrossmintClient
    from bursar.crossmint.locators import WalletLocator
    from bursar.crossmint.models import Transaction
    from bursar.review.report import Review
    from bursar.signing_contract import Answer
    from bursar.transfers.intent import TransferIntent

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


@click.group("transfer")
def command() -> None:
    """Start, sign, approve and follow transfers."""


@command.command("send")
@_new_transfer_options
@VIA
@BLIND
@click.option("--yes", is_flag=True, help="Do not ask for confirmation; needs --id.")
@shared_options
@click.pass_obj
def send(shell: Shell, /, *, via: str | None, blind: bool, yes: bool, **options: Any) -> None:
    """Pay, and wait until it landed.

    Start → review → sign → approve → wait. You are asked once Crossmint has built the transaction and it is known
    what it really does. If it is interrupted, run it again with the same --id: it goes on where it stopped and
    never pays twice.
    """
    from bursar.transfers.steps import Treasurer

    if options["transfer_id"] is None and (yes or shell.json):
        raise RequestError(
            "a payment that nobody confirms needs your own id",
            hint="give --id: should the answer be lost, the same id finds out and never pays twice",
        )
    intent = _intent(shell, **options)
    _announce(shell, intent)
    if not yes:
        shell.require_answerable("Pay?")
    with connect.crossmint(shell) as client:
        address = connect.signer_address(shell, client, intent.wallet)
        with connect.treasury(shell, address, via, blind=blind) as signer:
            treasurer = Treasurer(
                client,
                signer,
                _scheme(shell),
                reading=connect.reading(shell),
                agree=lambda found: _agree(shell, found, yes=yes),
            )
            payment = treasurer.send(intent, shell.say)
    signed = _signed(payment.answer) if payment.answer else {}
    shell.result({**_data(payment.transaction, intent), **signed})


@command.command("start")
@_new_transfer_options
@shared_options
@click.pass_obj
def start(shell: Shell, /, **options: Any) -> None:
    """Start a transfer and have it screened.

    Crossmint then waits for the signature. Nothing is paid yet.
    """
    from bursar.crossmint.locators import SignerLocator
    from bursar.transfers.steps import Patience, start_when_cleared

    intent = _intent(shell, **options)
    _announce(shell, intent)
    with connect.crossmint(shell) as client, shell.waiting("asking Crossmint for the transfer"):
        address = connect.signer_address(shell, client, intent.wallet)
        locator = SignerLocator.external_wallet(address)
        transaction = start_when_cleared(client, intent, locator, Patience())
    shell.result(_data(transaction, intent))


@command.command("sign")
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
    with connect.crossmint(shell) as client:
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
    shell.result({**_data(transaction), **_signed(answer), "review": found.sentence})


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
    """Hand a signature in and wait until it landed.

    The transaction is then broadcast. Scope: wallets:transactions.sign.

    A signature that is not the wallet's signer's, over this transaction, is not handed in.
    """
    from bursar.transfers import steps

    locator = connect.wallet_locator(shell, wallet)
    with connect.crossmint(shell) as client, shell.waiting("handing in the approval") as report:
        transaction = _hand_in(shell, client, locator, transaction_id, signature)
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
    """Show where a transfer stands.

    TRANSACTION_ID is Crossmint's. Scope: wallets:transactions.read.
    """
    with connect.crossmint(shell) as client:
        locator = connect.wallet_locator(shell, wallet)
        shell.result(_data(connect.transaction(client, locator, transaction_id)))


def _hand_in(
    shell: Shell,
    client: CrossmintClient,
    wallet: WalletLocator,
    transaction_id: str,
    signature: str,
) -> Transaction:
    from bursar.crossmint.locators import SignerLocator
    from bursar.transfers import steps

    transaction = connect.transaction(client, wallet, transaction_id)
    who = SignerLocator.external_wallet(connect.signer_address(shell, client, wallet))
    if transaction.is_final or transaction.submitted_by(who):
        return transaction
    approval = steps.proved_approval(transaction, who, signature, _scheme(shell))
    return steps.approve(client, wallet, transaction_id, approval)


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


def _agree(shell: Shell, found: Review, *, yes: bool) -> None:
    """Show what will be signed, and ask. Where the answer is no, Crossmint's transaction waits on."""
    shell.say(found.sentence)
    shell.confirm("Pay?", yes=yes)


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
