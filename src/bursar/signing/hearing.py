"""May it be signed, now? What the policy says to a case, given what the ledger remembers. Pure.

A hearing is a plan for one page: it may be held again and again until nobody wrote in between, and the last time
counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bursar.errors import (
    AlreadySigned,
    BursarError,
    NeedsApproval,
    NotWaiting,
    PolicyViolation,
    SigningInProgress,
)
from bursar.ledger.pages import Claim, Lease, Operation, Page, Seen, Signed, Taken
from bursar.ledger.receipts import Event
from bursar.policy.approvals import missing, require_approver
from bursar.policy.decide import decide
from bursar.policy.decision import Decision, Outcome
from bursar.policy.principals import identity_of
from bursar.policy.proposal import Approval, Circumstances, Proposal
from bursar.policy.records import proposal_body
from bursar.policy.rulebook import Rulebook
from bursar.policy.windows import takes, windows
from bursar.signing.case import Case
from bursar.signing_contract import Caller

Json = dict[str, Any]
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Turn:
    """Who is having it signed, and for how many seconds nobody else does: longer than a signer may take."""

    holder: str
    seconds: float = 40.0


@dataclass(frozen=True, slots=True)
class Allowed:
    """A case that may be signed: by the receipt of which number, and in whose turn."""

    case: Case
    decision: int
    turn: Turn


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a page decides: why not, where it may not be signed; and the signature that is there already."""

    refusal: PolicyViolation | NeedsApproval | AlreadySigned | None
    earlier: Signed | None = None


class Hearing:
    """Decides one case: a plan of its page, whose verdict is a `Verdict`."""

    def __init__(self, case: Case, rules: Rulebook, turn: Turn) -> None:
        self.case = case
        self.rules = rules
        self._turn = turn

    def __call__(self, seen: Seen) -> Page:
        """Return the page of the decision.

        Raises:
            SigningInProgress: somebody else is having the same operation signed; nothing is decided.
        """
        before = seen.operation or Operation("")
        proposal = self._judged(seen, before)
        decision = self._decide(seen, proposal)
        verdict = self._verdict(seen, before, decision)
        after, taken = self._remembered(seen, before, decision, verdict)
        return Page(
            Event.DECISION,
            decision_body(self.case, self.rules, decision, verdict.refusal)
            | {"proposal": proposal_body(proposal), "earlier": verdict.earlier is not None},
            self.case.operation,
            after,
            self._claims(seen) if verdict.refusal is None else {},
            self._first_seen(seen, decision),
            taken,
            emptied=before.spend if taken and before.spend != taken.name else None,
            verdict=verdict,
        )

    def _verdict(self, seen: Seen, before: Operation, decision: Decision) -> Verdict:
        refusal = self._replayed(seen, before) or _refusal(decision, self.case, before.asked_by)
        if refusal is not None:
            return Verdict(refusal)
        earlier = before.signed.get(_hex(self.case.digest))
        if earlier is None:
            self._require_turn(before, seen)
        return Verdict(None, earlier)

    def _judged(self, seen: Seen, before: Operation) -> Proposal:
        # Whoever asked at any time is no other pair of eyes, whoever asks now.
        counted = tuple(c for c in seen.consents if identity_of(c.principal) not in before.asked_by)
        return replace(self.case.proposal, approvals=counted)

    def _decide(self, seen: Seen, proposal: Proposal) -> Decision:
        needed = windows(self.rules.policy, proposal)
        spent = seen.spent(needed, self.case.operation)
        circumstances = Circumstances(seen.now, spent, seen.first_seen)
        return decide(self.rules.policy, proposal, circumstances, digest_of_policy=self.rules.hash)

    def _replayed(self, seen: Seen, before: Operation) -> AlreadySigned | None:
        """Return the refusal of an operation, or an id, that was signed as something else."""
        hint = "do not sign it again; show both to whoever asked, and ask Crossmint"
        if before.is_held and self._is_named_otherwise(before):
            return AlreadySigned(
                f"this operation was asked for before as transaction {_shown_id(before.transaction)}, "
                f"not as {_shown_id(self.case.transaction)}",
                hint=hint,
            )
        for claim in seen.claims.values():
            other = claim.operation not in ("", self.case.operation)
            if other and claim.nonce != self.case.nonce:
                return AlreadySigned(
                    f"this payment was signed before as operation {claim.operation}; "
                    f"{self.case.operation} would pay it again",
                    hint=hint,
                )
        return None

    def _is_named_otherwise(self, before: Operation) -> bool:
        named = before.transaction
        return bool(named and self.case.review and named != self.case.transaction)

    def _require_turn(self, before: Operation, seen: Seen) -> None:
        lease = before.lease
        if lease and lease.until > seen.now and lease.holder != self._turn.holder:
            raise SigningInProgress(
                "the same operation is being signed at this moment",
                hint="ask again in a moment; the same signature is then returned",
            )

    def _remembered(
        self, seen: Seen, before: Operation, decision: Decision, verdict: Verdict
    ) -> tuple[Operation | None, Taken | None]:
        """Return what is remembered of the operation from now on, and what it takes from the windows."""
        waits = isinstance(verdict.refusal, NeedsApproval)
        if isinstance(verdict.refusal, AlreadySigned) or _is_strangers(decision):
            return None, None
        # Whoever asked and was refused has asked all the same: their consent never counts.
        after = replace(
            before,
            asked_by=self._asked(before),
            reviewed=before.reviewed or self.case.review is not None,
        )
        if verdict.refusal is not None and not waits:
            return after, None
        named = before.transaction if before.is_held else self.case.transaction
        after = replace(after, transaction=named or self.case.transaction, waiting=waits)
        if waits:
            return after, None
        taken = _taken(
            before, seen, self.case.operation, takes(self.rules.policy, self.case.proposal)
        )
        if taken is not None:
            after = replace(after, spend=taken.name, took=taken.uses)
        if verdict.earlier is not None:
            return after, taken
        left_behind = before.lease is not None and not _has_turn(before, self._turn)
        return replace(
            after,
            lease=Lease(self._turn.holder, seen.now + timedelta(seconds=self._turn.seconds)),
            # Whoever left a lease behind was stopped, and KMS may have signed for them.
            doubtful=before.doubtful or left_behind,
        ), taken

    def _asked(self, before: Operation) -> frozenset[str]:
        who = identity_of(self.case.caller.arn)
        return before.asked_by | ({who} if who else frozenset())

    def _claims(self, seen: Seen) -> Mapping[str, Claim]:
        return {each: self._claim(seen.claims.get(each)) for each in self.case.claims}

    def _claim(self, before: Claim | None) -> Claim:
        operation = self.case.operation
        others = before is not None and before.operation not in ("", operation)
        shared = before is not None and (before.shared or others)
        same = before is not None and before.operation == operation
        # Looked at once, an operation keeps its nonce, though it is asked for as something unverifiable.
        kept = before.nonce if before and same and self.case.review is None else self.case.nonce
        return Claim(operation, kept, shared)

    def _first_seen(self, seen: Seen, decision: Decision) -> Mapping[str, Any]:
        """Return the recipients who are known from now on.

        Whoever may not ask makes nobody known, and nobody is known before the policy lists them.
        """
        listed = self.rules.policy.recipients.allow
        if _is_strangers(decision):
            return {}
        new = (each for each in self.case.recipients if each in listed)
        return {each: seen.now for each in new if each not in seen.first_seen}


