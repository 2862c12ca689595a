"""Chains of receipts as the signer writes them, with real keys; and ways of tampering with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import coincurve

from bursar.chains import evm
from bursar.ledger.receipts import Event, Head, Receipt, canonical, following
from bursar.policy.decision import Decision, Judgement, Outcome
from bursar.review.fee import Fee
from bursar.review.report import Review

BOOK = "arn:aws:kms:eu-central-1:111122223333:key/1b0d6ab5-5f7f-4d4a-9d5a-d4d4b6a0c0de"
START = datetime(2026, 11, 25, 8, tzinfo=UTC)
POLICY = "5e" * 32
CALLER = {"claimedCaller": "arn:aws:iam::111122223333:role/payroll", "via": "api"}
Body = dict[str, Any]


@dataclass(frozen=True)
class Key:
    """A key that signs here instead of KMS."""

    secret: coincurve.PrivateKey = field(default_factory=coincurve.PrivateKey)

    @property
    def address(self) -> str:
        return evm.public_key_from_point(
            self.secret.public_key.format(compressed=False)[1:]
        ).address

    def sign(self, digest: str) -> str:
        compact = self.secret.sign_recoverable(bytes.fromhex(digest[2:]), hasher=None)
        return "0x" + (compact[:64] + bytes([27 + compact[64]])).hex()


KEY = Key()
STRANGER = Key()


def operation(n: int) -> str:
    return "0x" + hashlib.sha256(b"operation %d" % n).hexdigest()


def digest(operation: str, scheme: str = "eip191") -> str:
    return "0x" + evm.digest_of(bytes.fromhex(operation[2:]), evm.Scheme(scheme)).hex()


def review(n: int) -> Body:
    return Review(
        chain="base-sepolia",
        chain_id=84532,
        wallet="0x" + "11" * 20,
        signer=KEY.address,
        transaction=f"t-{n}",
        hash=bytes.fromhex(operation(n)[2:]),
        calls=(),
        may_fail=False,
        fee=Fee(1000, None),
        nonce=n,
    ).to_dict()


def decision(n: int, outcome: str = "allowed", **changes: Any) -> Body:
    judged = Judgement("approvals", Outcome(outcome), "Ürün", "1 must")
    refusal = None if outcome == "allowed" else {"code": outcome, "message": "no"}
    return {
        "outcome": outcome,
        "request": {
            "kind": "transaction",
            "transaction": f"t-{n}",
            "intent": None,
            "scheme": "eip191",
            "accept": [],
        },
        "caller": CALLER,
        "operation": operation(n),
        "digest": digest(operation(n)),
        "review": review(n),
        "policy": {"version": 1, "hash": POLICY},
        "decision": Decision(Outcome(outcome), 1, f"sha256:{POLICY}", (judged,)).to_dict(),
        "refusal": refusal,
        "proposal": None,
        "earlier": False,
    } | changes


def bare(n: int, scheme: str = "raw") -> Body:
    """A digest that is signed without a review."""
    request = {"kind": "digest", "scheme": scheme}
    found = decision(n, request=request, review=None)
    return found | {"digest": digest(operation(n), scheme)}


def signature(n: int, decided: int, key: Key = KEY, **changes: Any) -> Body:
    body = {
        "decision": decided,
        "operation": operation(n),
        "digest": digest(operation(n)),
        "scheme": "eip191",
        "signature": key.sign(digest(operation(n))),
        "address": key.address,
        "kmsRequestId": f"kms-{n}",
        "unanswered": 0,
    }
    return body | changes


def failure(n: int, decided: int, **changes: Any) -> Body:
    body = {
        "decision": decided,
        "operation": operation(n),
        "digest": digest(operation(n)),
        "code": "kms_timeout",
        "kmsRequestId": None,
        "unanswered": 2,
        "released": False,
    }
    return body | changes


def consent(n: int, **changes: Any) -> Body:
    body = {
        "caller": CALLER,
        "operation": operation(n),
        "digest": digest(operation(n)),
        "review": review(n),
        "policy": {"version": 1, "hash": POLICY},
    }
    return body | changes


Entry = tuple[Event, Body]
ENTRIES: list[Entry] = [
    (Event.DECISION, decision(1)),
    (Event.SIGNATURE, signature(1, 1)),
    (Event.DECISION, decision(2, "refused")),
    (Event.DECISION, decision(3, "needs_approval")),
    (Event.CONSENT, consent(3)),
    (Event.DECISION, decision(3)),
    (Event.DECISION, decision(4)),
    (Event.SIGNATURE, signature(4, 7)),
    (Event.SIGNATURE, signature(3, 6)),
    (Event.DECISION, decision(5)),
    (Event.FAILURE, failure(5, 10)),
]


def chain(
    entries: list[Entry], start: Head | None = None, at: Callable[[int], datetime] | None = None
) -> list[Receipt]:
    """Chain entries as `Book` does: each with a hash of its own, over the one before."""
    head, found = start or Head(), []
    for place, (event, body) in enumerate(entries):
        moment = at(place) if at else START + timedelta(seconds=place)
        receipt = following(head, BOOK, moment, event, body)
        head = receipt.head
        found.append(receipt)
    return found


def texts(receipts: list[Receipt]) -> list[str]:
    return [canonical(receipt.to_dict()) for receipt in receipts]


def sealed(receipt: Mapping[str, Any]) -> str:
    """Hash a receipt anew, as whoever forges one does. Nothing of the program's own is used."""
    plain = {name: value for name, value in receipt.items() if name != "hash"}
    digest = hashlib.sha256(
        json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()
    return json.dumps(plain | {"hash": digest}, sort_keys=True, separators=(",", ":"))


def rewritten(found: list[str], place: int, change: Callable[[Body], None]) -> list[str]:
    """Change one receipt, and hash it and every later one anew: what who may write the store can do."""
    loaded = [json.loads(text) for text in found]
    change(loaded[place])
    return rehashed(loaded)


def rehashed(loaded: list[Body]) -> list[str]:
    previous, found = loaded[0]["previous"], []
    for number, receipt in enumerate(loaded, start=1):
        text = sealed(receipt | {"number": number, "previous": previous})
        previous = json.loads(text)["hash"]
        found.append(text)
    return found
