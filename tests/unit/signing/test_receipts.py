"""What is on record: enough to prove what happened, nothing of the raw transaction, no float, no secret."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import BursarError, KmsTimeout
from bursar.ledger.receipts import GENESIS, canonical, read_receipt
from bursar.signing_contract import TransactionRequest, parse_request
from tests.unit.review import scene
from tests.unit.signing.scene import APPROVED, BY_ADA, CALLER, POLICY, Desk, unanswered

SECRET = "hunter2-never-to-be-seen"


def busy() -> Desk:
    """A desk with a receipt of every kind."""
    desk = Desk(policy=POLICY + APPROVED)
    with suppress(BursarError):
        desk.treasury.sign(desk.request(), CALLER)
    desk.treasury.consent(desk.approval(desk.waiting()), BY_ADA)
    desk.kms.failures = [unanswered(KmsTimeout("late"))]
    for _ in range(2):
        with suppress(BursarError):
            desk.treasury.sign(desk.request(), CALLER)
    with suppress(BursarError):
        desk.treasury.sign(desk.request(desk.waiting() | {"status": "pending"}), CALLER)
    return desk


def parts(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from parts(inner)


def texts(desk: Desk) -> list[str]:
    return [text for _, text in desk.store.between(desk.key, "receipt#", "receipt#~")]


def test_the_chain_begins_at_nothing_and_each_receipt_names_the_one_before() -> None:
    desk, previous = busy(), GENESIS
    found = texts(desk)
    assert len(found) == 7
    for number, text in enumerate(found, 1):
        receipt, stated = read_receipt(text)
        assert (receipt.number, receipt.previous, receipt.hash) == (number, previous, stated)
        assert text == canonical(receipt.to_dict())
        previous = stated


def test_every_kind_of_receipt_is_text_and_whole_numbers() -> None:
    desk = busy()
    assert set(desk.events) == {"decision", "consent", "failure", "signature"}
    for text in texts(desk):
        kinds = {type(part) for part in parts(json.loads(text))}
        assert kinds <= {dict, list, str, int, bool, type(None)}
        assert text.isascii()


def test_receipts_have_nothing_of_the_raw_transaction() -> None:
    desk = Desk()
    transaction = desk.waiting() | {"secret": SECRET, "createdAt": SECRET}
    transaction["params"] = transaction["params"] | {"note": SECRET}
    desk.treasury.sign(desk.request(transaction), CALLER)
    with suppress(BursarError):
        desk.treasury.sign(desk.request(transaction | {"status": SECRET * 20}), CALLER)
    raw = transaction["onChain"]["userOperation"]
    whole = "".join(texts(desk))
    assert raw["callData"][2:] not in whole
    assert SECRET not in whole.replace(f"the status is {(SECRET * 20)[:80]}", "")
    assert 'userOperation"' not in whole


def test_what_is_quoted_of_a_foreign_answer_is_short_and_printable() -> None:
    desk = Desk()
    altered = desk.waiting() | {"status": "\x1b[31m" + "x" * 5000, "id": "y" * 5000}
    with suppress(BursarError):
        desk.treasury.sign(desk.request(altered), CALLER)
    [text] = texts(desk)
    assert len(text) < 2000
    assert "\\u001b" not in text
    assert json.loads(text)["body"]["request"]["transaction"] is None


def test_a_request_that_names_what_it_accepts_a_thousand_times_leaves_a_short_receipt() -> None:
    desk = Desk()
    with suppress(BursarError):
        desk.treasury.sign(desk.request(accept=("unverifiable",) * 4000), CALLER)
    assert len(texts(desk)[0]) < 5000


def encoded(request: TransactionRequest, spelling: dict[str, Any]) -> bytes:
    """Return the request as somebody else may write it: other case, other order, other spaces, other zeros."""
    transaction = copy.deepcopy(dict(request.transaction))
    operation = transaction["onChain"]["userOperation"]
    for name in ("sender", "paymaster"):
        if name in operation:
            operation[name] = spelling["address"](operation[name])
    body = {
        "kind": "transaction",
        "transaction": transaction,
        "intent": {
            "chain": request.intent.chain,
            "token": spelling["address"](scene.USDC),
            "recipient": spelling["address"](scene.RECIPIENT),
            "amount": str(scene.UNITS),
            "symbol": "USDC",
            "decimals": 6,
        },
        "wallet": spelling["address"](request.wallet),
        "signer": "external-wallet:" + spelling["address"](request.signer_address),
    }
    names = sorted(body, reverse=spelling["reverse"])
    made = {name: body[name] for name in names} | {"accept": spelling["accept"]}
    return json.dumps(made, indent=spelling["indent"], ensure_ascii=spelling["ascii"]).encode()


SPELLINGS = st.fixed_dictionaries(
    {
        "address": st.sampled_from([str, str.lower]),
        "reverse": st.booleans(),
        "indent": st.sampled_from([None, 0, 4]),
        "ascii": st.booleans(),
        "accept": st.sampled_from([["unverifiable"], ["unverifiable", "unverifiable"]]),
    }
)


@given(SPELLINGS, SPELLINGS)
def test_one_request_in_two_encodings_gives_the_same_receipts(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    first = Desk()
    second = replace(Desk(kms=replace(first.kms, calls=[])), clock=first.clock)
    for desk, spelling in ((first, one), (second, other)):
        request = parse_request(encoded(desk.request(), spelling))
        assert isinstance(request, TransactionRequest)
        desk.treasury.sign(request, CALLER)
    assert first.receipts[0] == second.receipts[0]
    assert len(texts(first)) == 2


def test_a_request_made_in_this_process_leaves_the_receipt_of_one_that_came_by_the_api() -> None:
    first = Desk()
    second = Desk(kms=first.kms)
    first.treasury.sign(first.request(wallet=scene.WALLET.lower()), CALLER)
    second.treasury.sign(second.request(), CALLER)
    assert first.receipts[0] == second.receipts[0]
