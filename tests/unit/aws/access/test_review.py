from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bursar.aws.access.diff import compare
from bursar.aws.access.entities import entities_in, managed_in
from bursar.aws.access.report import html_page, markdown, review_document
from bursar.aws.access.review import review
from bursar.aws.access.snapshot import Entity, Gap, Grant, Snapshot, from_json, to_json
from bursar.errors import ConfigError

OWN = "111122223333"
IAM = f"arn:aws:iam::{OWN}"
KEY = f"arn:aws:kms:us-east-1:{OWN}:key/1234"
FUNCTION = f"arn:aws:lambda:us-east-1:{OWN}:function:treasury-signer"
INVOKE = f"{IAM}:policy/invoke"
DOOR = f"arn:aws:execute-api:us-east-1:{OWN}:api1/prod/POST/"


def doc(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trust(principal):
    return doc({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


def user(name, *statements, **more):
    inline = {"p": doc(*statements)} if statements else {}
    return Entity("user", f"{IAM}:user/{name}", name, f"AIDA{name}", inline, **more)


def role(name, *statements, who):
    inline = {"p": doc(*statements)} if statements else {}
    return Entity("role", f"{IAM}:role/{name}", name, f"AROA{name}", inline, trust=trust(who))


SIGNER = role("signer", allow("kms:Sign", KEY), who={"Service": "lambda.amazonaws.com"})
OUTPUTS = {
    "KeyArn": KEY,
    "FunctionArn": FUNCTION,
    "RoleArn": SIGNER.arn,
    "ApiId": "api1",
    "Stage": "prod",
    "InvokePolicyArn": INVOKE,
}
SIGNING_ROLES_ONLY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "kms:Sign",
    "Resource": "*",
    "Condition": {"ArnNotEquals": {"aws:PrincipalArn": SIGNER.arn}},
}
DELEGATE = allow("kms:*", Principal={"AWS": f"{IAM}:root"})
BASE = Snapshot(
    taken="2026-11-23T10:00:00+00:00",
    caller=f"{IAM}:user/auditor",
    account=OWN,
    region="us-east-1",
    partition="aws",
    stack="treasury",
    stack_id=f"arn:aws:cloudformation:us-east-1:{OWN}:stack/treasury/1",
    outputs=OUTPUTS,
    key_policy=doc(DELEGATE, SIGNING_ROLES_ONLY),
    methods={"POST /": "AWS_IAM"},
    entities=(SIGNER,),
    managed={INVOKE: doc(allow("execute-api:Invoke", DOOR))},
    trails=(f"arn:aws:cloudtrail:us-east-1:{OWN}:trail/t",),
)


def of(*entities, **changes):
    return replace(BASE, entities=(SIGNER, *entities), **changes)


def who(found, ability):
    return {each.principal.name: each for each in found.findings if each.ability == ability}


def abilities(found, name):
    return {each.ability for each in found.findings if each.principal.name == name}


def test_in_a_sound_account_only_the_functions_role_signs_and_all_is_as_designed():
    found = review(of())
    assert {name: each.expected for name, each in who(found, "sign").items()} == {"signer": True}
    assert found.sound
    assert all(each.expected for each in found.findings)


def test_an_administrator_can_do_all_but_sign_where_the_key_policy_keeps_signing_to_its_roles():
    found = review(of(user("admin", allow("*"))))
    changing = {"change-key", "change-function", "change-role", "change-api", "change-rights"}
    rest = {"sign-by-function", "sign-by-api", "pass-signer", "change-stack", "stop-record"}
    # The role's trust names Lambda alone, so that not even an administrator assumes it.
    assert abilities(found, "admin") == changing | rest
    assert not any(each.expected for each in found.findings if each.principal.name == "admin")
    assert all(
        each.expected
        for each in review(of(user("admin", allow("*"))), [f"{IAM}:user/admin"]).findings
    )


def test_a_grant_signs_unless_the_key_policy_keeps_signing_to_its_roles():
    grant = Grant("g-1", f"{IAM}:user/bob", ("Sign", "CreateGrant"), "lent")
    closed = review(of(user("bob"), grants=(grant,)))
    assert abilities(closed, "bob") == {"change-key"}
    opened = review(of(user("bob"), grants=(grant,), key_policy=doc(DELEGATE)))
    [path] = who(opened, "sign")["bob"].paths
    assert path.statements == ("grants of the key: grant g-1 (lent)",)
    foreign = replace(grant, grantee="arn:aws:iam::999999999999:role/x")
    assert not review(of(grants=(foreign,), key_policy=doc(DELEGATE))).sound


def test_holders_of_the_invoke_policy_are_expected_callers_through_their_group_too():
    group = Entity("group", f"{IAM}:group/payers", "payers", attached=(INVOKE,))
    direct = user("direct", attached=(INVOKE,))
    own = user("own", allow("execute-api:*"))
    found = who(review(of(group, direct, own, user("member", groups=("payers",)))), "sign-by-api")
    assert found["direct"].expected
    assert found["member"].expected
    assert not found["own"].expected
    assert "group payers" in found["member"].paths[0].statements[0]


def test_whoever_may_assume_a_signing_role_is_named_and_whoever_may_become_them():
    payer = role("payer", allow("kms:Sign"), who={"AWS": f"{IAM}:role/middle"})
    middle = role("middle", who={"AWS": f"{IAM}:root"})
    caller = user("caller", allow("sts:AssumeRole", f"{IAM}:role/middle"))
    found = review(of(payer, middle, caller, key_policy=doc(DELEGATE)))
    become = who(found, "become-signer")
    assert become["middle"].paths[0].resource == payer.arn
    assert become["caller"].paths[0].resource == middle.arn
    assert become["lambda.amazonaws.com"].expected
    passing = user("passer", allow("iam:PassRole", payer.arn))
    assert "pass-signer" in abilities(
        review(of(payer, passing, key_policy=doc(DELEGATE))), "passer"
    )


def test_a_role_that_only_changes_things_is_a_way_for_those_who_may_assume_it():
    builder = role("builder", allow("lambda:UpdateFunctionCode", FUNCTION), who={"AWS": "*"})
    found = review(of(builder))
    assert who(found, "change-function")["builder"]
    assert who(found, "become-other")["*"].outside
    # Everyone is said once, and nobody can sign that way.
    assert set(who(found, "become-other")) == {"*"}


@pytest.mark.parametrize(
    ("changes", "ability"),
    [
        ({"key_policy": doc(DELEGATE, allow("kms:Sign", Principal="*"))}, "sign"),
        (
            {"function_policies": {FUNCTION: doc(allow("lambda:*", FUNCTION, Principal="*"))}},
            "sign-by-function",
        ),
        ({"api_policy": doc(allow("*", "execute-api:/*", Principal="*"))}, "sign-by-api"),
        ({"methods": {"POST /": "NONE"}}, "sign-by-api"),
    ],
)
def test_a_door_open_to_everyone_is_an_alarm_and_said_once(changes, ability):
    found = review(of(user("alice"), **changes))
    assert not found.sound
    assert {each.principal.kind for each in found.alarms} == {"everyone"}
    assert "alice" not in who(found, ability)


def test_the_stacks_own_api_policy_keeps_everyone_out_of_an_open_method():
    other = {"StringNotEquals": {"aws:PrincipalAccount": OWN}}
    shut = {**allow("execute-api:Invoke", "execute-api:/*"), "Effect": "Deny", "Principal": "*"}
    policy = doc({**shut, "Condition": other})
    assert review(of(methods={"POST /": "NONE"}, api_policy=policy)).alarms == ()


def test_one_may_not_be_flagged_for_ones_own_access_keys_but_is_for_anothers():
    own = user("own", allow("iam:CreateAccessKey", f"{IAM}:user/${{aws:username}}"))
    other = user("other", allow("iam:CreateAccessKey", f"{IAM}:user/own"))
    found = review(of(own, other))
    assert abilities(found, "own") == set()
    assert abilities(found, "other") == {"change-rights"}


def test_an_unconditional_way_is_found_behind_a_conditional_one():
    mfa = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}
    statements = allow("lambda:InvokeFunction", FUNCTION, **mfa), allow("lambda:*", f"{FUNCTION}:*")
    found = who(review(of(user("alice", *statements))), "sign-by-function")["alice"]
    assert not found.conditional


def test_those_named_in_the_stacks_template_are_expected_and_no_others():
    named = doc(
        allow("kms:PutKeyPolicy", Principal={"AWS": [f"{IAM}:role/keeper"]}),
        allow("kms:Sign", Principal={"AWS": [f"{IAM}:role/service", {"Fn::GetAtt": ["R", "Arn"]}]}),
    )
    live = doc(
        allow("kms:PutKeyPolicy", Principal={"AWS": [f"{IAM}:role/keeper", f"{IAM}:role/later"]}),
        allow("kms:Sign", Principal={"AWS": [f"{IAM}:role/service", f"{IAM}:role/keeper"]}),
    )
    found = review(of(key_policy=live, template_key_policy=named))
    assert {n: f.expected for n, f in who(found, "sign").items()} == {
        "service": True,
        "keeper": False,
    }
    assert {n: f.expected for n, f in who(found, "change-key").items()} == {
        "keeper": True,
        "later": False,
    }


def test_a_user_and_a_role_of_one_name_keep_their_own_policies():
    found = review(of(user("twin", allow("s3:*")), role("twin", allow("*"), who={"Service": "x"})))
    assert {f.principal.kind for f in found.findings if f.principal.name == "twin"} == {"role"}


def test_a_service_that_may_become_another_signing_role_is_not_expected():
    other = role("other", allow("kms:Sign"), who={"Service": "ec2.amazonaws.com"})
    become = who(review(of(other, key_policy=doc(DELEGATE))), "become-signer")
    assert {name: each.expected for name, each in become.items()} == {
        "ec2.amazonaws.com": False,
        "lambda.amazonaws.com": True,
    }


def test_an_unreadable_document_and_a_gap_make_a_review_unsound():
    assert not review(of(gaps=(Gap("the key policy", "kms:GetKeyPolicy"),))).sound
    broken = replace(user("alice"), inline={"p": {"Statement": [{"Effect": "Allow"}]}})
    [gap] = review(of(broken)).gaps
    assert "inline policy p of user alice" in gap.what


def test_arns_follow_the_partition():
    chinese = json.loads(
        json.dumps(to_json(of(user("admin", allow("*"))))).replace("arn:aws:", "arn:aws-cn:")
    )
    found = review(from_json({**chinese, "partition": "aws-cn", "region": "cn-north-1"}))
    assert {"change-api", "sign-by-api", "change-key"} <= abilities(found, "admin")


def test_an_older_stack_without_newer_outputs_is_reviewed():
    outputs = {"KeyArn": KEY}
    assert who(review(of(user("a", allow("kms:PutKeyPolicy")), outputs=outputs)), "change-key")["a"]


def test_a_snapshot_goes_to_json_and_back_without_loss():
    grant = Grant("g", "x", ("Sign",))
    full = of(
        user("a", allow("*"), groups=("g",), boundary="b"), grants=(grant,), gaps=(Gap("a", "b"),)
    )
    again = from_json(json.loads(json.dumps(to_json(full))))
    assert again == full
    assert again.digest == full.digest


def test_iams_answer_is_read_in_pages_with_the_version_that_counts():
    pages: list[dict[str, Any]] = [
        {
            "UserDetailList": [
                {
                    "UserName": "a",
                    "Arn": f"{IAM}:user/a",
                    "UserId": "AIDA",
                    "UserPolicyList": [{"PolicyName": "p", "PolicyDocument": '{"Statement": []}'}],
                    "GroupList": ["g"],
                    "AttachedManagedPolicies": [{"PolicyName": "m", "PolicyArn": INVOKE}],
                    "PermissionsBoundary": {"PermissionsBoundaryArn": INVOKE},
                }
            ]
        },
        {
            "RoleDetailList": [
                {"RoleName": "r", "Arn": "x", "AssumeRolePolicyDocument": {"Statement": []}}
            ],
            "Policies": [
                {
                    "Arn": INVOKE,
                    "PolicyVersionList": [
                        {"Document": {"v": 1}, "IsDefaultVersion": False},
                        {"Document": {"v": 2}, "IsDefaultVersion": True},
                    ],
                }
            ],
        },
    ]
    found = {each.name: each for each in entities_in(pages)}
    assert (found["a"].groups, found["a"].attached, found["a"].boundary) == (
        ("g",),
        (INVOKE,),
        INVOKE,
    )
    assert found["a"].inline == {"p": {"Statement": []}}
    assert found["r"].trust == {"Statement": []}
    assert managed_in(pages) == {INVOKE: {"v": 2}}


def document(snapshot):
    return review_document(snapshot, review(snapshot))


MFA = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}


