"""The client's calls about wallets, their balances and their signers, and about users."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from bursar.crossmint.calls import API_VERSION, Call, Kind, check_idempotency_key
from bursar.crossmint.locators import SignerLocator, TokenLocator, UserLocator, WalletLocator
from bursar.crossmint.models import (
    Balance,
    DelegatedSigner,
    FundedBalance,
    Transaction,
    User,
    Wallet,
    read_list,
)
from bursar.crossmint.reading import plain
from bursar.crossmint.requests import Funding, NewSigner, NewWallet, UserRegistration
from bursar.crossmint.session import Session
from bursar.errors import CrossmintProtocolError, RequestError


def wallet_path(wallet: WalletLocator | str) -> str:
    """Return the path of a wallet.

    Raises:
        LocatorError: not a wallet locator.
    """
    locator = wallet if isinstance(wallet, WalletLocator) else WalletLocator.parse(wallet)
    return f"/{API_VERSION}/wallets/{locator.segment}"


def signer_segment(signer: SignerLocator | str) -> str:
    """Return a signer's locator as a path segment.

    Raises:
        LocatorError: not a signer locator.
    """
    return (signer if isinstance(signer, SignerLocator) else SignerLocator.parse(signer)).segment


class WalletCalls:
    """Wallets, balances, signers, users."""

    _session: Session

    def create_wallet(self, request: NewWallet, *, idempotency_key: str | None = None) -> Wallet:
        """Create a wallet, or return the one there is. One POST; scope `wallets.create`.

        A company's wallet is recognised by its alias, a user's by its owner, so repeating is safe. Without an
        idempotency key a random one is sent.

        Raises:
            CrossmintOutcomeUnknown: it may have been created; repeat it.
            CrossmintBadRequest: also where treasury wallets are not enabled for the project.
            CrossmintError: anything else that Crossmint says.
        """
        key = uuid.uuid4().hex if idempotency_key is None else idempotency_key
        call = Call(
            "create the wallet",
            "POST",
            f"/{API_VERSION}/wallets",
            "wallets.create",
            Kind.WRITE,
            body=request.body(),
            idempotency_key=check_idempotency_key(key),
        )
        return self._session.ask(call, Wallet.read)

    def get_wallet(self, wallet: WalletLocator | str) -> Wallet:
        """Return a wallet. One GET; scope `wallets.read`.

        Raises:
            CrossmintNotFound: there is none of that locator.
            CrossmintProtocolError: also where another address was asked for than is answered about.
            CrossmintError: anything else that Crossmint says.
        """
        call = Call("read the wallet", "GET", wallet_path(wallet), "wallets.read")
        found = self._session.ask(call, Wallet.read)
        asked = wallet if isinstance(wallet, WalletLocator) else WalletLocator.parse(wallet)
        if asked.address is not None and asked.address.lower() != found.address.lower():
            raise CrossmintProtocolError(
                f"Crossmint was asked about wallet {asked.address} and answered about {plain(found.address, 80)}"
            )
        return found

    def balances(
        self,
        wallet: WalletLocator | str,
        *,
        tokens: Sequence[TokenLocator | str],
        chains: Sequence[str] = (),
    ) -> list[Balance]:
        """Return what a wallet holds of these tokens (symbols or locators). One GET; scope `wallets:balance.read`.

        Raises:
            RequestError: no token is named.
            CrossmintError: anything that Crossmint says.
        """
        if not tokens or isinstance(tokens, str):
            raise RequestError(
                "balances are asked for by token", hint='for example tokens=["usdc"]'
            )
        query = {"tokens": ",".join(str(token) for token in tokens)}
        if chains:
            query["chains"] = ",".join(chains)
        path = f"{wallet_path(wallet)}/balances"
        call = Call("read the balances", "GET", path, "wallets:balance.read", query=query)
        return read_list(Balance, self._session.send(call))

    def fund_staging(
        self, wallet: WalletLocator | str, *, amount: int, chain: str
    ) -> list[FundedBalance]:
        """Add 1 to 100 of Crossmint's test dollar (USDXM) on a test chain. One POST; scope `wallets.fund`.

        It takes no idempotency key: repeating it adds the amount again.

        Raises:
            RequestError: the amount is out of range; nothing was sent.
            CrossmintError: anything that Crossmint says; production refuses.
        """
        path = wallet_path(wallet).replace(API_VERSION, "v1-alpha2", 1) + "/balances"
        body = Funding(amount=amount, chain=chain).body()
        call = Call("fund the wallet", "POST", path, "wallets.fund", Kind.WRITE, body=body)
        return self._session.ask(call, lambda body: read_list(FundedBalance, body))

    def add_signer(self, wallet: WalletLocator | str, request: NewSigner) -> DelegatedSigner:
        """Ask for another signer; on EVM per chain. One POST; scope `wallets.create`.

        The answer holds, in `chains` or `transaction`, what the admin signer still has to approve.

        Raises:
            CrossmintBadRequest: also where the signer is there already.
            CrossmintError: anything else that Crossmint says.
        """
        path = f"{wallet_path(wallet)}/signers"
        body = request.body()
        call = Call("add the signer", "POST", path, "wallets.create", Kind.WRITE, body=body)
        return self._session.ask(call, DelegatedSigner.read)

    def get_signer(
        self, wallet: WalletLocator | str, signer: SignerLocator | str
    ) -> DelegatedSigner:
        """Return a wallet's signer besides the admin. One GET; scope `wallets.read`.

        Raises:
            CrossmintNotFound: the wallet has no such signer.
            CrossmintError: anything else that Crossmint says.
        """
        path = f"{wallet_path(wallet)}/signers/{signer_segment(signer)}"
        return DelegatedSigner.read(
            self._session.send(Call("read the signer", "GET", path, "wallets.read"))
        )

    def remove_signer(
        self,
        wallet: WalletLocator | str,
        signer: SignerLocator | str,
        *,
        chain: str | None = None,
    ) -> Transaction:
        """Start a signer's removal; on EVM name the chain. One DELETE; scope `wallets.create`.

        The transaction returned has to be approved like any other.

        Raises:
            CrossmintBadRequest: also for the admin signer, which cannot be removed.
            CrossmintError: anything else that Crossmint says.
        """
        path = f"{wallet_path(wallet)}/signers/{signer_segment(signer)}"
        query = None if chain is None else {"chain": chain}
        call = Call("remove the signer", "DELETE", path, "wallets.create", Kind.WRITE, query=query)
        return self._session.ask(call, Transaction.read)

    def register_user(self, user: UserLocator | str, request: UserRegistration) -> User:
        """Say who a user is, replacing everything held before. One PUT; scope `users.create`. Personal data.

        Raises:
            CrossmintOutcomeUnknown: it may have been stored; repeating it is safe.
            CrossmintError: anything else that Crossmint says.
        """
        locator = user if isinstance(user, UserLocator) else UserLocator.parse(user)
        path = f"/{API_VERSION}/users/{locator.segment}"
        body = request.body()
        call = Call("register the user", "PUT", path, "users.create", Kind.WRITE, body=body)
        return self._session.ask(call, User.read)
