"""`bursar doctor`: look at all a signer needs, before it is deployed and after. It changes and signs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from bursar.aws.caller import Caller
from bursar.aws.cloud import Cloud
from bursar.aws.doctor import (
    api,
    function,
    identity,
    key,
    permissions,
    policy,
    quota,
    records,
    stack,
)
from bursar.aws.doctor.case import Case, Question
from bursar.aws.doctor.checks import Check, Status, healthy, run, skip
from bursar.aws.plan import StackPlan
from bursar.aws.stacks import Stack, find_stack

Look = Callable[[Case], Iterable[Check]]

# In the order of the report: what the rest stands on comes first. Each stands alone: one that fails ends alone.
LOOKS: Final[tuple[tuple[str, Look], ...]] = (
    ("region", identity.region),
    ("stack", stack.stack),
    ("permissions", permissions.permissions),
    ("bucket", stack.bucket),
    ("concurrency", stack.concurrency),
    ("quota", quota.quota),
    ("key", key.kind),
    ("key.alias", key.alias),
    ("key.address", key.addresses),
    ("key.dry-run", key.dry_run),
    ("function", function.function),
    ("policy", policy.policy),
    ("policy.memory", policy.memory),
    ("api", api.api),
    ("api.logs", api.access_logs),
    ("trail", records.trail),
    ("alarms", records.alarms),
    ("alarms.topic", records.topic),
)
AREAS: Final = ("credentials", "clock", *dict.fromkeys(name.partition(".")[0] for name, _ in LOOKS))

__all__ = ["AREAS", "Case", "Check", "Question", "Status", "examine", "healthy"]


def examine(cloud: Cloud, question: Question, only: Iterable[str] = ()) -> Iterator[Check]:
    """Yield every check of the areas in `only`, or of all, as it is made.

    Each look says what it costs; what the caller may not look at is told so and stops nothing.
    """
    wanted = tuple(only)
    asked: list[identity.Identity] = []
    checks = run("region", lambda: _ask(cloud, asked))
    if asked:
        checks += run(
            "credentials", lambda: identity.credentials(asked[0], emulated=cloud.emulated)
        )
        checks += run("clock", lambda: identity.clock(asked[0]))
    # What everything stands on is told even where it was not asked for.
    yield from (check for check in checks if check.status == "fail" or _names(check.name, wanted))
    if asked and asked[0].caller is not None:
        yield from _all_looks(cloud, question, asked[0].caller, wanted)
        return
    told = {check.area for check in checks}
    rest = [skip(area, "AWS could not be asked") for area in AREAS if area not in told]
    yield from _wanted(rest, wanted)


def _ask(cloud: Cloud, asked: list[identity.Identity]) -> tuple[()]:
    _ = cloud.region  # a Region that is set nowhere ends it here
    asked.append(identity.ask(cloud))
    return ()


def _all_looks(
    cloud: Cloud, question: Question, caller: Caller, wanted: tuple[str, ...]
) -> Iterator[Check]:
    found: list[Stack | None] = []

    def look_it_up() -> Iterator[Check]:
        found.append(find_stack(cloud, question.stack))
        yield from ()

    problems = run("stack", look_it_up)
    yield from problems
    there = found[0] if found else None
    planned = replace(question, plan=_resolved(question, cloud, caller))
    case = Case(planned, cloud, caller, there, readable=not problems)
    for name, look in LOOKS:
        if _is_wanted(name, wanted) and not (problems and look is stack.stack):
            yield from _wanted(run(name, lambda look=look: look(case)), wanted)  # type: ignore[misc]


def _resolved(question: Question, cloud: Cloud, caller: Caller) -> StackPlan:
    """Return the plan with what is known only now: is AWS an emulator, and the ARN of a key named by its id."""
    plan, named = question.plan, question.key
    if named is not None and plan.key.arn is None:
        place = f"arn:{cloud.partition}:kms:{cloud.region}:{caller.account}:key"
        arn = named if named.startswith("arn:") else f"{place}/{named}"
        plan = replace(plan, key=replace(plan.key, arn=arn))
    return replace(plan, emulated=plan.emulated or cloud.emulated)


def _wanted(checks: Iterable[Check], wanted: tuple[str, ...]) -> Iterator[Check]:
    return (check for check in checks if _names(check.name, wanted))


def _is_wanted(look: str, wanted: tuple[str, ...]) -> bool:
    return _names(look, wanted) or any(each.startswith(f"{look}.") for each in wanted)


def _names(name: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or any(name == each or name.startswith(f"{each}.") for each in wanted)
