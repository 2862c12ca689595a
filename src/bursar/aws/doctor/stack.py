"""The stack itself, and what a first deployment will stumble over: the code's bucket, Lambda's concurrency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bursar.aws.cloud import aws_errors, error_code
from bursar.aws.doctor.case import Case
from bursar.aws.doctor.checks import Check, fail, ok, skip, warn
from bursar.aws.preflight import room

_GOOD = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}


def stack(case: Case) -> Iterator[Check]:
    """Is the stack there, and in a state that can be updated?"""
    found, name = case.stack, case.question.stack
    if found is None or found.status == "REVIEW_IN_PROGRESS":
        yield skip("stack", f"there is no stack {name} yet", "`bursar aws deploy` makes it")
    elif found.status == "UPDATE_ROLLBACK_COMPLETE":
        yield warn(
            "stack",
            f"{name} is {found.status}: the last deployment failed and was taken back",
            "`bursar aws deploy` tries again, and says what fails",
        )
    elif found.status in _GOOD:
        yield ok("stack", f"{name} is {found.status}")
        if not found.protected:
            yield warn(
                "stack.protection",
                f"{name} could be deleted by mistake: termination protection is off",
                "`bursar aws deploy` switches it on",
            )
    elif found.status.endswith("_IN_PROGRESS"):
        yield warn("stack", f"{name} is {found.status}", "wait for it, and look again")
    else:
        yield fail("stack", f"{name} is {found.status}", "`bursar aws deploy` says the way out")


def bucket(case: Case) -> Iterator[Check]:
    """Is the bucket of the function's code ours, or its name still free? It costs `s3:ListBucket`."""
    from botocore.exceptions import ClientError

    if case.plan.compute != "lambda":
        return
    name = case.place.code_bucket
    with aws_errors():
        try:
            case.cloud.s3.head_bucket(Bucket=name, ExpectedBucketOwner=case.caller.account)
        except ClientError as error:
            yield from _no_bucket(case, name, error_code(error), error.response)
            return
    yield ok("bucket", f"{name} is this account's")


def _no_bucket(case: Case, name: str, code: str, response: Any) -> Iterator[Check]:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in {"404", "NoSuchBucket", "NotFound"} or status == 404:
        if case.question.bucket:
            yield fail("bucket", f"there is no bucket {name}", "make it, or leave out --bucket")
        else:
            yield ok("bucket", f"{name} is free; the first deployment makes it")
    else:
        deployed = case.stack is not None or not case.readable
        yield (warn if deployed else fail)(
            "bucket",
            f"{name} is another account's, or the caller lacks s3:ListBucket on it",
            "let the caller have it, or name a bucket of this account's with --bucket",
        )


def concurrency(case: Case) -> Iterator[Check]:
    """Can it have its reserved concurrency? It costs `lambda:GetAccountSettings` and `GetFunctionConcurrency`."""
    wanted = case.plan.function.reserved_concurrency
    if case.plan.compute != "lambda" or wanted is None:
        yield skip("concurrency", "none is to be reserved")
    elif "FunctionName" not in case.outputs:
        yield _room(case, wanted)
    elif case.cloud.emulated:
        yield skip("concurrency", "the local emulator's CloudFormation reserves none")
    elif (held := _held(case)) != wanted:
        yield warn(
            "concurrency",
            f"{held or 'none'} reserved for the function, where the plan has {wanted}",
            "`bursar aws deploy` puts it right",
        )
    else:
        yield ok("concurrency", f"{wanted} reserved for the function")


def _room(case: Case, wanted: int) -> Check:
    with aws_errors():
        limits: Any = case.cloud.functions.get_account_settings()["AccountLimit"]
    total, free = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    left, kept = room(limits, wanted)
    if left < kept:
        return fail(
            "concurrency",
            f"{wanted} cannot be reserved: {free} of {total} are free, and {kept} have to stay so",
            "ask AWS for more under Service Quotas, Lambda, Concurrent executions; "
            "or set function.reserved_concurrency lower, 0 for none",
        )
    return ok("concurrency", f"{wanted} can be reserved; {left} of {total} stay free")


def _held(case: Case) -> int | None:
    with aws_errors():
        found = case.cloud.functions.get_function_concurrency(
            FunctionName=case.outputs["FunctionName"]
        )
    return found.get("ReservedConcurrentExecutions")
