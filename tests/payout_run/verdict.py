"""Whether a run came out right, by the chain and by the stand-in's own records, not by ours alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from bursar.transfers.states import Stage
from tests.payout_run.gauge import Gauge, Steady
from tests.payout_run.scene import FUNDS, Scene
from tests.payout_run.signer import noted
from tests.payout_run.wanted import READS, WRITES, Wanted

_TRANSFER = "0xa9059cbb"
Payments = Counter[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `wanted` is None where it is only reported."""

    what: str
    found: Any
    wanted: Any = None
    is_right: bool = True

    @classmethod
    def same(cls, what: str, found: Any, wanted: Any) -> Finding:
        return cls(what, found, wanted, found == wanted)

    @classmethod
    def at_least(cls, what: str, found: float, least: float) -> Finding:
        return cls(what, found, f"at least {least}", found >= least)

    @classmethod
    def at_most(cls, what: str, found: float, most: float) -> Finding:
        return cls(what, found, f"at most {most}", found <= most)


def judge(scene: Scene, wanted: Wanted, gauge: Gauge) -> list[Finding]:
    """Return everything that was looked at."""
    lines = [each for each in scene.plan.lines if each.units < FUNDS]
    asked = Payments((_key(each.recipient.address), each.units) for each in lines)
    transactions = _transactions(scene)
    return [
        *_lines(scene, len(lines)),
        *_chain(scene, asked),
        *_crossmint(transactions, asked),
        *_signatures(scene, transactions, asked),
        *_limits(gauge, wanted),
    ]


def _lines(scene: Scene, payable: int) -> list[Finding]:
    counts = scene.book.counts(scene.payout)
    spoilt = len(scene.plan.lines) - payable
    return [
        Finding.same("lines settled", counts.of(Stage.SETTLED), payable),
        Finding.same("lines held for people", counts.held, spoilt),
        Finding.same("lines in the journal", counts.total, len(scene.plan.lines)),
    ]


def _chain(scene: Scene, asked: Payments) -> list[Finding]:
    token, wallet = scene.standin.token, _key(scene.orders.address)
    moved = [each for each in token.movements(wallet) if _key(each.sender) == wallet]
    paid = Payments((_key(each.receiver), each.units) for each in moved)
    total = sum(units * count for (_, units), count in asked.items())
    return [
        Finding.same("payments on the chain that were not asked for", (paid - asked).total(), 0),
        Finding.same("payments that are missing on the chain", (asked - paid).total(), 0),
        Finding.same("recipients whose sum is not exact", len(_differ(scene, asked)), 0),
        Finding.same("units paid in all", FUNDS - token.balance_of(wallet), total),
    ]


def _differ(scene: Scene, asked: Payments) -> set[str]:
    sums: Counter[str] = Counter()
    for (recipient, units), count in asked.items():
        sums[recipient] += units * count
    return {each for each in sums if scene.standin.token.balance_of(each) != sums[each]}


def _crossmint(transactions: list[dict[str, Any]], asked: Payments) -> list[Finding]:
    approved = [each for each in transactions if each["approvals"]["submitted"]]
    in_them = Payments()
    for each in transactions:
        in_them += payments(each)
    return [
        Finding("transactions at Crossmint", len(transactions)),
        Finding.same("approvals taken", len(approved), len(transactions)),
        Finding.same(
            "transactions that failed", sum(each["status"] != "success" for each in transactions), 0
        ),
        Finding.same("payments in them twice or uncalled for", (in_them - asked).total(), 0),
    ]


def _signatures(scene: Scene, transactions: list[dict[str, Any]], asked: Payments) -> list[Finding]:
    made = noted(scene.signatures)
    ours = {
        each["onChain"]["userOperationHash"] for each in transactions if payments(each) <= asked
    }
    again = len(made) - len({each.message for each in made})
    return [
        Finding("signatures", len(made)),
        Finding("signatures per payment", round(len(made) / max(1, asked.total()), 3)),
        Finding("signatures made again after a crash", again),
        Finding.same("operations signed", len({each.message for each in made}), len(transactions)),
        Finding.same("foreign signatures", len({each.message for each in made} - ours), 0),
    ]


def _limits(gauge: Gauge, wanted: Wanted) -> list[Finding]:
    counted = gauge.calls()
    writes, reads = counted["writes"], counted["reads"]
    return [
        Finding.at_most("most writes in any window", writes["mostInAWindow"], WRITES),
        Finding.at_most("most reads in any window", reads["mostInAWindow"], READS),
        Finding.same("calls refused by 429", writes["refused"] + reads["refused"], 0),
        Finding("writes by the workers", gauge.samples[-1].writes),
        Finding("reads by the workers", gauge.samples[-1].reads),
        *_steady(gauge.steady(wanted.window), wanted.least),
    ]


def _steady(part: Steady | None, share: float) -> list[Finding]:
    if part is None:
        return [Finding("share of the writes used", "too short to tell")]
    # Whoever is killed loses the one write that it waits for, and no other; one more is lost in looking.
    least = int(share * WRITES * part.minutes) - part.kills - 1
    return [
        Finding("seconds that were steady", round(part.seconds, 1)),
        Finding("workers killed meanwhile", part.kills),
        Finding.at_least("writes meanwhile", part.writes, least),
        Finding("share of the writes used", f"{part.share_of_writes:.1%}"),
        Finding("share of the reads used", f"{part.share_of_reads:.1%}"),
        Finding("lines in each of Crossmint's minutes", round(part.paid / part.minutes, 1)),
    ]


def payments(transaction: dict[str, Any]) -> Payments:
    """Return what a transaction's calls pay, read from the calldata itself; what is no payment is `("?", 0)`."""
    return Payments(_payment(call["data"]) for call in transaction["params"]["calls"])


def _payment(data: str) -> tuple[str, int]:
    if not data.startswith(_TRANSFER) or len(data) != 2 + 8 + 2 * 64:
        return "?", 0
    return "0x" + data[34:74], int(data[74:], 16)


def _transactions(scene: Scene) -> list[dict[str, Any]]:
    state = scene.standin.client.call(200, "GET", "/_sandbox/state")
    wallet = _key(scene.orders.address)
    return [each["api"] for each in state["transactions"] if _key(each["wallet"]) == wallet]


def _key(address: str | None) -> str:
    return (address or "").lower()
