"""`bursar approve`: consent to what somebody else asked the key to sign."""

from __future__ import annotations

import click

from bursar.chains.evm import Scheme
from bursar.cli import connect
from bursar.cli.paying import VIA, WALLET
from bursar.cli.shell import Shell, shared_options


@click.command("approve")
@click.argument("transaction_id")
@WALLET
@VIA
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@shared_options
@click.pass_obj
def command(
    shell: Shell, *, transaction_id: str, wallet: str | None, via: str | None, yes: bool
) -> None:
    """Consent to a transaction that waits for approval.

    TRANSACTION_ID is Crossmint's. Shows what the transaction really does, worked out from its own bytes, and asks.
    Your consent is for that digest alone, is recorded with your AWS identity, and counts for as long as the policy
    says. Nobody approves what they asked for themselves. Nothing is signed or paid: whoever asked signs again.

    `bursar transfer approve` is something else: it hands a signature in to Crossmint.

    Needs execute-api:Invoke, and BURSAR_SIGNER_API_URL where you may not look at the stack. Scopes: wallets.read
    and wallets:transactions.read.
    """
    from bursar.crossmint.locators import SignerLocator
    from bursar.signing_contract import ApprovalRequest

    locator = connect.wallet_locator(shell, wallet)
    with connect.crossmint(shell) as client:
        transaction = connect.transaction(client, locator, transaction_id)
        sender = connect.treasury_wallet(client, locator).address
        address = connect.signer_address(shell, client, locator)
    signer = str(SignerLocator.external_wallet(address))
    found = connect.reading(shell).explain(transaction, signer, sender)
    scheme = Scheme(shell.config.signer.scheme)
    shell.say(found.sentence)
    for number, doing in enumerate(found.doings if found.is_summed else (), 1):
        shell.say(f"{number}. {doing}")
    shell.confirm("Consent to it?", yes=yes)
    request = ApprovalRequest(
        found.digest(scheme), signer, transaction.raw, found.wallet, scheme=scheme
    )
    with connect.treasury(shell, address, via) as treasury, shell.waiting("recording your consent"):
        consent = treasury.consent(request)
    shell.result(
        {
            "transaction_id": transaction.id,
            "review": found.sentence,
            "digest": consent.digest,
            "consented_by": consent.by,
            "missing": consent.missing,
            "policy": consent.policy.get("hash"),
        }
    )
    if consent.missing:
        shell.say(f"{consent.missing} more must consent")
    else:
        shell.say("nobody else has to consent: whoever asked asks again, with the same --id")
