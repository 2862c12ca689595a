"""Crossmint's locators as values: they parse, print and encode themselves. Pure.

```
wallet     <address> | <user>:<chainType>[:<walletType>][:alias:<alias>] | me:<chainType>…
           | <chainType>[:<walletType>]:alias:<alias> (the company's own) | <user>:<2022 wallet type>
user       email:<e> | userId:<id> | phoneNumber:<E.164> | twitter:<handle> | x:<handle>
signer     external-wallet:<address> | server:<address> | email:<e> | phone:<p> | passkey:<id>
           | device:<key> | api-key[:<address>] | quorum:<id> | the 2022 kinds
token      <chain>:<symbol> | <chain>:<contract>[:<tokenId>]
recipient  <address> | <chain>:<address> | <user>[:<chain>]
```

Each type is checked however it is made, so one that exists can be put into a URL (`segment`). Letter case of
an address is kept, since Crossmint's own clients compare it; `==` on signers ignores it on EVM.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

from bursar.crossmint import grammar
from bursar.crossmint.grammar import shown
from bursar.errors import LocatorError

USER_KINDS = ("email", "userId", "phoneNumber", "twitter", "x")

_ADDRESS_SIGNERS = ("external-wallet", "server", "evm-keypair", "solana-keypair")
_BARE_SIGNERS = ("api-key", "evm-fireblocks-custodial", "solana-fireblocks-custodial")
_ID_SIGNERS = ("passkey", "device", "quorum", "evm-passkey")
SIGNER_KINDS = (*_ADDRESS_SIGNERS, *_BARE_SIGNERS, *_ID_SIGNERS, "email", "phone")

# Device keys and passkey ids travel as base64 or base64url; the slash is safe because it is encoded.
_ID = re.compile(r"[A-Za-z0-9+/=_-]{1,400}", re.ASCII)
_SYMBOL = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*", re.ASCII)
_TOKEN_ID = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)


class Locator(ABC):
    """What all locators share: they print as Crossmint writes them and encode as one path segment."""

    __slots__ = ()

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Return the locator in text.

        Raises:
            LocatorError: the text is none of this kind.
        """

    @property
    def segment(self) -> str:
        """The locator as one URL path segment, with `:`, `@`, `+` and the rest percent-encoded."""
        return grammar.segment(str(self))


