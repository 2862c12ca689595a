"""The signing function: can it be invoked, and does it run as it was deployed?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bursar.aws.cloud import aws_errors
from bursar.aws.doctor.case import Case
from bursar.aws.doctor.checks import Check, fail, ok, skip
from bursar.aws.running import running


def function(case: Case) -> Iterator[Check]:
    """Is the function ready, and are its code and settings those of the stack?

    It costs `lambda:GetFunctionConfiguration`, `ListAliases` and `ListVersionsByFunction`.
    """
    name = case.outputs.get("FunctionName")
    if name is None:
        yield skip("function", case.why_not)
        return
    # What callers reach; before there were aliases that was the latest state.
    alias = case.outputs.get("FunctionAlias", "$LATEST")
    with aws_errors():
        found: Any = case.cloud.functions.get_function_configuration(
            FunctionName=name, Qualifier=alias
        )
    state, update = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
    if (state, update) == ("Active", "Successful"):
        yield ok("function.state", f"{name} is Active")
    else:
        reason = (
            found.get("StateReason") or found.get("LastUpdateStatusReason") or "no reason given"
        )
        yield fail(
            "function.state",
            f"{name} is {state}, its last update {update}: {' '.join(reason.split())[:200]}",
            "`bursar aws deploy` puts it right; an Inactive function wakes up at its next call",
        )
    yield _as_deployed(case)


def _as_deployed(case: Case) -> Check:
    live = running(case.cloud, case.outputs)
    if live.differences:
        return fail(
            "function.deployed",
            f"not as it was deployed: {', '.join(live.differences)}; bare hashes are {live.blind_signing}",
            "; ".join(["find out who changed it; then put it back", *live.repairs]),
        )
    return ok("function.deployed", f"as deployed; bare hashes are {live.blind_signing}")
