"""GET transfers of the unstable version: what moved in and out of a wallet, read from the chain's own events."""

from __future__ import annotations

from datetime import UTC, datetime

from bursar.sandbox.chain.token import Movement
from bursar.sandbox.crossmint import locators, paging, tokens, wallets
from bursar.sandbox.crossmint.locators import CHAIN, explorer_link
from bursar.sandbox.crossmint.replies import Call, Json, Reply, bad_request
from bursar.sandbox.crossmint.stand_in import StandIn
from bursar.sandbox.crossmint.tokens import Asset

_REQUIRED = ("chain", "tokens", "status")


def list_all(stand_in: StandIn, call: Call) -> Reply:
    """Return transfers, newest first, a cursor at a time: all that succeeded, or the outgoing ones that failed."""
    for name in _REQUIRED:
        if not call.query.get(name):
            raise bad_request(f"Missing query parameter: {name}")
    locators.chain(call.query["chain"])
    wallet = wallets.by_locator(stand_in, call)["api"]
    listing = {"successful": _succeeded, "failed": _failed}.get(call.query["status"])
    if listing is None:
        raise bad_request("Invalid status: successful or failed")
    found: list[Json] = []
    for asset in _assets(stand_in, call.query["tokens"]):
        found += listing(stand_in, call.project, wallet, asset)
    newest_first = call.query.get("sort", "desc").lower() == "desc"
    found.sort(key=lambda transfer: str(transfer["completedAt"]), reverse=newest_first)
    since, until = call.query.get("fromDate", ""), call.query.get("toDate", "9")
    return Reply(200, _cut(call, [t for t in found if since <= t["completedAt"] <= until]))


def _assets(stand_in: StandIn, names: str) -> list[Asset]:
    """Return the tokens asked for, one for each contract."""
    found = [tokens.asset(stand_in, name.removeprefix(f"{CHAIN}:")) for name in names.split(",")]
    return list({asset.contract: asset for asset in found}.values())


def _cut(call: Call, found: list[Json]) -> Json:
    start = paging.integer(call, "cursor", default=1, maximum=10**6) - 1
    end = start + paging.integer(call, "limit", default=20, maximum=100)
    answer: Json = {"data": found[start:end]}
    answer |= {"nextCursor": str(end + 1)} if end < len(found) else {}
    return answer | ({"previousCursor": str(max(1, 2 * start - end + 1))} if start else {})


def _succeeded(stand_in: StandIn, project: str, wallet: Json, asset: Asset) -> list[Json]:
    if asset.contract is None:
        raise bad_request("Unsupported token: native transfers leave no events")
    by_transaction = {
        record["api"]["onChain"]["txId"]: record["id"]
        for record in stand_in.store.all("transaction", project)
        if "txId" in record["api"]["onChain"]
    }
    found = []
    for movement in stand_in.token.movements(wallet["address"]):
        outgoing = movement.sender == wallet["address"]
        known = by_transaction.get(movement.transaction)
        transfer = entry(wallet, asset, movement) | {
            "status": "succeeded",
            "completedAt": _block_time(stand_in, movement.block),
            "onChain": {
                "txId": movement.transaction,
                "explorerLink": explorer_link(movement.transaction),
            },
            "type": "wallets.transfer.out" if outgoing else "wallets.transfer.in",
        }
        found.append(transfer | ({"transferId": known} if known else {}))
    return found


def _failed(stand_in: StandIn, project: str, wallet: Json, asset: Asset) -> list[Json]:
    found = []
    for record in stand_in.store.all("transaction", project):
        api = record["api"]
        sent = api.get("sendParams")
        mine = record["wallet"] == wallet["address"] and api["status"] == "failed"
        if not mine or sent is None or sent["token"] != asset.locator:
            continue
        units = tokens.units(sent["params"]["amount"], asset.decimals)
        movement = Movement(wallet["address"], sent["params"]["recipientAddress"], units, "", "")
        transfer = entry(wallet, asset, movement) | {
            "status": "failed",
            "completedAt": api["completedAt"],
            "transferId": record["id"],
            "error": {key: api["error"][key] for key in ("message", "reason")},
            "type": "wallets.transfer.out",
        }
        found.append(transfer)
    return found


def entry(wallet: Json, asset: Asset, movement: Movement) -> Json:
    """Return what the API says of a movement: from whom, to whom, how much of what."""
    token: Json = {
        "type": "fungible",
        "chain": CHAIN,
        "locator": f"{CHAIN}:{asset.contract}",
        "amount": tokens.text(movement.units, asset.decimals),
        "rawAmount": str(movement.units),
        "contractAddress": asset.contract,
        "symbol": asset.symbol,
        "decimals": asset.decimals,
    }
    return {
        "sender": _party(wallet, movement.sender),
        "recipient": _party(wallet, movement.receiver),
        "token": token,
    }


def _party(wallet: Json, address: str) -> Json:
    party = {"address": address, "chain": CHAIN, "locator": f"{CHAIN}:{address}"}
    known = address == wallet["address"] and "owner" in wallet
    return party | ({"owner": wallet["owner"]} if known else {})


def _block_time(stand_in: StandIn, block: str) -> str:
    found = stand_in.rpc.request("eth_getBlockByNumber", block, False)
    moment = datetime.fromtimestamp(int(found["timestamp"], 16), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
