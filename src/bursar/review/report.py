"""What a review found, for people and for the record. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from bursar.amounts import to_decimal_text
from bursar.chains.evm import Scheme, digest_of
from bursar.review.actions import Action, SignerChange, Transfer
from bursar.review.deployment import Deployment
from bursar.review.fee import Fee
from bursar.review.intent import BatchIntent, Intent, Token
from bursar.review.words import amount_words, words

# More payments than these are told by their sums: nobody compares forty addresses in one sentence.
_FEW: Final = 3


class ReviewKind(StrEnum):
    """What a transaction is, in the policy's words.

    TRANSFER: payments and nothing else. SIGNER_CHANGE: changes of the wallet's signers and nothing else. OTHER:
    anything else, and any mixture.
    """

    TRANSFER = "transfer"
    SIGNER_CHANGE = "signer_change"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ReviewedCall:
    """One call: where to, with how much wei, and what it does."""

    to: str
    value: int
    action: Action

    @property
    def carries_coin(self) -> bool:
        """Whether the chain's coin goes along with something that is no payment of it."""
        pays_coin = isinstance(self.action, Transfer) and self.action.token is None
        return bool(self.value) and not pays_coin


@dataclass(frozen=True, slots=True)
class Review:
    """A verified transaction: what it does, from which wallet, on which chain, at what cost.

    `hash` is the user operation's, recomputed; it is what waits for `signer`. `transaction` is Crossmint's id for
    it, which the hash does not cover: what must not happen twice is to be kept by `hash`. `intent` is there once
    the transaction has been found to be that and nothing else; `named` are tokens whose names the operator knows,
    for the sentence.
    """

    chain: str
    chain_id: int
    wallet: str
    signer: str
    transaction: str
    hash: bytes
    calls: tuple[ReviewedCall, ...]
    may_fail: bool
    fee: Fee
    nonce: int
    deployment: Deployment | None = None
    intent: Intent | BatchIntent | None = None
    named: tuple[Token, ...] = ()

    @property
    def kind(self) -> ReviewKind:
        """What the transaction is as a whole."""
        if not self.calls or any(call.carries_coin for call in self.calls):
            return ReviewKind.OTHER
        if len(self.payments) == len(self.calls):
            return ReviewKind.TRANSFER
        if all(isinstance(call.action, SignerChange) for call in self.calls):
            return ReviewKind.SIGNER_CHANGE
        return ReviewKind.OTHER

    @property
    def payments(self) -> tuple[Transfer, ...]:
        """The payments among the calls, in order."""
        actions = (call.action for call in self.calls)
        return tuple(action for action in actions if isinstance(action, Transfer))

    def digest(self, scheme: Scheme) -> bytes:
        """Return the 32 bytes that the key signs under this scheme."""
        return digest_of(self.hash, scheme)

    @property
    def doings(self) -> tuple[str, ...]:
        """What each call does, in order, with every address in full."""
        return tuple(_doing(call, self._named) for call in self.calls)

    @property
    def is_summed(self) -> bool:
        """Whether the sentence tells sums, so that who is paid is in `doings` alone."""
        return self.kind is ReviewKind.TRANSFER and len(self.calls) > _FEW

    @property
    def sentence(self) -> str:
        """The whole transaction in one sentence. More than a few payments are told by their sums."""
        deploys = ", deploying the wallet" if self.deployment else ""
        unsure = ", in calls that may fail unnoticed" if self.may_fail else ""
        return (
            f"{self._summary} on {self.chain}{unsure}, fee at most {_fee(self.fee)}, "
            f"from wallet {self.wallet}{deploys}"
        )

    @property
    def _named(self) -> tuple[Token, ...]:
        return self.intent.tokens if self.intent else self.named

    @property
    def _summary(self) -> str:
        if self.is_summed:
            return _sums(self.payments, self._named)
        doings = self.doings or ("do nothing",)
        count = f"{len(doings)} calls: " if len(doings) > 1 else ""
        return count + "; ".join(doings)

    def to_dict(self) -> dict[str, Any]:
        """Return the review as JSON, for the record. Amounts and fees are decimal text, the rest is 0x hex."""
        return {
            "sentence": self.sentence,
            "kind": self.kind.value,
            "transaction": self.transaction,
            "chain": self.chain,
            "chainId": self.chain_id,
            "wallet": self.wallet,
            "signer": self.signer,
            "userOperationHash": "0x" + self.hash.hex(),
            "nonce": hex(self.nonce),
            "calls": [_call(call) for call in self.calls],
            "mayFail": self.may_fail,
            "feeAtMost": str(self.fee.at_most),
            "paymaster": self.fee.paymaster,
            "deployment": asdict(self.deployment) if self.deployment else None,
            "intent": self.intent.to_dict() if self.intent else None,
        }


def _doing(call: ReviewedCall, named: tuple[Token, ...]) -> str:
    coin = f", sending {call.value} wei along" if call.carries_coin else ""
    return words(call.action, named) + coin


def _sums(payments: tuple[Transfer, ...], named: tuple[Token, ...]) -> str:
    totals: Counter[str | None] = Counter()
    for paid in payments:
        totals[paid.token] += paid.amount
    sums = " and ".join(amount_words(token, units, named) for token, units in totals.items())
    people = len({paid.recipient for paid in payments})
    whom = "1 recipient" if people == 1 else f"{people} recipients"
    return f"pay {sums} to {whom} in {len(payments)} calls"


def _fee(fee: Fee) -> str:
    # Every chain in the table counts its coin in 18 decimals here, whatever its wallets show.
    payer = f"paymaster {fee.paymaster}" if fee.paymaster else "the wallet"
    return f"{to_decimal_text(fee.at_most, 18)} of the chain's coin paid by {payer}"


def _call(call: ReviewedCall) -> dict[str, Any]:
    # Only amounts are ints in an action, and a JSON number is no place for them.
    said = {
        name: str(part) if isinstance(part, int) and not isinstance(part, bool) else part
        for name, part in asdict(call.action).items()
    }
    action = type(call.action).__name__
    return {"to": call.to, "value": str(call.value), "action": action, "arguments": said}
