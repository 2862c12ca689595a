"""`bursar recipient`: the people who get paid."""

from __future__ import annotations

from typing import Any

import click

from bursar.cli import connect
from bursar.cli.shell import Shell, shared_options


@click.group("recipient")
def command() -> None:
    """Register the people who get paid."""


@command.command("register")
@click.argument("email")
@click.option("--first-name", required=True)
@click.option("--last-name", required=True)
@click.option(
    "--born",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="Date of birth.",
)
@click.option("--country", required=True, metavar="CC", help="Country of residence, ISO 3166-1.")
@shared_options
@click.pass_obj
def register(
    shell: Shell, *, email: str, first_name: str, last_name: str, born: Any, country: str
) -> None:
    """Register a person and give them a wallet.

    Regulated transfers are paid to its address.
    Registering again replaces what was held before. The wallet, made once, is theirs: their e-mail signs for it.
    Scopes: users.create, wallets.create.
    """
    from bursar.crossmint.locators import UserLocator
    from bursar.crossmint.requests import EmailSigner, NewWallet, UserDetails, UserRegistration

    user = UserLocator("email", email)
    details = UserDetails(
        first_name=first_name,
        last_name=last_name,
        date_of_birth=born.date(),
        country_of_residence=country.upper(),
    )
    with connect.crossmint(shell) as client, shell.waiting(f"registering {email}"):
        client.register_user(user, UserRegistration(user_details=details))
        wallet = client.create_wallet(NewWallet(admin_signer=EmailSigner(email=email), owner=user))
    shell.result({"recipient": str(user), "address": wallet.address})
