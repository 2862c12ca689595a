"""From settings to the parts a command works with: Crossmint's client, the treasury wallet, who signs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bursar.chains import evm
from bursar.cli.config import API_KEY_VARIABLE
from bursar.cli.shell import Shell
from bursar.errors import (
    AwsAccessDenied,
    BursarError,
    ConfigError,
    CrossmintNotFound,
    NotAwaitingApproval,
)
from bursar.signer import KmsSigner

if TYPE_CHECKING:
    from bursar.aws.remote import ApiSigner, LambdaSigner
    from bursar.crossmint.client import CrossmintClient
    from bursar.crossmint.limits import CallAllowance
    from bursar.crossmint.locators import WalletLocator
    from bursar.crossmint.models import Transaction, Wallet
    from bursar.ledger.book import Book
    from bursar.policy.rulebook import Rulebook
    from bursar.signer import Signer
    from bursar.signing.treasury import OwnTreasury
    from bursar.signing_contract import BareSigner, TransactionSigner
    from bursar.transfers.reading import Reading


@contextmanager
def crossmint(shell: Shell, allowance: CallAllowance | None = None) -> Iterator[CrossmintClient]:
    """Open the client of the settings' Crossmint environment; without an `allowance` it counts its own calls.

    Raises:
        ConfigError: there is no API key.
    """
    from bursar.crossmint.client import CrossmintClient

    settings = shell.config.crossmint
    with CrossmintClient(
        api_key(shell), environment=settings.environment, base_url=settings.url, allowance=allowance
    ) as client:
        yield client


def api_key(shell: Shell) -> str:
    """Return Crossmint's API key.

    Raises:
        ConfigError: there is none.
    """
    key = shell.config.crossmint.api_key
    if key is None:
        raise ConfigError(
            "there is no Crossmint API key",
            hint=f'set {API_KEY_VARIABLE}, or for the sandbox: eval "$(bursar sandbox env)"',
        )
    return key.get_secret_value()


def wallet_locator(shell: Shell, given: str | None = None) -> WalletLocator:
    """Return the wallet a command is about: the one given, else the settings'."""
    from bursar.crossmint.locators import WalletLocator

    return WalletLocator.parse(given or shell.config.wallet.locator)


def transaction(client: CrossmintClient, wallet: WalletLocator, transaction_id: str) -> Transaction:
    """Return a transaction of a wallet by Crossmint's id.

    Raises:
        CrossmintNotFound: the wallet has none of that id; the hint says how to find one by an id of one's own.
    """
    try:
        return client.get_transaction(wallet, transaction_id)
    except CrossmintNotFound as missing:
        missing.hint = (
            "it takes your id of a transfer that is in this journal, or Crossmint's of a transaction: see "
            "bursar transfer list"
        )
        raise


def treasury_wallet(client: CrossmintClient, wallet: WalletLocator) -> Wallet:
    """Return a wallet.

    Raises:
        CrossmintNotFound: there is none; the hint says how to make one.
    """
    try:
        return client.get_wallet(wallet)
    except CrossmintNotFound as missing:
        missing.hint = (
            missing.hint or "make it with: bursar wallet create; or name another with --wallet"
        )
        raise


def signer_address(shell: Shell, client: CrossmintClient, wallet: WalletLocator) -> str:
    """Return the account whose signature is asked for: the settings' pin, else the wallet's admin signer.

    An address that Crossmint states needs no trust: a signer that does not hold its key refuses.

    Raises:
        NotAwaitingApproval: the wallet's admin signer is not an external wallet.
    """
    pinned = shell.config.signer.address
    return evm.parse_address(pinned) if pinned else _admin(treasury_wallet(client, wallet))


def admin_address(shell: Shell, wallet: Wallet) -> str:
    """Return the same of a wallet that was read.

    Raises:
        NotAwaitingApproval: the wallet's admin signer is not an external wallet.
    """
    pinned = shell.config.signer.address
    return evm.parse_address(pinned) if pinned else _admin(wallet)


