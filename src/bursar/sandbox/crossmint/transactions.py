"""Transactions: made from calls, approved by signers, read back. `settlement` takes them to the chain."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from bursar.sandbox.chain import kernel
from bursar.sandbox.crossmint import (
    alterations,
    approvals,
    contract_calls,
    locators,
    operations,
    paging,
    settlement,
    signer_objects,
    wallets,
)
from bursar.sandbox.crossmint.locators import CHAIN
from bursar.sandbox.crossmint.replies import Call, Json, Reply, not_found, timestamp
from bursar.sandbox.crossmint.requests import CreateTransaction, SubmitApprovals, parse
from bursar.sandbox.crossmint.stand_in import StandIn


@dataclass(frozen=True, slots=True)
class Plan:
    """A transaction to be made: its calls, who signs, and what the records say it is for.

    `effect` is what happens to the wallet's record once it succeeds, `tamper` how a fault wants it altered.
    """

    calls: list[kernel.Call]
    signer: Json
    send_params: Json | None = None
    effect: Json | None = None
    tamper: str | None = None


def create(stand_in: StandIn, call: Call) -> Reply:
    """Make a transaction from calls: 201, awaiting approval."""
    wallet = wallets.by_locator(stand_in, call)
    wanted = parse(CreateTransaction, call.body).params
    locators.chain(wanted.chain)
    calls = [contract_calls.build(one) for one in wanted.calls]
    signer = wallets.signer_for(wallet, wanted.signer)
    plan = Plan(calls, signer, tamper=call.tamper)
    record = make(stand_in, call.project, wallet, plan)
    return Reply(201, record["api"], ("transaction", record["id"]))


def make(stand_in: StandIn, project: str, wallet: Json, plan: Plan) -> Json:
    """Build the user operation, keep the record and return it.

    Raises:
        ApiError: 422; it would revert. 409; it cannot be altered as a fault wants.
    """
    lane, operation = operations.build(stand_in, wallet, plan.calls, simulate=True)
    digest = "0x" + operations.operation_hash(stand_in, operation).hex()
    identity = str(uuid.uuid4())
    api: Json = {
        "chainType": "evm",
        "walletType": "smart",
        "params": {
            "calls": [contract_calls.to_json(call) for call in plan.calls],
            "chain": CHAIN,
            "signer": signer_objects.for_approval(plan.signer),
        },
        "onChain": {"userOperation": operation.to_api(), "userOperationHash": digest},
        "id": identity,
        "status": "awaiting-approval",
        "createdAt": timestamp(),
        "approvals": approvals.awaiting(plan.signer, digest),
    }
    api |= {"sendParams": plan.send_params} if plan.send_params else {}
    record: Json = {"id": identity, "api": api, "project": project, "effect": plan.effect}
    record |= {"wallet": wallet["api"]["address"], "lane": lane}
    if plan.tamper:
        record["api"] = alterations.altered(stand_in, record, plan.tamper)
    wallet.setdefault("lanes", {})[str(lane)] = identity
    wallets.save(stand_in, project, wallet)
    save(stand_in, record)
    return record


def get(stand_in: StandIn, call: Call) -> Reply:
    """Return a transaction."""
    return Reply(200, shown(stand_in, call, find(stand_in, call)))


def shown(stand_in: StandIn, call: Call, record: Json) -> Json:
    """Return a record as it is, or altered where a fault wants that; what is kept stays as it is.

    Raises:
        ApiError: 409; it cannot be altered as a fault wants.
    """
    api: Json = record["api"]
    return alterations.altered(stand_in, record, call.tamper) if call.tamper else api


def list_all(stand_in: StandIn, call: Call) -> Reply:
    """Return a wallet's transactions, newest first, a page at a time."""
    address = wallets.by_locator(stand_in, call)["api"]["address"]
    records = stand_in.store.all("transaction", call.project)
    own = [record["api"] for record in reversed(records) if record["wallet"] == address]
    since, until = call.query.get("dateFrom", ""), call.query.get("dateTo", "9")
    return Reply(
        200,
        {"transactions": paging.page(call, [t for t in own if since <= t["createdAt"] <= until])},
    )


def approve(stand_in: StandIn, call: Call) -> Reply:
    """Take signatures; with the last one the transaction goes on its way."""
    record = find(stand_in, call)
    add_approvals(stand_in, record, parse(SubmitApprovals, call.body))
    return Reply(201, record["api"])


def add_approvals(stand_in: StandIn, record: Json, submitted: SubmitApprovals) -> None:
    """Add signatures to a transaction, all or none, and send it off when they suffice.

    Raises:
        ApiError: 400, 409 or 422, as `approvals.submit` says.
    """
    api = record["api"]
    for approval in submitted.approvals:
        approvals.submit(api["approvals"], approval)
    if approvals.is_complete(api["approvals"]):
        api["status"] = "pending"
        signature = approvals.signature(api["approvals"])
        api["onChain"]["userOperation"]["signature"] = "0x" + signature.hex()
        settlement.schedule(stand_in, record)
    save(stand_in, record)


def find(stand_in: StandIn, call: Call) -> Json:
    """Return the record of the transaction a path names.

    Raises:
        ApiError: 404; none, or another wallet's.
    """
    address = wallets.by_locator(stand_in, call)["api"]["address"]
    record = stand_in.store.find("transaction", call.project, call.path["transaction"])
    if record is None or record["wallet"] != address:
        raise not_found("Transaction")
    return record


def save(stand_in: StandIn, record: Json) -> None:
    """Keep a transaction's record."""
    stand_in.store.save("transaction", record["project"], record["id"], record)
