"""Crossmint in memory, behind the client's transport: it follows a script, and keeps its own rules meanwhile.

One transaction per idempotency key; an approval is taken once, for the message that waits; a transaction that
waits may be built anew. What it builds are real user operations, so that the review reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx2

from bursar.chains import evm
from bursar.chains.evm import Scheme
from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.limits import Clock, Limits
from bursar.crossmint.locators import WalletLocator
from bursar.errors import SignatureError
from bursar.review.intent import Token
from bursar.sandbox.chain import kernel
from bursar.sandbox.chain.token import transfer_data
from bursar.signer import SignedHash
from bursar.transfers.intent import TransferIntent
from bursar.transfers.reading import Reading
from bursar.transfers.record import Key
from tests.fakes.owner import Owner
from tests.unit.review import scene

# Made here, of the right shape only; no server knows it.
API_KEY: Final = "sk_staging_" + "1" * 40
TREASURY: Final = scene.WALLET.lower()
WALLET: Final = WalletLocator.treasury("treasury")
READING: Final = Reading({"base-sepolia:usdc": Token(scene.USDC, "USDC", 6)}, scene.TERMS)
# As an act of the script: what was asked for is done, and the answer is lost.
LOST: Final = "the answer is lost"

Act = str | Exception | httpx2.Response | Callable[[], object] | None


def intent(transfer_id: str = "rent", **changes: str) -> TransferIntent:
    parts = {"token": "base-sepolia:usdc", "recipient": scene.RECIPIENT, "amount": "25.00"}
    return TransferIntent.parse(transfer_id, wallet=str(WALLET), **{**parts, **changes})


def key(transfer_id: str = "rent") -> Key:
    return Key(TREASURY, transfer_id)


@dataclass
class Moments:
    """A clock that moves when it is told to."""

    now: datetime = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class CountingSigner:
    """An `Owner` behind the signer seam. `before` is done, or raised, when it is asked."""

    owner: Owner = field(default_factory=Owner)
    signed: list[bytes] = field(default_factory=list)
    before: list[Act] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.owner.address

    def sign_hash(self, message_hash: bytes, scheme: Scheme) -> SignedHash:
        act = self.before.pop(0) if self.before else None
        if isinstance(act, Exception):
            raise act
        if callable(act):
            act()
        self.signed.append(message_hash)
        digest = evm.digest_of(message_hash, scheme)
        signature = self.owner.sign(digest, raw=True)
        return SignedHash(
            evm.parse_signature(signature, digest, self.address), digest, self.address, "kms-1"
        )


@dataclass
class Held:
    """A transaction at Crossmint."""

    id: str
    asked: dict[str, Any]
    nonce: int
    built: int = 0
    status: str = "awaiting-approval"
    submitted: list[dict[str, Any]] = field(default_factory=list)

    @property
    def units(self) -> int:
        whole, _, part = str(self.asked["amount"]).partition(".")
        return int(whole) * 1_000_000 + int(part.ljust(6, "0"))

    @property
    def on_chain(self) -> dict[str, Any]:
        call = kernel.Call(scene.USDC, 0, transfer_data(scene.RECIPIENT, self.units))
        gas = replace(scene.GAS, call=100 + self.built)
        operation = replace(
            scene.OPERATION,
            call_data=kernel.execute([call]),
            nonce=(kernel.nonce_key(scene.VALIDATOR) << 64) | self.nonce,
            gas=gas,
        )
        found: dict[str, Any] = scene.asked(operation)["onChain"]
        return found

    @property
    def message(self) -> str:
        return str(self.on_chain["userOperationHash"])


@dataclass
class ScriptedCrossmint:
    """`script` has, for each call (create, read, list, approve), what befalls the next ones, in order.

    An approval ends as `ends` says at once, or waits where that is "pending".
    """

    signer: CountingSigner = field(default_factory=CountingSigner)
    script: dict[str, list[Act]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    keys: dict[str, Held] = field(default_factory=dict)
    ends: str = "success"
    revert: dict[str, str] | None = None

    @property
    def locator(self) -> str:
        return self.signer.owner.locator

    def client(self) -> CrossmintClient:
        clock = Clock(now=lambda: 0.0, sleep=lambda _: None, jitter=lambda: 0.0)
        limits = Limits(attempts=1, writes_per_minute=10**6, reads_per_minute=10**6)
        transport = httpx2.MockTransport(self)
        return CrossmintClient(API_KEY, transport=transport, clock=clock, limits=limits)

    def of(self, transfer_id: str = "rent") -> Held:
        return self.keys[transfer_id]

    def rebuild(self, transfer_id: str = "rent", *, nonce: int | None = None) -> None:
        """Build a transaction that waits anew, as Crossmint does where gas prices moved."""
        held = self.keys[transfer_id]
        assert held.status == "awaiting-approval"
        held.built += 1
        held.nonce = held.nonce if nonce is None else nonce

    def approve_elsewhere(self, transfer_id: str = "rent") -> None:
        """Approve in Crossmint's console."""
        held = self.keys[transfer_id]
        self._take(held, {"signature": "0x" + "11" * 65})

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        call, act = self._next(request)
        if isinstance(act, Exception):
            raise act
        if isinstance(act, httpx2.Response):
            return httpx2.Response(act.status_code, headers=act.headers, content=act.content)
        if callable(act):
            act()
        answer = self._answer(call, request)
        if act == LOST:
            raise httpx2.ReadTimeout("lost")
        return answer

    def _next(self, request: httpx2.Request) -> tuple[str, Act]:
        last = request.url.path.rpartition("/")[2]
        posts = {"transfers": "create", "approvals": "approve"}
        call = posts[last] if request.method == "POST" else "read"
        if call == "read" and last == "transactions":
            call = "list"
        self.calls.append(call)
        todo = self.script.get(call)
        return call, todo.pop(0) if todo else None

    def _answer(self, call: str, request: httpx2.Request) -> httpx2.Response:
        if call == "create":
            return self._create(request)
        if call == "list":
            listed = [self.body(held) for held in reversed(self.keys.values())]
            return httpx2.Response(200, json={"transactions": listed})
        path = request.url.path.split("/")
        wanted = path[-2] if call == "approve" else path[-1]
        held = next((each for each in self.keys.values() if each.id == wanted), None)
        if held is None:
            return httpx2.Response(404, json={"error": True, "message": "no such transaction"})
        if call == "approve":
            return self._approve(held, request)
        return httpx2.Response(200, json=self.body(held))

    def _create(self, request: httpx2.Request) -> httpx2.Response:
        name = request.headers["x-idempotency-key"]
        number = len(self.keys) + 1
        held = Held(f"tx-{number}", json.loads(request.content), number)
        return httpx2.Response(201, json=self.body(self.keys.setdefault(name, held)))

    def _approve(self, held: Held, request: httpx2.Request) -> httpx2.Response:
        [approval] = json.loads(request.content)["approvals"]
        if held.submitted:
            return httpx2.Response(409, json={"error": True, "message": "already submitted"})
        digest = evm.digest_of(bytes.fromhex(held.message[2:]), Scheme.EIP191)
        given = bytes.fromhex(approval["signature"][2:])
        try:
            evm.parse_signature(given, digest, self.signer.address)
        except SignatureError:
            return httpx2.Response(400, json={"error": True, "message": "not over this message"})
        self._take(held, approval)
        return httpx2.Response(201, json=self.body(held))

    def _take(self, held: Held, approval: dict[str, Any]) -> None:
        held.submitted.append({**approval, "message": held.message})
        held.status = self.ends

    def body(self, held: Held) -> dict[str, Any]:
        who = {"type": "external-wallet", "locator": self.locator}
        waits = [{"signer": who, "message": held.message}]
        params = {"amount": held.asked["amount"], "recipient": held.asked["recipient"]}
        body: dict[str, Any] = {
            "id": held.id,
            "status": held.status,
            "chainType": "evm",
            "walletType": "smart",
            "params": {"chain": "base-sepolia"},
            "onChain": {**held.on_chain, "txId": "0x01"},
            "approvals": {
                "pending": [] if held.submitted else waits,
                "submitted": [{**each, "signer": who} for each in held.submitted],
            },
            "sendParams": {
                "token": "base-sepolia:usdc",
                "params": {**params, "recipientAddress": scene.RECIPIENT},
            },
        }
        if held.status == "failed":
            error = {"reason": "execution_reverted", "message": "no balance"}
            body["error"] = {**error, "revert": self.revert} if self.revert else error
        return body
