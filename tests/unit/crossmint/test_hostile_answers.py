from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.limits import Clock, Limits
from bursar.crossmint.models import Transaction
from bursar.crossmint.requests import (
    Approval,
    ContractCall,
    ExternalWallet,
    HistoryQuery,
    NewMessageSignature,
    NewSigner,
    NewTransaction,
    NewWallet,
    UserDetails,
    UserRegistration,
)
from bursar.errors import BursarError
from tests.unit.crossmint import bodies
from tests.unit.crossmint.bodies import ADDRESS, OTHER, OURS, SIGNATURE, WALLET
from tests.unit.crossmint.conftest import KEY
from tests.unit.crossmint.test_session import TRANSFER

APPROVAL = Approval(signer=OURS, signature=SIGNATURE)
HISTORY = HistoryQuery(chain="base", tokens=("usdc",))
PERSON = UserRegistration(
    user_details=UserDetails(
        first_name="A",
        last_name="B",
        date_of_birth=date(1990, 1, 1),
        country_of_residence="GB",
    )
)
Call = Callable[[CrossmintClient], Any]
CALLS: dict[str, tuple[Call, Any]] = {
    "create_wallet": (
        lambda c: c.create_wallet(
            NewWallet(admin_signer=ExternalWallet(address=ADDRESS), alias="t")
        ),
        bodies.wallet(),
    ),
    "get_wallet": (lambda c: c.get_wallet(WALLET), bodies.wallet()),
    "balances": (lambda c: c.balances(WALLET, tokens=["usdc"]), [bodies.balance()]),
    "fund_staging": (
        lambda c: c.fund_staging(WALLET, amount=1, chain="base-sepolia"),
        [{"token": "usdxm", "decimals": 6, "balances": {"base-sepolia": "1"}}],
    ),
    "create_transfer": (
        lambda c: _look(c.create_transfer(WALLET, TRANSFER, idempotency_key="k")),
        bodies.transaction(),
    ),
    "create_transaction": (
        lambda c: _look(
            c.create_transaction(
                WALLET,
                NewTransaction(calls=(ContractCall(to=OTHER),), chain="base"),
                idempotency_key="k",
            )
        ),
        bodies.quorum_transaction(),
    ),
    "get_transaction": (
        lambda c: _look(c.get_transaction(WALLET, bodies.transaction()["id"])),
        bodies.quorum_transaction(),
    ),
    "get_transfer": (
        lambda c: _look(c.get_transfer(WALLET, "base:usdc", bodies.transaction()["id"])),
        bodies.transaction(),
    ),
    "list_transactions": (
        lambda c: [_look(t) for t in c.list_transactions(WALLET)],
        {"transactions": [bodies.transaction()]},
    ),
    "approve_transaction": (
        lambda c: _look(c.approve_transaction(WALLET, bodies.transaction()["id"], [APPROVAL])),
        bodies.transaction(),
    ),
    "create_signature": (
        lambda c: _look(
            c.create_signature(WALLET, NewMessageSignature(message="m"), idempotency_key="k")
        ),
        bodies.signature(),
    ),
    "get_signature": (lambda c: _look(c.get_signature(WALLET, "sig-1")), bodies.signature()),
    "list_signatures": (
        lambda c: c.list_signatures(WALLET),
        {"signatures": [bodies.signature()]},
    ),
    "approve_signature": (
        lambda c: c.approve_signature(WALLET, "sig-1", [APPROVAL]),
        bodies.signature(),
    ),
    "add_signer": (
        lambda c: c.add_signer(WALLET, NewSigner(signer=ExternalWallet(address=OTHER))),
        bodies.delegated_signer(),
    ),
    "get_signer": (lambda c: c.get_signer(WALLET, OURS), bodies.delegated_signer()),
    "remove_signer": (lambda c: _look(c.remove_signer(WALLET, OURS)), bodies.transaction()),
    "register_user": (lambda c: c.register_user("userId:1", PERSON), {"userId": "1"}),
    "transfer_history": (
        lambda c: c.transfer_history(WALLET, HISTORY),
        {"data": [bodies.past_transfer()], "nextCursor": "c"},
    ),
}


def _look(record: Any) -> Any:
    """Ask a reading everything that can be asked of it."""
    with contextlib.suppress(BursarError):
        record.pending_for(OURS)
    if isinstance(record, Transaction):
        with contextlib.suppress(BursarError):
            record.require_not_failed()
    told = (record.submitted_by(OURS), record.waiting_for(), record.status, record.succeeded)
    return told, repr(record)


def ask(call: Call, answer: httpx2.Response) -> None:
    client = CrossmintClient(
        KEY,
        transport=httpx2.MockTransport(lambda _: answer),
        limits=Limits(attempts=1),
        clock=Clock(now=lambda: 0.0, sleep=lambda _: None),
    )
    with client:
        error = _error_of(call, client)
    if error is not None:
        assert error.message.isprintable()
        assert len(error.message) < 700
        assert KEY not in error.message


def _error_of(call: Call, client: CrossmintClient) -> BursarError | None:
    try:
        call(client)
    except BursarError as error:
        return error
    return None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**30, max_value=10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([OURS, ADDRESS, "success", "awaiting-approval", "2026-01-01T00:00:00Z"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "status", "error", "message", "reason", "approvals", "pending", "signer"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
statuses = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503, 599])
FAST = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def test_every_call_of_the_client_is_tried() -> None:
    names = {
        name
        for name in dir(CrossmintClient)
        if not name.startswith("_") and name not in ("close", "iter_transfers")
    }
    assert names == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_a_good_answer_is_read(name: str) -> None:
    call, body = CALLS[name]
    client = CrossmintClient(
        KEY, transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=body))
    )
    with client:
        call(client)


@pytest.mark.parametrize("name", CALLS)
@given(body=json_values, status=statuses)
@FAST
def test_any_json_raises_only_our_errors(name: str, body: Any, status: int) -> None:
    ask(CALLS[name][0], httpx2.Response(status, json=body))


@pytest.mark.parametrize("name", CALLS)
@given(body=st.binary(max_size=200), status=statuses)
@FAST
def test_any_bytes_raise_only_our_errors(name: str, body: bytes, status: int) -> None:
    ask(CALLS[name][0], httpx2.Response(status, content=body))


@pytest.mark.parametrize("name", CALLS)
@given(data=st.data())
@FAST
def test_a_good_answer_with_one_part_replaced_raises_only_our_errors(
    name: str, data: st.DataObject
) -> None:
    call, body = CALLS[name]
    body = copy.deepcopy(body)
    at = body
    while isinstance(at, dict | list) and at:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.booleans()):
            at[key] = data.draw(json_values)
            break
        at = at[key]
    ask(call, httpx2.Response(200, json=body))


@pytest.mark.parametrize("depth", [100, 5_000, 100_000])
def test_deep_json_raises_only_our_errors(depth: int) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"approvals":', b"}")):
        text = opening * depth + b"1" + closing * depth
        for status in (200, 400):
            ask(CALLS["get_transaction"][0], httpx2.Response(status, content=text))


@pytest.mark.parametrize("text", ['"\\ud800"', "1" * 5000, '{"message":"\\ud800\\u0000"}'])
def test_odd_json_raises_only_our_errors(text: str) -> None:
    for field in ("id", "status", "message", "createdAt", "params"):
        body = f'{{"id": "x", "status": "failed", "{field}": {text}}}'.encode()
        for status in (200, 400, 502):
            for name in ("get_transaction", "create_transfer"):
                ask(CALLS[name][0], httpx2.Response(status, content=body))
