from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.locators import SignerLocator, TokenLocator, UserLocator, WalletLocator
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
from bursar.errors import (
    CrossmintOutcomeUnknown,
    CrossmintProtocolError,
    LocatorError,
    RequestError,
)
from tests.unit.crossmint import bodies
from tests.unit.crossmint.bodies import ADDRESS, OTHER, OURS, SIGNATURE, WALLET
from tests.unit.crossmint.conftest import KEY, FakeServer
from tests.unit.crossmint.test_session import TRANSFER

TREASURY = WalletLocator.treasury("treasury")
WALLETS = "/api/2025-06-09/wallets"
PATH = f"{WALLETS}/evm%3Asmart%3Aalias%3Atreasury"
APPROVAL = Approval(signer=OURS, signature=SIGNATURE)
ID = bodies.transaction()["id"]


def test_every_call_says_who_is_calling(client: CrossmintClient, server: FakeServer) -> None:
    server.answers(bodies.wallet())
    client.get_wallet(WALLET)
    headers = server.last.headers
    assert headers["x-api-key"] == KEY
    assert headers["x-client-name"] == "bursar"
    assert headers["x-client-version"]
    assert headers["accept"] == "application/json"
    assert server.last.url.host == "staging.crossmint.com"
    assert server.last.url.scheme == "https"


def test_a_wallet_is_created(client: CrossmintClient, server: FakeServer) -> None:
    server.answers(bodies.wallet(), status=201)
    request = NewWallet(admin_signer=ExternalWallet(address=ADDRESS), alias="treasury")
    wallet = client.create_wallet(request, idempotency_key="wallet-1")
    assert (server.last.method, server.path) == ("POST", WALLETS)
    assert server.last.headers["x-idempotency-key"] == "wallet-1"
    assert server.last.headers["content-type"] == "application/json"
    assert server.body == request.body()
    assert wallet.alias == "treasury"


def test_a_wallet_without_a_key_of_the_callers_gets_a_random_one(
    client: CrossmintClient, server: FakeServer
) -> None:
    server.answers(bodies.wallet())
    request = NewWallet(admin_signer=ExternalWallet(address=ADDRESS), alias="treasury")
    client.create_wallet(request)
    client.create_wallet(request)
    one, other = (r.headers["x-idempotency-key"] for r in server.requests)
    assert one != other


@pytest.mark.parametrize(
    ("wallet", "path"),
    [
        (TREASURY, PATH),
        (WALLET, f"{WALLETS}/{WALLET}"),
        ("email:ada+pay@example.com:evm", f"{WALLETS}/email%3Aada%2Bpay%40example.com%3Aevm"),
        ("phoneNumber:+14155550100:evm", f"{WALLETS}/phoneNumber%3A%2B14155550100%3Aevm"),
    ],
)
def test_a_wallet_is_read_by_any_locator(
    client: CrossmintClient, server: FakeServer, wallet: Any, path: str
) -> None:
    server.answers(bodies.wallet())
    client.get_wallet(wallet)
    assert (server.last.method, server.path) == ("GET", path)
    assert server.last.content == b""


def test_a_wallet_that_is_asked_for_by_its_address_is_no_other(
    client: CrossmintClient, server: FakeServer
) -> None:
    server.answers(bodies.wallet(address="0x" + "11" * 20))
    with pytest.raises(CrossmintProtocolError, match="answered about 0x1111"):
        client.get_wallet(WALLET)
    server.answers(bodies.wallet(address=WALLET.lower()))
    assert client.get_wallet(WALLET).address == WALLET.lower()


def test_balances_are_asked_for_by_token_and_chain(
    client: CrossmintClient, server: FakeServer
) -> None:
    server.answers([bodies.balance()])
    tokens: list[str | TokenLocator] = ["usdc", TokenLocator.parse("base-sepolia:usdxm")]
    (balance,) = client.balances(TREASURY, tokens=tokens, chains=["base-sepolia", "base"])
    assert server.path.startswith(f"{PATH}/balances?")
    assert dict(server.last.url.params) == {
        "tokens": "usdc,base-sepolia:usdxm",
        "chains": "base-sepolia,base",
    }
    assert balance.units == 12_500_000


def test_balances_without_a_token_are_refused(client: CrossmintClient, server: FakeServer) -> None:
    nothing: list[list[str] | str] = [[], "usdc"]
    for tokens in nothing:
        with pytest.raises(RequestError):
            client.balances(TREASURY, tokens=tokens)
    assert server.requests == []


