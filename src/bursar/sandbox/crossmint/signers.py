"""Operational signers: registered on the chain by a user operation that the admin signer approves.

Real Kernel accounts install a permission validator; here the root validator keeps the list (`EcdsaValidator.vy`).
The registration's id can be approved as a transaction or as a signature: clients of both kinds exist.
"""

from __future__ import annotations

from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.abi import call_data
from bursar.sandbox.crossmint import locators, signer_objects, transactions, wallets
from bursar.sandbox.crossmint.locators import CHAIN
from bursar.sandbox.crossmint.replies import Call, Json, Reply, bad_request, not_found
from bursar.sandbox.crossmint.requests import CreateSigner, parse
from bursar.sandbox.crossmint.stand_in import StandIn
from bursar.sandbox.crossmint.transactions import Plan


def create(stand_in: StandIn, call: Call) -> Reply:
    """Register a signer: 201, its registration awaiting the admin signer's approval."""
    wallet = wallets.by_locator(stand_in, call)
    wanted = parse(CreateSigner, call.body)
    locators.chain(wanted.chain)
    signer = signer_objects.from_input(wanted.signer)
    if signer["type"] not in ("external-wallet", "server") or wanted.scopes:
        raise bad_request("Unsupported signer: this stand-in registers unscoped EVM keys only")
    admin = wallet["api"]["config"]["adminSigner"]
    if admin["type"] == "quorum":
        raise bad_request("Unsupported signer: this stand-in registers none beside a quorum")
    if locators.same(signer["locator"], admin["locator"]) or _entry(wallet, signer["locator"]):
        raise bad_request("Delegated signer already exists")
    extra = {"expiresAt": wanted.expiresAt} if wanted.expiresAt else {}
    wallet.setdefault("signers", []).append(
        {"signer": signer | extra, "status": "awaiting-approval"}
    )
    record = _change(stand_in, call.project, wallet, signer, "add")
    entry = _entry(wallet, signer["locator"]) or {}
    entry["transaction"] = record["id"]
    wallets.save(stand_in, call.project, wallet)
    return Reply(201, _public(stand_in, call.project, entry))


def get(stand_in: StandIn, call: Call) -> Reply:
    """Return a signer and how far its registration is."""
    wallet = wallets.by_locator(stand_in, call)
    return Reply(200, _public(stand_in, call.project, _require(wallet, call.path["signer"])))


def remove(stand_in: StandIn, call: Call) -> Reply:
    """Ask for a signer's removal: 200 with the transaction to approve."""
    wallet = wallets.by_locator(stand_in, call)
    locators.chain(call.query.get("chain"))
    entry = _require(wallet, call.path["signer"])
    if entry["status"] != "success":
        raise bad_request("The signer is not registered on this chain")
    record = _change(stand_in, call.project, wallet, entry["signer"], "remove")
    return Reply(200, record["api"])


def _change(stand_in: StandIn, project: str, wallet: Json, signer: Json, kind: str) -> Json:
    data = call_data(f"{kind}Signer(address)", locators.address(signer["address"]))
    plan = Plan(
        calls=[kernel.Call(wallet["validator"], 0, data)],
        signer=wallet["api"]["config"]["adminSigner"],
        effect={"kind": kind, "signer": signer["locator"]},
    )
    return transactions.make(stand_in, project, wallet, plan)


def _entry(wallet: Json, locator: str) -> Json | None:
    """Return a signer's entry; one whose registration failed does not count."""
    for entry in wallet.get("signers", []):
        if locators.same(entry["signer"]["locator"], locator) and entry["status"] != "failed":
            found: Json = entry
            return found
    return None


def _require(wallet: Json, locator: str) -> Json:
    entry = _entry(wallet, locator)
    if entry is None:
        raise not_found("Signer")
    return entry


def _public(stand_in: StandIn, project: str, entry: Json) -> Json:
    record = stand_in.store.find("transaction", project, entry["transaction"])
    api = record["api"] if record else {"status": entry["status"]}
    chain: Json = {"status": api["status"]}
    if api["status"] != "success":
        chain |= {"id": api["id"], "approvals": api["approvals"]}
    signer: Json = entry["signer"]
    return signer | {"chains": {CHAIN: chain}}
