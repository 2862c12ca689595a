"""A receipt as one line for people: when, what, by whom, what it is about, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bursar.ledger.receipts import Receipt
from bursar.policy.principals import identity_of


def row(receipt: Receipt) -> tuple[str, ...]:
    """Return the cells: number, time, event and outcome, who, what it does, and the rule or code.

    Whatever a body lacks is left out: to find that wrong is the verification's part.
    """
    body = receipt.body
    what = str(body.get("outcome") or receipt.event).replace("_", " ")
    if receipt.event == "decision" and body.get("earlier") is True:
        what = "signed before"
    return (
        str(receipt.number),
        receipt.at[:19].replace("T", " "),
        what,
        _who(_mapping(body, "caller")),
        _because(body),
        _about(body),
    )


def _who(caller: Mapping[str, Any]) -> str:
    arn = caller.get("claimedCaller")
    name = (identity_of(arn) or arn or "") if isinstance(arn, str) else ""
    return name.rpartition(":")[2]


def _about(body: Mapping[str, Any]) -> str:
    sentence = _mapping(body, "review").get("sentence")
    if isinstance(sentence, str):
        # Up to the chain: fee, paymaster and wallet are in the receipt itself.
        return sentence.partition(", fee at most")[0]
    request = _mapping(body, "request")
    about = request.get("transaction") or body.get("digest") or request.get("kind")
    return about if isinstance(about, str) else ""


def _because(body: Mapping[str, Any]) -> str:
    refusal = _mapping(body, "refusal")
    rule = refusal.get("rule") or refusal.get("code") or body.get("code")
    if isinstance(rule, str):
        return f"{rule}: {refusal['value']}; {refusal['limit']}" if _is_rule(refusal) else rule
    if body.get("decision") and isinstance(body["decision"], int):
        return f"receipt {body['decision']}, KMS {body.get('kmsRequestId')}"
    version = _mapping(body, "policy").get("version")
    return f"policy version {version}" if isinstance(version, int) else ""


def _is_rule(refusal: Mapping[str, Any]) -> bool:
    return all(isinstance(refusal.get(name), str) for name in ("rule", "value", "limit"))


def _mapping(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}