def test_a_staging_wallet_is_funded(client: CrossmintClient, server: FakeServer) -> None:
    server.answers(
        [{"token": "usdxm", "decimals": 6, "balances": {"base-sepolia": "5"}}], status=201
    )
    client.fund_staging(WALLET, amount=5, chain="base-sepolia")
    assert (server.last.method, server.path) == (
        "POST",
        f"/api/v1-alpha2/wallets/{WALLET}/balances",
    )
    assert server.body == {"amount": 5, "token": "usdxm", "chain": "base-sepolia"}


def test_a_transfer_is_created(client: CrossmintClient, server: FakeServer) -> None:
    server.answers(bodies.transaction(), status=201)
    transaction = client.create_transfer(TREASURY, TRANSFER, idempotency_key="pay-1")
    assert (server.last.method, server.path) == (
        "POST",
        f"{PATH}/tokens/base-sepolia%3Ausdc/transfers",
    )
    assert server.last.headers["x-idempotency-key"] == "pay-1"
    assert server.body == {"recipient": OTHER, "amount": "0.2"}
    assert transaction.pending_for(OURS).message == bodies.HASH


@pytest.mark.parametrize("key", ["", "a b", None])
def test_money_does_not_move_without_the_callers_key(
    client: CrossmintClient, server: FakeServer, key: Any
) -> None:
    with pytest.raises(RequestError):
        client.create_transfer(TREASURY, TRANSFER, idempotency_key=key)
    with pytest.raises(TypeError):
        client.create_transfer(TREASURY, TRANSFER)  # type: ignore[call-arg]  # what is tested
    assert server.requests == []


def test_a_transaction_is_created(client: CrossmintClient, server: FakeServer) -> None:
    server.answers(bodies.transaction(), status=201)
    request = NewTransaction(
        calls=(ContractCall(to=OTHER, data="0xabcd"),),
        chain="base-sepolia",
        signer=SignerLocator.parse(OURS),
    )
    client.create_transaction(TREASURY, request, idempotency_key="t-1")
    assert (server.last.method, server.path) == ("POST", f"{PATH}/transactions")
    assert server.last.headers["x-idempotency-key"] == "t-1"
    assert server.body == {
        "params": {
            "calls": [{"to": OTHER, "value": "0", "data": "0xabcd"}],
            "chain": "base-sepolia",
            "signer": OURS,
        }
    }


def test_a_transaction_is_read(client: CrossmintClient, server: FakeServer) -> None:
    server.answers(bodies.transaction())
    assert client.get_transaction(TREASURY, ID).id == ID
    assert (server.last.method, server.path) == ("GET", f"{PATH}/transactions/{ID}")


def test_a_transfer_is_read(client: CrossmintClient, server: FakeServer) -> None:
    server.answers(bodies.transaction())
    client.get_transfer(TREASURY, "base-sepolia:usdc", ID)
    assert server.path == f"{PATH}/tokens/base-sepolia%3Ausdc/transfers/{ID}"


def test_another_record_than_the_one_asked_for_is_refused(
    client: CrossmintClient, server: FakeServer
) -> None:
    server.answers(bodies.transaction(id="other-1"))
    for read in (
        lambda: client.get_transaction(TREASURY, ID),
        lambda: client.get_transfer(TREASURY, "base:usdc", ID),
    ):
        with pytest.raises(CrossmintProtocolError, match="other-1"):
            read()
    with pytest.raises(CrossmintOutcomeUnknown, match="other-1"):
        client.approve_transaction(TREASURY, ID, [APPROVAL])


