"""`bursar aws audit`: every signature of the key, by CloudTrail, against the project's own records."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bursar.cli.shell import Shell, fields, printable, shared_options
from bursar.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bursar.aws.audit import Audit, Subject
    from bursar.aws.audit.records import Record
    from bursar.aws.audit.trail import SignEvent
    from bursar.aws.cloud import Cloud

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("audit")
@click.option("--stack", metavar="NAME", help="CloudFormation stack [default: the settings'].")
@click.option("--key", metavar="KEY", help="Audit this key instead of a stack's, by any name.")
@click.option(
    "--since",
    metavar="WHEN",
    default="24h",
    show_default=True,
    help="Begin of the window: 24h, 7d, 2026-11-01 or ISO 8601, in UTC.",
)
@click.option("--until", metavar="WHEN", help="Its end [default: now].")
@click.option(
    "--records",
    metavar="FILE",
    type=_FILE,
    multiple=True,
    help="More records of signatures: JSON or JSON lines, as `bursar sign --json` or `bursar audit export` print.",
)
@click.option(
    "--log-group",
    metavar="NAME",
    multiple=True,
    help="Another log group that a signing function writes to.",
)
@click.option(
    "--from-log-group",
    is_flag=True,
    help="Read the stack's trail in CloudWatch Logs, not CloudTrail's event history.",
)
@click.option("--trail-log-group", metavar="NAME", help="Read this trail's log group.")
@shared_options
@click.pass_obj
def command(shell: Shell, /, **options: Any) -> None:
    """Compare CloudTrail's Sign events of the key with the signer's own records.

    \b
    matched   CloudTrail has it and so have we.
    retried   An attempt whose answer was lost; the call that was repeated says so.
    early     We have it, and CloudTrail may not have it yet: that takes some minutes, 15 here.
    missing   We have it, and CloudTrail does not.
    foreign   CloudTrail has it, and we do not: somebody else signed with the key, or with
              the function's credentials, or a record was removed.
    refused   KMS turned it down and nothing was signed. Listed with who tried.

    The exit status is 1 where anything is missing or foreign, or where part of the window cannot be seen: logs
    that are kept for less, or CloudTrail's event history, which goes 90 days back. Our records are in the
    function's log group; signatures made in process (`--via kms`) are ours only if --records has them. Of a
    multi-Region key, every Region with a replica is looked at.

    It needs cloudtrail:LookupEvents (or logs:FilterLogEvents on the trail's log group), logs:FilterLogEvents and
    logs:DescribeLogGroups on the function's, and cloudformation:DescribeStacks; with --key kms:DescribeKey and
    kms:ListAliases, and for a multi-Region key kms:DescribeKey.
    """  # noqa: D301  click's mark for lines that are kept as they are
    from bursar.aws.audit import audit
    from bursar.aws.audit.gathering import Gathering
    from bursar.aws.audit.reconciliation import DELIVERY
    from bursar.aws.audit.window import Window
    from bursar.aws.cloud import Cloud

    window = Window.parse(options["since"], options["until"], datetime.now(UTC))
    saved = _saved(options["records"])
    cloud = Cloud(shell.config.aws.region)
    subject = _subject(shell, cloud, options)
    with shell.waiting(f"Reading what KMS signed with {subject.key.arn}") as tell:
        found = audit(Gathering(cloud, window, tell), subject, window, saved)
    shell.result(_as_json(found), _as_text(found))
    for gap in found.gaps:
        shell.say(f"incomplete: {gap}")
    if window.now - window.until < DELIVERY:
        shell.say("CloudTrail may still be waiting for calls of the last 15 minutes.")
    if not found.clean:
        raise click.exceptions.Exit(1)


def _subject(shell: Shell, cloud: Cloud, options: dict[str, Any]) -> Subject:
    from bursar.aws.audit import subject_of_key, subject_of_stack

    if options["key"]:
        if options["stack"]:
            raise ConfigError("--key and --stack name two things to audit", hint="give one")
        found = subject_of_key(cloud, options["key"])
    else:
        found = subject_of_stack(cloud, options["stack"] or shell.config.aws.stack)
    trail = options["trail_log_group"]
    if options["from_log_group"] and not trail:
        trail = found.trail_log_group
        if trail is None:
            raise ConfigError(
                "the stack names no trail's log group",
                hint="name one with --trail-log-group, or leave out --from-log-group",
            )
    groups = dict.fromkeys((*found.log_groups, *options["log_group"]))
    return replace(found, log_groups=tuple(groups), trail_log_group=trail)


def _saved(paths: tuple[Path, ...]) -> tuple[Record, ...]:
    from bursar.aws.audit.records import read_file

    found: list[Record] = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read ({type(error).__name__})") from None
        found += read_file(text, str(path))
    return tuple(found)


def _as_json(found: Audit) -> dict[str, Any]:
    result = found.found
    return {
        **_head(found),
        "clean": found.clean,
        "counts": _counts(found),
        "gaps": list(found.gaps),
        "foreign": [{**_event(each.event), "reason": each.reason} for each in result.foreign],
        "missing": [_record(record) for record in result.missing],
        "early": [_record(record) for record in result.early],
        "retried": [_event(event) for event in result.retried],
        "refused": [_event(event) for event in result.refused],
        "matched": [_event(event) for event in result.matched],
    }


def _as_text(found: Audit) -> RenderableType:
    from rich.console import Group

    summary = fields({**_head(found), **_counts(found), "verdict": _verdict(found)})
    return Group(summary, *(printable(text) for text in _findings(found)))


def _verdict(found: Audit) -> str:
    if found.found.foreign or found.found.missing:
        return "not every signature is accounted for"
    return "part of the window was not seen" if found.gaps else "every signature is accounted for"


def _head(found: Audit) -> dict[str, Any]:
    subject, window = found.subject, found.window
    return {
        "key": subject.key.arn,
        "since": _time(window.since),
        "until": _time(window.until),
        "events_from": subject.trail_log_group or "CloudTrail's event history",
        "records_from": ", ".join(subject.log_groups) or "files only",
    }


def _counts(found: Audit) -> dict[str, int]:
    names = ("matched", "retried", "early", "missing", "foreign", "refused")
    return {name: len(getattr(found.found, name)) for name in names}


def _event(event: SignEvent) -> dict[str, Any]:
    return {**asdict(event), "at": _time(event.at)}


def _record(record: Record) -> dict[str, Any]:
    return {**asdict(record), "at": _time(record.at) if record.at else None}


def _findings(found: Audit) -> list[str]:
    """Return what is not matched, worst first, two lines each: what, when, KMS's id and why; who, from where."""
    result = found.found
    lines = [_of_event("foreign", each.event, each.reason) for each in result.foreign]
    for what, records in (("missing", result.missing), ("early", result.early)):
        lines += [_of_record(what, record) for record in records]
    lines += [_of_event("retried", event, "an answer was lost") for event in result.retried]
    lines += [_of_event("refused", event, event.error_code) for event in result.refused]
    return lines


def _of_event(what: str, event: SignEvent, why: str) -> str:
    who = f"{event.identity} with {event.access_key_id}" if event.access_key_id else event.identity
    origin = f"{who}, from {event.source_ip or '?'} by {event.user_agent or '?'}"
    return _finding(what, event.at, event.request_id, why, origin)


def _of_record(what: str, record: Record) -> str:
    why = "not in CloudTrail" if record.at else "not in CloudTrail's events of this window"
    who = f", for {record.caller}" if record.caller else ""
    return _finding(what, record.at, record.request_id, why, f"recorded in {record.source}{who}")


def _finding(what: str, at: datetime | None, request_id: str, why: str, more: str) -> str:
    when = _time(at) if at else "at no known time"
    # On a line of its own each: what came from elsewhere must not look like another finding.
    first, second = f"{what:8}{when}  {request_id}  {why}", f"        {more}"
    return "\n".join(" ".join(line.split("\n")) for line in (first, second))


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
