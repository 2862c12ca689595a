"""The project's own reading of AWS's policies against an independent simulator's, on policies made by chance.

The access review may say that somebody can sign who cannot. It must never say that somebody cannot
who can.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from bursar.aws.access.policies import Documents, allows
from bursar.aws.access.principals import Principal, everyone
from tests.oracle.simulator import Question, Verdict, ask

Json = dict[str, Any]

ACCOUNT, STRANGERS = "123456789012", "999999999999"
IAM = f"arn:aws:iam::{ACCOUNT}"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/signer/monday"
EVE = f"arn:aws:iam::{STRANGERS}:user/eve"
# Whom the simulator is asked about, and as whom the review would find the same one: somebody of another account
# also as that account, and as anybody.
PEOPLE = {
    f"{IAM}:user/alice": (Principal("user", f"{IAM}:user/alice", ACCOUNT),),
    SESSION: (Principal("role", f"{IAM}:role/signer", ACCOUNT),),
    EVE: (
        Principal("foreign", EVE, STRANGERS),
        Principal("account", STRANGERS, STRANGERS),
        everyone(ACCOUNT),
    ),
}
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
ROLE = f"{IAM}:role/signer-role"
OBJECT = "arn:aws:s3:::treasury-code/function.zip"
# Of each kind of resource: what can be asked of it, patterns of that, and patterns of the resource.
ACTIONS = {
    KEY: ("kms:Sign", "kms:GetPublicKey", "kms:PutKeyPolicy", "kms:CreateGrant"),
    ROLE: ("sts:AssumeRole",),
    OBJECT: ("s3:GetObject", "s3:PutObject"),
}
ACTION_PATTERNS = {
    KEY: ("*", "kms:*", "kms:Sign", "KMS:sign", "kms:?ign", "kms:Get*", "kms:*Grant", "s3:*"),
    ROLE: ("*", "sts:*", "sts:AssumeRole", "sts:assume*", "iam:*"),
    OBJECT: ("*", "s3:*", "s3:Get*", "s3:GetObject", "s3:Put?bject", "kms:*"),
}
RESOURCE_PATTERNS = {
    KEY: (
        "*",
        KEY,
        KEY.replace("1111-2222", "????-2222"),
        f"arn:aws:kms:*:{ACCOUNT}:key/*",
        f"arn:aws:kms:us-east-1:{ACCOUNT}:key/9*",
        f"arn:aws:kms:*:{STRANGERS}:key/*",
        f"arn:aws:kms:eu-*:{ACCOUNT}:key/*",
    ),
    ROLE: ("*", ROLE, f"{IAM}:role/signer*", f"{IAM}:role/other", f"{IAM}:user/*"),
    OBJECT: ("*", OBJECT, "arn:aws:s3:::treasury-*/*", "arn:aws:s3:::other/*", "arn:aws:s3:::*"),
}
WHOLE: list[Any] = [
    {"AWS": f"{IAM}:root"},
    {"AWS": ACCOUNT},
    {"AWS": f"arn:aws:iam::{STRANGERS}:root"},
]
PRINCIPALS: list[Any] = [
    *WHOLE,
    "*",
    {"AWS": "*"},
    {"AWS": f"{IAM}:user/alice"},
    {"AWS": [f"{IAM}:role/signer", f"{IAM}:user/bob"]},
    {"AWS": f"{IAM}:role/other"},
    {"AWS": EVE},
    {"Service": "lambda.amazonaws.com"},
]
# Keys that follow from the principal, so that there is one answer.
DECIDABLE: tuple[Json, ...] = (
    {"StringEquals": {"aws:PrincipalArn": f"{IAM}:role/signer"}},
    {"StringEquals": {"aws:principalarn": [f"{IAM}:user/alice", f"{IAM}:user/bob"]}},
    {"StringNotEquals": {"aws:PrincipalArn": f"{IAM}:role/signer"}},
    {"StringLike": {"aws:PrincipalArn": f"{IAM}:*/s?gner"}},
    {"StringNotLike": {"aws:PrincipalArn": f"{IAM}:role/*"}},
    {"StringEqualsIgnoreCase": {"aws:PrincipalArn": f"{IAM}:role/SIGNER"}},
    {"ArnEquals": {"aws:PrincipalArn": f"{IAM}:role/signer"}},
    {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:user/a*"}},
    {"ArnNotEquals": {"aws:PrincipalArn": [f"{IAM}:role/signer", f"{IAM}:user/bob"]}},
    {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}},
    {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
    {"StringNotEqualsIfExists": {"aws:PrincipalAccount": ACCOUNT}},
    {"Null": {"aws:PrincipalArn": "false"}},
    {"Null": {"aws:PrincipalArn": "true"}},
)
# Keys of the request, of which a document says nothing: each is asked with and without.
REQUESTS: tuple[dict[str, str], ...] = (
    {},
    {"aws:SourceVpce": "vpce-0123456789abcdef0", "aws:SourceIp": "203.0.113.7"},
)
OPEN: tuple[Json, ...] = (
    {"StringEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}},
    {"StringNotEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}},
    {"StringEqualsIfExists": {"aws:SourceVpce": "vpce-0fffffffffffffff0"}},
    {"Null": {"aws:SourceVpce": "true"}},
    {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
    {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
)
CONDITIONS: dict[str, tuple[Json, ...]] = {
    "no conditions": (),
    "conditions on the principal": DECIDABLE,
    "conditions on the request": (*DECIDABLE, *OPEN),
}
Outcome = Literal["denied", "conditional", "allowed"]


@dataclass(frozen=True, slots=True)
class Case:
    """One request and the documents that decide it."""

    person: str
    action: str
    resource: str
    identity: tuple[Json, ...]
    boundary: Json | None
    on_resource: Json | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A case, what the project says of it, and what the simulator says in each request."""

    case: Case
    ours: Outcome
    theirs: tuple[Verdict, ...]


