"""Whose credentials these are: the ARN that STS tells, taken apart. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ARN = re.compile(
    r"\Aarn:(?P<partition>[a-z-]+):(?P<service>iam|sts)::(?P<account>[0-9]{12}):(?P<kind>[a-z-]+)(?:/(?P<rest>.+))?\Z"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credentials these are: their ARN as STS tells it, taken apart."""

    arn: str
    partition: str = ""
    account: str = ""
    kind: str = ""
    rest: str = ""

    @classmethod
    def of(cls, arn: str) -> Caller:
        """Take an ARN apart; one of another form keeps its text alone."""
        found = _ARN.match(arn)
        if found is None:
            return cls(arn)
        return cls(arn, found["partition"], found["account"], found["kind"], found["rest"] or "")

    @property
    def is_root(self) -> bool:
        """Is it the account's root user?"""
        return self.kind == "root"

    @property
    def role(self) -> str | None:
        """The name of the role, without its path, that this is a session of."""
        return self.rest.partition("/")[0] if self.kind == "assumed-role" else None

    def is_principal(self, arn: str) -> bool:
        """Tell whether the ARN of a user or role is that of this caller."""
        if self.role is None:
            return arn == self.arn
        named = _ARN.match(arn)
        return (
            named is not None
            and (named["account"], named["kind"]) == (self.account, "role")
            and (named["rest"] or "").rpartition("/")[2] == self.role
        )
