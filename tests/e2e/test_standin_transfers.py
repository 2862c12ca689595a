"""The stand-in's straight line: wallet, transfer, approval, settlement, and every refusal on the way."""

from __future__ import annotations

import pytest

from bursar.sandbox.chain.userop import UserOperation
from tests.e2e.standin import World
from tests.fakes.owner import Owner

RECIPIENT = "0x00000000000000000000000000000000000000A1"


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def alias(request: pytest.FixtureRequest) -> str:
    name: str = request.node.name
    return name.replace("[", "-").replace("]", "")


@pytest.fixture
def treasury(standin: World, owner: Owner, alias: str) -> str:
    return standin.funded_treasury(owner, alias)


@pytest.mark.parametrize("raw", [False, True])
def test_an_approved_transfer_moves_exactly_the_amount(
    standin: World, owner: Owner, treasury: str, *, raw: bool
) -> None:
    before = standin.token.balance_of(RECIPIENT)
    made = standin.client.transfer(201, treasury, RECIPIENT, "1.5")
    assert made["status"] == "awaiting-approval"
    assert made["approvals"]["pending"][0]["message"] == made["onChain"]["userOperationHash"]
    pending = standin.client.approve(201, treasury, made, owner, raw=raw)
    assert pending["status"] == "pending"
    assert pending["approvals"]["pending"] == []
    done = standin.client.settled(treasury, made["id"])
    assert done["status"] == "success"
    assert done["onChain"]["txId"].startswith("0x")
    assert standin.token.balance_of(RECIPIENT) - before == 1_500_000
    assert standin.token.balance_of(treasury) == 98_500_000


def test_the_hash_is_the_entry_points(standin: World, treasury: str) -> None:
    made = standin.client.transfer(201, treasury, RECIPIENT, "1")
    operation = UserOperation.from_api(made["onChain"]["userOperation"])
    digest = operation.hash(standin.contracts.entry_point, 84532)
    assert "0x" + digest.hex() == made["onChain"]["userOperationHash"]
    assert made["sendParams"] == {
        "token": "base-sepolia:usdc",
        "params": {
            "amount": "1",
            "recipient": f"address:{RECIPIENT}:base-sepolia",
            "recipientAddress": RECIPIENT,
        },
    }
    assert "error" not in made
    assert "message" not in made


@pytest.mark.parametrize(
    "fault", ["high_s", "other key", "not hex", "64 bytes", "v of 0", "unknown signer"]
)
def test_a_signature_the_chain_would_refuse_is_a_400(
    standin: World, owner: Owner, treasury: str, fault: str
) -> None:
    made = standin.client.transfer(201, treasury, RECIPIENT, "1")
    pending = made["approvals"]["pending"][0]
    item = owner.approval(pending, high_s=fault == "high_s")
    stranger = Owner()
    if fault == "other key":
        item["signature"] = stranger.approval(pending)["signature"]
    if fault == "not hex":
        item["signature"] = "0xzz"
    if fault == "64 bytes":
        item["signature"] = item["signature"][:-2]
    if fault == "v of 0":
        item["signature"] = item["signature"][:-2] + "00"
    if fault == "unknown signer":
        item = stranger.approval(pending)
    path = f"wallets/{treasury}/transactions/{made['id']}/approvals"
    assert standin.client.call(400, "POST", path, {"approvals": [item]})["error"] is True
    assert standin.client.approve(201, treasury, made, owner)["status"] == "pending"


def test_a_second_signature_of_the_same_signer_is_a_409_and_another_one_a_422(
    standin: World, owner: Owner, treasury: str
) -> None:
    made = standin.client.transfer(201, treasury, RECIPIENT, "1")
    standin.client.approve(201, treasury, made, owner)
    standin.client.approve(409, treasury, made, owner)
    standin.client.approve(422, treasury, made, Owner())
    standin.client.settled(treasury, made["id"])
    standin.client.approve(409, treasury, made, owner)


def test_the_signers_locator_is_matched_whatever_its_case(
    standin: World, owner: Owner, treasury: str
) -> None:
    made = standin.client.transfer(201, treasury, RECIPIENT, "1", signer=owner.locator.lower())
    item = owner.approval(made["approvals"]["pending"][0]) | {"signer": owner.locator.lower()}
    path = f"wallets/{treasury}/transactions/{made['id']}/approvals"
    standin.client.call(201, "POST", path, {"approvals": [item]})


def test_a_transfer_beyond_the_balance_is_refused_when_it_is_made(
    standin: World, treasury: str
) -> None:
    body = standin.client.transfer(422, treasury, RECIPIENT, "100.000001")
    assert body["error"]["reason"] == "execution_reverted"
    assert body["error"]["revert"] == {
        "type": "contract_call",
        "reason": "ERC20: transfer amount exceeds balance",
    }
    assert body["message"]


