"""A transfer as the review reads it: which contract a token's name means, and to which address it goes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bursar.amounts import to_base_units
from bursar.crossmint.locators import TokenLocator
from bursar.crossmint.models import Transaction
from bursar.errors import AddressError, ConfigError, IntentMismatch, RequestError
from bursar.policy.model import Policy
from bursar.policy.tokens import contracts_on
from bursar.review.intent import BatchIntent, Intent, Token
from bursar.review.report import Review
from bursar.review.terms import DEFAULT_TERMS, Terms
from bursar.review.tokens import KNOWN
from bursar.review.transaction import explain, review
from bursar.transfers.batch import BatchTransfer
from bursar.transfers.intent import TransferIntent


@dataclass(frozen=True, slots=True)
class Reading:
    """What the operator knows beforehand: tokens by their locators in lower case, and who may deploy a wallet.

    What a name means must come from here, and never from the answer that is to be reviewed.
    """

    tokens: Mapping[str, Token] = field(default_factory=lambda: dict(KNOWN))
    terms: Terms = DEFAULT_TERMS

    @classmethod
    def of(
        cls,
        policy: Policy | None = None,
        tokens: Mapping[str, Token] | None = None,
        factories: frozenset[str] = frozenset(),
    ) -> Reading:
        """Return the reading of a policy and of settings; the policy's word on a token counts first."""
        named = tokens_of(policy) if policy else {}
        more = factories | (policy.wallet_factories if policy else frozenset())
        terms = Terms(factories=DEFAULT_TERMS.factories | more) if more else DEFAULT_TERMS
        return cls({**KNOWN, **(tokens or {}), **named}, terms)

    def review(
        self,
        transaction: Transaction,
        intent: TransferIntent | BatchTransfer,
        signer: str,
        sender: str,
    ) -> Review:
        """Return what a transaction does, once it is shown to be what was asked for: a payment, or a batch.

        `signer` is the locator that is to sign, `sender` the wallet's address.

        Raises:
            IntentMismatch, Unverifiable, NotAwaitingApproval: as `review.transaction.review`.
            ConfigError: nobody has said which contract the token's name means.
        """
        clear = (
            self.batch(intent)
            if isinstance(intent, BatchTransfer)
            else self.intent(transaction, intent)
        )
        return review(transaction.raw, clear, signer=signer, wallet=sender, terms=self.terms)

    def explain(self, transaction: Transaction, signer: str, sender: str) -> Review:
        """Return what a transaction that waits for a signature does, whatever that is.

        Raises:
            IntentMismatch, Unverifiable, NotAwaitingApproval: as `review.transaction.explain`.
        """
        found = explain(transaction.raw, signer=signer, wallet=sender, terms=self.terms)
        moved = dict.fromkeys(payment.token for payment in found.payments)
        known = (self._of_contract(found.chain, contract) for contract in moved)
        return replace(found, named=tuple(token for token in known if token is not None))

    def intent(self, transaction: Transaction, intent: TransferIntent) -> Intent:
        """Return the payment in the review's words: a contract, an address, base units.

        Where a user is paid and no address, which address is theirs only Crossmint knows: it is then Crossmint's
        word, for whoever confirms to look at, and for the policy's list of recipients to judge.

        Raises:
            ConfigError: nobody has said which contract the token's name means.
            IntentMismatch: Crossmint does not say which address is the user's.
            AmountError: more decimals than the token has.
        """
        token = self.token(intent.token)
        sent = transaction.send_params
        stated = sent.params.recipient_address if sent else None
        recipient = intent.recipient.address or stated
        if recipient is None:
            raise IntentMismatch(
                f"the transaction does not say which address is {intent.recipient}'s"
            )
        units = to_base_units(intent.amount, token.decimals or 0)
        return Intent(intent.token.chain, token, recipient, units)

    def batch(self, batch: BatchTransfer) -> BatchIntent:
        """Return a batch in the review's words: contracts, addresses, base units.

        Raises:
            ConfigError: nobody has said which contract a token's name means.
            AmountError: more decimals than the token has.
        """
        payments = []
        for each in batch.payments:
            token = self.token(each.token)
            units = to_base_units(each.amount, token.decimals or 0)
            recipient = each.recipient.address or ""
            payments.append(Intent(each.token.chain, token, recipient, units))
        return BatchIntent(tuple(payments))

    def token(self, locator: TokenLocator) -> Token:
        """Return the token of a locator, with its decimals.

        Raises:
            ConfigError: nobody has said which contract it is, or how many decimals it has.
        """
        key = str(locator).lower()
        if key in self.tokens:
            return self.tokens[key]
        found = self._of_contract(locator.chain, locator.contract) if locator.contract else None
        if found is not None:
            return found
        raise ConfigError(
            f"nothing says which contract {locator} is",
            hint=f'list it in the policy, or in the settings under [wallet]: tokens = {{"{locator}" = "0x…/6"}}',
        )

    def _of_contract(self, chain: str, contract: str | None) -> Token | None:
        """Return the known token of a contract on a chain; None stands for the chain's own coin."""
        for locator, token in self.tokens.items():
            if locator.startswith(f"{chain}:") and _same(token.contract, contract):
                return token
        return None


def _same(one: str | None, other: str | None) -> bool:
    return (one and one.lower()) == (other and other.lower())


def tokens_of(policy: Policy) -> dict[str, Token]:
    """Return a policy's tokens by what a transfer may call them: their locators, and their names on each chain."""
    found: dict[str, Token] = {}
    for name, token in policy.tokens.items():
        for chain in {locator.partition(":")[0] for locator in token.locators}:
            contracts = sorted(contracts_on(token, chain))
            named = [Token(each.partition(":")[2], name[:20], token.decimals) for each in contracts]
            found |= zip(contracts, named, strict=True)
            named = named or [Token(None, name[:20], token.decimals)]
            if len(named) == 1:
                symbols = {each for each in token.locators if each.startswith(f"{chain}:")}
                found |= dict.fromkeys({*symbols, f"{chain}:{name}"}, named[0])
    return found


def token_of(text: str, name: str) -> Token:
    """Return the token in a setting's text: a contract's address or `native`, a slash, and its decimals.

    Raises:
        ConfigError: it is not that.
    """
    contract, _, decimals = text.partition("/")
    symbol = name.partition(":")[2][:20] or None
    try:
        return Token(None if contract == "native" else contract, symbol, int(decimals))
    except (ValueError, AddressError, RequestError):
        raise ConfigError(
            f"wallet.tokens: {text[:80]!r} is not a token",
            hint='a contract and its decimals, like "0x…/6"; native/18 for the chain\'s own coin',
        ) from None
