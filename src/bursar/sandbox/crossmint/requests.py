"""The bodies clients send, as pydantic models of the public schema; anything else is a 400."""
# ruff: noqa: N815  the field names are the schema's own

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bursar import strict_json
from bursar.sandbox.crossmint.replies import bad_request

_Model = TypeVar("_Model")
Text = Annotated[str, Field(min_length=1, max_length=512)]


class _Body(BaseModel):
    # Unknown fields are ignored, as newer clients send more than the schema names; types are not coerced.
    model_config = ConfigDict(frozen=True, strict=True)


class Point(_Body):
    """A P-256 public key."""

    x: Text
    y: Text


class KeySigner(_Body):
    """A signer that is an EVM key."""

    type: Literal["external-wallet", "server"]
    address: Text


class ApiKeySigner(_Body):
    """Crossmint's custodial signer."""

    type: Literal["api-key"]


class PasskeySigner(_Body):
    """A WebAuthn credential."""

    type: Literal["passkey"]
    id: Text
    name: Text
    publicKey: Point


class EmailSigner(_Body):
    """A signer reached by email."""

    type: Literal["email"]
    email: Annotated[str, Field(pattern=r"^[^@\s:]+@[^@\s:]+\.[^@\s:]+$", max_length=254)]


class PhoneSigner(_Body):
    """A signer reached by phone."""

    type: Literal["phone"]
    phone: Annotated[str, Field(pattern=r"^\+[1-9]\d{6,14}$")]


class DeviceSigner(_Body):
    """A key in a device's secure element."""

    type: Literal["device"]
    publicKey: Point
    name: Text | None = None


Signer = Annotated[
    KeySigner | ApiKeySigner | PasskeySigner | EmailSigner | PhoneSigner | DeviceSigner,
    Field(discriminator="type"),
]


class Quorum(_Body):
    """m of n keys, as `config.recoveryMethods` takes it."""

    type: Literal["quorum"]
    threshold: Annotated[int, Field(ge=1, le=10)]
    members: Annotated[list[KeySigner], Field(min_length=2, max_length=10)]


class DelegatedSigner(_Body):
    """An operational signer, as an object or a locator."""

    signer: Signer | Text
    expiresAt: str | None = None


class WalletConfig(_Body):
    """`config` of an EVM smart wallet; the schema closes it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    adminSigner: Signer | None = None
    recoveryMethods: Annotated[list[Quorum | Signer], Field(min_length=1, max_length=1)] | None = (
        None
    )
    delegatedSigners: Annotated[list[DelegatedSigner], Field(max_length=20)] = []
    creationSeed: Text | None = None


class CreateWallet(_Body):
    """POST wallets."""

    chainType: Literal["evm"]
    type: Literal["smart"] = "smart"
    config: WalletConfig
    owner: Text | None = None
    alias: Text | None = None


class CreateTransfer(_Body):
    """POST transfers."""

    recipient: Text
    amount: Annotated[str, Field(pattern=r"^\d{1,60}(?:\.\d{0,60})?$")]
    signer: Text | None = None
    transactionType: Literal["direct", "regulated-transfer", "onramp"] = "direct"


class RawCall(_Body):
    """A call with its data ready."""

    to: Text
    value: Annotated[str, Field(pattern=r"^(?:\d{1,78}|0x[0-9a-fA-F]{1,64})$")] = "0"
    data: Annotated[str, Field(pattern=r"^0x(?:[0-9a-fA-F]{2})*$", max_length=50_000)] = "0x"


class AbiCall(_Body):
    """A call to be encoded by its ABI."""

    address: Text
    functionName: Text
    abi: list[Any]
    args: list[Any] = []
    value: Annotated[str, Field(pattern=r"^(?:\d{1,78}|0x[0-9a-fA-F]{1,64})$")] = "0"


class TransactionParams(_Body):
    """What an EVM smart wallet is asked to do."""

    calls: Annotated[list[RawCall | AbiCall], Field(min_length=1, max_length=100)]
    chain: Text
    signer: Text | None = None


class CreateTransaction(_Body):
    """POST transactions."""

    params: TransactionParams


class Approval(_Body):
    """One signature by a key signer. Passkeys and devices sign otherwise, which this stand-in cannot check."""

    signer: Text
    signature: Annotated[str, Field(max_length=20_000)]
    message: str | None = None


class SubmitApprovals(_Body):
    """POST approvals."""

    approvals: Annotated[list[Approval], Field(min_length=1, max_length=20)]


class CreateSigner(_Body):
    """POST signers."""

    signer: Signer | Text
    chain: Text
    expiresAt: str | None = None
    scopes: list[Any] | None = None
    deployImmediately: bool = False


class MessageParams(_Body):
    """A text to sign."""

    message: Annotated[str, Field(max_length=100_000)]
    chain: Text = "base-sepolia"
    signer: Text | None = None


class MessageSignature(_Body):
    """POST signatures, of a text."""

    type: Literal["message"]
    params: MessageParams


class TypedDataParams(_Body):
    """EIP-712 data to sign."""

    typedData: dict[str, Any]
    chain: Text
    signer: Text | None = None
    isSmartWalletSignature: bool | None = None


class TypedDataSignature(_Body):
    """POST signatures, of EIP-712 data."""

    type: Literal["typed-data"]
    params: TypedDataParams


CreateSignature = Annotated[MessageSignature | TypedDataSignature, Field(discriminator="type")]


class Fund(_Body):
    """POST balances: play money."""

    amount: Annotated[int | Decimal, Field(ge=1, le=100)]
    token: Literal["usdxm"]
    chain: Text


class UserDetails(_Body):
    """Who a recipient is."""

    firstName: Text
    lastName: Text
    dateOfBirth: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    countryOfResidence: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class PutUser(_Body):
    """PUT users: replaces all four sections."""

    userDetails: UserDetails | None = None
    kycData: dict[str, Any] | None = None
    dueDiligence: dict[str, Any] | None = None
    verificationHistory: dict[str, Any] | None = None


class LegalDocument(_Body):
    """PUT legal-documents."""

    type: Literal["crossmint-privacy-policy"]
    acceptedAt: Text


def parse_json(raw: bytes) -> Any:
    """Return a JSON body; fractions are Decimal, never float.

    Raises:
        ApiError: 400; not JSON, or text that UTF-8 cannot carry.
    """
    try:
        body = strict_json.loads(raw, parse_float=Decimal)
        # A lone surrogate passes and fails later, in the store.
        json.dumps(body, ensure_ascii=False, default=str).encode()
    except ValueError:
        raise bad_request("Request body is not valid JSON") from None
    return body


def parse(model: type[_Model], body: Any) -> _Model:
    """Return a body as its model.

    Raises:
        ApiError: 400, naming the first field that is wrong.
    """
    try:
        # Any: an Annotated union is not a class, which TypeAdapter takes and mypy does not.
        adapter: Any = TypeAdapter(model)
        read: _Model = adapter.validate_python(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise bad_request(
            f"Invalid request{f' at {where}' if where else ''}: {first['msg']}"
        ) from None
    except RecursionError:
        raise bad_request("Request body is nested too deeply") from None
    return read