@dataclass(frozen=True, slots=True)
class UserLocator(Locator):
    """A user of the project: `email:ada@example.com`, `userId:42`, `phoneNumber:+4915…`."""

    kind: str
    value: str

    def __post_init__(self) -> None:
        if self.kind not in USER_KINDS:
            raise LocatorError(
                f"{shown(self.kind)} does not name a kind of user",
                hint="one of " + ", ".join(USER_KINDS),
            )
        if self.kind == "email":
            grammar.check_email(self.value)
        elif self.kind == "phoneNumber":
            grammar.check_phone(self.value)
        else:
            grammar.check_value(self.value, "the user's id or handle")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the user named by text.

        Raises:
            LocatorError: not a user locator.
        """
        parts = grammar.split(text)
        if len(parts) != 2:
            raise LocatorError(
                f"{shown(text)} is not a user", hint="for example email:ada@example.com"
            )
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


@dataclass(frozen=True, slots=True)
class WalletLocator(Locator):
    """A wallet: by its address, by the user who owns it, or by the company's alias.

    Exactly one of `address`, `user`, `me` or none (the company's own, which needs `alias`). `wallet_type` is
    `smart` or `mpc`; where the text left it out it is None, and Crossmint takes `smart`.
    """

    address: str | None = None
    user: UserLocator | None = None
    me: bool = False
    chain_type: str | None = None
    wallet_type: str | None = None
    alias: str | None = None

    def __post_init__(self) -> None:
        if self.address is not None:
            self._check_alone()
            grammar.check_address(self.address)
            return
        if self.user is not None and self.me:
            raise LocatorError("a wallet is either a user's or one's own (me), not both")
        if self.wallet_type in grammar.LEGACY_WALLET_TYPES:
            self._check_legacy()
            return
        if self.chain_type not in grammar.CHAIN_TYPES:
            raise LocatorError(
                f"{shown(self.chain_type)} is not a chain type",
                hint="one of " + ", ".join(grammar.CHAIN_TYPES),
            )
        if self.wallet_type not in (None, *grammar.WALLET_TYPES):
            raise LocatorError(f"{shown(self.wallet_type)} is not a wallet type: smart or mpc")
        if self.alias is not None:
            grammar.check_value(self.alias, "the alias")
        elif self.user is None and not self.me:
            raise LocatorError(
                "a wallet of the company is named by an alias",
                hint="for example evm:smart:alias:treasury",
            )

    def _check_alone(self) -> None:
        if self.user or self.me or self.chain_type or self.wallet_type or self.alias:
            raise LocatorError("a wallet named by its address takes nothing else")

    def _check_legacy(self) -> None:
        if (self.user is None and not self.me) or self.chain_type or self.alias is not None:
            raise LocatorError(f"{self.wallet_type} names a user's wallet, without an alias")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the wallet named by text.

        Raises:
            LocatorError: not a wallet locator.
        """
        parts = grammar.split(text)
        if len(parts) == 1:
            return cls(address=text)
        user, me = None, parts[0] == "me"
        if me:
            parts = parts[1:]
        elif parts[0] in USER_KINDS:
            user, parts = UserLocator(parts[0], parts[1]), parts[2:]
        return cls._of_parts(text, user, me, parts)

    @classmethod
    def _of_parts(cls, text: str, user: UserLocator | None, me: bool, parts: list[str]) -> Self:  # noqa: FBT001  one private caller
        alias = None
        if len(parts) >= 2 and parts[-2] == "alias":
            alias, parts = parts[-1], parts[:-2]
        if len(parts) == 1 and parts[0] in grammar.LEGACY_WALLET_TYPES:
            return cls(user=user, me=me, wallet_type=parts[0], alias=alias)
        if len(parts) not in (1, 2):
            raise LocatorError(
                f"{shown(text)} is not a wallet",
                hint="an address, evm:smart:alias:<alias>, or <user>:evm",
            )
        wallet_type = parts[1] if len(parts) == 2 else None
        return cls(user=user, me=me, chain_type=parts[0], wallet_type=wallet_type, alias=alias)

    @classmethod
    def treasury(cls, alias: str, chain_type: str = "evm") -> Self:
        """Return the company's smart wallet of this alias: `evm:smart:alias:treasury`."""
        return cls(chain_type=chain_type, wallet_type="smart", alias=alias)

    def __str__(self) -> str:
        if self.address is not None:
            return self.address
        owner = "me" if self.me else self.user
        parts = [owner, self.chain_type, self.wallet_type]
        parts += ["alias", self.alias] if self.alias is not None else []
        return ":".join(str(part) for part in parts if part is not None)


@dataclass(frozen=True, slots=True, eq=False)
class SignerLocator(Locator):
    """Who signs: `external-wallet:0x…` for a key in KMS. Two are equal whatever the case of an EVM address."""

    kind: str
    value: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in SIGNER_KINDS:
            raise LocatorError(
                f"{shown(self.kind)} does not name a kind of signer",
                hint="for a key in KMS it is external-wallet:<address>",
            )
        if self.value is None:
            if self.kind not in _BARE_SIGNERS:
                raise LocatorError(f"a signer of kind {self.kind} needs a value")
        elif self.kind in _ADDRESS_SIGNERS + _BARE_SIGNERS:
            grammar.check_address(self.value)
        elif self.kind == "email":
            grammar.check_email(self.value)
        elif self.kind == "phone":
            grammar.check_phone(self.value)
        elif not isinstance(self.value, str) or not _ID.fullmatch(self.value):
            raise LocatorError(f"{shown(self.value)} is not an id of a {self.kind} signer")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the signer named by text.

        Raises:
            LocatorError: not a signer locator.
        """
        parts = grammar.split(text)
        if len(parts) > 2:
            raise LocatorError(
                f"{shown(text)} is not a signer", hint="for example external-wallet:0x…"
            )
        return cls(*parts)

    @classmethod
    def external_wallet(cls, address: str) -> Self:
        """Return the locator of a key kept outside Crossmint, such as one in KMS."""
        return cls("external-wallet", address)

    @property
    def key(self) -> str:
        """The text that decides equality: an EVM address in lower case, all else as written."""
        return signer_key(str(self))

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, SignerLocator) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return self.kind if self.value is None else f"{self.kind}:{self.value}"


def signer_key(text: str) -> str:
    """Return what two signer locators of the same signer share, without asking that either be well formed.

    For reading: an answer may carry a kind of signer this version does not know, and a wrong checksum in
    Crossmint's answer must not hide our own entry.
    """
    kind, _, value = text.partition(":")
    return f"{kind}:{value.lower()}" if grammar.is_evm_address(value) else text


@dataclass(frozen=True, slots=True)
class TokenLocator(Locator):
    """A token on a chain: by symbol (kept in lower case) or by contract, with a token id for an NFT."""

    chain: str
    symbol: str | None = None
    contract: str | None = None
    token_id: str | None = None

    def __post_init__(self) -> None:
        grammar.check_chain(self.chain)
        if (self.symbol is None) == (self.contract is None):
            raise LocatorError("a token is named by its symbol or by its contract")
        if self.contract is not None:
            grammar.check_address(self.contract)
        elif (
            not isinstance(self.symbol, str)
            or len(self.symbol) > 31  # longer would read back as a contract of base58
            or not _SYMBOL.fullmatch(self.symbol)
        ):
            raise LocatorError(f"{shown(self.symbol)} is not a token's symbol")
        if self.token_id is not None and (
            self.contract is None or not _TOKEN_ID.fullmatch(self.token_id)
        ):
            raise LocatorError("a token id is a decimal number after a contract")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the token named by text.

        Raises:
            LocatorError: not a token locator.
        """
        parts = grammar.split(text)
        if len(parts) not in (2, 3):
            raise LocatorError(
                f"{shown(text)} is not a token", hint="for example base-sepolia:usdc"
            )
        token_id = parts[2] if len(parts) == 3 else None
        if grammar.is_address(parts[1]):
            return cls(parts[0], contract=parts[1], token_id=token_id)
        return cls(parts[0], symbol=parts[1].lower(), token_id=token_id)

    def __str__(self) -> str:
        parts = (self.chain, self.symbol or self.contract, self.token_id)
        return ":".join(part for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class RecipientLocator(Locator):
    """Who is paid: an address or a user, either with the chain named or not.

    Crossmint's answers write `address:<address>:<chain>`; that is read too, and printed `<chain>:<address>`.
    """

    address: str | None = None
    user: UserLocator | None = None
    chain: str | None = None

    def __post_init__(self) -> None:
        if (self.address is None) == (self.user is None):
            raise LocatorError("a recipient is an address or a user")
        if self.address is not None:
            grammar.check_address(self.address)
        if self.chain is not None:
            grammar.check_chain(self.chain)
            if self.address is not None and self.chain in (*USER_KINDS, "address"):
                raise LocatorError(f"{self.chain} is not a chain's name")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the recipient named by text.

        Raises:
            LocatorError: not a recipient locator.
        """
        parts = grammar.split(text)
        if len(parts) > 3:
            raise LocatorError(f"{shown(text)} is not a recipient")
        if len(parts) == 1:
            if not grammar.is_address(text):
                raise LocatorError(
                    f"{shown(text)} is not a recipient",
                    hint="an address, email:ada@example.com or userId:…",
                )
            return cls(address=text)
        chain = parts[2] if len(parts) == 3 else None
        if parts[0] in USER_KINDS:
            return cls(user=UserLocator(parts[0], parts[1]), chain=chain)
        if parts[0] == "address":
            return cls(address=parts[1], chain=chain)
        if chain is not None:
            raise LocatorError(f"{shown(text)} is not a recipient")
        return cls(address=parts[1], chain=parts[0])

    def __str__(self) -> str:
        if self.address is not None:
            return f"{self.chain}:{self.address}" if self.chain else self.address
        return f"{self.user}:{self.chain}" if self.chain else str(self.user)
