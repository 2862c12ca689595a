"""`bursar sign`: one hash or message."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.cli import connect
from bursar.cli.shell import Shell, shared_options
from bursar.errors import RequestError


@click.command("sign")
@click.option(
    "--hash", "hash_text", metavar="HASH", help="32 bytes: 0x hex, or base64 of the raw bytes."
)
@click.option("--message", metavar="TEXT", help="Text, signed as personal_sign does (EIP-191).")
@click.option(
    "--scheme",
    type=click.Choice([scheme.value for scheme in Scheme]),
    help="How a --hash is signed [default: the settings', eip191].",
)
@click.option(
    "--via",
    type=click.Choice(["api", "lambda", "kms"]),
    help="Ask the deployed API, its function, or KMS from here [default: the settings', api].",
)
@click.option(
    "--address",
    help="The account that must sign [default: the settings'; with --via kms the key's].",
)
@shared_options
@click.pass_obj
def command(
    shell: Shell,
    *,
    hash_text: str | None,
    message: str | None,
    scheme: str | None,
    via: str | None,
    address: str | None,
) -> None:
    """Sign one hash or message, and verify what comes back.

    A hash says nothing about what it pays: for transfers use `bursar transfer`.
    Needs execute-api:Invoke, lambda:InvokeFunction or kms:Sign, by the way that is asked.
    """
    if (hash_text is None) == (message is None):
        raise RequestError("give either --hash or --message")
    if hash_text is not None:
        payload, how = evm.parse_hash(hash_text), Scheme(scheme or shell.config.signer.scheme)
    else:
        if scheme == Scheme.RAW:
            raise RequestError("a message is always signed as EIP-191", hint="leave out --scheme")
        payload, how = evm.eip191_text_digest(message or ""), Scheme.RAW
    with connect.hash_signer(shell, address, via) as signer, shell.waiting("signing"):
        signed = signer.sign_hash(payload, how)
    shell.result(
        {
            "signature": signed.signature.to_hex(),
            "address": signed.address,
            "digest": "0x" + signed.digest.hex(),
            "request_id": signed.request_id,
            # What `bursar aws audit --records` goes by.
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "unanswered": signed.unanswered,
        }
    )
