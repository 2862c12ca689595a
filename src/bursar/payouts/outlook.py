"""All that is foreseen of a plan, and what of it is sure to keep lines from being paid. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from bursar.amounts import to_decimal_text
from bursar.errors import PayoutError
from bursar.payouts.foresight import Expected, Forecast, Foresight
from bursar.payouts.funds import Need
from bursar.payouts.problems import Problem
from bursar.payouts.readiness import Readiness

_ROOM: Final = "pay it later, or have the policy changed"
_FUND: Final = "fund the wallet"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is foreseen; None or empty is what was not looked at, and `left_out` says why.

    `taken` are lines whose ids are other payments' already.
    """

    foresight: Foresight | None = None
    needs: tuple[Need, ...] = ()
    readiness: Readiness | None = None
    left_out: tuple[str, ...] = ()
    taken: tuple[Problem, ...] = ()

    @property
    def stops(self) -> tuple[Problem, ...]:
        """What is sure to keep lines from being paid, the file's own order: line 0 is the file as a whole."""
        return _in_order([*self._short(), *self.taken, *self._refused(), *self._unready()])

    @property
    def findings(self) -> tuple[Problem, ...]:
        """The same, and what is worth knowing about recipients."""
        return _in_order([*self.stops, *(self.readiness.warnings if self.readiness else ())])

    @property
    def summary(self) -> tuple[str, ...]:
        """The whole in sentences, a few whatever the number of lines."""
        return tuple(self._told())

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: everything, amounts as decimal text. Of lines those that do not just pass."""
        return {
            "policy": _foreseen(self.foresight) if self.foresight else None,
            "balances": [_need(each) for each in self.needs],
            "recipients_asked": self.readiness.asked if self.readiness else None,
            "findings": [each.to_dict() for each in self.findings],
            "sure": len(self.stops),
            "left_out": list(self.left_out),
        }

    def require_clear(self) -> None:
        """Refuse to begin where lines are sure not to be paid.

        Raises:
            PayoutError: the first of what was found, and how many more.
        """
        if not self.stops:
            return
        first, more = self.stops[0], len(self.stops) - 1
        rest = f", and {more} more {'finding' if more == 1 else 'findings'}" if more else ""
        raise PayoutError(
            f"not all of it can be paid: {first}{rest}; nothing was begun",
            hint=f"{first.fix}; all of it: bursar payout plan FILE; to begin all the same: --despite-findings",
        )

    def _told(self) -> Iterator[str]:
        if self.foresight is not None:
            first, *rest = self.foresight.summary
            yield f"by policy {self.foresight.policy_hash[:20]}…: {first}"
            yield from rest
        yield from map(str, self.needs)
        if self.readiness is not None:
            bad = len(self.readiness.problems)
            yield f"recipients: {self.readiness.asked} asked about, {bad or 'none'} not registered"
        if self.taken:
            yield f"ids: {len(self.taken)} are other payments' already"
        yield from (f"left out: {each}" for each in self.left_out)

    def _short(self) -> Iterator[Problem]:
        for each in self.needs:
            if each.missing:
                yield Problem(0, "", each.name, str(each), _FUND)

    def _refused(self) -> Iterator[Problem]:
        for each in self.foresight.lines if self.foresight else ():
            if each.expected is Expected.REFUSED:
                what = f"{each.rule} refuses it: {each.value}; {each.limit}"
                yield Problem(each.line, "", "", what, _ROOM)

    def _unready(self) -> tuple[Problem, ...]:
        return self.readiness.problems if self.readiness else ()


def _in_order(found: list[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(found, key=lambda each: each.line))


def _foreseen(foresight: Foresight) -> dict[str, Any]:
    return {
        "hash": foresight.policy_hash,
        "summary": list(foresight.summary),
        **{each.value: foresight.count(each) for each in Expected},
        "lines": [
            _forecast(each) for each in foresight.lines if each.expected is not Expected.ALLOWED
        ],
    }


def _forecast(forecast: Forecast) -> dict[str, Any]:
    return asdict(forecast) | {"expected": forecast.expected.value}


def _need(need: Need) -> dict[str, Any]:
    amounts = {"needed": need.needed, "held": need.held, "missing": need.missing}
    return {"token": need.name} | {
        name: None if units is None else to_decimal_text(units, need.decimals)
        for name, units in amounts.items()
    }
