"""Ask the independent policy simulator: one Node process answers a whole list of questions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.npm_tool import ORACLE

Json = dict[str, Any]
Verdict = Literal["Allowed", "ImplicitlyDenied", "ExplicitlyDenied"]

ANONYMOUS = "anonymous"
_SESSION = re.compile(r"\Aarn:([a-z-]+):sts::([0-9]{12}):assumed-role/([^/]+)/[^/]+\Z")


@dataclass(frozen=True, slots=True)
class Question:
    """May `principal` do `action` on `resource` of `account`, given these policies?

    `principal` is an ARN (a role's session by its STS ARN), a service's name, or `ANONYMOUS`. With `unlisted` the
    simulator takes resources and condition keys that the service authorization reference does not list.
    """

    principal: str
    action: str
    resource: str
    account: str
    context: Mapping[str, str] = field(default_factory=dict)
    identity: tuple[Json, ...] = ()
    resource_policy: Json | None = None
    endpoint_policy: Json | None = None
    boundary: Json | None = None
    unlisted: bool = False


def ask(questions: Sequence[Question]) -> list[Verdict]:
    """Return the simulator's verdicts, in order.

    Raises:
        AssertionError: it could not judge a question, or left out a condition key that the question gives.
    """
    written = [_written(question) for question in questions]
    different = list(dict.fromkeys(written))
    script = Path(__file__).parent / "simulate.mjs"
    said = json.loads(ORACLE.run_node(str(script), f"[{','.join(different)}]"))
    answers = dict(zip(different, said, strict=True))
    return [_verdict(q, answers[text]) for q, text in zip(questions, written, strict=True)]


def principal_keys(principal: str) -> dict[str, str]:
    """Return what AWS fills in about a principal: a session has its role's ARN (IAM user guide, "Global keys")."""
    if not principal.startswith("arn:"):
        return {}
    if session := _SESSION.match(principal):
        partition, account, role = session.groups()
        principal = f"arn:{partition}:iam::{account}:role/{role}"
    return {"aws:PrincipalArn": principal, "aws:PrincipalAccount": principal.split(":")[4]}


def _written(question: Question) -> str:
    asked = {
        "principal": question.principal,
        "action": question.action,
        "resource": question.resource,
        "account": question.account,
        "context": {**principal_keys(question.principal), **question.context},
        "identity": list(question.identity),
        "resourcePolicy": question.resource_policy,
        "endpointPolicy": question.endpoint_policy,
        "boundary": question.boundary,
        "unlisted": question.unlisted,
    }
    text = json.dumps(asked)
    if question.principal.endswith(".amazonaws.com.cn"):
        # The simulator tells services by the suffix, and does not know China's.
        text = text.replace(f'"{question.principal}"', f'"{question.principal}.amazonaws.com"')
    return text


def _verdict(question: Question, answer: Json) -> Verdict:
    assert "error" not in answer, f"{question}\n{answer['error']}"
    assert not answer.get("ignored"), f"{question}\nkeys left out: {answer['ignored']}"
    verdict: Verdict = answer["verdict"]
    return verdict
