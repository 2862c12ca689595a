"""Whatever is sent, the stand-in answers 4xx with the documented error body: never a 500, never silence."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.sandbox.crossmint.app import OPERATIONS
from tests.e2e.standin import World
from tests.fakes.owner import Owner

WRITES = [operation for operation in OPERATIONS if operation.method in ("POST", "PUT")]
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
QUIET = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="session")
def treasury(standin: World) -> str:
    return standin.funded_treasury(Owner(), "hostile")


def good_bodies(world: World, owner: Owner) -> dict[str, Any]:
    """Return a body of each write that would be accepted, to be spoiled one field at a time."""
    call = {"to": owner.address, "value": "0", "data": "0x"}
    signer = {"type": "external-wallet", "address": owner.address}
    abi_call = {
        "address": world.contracts.usdc,
        "functionName": "mint",
        "abi": [
            {
                "type": "function",
                "name": "mint",
                "inputs": [{"type": "address"}, {"type": "uint256"}],
            }
        ],
        "args": [owner.address, "1"],
    }
    details = {
        "firstName": "A",
        "lastName": "B",
        "dateOfBirth": "1990-01-01",
        "countryOfResidence": "ES",
    }
    domain = {"name": "n", "version": "1", "chainId": 1, "verifyingContract": owner.address}
    typed = {
        "domain": domain,
        "types": {"T": [{"name": "a", "type": "uint8[2]"}]},
        "primaryType": "T",
        "message": {"a": [1, 2]},
    }
    approval = {"signer": owner.locator, "signature": "0x" + "11" * 65}
    return {
        "wallets.create": {
            "chainType": "evm",
            "config": {"adminSigner": signer},
            "owner": "COMPANY",
        },
        "balances.fund": {"amount": 1, "token": "usdxm", "chain": "base-sepolia"},
        "transfers.create": {"recipient": owner.address, "amount": "1"},
        "transactions.create": {"params": {"calls": [call, abi_call], "chain": "base-sepolia"}},
        "transactions.approve": {"approvals": [approval]},
        "signatures.create": {
            "type": "typed-data",
            "params": {"typedData": typed, "chain": "base-sepolia"},
        },
        "signatures.approve": {"approvals": [approval]},
        "signers.create": {"signer": signer, "chain": "base-sepolia"},
        "users.put": {"userDetails": details, "kycData": {"email": "a@b.c"}},
        "users.put_legal_document": {
            "type": "crossmint-privacy-policy",
            "acceptedAt": "2026-01-01",
        },
        "users.put_identity_verification": {},
    }


def spoil(draw: st.DrawFn, body: Any) -> Any:
    """Replace one value somewhere in a body."""
    if isinstance(body, dict) and body and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(body)))
        return {**body, name: spoil(draw, body[name])}
    if isinstance(body, list) and body and draw(st.integers(0, 4)):
        return [spoil(draw, body[0]), *body[1:]]
    return draw(JSON)


@st.composite
def spoiled(draw: st.DrawFn, body: Any) -> Any:
    return spoil(draw, body)


def assert_documented(answer: Any) -> None:
    assert answer.status_code < 500, answer.text
    body = answer.json()
    if answer.status_code >= 400:
        assert body.get("error"), body
    else:
        assert isinstance(body, list) or "error" not in body, body


@pytest.mark.parametrize("operation", WRITES, ids=lambda operation: operation.name)
def test_a_spoiled_body_is_answered_in_order(standin: World, treasury: str, operation: Any) -> None:
    path = operation.path.format(
        wallet=treasury,
        token="base-sepolia:usdc",
        user="userId:x",
        transaction="none",
        signature="none",
    )
    good = good_bodies(standin, Owner())[operation.name]

    @settings(QUIET, max_examples=40)
    @given(spoiled(good))
    def check(body: Any) -> None:
        assert_documented(standin.client.ask(operation.method, path, body))

    check()


@QUIET
@given(locator=TEXT.filter(bool), operation=st.sampled_from(OPERATIONS))
def test_a_hostile_path_is_answered_in_order(standin: World, locator: str, operation: Any) -> None:
    safe = quote(locator, safe="")
    names = dict.fromkeys(("wallet", "token", "user", "transaction", "signature", "signer"), safe)
    assert_documented(standin.client.ask(operation.method, operation.path.format(**names), {}))


@QUIET
@given(
    query=st.dictionaries(
        st.sampled_from(["page", "perPage", "tokens", "chains", "cursor", "limit"]), TEXT
    )
)
def test_a_hostile_query_is_answered_in_order(
    standin: World, treasury: str, query: dict[str, str]
) -> None:
    tail = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    history = f"/api/unstable/wallets/{treasury}/transfers?chain=base-sepolia&status=failed&{tail}"
    for path in (f"wallets/{treasury}/transactions?{tail}", f"wallets/{treasury}/balances?{tail}"):
        assert_documented(standin.client.ask("GET", f"/api/2025-06-09/{path}"))
    assert_documented(standin.client.ask("GET", history))


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[" * 50_000, b"\xff\xfe", b"NaN", b'"\\ud800"', b"x" * 2_000_000]
)
def test_bytes_that_are_no_body_are_4xx(standin: World, raw: bytes) -> None:
    answer = standin.client.ask("POST", "/api/2025-06-09/wallets", raw=raw)
    assert answer.status_code in (400, 413)
    assert answer.json()["error"] is True


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/api/2022-06-09/wallets", 404),
        ("DELETE", "/api/2025-06-09/wallets", 405),
        ("POST", "/_sandbox/faults", 400),
    ],
)
def test_unknown_paths_and_methods_have_the_error_body(
    standin: World, method: str, path: str, status: int
) -> None:
    raw = b"{" if method == "POST" else b""
    answer = standin.client.ask(method, path, raw=raw, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (status, True)


def test_an_overlong_idempotency_key_is_a_400(standin: World, treasury: str) -> None:
    standin.client.transfer(
        400, treasury, Owner().address, "1", headers={"x-idempotency-key": "k" * 300}
    )
