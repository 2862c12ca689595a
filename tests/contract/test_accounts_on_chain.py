"""web3.py 8 with an account whose key is behind KMS's wire, on a chain that judges every signature."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account.messages import encode_defunct, encode_typed_data
from hexbytes import HexBytes
from web3 import AsyncHTTPProvider, AsyncWeb3, HTTPProvider, Web3
from web3.middleware import SignAndSendRawMiddlewareBuilder
from web3.types import TxReceipt

from bursar.accounts import SignerAccount
from bursar.chains import evm
from bursar.kms.client import KmsClient
from bursar.kms.names import parse_endpoint
from bursar.kms.sigv4 import Credentials
from bursar.signer import KmsSigner
from tests.fakes.kms_server import Key, KmsServer

RECIPIENT = Web3.to_checksum_address("0x" + "c0ffee" + "00" * 15 + "01ab")
ETHER = 10**18


@pytest.fixture
def account(kms_server: KmsServer) -> Iterator[SignerAccount]:
    credentials = Credentials(kms_server.access_key_id, kms_server.secret_access_key)
    endpoint = parse_endpoint(kms_server.url)
    with KmsClient(kms_server.region, lambda: credentials, endpoint=endpoint) as client:
        yield SignerAccount(KmsSigner.open(client, kms_server.create_key().arn))


@pytest.fixture
def w3(anvil_url: str, account: SignerAccount) -> Web3:
    """web3.py with the account as its signing middleware, and ten ether in the account."""
    w3 = Web3(HTTPProvider(anvil_url))
    w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
    fund(w3, account.address)
    return w3


def fund(w3: Web3, address: str) -> None:
    method: Any = "anvil_setBalance"
    w3.provider.make_request(method, [address, hex(10 * ETHER)])


def key_address(key: Key) -> str:
    return evm.public_key_from_point(key.private.public_key.format(compressed=False)[1:]).address


def mined(w3: Web3, tx_hash: HexBytes) -> TxReceipt:
    receipt = w3.eth.wait_for_transaction_receipt(tx_hash, timeout=20, poll_latency=0.02)
    assert receipt["status"] == 1
    return receipt


def fees(w3: Web3) -> dict[str, int]:
    return {"maxFeePerGas": 2 * w3.eth.gas_price + 10**9, "maxPriorityFeePerGas": 10**9}


ACCESS = [{"address": RECIPIENT, "storageKeys": ["0x" + "00" * 32]}]
BY_TYPE: dict[str, tuple[int, dict[str, Any]]] = {
    "no type": (2, {}),
    "legacy": (0, {"gasPrice": 3 * 10**9}),
    "legacy, named": (0, {"type": "0x0", "gasPrice": 3 * 10**9}),
    "access list": (1, {"gasPrice": 3 * 10**9, "accessList": ACCESS}),
    "dynamic fee": (2, {"type": 2, "maxFeePerGas": 3 * 10**9, "maxPriorityFeePerGas": 10**9}),
    "dynamic fee with access list": (2, {"type": "0x2", "accessList": ACCESS}),
}


@pytest.mark.parametrize(("kind", "fields"), BY_TYPE.values(), ids=BY_TYPE.keys())
def test_web3_sends_a_transaction_of_each_type(
    w3: Web3, account: SignerAccount, kind: int, fields: dict[str, Any]
) -> None:
    before = w3.eth.get_balance(RECIPIENT)
    call: Any = {"from": account.address, "to": RECIPIENT, "value": ETHER, **fields}
    receipt = mined(w3, w3.eth.send_transaction(call))
    assert receipt["from"] == account.address
    assert receipt["type"] == kind
    assert w3.eth.get_balance(RECIPIENT) == before + ETHER
    spent = ETHER + receipt["gasUsed"] * receipt["effectiveGasPrice"]
    assert w3.eth.get_balance(account.address) == 10 * ETHER - spent


def test_low_and_high_halves_of_s_from_kms_are_all_mined(
    w3: Web3, account: SignerAccount, kms_server: KmsServer
) -> None:
    kms_server.halves = "both"
    before = len(kms_server.requests)
    for _ in range(8):
        call: Any = {"from": account.address, "to": RECIPIENT, "value": 1}
        mined(w3, w3.eth.send_transaction(call))
    assert len(kms_server.requests) == before + 8
    assert w3.eth.get_transaction_count(account.address) == 8


def test_web3_deploys_a_contract(w3: Web3, account: SignerAccount) -> None:
    # PUSH1 1, PUSH1 0, RETURN: a contract of the one byte 0x00.
    call: Any = {"from": account.address, "data": "0x60016000f3"}
    receipt = mined(w3, w3.eth.send_transaction(call))
    assert receipt["contractAddress"] is not None
    assert w3.eth.get_code(receipt["contractAddress"]) == b"\0"


def test_a_blob_travels_with_its_transaction_under_the_hash_that_was_returned(
    w3: Web3, account: SignerAccount
) -> None:
    fields = {
        "type": 3,
        "chainId": w3.eth.chain_id,
        "nonce": 0,
        "gas": 21000,
        "to": RECIPIENT,
        "value": 1,
        "maxFeePerBlobGas": 10**9,
        **fees(w3),
    }
    signed = account.sign_transaction(
        fields, blobs=[b"\x00" + b"ledger".ljust(31, b"\0") + bytes(131040)]
    )
    assert w3.eth.send_raw_transaction(signed.raw_transaction) == signed.hash
    receipt = mined(w3, signed.hash)
    assert receipt["from"] == account.address
    assert receipt["type"] == 3
    assert dict(receipt)["blobGasUsed"] == 131072


def delegate(w3: Web3, account: SignerAccount, **authorization: Any) -> TxReceipt:
    """Send, from the account itself, an authorization of the account's own."""
    asked = {"chainId": w3.eth.chain_id, "address": RECIPIENT} | authorization
    call: Any = {
        "from": account.address,
        "to": account.address,
        "gas": 100_000,
        "authorizationList": [account.sign_authorization(asked)],
        **fees(w3),
    }
    return mined(w3, w3.eth.send_transaction(call))


