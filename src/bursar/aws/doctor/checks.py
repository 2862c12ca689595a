"""What a check says, and a way to run one that no failure gets past. Pure but for what it is given to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from bursar.errors import AwsAccessDenied, BursarError

Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. `name` is `area` or `area.what`; `fix` says what to do next, where there is a need.

    `skip` is for what does not apply yet or cannot be looked at from here; `detail` then says why.
    """

    name: str
    status: Status
    detail: str
    fix: str | None = None

    @property
    def area(self) -> str:
        """What it is about: the first part of its name."""
        return self.name.partition(".")[0]


def ok(name: str, detail: str) -> Check:
    """Return a check that found all well."""
    return Check(name, "ok", detail)


def warn(name: str, detail: str, fix: str | None) -> Check:
    """Return a check that found something to mend, though the signer works."""
    return Check(name, "warn", detail, fix)


def fail(name: str, detail: str, fix: str | None) -> Check:
    """Return a check that found the signer broken or open."""
    return Check(name, "fail", detail, fix)


def skip(name: str, detail: str, fix: str | None = None) -> Check:
    """Return a check that was not made."""
    return Check(name, "skip", detail, fix)


def run(name: str, look: Callable[[], Iterable[Check]]) -> list[Check]:
    """Return what `look` finds; a failure of the look itself is one more finding, after those it made before."""
    found: list[Check] = []
    try:
        for check in look():
            found.append(check)  # noqa: PERF402  one by one: what came before a failure is kept
    except AwsAccessDenied as denied:
        found.append(warn(name, f"not looked at: {denied.message}", denied.hint))
    except BursarError as error:
        found.append(fail(name, error.message, error.hint))
    except Exception as error:  # noqa: BLE001  one broken check must not hide the others
        kind = type(error).__name__
        found.append(fail(name, f"the check itself failed ({kind})", "this is a fault of bursar's"))
    return found


def healthy(checks: Iterable[Check], *, strict: bool = False) -> bool:
    """Tell whether nothing failed; with `strict`, whether nothing is to be mended either."""
    bad = {"fail", "warn"} if strict else {"fail"}
    return not any(check.status in bad for check in checks)
