"""What a policy decided, rule by rule. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from bursar.errors import PolicyViolation


class Outcome(StrEnum):
    """How one rule, or a whole policy, judges. A refusal beats a missing approval, and that beats a pass."""

    ALLOWED = "allowed"
    NEEDS_APPROVAL = "needs_approval"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One rule's word: its name as the policy file has it, the transaction's value, and what the rule allows."""

    rule: str
    outcome: Outcome
    value: str
    limit: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.value}; {self.limit}"


@dataclass(frozen=True, slots=True)
class Bound:
    """One limit on a window: at most `amount` base units and `count` payments in `seconds`."""

    seconds: int
    amount: int | None
    count: int | None
    rule: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """What must be taken from a window before anything is signed, and given back where nothing was.

    Whoever keeps the windows checks every bound and adds one entry of `amount` and `count` to `key`, at once, so
    that parallel requests cannot spend the same room. Entries are kept for `LONGEST_WINDOW`.
    """

    key: str
    amount: int
    count: int
    bounds: tuple[Bound, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """A policy's answer, and which policy gave it.

    `reservations` are to be made where it is allowed; empty otherwise. `approvals_missing` more consents are
    needed, and those of `not_from` (identities) would not count.
    """

    outcome: Outcome
    policy_version: int
    policy_hash: str
    judgements: tuple[Judgement, ...]
    reservations: tuple[Reservation, ...] = ()
    approvals_missing: int = 0
    not_from: tuple[str, ...] = ()

    @property
    def refusals(self) -> tuple[Judgement, ...]:
        """The rules that refused."""
        return tuple(each for each in self.judgements if each.outcome is Outcome.REFUSED)

    @property
    def decisive(self) -> Judgement | None:
        """The first rule that stands in the way, None where it is allowed."""
        found = (each for each in self.judgements if each.outcome is self.outcome)
        return None if self.outcome is Outcome.ALLOWED else next(found)

    def require_allowed(self) -> None:
        """Refuse to go on unless it is allowed.

        Raises:
            PolicyViolation: the first rule that stands in the way, with the value and the limit.
        """
        stands = self.decisive
        if stands is None:
            return
        hint = None
        if self.outcome is Outcome.NEEDS_APPROVAL:
            hint = (
                f"{self.approvals_missing} more must approve, other than {', '.join(self.not_from)}"
            )
        elif more := len(self.refusals) - 1:
            hint = f"{more} more {'rule refuses' if more == 1 else 'rules refuse'} it"
        raise PolicyViolation(
            f"the policy does not allow it: {stands}",
            rule=stands.rule,
            value=stands.value,
            limit=stands.limit,
            hint=hint,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the decision as JSON has it; amounts are decimal text."""
        return {
            "outcome": self.outcome.value,
            "policyVersion": self.policy_version,
            "policyHash": self.policy_hash,
            "rules": [asdict(each) | {"outcome": each.outcome.value} for each in self.judgements],
            "reservations": [_reservation(each) for each in self.reservations],
            "approvalsMissing": self.approvals_missing,
            "notFrom": list(self.not_from),
        }


def _reservation(reservation: Reservation) -> dict[str, Any]:
    return {
        "key": reservation.key,
        "amount": str(reservation.amount),
        "count": reservation.count,
        "bounds": [
            {
                "seconds": bound.seconds,
                "amount": None if bound.amount is None else str(bound.amount),
                "count": bound.count,
                "rule": bound.rule,
            }
            for bound in reservation.bounds
        ],
    }