def delegation(w3: Web3, account: SignerAccount) -> bytes:
    """The address the account's code points at, as EIP-7702 writes it; empty where there is none."""
    code = bytes(w3.eth.get_code(account.address))
    return code.removeprefix(b"\xef\x01\x00")


@pytest.mark.parametrize("chain", [{}, {"chainId": 0}], ids=["this chain", "every chain"])
def test_an_account_delegates_itself_with_its_nonce_plus_one(
    w3: Web3, account: SignerAccount, chain: dict[str, int]
) -> None:
    nonce = w3.eth.get_transaction_count(account.address)
    receipt = delegate(w3, account, nonce=nonce + 1, **chain)
    assert receipt["type"] == 4
    assert receipt["from"] == account.address
    assert delegation(w3, account) == bytes.fromhex(RECIPIENT[2:])
    assert w3.eth.get_transaction_count(account.address) == nonce + 2


def test_with_its_transactions_own_nonce_the_delegation_does_not_take(
    w3: Web3, account: SignerAccount
) -> None:
    delegate(w3, account, nonce=w3.eth.get_transaction_count(account.address))
    assert delegation(w3, account) == b""


def test_messages_and_typed_data_recover_to_the_account(w3: Web3, account: SignerAccount) -> None:
    text = encode_defunct(text="I♥SF")
    assert (
        w3.eth.account.recover_message(text, signature=account.sign_message(text).signature)
        == account.address
    )
    parts: Any = ({"name": "x"}, {"Pay": [{"name": "amount", "type": "uint256"}]}, {"amount": 1})
    signature = account.sign_typed_data(*parts).signature
    assert (
        w3.eth.account.recover_message(encode_typed_data(*parts), signature=signature)
        == account.address
    )


def test_web3_sends_inside_an_event_loop(w3: Web3, account: SignerAccount, anvil_url: str) -> None:
    async def send() -> HexBytes:
        async_w3 = AsyncWeb3(AsyncHTTPProvider(anvil_url))
        async_w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
        call: Any = {"from": account.address, "to": RECIPIENT, "value": 1}
        try:
            return await async_w3.eth.send_transaction(call)
        finally:
            await async_w3.provider.disconnect()

    assert mined(w3, asyncio.run(send()))["from"] == account.address


def test_the_how_to_page_runs_as_written(
    kms_server: KmsServer, anvil_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "use-with-web3.md"
    blocks = re.findall(
        r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    key = kms_server.create_key(alias="alias/treasury")
    environ = {
        "RPC_URL": anvil_url,
        "AWS_ENDPOINT_URL_KMS": kms_server.url,
        "AWS_REGION": kms_server.region,
        "AWS_ACCESS_KEY_ID": kms_server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": kms_server.secret_access_key,
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    fund(Web3(HTTPProvider(anvil_url)), key_address(key))

    names: dict[str, Any] = {}
    exec(compile(blocks[0], page.name, "exec"), names)  # noqa: S102  our own documentation

    assert names["receipt"]["status"] == 1
    assert names["receipt"]["from"] == key_address(key)
