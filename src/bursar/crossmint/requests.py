"""What Crossmint is asked: wallets, transfers, transactions, signatures, signers, funding, history, users.

Frozen bodies, checked before a byte is sent. What is said of a person is personal data: it does not show in
`repr`, and no error names a value. Sources: the request bodies of the 2025-06-09 API description; the users API.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import Field, model_validator

from bursar.crossmint import grammar
from bursar.crossmint.writing import (
    Address,
    Alias,
    Amount,
    ChainName,
    Coordinate,
    Country,
    Email,
    Hex,
    Instant,
    Name,
    Phone,
    RecipientRef,
    SignerRef,
    TokenRef,
    UserRef,
    Writing,
)
from bursar.errors import AmountError, RequestError


class PublicKeyPoint(Writing):
    """A P-256 point, decimal."""

    x: Coordinate
    y: Coordinate


class ExternalWallet(Writing):
    """A key kept outside Crossmint, such as one in KMS. The address keeps the letter case given."""

    type: Literal["external-wallet"] = "external-wallet"
    address: Address


class ServerSigner(Writing):
    """A key derived from a server secret by Crossmint's SDK."""

    type: Literal["server"] = "server"
    address: Address


class ApiKeySigner(Writing):
    """The custodial signer. Crossmint signs; needs their approval."""

    type: Literal["api-key"] = "api-key"


class EmailSigner(Writing):
    """A signer reached by e-mail."""

    type: Literal["email"] = "email"
    email: Email


class PhoneSigner(Writing):
    """A signer reached by telephone (E.164)."""

    type: Literal["phone"] = "phone"
    phone: Phone


class PasskeySigner(Writing):
    """A WebAuthn passkey."""

    type: Literal["passkey"] = "passkey"
    id: str = Field(min_length=1, max_length=400)
    name: Name
    public_key: PublicKeyPoint


class DeviceSigner(Writing):
    """A key in a device's secure hardware; only as a delegated signer."""

    type: Literal["device"] = "device"
    public_key: PublicKeyPoint
    name: Name | None = None


AdminSigner = (
    ExternalWallet | ServerSigner | ApiKeySigner | EmailSigner | PhoneSigner | PasskeySigner
)
AnySigner = AdminSigner | DeviceSigner


class SpendingLimit(Writing):
    """How much a delegated signer may spend, per interval in seconds or in all."""

    amount: Amount
    interval: int | None = Field(default=None, ge=1, le=9007199254740991)


class TransferScope(Writing):
    """Lets a delegated signer transfer one token, perhaps to some recipients only."""

    type: Literal["transfer"] = "transfer"
    token_locator: TokenRef
    recipients: tuple[RecipientRef, ...] | None = None
    spending_limit: SpendingLimit | None = None


class DelegatedSignerConfig(Writing):
    """A signer besides the admin, named when the wallet is created."""

    signer: AnySigner | SignerRef
    expires_at: Instant | None = None
    scopes: tuple[TransferScope, ...] | None = None


class NewWallet(Writing):
    """A smart wallet to create.

    With owner COMPANY the alias is what makes creation repeatable, so it is asked for. `creation_seed` (EVM)
    fixes the address.
    """

    admin_signer: AdminSigner
    owner: Literal["COMPANY"] | UserRef | None = "COMPANY"
    alias: Alias | None = None
    chain_type: Literal["evm", "solana", "stellar"] = "evm"
    delegated_signers: tuple[DelegatedSignerConfig, ...] = ()
    creation_seed: str | None = Field(default=None, min_length=1, max_length=256)

    @model_validator(mode="after")
    def _consistent(self) -> NewWallet:
        if self.owner == "COMPANY" and self.alias is None:
            raise RequestError(
                "a wallet of the company needs an alias",
                hint="without one every call would create another wallet",
            )
        if self.creation_seed is not None and self.chain_type != "evm":
            raise RequestError("a creation seed is for EVM wallets only")
        if isinstance(self.admin_signer, PasskeySigner) and self.chain_type != "evm":
            raise RequestError("a passkey can be the admin signer of an EVM wallet only")
        return self

    def body(self) -> dict[str, Any]:
        """Return the JSON object to send; signers sit under `config`."""
        flat = super().body()
        names = ("adminSigner", "delegatedSigners", "creationSeed")
        config = {name: flat.pop(name) for name in names if name in flat}
        return {"type": "smart", "chainType": flat.pop("chainType"), "config": config, **flat}


class Memo(Writing):
    """A Stellar memo."""

    type: Literal["text", "id", "hash"]
    value: str = Field(min_length=1, max_length=128)


class NewTransfer(Writing):
    """A transfer to create. The amount is decimal text in whole tokens; only an NFT goes without."""

    token: TokenRef = Field(exclude=True)
    recipient: RecipientRef
    amount: Amount | None = None
    signer: SignerRef | None = None
    transaction_type: Literal["direct", "regulated-transfer"] | None = None
    memo: Memo | None = None

    @model_validator(mode="after")
    def _has_amount(self) -> NewTransfer:
        if self.amount is None and self.token.token_id is None:
            raise AmountError("a transfer of a token needs an amount")
        return self


