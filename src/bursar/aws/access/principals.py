"""Who asks: what is known of a principal, and whether a policy names it. Pure.

Sources: IAM user guide, "AWS JSON policy elements: Principal", "AWS JSON policy elements: NotPrincipal",
"AWS global condition context keys"; KMS developer guide, "Condition keys for AWS KMS" (`kms:CallerAccount`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from bursar.aws.access.conditions import Known, SomeoneOf, Truth
from bursar.aws.access.documents import EVERYONE, Named

Kind = Literal[
    "root",
    "user",
    "role",
    "session",
    "account",
    "foreign",
    "everyone",
    "service",
    "federated",
    "id",
]
# Principals of the reviewed account itself, which its IAM policies speak of.
OURS: Final = ("root", "user", "role")
_ACCOUNT = re.compile(r"\A(?:arn:[a-z0-9-]+:iam::)?([0-9]{12})(?::root)?\Z", re.ASCII)
_ARN = re.compile(r"\Aarn:[a-z0-9-]+:(?:iam|sts)::([0-9]{12}):(.+)\Z", re.ASCII)
_TYPES = {"root": "Account", "user": "User", "role": "AssumedRole"}


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who can ask AWS for something. `id` is an ARN, a service's name, an account or `*`.

    `account` is the one it belongs to; for everyone, the one that `id` is outside of. `unique_id` is IAM's, which
    a principal of the same name made later does not have.
    """

    kind: Kind
    id: str
    account: str = ""
    unique_id: str = ""

    @property
    def name(self) -> str:
        """What stands last in its ARN: a user's name, a role's."""
        return self.id.rsplit("/", 1)[-1]

    @property
    def is_ours(self) -> bool:
        """Does the account's IAM know it?"""
        return self.kind in OURS

    def known(self) -> Known:
        """Return the condition keys whose values are certain, by their names in small letters."""
        if self.kind in ("service", "federated", "id"):
            return {}
        if self.kind == "everyone":
            someone = SomeoneOf(outside=self.account)
            keys = ("aws:principalarn", "aws:principalaccount", "kms:calleraccount")
            return dict.fromkeys(keys, someone)
        one_arn = self.kind in ("root", "user", "role", "foreign")
        found: dict[str, str | SomeoneOf] = {
            "aws:principalarn": self.id if one_arn else SomeoneOf(self.account),
            "aws:principalaccount": self.account,
            "aws:principalisawsservice": "false",
            "kms:calleraccount": self.account,
        }
        if self.kind in _TYPES:
            found["aws:principaltype"] = _TYPES[self.kind]
        if self.kind == "user":
            found["aws:username"] = self.name
        return found


def everyone(account: str) -> Principal:
    """Return the stand-in for all who are not of an account, unsigned callers among them."""
    return Principal("everyone", EVERYONE, account)


def principal_named(kind: str, name: str, account: str) -> Principal:
    """Return whom a name in a policy of `account` means."""
    if kind == "AWS":
        return everyone(account) if name == EVERYONE else _of_iam(name, account)
    if kind == "Federated":
        found = _ARN.match(name)
        return Principal("federated", name, found[1] if found else "")
    return Principal("service" if kind == "Service" else "id", name)


def _of_iam(name: str, account: str) -> Principal:
    if whole := _ACCOUNT.match(name):
        ours = whole[1] == account
        return Principal("root" if ours else "account", name, whole[1])
    one = _ARN.match(name)
    if one is None:
        return Principal("id", name)
    kind: Kind = "role" if one[2].startswith("role/") else "user"
    if one[1] != account:
        kind = "foreign"
    return Principal("session" if ":sts:" in name else kind, name, one[1])


@dataclass(frozen=True, slots=True)
class Naming:
    """How a policy names a principal: itself (`direct`), or its whole account, whose IAM policies then decide.

    `by_role_arn`: itself, by nothing but a role's ARN.
    """

    direct: Truth = Truth.NO
    account: bool = False
    by_role_arn: bool = False

    @property
    def at_all(self) -> bool:
        """Is it named in either way?"""
        return self.account or self.direct is not Truth.NO


def naming(named: Named, principal: Principal) -> Naming:
    """Tell how a policy's element `Principal` names somebody."""
    found = [_one(kind, name, principal) for kind, names in named.items() for name in names]
    return Naming(
        max((each.direct for each in found), default=Truth.NO),
        any(each.account for each in found),
        any(each.by_role_arn for each in found)
        and not any(each.direct and not each.by_role_arn for each in found),
    )


def not_naming(named: Named, principal: Principal, *, allow: bool) -> Truth:
    """Tell whether an element `NotPrincipal` leaves somebody over, whom the statement is then about.

    In doubt one that allows is about them, and one that denies is not.
    """
    found = naming(named, principal)
    if principal.kind == "everyone" and not allow:
        only_ours = all(
            principal_named(kind, name, principal.account).account == principal.account
            for kind, names in named.items()
            for name in names
        )
        return Truth.YES if only_ours else Truth.NO
    if found.direct is Truth.YES:
        return Truth.NO
    if not found.at_all:
        return Truth.YES
    return Truth.MAYBE if allow else Truth.NO


def _one(kind: str, name: str, principal: Principal) -> Naming:
    if kind != "AWS":
        same = name == principal.id and principal.kind in ("service", "federated")
        return Naming(Truth.YES if same else Truth.NO)
    if name == EVERYONE:
        of_aws = principal.kind not in ("service", "federated")
        return Naming(Truth.YES if of_aws else Truth.NO)
    if name in (principal.id, principal.unique_id):
        return Naming(Truth.YES, by_role_arn=principal.kind == "role" and name == principal.id)
    whole = _ACCOUNT.match(name)
    if whole and whole[1] == principal.account and principal.kind != "everyone":
        itself = principal.kind in ("root", "account")
        return Naming(Truth.YES if itself else Truth.NO, account=not itself)
    return Naming(_as_session(name, principal))


def _as_session(name: str, principal: Principal) -> Truth:
    # A session's ARN has the role's name without its path: arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION.
    mark = f"::{principal.account}:assumed-role/{principal.name}/"
    return Truth.MAYBE if principal.kind == "role" and mark in name else Truth.NO