def test_two_reviews_are_compared_by_who_can_do_what_and_how():
    before = document(
        of(user("a", allow("kms:PutKeyPolicy")), user("b", allow("kms:DisableKey", **MFA)))
    )
    again = document(
        of(user("a", allow("kms:PutKeyPolicy")), user("b", allow("kms:DisableKey", **MFA)))
    )
    assert compare(before, again) == ()
    after = document(of(user("b", allow("kms:DisableKey")), user("c", allow("kms:CreateGrant"))))
    told = [(c.kind, c.principal["id"][-1], c.wider) for c in compare(before, after)]
    assert told == [("changed", "b", True), ("new", "c", True), ("gone", "a", False)]
    made_again = replace(user("a", allow("kms:PutKeyPolicy")), unique_id="AIDAOTHER")
    [change] = compare(document(of(user("a", allow("kms:PutKeyPolicy")))), document(of(made_again)))
    assert (change.kind, change.wider) == ("changed", True)
    assert "another principal of the same name" in change.details[0]


@pytest.mark.parametrize(
    "damage",
    [{"format": "other"}, {"account": "0"}, {"key_arn": "x"}, {"findings": [{}]}, {"findings": 1}],
)
def test_a_file_that_is_no_review_of_this_key_is_not_compared(damage):
    with pytest.raises(ConfigError):
        compare({**document(of()), **damage}, document(of()))


