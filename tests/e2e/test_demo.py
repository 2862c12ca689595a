from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from web3 import Web3

from bursar.sandbox import world as worlds
from bursar.sandbox.callers import recorded_signatures
from bursar.sandbox.world import World

NAME = f"demo-test-{os.getpid()}"
BALANCE_OF = [
    {
        "type": "function",
        "name": "balanceOf",
        "stateMutability": "view",
        "inputs": [{"name": "a", "type": "address"}],
        "outputs": [{"name": "", "type": "uint256"}],
    }
]


@pytest.fixture(scope="module")
def demo() -> Iterator[subprocess.CompletedProcess[str]]:
    command = [sys.executable, "-m", "bursar", "demo", "--json", "--keep", "--name", NAME]
    try:
        yield subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    finally:
        worlds.down(NAME, forget=True)


@pytest.fixture(scope="module")
def evidence(demo):
    assert demo.returncode == 0, demo.stdout + demo.stderr
    return json.loads(demo.stdout)


def test_exactly_the_amount_moved_on_chain(evidence):
    world = World.find(NAME)
    chain = Web3(Web3.HTTPProvider(world.environment["BURSAR_CHAIN_RPC_URL"]))
    usdc = chain.eth.contract(Web3.to_checksum_address(world.contracts.usdc), abi=BALANCE_OF)
    assert usdc.functions.balanceOf(evidence["recipient"]).call() == 25_000_000
    assert usdc.functions.balanceOf(evidence["wallet"]).call() == 75_000_000
    assert chain.eth.get_transaction_receipt(evidence["chain_transaction"])["status"] == 1


def test_an_independent_library_finds_the_keys_address_in_the_signature(evidence):
    message = encode_defunct(hexstr=evidence["message"])
    found = Account.recover_message(message, signature=evidence["signature"])
    assert found == evidence["address"]


def test_cloudtrail_holds_exactly_that_signature(evidence):
    records = recorded_signatures(World.find(NAME).environment, evidence["key_arn"])
    assert [record["eventID"] for record in records] == [evidence["cloudtrail_event"]]
    assert records[0]["requestID"] == evidence["signing_request_id"]
    assert records[0]["requestParameters"]["MessageType"] == "DIGEST"


def test_five_things_were_refused(evidence):
    assert [refused["code"] for refused in evidence["refused"]] == [
        "http_403",
        "signing_service_denied",
        "recipient_person_sanctioned",
        "intent_mismatch",
        "signing_service_refused",
    ]


def test_nothing_secret_is_printed(demo):
    world = World.find(NAME)
    assert world.environment["BURSAR_CROSSMINT_API_KEY"] not in demo.stdout + demo.stderr
