"""`bursar wallet`: the treasury wallet at Crossmint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bursar.chains import evm
from bursar.cli import connect
from bursar.cli.shell import Shell, shared_options
from bursar.errors import ConfigError

if TYPE_CHECKING:
    from bursar.crossmint.models import Wallet

WALLET = click.option("--wallet", metavar="LOCATOR", help="Another wallet than the settings'.")


@click.group("wallet")
def command() -> None:
    """Create, look at and fund the treasury wallet."""


@command.command("create")
@click.option("--alias", default=None, help="The wallet's alias [default: the settings' wallet].")
@click.option(
    "--signer-address",
    help="The account that will sign [default: the settings' key, asked of KMS].",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@shared_options
@click.pass_obj
def create(shell: Shell, *, alias: str | None, signer_address: str | None, yes: bool) -> None:
    """Create the treasury wallet, signed for by the key.

    Its only admin signer is the key in KMS.
    Repeating it returns the same wallet: the alias is what makes it one.
    Needs the API key scope wallets.create, and kms:GetPublicKey where no address is given.
    """
    from bursar.crossmint.requests import ExternalWallet, NewWallet

    name = alias or connect.wallet_locator(shell).alias
    if not name:
        raise ConfigError("the settings' wallet has no alias", hint="give --alias NAME")
    address, source = _signer(shell, signer_address)
    shell.say(f"{address} ({source}) will be able to move everything in the wallet {name}")
    shell.confirm("Create it?", yes=yes)
    with connect.crossmint(shell) as client, shell.waiting("creating the wallet"):
        wallet = client.create_wallet(
            NewWallet(admin_signer=ExternalWallet(address=address), alias=name)
        )
    _require_signer(wallet, address)
    _show(shell, wallet)


@command.command("show")
@WALLET
@shared_options
@click.pass_obj
def show(shell: Shell, *, wallet: str | None) -> None:
    """Show its address and who may sign for it.

    Scope: wallets.read.
    """
    with connect.crossmint(shell) as client:
        _show(shell, client.get_wallet(connect.wallet_locator(shell, wallet)))


@command.command("balance")
@WALLET
@click.option("--token", metavar="LOCATOR", help="Another token than the settings'.")
@shared_options
@click.pass_obj
def balance(shell: Shell, *, wallet: str | None, token: str | None) -> None:
    """Show what it holds of a token.

    Scope: wallets:balance.read.
    """
    from bursar.crossmint.locators import TokenLocator

    locator = TokenLocator.parse(token or shell.config.wallet.token)
    with connect.crossmint(shell) as client:
        found = client.balances(
            connect.wallet_locator(shell, wallet),
            tokens=[locator.symbol or str(locator)],
            chains=[locator.chain],
        )
    data = [{"token": b.symbol, "amount": b.amount, "units": str(b.units)} for b in found]
    shell.result(data, "\n".join(f"{b['amount']} {b['token']}" for b in data) or "nothing")


@command.command("fund")
@click.argument("amount", type=click.IntRange(1, 100))
@WALLET
@shared_options
@click.pass_obj
def fund(shell: Shell, *, amount: int, wallet: str | None) -> None:
    """Add test dollars to a staging wallet.

    AMOUNT is 1 to 100 of Crossmint's test dollar. Scope: wallets.fund.
    """
    if shell.config.crossmint.environment != "staging":
        raise ConfigError(
            "only staging wallets can be funded this way",
            hint="send the token to the wallet's address instead",
        )
    from bursar.crossmint.locators import TokenLocator

    chain = TokenLocator.parse(shell.config.wallet.token).chain
    with connect.crossmint(shell) as client, shell.waiting("funding the wallet"):
        funded = client.fund_staging(
            connect.wallet_locator(shell, wallet), amount=amount, chain=chain
        )
    data = [{"token": b.token, "balances": b.balances} for b in funded]
    shell.result(data, f"added {amount} test dollars on {chain}")


def _signer(shell: Shell, given: str | None) -> tuple[str, str]:
    """Return the account that is to sign and where it was learnt."""
    from bursar.kms.client import KmsClient
    from bursar.signer import KmsSigner

    if given:
        return evm.parse_address(given), "given on the command line"
    if shell.config.signer.address:
        return evm.parse_address(shell.config.signer.address), "from the settings' signer.address"
    with KmsClient.from_environment(shell.config.aws.region) as kms:
        key = KmsSigner.open(kms, shell.config.key.id).key
    return key.address, f"the KMS key {key.key_arn}"


def _require_signer(wallet: Wallet, address: str) -> None:
    locator = wallet.admin_signer.locator if wallet.admin_signer else "nobody"
    if locator.lower() != f"external-wallet:{address}".lower():
        raise ConfigError(
            f"a wallet of this alias exists already and is signed for by {locator}, not by {address}",
            hint="choose another alias",
        )


def _show(shell: Shell, wallet: Wallet) -> None:
    data: dict[str, Any] = {
        "address": wallet.address,
        "admin_signer": wallet.admin_signer.locator if wallet.admin_signer else None,
        "other_signers": ", ".join(s.locator for s in wallet.delegated_signers) or None,
        "owner": wallet.owner,
        "alias": wallet.alias,
        "type": f"{wallet.chain_type} {wallet.type}",
    }
    shell.result(data)
