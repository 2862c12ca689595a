"""The stand-in's rules beside the straight line: keys, limits, wallets, screening, faults, restarts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bursar.sandbox.chain import Anvil, Contracts
from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.chain.userop import UserOperation
from bursar.sandbox.crossmint.app import OPERATIONS
from bursar.sandbox.crossmint.compliance import SANCTIONED_ADDRESSES
from bursar.sandbox.setup import Tools
from tests.e2e.standin import Client, World, configure, running
from tests.fakes.owner import Owner

RECIPIENT = "0x00000000000000000000000000000000000000A3"


def external(owner: Owner) -> dict[str, str]:
    return {"type": "external-wallet", "address": owner.address}


def person(world: World, locator: str, name: str, *, country: str = "ES") -> str:
    """Register a person and make their wallet; return its address."""
    first, last = name.split()
    details = {
        "firstName": first,
        "lastName": last,
        "dateOfBirth": "1990-01-15",
        "countryOfResidence": country,
    }
    world.client.call(200, "PUT", f"users/{locator}", {"userDetails": details})
    return wallet_of(world, locator)


def wallet_of(world: World, locator: str) -> str:
    config = {"adminSigner": {"type": "email", "email": "someone@example.com"}}
    body = {"chainType": "evm", "config": config, "owner": locator}
    address: str = world.client.call(201, "POST", "wallets", body)["address"]
    return address


# --- keys, scopes and limits ----------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_no_operation_answers_without_a_key_with_its_scope(standin: World, operation: Any) -> None:
    path = operation.path.replace("{", "").replace("}", "")
    nobody = Client(standin.config.url, "")
    assert nobody.ask(operation.method, path).status_code == 401
    assert Client(nobody.url, "sk_staging_unknown").ask(operation.method, path).status_code == 401
    if operation.scope != "wallets.read":
        refusal = standin.reader.ask(operation.method, path)
        assert refusal.status_code == 403
        assert operation.scope in refusal.json()["message"]


def test_another_projects_wallet_is_not_found(standin: World) -> None:
    address = standin.client.treasury(Owner(), "hidden")["address"]
    standin.stranger.call(404, "GET", f"wallets/{address}")
    standin.stranger.call(404, "GET", "wallets/evm:smart:alias:hidden")


def test_writes_beyond_the_limit_are_429_with_retry_after(
    chain: Anvil, contracts: Contracts, tmp_path: Path
) -> None:
    config = configure(chain, contracts, tmp_path / "state", rate_limit_scale=0.025)
    with running(chain, contracts, config) as world:
        answers = [world.client.ask("POST", "/api/2025-06-09/wallets", {}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
        assert 0 < int(answers[3].headers["retry-after"]) <= 60
        assert world.client.ask("GET", "/api/2025-06-09/wallets/x").status_code == 400
        assert world.stranger.ask("POST", "/api/2025-06-09/wallets", {}).status_code == 400
        counted = world.client.call(200, "GET", "/_sandbox/calls")["project-a"]["writes"]
        assert counted == {"calls": 4, "mostInAWindow": 4, "refused": 1}


def test_a_minute_can_be_shorter(chain: Anvil, contracts: Contracts, tmp_path: Path) -> None:
    short = {"rate_limit_scale": 1 / 120, "rate_limit_window": 0.3}
    config = configure(chain, contracts, tmp_path / "state", **short)
    with running(chain, contracts, config) as world:
        for _ in range(3):
            assert world.client.ask("POST", "/api/2025-06-09/wallets", {}).status_code == 400
            time.sleep(0.31)


# --- wallets --------------------------------------------------------------------------------------------


def test_the_company_has_one_wallet_for_an_alias(standin: World) -> None:
    owner = Owner()
    made = standin.client.treasury(owner, "one")
    body = {
        "chainType": "evm",
        "config": {"adminSigner": external(Owner())},
        "owner": "COMPANY",
        "alias": "one",
    }
    assert standin.client.call(200, "POST", "wallets", body) == made
    for locator in (
        made["address"],
        made["address"].lower(),
        "evm:smart:alias:one",
        "evm:alias:one",
    ):
        assert standin.client.call(200, "GET", f"wallets/{locator}") == made


def test_the_company_without_an_alias_gets_a_new_wallet_each_time(standin: World) -> None:
    body = {"chainType": "evm", "config": {"adminSigner": external(Owner())}, "owner": "COMPANY"}
    one, two = (standin.client.call(201, "POST", "wallets", body)["address"] for _ in range(2))
    assert one != two


def test_a_user_has_one_wallet_found_by_every_locator(standin: World) -> None:
    address = wallet_of(standin, "email:Ana@Example.com")
    for locator in ("email:ana@example.com:evm", "email%3AANA%40example.com%3Aevm%3Asmart"):
        assert standin.client.call(200, "GET", f"wallets/{locator}")["address"] == address
    standin.client.call(404, "GET", "wallets/email:ana@example.com:solana")


def test_the_signers_address_comes_back_as_it_was_written(standin: World) -> None:
    lower = Owner().address.lower()
    body = {
        "chainType": "evm",
        "config": {"adminSigner": {"type": "external-wallet", "address": lower}},
    }
    admin = standin.client.call(201, "POST", "wallets", body)["config"]["adminSigner"]
    assert admin == {
        "type": "external-wallet",
        "address": lower,
        "locator": f"external-wallet:{lower}",
    }


def test_the_faucet_mints_between_1_and_100(standin: World) -> None:
    address = standin.client.treasury(Owner(), "faucet")["address"]
    path = f"/api/v1-alpha2/wallets/{address}/balances"
    for amount, status in ((100, 201), (0.5, 400), (101, 400), ("5", 400), (1.25, 201)):
        body = {"amount": amount, "token": "usdxm", "chain": "base-sepolia"}
        standin.client.call(status, "POST", path, body)
    balance = standin.client.call(200, "GET", f"wallets/{address}/balances?tokens=usdc,eth")
    assert [entry["amount"] for entry in balance] == ["101.25", "0"]


# --- screening ------------------------------------------------------------------------------------------


def test_a_payout_to_a_registered_person_passes(standin: World) -> None:
    treasury = standin.funded_treasury(Owner(), "payout")
    recipient = person(standin, "userId:rosa", "Rosa Recipient")
    kind = "regulated-transfer"
    made = standin.client.transfer(201, treasury, recipient, "1", transactionType=kind)
    by_locator = standin.client.transfer(
        201, treasury, "userId:rosa:base-sepolia", "1", transactionType=kind
    )
    assert by_locator["sendParams"]["params"]["recipientAddress"] == recipient
    assert made["status"] == "awaiting-approval"


@pytest.mark.parametrize(
    ("reason", "name", "country"),
    [
        ("recipient_person_sanctioned", "Sam Sanctioned", "ES"),
        ("recipient_person_sanctioned", "Kim Citizen", "KP"),
        ("recipient_wallet_sanctioned", "Wanda Watched", "ES"),
    ],
)
def test_a_person_who_fails_screening_gets_nothing_to_sign(
    standin: World, reason: str, name: str, country: str
) -> None:
    treasury = standin.funded_treasury(Owner(), f"screen {name}")
    recipient = person(standin, f"userId:{name.replace(' ', '-')}", name, country=country)
    refusal = standin.client.transfer(
        400, treasury, recipient, "1", transactionType="regulated-transfer"
    )
    assert refusal["error"]["reason"] == reason
    assert standin.client.call(200, "GET", f"wallets/{treasury}/transactions") == {
        "transactions": []
    }


def test_addresses_that_fail_screening(standin: World) -> None:
    treasury = standin.funded_treasury(Owner(), "screen addresses")
    kind = "regulated-transfer"
    outside = standin.client.transfer(400, treasury, RECIPIENT, "1", transactionType=kind)
    assert outside["error"]["reason"] == "recipient_type_unsupported"
    unknown = wallet_of(standin, "userId:nobody-yet")
    missing = standin.client.transfer(400, treasury, unknown, "1", transactionType=kind)
    assert missing["error"]["reason"] == "recipient_personal_data_missing"
    for address in SANCTIONED_ADDRESSES:
        listed = standin.client.transfer(400, treasury, address, "1", transactionType=kind)
        assert listed["error"]["reason"] == "recipient_wallet_sanctioned"
        direct = standin.client.transfer(422, treasury, address, "1")
        assert direct["error"]["reason"] == "sanctioned_wallet_address"


def test_an_identity_check_in_progress_passes_at_the_third_try(standin: World) -> None:
    treasury = standin.funded_treasury(Owner(), "pending person")
    recipient = person(standin, "userId:percy", "Percy Pending")
    kind = "regulated-transfer"
    for _ in range(2):
        running_check = standin.client.transfer(400, treasury, recipient, "1", transactionType=kind)
        assert "KYC is in progress" in running_check["message"]
    standin.client.transfer(201, treasury, recipient, "1", transactionType=kind)


def test_personal_data_is_never_answered_back(standin: World) -> None:
    details = {
        "firstName": "Ines",
        "lastName": "Secret",
        "dateOfBirth": "1980-02-03",
        "countryOfResidence": "FR",
    }
    answer = standin.client.call(
        200, "PUT", "users/email:ines@example.com", {"userDetails": details}
    )
    assert answer == {
        "email": "ines@example.com",
        "userDetails": True,
        "kycData": False,
        "dueDiligence": False,
        "verificationHistory": False,
    }
    emptied = standin.client.call(200, "PUT", "users/email:ines@example.com", {})
    assert emptied["userDetails"] is False


# --- signers, signatures and quorums --------------------------------------------------------------------


def test_a_registered_signer_signs_until_it_is_removed(standin: World) -> None:
    owner, delegate, client = Owner(), Owner(), standin.client
    treasury = standin.funded_treasury(owner, "delegates")
    path = f"wallets/{treasury}/signers"
    client.transfer(400, treasury, RECIPIENT, "1", signer=delegate.locator)
    body = {"signer": external(delegate), "chain": "base-sepolia"}
    registration = client.call(201, "POST", path, body)["chains"]["base-sepolia"]
    client.call(400, "POST", path, body)
    item = owner.approval(registration["approvals"]["pending"][0])
    approvals = f"wallets/{treasury}/signatures/{registration['id']}/approvals"
    client.call(201, "POST", approvals, {"approvals": [item]})
    client.settled(treasury, registration["id"])
    listed = client.call(200, "GET", f"wallets/{treasury}")["config"]["delegatedSigners"]
    assert [signer["locator"] for signer in listed] == [delegate.locator]
    made = client.transfer(201, treasury, RECIPIENT, "1", signer=delegate.locator)
    client.approve(400, treasury, made, owner)
    client.approve(201, treasury, made, delegate)
    assert client.settled(treasury, made["id"])["status"] == "success"
    removal = client.call(200, "DELETE", f"{path}/{delegate.locator}?chain=base-sepolia")
    client.approve(201, treasury, removal, owner)
    client.settled(treasury, removal["id"])
    client.transfer(400, treasury, RECIPIENT, "1", signer=delegate.locator)
    client.call(404, "GET", f"{path}/{delegate.locator}")


def test_a_message_signature_is_accepted_by_the_wallets_contract(standin: World) -> None:
    owner, client = Owner(), standin.client
    treasury = standin.funded_treasury(owner, "erc1271")
    asked = {"type": "message", "params": {"message": "I own this", "chain": "base-sepolia"}}
    first = signed(standin, treasury, owner, asked)
    assert first["outputSignature"].endswith("6492" * 16)
    made = client.transfer(201, treasury, RECIPIENT, "1")
    client.approve(201, treasury, made, owner)
    client.settled(treasury, made["id"])
    done = signed(standin, treasury, owner, asked)
    from eth_account.messages import _hash_eip191_message, encode_defunct

    digest = bytes(_hash_eip191_message(encode_defunct(text="I own this")))
    output = bytes.fromhex(done["outputSignature"][2:])
    question = call_data("isValidSignature(bytes32,bytes)", digest, output)
    assert standin.chain.rpc.call(treasury, question)[:4].hex() == "1626ba7e"


def signed(world: World, treasury: str, owner: Owner, asked: dict[str, Any]) -> Any:
    made = world.client.call(201, "POST", f"wallets/{treasury}/signatures", asked)
    item = owner.approval(made["approvals"]["pending"][0])
    path = f"wallets/{treasury}/signatures/{made['id']}/approvals"
    return world.client.call(201, "POST", path, {"approvals": [item]})


def test_a_quorum_pays_once_its_threshold_has_signed(standin: World) -> None:
    members, client = [Owner() for _ in range(3)], standin.client
    quorum = {
        "type": "quorum",
        "threshold": 2,
        "members": [external(member) for member in members],
    }
    body = {
        "chainType": "evm",
        "config": {"recoveryMethods": [quorum]},
        "owner": "COMPANY",
        "alias": "quorum",
    }
    wallet = client.call(201, "POST", "wallets", body)
    treasury = wallet["address"]
    standin.token.mint(treasury, 5_000_000)
    made = client.transfer(201, treasury, RECIPIENT, "2")
    path = f"wallets/{treasury}/transactions/{made['id']}/approvals"
    nested = made["approvals"]["pending"][0]["quorumApprovals"]
    assert nested["remaining"] == 2
    assert made["approvals"]["pending"][0]["signer"]["locator"].startswith("quorum:")

    def approve(status: int, member: Owner) -> Any:
        return client.call(
            status, "POST", path, {"approvals": [member.approval(nested["pending"][0])]}
        )

    half = approve(201, members[2])
    assert half["status"] == "awaiting-approval"
    assert half["approvals"]["pending"][0]["quorumApprovals"]["remaining"] == 1
    approve(409, members[2])
    approve(400, Owner())
    assert approve(201, members[0])["status"] == "pending"
    assert client.settled(treasury, made["id"])["status"] == "success"
    assert standin.token.balance_of(treasury) == 3_000_000
    approve(422, members[1])


# --- faults ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "made"), [("error_before", 0), ("error_after", 1)])
def test_an_injected_error_comes_before_or_after_the_effect(
    standin: World, kind: str, made: int
) -> None:
    treasury = standin.funded_treasury(Owner(), f"fault {kind}")
    standin.fault("transfers.create", kind, status=502)
    standin.client.transfer(502, treasury, RECIPIENT, "1")
    found = standin.client.call(200, "GET", f"wallets/{treasury}/transactions")["transactions"]
    assert len(found) == made


@pytest.mark.parametrize(("kind", "made"), [("drop_before", 0), ("drop_after", 1)])
def test_a_dropped_connection_gives_no_answer(standin: World, kind: str, made: int) -> None:
    treasury = standin.funded_treasury(Owner(), f"fault {kind}")
    standin.fault("transfers.create", kind)
    with pytest.raises(httpx2.TransportError):
        standin.client.transfer(201, treasury, RECIPIENT, "1")
    found = standin.client.call(200, "GET", f"wallets/{treasury}/transactions")["transactions"]
    assert len(found) == made


def test_a_slow_answer_takes_its_time_once(standin: World) -> None:
    treasury = standin.client.treasury(Owner(), "fault slow")["address"]
    standin.fault("wallets.get", "slow", seconds=0.3)
    for least, most in ((0.3, 5.0), (0.0, 0.3)):
        begun = time.monotonic()
        standin.client.call(200, "GET", f"wallets/{treasury}")
        assert least <= time.monotonic() - begun < most


@pytest.mark.parametrize("tamper", ["recipient", "amount", "extra_call", "hash", "message"])
def test_a_tampered_transaction_differs_from_what_was_asked(standin: World, tamper: str) -> None:
    treasury = standin.funded_treasury(Owner(), f"tamper {tamper}")
    honest = standin.client.transfer(201, treasury, RECIPIENT, "1")
    standin.fault("transfers.create", "tamper", tamper=tamper)
    made = standin.client.transfer(201, treasury, RECIPIENT, "1")
    operation = UserOperation.from_api(made["onChain"]["userOperation"])
    digest = "0x" + operation.hash(standin.contracts.entry_point, 84532).hex()
    message = made["approvals"]["pending"][0]["message"]
    assert made["sendParams"] == honest["sendParams"]
    same_calls = operation.call_data.hex() == honest["onChain"]["userOperation"]["callData"][2:]
    assert same_calls == (tamper in ("hash", "message"))
    assert (digest == made["onChain"]["userOperationHash"]) == (tamper != "hash")
    assert (message == made["onChain"]["userOperationHash"]) == (tamper != "message")


@pytest.mark.parametrize(
    "fault",
    [
        {"operation": "x", "kind": "slow"},
        {"operation": "*", "kind": "slow"},
        {"kind": "duplicate"},
        {"operation": "x", "kind": "random"},
        {"kind": "random", "rate": 1.5},
        {"kind": "random", "rate": "often"},
    ],
    ids=str,
)
def test_what_is_no_fault_is_a_400(standin: World, fault: dict[str, Any]) -> None:
    standin.client.call(400, "POST", "/_sandbox/faults", fault)


@pytest.mark.parametrize(("headers", "made"), [({}, 2), ({"x-idempotency-key": "once"}, 1)])
def test_a_duplicated_call_is_served_twice(
    standin: World, headers: dict[str, str], made: int
) -> None:
    treasury = standin.funded_treasury(Owner(), f"fault duplicate {made}")
    standin.fault("transfers.create", "duplicate")
    answer = standin.client.transfer(201, treasury, RECIPIENT, "1", headers=headers)
    found = standin.client.call(200, "GET", f"wallets/{treasury}/transactions")["transactions"]
    assert len(found) == made
    kept = standin.client.call(200, "GET", "/_sandbox/state")["transactions"]
    assert kept[-1]["api"]["id"] == answer["id"]


def test_a_duplicated_approval_is_answered_as_the_second(standin: World) -> None:
    owner = Owner()
    treasury = standin.funded_treasury(owner, "fault duplicate approval")
    made = standin.client.transfer(201, treasury, RECIPIENT, "1")
    standin.fault("transactions.approve", "duplicate")
    standin.client.approve(409, treasury, made, owner)
    assert standin.client.settled(treasury, made["id"])["status"] == "success"


def test_chance_strikes_until_it_is_cleared_and_every_call_is_counted(
    chain: Anvil, contracts: Contracts, tmp_path: Path
) -> None:
    config = configure(chain, contracts, tmp_path / "state")
    with running(chain, contracts, config) as world:
        treasury = world.client.treasury(Owner(), "chance")["address"]
        chance = {"kind": "random", "rate": 0.5, "seed": 1, "seconds": 0.01, "status": 503}
        world.client.call(200, "POST", "/_sandbox/faults", chance)
        answers = [status_of(world.client, treasury) for _ in range(60)]
        assert set(answers) == {200, 503, 0}
        assert 10 < sum(answer != 200 for answer in answers) < 50
        assert world.client.call(200, "GET", "/_sandbox/faults")[0]["kind"] == "random"
        world.client.call(200, "DELETE", "/_sandbox/faults")
        assert {status_of(world.client, treasury) for _ in range(10)} == {200}
        counted = world.client.call(200, "GET", "/_sandbox/calls")["project-a"]
        assert {kind: found["calls"] for kind, found in counted.items()} == {
            "reads": 70,
            "writes": 1,
        }


def status_of(client: Client, treasury: str) -> int:
    try:
        return client.ask("GET", f"/api/2025-06-09/wallets/{treasury}").status_code
    except httpx2.TransportError:
        return 0


# --- restarts -------------------------------------------------------------------------------------------


def test_what_was_pending_when_it_was_killed_lands_after_the_restart(
    chain: Anvil, contracts: Contracts, tmp_path: Path
) -> None:
    config = configure(chain, contracts, tmp_path / "state.sqlite", settle_seconds=60.0)
    config_file = tmp_path / "config.json"
    config.write(config_file)
    assert config_file.stat().st_mode & 0o777 == 0o600
    owner, client = Owner(), Client(config.url, config.api_keys[0].key.get_secret_value())
    process = subprocess.Popen(
        [sys.executable, "-m", "bursar.sandbox.crossmint", "--config", config_file]
    )
    try:
        wait_until_up(config.url, process)
        treasury = client.treasury(owner, "restart")["address"]
        World(client, client, client, chain, contracts, config).token.mint(treasury, 1_000_000)
        made = client.transfer(201, treasury, RECIPIENT, "1")
        assert client.approve(201, treasury, made, owner)["status"] == "pending"
    finally:
        process.kill()
        process.wait()
    again = config.model_copy(update={"settle_seconds": 0.0})
    with running(chain, contracts, again) as world:
        assert world.client.settled(treasury, made["id"])["status"] == "success"
        assert (
            world.client.call(200, "GET", "wallets/evm:smart:alias:restart")["address"] == treasury
        )
        assert world.token.balance_of(treasury) == 0


def test_it_stops_cleanly_when_asked(chain: Anvil, contracts: Contracts, tmp_path: Path) -> None:
    config = configure(chain, contracts, tmp_path / "state.sqlite")
    config_file = tmp_path / "config.json"
    config.write(config_file)
    process = subprocess.Popen(
        [sys.executable, "-m", "bursar.sandbox.crossmint", "--config", config_file],
        stderr=subprocess.PIPE,
    )
    wait_until_up(config.url, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert b"Traceback" not in errors


def test_it_says_why_it_cannot_start(tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    done = subprocess.run(
        [sys.executable, "-m", "bursar.sandbox.crossmint", "--config", missing],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot read")


def wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(f"{url}/healthz", trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.02)
    raise AssertionError("the stand-in did not come up")


def test_the_look_inside_shows_wallets_and_no_keys(standin: World) -> None:
    treasury = standin.client.treasury(Owner(), "inside")["address"]
    state = json.dumps(standin.client.call(200, "GET", "/_sandbox/state"))
    assert treasury in state
    assert standin.client.key not in state


def test_a_chain_that_is_away_is_a_503(
    sandbox_tools: Tools, contracts: Contracts, tmp_path: Path
) -> None:
    with Anvil.start(sandbox_tools.anvil) as own:
        config = configure(own, contracts, tmp_path / "state.sqlite")
        with running(own, contracts, config) as world:
            own.stop()
            body = {"chainType": "evm", "config": {"adminSigner": external(Owner())}}
            world.client.call(503, "POST", "wallets", body)
