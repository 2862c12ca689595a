from __future__ import annotations

import time

import pytest

from bursar.aws.access.documents import UnreadablePolicy, parse_document, read_document
from bursar.aws.access.policies import Documents, allows
from bursar.aws.access.principals import Principal, everyone

OWN = "111122223333"
KEY = f"arn:aws:kms:us-east-1:{OWN}:key/1234"
USER = Principal("user", f"arn:aws:iam::{OWN}:user/alice", OWN, "AIDAALICE")
ROLE = Principal("role", f"arn:aws:iam::{OWN}:role/team/payer", OWN, "AROAPAYER")
ROOT = Principal("root", f"arn:aws:iam::{OWN}:root", OWN)
OUTSIDER = Principal("foreign", "arn:aws:iam::999999999999:role/partner", "999999999999")
OTHERS = Principal("account", "999999999999", "999999999999")
ANYONE = everyone(OWN)
DELEGATE = {"Effect": "Allow", "Principal": {"AWS": ROOT.id}, "Action": "kms:*", "Resource": "*"}


def allow(action="kms:Sign", resource=KEY, **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action="kms:Sign", resource="*", **more):
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def doc(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def when(operator, key, value):
    return {"Condition": {operator: {key: value}}}


def outcome(principal, *identity, key=(), boundary=None, decides=True, context=None):
    documents = Documents.of(
        identity={"own": doc(*identity)},
        boundary=boundary,
        resource=doc(*key),
        resource_decides=decides,
    )
    return allows(documents, principal, "kms:Sign", KEY, context).outcome


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (allow(), "allowed"),
        (allow("*", "*"), "allowed"),
        (allow("KMS:sign"), "allowed"),
        (allow("kms:Si?n"), "allowed"),
        (allow(["kms:Verify", "kms:S*"]), "allowed"),
        (allow("kms:Verify"), "denied"),
        (allow("kms:Sig"), "denied"),
        (allow(resource=[KEY + "0", KEY]), "allowed"),
        (allow(resource=f"arn:aws:kms:*:{OWN}:key/*"), "allowed"),
        (allow(resource=f"arn:aws:kms:us-east-1:{OWN}:key/12[3]4"), "denied"),
        (allow(resource=KEY.upper()), "denied"),
        # A star that would have to reach over a colon is left open.
        (allow(resource="arn:aws:kms:*"), "conditional"),
        (allow(resource="arn:*:key/1234"), "conditional"),
        (allow(resource=f"arn:aws:kms:us-east-1:{OWN}:key/${{aws:username}}"), "denied"),
        (allow(resource=f"arn:aws:kms:us-east-1:{OWN}:key/${{aws:PrincipalTag/k}}"), "conditional"),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, "allowed"),
        ({"Effect": "Allow", "NotAction": "kms:*", "Resource": "*"}, "denied"),
        ({"Effect": "Allow", "Action": "*", "NotResource": KEY}, "denied"),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::*"}, "allowed"),
        (allow(**when("StringEquals", "aws:PrincipalAccount", OWN)), "allowed"),
        (allow(**when("StringEquals", "AWS:principalaccount", ["1", OWN])), "allowed"),
        (allow(**when("StringNotEquals", "aws:PrincipalAccount", OWN)), "denied"),
        (allow(**when("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{OWN}:user/al*")), "allowed"),
        (allow(**when("ArnLike", "aws:PrincipalArn", "arn:aws:iam:*:user/alice")), "denied"),
        (allow(**when("StringLike", "aws:PrincipalArn", "arn:*user/alice")), "allowed"),
        (allow(**when("StringEquals", "aws:username", "alice")), "allowed"),
        (allow(**when("StringEqualsIgnoreCase", "aws:username", "ALICE")), "allowed"),
        (allow(**when("StringEquals", "aws:PrincipalType", "User")), "allowed"),
        (allow(**when("Bool", "aws:PrincipalIsAWSService", "false")), "allowed"),
        (allow(**when("Bool", "aws:PrincipalIsAWSService", True)), "denied"),
        (allow(**when("Null", "aws:PrincipalArn", "true")), "denied"),
        (allow(**when("StringEquals", "kms:MessageType", "DIGEST")), "conditional"),
        (allow(**when("IpAddress", "aws:SourceIp", "10.0.0.0/8")), "conditional"),
        (allow(**when("ForAnyValue:StringEquals", "aws:PrincipalArn", "x")), "conditional"),
        (allow(**when("BoolIfExists", "aws:MultiFactorAuthPresent", "true")), "conditional"),
    ],
)
def test_one_identity_statement_on_a_key_that_leaves_it_to_iam(statement, expected):
    assert outcome(USER, statement, key=[DELEGATE]) == expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (deny(), "denied"),
        (deny("kms:*"), "denied"),
        (deny("kms:Verify"), "allowed"),
        ({"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}, "denied"),
        ({"Effect": "Deny", "Action": "*", "NotResource": KEY}, "allowed"),
        (deny(**when("ArnNotEquals", "aws:PrincipalArn", ROLE.id)), "denied"),
        (deny(**when("ArnNotEquals", "aws:PrincipalArn", [ROLE.id, USER.id])), "allowed"),
        (deny(**when("ArnEquals", "aws:PrincipalArn", f"arn:aws:iam::{OWN}:user/*")), "denied"),
        (deny(**when("StringNotLike", "aws:PrincipalArn", "*alice")), "allowed"),
        # What depends on the request, or reaches over colons, does not count as a denial.
        (deny(**when("StringNotEquals", "kms:MessageType", "DIGEST")), "allowed"),
        (deny(**when("BoolIfExists", "aws:MultiFactorAuthPresent", "false")), "allowed"),
        (deny(resource="arn:aws:kms:*"), "allowed"),
        (deny(resource="arn:aws:kms:us-east-1:${aws:PrincipalTag/a}:key/*"), "allowed"),
    ],
)
def test_a_denial_counts_only_where_it_is_certain(statement, expected):
    assert outcome(USER, allow(), statement, key=[DELEGATE]) == expected
    assert outcome(USER, allow(), key=[DELEGATE, {**statement, "Principal": "*"}]) == expected


