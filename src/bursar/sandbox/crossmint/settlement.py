"""Taking approved transactions to the chain, one after another, on a thread of its own."""

from __future__ import annotations

import threading
import time

from bursar.errors import SandboxError
from bursar.sandbox.chain.bundler import Landed, OperationError
from bursar.sandbox.chain.userop import UserOperation
from bursar.sandbox.crossmint import operations, webhooks
from bursar.sandbox.crossmint.locators import explorer_link
from bursar.sandbox.crossmint.replies import Json, timestamp, transaction_error
from bursar.sandbox.crossmint.stand_in import Due, StandIn

_RETRY_SECONDS = 1.0


def schedule(stand_in: StandIn, record: Json) -> None:
    """Let a pending transaction be broadcast `settle_seconds` from now, so that `pending` can be seen."""
    at = time.monotonic() + stand_in.settle_seconds
    stand_in.due.put(Due(at, record["project"], record["id"]))


class Settler:
    """The thread. It begins with what was pending when the stand-in last stopped."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="settler", daemon=True)

    def start(self) -> None:
        """Start, with yesterday's unfinished transactions first."""
        for record in self._stand_in.store.all("transaction"):
            if record["api"]["status"] == "pending":
                schedule(self._stand_in, record)
        self._thread.start()

    def stop(self) -> None:
        """Finish the transaction in hand and stop; the others stay pending for the next start."""
        self._stopping.set()
        self._stand_in.due.put(Due(0.0, "", ""))
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            due = self._stand_in.due.get()
            if self._stopping.wait(max(0.0, due.at - time.monotonic())) or not due.transaction:
                continue
            try:
                settle(self._stand_in, due)
            except SandboxError:
                # The chain is away; the transaction stays pending and is looked up before it is sent again.
                self._stand_in.due.put(
                    Due(time.monotonic() + _RETRY_SECONDS, due.project, due.transaction)
                )


def settle(stand_in: StandIn, due: Due) -> None:
    """Bring one pending transaction to its end. It is looked up first, so settling twice sends once.

    Raises:
        SandboxError: the chain does not answer; nothing is recorded.
    """
    record = stand_in.store.find("transaction", due.project, due.transaction)
    if record is None or record["api"]["status"] != "pending":
        return
    operation = UserOperation.from_api(record["api"]["onChain"]["userOperation"])
    try:
        found = stand_in.bundler.find(operations.operation_hash(stand_in, operation))
        _conclude(record, found or stand_in.bundler.submit(operation))
    except OperationError as refused:
        _fail(record, _refusal(refused.message))
    with stand_in.store.transaction():
        _finish(stand_in, record)
        webhooks.announce(stand_in, record)


def _conclude(record: Json, landed: Landed) -> None:
    api = record["api"]
    api["onChain"] |= {
        "txId": landed.transaction,
        "explorerLink": explorer_link(landed.transaction),
    }
    api["completedAt"] = timestamp()
    if landed.succeeded:
        api["status"] = "success"
        return
    reason = landed.revert or "execution reverted"
    revert = {"type": "contract_call", "reason": reason}
    _fail(record, transaction_error("execution_reverted", f"Execution reverted: {reason}", revert))


def _fail(record: Json, error: Json) -> None:
    record["api"] |= {"status": "failed", "error": error, "completedAt": timestamp()}


def _refusal(message: str) -> Json:
    """Word the EntryPoint's refusal: AA1x is about the account's birth, AA2x about its signature and nonce."""
    kinds = {
        "AA1": "wallet_deployment",
        "AA23": "wallet_authorization",
        "AA24": "wallet_authorization",
    }
    for code, kind in kinds.items():
        if message.startswith(code):
            return transaction_error(
                "execution_reverted", message, {"type": kind, "reason": message}
            )
    return transaction_error("failed_to_land_on_chain", message)


def _finish(stand_in: StandIn, record: Json) -> None:
    project = record["project"]
    stand_in.store.save("transaction", project, record["id"], record)
    wallet = stand_in.store.find("wallet", project, record["wallet"])
    if wallet is None:
        return
    wallet["lanes"].pop(str(record["lane"]), None)
    if record["effect"]:
        _apply(wallet, record["effect"], record["api"]["status"])
    stand_in.store.save("wallet", project, record["wallet"], wallet)


def _apply(wallet: Json, effect: Json, status: str) -> None:
    """Change the wallet's signers once the chain has."""
    entry = next((s for s in wallet["signers"] if s["signer"]["locator"] == effect["signer"]), None)
    if entry is None:
        return
    config = wallet["api"]["config"]
    if effect["kind"] == "add":
        entry["status"] = status
        if status == "success":
            config["delegatedSigners"].append(entry["signer"])
    elif status == "success":
        wallet["signers"].remove(entry)
        config["delegatedSigners"] = [
            signer for signer in config["delegatedSigners"] if signer["locator"] != effect["signer"]
        ]
