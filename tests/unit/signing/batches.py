"""Batches for a treasury in memory: who is paid, by which policy, and the transaction that pays them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bursar.review.intent import MOST_PAYMENTS, BatchIntent, Intent, Token
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.token import transfer_data
from bursar.sandbox.crossmint.contract_calls import to_json
from bursar.signing_contract import TransactionRequest
from tests.unit.review import scene
from tests.unit.review.scene import address
from tests.unit.signing.scene import POLICY, Desk, doing

UNITS = 1_000_000


def person(number: int) -> str:
    return address(f"person {number}")


def paid(*people: str, units: int = UNITS) -> BatchIntent:
    """Return a batch that pays each of these people a whole token."""
    return BatchIntent(
        tuple(Intent(scene.CHAIN, Token(scene.USDC, "USDC", 6), who, units) for who in people)
    )


def crowd(number: int) -> BatchIntent:
    return paid(*(person(each) for each in range(number)))


def calls(batch: BatchIntent) -> list[kernel.Call]:
    """Return a batch's calls as the sandbox's own encoder writes them."""
    return [
        kernel.Call(each.token.contract, 0, transfer_data(each.recipient, each.amount))
        if each.token.contract
        else kernel.Call(each.recipient, each.amount, b"")
        for each in batch.payments
    ]


def rules(*more: str, people: int = 100, a_day: str = "1000") -> str:
    listed = "\n".join(f'person-{each} = "{person(each)}"' for each in range(people))
    several = POLICY.replace("version = 7", "version = 7\ncalls_at_most = 100")
    named = several.replace('acme = "', f'{listed}\nacme = "')
    return named.replace('amount = "1.00"', f'amount = "{a_day}"') + "".join(more)


def limit(**fields: Any) -> str:
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in fields.items())
    return f"[[limits]]\n{lines}\n"


def desk_of(*more: str, **changes: Any) -> Desk:
    return Desk(policy=rules(*more, **changes))


def asked(
    desk: Desk,
    batch: BatchIntent,
    made: Sequence[kernel.Call] | None = None,
    *,
    sequence: int = 0,
    **changes: Any,
) -> TransactionRequest:
    """Return a request to sign a batch; `made` are the calls that are really made."""
    told = calls(batch) if made is None else made
    transaction = desk.waiting(doing(*told, sequence=sequence), name=f"tx-{sequence}")
    # As Crossmint answers: what it was asked for, whatever the operation does.
    transaction["params"]["calls"] = [to_json(each) for each in calls(batch)]
    return desk.request(transaction, intent=batch, **changes)


def largest() -> BatchIntent:
    """Return a batch of the most payments, each as large as a policy's cap of 10 lets it be."""
    return paid(*(person(each) for each in range(MOST_PAYMENTS)), units=9_999_999)