def _admin(wallet: Wallet) -> str:
    admin = wallet.admin_signer
    kind, _, address = (admin.locator if admin else "").partition(":")
    if kind != "external-wallet":
        raise NotAwaitingApproval(
            f"the admin signer of {wallet.address} is not an external wallet",
            hint="name the account with BURSAR_SIGNER_ADDRESS if the key is a delegated signer",
        )
    return evm.parse_address(address)


@contextmanager
def signer(
    shell: Shell, address: str | None, via: str | None = None
) -> Iterator[KmsSigner | ApiSigner | LambdaSigner]:
    """Open the signer the settings (or `via`) name: the deployed API, its function, or KMS from here.

    Raises:
        ConfigError: a deployed signer is asked and nothing says whose signatures to accept.
    """
    way = via or shell.config.signer.via
    expected = address or shell.config.signer.address
    if way == "kms":
        from bursar.kms.client import KmsClient

        with KmsClient.from_environment(shell.config.aws.region) as kms:
            yield KmsSigner.open(kms, shell.config.key.id, expected_address=expected)
        return
    if expected is None:
        raise ConfigError(
            "nothing says which account's signatures to accept",
            hint="give --address or set BURSAR_SIGNER_ADDRESS; `bursar key address` prints it",
        )
    with _deployed(shell, evm.parse_address(expected), way) as opened:
        yield opened


@contextmanager
def treasury(
    shell: Shell, address: str | None, via: str | None = None, *, blind: bool = False
) -> Iterator[TransactionSigner]:
    """Open the signer of transactions the settings (or `via`) name. From here it goes by the settings' policy.

    `blind` has it sign bare hashes that are reviewed here alone; so it is from here without a policy.

    Raises:
        ConfigError: a deployed signer is asked and nothing says whose signatures to accept.
    """
    from bursar.signing_contract import BareSigner

    with signer(shell, address, via) as opened:
        if isinstance(opened, KmsSigner):
            with _by_own_policy(shell, opened) as own:
                yield BareSigner(own) if blind else own
        else:
            yield BareSigner(opened) if blind else opened


@contextmanager
def _by_own_policy(shell: Shell, opened: KmsSigner) -> Iterator[OwnTreasury | BareSigner]:
    from bursar.aws.cloud import Cloud
    from bursar.signing.treasury import OwnTreasury, Treasury
    from bursar.signing_contract import BareSigner, Caller

    rules = rulebook(shell)
    if rules is None:
        shell.say("no policy: what is signed has been reviewed, and nothing limits it")
        yield BareSigner(opened)
        return
    caller = Caller(Cloud(shell.config.aws.region).caller_arn, "process")
    with _own_ledger(shell, opened.key.key_arn) as book:
        # A bare hash that is asked for here by name still needs the policy's leave.
        made = Treasury(rules, book, lambda: opened, blind_signing=True)
        yield OwnTreasury(made, opened, caller)


@contextmanager
def hash_signer(shell: Shell, address: str | None, via: str | None = None) -> Iterator[Signer]:
    """Open the signer of bare hashes the settings (or `via`) name. From here it goes by the settings' policy.

    Raises:
        ConfigError: as `signer`.
    """
    with signer(shell, address, via) as opened:
        if isinstance(opened, KmsSigner):
            with _by_own_policy(shell, opened) as own:
                yield own
        else:
            yield opened


@contextmanager
def ledger(shell: Shell, via: str | None = None) -> Iterator[Book]:
    """Open the key's ledger: the deployed signer's table or, where KMS is asked from here, the settings' database.

    The table needs dynamodb:GetItem and dynamodb:Query on it, and cloudformation:DescribeStacks to find it; the
    database kms:GetPublicKey, to know the key by its ARN.

    Raises:
        ConfigError: the stack has no ledger.
        LedgerError: it cannot be read.
    """
    if (via or shell.config.signer.via) == "kms":
        with signer(shell, None, "kms") as opened:
            if isinstance(opened, KmsSigner):
                with _own_ledger(shell, opened.key.key_arn) as book:
                    yield book
        return
    from bursar.aws.ledger_table import LedgerTable
    from bursar.ledger.book import Book

    outputs = _stack_outputs(shell)
    if "LedgerTable" not in outputs:
        raise ConfigError(
            f"the stack {shell.config.aws.stack} has no ledger, for it has no policy",
            hint="deploy one with: bursar aws deploy --policy policy.toml",
        )
    table = LedgerTable.from_environment(outputs["LedgerTable"], shell.config.aws.region)
    with table as store:
        yield Book(store, outputs["KeyArn"])


