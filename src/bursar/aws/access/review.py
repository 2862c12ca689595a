"""From a snapshot to findings: everybody who can sign or change who can, and how. Pure.

A finding errs on the side of naming somebody (`policies`). It is `expected` where the stack's own design has it
so, or where whoever asked for the review said so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bursar.aws.access.abilities import (
    SIGNING,
    TITLES,
    Guards,
    Target,
    about_signing_roles,
    becoming,
    guards,
    targets,
)
from bursar.aws.access.expectations import Expectations, expectations
from bursar.aws.access.people import People, Person
from bursar.aws.access.policies import Decision, Documents, Way, allows
from bursar.aws.access.principals import Principal
from bursar.aws.access.snapshot import Gap, Snapshot

UNSEEN = (
    "Not part of this review, since the account does not show them: service and resource control policies of "
    "the organisation, session policies, policies of VPC endpoints, and the IAM policies of other accounts. All "
    "of these can only take rights away. Conditions that depend on the request itself (an address, MFA, a time) "
    "are not decided: a permission under one counts and is marked conditional, a denial under one does not count."
)
_OUTSIDE = ("everyone", "account", "foreign", "id")


@dataclass(frozen=True, slots=True)
class Path:
    """One way to an ability: these actions on this resource, by these statements, under these open conditions."""

    actions: tuple[str, ...]
    resource: str
    statements: tuple[str, ...]
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Somebody's ability and all the ways to it. `last_used` is when they were last seen anywhere in AWS."""

    principal: Principal
    ability: str
    paths: tuple[Path, ...]
    expected: bool
    last_used: str | None = None

    @property
    def conditional(self) -> bool:
        """Does every way depend on a condition that the documents leave open?"""
        return all(path.conditions for path in self.paths)

    @property
    def outside(self) -> bool:
        """Is this somebody outside the account, or everyone?"""
        who = self.principal
        return who.kind in _OUTSIDE or (who.kind == "federated" and who.account == "")


@dataclass(frozen=True, slots=True)
class Review:
    """Findings, ordered by ability and then the unexpected first, and what could not be looked at."""

    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """Those outside the account who can sign."""
        return tuple(f for f in self.findings if f.outside and f.ability in SIGNING)

    @property
    def sound(self) -> bool:
        """Was everything looked at, and can nobody outside the account sign?"""
        return not self.gaps and not self.alarms


def review(snapshot: Snapshot, expected: Iterable[str] = ()) -> Review:
    """Return who can do what. `expected` are ARNs of principals that are meant to be able to do what they can."""
    on = guards(snapshot)
    people = People(snapshot)
    everybody = people.all(on.all())
    expecting = expectations(snapshot, expected)
    found = list(_ask_all(everybody, targets(snapshot, on)))
    signers = _roles(found, everybody, ("sign",), snapshot)
    found += _ask_all(everybody, about_signing_roles(signers))
    found += _becoming("become-signer", signers, everybody, on)
    more = _roles(found, everybody, tuple(TITLES), snapshot)
    more = tuple(role for role in more if role not in signers)
    found += _becoming("become-other", more, everybody, on, beyond=signers)
    gaps = dict.fromkeys((*snapshot.gaps, *on.gaps, *people.gaps))
    return Review(tuple(_findings(found, expecting)), tuple(gaps))


@dataclass(frozen=True, slots=True)
class _Answer:
    person: Person
    ability: str
    action: str
    resource: str
    way: Way


def _ask_all(everybody: Iterable[Person], questions: Iterable[Target]) -> Iterator[_Answer]:
    listed = list(questions)
    for person in everybody:
        for target in listed:
            yield from _ask(person, target)


def _ask(person: Person, target: Target) -> Iterator[_Answer]:
    every = Documents(person.identity, person.boundary, target.guard, target.guard_decides)
    for action in target.actions:
        documents = every.about(action)
        if documents.allow_nothing and person.principal.kind != "root":
            continue
        if found := _first(documents, person, action, target):
            resource, decision = found
            for way in decision.ways:
                yield _Answer(person, target.ability, action, resource, way)


def _first(
    documents: Documents, person: Person, action: str, target: Target
) -> tuple[str, Decision] | None:
    """Return the first resource that somebody may touch without conditions, else the first at all."""
    found = None
    for resource in _nearest(target, person):
        decision = allows(documents, person.principal, action, resource)
        if decision.outcome == "allowed":
            return resource, decision
        if decision.ways and found is None:
            found = resource, decision
    return found


def _nearest(target: Target, person: Person) -> Iterator[str]:
    """Return the resources to try, oneself first: one that somebody may touch stands for all of them."""
    own = person.principal.id
    if own in target.resources and not target.not_oneself:
        yield own
    yield from (each for each in target.resources if each != own)


def _roles(
    found: Iterable[_Answer], everybody: Iterable[Person], of: tuple[str, ...], snapshot: Snapshot
) -> tuple[str, ...]:
    """Return the roles among those who have one of some abilities, and the function's own."""
    able = {answer.person.principal.id for answer in found if answer.ability in of}
    able.add(snapshot.outputs.get("RoleArn", ""))
    roles = (each.principal.id for each in everybody if each.principal.kind == "role")
    return tuple(role for role in roles if role in able)


def _becoming(
    ability: str,
    roles: tuple[str, ...],
    everybody: list[Person],
    on: Guards,
    beyond: tuple[str, ...] = (),
) -> Iterator[_Answer]:
    """Return who may assume these roles, and who may assume a role that may, but for roles `beyond`."""
    reached, waiting = {*roles, *beyond}, list(roles)
    while waiting:
        role = waiting.pop()
        for person in everybody:
            if person.principal.id == role:
                continue
            for answer in _ask(person, becoming(ability, role, on)):
                yield answer
                if person.principal.kind == "role" and person.principal.id not in reached:
                    reached.add(person.principal.id)
                    waiting.append(person.principal.id)


def _findings(found: list[_Answer], expecting: Expectations) -> list[Finding]:
    public = {(a.ability, a.way) for a in found if a.person.principal.kind == "everyone"}
    grouped: dict[tuple[str, str], list[_Answer]] = {}
    for answer in found:
        # What everyone may do needs no line for each.
        if answer.person.principal.kind == "everyone" or (answer.ability, answer.way) not in public:
            grouped.setdefault((answer.ability, answer.person.principal.id), []).append(answer)
    findings = [_finding(answers, expecting) for answers in grouped.values()]
    order = list(TITLES)
    return sorted(findings, key=lambda f: (order.index(f.ability), f.expected, f.principal.id))


def _finding(answers: list[_Answer], expecting: Expectations) -> Finding:
    person, ability = answers[0].person, answers[0].ability
    paths: dict[tuple[str, Way], list[str]] = {}
    for answer in answers:
        actions = paths.setdefault((answer.resource, answer.way), [])
        if answer.action not in actions:
            actions.append(answer.action)
    made = tuple(
        Path(tuple(actions), resource, way.statements, way.conditions)
        for (resource, way), actions in sorted(paths.items(), key=lambda each: str(each[0]))
    )
    # Every way has to be meant: one that is must not hide another that is not.
    expected = all(
        expecting.hold(person.principal, ability, path.statements, path.conditions) for path in made
    )
    return Finding(person.principal, ability, made, expected, person.last_used)
