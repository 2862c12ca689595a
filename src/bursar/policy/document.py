"""`policy.toml` as text becomes a policy, or a list of what is wrong with it, with lines. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from bursar.errors import ConfigError
from bursar.policy.findings import Finding, Findings
from bursar.policy.model import SWITCHES, ApprovalRule, Callers, Limit, Policy, Recipients
from bursar.policy.places import Place, Places, TooDeep, places_in, require_short_keys
from bursar.policy.sections import (
    read_approvals,
    read_callers,
    read_chains,
    read_hours,
    read_limits,
    read_recipients,
    read_tokens,
    read_wallet_factories,
)
from bursar.policy.tables import Float, Table

FILE: Final = "policy.toml"
MAX_BYTES: Final = 262_144
Rule = TypeVar("Rule", Limit, ApprovalRule)

_AT_LINE = re.compile(r"\(at line ([0-9]+), column ([0-9]+)\)")


@dataclass(frozen=True, slots=True)
class Document:
    """A policy file that was read. `policy` is None where there are errors among the findings.

    `limits` and `approvals` are the policy's, in the file's order, so that their places can be found.
    """

    policy: Policy | None
    findings: tuple[Finding, ...]
    places: Places
    limits: tuple[Limit, ...] = ()
    approvals: tuple[ApprovalRule, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings because of which it is no policy."""
        return tuple(each for each in self.findings if each.severity == "error")


def read_policy(text: str | bytes, source: str = FILE) -> Policy:
    """Return the policy of a file's text.

    Raises:
        ConfigError: the first thing that is wrong, with its line.
    """
    document = read_document(text)
    if document.policy is None:
        first, more = document.errors[0], len(document.errors) - 1
        also = f", and {more} more" if more else ""
        raise ConfigError(
            f"{source} line {first.line}: {first.message}{also}",
            hint=first.hint or f"bursar policy check {source} shows all of it",
        )
    return document.policy


def read_document(text: str | bytes) -> Document:
    """Return a file's text as a document. Never raises: what is wrong is in its findings."""
    try:
        if len(text) > MAX_BYTES:
            return _unreadable(f"it is over {MAX_BYTES} bytes")
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        require_short_keys(decoded)
        data = tomllib.loads(decoded, parse_float=Float)
        # TOML ends lines with CR LF too; the reader has taken both for one.
        places = places_in(decoded)
    except UnicodeDecodeError:
        return _unreadable("it is not UTF-8")
    except tomllib.TOMLDecodeError as problem:
        return _not_toml(str(problem), decoded)
    except (RecursionError, TooDeep):
        return _unreadable("it is nested too deeply")
    except ValueError:
        return _unreadable("a number in it is too long")
    findings = Findings(places)
    policy = _policy(data, findings)
    failed = any(each.severity == "error" for each in findings.found)
    found = (
        None
        if failed
        else replace(policy, limits=_set(policy.limits), approvals=_set(policy.approvals))
    )
    return Document(found, findings.ordered(), places, policy.limits, policy.approvals)


def _set(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    # Their order means nothing; in one order, the same rules give the same model and the same words.
    return tuple(sorted(dict.fromkeys(rules), key=repr))


def _policy(data: Mapping[str, Any], findings: Findings) -> Policy:
    top = Table(data, (), findings)
    version = top.number("version", 1, 2**31, required=True)
    allow = _switches(top)
    calls = top.number("calls_at_most", 1, 100)
    factories = read_wallet_factories(top)
    chains = read_chains(top)
    tokens = read_tokens(top)
    recipients = read_recipients(top) or Recipients({}, {})
    policy = Policy(
        version or 0,
        chains,
        tokens,
        recipients,
        read_callers(top) or Callers(frozenset(), frozenset()),
        tuple(read_limits(top, chains, tokens, recipients)),
        read_hours(top),
        tuple(read_approvals(top, tokens)),
        calls or 1,
        allow,
        factories,
    )
    top.finish()
    return policy


def _switches(top: Table) -> frozenset[str]:
    found = set()
    for position, name in top.texts("allow"):
        if name in SWITCHES:
            found.add(name)
        else:
            path = ("allow", position)
            top.findings.error(
                path, f"{name[:40]!r} cannot be allowed", f"one of {', '.join(SWITCHES)}"
            )
    return frozenset(found)


def _unreadable(message: str, place: Place = Place(1, 1)) -> Document:  # noqa: B008  a frozen value
    finding = Finding("error", place.line, place.column, message)
    return Document(None, (finding,), Places("", {}))


def _not_toml(message: str, text: str) -> Document:
    at = _AT_LINE.search(message)
    # The reader says "at end of document" where something is left open.
    place = Place(int(at[1]), int(at[2])) if at else Place(text.count("\n") + 1, 1)
    return _unreadable(f"it is not TOML: {message.partition(' (at ')[0]}", place)