class Hand:
    """Records somebody's consent to a case that waits: a plan, whose verdict is how many more are missing."""

    def __init__(self, case: Case, rules: Rulebook) -> None:
        self.case = case
        self.rules = rules

    def __call__(self, seen: Seen) -> Page:
        """Return the page of the consent.

        Raises:
            NotWaiting: nobody asked for it, or it waits for nothing.
            PolicyViolation: this consent would not count.
        """
        before, who = seen.operation, identity_of(self.case.caller.arn)
        if before is None or not before.waiting or not before.asked_by:
            raise NotWaiting(
                "nothing waits for this consent",
                hint="whoever wants it signed asks first; it then waits for approval",
            )
        if before.reviewed and self.case.review is None:
            raise NotWaiting(
                "what waits is a transaction, and a consent is to what it does",
                hint="consent to the transaction, and not to its bare hash",
            )
        for asker in sorted(before.asked_by):
            asked = replace(self.case.proposal, requested_by=asker)
            require_approver(self.rules.policy, asked, self.case.caller.arn)
        consent = Approval(who or "", _hex(self.case.digest), seen.now)
        missing_still = self._missing(seen, before, consent)
        body = {
            **_parties(self.case, self.rules),
            "missing": missing_still,
        }
        return Page(Event.CONSENT, body, consent=consent, verdict=missing_still)

    def _missing(self, seen: Seen, before: Operation, consent: Approval) -> int:
        counted = [c for c in seen.consents if identity_of(c.principal) not in before.asked_by]
        asker = min(before.asked_by, default=None)
        proposal = replace(self.case.proposal, requested_by=asker, approvals=(*counted, consent))
        return missing(self.rules.policy, proposal, Circumstances(seen.now))[0]


def signature_page(allowed: Allowed, seen: Seen, signed: Signed, unanswered: int) -> Page:
    """Return the page of a signature that KMS made."""
    case = allowed.case
    before = _left(seen.operation or Operation(case.transaction), allowed.turn)
    after = replace(before, signed={**before.signed, _hex(case.digest): signed})
    body = {
        **_identity(allowed),
        "signature": signed.signature,
        "address": signed.address,
        "kmsRequestId": signed.request_id,
        "unanswered": unanswered,
    }
    return Page(Event.SIGNATURE, body, case.operation, after)