OURS_ONLY = when("StringEquals", "aws:PrincipalAccount", OWN)
NOT_OURS = when("StringNotEquals", "aws:PrincipalAccount", OWN)
OURS_IF_KNOWN = when("StringEqualsIfExists", "aws:PrincipalAccount", OWN)
ROLES_X = when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/x")
NOT_ROLE = when("ArnNotEquals", "aws:PrincipalArn", ROLE.id)


@pytest.mark.parametrize(
    ("principal", "identity", "key", "expected"),
    [
        # The key's policy is needed, and enough.
        (USER, [allow()], [], "denied"),
        (USER, [], [allow(Principal={"AWS": USER.id})], "allowed"),
        (USER, [], [allow(Principal={"AWS": "AIDAALICE"})], "allowed"),
        (USER, [], [allow(Principal={"AWS": "*"})], "allowed"),
        (USER, [], [allow(Principal="*")], "allowed"),
        (USER, [], [DELEGATE], "denied"),
        (USER, [allow()], [{**DELEGATE, "Principal": {"AWS": OWN}}], "allowed"),
        (USER, [allow()], [{**DELEGATE, "Action": "kms:Verify"}], "denied"),
        (USER, [allow()], [{**DELEGATE, **when("Bool", "aws:SecureTransport", True)}], "conditional"),
        (USER, [], [allow(Principal={"AWS": OUTSIDER.id})], "denied"),
        (USER, [], [allow(Principal={"Service": "lambda.amazonaws.com"})], "denied"),
        (USER, [], [allow(Principal="*", **when("StringEquals", "kms:CallerAccount", OWN))], "allowed"),
        (USER, [], [allow(NotPrincipal={"AWS": ROLE.id})], "allowed"),
        (USER, [], [allow(NotPrincipal={"AWS": USER.id})], "denied"),
        (USER, [allow()], [DELEGATE, deny(NotPrincipal={"AWS": ROLE.id})], "denied"),
        (USER, [allow()], [DELEGATE, deny(NotPrincipal={"AWS": ROOT.id})], "allowed"),
        (ROLE, [], [allow(Principal={"AWS": ROLE.id})], "allowed"),
        (ROLE, [], [allow(Principal={"AWS": f"arn:aws:sts::{OWN}:assumed-role/payer/s"})], "conditional"),
        (ROLE, [], [allow(Principal={"AWS": f"arn:aws:sts::{OWN}:assumed-role/other/s"})], "denied"),
        (ROOT, [], [DELEGATE], "allowed"),
        (ROOT, [], [], "denied"),
        (ROOT, [], [DELEGATE, deny(Principal="*", **NOT_ROLE)], "denied"),
        (OUTSIDER, [], [allow(Principal={"AWS": OUTSIDER.id})], "allowed"),
        (OUTSIDER, [], [DELEGATE], "denied"),
        (OUTSIDER, [], [allow(Principal="*", **OURS_ONLY)], "denied"),
        (OTHERS, [], [allow(Principal={"AWS": "arn:aws:iam::999999999999:root"})], "allowed"),
        (ANYONE, [], [allow(Principal="*")], "allowed"),
        (ANYONE, [], [DELEGATE], "denied"),
        (ANYONE, [], [allow(Principal="*", **OURS_ONLY)], "denied"),
        (ANYONE, [], [allow(Principal="*", **OURS_IF_KNOWN)], "conditional"),
        (ANYONE, [], [allow(Principal="*", **when("StringEquals", "aws:PrincipalOrgID", "o-1"))], "conditional"),
        (ANYONE, [], [allow(Principal="*", **ROLES_X)], "conditional"),
        (ANYONE, [], [allow(Principal="*"), deny(Principal="*", **NOT_OURS)], "denied"),
        (ANYONE, [], [allow(Principal="*"), deny(NotPrincipal={"AWS": ROLE.id})], "denied"),
        (ANYONE, [], [allow(Principal="*"), deny(NotPrincipal={"AWS": OUTSIDER.id})], "allowed"),
        (ANYONE, [], [allow(Principal={"AWS": USER.id})], "denied"),
    ],
)  # fmt: skip
def test_a_key_policy_and_an_identity_policy_together(principal, identity, key, expected):
    assert outcome(principal, *identity, key=key) == expected