@pytest.fixture(scope="module")
def judged() -> dict[str, list[Judged]]:
    """Some hundreds of cases with each sort of conditions, from one run of the simulator."""
    made = {
        kind: list(cases(random.Random(kind), conditions, 400))  # noqa: S311
        for kind, conditions in CONDITIONS.items()
    }
    asked = [question(c, r) for some in made.values() for c in some for r in REQUESTS]
    answers = iter(ask(asked))
    return {
        kind: [Judged(c, ours(c), tuple(next(answers) for _ in REQUESTS)) for c in some]
        for kind, some in made.items()
    }


@pytest.mark.parametrize("kind", CONDITIONS)
def test_nobody_is_said_to_be_denied_whom_aws_would_allow(kind, judged):
    assert [j for j in judged[kind] if j.ours == "denied" and "Allowed" in j.theirs] == []


@pytest.mark.parametrize("kind", ["no conditions", "conditions on the principal"])
def test_where_the_documents_settle_it_the_two_agree(kind, judged):
    of_the_account = [each for each in judged[kind] if each.case.person != EVE]
    assert len(of_the_account) > 200
    for each in of_the_account:
        allowed = set(each.theirs) == {"Allowed"}
        assert each.ours == ("allowed" if allowed else "denied"), each


@pytest.mark.parametrize("kind", CONDITIONS)
def test_the_cases_are_no_foregone_conclusion(kind, judged):
    verdicts = [verdict for each in judged[kind] for verdict in each.theirs]
    for verdict in ("Allowed", "ImplicitlyDenied", "ExplicitlyDenied"):
        assert verdicts.count(verdict) > len(verdicts) / 12


def ours(case: Case) -> Outcome:
    """Return what the review would say, of whichever it finds this person as."""
    documents = Documents.of(
        identity={f"policy {n}": each for n, each in enumerate(case.identity)},
        boundary=case.boundary,
        resource=case.on_resource,
        resource_decides=case.resource in (KEY, ROLE),
    )
    found = {allows(documents, p, case.action, case.resource).outcome for p in PEOPLE[case.person]}
    outcomes: tuple[Outcome, ...] = ("allowed", "conditional", "denied")
    return next(each for each in outcomes if each in found)


def question(case: Case, request: dict[str, str]) -> Question:
    return Question(
        principal=case.person,
        action=case.action,
        resource=case.resource,
        account=ACCOUNT,
        context=request,
        identity=case.identity,
        resource_policy=case.on_resource,
        boundary=case.boundary,
    )


def cases(chance: random.Random, conditions: tuple[Json, ...], count: int) -> Iterator[Case]:
    for _ in range(count):
        resource = chance.choice((KEY, KEY, ROLE, OBJECT))
        person = chance.choice(tuple(PEOPLE))
        makes = Maker(chance, resource, conditions)
        yield Case(
            person,
            chance.choice(ACTIONS[resource]),
            resource,
            # Of another account's IAM the review knows nothing, and takes it to allow everything.
            (EVERYTHING,) if person == EVE else makes.documents(),
            makes.document() if person != EVE and chance.random() < 0.2 else None,
            makes.document(named=True)
            if resource in (KEY, ROLE) or chance.random() < 0.5
            else None,
        )


EVERYTHING: Json = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes policies about one resource."""

    chance: random.Random
    resource: str
    conditions: tuple[Json, ...]

    def documents(self) -> tuple[Json, ...]:
        return tuple(self.document() for _ in range(self.chance.randint(0, 2)))

    def document(self, *, named: bool = False) -> Json:
        count = self.chance.randint(1, 3)
        return {
            "Version": "2012-10-17",
            "Statement": [self._statement(named=named) for _ in range(count)],
        }

    def _statement(self, *, named: bool) -> Json:
        effect = self.chance.choice(("Allow", "Allow", "Allow", "Deny"))
        actions = self._some(ACTION_PATTERNS[self.resource])
        found: Json = {"Effect": effect, self._maybe_not("Action"): actions}
        if named:
            # The review leaves a denial of a whole account out of account, where the simulator has it deny: a
            # difference on the safe side, and no case here.
            whom = PRINCIPALS if effect == "Allow" else [p for p in PRINCIPALS if p not in WHOLE]
            found["Principal"] = self.chance.choice(whom)
        if not (named and self.resource == ROLE):  # a trust policy names no resource
            found[self._maybe_not("Resource")] = self._some(RESOURCE_PATTERNS[self.resource])
        if self.conditions and self.chance.random() < 0.7:
            found["Condition"] = self.chance.choice(self.conditions)
        return found

    def _maybe_not(self, element: str) -> str:
        return f"Not{element}" if self.chance.random() < 0.15 else element

    def _some(self, patterns: tuple[str, ...]) -> list[str]:
        return self.chance.sample(patterns, self.chance.randint(1, 2))
