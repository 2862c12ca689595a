"""POST and GET transfers: a token to a recipient, screened where the law asks for it."""

from __future__ import annotations

from bursar.sandbox.crossmint import compliance, locators, tokens, transactions, wallets
from bursar.sandbox.crossmint.locators import CHAIN, WalletLocator
from bursar.sandbox.crossmint.replies import (
    Call,
    Reply,
    bad_request,
    build_refused,
    not_found,
    transaction_error,
)
from bursar.sandbox.crossmint.requests import CreateTransfer, parse
from bursar.sandbox.crossmint.stand_in import StandIn
from bursar.sandbox.crossmint.transactions import Plan


def create(stand_in: StandIn, call: Call) -> Reply:
    """Screen, build and answer 201 with a transaction that awaits approval."""
    wallet = wallets.by_locator(stand_in, call)
    asset = tokens.by_locator(stand_in, call.path["token"])
    wanted = parse(CreateTransfer, call.body)
    units = tokens.units(wanted.amount, asset.decimals)
    recipient, receiver = _recipient(stand_in, call.project, wanted.recipient)
    signer = wallets.signer_for(wallet, wanted.signer)
    _screen(stand_in, call.project, wanted.transactionType, receiver)
    plan = Plan(
        calls=[asset.transfer(receiver, units)],
        signer=signer,
        send_params={
            "token": call.path["token"].lower(),
            "params": {
                "amount": tokens.text(units, asset.decimals),
                "recipient": recipient,
                "recipientAddress": receiver,
            },
        },
        tamper=call.tamper,
    )
    record = transactions.make(stand_in, call.project, wallet, plan)
    return Reply(201, record["api"], ("transaction", record["id"]))


def get(stand_in: StandIn, call: Call) -> Reply:
    """Return the transaction of a transfer of this token."""
    record = transactions.find(stand_in, call)
    if record["api"].get("sendParams", {}).get("token") != call.path["token"].lower():
        raise not_found("Transfer")
    return Reply(200, transactions.shown(stand_in, call, record))


def _recipient(stand_in: StandIn, project: str, text: str) -> tuple[str, str]:
    """Return the recipient as the API repeats it, and its address: `address:<address>:<chain>` for an address."""
    if text == "CROSSMINT":
        raise bad_request("Unsupported recipient: this stand-in has no deposits")
    for suffix in ("", f":{CHAIN}"):
        name = text.removesuffix(suffix) if suffix else text
        if locators.is_user(name):
            owner = WalletLocator(owner=locators.user(name))
            return f"{name}:{CHAIN}", wallets.resolve(stand_in, project, owner)["api"]["address"]
    chain, _, bare = text.rpartition(":")
    if chain:
        locators.chain(chain)
    address = locators.address(bare, "recipient")
    return f"address:{address}:{CHAIN}", address


def _screen(stand_in: StandIn, project: str, kind: str, receiver: str) -> None:
    if kind == "onramp":
        raise bad_request("Unsupported transactionType: this stand-in has no onramp")
    if kind == "regulated-transfer":
        compliance.screen(stand_in, project, receiver)
    elif compliance.is_sanctioned(receiver):
        message = "The recipient address is sanctioned"
        raise build_refused(transaction_error("sanctioned_wallet_address", message))