class ContractCall(Writing):
    """A call in encoded form. `value` is in wei, decimal text; `data` is 0x hex."""

    to: Address
    value: str = Field(default="0", pattern=r"^(0|[1-9][0-9]{0,77})$")
    data: Hex = "0x"


class FunctionCall(Writing):
    """A call that Crossmint encodes from the contract's ABI."""

    address: Address
    function_name: str = Field(min_length=1, max_length=200)
    abi: tuple[dict[str, Any], ...]
    args: tuple[Any, ...] = ()
    value: str | None = Field(default=None, pattern=r"^(0|[1-9][0-9]{0,77})$")


class NewTransaction(Writing):
    """An EVM smart wallet's transaction of one or more calls."""

    calls: tuple[ContractCall | FunctionCall, ...] = Field(min_length=1)
    chain: ChainName
    signer: SignerRef | None = None

    def body(self) -> dict[str, Any]:
        """Return the JSON object to send; everything sits under `params`."""
        return {"params": super().body()}


class NewMessageSignature(Writing):
    """A text message for the wallet to sign (EIP-191 on EVM, where the chain is needed)."""

    message: str = Field(min_length=1)
    chain: ChainName | None = None
    signer: SignerRef | None = None

    def body(self) -> dict[str, Any]:
        """Return the JSON object to send."""
        return {"type": "message", "params": super().body()}


class NewTypedDataSignature(Writing):
    """EIP-712 typed data for the wallet to sign; `is_smart_wallet_signature` wraps it (ERC-6492)."""

    typed_data: dict[str, Any]
    chain: ChainName
    signer: SignerRef | None = None
    is_smart_wallet_signature: bool | None = None

    def body(self) -> dict[str, Any]:
        """Return the JSON object to send."""
        return {"type": "typed-data", "params": super().body()}


class Approval(Writing):
    """A signature to hand in: 0x hex on EVM (64 or 65 bytes), base58 on Solana, base64 on Stellar.

    `signer` is sent as Crossmint wrote it in the pending entry. `message` is needed only where one signer has
    more than one message pending.
    """

    signer: str = Field(min_length=1, max_length=grammar.MAX_LOCATOR)
    signature: str = Field(
        pattern=r"^(0x([0-9a-fA-F]{128}|[0-9a-fA-F]{130})|[A-Za-z0-9+/=]{80,100})$"
    )
    message: str | None = Field(default=None, min_length=1)


class NewSigner(Writing):
    """A signer to add to a wallet; on EVM per chain."""

    signer: AnySigner | SignerRef
    chain: ChainName | None = None
    expires_at: Instant | None = None
    scopes: tuple[TransferScope, ...] | None = None
    deploy_immediately: bool | None = None


class Funding(Writing):
    """Staging money to add: 1 to 100 whole USDXM."""

    amount: int = Field(ge=1, le=100)
    chain: ChainName
    token: Literal["usdxm"] = "usdxm"  # noqa: S105  a token on a chain


class PostalAddress(Writing):
    """Where a person lives."""

    line1: Name = Field(repr=False)
    line2: Name | None = Field(default=None, repr=False)
    city: Name = Field(repr=False)
    state_or_region: Name | None = Field(default=None, repr=False)
    postal_code: Name = Field(repr=False)


class IdentityDocument(Writing):
    """A document that identifies a person."""

    type: Name = Field(repr=False)
    number: Name = Field(repr=False)
    issuing_country_code: Country = Field(repr=False)


class KycData(Writing):
    """What identity checks ask for beyond `UserDetails`."""

    address_of_residence: PostalAddress | None = Field(default=None, repr=False)
    email: Email | None = Field(default=None, repr=False)
    phone_number: Phone | None = Field(default=None, repr=False)
    nationality: Country | None = Field(default=None, repr=False)
    identity_document: IdentityDocument | None = Field(default=None, repr=False)


class UserDetails(Writing):
    """What a payout needs to know of its recipient. Country is ISO 3166-1 alpha-2. Personal data."""

    first_name: Name = Field(repr=False)
    last_name: Name = Field(repr=False)
    date_of_birth: date = Field(repr=False, ge=date(1900, 1, 1))
    country_of_residence: Country = Field(repr=False)


class UserRegistration(Writing):
    """Everything to be held about a user: registering replaces what was there before."""

    user_details: UserDetails
    kyc_data: KycData | None = None


class HistoryQuery(Writing):
    """Which past transfers to list: Crossmint asks for chain, tokens and outcome."""

    chain: ChainName
    tokens: tuple[str, ...] = Field(min_length=1)
    status: Literal["successful", "failed"] = "successful"
    limit: int = Field(default=50, ge=1, le=100)
    sort: Literal["asc", "desc"] = "desc"
    from_date: Instant | None = None
    to_date: Instant | None = None

    def query(self) -> dict[str, str]:
        """Return the URL's query."""
        query = {name: str(value) for name, value in super().body().items() if name != "tokens"}
        return {**query, "tokens": ",".join(self.tokens)}