def test_reports_escape_what_others_named():
    evil = "<script>alert(1)</script>|`x`\x1b[31m"
    snapshot = of(replace(user("a"), inline={evil: doc(allow("kms:PutKeyPolicy"))}), caller=evil)
    made = document(snapshot)
    page, text = html_page(made, ()), markdown(made, ())
    assert "<script>" not in page + text
    assert "\x1b" not in page + text
    assert "&lt;script&gt;" in page
    assert "\\|\\`x\\`" in text
    for part in (
        KEY,
        made["snapshot_sha256"],
        "Nothing has changed",
        "service and resource control",
    ):
        assert part in page
        assert part in text.replace("\\", "")


def test_a_report_says_first_what_was_not_looked_at():
    made = document(of(gaps=(Gap("the grants of the key", "kms:ListGrants"),)))
    line = "not looked at: the grants of the key, needs kms:ListGrants"
    for text in (html_page(made), markdown(made)):
        assert line in text
        assert text.index(line) < text.index("Sign with the key")


def test_a_large_account_is_reviewed_in_seconds():
    users = [
        user(f"u{n}", allow("s3:*"), allow("iam:CreateAccessKey", f"{IAM}:user/${{aws:username}}"))
        for n in range(300)
    ]
    found = review(of(*users, user("admin", allow("*"))))
    assert abilities(found, "u7") == set()