def test_where_the_resource_does_not_decide_either_side_is_enough():
    assert outcome(USER, allow(), decides=False) == "allowed"
    assert outcome(ROOT, decides=False) == "allowed"
    assert outcome(USER, key=[allow(Principal={"AWS": USER.id})], decides=False) == "allowed"
    assert outcome(USER, key=[DELEGATE], decides=False) == "denied"
    assert outcome(OUTSIDER, allow(), decides=False) == "denied"


def test_a_boundary_lets_through_only_what_it_allows():
    wide, narrow = doc(allow("kms:*", "*")), doc(allow("s3:*", "*"))
    assert outcome(USER, allow(), key=[DELEGATE], boundary=wide) == "allowed"
    assert outcome(USER, allow(), key=[DELEGATE], boundary=narrow) == "denied"
    assert outcome(USER, allow(), key=[DELEGATE], boundary=doc(deny())) == "denied"
    half = doc(allow(**when("IpAddress", "aws:SourceIp", "10.0.0.0/8")))
    assert outcome(USER, allow(), key=[DELEGATE], boundary=half) == "conditional"


def test_a_boundary_limits_what_a_key_policy_gives_a_role_by_its_arn_and_not_a_user():
    narrow = doc(allow("s3:*", "*"))
    for principal, expected in ((ROLE, "denied"), (USER, "allowed")):
        key = [allow(Principal={"AWS": principal.id})]
        assert outcome(principal, key=key, boundary=narrow) == expected
    assert outcome(ROLE, key=[allow(Principal="*")], boundary=narrow) == "allowed"


def test_what_is_known_of_the_request_decides_its_conditions():
    only = deny(**when("StringNotEquals", "kms:MessageType", "DIGEST"))
    assert outcome(USER, allow(), only, key=[DELEGATE], context={"kms:MessageType": "RAW"}) == (
        "denied"
    )


def test_a_way_names_every_statement_it_needs_and_every_open_condition():
    documents = Documents.of(
        identity={"policy P": doc(allow(Sid="Mine", **when("Bool", "aws:ViaAWSService", "true")))},
        resource=doc(DELEGATE),
        resource_decides=True,
    )
    [way] = allows(documents, USER, "kms:Sign", KEY).ways
    assert way.statements == ("policy P: Mine", "resource policy: statement 1")
    assert way.conditions == ("Bool aws:ViaAWSService true",)


def test_a_denial_is_named():
    documents = Documents.of(identity={"policy P": doc(allow(), deny(Sid="Never"))})
    assert allows(documents, USER, "kms:Sign", KEY).denied_by == "policy P: Never"


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"Statement": "x"},
        doc("x"),
        doc({"Effect": "Perhaps", "Action": "*", "Resource": "*"}),
        doc({"Effect": "Allow", "Resource": "*"}),
        doc({"Effect": "Allow", "Action": {"a": 1}, "Resource": "*"}),
        doc({"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "x"}),
        doc({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": "x"}}),
    ],
)
def test_what_is_no_policy_is_refused_and_never_read_as_allowing_nothing(document):
    with pytest.raises(UnreadablePolicy, match="bad"):
        parse_document(document, "bad")


def test_api_gateways_escaped_policy_is_read():
    assert read_document('{"a": "b"}') == read_document(r"{\"a\": \"b\"}") == {"a": "b"}
    with pytest.raises(UnreadablePolicy):
        read_document("[1]")


def test_a_hostile_pattern_costs_no_exponential_time():
    started = time.process_time()
    assert outcome(USER, allow(resource="*a" * 500 + "b"), key=[DELEGATE]) == "denied"
    documents = Documents.of(identity={"own": doc(allow(resource="*a" * 200 + "b"))})
    assert not allows(documents, USER, "kms:Sign", "a" * 2000).ways
    assert time.process_time() - started < 20
