"""A first policy to start from, as the text of a file. Pure.

It is narrow on purpose: one chain, one token, the recipients and callers that are named, a cap and a daily limit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_HEAD: Final = """\
# What the treasury's key may sign. `bursar policy check` reads this back in words.
# Amounts are text in whole tokens, never numbers. What is not mentioned is refused.

version = 1          # yours: raise it with every change, it is recorded with each signature
calls_at_most = 50   # payments in one transaction: batches of a payout
allow = []           # switches, each off unless named: blind_signing, unverifiable, signer_changes
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a first policy says. Amounts are decimal text in whole tokens, the fee in the chain's own coin."""

    chain: str
    token: str
    locator: str
    decimals: int
    per_transfer: str
    per_day: str
    fee_at_most: str = "0.01"
    payments_per_day: int = 100
    recipients: Mapping[str, str] = field(default_factory=dict)
    callers: Sequence[str] = ()
    wallet_factories: Sequence[str] = ()

    @property
    def text(self) -> str:
        """The file."""
        head = _HEAD
        if self.wallet_factories:
            head += f"wallet_factories = {_list(self.wallet_factories)}  # they may deploy a wallet too\n"
        return "\n".join([head, *self._tables()])

    def _tables(self) -> list[str]:
        return [
            _table(
                f"chains.{self.chain}",
                fee_at_most=(self.fee_at_most, "in the chain's own coin, for one transaction"),
            ),
            _table(
                f"tokens.{_key(self.token)}",
                locators=([self.locator], None),
                decimals=(self.decimals, None),
                per_transfer=(self.per_transfer, "the most that one payment moves"),
            ),
            _table(
                "recipients.allow",
                **{_key(name): (address, None) for name, address in self.recipients.items()},
            ),
            _table("callers", allow=(list(self.callers), "IAM users and roles that may ask")),
            _table(
                "[limits]",
                per=("day", "a rolling window: hour, day, week, or like 36h"),
                token=(self.token, None),
                amount=(self.per_day, None),
            ),
            _table(
                "[limits]",
                per=("day", None),
                count=(self.payments_per_day, "of everything: each payment has a fee, too"),
            ),
        ]


def _table(name: str, **values: tuple[object, str | None]) -> str:
    lines = [f"[{name}]"]
    for key, (value, remark) in values.items():
        text = _list(value) if isinstance(value, list) else json.dumps(value, ensure_ascii=False)
        lines.append(f"{key} = {text}" + (f"  # {remark}" if remark else ""))
    return "\n".join(lines) + "\n"


def _list(values: Sequence[object]) -> str:
    return "[" + ", ".join(json.dumps(each, ensure_ascii=False) for each in values) + "]"


def _key(name: str) -> str:
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if plain else json.dumps(name, ensure_ascii=False)
