"""Balances, read from the chain, and play money from staging's faucet."""

from __future__ import annotations

from bursar.sandbox.crossmint import locators, tokens, wallets
from bursar.sandbox.crossmint.locators import CHAIN
from bursar.sandbox.crossmint.replies import Call, Json, Reply, bad_request
from bursar.sandbox.crossmint.requests import Fund, parse
from bursar.sandbox.crossmint.stand_in import StandIn
from bursar.sandbox.crossmint.tokens import Asset


def get(stand_in: StandIn, call: Call) -> Reply:
    """Return the balances asked for in `tokens`, as version 2025-06-09 words them."""
    holder = wallets.by_locator(stand_in, call)["api"]["address"]
    return Reply(200, [_balance(stand_in, holder, asset) for asset in _assets(stand_in, call)])


def get_v1(stand_in: StandIn, call: Call) -> Reply:
    """Return the balances asked for, as version v1-alpha2 words them."""
    holder = wallets.by_locator(stand_in, call)["api"]["address"]
    return Reply(200, [_balance_v1(stand_in, holder, asset) for asset in _assets(stand_in, call)])


def fund(stand_in: StandIn, call: Call) -> Reply:
    """Mint 1 to 100 usdxm for a wallet and answer its balance."""
    holder = wallets.by_locator(stand_in, call)["api"]["address"]
    wanted = parse(Fund, call.body)
    locators.chain(wanted.chain)
    asset = tokens.asset(stand_in, wanted.token)
    stand_in.token.mint(holder, tokens.units(f"{wanted.amount:f}", asset.decimals))
    return Reply(201, [_balance_v1(stand_in, holder, asset)])


def _assets(stand_in: StandIn, call: Call) -> list[Asset]:
    if not call.query.get("tokens"):
        raise bad_request("Missing query parameter: tokens")
    for chain in filter(None, call.query.get("chains", "").split(",")):
        locators.chain(chain)
    names = dict.fromkeys(call.query["tokens"].split(","))
    return [tokens.asset(stand_in, name.removeprefix(f"{CHAIN}:")) for name in names]


def _balance(stand_in: StandIn, holder: str, asset: Asset) -> Json:
    raw = asset.balance(stand_in, holder)
    amounts = {"amount": tokens.text(raw, asset.decimals), "rawAmount": str(raw)}
    contract = {"contractAddress": asset.contract} if asset.contract else {}
    return {
        "symbol": asset.symbol,
        "name": asset.name,
        "decimals": asset.decimals,
        **amounts,
        "chains": {
            CHAIN: {"locator": f"{CHAIN}:{asset.contract or asset.symbol}", **amounts, **contract}
        },
    }


def _balance_v1(stand_in: StandIn, holder: str, asset: Asset) -> Json:
    raw = str(asset.balance(stand_in, holder))
    return {
        "token": asset.symbol,
        "decimals": asset.decimals,
        "balances": {CHAIN: raw, "total": raw},
    }