def test_transactions_are_listed_by_page(client: CrossmintClient, server: FakeServer) -> None:
    server.answers({"transactions": [bodies.transaction(), bodies.quorum_transaction()]})
    found = client.list_transactions(
        TREASURY, page=2, per_page=50, since=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert len(found) == 2
    assert dict(server.last.url.params) == {
        "page": "2",
        "perPage": "50",
        "dateFrom": "2026-01-01T00:00:00.000Z",
    }
    for wrong in (
        {"page": 0},
        {"per_page": 0},
        {"until": datetime(2026, 1, 1)},  # noqa: DTZ001  what is tested
    ):
        with pytest.raises(RequestError):
            client.list_transactions(TREASURY, **wrong)


def test_an_approval_is_handed_in_without_idempotency_key(
    client: CrossmintClient, server: FakeServer
) -> None:
    server.answers(bodies.transaction(status="pending"), status=201)
    transaction = client.approve_transaction(TREASURY, ID, [APPROVAL])
    assert (server.last.method, server.path) == ("POST", f"{PATH}/transactions/{ID}/approvals")
    assert server.body == {"approvals": [{"signer": OURS, "signature": SIGNATURE}]}
    assert "x-idempotency-key" not in server.last.headers
    assert transaction.status == "pending"


def test_no_approval_is_no_call(client: CrossmintClient, server: FakeServer) -> None:
    with pytest.raises(RequestError):
        client.approve_transaction(TREASURY, ID, [])
    assert server.requests == []


@pytest.mark.parametrize("wrong", ["", "..", "a/b", "a%2fb"])
def test_an_id_that_is_none_is_no_call(
    client: CrossmintClient, server: FakeServer, wrong: str
) -> None:
    for call in (
        lambda: client.get_transaction(TREASURY, wrong),
        lambda: client.get_signature(TREASURY, wrong),
        lambda: client.approve_transaction(TREASURY, wrong, [APPROVAL]),
        lambda: client.get_transfer(TREASURY, "base:usdc", wrong),
    ):
        with pytest.raises(RequestError):
            call()
    with pytest.raises(LocatorError):
        client.get_wallet("../users")
    assert server.requests == []


def test_signatures_are_created_read_listed_and_approved(
    client: CrossmintClient, server: FakeServer
) -> None:
    server.answers(bodies.signature(), status=201)
    request = NewMessageSignature(message="hello", chain="base-sepolia")
    client.create_signature(TREASURY, request, idempotency_key="s-1")
    assert (server.last.method, server.path) == ("POST", f"{PATH}/signatures")
    assert server.last.headers["x-idempotency-key"] == "s-1"
    assert server.body == request.body()

    client.get_signature(TREASURY, "sig-1")
    assert (server.last.method, server.path) == ("GET", f"{PATH}/signatures/sig-1")

    client.approve_signature(TREASURY, "sig-1", [APPROVAL])
    assert (server.last.method, server.path) == ("POST", f"{PATH}/signatures/sig-1/approvals")
    assert server.body == {"approvals": [{"signer": OURS, "signature": SIGNATURE}]}

    server.answers({"signatures": [bodies.signature()]})
    assert len(client.list_signatures(TREASURY)) == 1
    assert server.path == f"{PATH}/signatures?page=1&perPage=10"


def test_signers_are_added_read_and_removed(client: CrossmintClient, server: FakeServer) -> None:
    server.answers(bodies.delegated_signer(), status=201)
    request = NewSigner(signer=ExternalWallet(address=OTHER), chain="base-sepolia")
    added = client.add_signer(TREASURY, request)
    assert (server.last.method, server.path) == ("POST", f"{PATH}/signers")
    assert server.body == request.body()
    assert added.chains["base-sepolia"].pending_for(OURS)

    client.get_signer(TREASURY, f"external-wallet:{OTHER}")
    assert server.path == f"{PATH}/signers/external-wallet%3A{OTHER}"

    server.answers(bodies.transaction())
    removal = client.remove_signer(TREASURY, f"external-wallet:{OTHER}", chain="base-sepolia")
    assert (server.last.method, server.path) == (
        "DELETE",
        f"{PATH}/signers/external-wallet%3A{OTHER}?chain=base-sepolia",
    )
    assert removal.pending_for(OURS)


def test_a_user_is_registered(client: CrossmintClient, server: FakeServer) -> None:
    server.answers({"userId": "u-1", "userDetails": True})
    details = UserDetails(
        first_name="Ada",
        last_name="Lovelace",
        date_of_birth=date(1990, 2, 3),
        country_of_residence="GB",
    )
    user = UserLocator.parse("email:ada+x@example.com")
    assert client.register_user(user, UserRegistration(user_details=details)).user_id == "u-1"
    assert (server.last.method, server.path) == (
        "PUT",
        "/api/2025-06-09/users/email%3Aada%2Bx%40example.com",
    )
    assert server.body["userDetails"]["dateOfBirth"] == "1990-02-03"


def test_the_history_is_read_to_its_end(client: CrossmintClient, server: FakeServer) -> None:
    server.answers(
        {"data": [bodies.past_transfer()], "nextCursor": "c 1"},
        {"data": [bodies.past_transfer(), bodies.past_transfer()]},
    )
    query = HistoryQuery(chain="base-sepolia", tokens=("usdc",))
    assert len(list(client.iter_transfers(TREASURY, query))) == 3
    assert server.path.startswith("/api/unstable/wallets/evm%3Asmart%3Aalias%3Atreasury/transfers?")
    assert server.last.url.params["cursor"] == "c 1"
    assert server.last.url.params["status"] == "successful"


def test_a_history_that_never_ends_is_refused(client: CrossmintClient, server: FakeServer) -> None:
    server.answers({"data": [], "nextCursor": "again"})
    query = HistoryQuery(chain="base-sepolia", tokens=("usdc",))
    with pytest.raises(CrossmintProtocolError, match="cursor"):
        list(client.iter_transfers(TREASURY, query))
