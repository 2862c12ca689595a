"""The policies of the generated template, judged by an independent simulator: who may do what, and who may not.

The cases are rows of `policy_cases.toml`. No emulator evaluates all of these conditions, the VPC endpoint that a
request comes through among them.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bursar.aws.plan import (
    ApiPlan,
    FunctionPlan,
    KeyPlan,
    NetworkPlan,
    RecordsPlan,
    StackPlan,
    require_sound,
)
from bursar.aws.template import build_template
from tests.fakes.policies import planned
from tests.oracle.resolved import PLACES, Json, Place, Resolved
from tests.oracle.scene import Case, Scene, far_key, given_key
from tests.oracle.simulator import Question, Verdict, ask

ENDPOINT = "vpce-0123456789abcdef0"
KEY = given_key(Place())
TABLE = tomllib.loads((Path(__file__).parent / "policy_cases.toml").read_text())
CASES = [Case(plan=plan, **row) for plan, rows in TABLE["cases"].items() for row in rows]


def plans(place: Place) -> dict[str, StackPlan]:
    """Return the plans that cases speak of."""
    iam = f"arn:{place.partition}:iam::{place.account}"
    users = (f"{iam}:role/second-signer",)
    named = KeyPlan(
        administrators=(f"{iam}:role/key-keeper",), users=users, account_delegation=False
    )
    network = NetworkPlan(
        vpc="vpc-0123456789abcdef0",
        subnets=("subnet-0123456789abcdef0", "subnet-0123456789abcdef1"),
        logs_endpoint="create",
    )
    reached = replace(network, clients=("10.0.0.0/16",))
    shared = replace(
        reached, kms_endpoint=ENDPOINT, api_endpoint=ENDPOINT, security_group="sg-0123456789abcdef0"
    )
    by_gateway = replace(
        network,
        logs_endpoint=None,
        route_tables=("rtb-0123456789abcdef0",),
        dynamodb_prefix_list="pl-0123456789abcdef0",
    )
    private = ApiPlan(private=True)
    return {
        "plain": StackPlan(),
        "records": StackPlan(),
        "named": StackPlan(key=named),
        "given": StackPlan(key=KeyPlan(arn=given_key(place))),
        "replica": StackPlan(key=KeyPlan(replica_of=far_key(place))),
        "solana": StackPlan(key=KeyPlan(chain="solana")),
        "bound": StackPlan(key=KeyPlan(users=users), network=network),
        "unbound": StackPlan(network=replace(network, bind_key=False)),
        "private": StackPlan(network=reached, api=private),
        "shared": StackPlan(network=shared, api=private),
        "logging": StackPlan(api=ApiPlan(logs_for_region=True)),
        "traced": StackPlan(function=FunctionPlan(tracing=True)),
        "policed": StackPlan(policy=planned()),
        "policed in a network": StackPlan(policy=planned(), network=by_gateway),
        "policed, taken on": StackPlan(
            policy=planned(), records=RecordsPlan(ledger="treasury-Ledger-1ABC")
        ),
        "ecs": StackPlan(compute="ecs"),
        "ec2": StackPlan(compute="ec2"),
    }


def scenes(place: Place) -> dict[str, Scene]:
    """Return every plan as a stack of this place."""
    return {
        name: Scene(Resolved(build_template(require_sound(plan)), place), TABLE["contexts"])
        for name, plan in plans(place).items()
    }


# ---- the cases ----


@pytest.fixture(scope="module")
def verdicts() -> dict[tuple[str, str, str], Verdict]:
    """Every case's verdict, by plan, name and partition, from one run of the simulator."""
    asked = {
        (case.plan, case.name, place.partition): scene.question(case)
        for place in PLACES
        for plan, scene in scenes(place).items()
        for case in CASES
        if case.plan == plan
    }
    return dict(zip(asked, ask(list(asked.values())), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.plan}: {case.name}")
def test_the_simulator_judges_as_the_table_says(case, verdicts):
    found = {place.partition: verdicts[case.plan, case.name, place.partition] for place in PLACES}
    assert found == dict.fromkeys(found, case.expect), case.why


def test_no_two_cases_of_a_plan_are_called_the_same():
    named = [(case.plan, case.name) for case in CASES]
    assert len(named) == len(set(named))


def test_every_plan_is_judged():
    assert {case.plan for case in CASES} == set(plans(PLACES[0]))


@pytest.mark.parametrize(
    ("action", "context", "problem"),
    [
        ("kms:Sing", {}, "invalid.action"),
        ("kms:Sign", {"kms:MesageType": "RAW"}, "keys left out"),
    ],
)
def test_what_the_simulator_cannot_judge_is_no_verdict(action, context, problem):
    asked = Question(
        f"arn:aws:iam::{PLACES[0].account}:user/payer", action, KEY, "123456789012", context
    )
    with pytest.raises(AssertionError, match=problem):
        ask([asked])


# ---- that the cases would notice ----

# Changes that let nobody in by themselves, because of what else stands in the way.
LOCKED_TWICE = {
    "SigningKey, Sign: any principal": "the condition names the signers",
    "SigningKey, Sign: without aws:PrincipalArn": "NoOtherSigner denies all others",
    "SigningKey, Sign: without kms:MessageType": "NoOtherMessageType denies the others",
    "SigningKey, Sign: without kms:SigningAlgorithm": "NoOtherAlgorithm denies the others",
    "SigningKey, ReadThePublicKey: any principal": "the condition names the signers",
    "AlarmTopicPolicy, AlarmsOfThisAccount: any resource": "the policy is on one topic",
    "TrailBucketPolicy, CheckTheBucket: any resource": "the policy is on one bucket",
    "ApiEndpoint, AskForSignatures: without aws:PrincipalAccount": "the API denies other accounts",
    "LogsEndpoint, WriteTheSignersLog: any action": "the role that passes may do no other",
    "LogsEndpoint, WriteTheSignersLog: any resource": "the role that passes may write no other",
    "LedgerEndpoint, RememberForTheTreasury: any action": "the role that passes may do no other",
    "LedgerEndpoint, RememberForTheTreasury: any resource": "the role that passes has no other",
}


def test_every_statement_and_condition_is_held_by_a_case_or_by_another_lock():
    noticed, every = judged_changes()
    assert every - noticed == LOCKED_TWICE.keys()


def judged_changes() -> tuple[set[str], set[str]]:
    """Return the changes to the templates' policies that give some case another verdict, and all of them."""
    every: set[str] = set()
    asked: list[tuple[str, Case, Question]] = []
    for plan, scene in scenes(PLACES[0]).items():
        cases = [(case, scene.question(case)) for case in CASES if case.plan == plan]
        for change, changed in changed_scenes(scene):
            every.add(change)
            found = ((case, changed.question(case), before) for case, before in cases)
            asked += [(change, case, now) for case, now, before in found if now != before]
    verdicts = zip(asked, ask([question for *_, question in asked]), strict=True)
    return {change for (change, case, _), verdict in verdicts if verdict != case.expect}, every


def changed_scenes(scene: Scene) -> Iterator[tuple[str, Scene]]:
    """Yield the stack with each statement left out, each condition left out, each element wide open."""
    for resource, body in scene.stack.template["Resources"].items():
        for number, statement in enumerate(statements(body)):
            for what, changed in changes(statement):
                other = copy.deepcopy(body)
                where, index = places(other)[number]
                where[index : index + 1] = [] if changed is None else [changed]
                stack = scene.stack.with_resource(resource, other)
                yield f"{resource}, {name_of(statement)}: {what}", replace(scene, stack=stack)


def changes(statement: Json) -> Iterator[tuple[str, Json | None]]:
    """Yield what to call each change to a statement, and what becomes of it."""
    yield "left out", None
    for operator, keys in statement.get("Condition", {}).items():
        for key in keys:
            left = {name: value for name, value in keys.items() if name != key}
            conditions = {**statement["Condition"], operator: left}
            yield f"without {key}", {**statement, "Condition": conditions}
    if statement["Effect"] == "Deny":
        return
    service = listed(statement["Action"])[0].split(":")[0]
    wide = {"Resource": "*", "Principal": "*", "Action": f"{service}:*"}
    for element, everything in wide.items():
        if statement.get(element, everything) != everything:
            yield f"any {element.lower()}", {**statement, element: everything}


# ---- what no document may have ----

# Every statement that allows all actions of a service, or something on every resource.
KEY_POLICY = "in a key's policy the resource is the key"
WIDE = {
    "SigningKey, LetIamPoliciesManage": f"AWS's own advice, and signing is denied again; {KEY_POLICY}",
    "SigningKey, Administer": KEY_POLICY,
    "SigningKey, Sign": KEY_POLICY,
    "SigningKey, ReadThePublicKey": KEY_POLICY,
    "RecordsKey, LetIamPoliciesDecide": f"AWS's default key policy; {KEY_POLICY}",
    "RecordsKey, EncryptTheLogs": KEY_POLICY,
    "RecordsKey, EncryptTheTrail": KEY_POLICY,
    "RecordsKey, DescribeTheKey": KEY_POLICY,
    "RecordsKey, PublishAlarms": KEY_POLICY,
    "RecordsKey, EncryptTheLedger": KEY_POLICY,
    "FunctionRolePolicy, SendTraces": "X-Ray knows no resources for these actions",
    "FunctionRolePolicy, LetLambdaLook": "EC2 knows no resources for these actions",
}


@pytest.fixture(scope="module")
def every_statement() -> list[tuple[str, Json]]:
    """The statements of all plans with the resource they are in."""
    return [
        (f"{resource}, {name_of(statement)}", statement)
        for scene in scenes(PLACES[0]).values()
        for resource, body in scene.stack.template["Resources"].items()
        for statement in statements(body)
    ]


def test_nothing_is_allowed_on_everything_but_where_it_must_be(every_statement):
    allowing = [(name, each) for name, each in every_statement if each["Effect"] == "Allow"]
    everything = {name for name, each in allowing if "*" in listed(each.get("Resource"))}
    any_action = {
        name for name, each in allowing if any(a.endswith(":*") for a in listed(each["Action"]))
    }
    assert everything | any_action == WIDE.keys()
    assert not [name for name, each in allowing if "*" in listed(each["Action"])]


def test_nobody_is_allowed_anything_without_being_named_by_principal_or_condition(every_statement):
    open_to_all = [
        name
        for name, each in every_statement
        if each["Effect"] == "Allow" and each.get("Principal") == "*" and not each.get("Condition")
    ]
    assert open_to_all == []


def test_no_statement_says_whom_or_what_it_is_not_about(every_statement):
    negative = {"NotAction", "NotResource", "NotPrincipal"}
    assert [name for name, each in every_statement if negative & each.keys()] == []


def test_no_role_bears_a_policy_that_is_not_in_the_template_but_the_one_of_all_apis():
    bearers = {
        role
        for scene in scenes(PLACES[0]).values()
        for role in scene.stack.of_type("AWS::IAM::Role")
        if "ManagedPolicyArns" in scene.stack.properties(role)
    }
    assert bearers == {"ApiLoggingRole"}


def statements(resource: Json) -> list[Json]:
    """Return the statements of all policy documents in a resource."""
    return [where[index] for where, index in places(resource)]


def places(value: Any) -> list[tuple[list[Json], int]]:
    """Return where they are: in which list, at which index."""
    if isinstance(value, list):
        return [place for each in value for place in places(each)]
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("Statement"), list) and "Version" in value:
        return [(value["Statement"], index) for index in range(len(value["Statement"]))]
    return [place for each in value.values() for place in places(each)]


def name_of(statement: Json) -> str:
    return str(statement.get("Sid", "trust"))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
