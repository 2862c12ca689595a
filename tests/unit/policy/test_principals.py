from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.policy.principals import identity_of, is_session

A = "111122223333"
ROLE = f"arn:aws:iam::{A}:role/ops"


@pytest.mark.parametrize(
    ("arn", "identity"),
    [
        (ROLE, ROLE),
        (f"arn:aws:iam::{A}:role/aws-reserved/sso.amazonaws.com/eu-west-1/ops", ROLE),
        (f"arn:aws:sts::{A}:assumed-role/ops/i-0abc", ROLE),
        (f"arn:aws:sts::{A}:assumed-role/ops/ada@example.com", ROLE),
        (f"arn:aws-us-gov:sts::{A}:assumed-role/ops/ab", f"arn:aws-us-gov:iam::{A}:role/ops"),
        (f"arn:aws-cn:iam::{A}:role/ops", f"arn:aws-cn:iam::{A}:role/ops"),
        (f"arn:aws:iam::{A}:user/team/ada", f"arn:aws:iam::{A}:user/team/ada"),
        (f"arn:aws:iam::{A}:root", f"arn:aws:iam::{A}:root"),
        (f"arn:aws:sts::{A}:federated-user/ada", None),
        (f"arn:aws:iam::{A}:role/{'r' * 64}", f"arn:aws:iam::{A}:role/{'r' * 64}"),
        (f"arn:aws:iam::{A}:role/{'r' * 65}", None),
        (f"arn:aws:sts::{A}:assumed-role/ops/a", None),
        (f"arn:aws:sts::{A}:assumed-role/ops", None),
        (f"arn:aws:sts::{A}:assumed-role/path/ops/session", None),
        (f"arn:aws:sts::{A}:role/ops", None),
        (f"arn:aws:iam::{A}:assumed-role/ops/session", None),
        ("arn:aws:iam::11112222333:role/ops", None),
        ("arn:aws:iam::1111222233334:role/ops", None),
        (f"arn:aws:iam::{A}:role/*", None),
        (f"arn:aws:iam::{A}:role/", None),
        (f"arn:aws:iam::{A}:user/", None),
        (f"arn:aws:iam::{A}:group/ops", None),
        (f"arn:evil:iam::{A}:role/ops", None),
        (f"{ROLE}\n", None),
        (f" {ROLE}", None),
        (f"arn:aws:iam::{A}:user/ada\n", None),
        (f"arn:aws:iam::{A}:user/ada:x", None),
        (f"arn:aws:iam::{A}:root/x", None),
        (f"arn:aws:iam::{A}:role/r", f"arn:aws:iam::{A}:role/r"),
        (f"arn:aws:iam::{A}:role/a_b+c=d,e.f@g-h", f"arn:aws:iam::{A}:role/a_b+c=d,e.f@g-h"),
        (f"arn:aws:iam::{A}:role//ops", None),
        (f"arn:aws-:iam::{A}:role/ops", None),
        (f"arn:aws--cn:iam::{A}:role/ops", None),
        (f"arn:aws:sts::{A}:assumed-role/ops/{'s' * 64}", ROLE),
        (f"arn:aws:sts::{A}:assumed-role/ops/{'s' * 65}", None),
        ("lambda.amazonaws.com", None),
        (A, None),
        ("*", None),
        ("", None),
        (None, None),
    ],
)
def test_who_an_arn_is(arn, identity):
    assert identity_of(arn) == identity
    if identity is not None:
        assert identity_of(identity) == identity


def test_only_a_roles_session_is_a_session():
    assert is_session(f"arn:aws:sts::{A}:assumed-role/ops/ab")
    assert not is_session(ROLE)
    assert not is_session(f"arn:aws:sts::{A}:assumed-role/ops/ab\n")


NAMES = st.text("abcXYZ019_+=,.@-", min_size=2, max_size=64)


@given(NAMES, NAMES, NAMES, st.lists(NAMES, max_size=3))
def test_all_sessions_of_a_role_are_the_role_and_no_other(name, other, session, path):
    role = identity_of("/".join([f"arn:aws:iam::{A}:role", *path, name]))
    assert identity_of(f"arn:aws:sts::{A}:assumed-role/{name}/{session}") == role
    assert (identity_of(f"arn:aws:sts::{A}:assumed-role/{other}/{session}") == role) == (
        name == other
    )
