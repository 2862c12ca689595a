"""Every answer of the stand-in fits the public schema, as the official SDK's generated types state it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.standin import World
from tests.fakes.owner import Owner
from tests.npm_tool import SDK

Json = Any

WALLET = "WalletV2025ResponseDtoClass"
TRANSACTION = "WalletsTransactionV2025ResponseDtoClass"
TRANSACTIONS = "WalletsMultipleTransactionV2025ResponseDto"
SIGNATURE = "WalletsSignatureV2025ResponseDto"
SIGNATURES = "WalletsMultipleSignatureV2025ResponseDto"
SIGNER = "DelegatedSignerV2025DtoClass"
BALANCE = "WalletBalanceV20250609ResponseDto"
BALANCE_V1 = "WalletBalanceResponseDto"
HISTORY = "WalletsActivityResponseUnstableDto"
ERROR = "WalletV1Alpha2ErrorDto"
TRANSACTION_ERROR = "WalletV1Alpha2TransactionErrorDto"
RECIPIENT = "0x00000000000000000000000000000000000000A2"
TYPED_DATA = {
    "domain": {
        "name": "Treasury",
        "version": "1",
        "chainId": 84532,
        "verifyingContract": RECIPIENT,
    },
    "types": {"Note": [{"name": "text", "type": "string"}]},
    "primaryType": "Note",
    "message": {"text": "hello"},
}


def wallets(world: World) -> list[tuple[str, Json]]:
    signers: list[dict[str, Json]] = [
        {"type": "server", "address": Owner().address},
        {"type": "email", "email": "rosa@example.com"},
        {"type": "phone", "phone": "+12025550123"},
        {"type": "api-key"},
        {"type": "passkey", "id": "p1", "name": "laptop", "publicKey": {"x": "1", "y": "2"}},
    ]
    made = []
    for number, signer in enumerate(signers):
        config = {"adminSigner": signer, "delegatedSigners": [{"signer": Owner().locator}]}
        body = {
            "chainType": "evm",
            "config": config,
            "owner": f"userId:schema-{number}",
            "alias": "a",
        }
        made.append((WALLET, world.client.call(201, "POST", "wallets", body)))
    return made


def payments(world: World, owner: Owner, treasury: str) -> list[tuple[str, Json]]:
    client = world.client
    made = client.transfer(201, treasury, RECIPIENT, "1.5")
    seen = [(TRANSACTION, made), (TRANSACTION, client.approve(201, treasury, made, owner))]
    seen.append((TRANSACTION, client.settled(treasury, made["id"])))
    racing = [client.transfer(201, treasury, RECIPIENT, "90") for _ in range(2)]
    for one in racing:
        client.approve(201, treasury, one, owner)
    seen += [(TRANSACTION, client.settled(treasury, one["id"])) for one in racing]
    assert [body["status"] for _, body in seen[-2:]] == ["success", "failed"]
    native = {"to": RECIPIENT, "value": "0", "data": "0x"}
    params = {"calls": [native], "chain": "base-sepolia", "signer": owner.locator}
    seen.append(
        (
            TRANSACTION,
            client.call(201, "POST", f"wallets/{treasury}/transactions", {"params": params}),
        )
    )
    seen.append((TRANSACTIONS, client.call(200, "GET", f"wallets/{treasury}/transactions")))
    for status in ("successful", "failed"):
        query = f"chain=base-sepolia&tokens=usdc&status={status}"
        seen.append(
            (
                HISTORY,
                client.call(200, "GET", f"/api/unstable/wallets/{treasury}/transfers?{query}"),
            )
        )
    return seen


def signers_and_signatures(world: World, owner: Owner, treasury: str) -> list[tuple[str, Json]]:
    client, delegate = world.client, Owner()
    base = f"wallets/{treasury}"
    body = {
        "signer": delegate.locator,
        "chain": "base-sepolia",
        "expiresAt": "2030-01-01T00:00:00Z",
    }
    registered = client.call(201, "POST", f"{base}/signers", body)
    chain = registered["chains"]["base-sepolia"]
    seen = [(SIGNER, registered)]
    client.approve(201, treasury, chain, owner)
    client.settled(treasury, chain["id"])
    seen.append((SIGNER, client.call(200, "GET", f"{base}/signers/{delegate.locator}")))
    removal = client.call(200, "DELETE", f"{base}/signers/{delegate.locator}?chain=base-sepolia")
    seen.append((TRANSACTION, removal))
    for asked in (
        {"type": "message", "params": {"message": "hello", "chain": "base-sepolia"}},
        {"type": "typed-data", "params": {"typedData": TYPED_DATA, "chain": "base-sepolia"}},
    ):
        made = client.call(201, "POST", f"{base}/signatures", asked)
        item = owner.approval(made["approvals"]["pending"][0])
        path = f"{base}/signatures/{made['id']}"
        done = client.call(201, "POST", f"{path}/approvals", {"approvals": [item]})
        seen += [(SIGNATURE, made), (SIGNATURE, done), (SIGNATURE, client.call(200, "GET", path))]
    seen.append((SIGNATURES, client.call(200, "GET", f"{base}/signatures")))
    return seen


def balances_and_errors(world: World, treasury: str) -> list[tuple[str, Json]]:
    client = world.client
    faucet = f"/api/v1-alpha2/wallets/{treasury}/balances"
    funding = {"amount": 5, "token": "usdxm", "chain": "base-sepolia"}
    return [
        (BALANCE, client.call(200, "GET", f"wallets/{treasury}/balances?tokens=eth,usdc")),
        (BALANCE_V1, client.call(201, "POST", faucet, funding)),
        (BALANCE_V1, client.call(200, "GET", f"{faucet}?tokens=usdc")),
        (ERROR, client.call(404, "GET", f"wallets/{RECIPIENT}")),
        (ERROR, client.call(400, "POST", "wallets", {})),
        (TRANSACTION_ERROR, client.transfer(422, treasury, RECIPIENT, "1000000")),
    ]


@pytest.mark.timeout(400)
def test_every_answer_fits_the_public_schema(standin: World, tmp_path: Path) -> None:
    owner = Owner()
    treasury = standin.funded_treasury(owner, "schema")
    seen = [(WALLET, standin.client.call(200, "GET", f"wallets/{treasury}"))]
    seen += wallets(standin) + payments(standin, owner, treasury)
    seen += signers_and_signatures(standin, owner, treasury) + balances_and_errors(
        standin, treasury
    )
    check_types(tmp_path, seen)


@pytest.mark.timeout(400)
def test_an_answer_outside_the_schema_would_be_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="TS2322"):
        check_types(tmp_path, [(ERROR, {"error": "yes", "message": "x"})])


def check_types(folder: Path, answers: list[tuple[str, Json]]) -> None:
    """Compile the answers as literals of the schema's types."""
    schema = SDK.installed() / "node_modules/@crossmint/wallets-sdk/dist/api/gen/types.gen"
    lines = [f"import type * as api from {json.dumps(str(schema))};"]
    lines += [
        f"export const answer{n}: api.{kind} = {json.dumps(body)};"
        for n, (kind, body) in enumerate(answers)
    ]
    source = folder / "answers.ts"
    source.write_text("\n".join(lines))
    options = ("--noEmit", "--strict", "--module", "esnext", "--moduleResolution", "bundler")
    SDK.run_node("node_modules/typescript/bin/tsc", arguments=(*options, str(source)))
