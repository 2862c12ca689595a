"""`bursar key`: the signing key in AWS KMS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bursar.chains import evm
from bursar.cli.shell import Shell, shared_options
from bursar.errors import ConfigError, PublicKeyError

if TYPE_CHECKING:
    from bursar.kms.keys import KeyDescription, Keys


@click.group("key")
def command() -> None:
    """Create and look at the signing key in AWS KMS."""


@command.command("create")
@click.option(
    "--alias", help="Name of the key, with or without alias/ [default: the settings' key]."
)
@click.option("--description", default="bursar treasury signing key", show_default=True)
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Tag the key; repeatable.")
@click.option("--multi-region", is_flag=True, help="Allow replicas in other Regions.")
@shared_options
@click.pass_obj
def create(
    shell: Shell, *, alias: str | None, description: str, tags: tuple[str, ...], multi_region: bool
) -> None:
    """Create a signing key under an alias.

    It is ECC_SECG_P256K1, which is secp256k1.
    Only for a key of your own making: `bursar aws deploy` creates one together with the signer.
    Needs kms:CreateKey, kms:CreateAlias, kms:DescribeKey, kms:GetPublicKey, and kms:TagResource for tags.
    """
    from bursar.kms.keys import NewKey

    keys = _keys(shell)
    name = _alias(alias or shell.config.key.id)
    with shell.waiting("creating the key"):
        made = keys.create(
            NewKey(description=description, tags=_tags(tags), multi_region=multi_region), alias=name
        )
    _show(shell, keys, made)


@command.command("show")
@click.argument("key", required=False)
@shared_options
@click.pass_obj
def show(shell: Shell, *, key: str | None) -> None:
    """Show a key's ARN, state and address.

    KEY is a key id, key ARN, alias name or alias ARN [default: the settings' key].
    Needs kms:DescribeKey, kms:ListAliases and kms:GetPublicKey.
    """
    keys = _keys(shell)
    _show(shell, keys, keys.describe(key or shell.config.key.id))


@command.command("address")
@click.argument("key", required=False)
@click.option(
    "--pem",
    type=click.File("r", encoding="utf-8"),
    help="Read the public key from a PEM file (- for stdin) instead of KMS; needs no network.",
)
@shared_options
@click.pass_obj
def address(shell: Shell, *, key: str | None, pem: Any) -> None:
    """Print the EVM address of a key.

    KEY is a key id, key ARN, alias name or alias ARN [default: the settings' key]. Needs kms:GetPublicKey.
    """
    if pem is not None:
        public_key = evm.parse_spki_pem(_text(pem))
    else:
        answer = _keys(shell).public_key(key or shell.config.key.id)
        public_key = evm.parse_spki_der(answer.spki_der)
    shell.result({"address": public_key.address}, public_key.address)


def _show(shell: Shell, keys: Keys, key: KeyDescription) -> None:
    data: dict[str, Any] = {
        "key_arn": key.key_arn,
        "aliases": ", ".join(key.aliases) or None,
        "key_spec": key.key_spec,
        "key_usage": key.key_usage,
        "state": key.state,
        "multi_region": key.is_multi_region,
        "created_at": key.created_at.isoformat(),
        "description": key.description,
        "address": None,
    }
    if key.key_spec == evm.KMS_KEY_SPEC:
        data["address"] = evm.parse_spki_der(keys.public_key(key.key_arn).spki_der).address
    shell.result(data)


def _keys(shell: Shell) -> Keys:
    from bursar.kms.keys import Keys

    return Keys.open(shell.config.aws.region)


def _alias(name: str) -> str:
    if name.startswith("arn:"):
        raise ConfigError("a new key needs an alias name, not an ARN", hint="give --alias NAME")
    return name if name.startswith("alias/") else f"alias/{name}"


def _tags(pairs: tuple[str, ...]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise ConfigError(f"{pair!r} is not a tag", hint="write NAME=VALUE")
        tags[name] = value
    return tags


def _text(file: Any) -> str:
    try:
        text: str = file.read(100_000)
    except UnicodeDecodeError:
        where = Path(file.name).name
        raise PublicKeyError(f"{where} is not text", hint="a PEM file is expected") from None
    return text