MEMORY = {**OUTPUTS, "LedgerTable": "treasury-Ledger-1"}
TABLE = f"arn:aws:dynamodb:us-east-1:{OWN}:table/treasury-Ledger-1"


def remembering(*more):
    own = allow("dynamodb:PutItem", TABLE, Sid="RememberWhatWasSigned")
    statements = (allow("kms:Sign", KEY), own, *more)
    return role("signer", *statements, who={"Service": "lambda.amazonaws.com"})


def test_whoever_may_write_or_delete_what_the_key_remembers_is_named():
    people = (
        user("deletes", allow("dynamodb:DeleteItem", TABLE)),
        user("drops", allow("dynamodb:DeleteTable")),
        user("expires", allow("dynamodb:UpdateTimeToLive")),
        user("reads", allow("dynamodb:Query", TABLE)),
        user("elsewhere", allow("dynamodb:*", f"{TABLE}-2")),
    )
    found = who(
        review(replace(BASE, outputs=MEMORY, entities=(remembering(), *people))), "change-memory"
    )
    assert {name: each.expected for name, each in found.items()} == {
        f"{IAM}:root": True,
        "signer": True,
        "deletes": False,
        "drops": False,
        "expires": False,
    }
    assert found["deletes"].paths[0].actions == ("dynamodb:DeleteItem",)
    assert who(review(of(*people)), "change-memory") == {}  # there is no table


def test_the_signer_itself_is_not_expected_to_forget():
    more = remembering(allow("dynamodb:DeleteItem", TABLE, Sid="Forget"))
    found = who(review(replace(BASE, outputs=MEMORY, entities=(more,))), "change-memory")
    assert not found["signer"].expected


def test_the_tables_own_policy_counts_too():
    policy = doc(allow("dynamodb:PutItem", TABLE, Principal={"AWS": f"{IAM}:user/guest"}))
    snapshot = replace(
        BASE, outputs=MEMORY, entities=(remembering(), user("guest")), ledger_policy=policy
    )
    assert set(who(review(snapshot), "change-memory")) == {f"{IAM}:root", "signer", "guest"}
    assert from_json(to_json(snapshot)) == snapshot
