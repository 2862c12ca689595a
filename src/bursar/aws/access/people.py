"""Everybody a snapshot knows of, each with the statements that are their own. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bursar.aws.access.documents import Statement, UnreadablePolicy, parse_document
from bursar.aws.access.principals import Kind, Principal, everyone, principal_named
from bursar.aws.access.snapshot import Entity, Gap, Json, Snapshot


@dataclass(frozen=True, slots=True)
class Person:
    """A principal and its identity statements; `boundary` is None where nothing limits them."""

    principal: Principal
    identity: tuple[Statement, ...] = ()
    boundary: tuple[Statement, ...] | None = None
    last_used: str | None = None


@dataclass
class People:
    """Everybody of a snapshot, read once. `gaps` are documents that are not there or cannot be read."""

    snapshot: Snapshot
    gaps: list[Gap] = field(default_factory=list)
    _parsed: dict[str, tuple[Statement, ...]] = field(default_factory=dict)

    def all(self, guards: Iterable[Statement]) -> list[Person]:
        """Return the account's root, users and roles, and whoever else the statements of `guards` name."""
        account = self.snapshot.account
        groups = {each.name: each for each in self.snapshot.entities if each.kind == "group"}
        root = Principal("root", f"arn:{self.snapshot.partition}:iam::{account}:root", account)
        found = {root.id: Person(root)}
        for entity in self.snapshot.entities:
            if entity.kind in ("user", "role"):
                found[entity.arn] = self._person(entity, groups)
        ids = {person.principal.unique_id for person in found.values()}
        outsiders = [everyone(account), *_named(guards, account)]
        for principal in outsiders:
            if principal.kind != "root" and principal.id not in ids:
                found.setdefault(principal.id, Person(principal))
        return list(found.values())

    def _person(self, entity: Entity, groups: Mapping[str, Entity]) -> Person:
        kind: Kind = "user" if entity.kind == "user" else "role"
        principal = Principal(kind, entity.arn, self.snapshot.account, entity.unique_id)
        statements = list(self._policies(entity, ""))
        for name in entity.groups:
            if name in groups:
                statements += self._policies(groups[name], f"through group {name}, ")
        boundary = None
        if entity.boundary in self.snapshot.managed:
            boundary = self._managed(str(entity.boundary), "boundary ")
        return Person(principal, tuple(statements), boundary, entity.last_used)

    def _policies(self, entity: Entity, through: str) -> Iterator[Statement]:
        for name, document in entity.inline.items():
            # By kind too: a user and a role may have one name.
            yield from self._read(
                document, f"{through}inline policy {name} of {entity.kind} {entity.name}"
            )
        for arn in entity.attached:
            yield from self._managed(arn, f"{through}policy ")

    def _managed(self, arn: str, prefix: str) -> tuple[Statement, ...]:
        # One that is not there is a gap of the snapshot already.
        document = self.snapshot.managed.get(arn)
        return () if document is None else self._read(document, f"{prefix}{arn}")

    def _read(self, document: Json, name: str) -> tuple[Statement, ...]:
        if name not in self._parsed:
            try:
                self._parsed[name] = parse_document(document, name)
            except UnreadablePolicy as problem:
                self._parsed[name] = ()
                self.gaps.append(Gap(str(problem), "a policy document that can be read"))
        return self._parsed[name]


def _named(statements: Iterable[Statement], account: str) -> Iterator[Principal]:
    for statement in statements:
        if statement.allow:
            for kind, names in (statement.principals or {}).items():
                yield from (principal_named(kind, name, account) for name in names)