def failure_page(allowed: Allowed, seen: Seen, failure: Json) -> Page:
    """Return the page of a signature that did not come about.

    Where KMS cannot have signed (`released` in `failure`), neither now nor before, what was taken is given back:
    the windows have their room again, and the ids may be used for another operation. Not where somebody else has
    had their turn since: what was taken is theirs by then.
    """
    case = allowed.case
    before = seen.operation or Operation(case.transaction)
    after = _left(before, allowed.turn)
    untouched = _has_turn(before, allowed.turn) and not (before.signed or before.doubtful)
    released = failure["released"] and untouched
    body = {**_identity(allowed), **failure, "released": released}
    if not failure["released"]:
        after = replace(after, doubtful=True)
    if not released:
        return Page(Event.FAILURE, body, case.operation, after)
    after, freed = replace(after, spend=None, took={}), _freed(case, seen)
    return Page(Event.FAILURE, body, case.operation, after, freed, emptied=before.spend)


def decision_body(
    case: Case, rules: Rulebook, decision: Decision | None, refusal: BursarError | None
) -> Json:
    """Return the body of a decision's receipt."""
    outcome = Outcome.ALLOWED
    if refusal is not None:
        outcome = Outcome.NEEDS_APPROVAL if isinstance(refusal, NeedsApproval) else Outcome.REFUSED
    return {
        **_parties(case, rules),
        "outcome": outcome.value,
        "request": dict(case.asked),
        "decision": decision.to_dict() if decision else None,
        "refusal": refusal.to_dict() if refusal else None,
    }


def refused_body(asked: Json, caller: Caller, rules: Rulebook, refusal: BursarError) -> Json:
    """Return the body of a receipt about what the review turned down, so that there was no case."""
    return {
        "caller": caller.to_dict(),
        "operation": None,
        "digest": None,
        "review": None,
        "policy": rules.to_dict(),
        "outcome": Outcome.REFUSED.value,
        "request": asked,
        "proposal": None,
        "decision": None,
        "earlier": False,
        "refusal": refusal.to_dict(),
    }


def _refusal(
    decision: Decision, case: Case, asked_by: frozenset[str]
) -> PolicyViolation | NeedsApproval | None:
    stands = decision.decisive
    if stands is None:
        return None
    if decision.outcome is Outcome.NEEDS_APPROVAL:
        not_from = tuple(sorted({*decision.not_from, *asked_by}))
        others = f", other than {', '.join(not_from)}" if not_from else ""
        return NeedsApproval(
            f"it waits for approval: {stands}",
            digest=_hex(case.digest),
            missing=decision.approvals_missing,
            not_from=not_from,
            hint=f"{decision.approvals_missing} more must approve{others}, with: bursar approve "
            f"{_shown_id(case.transaction or _hex(case.message))}; then ask again",
        )
    more = len(decision.refusals) - 1
    return PolicyViolation(
        f"the policy does not allow it: {stands}",
        rule=stands.rule,
        value=stands.value,
        limit=stands.limit,
        hint=_look(more, case),
    )


def _look(more: int, case: Case) -> str:
    also = f"{more} more {'rule refuses' if more == 1 else 'rules refuse'} it; " if more else ""
    return f"{also}each rule's word: bursar policy explain {_shown_id(case.transaction)}"


def _taken(
    before: Operation, seen: Seen, operation: str, more: Mapping[str, tuple[int, int]]
) -> Taken | None:
    """Return what an operation takes. Signed once, it spends no more: its entry stays where it was.

    Until then it spends when it is signed, however long ago somebody began. Looked at in another way, as a bare
    hash say, it takes what both ways take: neither gives back what the other took.
    """
    uses = dict(before.took)
    for key, (amount, count) in more.items():
        already = uses.get(key, (0, 0))
        uses[key] = (max(already[0], amount), max(already[1], count))
    if not uses or (before.signed and uses == before.took):
        return None
    at = Taken.read(before.spend, "{}").at if before.spend and before.signed else seen.now
    return Taken(at, operation, uses)


def _has_turn(before: Operation, turn: Turn) -> bool:
    return before.lease is not None and before.lease.holder == turn.holder


def _shown_id(transaction: str) -> str:
    """Return Crossmint's id where people may copy it into a shell, else what to put there."""
    return transaction if _PLAIN_ID.fullmatch(transaction) else "TRANSACTION"


def _is_strangers(decision: Decision) -> bool:
    return any(each.rule.startswith("callers.") for each in decision.refusals)


def _left(before: Operation, turn: Turn) -> Operation:
    """Return the operation once this turn is over; somebody else's goes on."""
    return replace(before, lease=None) if _has_turn(before, turn) else before


def _freed(case: Case, seen: Seen) -> dict[str, Claim]:
    """Return the ids that are free again: those that no other operation was allowed under."""
    return {
        each: Claim("", "")
        for each, claim in seen.claims.items()
        if claim.operation == case.operation and not claim.shared
    }


def _parties(case: Case, rules: Rulebook) -> Json:
    return {
        "caller": case.caller.to_dict(),
        "operation": case.operation,
        "digest": _hex(case.digest),
        "review": case.review.to_dict() if case.review else None,
        "policy": rules.to_dict(),
    }


def _identity(allowed: Allowed) -> Json:
    return {
        "decision": allowed.decision,
        "operation": allowed.case.operation,
        "digest": _hex(allowed.case.digest),
        "scheme": allowed.case.asked["scheme"],
    }


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