def test_a_transfer_whose_money_left_meanwhile_fails_on_chain(
    standin: World, owner: Owner, treasury: str
) -> None:
    first = standin.client.transfer(201, treasury, RECIPIENT, "1")
    standin.client.approve(201, treasury, first, owner)
    standin.client.settled(treasury, first["id"])
    both = [standin.client.transfer(201, treasury, RECIPIENT, "60") for _ in range(2)]
    assert (
        both[0]["onChain"]["userOperation"]["nonce"] != both[1]["onChain"]["userOperation"]["nonce"]
    )
    for made in both:
        standin.client.approve(201, treasury, made, owner)
    ends = [standin.client.settled(treasury, made["id"]) for made in both]
    assert [end["status"] for end in ends] == ["success", "failed"]
    assert ends[1]["error"]["reason"] == "execution_reverted"
    assert ends[1]["error"]["revert"]["reason"] == "ERC20: transfer amount exceeds balance"
    assert standin.token.balance_of(treasury) == 39_000_000


def test_of_two_first_transfers_the_second_finds_the_account_born(
    standin: World, owner: Owner, treasury: str
) -> None:
    both = [standin.client.transfer(201, treasury, RECIPIENT, "1") for _ in range(2)]
    for made in both:
        standin.client.approve(201, treasury, made, owner)
    ends = [standin.client.settled(treasury, made["id"]) for made in both]
    assert [end["status"] for end in ends] == ["success", "failed"]
    assert ends[1]["error"]["revert"]["type"] == "wallet_deployment"


def test_the_same_idempotency_key_and_body_give_the_same_record(
    standin: World, treasury: str
) -> None:
    key = {"x-idempotency-key": f"key-{treasury}"}
    first = standin.client.transfer(201, treasury, RECIPIENT, "1", headers=key)
    again = standin.client.transfer(201, treasury, RECIPIENT, "1", headers=key)
    assert again["id"] == first["id"]
    standin.client.transfer(409, treasury, RECIPIENT, "2", headers=key)
    listed = standin.client.call(200, "GET", f"wallets/{treasury}/transactions")["transactions"]
    assert len(listed) == 1


def test_a_batch_of_calls_succeeds_or_fails_together(
    standin: World, owner: Owner, treasury: str
) -> None:
    abi = [
        {
            "type": "function",
            "name": "transfer",
            "inputs": [{"name": "to", "type": "address"}, {"name": "v", "type": "uint256"}],
        }
    ]
    receiver = Owner().address
    call = {
        "address": standin.contracts.usdc,
        "functionName": "transfer",
        "abi": abi,
        "args": [receiver, "250"],
    }
    raw = {"to": receiver, "value": "0", "data": "0x"}
    params = {"calls": [call, call, raw], "chain": "base-sepolia"}
    made = standin.client.call(201, "POST", f"wallets/{treasury}/transactions", {"params": params})
    assert "sendParams" not in made
    standin.client.approve(201, treasury, made, owner)
    assert standin.client.settled(treasury, made["id"])["status"] == "success"
    assert standin.token.balance_of(receiver) == 500


def test_history_shows_what_moved_in_and_out(standin: World, owner: Owner, treasury: str) -> None:
    made = standin.client.transfer(201, treasury, RECIPIENT, "2.25")
    standin.client.approve(201, treasury, made, owner)
    done = standin.client.settled(treasury, made["id"])
    path = f"/api/unstable/wallets/{treasury}/transfers?chain=base-sepolia&tokens=usdc,usdxm"
    found = standin.client.call(200, "GET", f"{path}&status=successful&sort=asc")["data"]
    assert [(t["type"], t["token"]["amount"]) for t in found] == [
        ("wallets.transfer.in", "100"),
        ("wallets.transfer.out", "2.25"),
    ]
    assert found[1]["transferId"] == made["id"]
    assert found[1]["onChain"]["txId"] == done["onChain"]["txId"]
    page = standin.client.call(200, "GET", f"{path}&status=successful&sort=asc&limit=1")
    assert len(page["data"]) == 1
    rest = standin.client.call(
        200, "GET", f"{path}&status=successful&sort=asc&limit=1&cursor={page['nextCursor']}"
    )
    assert rest["data"][0]["transferId"] == made["id"]
    assert standin.client.call(200, "GET", f"{path}&status=failed") == {"data": []}


def test_a_transfer_is_found_under_its_token_alone(standin: World, treasury: str) -> None:
    made = standin.client.transfer(201, treasury, RECIPIENT, "1")
    path = f"wallets/{treasury}/tokens/base-sepolia:{{}}/transfers/{made['id']}"
    assert standin.client.call(200, "GET", path.format("usdc"))["id"] == made["id"]
    standin.client.call(404, "GET", path.format("eth"))
