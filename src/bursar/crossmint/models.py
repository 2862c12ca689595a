"""What Crossmint answers with: wallets, balances, transactions, signatures, transfers, users.

Source: the 2025-06-09 API description, read with tolerance for the older shapes still seen (`reading.py`).
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, field_validator, model_validator

from bursar.crossmint.approvals import Approvable, Status
from bursar.crossmint.reading import Moment, Reading, Recorded, Signer, plain
from bursar.errors import CrossmintProtocolError, RecipientWalletSanctioned, TransactionFailed

_DIGITS = re.compile(r"[0-9]{1,100}", re.ASCII)


def _chain_type_of(kind: object) -> str | None:
    """Return the chain type in a wallet type of API version 2022-06-09, such as `evm-smart-wallet`."""
    return kind.partition("-")[0] if isinstance(kind, str) and kind.endswith("-wallet") else None


class Wallet(Recorded):
    """A wallet. `admin_signer` is absent for MPC wallets; `type` is smart or mpc, or a type of 2022."""

    address: str = Field(min_length=1, max_length=256)
    type: str
    chain_type: str | None = None
    admin_signer: Signer | None = None
    delegated_signers: tuple[Signer, ...] = ()
    owner: str | None = None
    alias: str | None = None
    created_at: Moment | None = None

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        config = value.get("config")
        inner = config if isinstance(config, dict) else {}
        return {
            "chainType": _chain_type_of(value.get("type")),
            "owner": value.get("linkedUser"),
            **{name: part for name, part in value.items() if part is not None},
            "adminSigner": inner.get("adminSigner"),
            "delegatedSigners": inner.get("delegatedSigners"),
        }


class ChainBalance(Reading):
    """What a wallet holds of a token on one chain."""

    locator: str | None = None
    amount: str
    raw_amount: str
    contract_address: str | None = None


class Balance(Recorded):
    """What a wallet holds of a token, over the chains asked for. `units` counts the smallest unit."""

    decimals: int = Field(ge=0, le=255)
    amount: str
    raw_amount: str
    symbol: str | None = None
    name: str | None = None
    chains: dict[str, ChainBalance] = Field(default_factory=dict)

    @field_validator("raw_amount")
    @classmethod
    def _is_count(cls, text: str) -> str:
        if not _DIGITS.fullmatch(text):
            raise ValueError("not a count of base units")
        return text

    @property
    def units(self) -> int:
        """The balance in base units."""
        return int(self.raw_amount)


class FundedBalance(Recorded):
    """A token's balances after staging funds were added, per chain, as the v1-alpha2 API writes them."""

    token: str
    decimals: int
    balances: dict[str, str]


class SendDetails(Reading):
    """What a transfer was asked to do. `recipient` may come back as `address:<address>:<chain>`."""

    recipient: str
    recipient_address: str | None = None
    amount: str | None = None


class SendParams(Reading):
    """The token (a locator) and the details of a transfer."""

    token: str
    params: SendDetails


class Problem(Reading):
    """Why a transaction failed: Crossmint's reason code and text."""

    reason: str | None = None
    message: str | None = None
    revert: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"message": value} if isinstance(value, str) else value


class OnChain(Reading):
    """The chain's side of a transaction. `user_operation` is kept word for word, for the review."""

    user_operation: dict[str, Any] | None = None
    user_operation_hash: str | None = None
    transaction: Any = None
    tx_id: str | None = None
    proxied_tx_id: str | None = None
    explorer_link: str | None = None


class Transaction(Approvable):
    """A transaction of a wallet. `raw` is the whole body, which the review reads."""

    chain_type: str | None = None
    wallet_type: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    on_chain: OnChain = OnChain()
    send_params: SendParams | None = None
    error: Problem | None = None
    created_at: Moment | None = None
    completed_at: Moment | None = None

    @property
    def chain(self) -> str | None:
        """The chain's name, from `params`; absent on Solana and Stellar."""
        name = self.params.get("chain")
        return name if isinstance(name, str) else None

    @property
    def user_operation_hash(self) -> str | None:
        """The ERC-4337 hash as Crossmint states it; not to be signed before it is recomputed."""
        return self.on_chain.user_operation_hash

    def require_not_failed(self) -> None:
        """Refuse a transaction that Crossmint says failed; all other states pass.

        Raises:
            TransactionFailed: it failed; `reason` is Crossmint's code.
            RecipientWalletSanctioned: it failed because an address is sanctioned.
        """
        if self.status is not Status.FAILED:
            return
        problem = self.error or Problem()
        text = plain(problem.message or problem.reason or "no reason was given")
        kind = RecipientWalletSanctioned if _is_sanction(problem.reason) else TransactionFailed
        reason = plain(problem.reason, 80) if problem.reason else None
        raise kind(
            f"transaction {plain(self.id, 80)} failed: {text}",
            hint="it is final and paid nothing; to try again, start a new transfer with a new id",
            reason=reason,
        )


def _is_sanction(reason: str | None) -> bool:
    return reason == "sanctioned_wallet_address"


class Signature(Approvable):
    """An off-chain signature by a wallet. `output_signature` is there once enough signers approved."""

    type: str
    chain_type: str | None = None
    wallet_type: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    output_signature: str | None = None
    error: Problem | None = None
    created_at: Moment | None = None
    completed_at: Moment | None = None


class Registration(Approvable):
    """A signer's registration on one chain. Once it is `success` Crossmint leaves its id out."""

    id: str = Field(default="", max_length=256)


class DelegatedSigner(Signer):
    """A signer of a wallet besides the admin. On EVM `chains` holds, per chain, what has to be approved."""

    expires_at: Moment | None = None
    scopes: tuple[dict[str, Any], ...] = ()
    chains: dict[str, Registration] = Field(default_factory=dict)
    transaction: Transaction | None = None


class Party(Reading):
    """One side of a past transfer."""

    address: str
    chain: str | None = None
    locator: str | None = None
    owner: str | None = None


class MovedToken(Reading):
    """What moved. `raw_amount` counts base units."""

    locator: str | None = None
    amount: str
    raw_amount: str | None = None
    decimals: int | None = None
    symbol: str | None = None
    chain: str | None = None
    contract_address: str | None = None


class PastTransfer(Recorded):
    """An entry of the transfer history. `type` is wallets.transfer.in or wallets.transfer.out."""

    type: str
    sender: Party
    recipient: Party
    token: MovedToken
    status: str
    transfer_id: str | None = None
    completed_at: Moment | None = None
    on_chain: OnChain = OnChain()
    error: Problem | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the transfer landed; older answers say `successful`."""
        return self.status in ("succeeded", "successful")


class TransferPage(Reading):
    """A page of the transfer history; `next_cursor` is absent on the last."""

    items: tuple[PastTransfer, ...] = Field(alias="data")
    next_cursor: str | None = None
    previous_cursor: str | None = None


class User(Recorded):
    """A registered user. The documented answer names identifiers and which sections are on file; see `raw`."""

    user_id: str | None = None
    email: str | None = None


def read_list(kind: type[Reading], body: object, field: str | None = None) -> list[Any]:
    """Return the readings in a list, or in a list under a field.

    Raises:
        CrossmintProtocolError: there is no list, or an item is not of the shape.
    """
    items = body
    if field is not None:
        items = body.get(field) if isinstance(body, dict) else None
    if not isinstance(items, list):
        raise CrossmintProtocolError(
            f"Crossmint's answer has no list of {field or kind.__name__.lower()}"
        )
    return [kind.read(item) for item in items]