@contextmanager
def _own_ledger(shell: Shell, key_arn: str) -> Iterator[Book]:
    from bursar.ledger.book import Book
    from bursar.ledger.database import DatabaseStore

    url = shell.config.ledger.url
    with DatabaseStore.open(url.get_secret_value() if url else None) as store:
        yield Book(store, key_arn)


def deployed_policy(shell: Shell) -> str | None:
    """Return the hash of the policy that the deployed signer goes by; None where there is none to be seen."""
    if shell.config.signer.via == "kms":
        return None
    try:
        return _stack_outputs(shell).get("PolicyHash")
    except BursarError:
        return None


def rulebook(shell: Shell) -> Rulebook | None:
    """Return the settings' policy, None where they name none.

    Raises:
        ConfigError: the file cannot be read, or is no policy.
    """
    from bursar.policy.rulebook import Rulebook

    if shell.config.policy.file is None:
        return None
    file = Path(shell.config.policy.file)
    try:
        return Rulebook.read(file.read_bytes(), file.name)
    except OSError as problem:
        raise ConfigError(
            f"the policy that the settings name, {file}, cannot be read ({problem.strerror})",
            hint=f"a first one: bursar policy new -o {file}; or take [policy] file out of the settings",
        ) from None


def reading(shell: Shell) -> Reading:
    """Return what tokens' names mean, and who may deploy a wallet: the policy's word, then the settings'.

    Raises:
        ConfigError: the policy or a setting is wrong.
    """
    return _reading(shell, rulebook(shell))


def reading_of_settings(shell: Shell) -> Reading:
    """Return what the settings alone say that tokens' names mean: before there is a policy.

    Raises:
        ConfigError: a setting is wrong.
    """
    return _reading(shell, None)


def _reading(shell: Shell, rules: Rulebook | None) -> Reading:
    from bursar.transfers.reading import Reading, token_of

    wallet = shell.config.wallet
    tokens = {name.lower(): token_of(text, name) for name, text in wallet.tokens.items()}
    factories = frozenset(evm.parse_address(each) for each in wallet.factories)
    return Reading.of(rules.policy if rules else None, tokens, factories)


@contextmanager
def _deployed(shell: Shell, address: str, way: str) -> Iterator[ApiSigner | LambdaSigner]:
    from bursar.aws.remote import ApiSigner, LambdaSigner

    settings, region = shell.config.signer, shell.config.aws.region
    if way == "lambda":
        function = settings.function or _stack_output(shell, "FunctionAliasArn", "FunctionName")
        yield LambdaSigner.open(function, address, region)
    else:
        url = settings.api_url or _stack_output(shell, "ApiUrl")
        with ApiSigner.open(url, address, region) as opened:
            yield opened


def _stack_output(shell: Shell, *names: str) -> str:
    """Return the first of these outputs that the stack has; older ones lack some."""
    from bursar.aws.cloud import Cloud, api_url

    outputs = _stack_outputs(shell)
    if names == ("ApiUrl",):
        return api_url(outputs, Cloud(shell.config.aws.region).endpoint)
    return next(outputs[name] for name in names if name in outputs)


def _stack_outputs(shell: Shell) -> Mapping[str, str]:
    from bursar.aws.cloud import Cloud
    from bursar.aws.stacks import find_stack

    try:
        stack = find_stack(Cloud(shell.config.aws.region), shell.config.aws.stack)
    except AwsAccessDenied as denied:
        denied.hint = (
            "whoever only asks for signatures needs no right to look at the stack: set BURSAR_SIGNER_API_URL to "
            "its output ApiUrl"
        )
        raise
    if stack is None or "ApiId" not in stack.outputs:
        raise ConfigError(
            f"the stack {shell.config.aws.stack} has no signing API",
            hint="deploy it with: bursar aws deploy; or set BURSAR_SIGNER_API_URL",
        )
    return stack.outputs
