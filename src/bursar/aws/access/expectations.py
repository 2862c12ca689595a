"""Who is meant to be able to do what, by the design of the stack. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bursar.aws.access.conditions import action_matches
from bursar.aws.access.documents import Statement, UnreadablePolicy, parse_document
from bursar.aws.access.principals import Principal
from bursar.aws.access.snapshot import Snapshot
from bursar.aws.template.ledger import REMEMBERING

# Services that run code of one's own under a role of one's own.
_COMPUTE = ("lambda.", "ecs-tasks.", "ec2.")


@dataclass(frozen=True, slots=True)
class Expectations:
    """Whose abilities need no second look: the function's role, callers, key users and administrators, `named`."""

    role: str
    invoke_policy: str
    users: frozenset[str]
    administrators: frozenset[str]
    named: frozenset[str]
    door: str = ""

    def hold(
        self,
        principal: Principal,
        ability: str,
        statements: tuple[str, ...],
        conditions: tuple[str, ...] = (),
    ) -> bool:
        """Tell whether somebody is meant to have an ability, by way of these statements under these conditions."""
        if principal.id in self.named:
            return True
        if principal.kind == "root":
            # It can do all that IAM governs, and nothing but the key's policy keeps it from the key.
            return not ability.startswith("sign") or ability in ("sign-by-function", "sign-by-api")
        if ability in ("sign", "change-memory"):
            # A statement of another name, that lets the role do more to its memory, is worth a second look.
            own = ability == "sign" or all(each.endswith(f": {REMEMBERING}") for each in statements)
            users = self.users if ability == "sign" else ()
            return (principal.id == self.role and own) or principal.id in users
        if ability == "sign-by-api":
            called = f"policy {self.invoke_policy}: "
            return bool(self.invoke_policy) and any(called in each for each in statements)
        if ability == "change-key":
            return principal.id in self.administrators
        return principal.kind == "service" and self._service(
            principal, ability, statements, conditions
        )

    def _service(
        self,
        principal: Principal,
        ability: str,
        statements: tuple[str, ...],
        conditions: tuple[str, ...],
    ) -> bool:
        if ability == "sign-by-function":
            # Without this API's own ARN as the source, any API of any account could be behind it.
            bound = bool(self.door) and any(self.door in each for each in conditions)
            return bound and principal.id.startswith("apigateway.")
        trust = f"trust of role {self.role.rpartition('/')[2]}: "
        of_the_signer = any(each.startswith(trust) for each in statements)
        return ability == "become-signer" and of_the_signer and principal.id.startswith(_COMPUTE)


def expectations(snapshot: Snapshot, named: Iterable[str] = ()) -> Expectations:
    """Return what the stack's outputs, and the key policy in its template, mean to allow."""
    statements = [each for each in _of_template(snapshot) if each.allow]
    users = {name for each in statements if _signs(each) for name in _arns(each)}
    others = {name for each in statements if not _signs(each) for name in _arns(each)}
    return Expectations(
        role=snapshot.outputs.get("RoleArn", ""),
        invoke_policy=snapshot.outputs.get("InvokePolicyArn", ""),
        users=frozenset(users),
        administrators=frozenset(others - users),
        named=frozenset(named),
        door=_door(snapshot),
    )


def _door(snapshot: Snapshot) -> str:
    api, stage = snapshot.outputs.get("ApiId"), snapshot.outputs.get("Stage")
    return f":{snapshot.account}:{api}/{stage}/POST/" if api and stage else ""


def _of_template(snapshot: Snapshot) -> tuple[Statement, ...]:
    document = snapshot.template_key_policy
    if document is None:
        return ()
    try:
        return parse_document(_without_functions(document), "template")
    except UnreadablePolicy:
        # Then it says nothing of whom it means, and everybody gets a second look.
        return ()


def _without_functions(value: object) -> object:
    """Return a template's value with the functions in it (`{"Fn::Sub": …}`, `{"Ref": …}`) as an empty text."""
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref")):
            return ""
        return {key: _without_functions(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_functions(each) for each in value]
    return value


def _signs(statement: Statement) -> bool:
    return any(action_matches(each, "kms:Sign") for each in statement.actions or ())


def _arns(statement: Statement) -> Iterator[str]:
    names = (statement.principals or {}).get("AWS", ())
    return (name for name in names if name.startswith("arn:"))
