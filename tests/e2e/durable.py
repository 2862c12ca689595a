"""A treasury with money on the stand-in, a journal, and desks that drive its transfers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.limits import Clock, Limits
from bursar.crossmint.locators import RecipientLocator, TokenLocator, WalletLocator
from bursar.crossmint.requests import ExternalWallet, NewWallet
from bursar.review.intent import Token
from bursar.signer import SignedHash
from bursar.signing_contract import BareSigner
from bursar.transfers.desk import Desk, Tools
from bursar.transfers.driving import drive
from bursar.transfers.intent import TransferIntent, TransferType
from bursar.transfers.journal import Journal, NewTransfer
from bursar.transfers.reading import Reading
from bursar.transfers.record import Key, Transfer
from bursar.transfers.states import Step, next_step
from tests.e2e.standin import World
from tests.fakes.owner import Owner

USDC = "base-sepolia:usdc"
# Seconds for one answer: many, for the stand-in shares the machine with all other tests.
PATIENCE = 30.0


@dataclass
class OwnerSigner:
    """An `Owner` behind the signer seam; counts what it signs."""

    owner: Owner = field(default_factory=Owner)
    signed: int = 0

    @property
    def address(self) -> str:
        return self.owner.address

    def sign_hash(self, message_hash: bytes, scheme: Scheme) -> SignedHash:
        self.signed += 1
        digest = evm.digest_of(message_hash, scheme)
        signature = self.owner.sign(digest, raw=True)
        return SignedHash(
            evm.parse_signature(signature, digest, self.address), digest, self.address, "local"
        )


@dataclass
class Bench:
    """One treasury wallet of 100 USDC."""

    standin: World
    journal: Journal
    signer: OwnerSigner
    client: CrossmintClient
    wallet: WalletLocator
    address: str

    @classmethod
    def make(cls, standin: World, where: str | Path) -> Bench:
        signer = OwnerSigner()
        key = standin.config.api_keys[0].key.get_secret_value()
        client = CrossmintClient(key, base_url=standin.config.url, limits=Limits(timeout=PATIENCE))
        alias = f"durable-{signer.address[2:12]}"
        made = client.create_wallet(
            NewWallet(admin_signer=ExternalWallet(address=signer.address), alias=alias)
        )
        standin.token.mint(made.address, 100_000_000)
        journal = Journal.open(where)
        return cls(
            standin, journal, signer, client, WalletLocator.treasury(alias), made.address.lower()
        )

    def close(self) -> None:
        self.client.close()
        self.journal.close()

    def reading(self) -> Reading:
        usdc = Token(self.standin.contracts.usdc, "USDC", 6)
        factory = frozenset({self.standin.contracts.kernel_factory})
        return Reading.of(None, {USDC: usdc}, factory)

    def tools(self, **more: Any) -> Tools:
        return Tools(self.client, BareSigner(self.signer), reading=self.reading(), **more)

    def desk(self, **more: Any) -> Desk:
        return Desk(self.journal, self.tools(**more))

    def key(self, transfer_id: str) -> Key:
        # An idempotency key is the project's, which all tests share.
        return Key(self.address, f"{transfer_id}-{self.address[2:12]}")

    def intent(
        self, transfer_id: str, recipient: str, amount: str = "2.5", *, direct: bool = True
    ) -> TransferIntent:
        return TransferIntent(
            self.key(transfer_id).id,
            self.wallet,
            TokenLocator.parse(USDC),
            RecipientLocator.parse(recipient),
            amount,
            TransferType.DIRECT if direct else TransferType.REGULATED,
        )

    def record(self, transfer_id: str, recipient: str | None = None, **more: Any) -> Transfer:
        asked = self.intent(transfer_id, recipient or Owner().address, **more)
        return self.journal.record(
            NewTransfer(self.key(transfer_id), asked, confirmed_by="the test")
        )

    def paid(self, recipient: str) -> int:
        return self.standin.token.balance_of(recipient)


def finish(desk: Desk, key: Key) -> Transfer:
    """Drive a transfer until it is over or held, and look more often than one would."""
    clock = Clock(sleep=lambda seconds: time.sleep(min(seconds, 0.05)))
    ended = drive(desk, key, clock=clock)
    assert next_step(ended.standing) is Step.STOP, f"it does not come to an end: {ended}"
    return ended
