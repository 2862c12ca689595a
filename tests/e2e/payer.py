"""A wallet that pays one recipient on the stand-in, whose answers may be altered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bursar.review.intent import Intent, Token
from bursar.review.report import Review
from bursar.review.terms import Terms
from bursar.review.transaction import review
from tests.e2e.standin import World
from tests.fakes.owner import Owner

PAID = 2_500_000


@dataclass(frozen=True)
class Payer:
    """A wallet that pays 2.5 USDC to one recipient, again and again."""

    standin: World
    owner: Owner
    wallet: str
    recipient: str

    def transfer(self, status: int = 201) -> Any:
        return self.standin.client.transfer(status, self.wallet, self.recipient, "2.5")

    def read(self, identity: str, status: int = 200) -> Any:
        return self.standin.client.transaction(status, self.wallet, identity)

    def altered(self, operation: str, how: str, status: int | None = None) -> Any:
        """Return a transfer altered when it is made, or an honest one altered when it is read."""
        if operation == "transfers.create":
            self.standin.alter(operation, how)
            return self.transfer(status or 201)
        made = self.transfer()
        self.standin.alter(operation, how)
        return self.read(made["id"], status or 200)

    def settle(self, transaction: Any) -> Any:
        self.standin.client.approve(201, self.wallet, transaction, self.owner)
        return self.standin.client.settled(self.wallet, transaction["id"])

    def review(self, transaction: Any) -> Review:
        token = Token(self.standin.contracts.usdc, "USDC", 6)
        return review(
            transaction,
            Intent("base-sepolia", token, self.recipient, PAID),
            signer=self.owner.locator,
            wallet=self.wallet,
            terms=Terms(factories=frozenset({self.standin.contracts.kernel_factory})),
        )
