"""Proposals as JSON, with what was decided about them: what `explain` and `simulate` read. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from bursar.errors import RequestError
from bursar.policy.decision import Outcome
from bursar.policy.model import address_key
from bursar.policy.proposal import Approval, Kind, Payment, Proposal, require_aware
from bursar.strict_json import NotStrictJson, loads

_DIGITS = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)
_PROPOSAL = [
    "kind",
    "chain",
    "payments",
    "calls",
    "feeAtMost",
    "requestedBy",
    "approvals",
    "digest",
    "transaction",
    "wallet",
]
_PAYMENT = ["token", "contract", "amount", "recipient", "decimals", "registered"]
_RECORD = ["at", "decided", "firstSeen"]


@dataclass(frozen=True, slots=True)
class Record:
    """A proposal of some time, and what was decided then. `first_seen` is as in `Circumstances`."""

    at: datetime
    proposal: Proposal
    decided: Outcome | None = None
    first_seen: Mapping[str, datetime] = field(default_factory=dict)


def proposal_of(value: Any) -> Proposal:
    """Return the proposal of a JSON object. What is left out or null is not known.

    Raises:
        RequestError: not an object, a field that is unknown or of the wrong type.
    """
    return _proposal(_object(value, "a proposal", _PROPOSAL))


def proposal_body(proposal: Proposal) -> dict[str, Any]:
    """Return a proposal as `proposal_of` reads it; what is not known is left out."""
    body: dict[str, Any] = {
        "kind": proposal.kind.value,
        "chain": proposal.chain,
        "payments": [_payment_body(each) for each in proposal.payments],
        "calls": proposal.calls,
        "feeAtMost": _digits(proposal.fee_at_most),
        "requestedBy": proposal.requested_by,
        "approvals": [
            {"principal": each.principal, "digest": each.digest, "at": each.at.isoformat()}
            for each in proposal.approvals
        ],
        "digest": proposal.digest,
        "transaction": proposal.transaction,
        "wallet": proposal.wallet,
    }
    return {name: value for name, value in body.items() if value not in (None, [])}


def _payment_body(payment: Payment) -> dict[str, Any]:
    body = {
        "token": payment.token,
        "contract": payment.contract,
        "amount": _digits(payment.amount),
        "recipient": payment.recipient,
        "decimals": payment.decimals,
        "registered": payment.registered,
    }
    return {name: value for name, value in body.items() if value is not None}


def _digits(units: int | None) -> str | None:
    return None if units is None else str(units)


def records_in(body: bytes) -> list[Record]:
    """Return the records of a file: a JSON list, or one JSON object a line.

    Raises:
        RequestError: as `record_of`, with the position.
    """
    found = _loads(body, "the file") if body.lstrip()[:1] == b"[" else None
    if found is None:
        lines = enumerate(body.splitlines(), 1)
        found = [_loads(line, f"line {number}") for number, line in lines if line.strip()]
    records = []
    for number, value in enumerate(found, 1):
        try:
            records.append(record_of(value))
        except RequestError as problem:
            raise RequestError.at(f"record {number}", problem.message) from None
    return records


def record_of(value: Any) -> Record:
    """Return the record of a JSON object: a proposal's fields and `at`, `decided`, `firstSeen`.

    Raises:
        RequestError: not such an object.
    """
    whole = _object(value, "a record", [*_PROPOSAL, *_RECORD])
    if whole.get("at") is None:
        raise RequestError("at is missing: when it was decided")
    decided, first = whole.get("decided"), whole.get("firstSeen") or {}
    if decided is not None and decided not in [each.value for each in Outcome]:
        raise RequestError(f"decided is one of {', '.join(Outcome)}")
    if not isinstance(first, dict):
        raise RequestError("firstSeen is an object of addresses and times")
    return Record(
        moment(whole["at"], "at"),
        _proposal(whole),
        None if decided is None else Outcome(decided),
        {address_key(who) or who: moment(at, "firstSeen") for who, at in first.items()},
    )


def moment(text: Any, what: str) -> datetime:
    """Return an ISO 8601 time with a time zone, in UTC.

    Raises:
        RequestError: it is none.
    """
    try:
        return require_aware(datetime.fromisoformat(text), what)
    except (TypeError, ValueError):
        raise RequestError(f"{what} is a time like 2026-11-01T08:00:00Z") from None


def _proposal(value: Mapping[str, Any]) -> Proposal:
    kinds = {each.value: each for each in Kind}
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise RequestError(f"kind is one of {', '.join(kinds)}")
    return Proposal(
        kinds[kind],
        chain=value.get("chain"),
        payments=tuple(_payment(each) for each in _list(value, "payments")),
        calls=value.get("calls"),
        fee_at_most=_units(value.get("feeAtMost"), "feeAtMost"),
        requested_by=value.get("requestedBy"),
        approvals=tuple(_approval(each) for each in _list(value, "approvals")),
        digest=value.get("digest"),
        transaction=value.get("transaction"),
        wallet=value.get("wallet"),
    )


def _payment(value: Any) -> Payment:
    known = _object(value, "a payment", _PAYMENT)
    return Payment(
        known.get("token"),
        known.get("contract"),
        _units(known.get("amount"), "amount"),
        known.get("recipient"),
        known.get("decimals"),
        known.get("registered"),
    )


def _approval(value: Any) -> Approval:
    known = _object(value, "an approval", ["principal", "digest", "at"])
    at = moment(known.get("at"), "an approval's at")
    return Approval(known.get("principal"), known.get("digest"), at)  # type: ignore[arg-type]


def _units(value: Any, what: str) -> int | None:
    """Return base units, which JSON has as digits in text, because many readers' numbers are floats."""
    if value is None:
        return None
    if not isinstance(value, str) or not _DIGITS.fullmatch(value):
        raise RequestError(f'{what} is base units as text, like "200000"')
    return int(value)


def _list(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    if found is not None and not isinstance(found, list):
        raise RequestError(f"{name} is a list")
    return found or []


def _object(value: Any, what: str, known: list[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RequestError(f"{what} is a JSON object")
    for name in value:
        if name not in known:
            raise RequestError(
                f"{what} has no field {name[:40]!r}", hint=f"fields: {', '.join(known)}"
            )
    return value


def _loads(body: bytes, where: str) -> Any:
    try:
        return loads(body, parse_float=_no_float)
    except NotStrictJson as problem:
        raise RequestError(f"{where} is not JSON: {problem}") from None


def _no_float(_: str) -> NoReturn:
    raise NotStrictJson("a number with a point, where amounts are text")
