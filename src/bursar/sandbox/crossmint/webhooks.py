"""Announcing transfers that settled, signed as Svix signs, until somebody takes the announcement.

A delivery is kept with the transfer's end, in one transaction, and is sent until it is answered by 2xx: it comes
at least once, perhaps late, and also after a restart.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid

import httpx2

from bursar.sandbox.chain.token import Movement
from bursar.sandbox.crossmint import history, tokens
from bursar.sandbox.crossmint.config import Webhook
from bursar.sandbox.crossmint.faults import DELIVERIES
from bursar.sandbox.crossmint.replies import Json
from bursar.sandbox.crossmint.stand_in import Parcel, StandIn

# Svix waits 15 seconds for an answer; its later attempts are hours apart, which nobody waits for here.
_ANSWER_SECONDS = 15.0
_MOST_ATTEMPTS = 12
_LONGEST_WAIT_SECONDS = 30.0


def announce(stand_in: StandIn, record: Json) -> None:
    """Keep a delivery for each webhook, if the record is the end of an ERC-20 transfer. Within a transaction."""
    sent = record["api"].get("sendParams")
    asset = tokens.by_locator(stand_in, sent["token"]) if sent else None
    if asset is None or asset.contract is None:
        return
    body = json.dumps(_body(stand_in, record, asset))
    for webhook in stand_in.webhooks:
        name = f"msg_{uuid.uuid4().hex}"
        delivery = {"id": name, "url": webhook.url, "body": body, "open": True}
        stand_in.store.save("delivery", "", name, delivery)
        stand_in.outbox.put(Parcel(time.monotonic(), name))


def signature(webhook: Webhook, delivery: str, seconds: str, body: str) -> str:
    """Return the `svix-signature` of a delivery."""
    key = base64.b64decode(webhook.secret.get_secret_value().removeprefix("whsec_"))
    digest = hmac.digest(key, f"{delivery}.{seconds}.{body}".encode(), hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


class Postman:
    """The thread that delivers. It begins with what was open when the stand-in last stopped."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in
        self._stopping = threading.Event()
        self._http = httpx2.Client(timeout=_ANSWER_SECONDS, trust_env=False)
        self._thread = threading.Thread(target=self._run, name="postman", daemon=True)

    def start(self) -> None:
        """Start, with what is still open first."""
        for delivery in self._stand_in.store.all("delivery"):
            if delivery["open"]:
                self._stand_in.outbox.put(Parcel(time.monotonic(), delivery["id"]))
        self._thread.start()

    def stop(self) -> None:
        """Finish the delivery in hand and stop; the others stay open for the next start."""
        self._stopping.set()
        self._stand_in.outbox.put(Parcel(0.0, ""))
        self._thread.join()
        self._http.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            parcel = self._stand_in.outbox.get()
            if parcel.at > time.monotonic():
                # Others may be due before it.
                self._stand_in.outbox.put(parcel)
                self._stopping.wait(0.02)
            elif parcel.delivery:
                self._deliver(parcel)

    def _deliver(self, parcel: Parcel) -> None:
        delivery = self._stand_in.store.find("delivery", "", parcel.delivery)
        hooks = {webhook.url: webhook for webhook in self._stand_in.webhooks}
        if delivery is None or delivery["url"] not in hooks:
            return
        fault = None if parcel.is_delayed else self._stand_in.faults.take(DELIVERIES)
        kind = fault.kind if fault else ""
        if kind == "slow" and fault:
            later = time.monotonic() + fault.seconds
            self._stand_in.outbox.put(Parcel(later, parcel.delivery, parcel.attempt, True))
            return
        if kind == "forge":
            self._post(hooks[delivery["url"]], delivery, altered=True)
        taken = kind == "lose" or self._post(hooks[delivery["url"]], delivery)
        if kind == "duplicate":
            self._post(hooks[delivery["url"]], delivery)
        self._close(parcel, delivery, taken=taken)

    def _close(self, parcel: Parcel, delivery: Json, *, taken: bool) -> None:
        if taken or parcel.attempt >= _MOST_ATTEMPTS:
            done = delivery | {"open": False}
            self._stand_in.store.save("delivery", "", delivery["id"], done)
            return
        wait = min(0.25 * 2.0**parcel.attempt, _LONGEST_WAIT_SECONDS)
        later = time.monotonic() + wait
        self._stand_in.outbox.put(Parcel(later, parcel.delivery, parcel.attempt + 1))

    def _post(self, webhook: Webhook, delivery: Json, *, altered: bool = False) -> bool:
        """Deliver, and tell whether it was taken. An altered one is signed as what it was."""
        seconds, body = str(int(time.time())), delivery["body"]
        headers = {
            "content-type": "application/json",
            "svix-id": delivery["id"],
            "svix-timestamp": seconds,
            "svix-signature": signature(webhook, delivery["id"], seconds, body),
        }
        content = _forged(body) if altered else body
        try:
            answer = self._http.post(webhook.url, headers=headers, content=content.encode())
        except httpx2.HTTPError:
            return False
        return answer.is_success


def _body(stand_in: StandIn, record: Json, asset: tokens.Asset) -> Json:
    api = record["api"]
    wallet = stand_in.store.find("wallet", record["project"], record["wallet"])
    units = tokens.units(api["sendParams"]["params"]["amount"], asset.decimals)
    receiver = api["sendParams"]["params"]["recipientAddress"]
    movement = Movement(record["wallet"], receiver, units, "", "")
    has_failed = api["status"] == "failed"
    data = history.entry(wallet["api"] if wallet else {"address": ""}, asset, movement)
    data |= {
        "status": "failed" if has_failed else "succeeded",
        "transferId": record["id"],
        "completedAt": api["completedAt"],
    }
    on_chain = {
        name: api["onChain"][name] for name in ("txId", "explorerLink") if name in api["onChain"]
    }
    data |= {"onChain": on_chain} if on_chain else {}
    data |= (
        {"error": {key: api["error"][key] for key in ("message", "reason")}} if has_failed else {}
    )
    return {"id": str(uuid.uuid4()), "type": "wallets.transfer.out", "data": data}


def _forged(body: str) -> str:
    told = json.loads(body)
    told["data"]["status"] = "succeeded" if told["data"]["status"] == "failed" else "failed"
    return json.dumps(told)
