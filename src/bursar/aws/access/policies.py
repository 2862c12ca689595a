"""Whether AWS's policies let somebody do something, and by which statements: no, perhaps, or yes. Pure.

Where the documents leave it open the answer is on the side of "can": a condition that cannot be decided makes a
permission conditional and a denial not counted. Not seen are service and resource control policies of the
organisation, session policies, and policies of VPC endpoints; they can only take away.

Sources: IAM user guide, "Policy evaluation logic", "Permissions boundaries for IAM entities"; KMS developer guide,
"Default key policy", "Grants in AWS KMS"; Lambda developer guide, "Resource-based policies".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

from bursar.aws.access.conditions import (
    Known,
    Truth,
    action_matches,
    resource_matches,
    undecided,
)
from bursar.aws.access.documents import Statement, parse_document
from bursar.aws.access.principals import Naming, Principal, naming, not_naming

ROOT = "the account's root user"


@dataclass(frozen=True, slots=True)
class Documents:
    """The statements that decide one request.

    `identity` are the principal's own and its groups'; `boundary` is its permissions boundary, None where it has
    none; `resource` are those on the resource. With `resource_decides` (a KMS key, a role's trust) nothing is
    allowed that `resource` does not allow, if only by handing the decision to the account; else an allow from
    either side is enough, within one account.
    """

    identity: tuple[Statement, ...] = ()
    boundary: tuple[Statement, ...] | None = None
    resource: tuple[Statement, ...] = ()
    resource_decides: bool = False

    @classmethod
    def of(
        cls,
        *,
        identity: Mapping[str, Any] | None = None,
        boundary: Any = None,
        resource: Any = None,
        resource_decides: bool = False,
    ) -> Documents:
        """Read policy documents: `identity` by name, the others as they are.

        Raises:
            UnreadablePolicy: one is not in IAM's grammar.
        """
        own = (parse_document(each, name) for name, each in (identity or {}).items())
        return cls(
            tuple(chain.from_iterable(own)),
            None if boundary is None else parse_document(boundary, "permissions boundary"),
            () if resource is None else parse_document(resource, "resource policy"),
            resource_decides,
        )

    def about(self, action: str) -> Documents:
        """Return the statements about an action alone, for asking of it on many resources."""

        def chosen(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
            return tuple(each for each in statements if _covers_action(each, action))

        boundary = None if self.boundary is None else chosen(self.boundary)
        return replace(
            self,
            identity=chosen(self.identity),
            boundary=boundary,
            resource=chosen(self.resource),
        )

    @property
    def allow_nothing(self) -> bool:
        """Is there no statement, of the principal or on the resource, that allows anything?"""
        return not any(each.allow for each in chain(self.identity, self.resource))


@dataclass(frozen=True, slots=True)
class Way:
    """How somebody is allowed: the statements, all of them needed, and the conditions left open."""

    statements: tuple[str, ...]
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """`ways` are all that allow; none where it is denied, with the statement that does, if one does."""

    ways: tuple[Way, ...] = ()
    denied_by: str | None = None

    @property
    def outcome(self) -> Literal["denied", "conditional", "allowed"]:
        """Whether it is allowed, or allowed only under conditions that the documents leave open."""
        if not self.ways:
            return "denied"
        return "conditional" if all(way.conditions for way in self.ways) else "allowed"


@dataclass(frozen=True, slots=True)
class _Request:
    principal: Principal
    action: str
    resource: str
    known: Known


@dataclass(frozen=True, slots=True)
class _Hit:
    truth: Truth
    way: Way
    naming: Naming


def allows(
    documents: Documents,
    principal: Principal,
    action: str,
    resource: str,
    context: Known | None = None,
) -> Decision:
    """Return whether a principal may take an action (`kms:Sign`) on a resource (an ARN), and how.

    `context` has condition keys whose values are known, beyond those that follow from the principal.
    """
    known = _known(principal)
    if context:
        known = {**known, **{key.lower(): value for key, value in context.items()}}
    request = _Request(principal, action, resource, known)
    every = chain(documents.identity, documents.boundary or (), documents.resource)
    for statement in every:
        if not statement.allow and _hit(statement, request).truth is Truth.YES:
            return Decision(denied_by=statement.where)
    return Decision(tuple(dict.fromkeys(_ways(documents, request))))


@lru_cache(maxsize=4096)
def _known(principal: Principal) -> Known:
    return principal.known()


def _ways(documents: Documents, request: _Request) -> Iterator[Way]:
    by_resource = _hits(documents.resource, request)
    limit = _limit(documents.boundary, request)
    for hit in by_resource:
        if hit.naming.direct is Truth.NO:
            continue
        # A boundary limits what a role is given under its own ARN, though not what a user is.
        if not hit.naming.by_role_arn:
            yield hit.way
        elif limit is not None:
            yield _together(hit.way, limit)
    if not request.principal.is_ours or limit is None:
        return
    lent = [hit.way for hit in by_resource if hit.naming.account]
    for way in _own(documents, request):
        within = _together(way, limit)
        if not documents.resource_decides:
            yield within
        yield from (_together(within, each) for each in lent if documents.resource_decides)


def _own(documents: Documents, request: _Request) -> Iterator[Way]:
    if request.principal.kind == "root":
        yield Way((ROOT,))
    yield from (hit.way for hit in _hits(documents.identity, request))


def _limit(boundary: tuple[Statement, ...] | None, request: _Request) -> Way | None:
    """Return what a boundary adds to a way: nothing, its conditions, or None where it lets nothing through."""
    if boundary is None:
        return Way(())
    hits = sorted(_hits(boundary, request), key=lambda hit: hit.truth, reverse=True)
    return Way((), hits[0].way.conditions) if hits else None


def _hits(statements: tuple[Statement, ...], request: _Request) -> list[_Hit]:
    found = (_hit(each, request) for each in statements if each.allow)
    return [hit for hit in found if hit.truth is not Truth.NO]


def _together(one: Way, other: Way) -> Way:
    conditions = dict.fromkeys((*one.conditions, *other.conditions))
    return Way((*one.statements, *other.statements), tuple(conditions))


_NO = _Hit(Truth.NO, Way(()), Naming())


def _hit(statement: Statement, request: _Request) -> _Hit:
    if not _covers_action(statement, request.action):
        return _NO
    who, named = _principal(statement, request.principal)
    what = _resource(statement, request)
    when, open_conditions = undecided(statement.conditions, request.known)
    truth = min(who, what, when)
    if truth is Truth.NO:
        return _NO
    reasons = [str(condition) for condition in open_conditions]
    if what is Truth.MAYBE:
        covered = statement.resources or statement.not_resources or ()
        reasons.append(f"its resources ({', '.join(covered)}) cover {request.resource}")
    if who is Truth.MAYBE:
        reasons.append("it is the session, or the one of several, that the statement names")
    return _Hit(truth, Way((statement.where,), tuple(reasons)), named)


def _covers_action(statement: Statement, action: str) -> bool:
    if statement.not_actions is not None:
        return not any(action_matches(each, action) for each in statement.not_actions)
    return any(action_matches(each, action) for each in statement.actions or ())


def _resource(statement: Statement, request: _Request) -> Truth:
    patterns = statement.resources or statement.not_resources
    if patterns is None:  # a trust policy has none
        return Truth.YES
    covers = (resource_matches(each, request.resource, request.known) for each in patterns)
    found = max(covers, default=Truth.NO)
    return found if statement.resources is not None else found.negated()


def _principal(statement: Statement, principal: Principal) -> tuple[Truth, Naming]:
    """Return whether a statement is about a principal, and how it names it."""
    if statement.not_principals is not None:
        left = not_naming(statement.not_principals, principal, allow=statement.allow)
        return left, Naming(left)
    if statement.principals is None:
        return Truth.YES, Naming(Truth.YES)
    named = naming(statement.principals, principal)
    if named.direct is Truth.NO and named.account and statement.allow:
        return Truth.YES, named
    return named.direct, named
