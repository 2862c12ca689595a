"""`bursar aws access-review`: who can sign, who can change who can, and how."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bursar.cli.shell import Shell, printable, shared_options

if TYPE_CHECKING:
    from rich.text import Text

    from bursar.aws.access.diff import Change

_FEW_ACTIONS = 3
_file = click.Path(dir_okay=False, path_type=Path)


@click.command("access-review")
@click.option("--stack", metavar="NAME", help="CloudFormation stack [default: bursar-treasury].")
@click.option(
    "--expect",
    metavar="ARN",
    multiple=True,
    help="Somebody who is meant to be able to do what they can; may be given again.",
)
@click.option("--report", "report_file", metavar="FILE", type=_file, help="Write FILE.md or .html.")
@click.option("--save", metavar="FILE", type=_file, help="Write the whole review as JSON.")
@click.option("--diff", metavar="FILE", type=_file, help="Compare with an earlier saved review.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@shared_options
@click.pass_obj
def command(
    shell: Shell,
    *,
    stack: str | None,
    expect: tuple[str, ...],
    report_file: Path | None,
    save: Path | None,
    diff: Path | None,
    force: bool,
) -> None:
    """List everyone who can sign with the treasury's key, or change who can, and by which statements.

    It reads the key's policy and grants, every IAM user, group, role and policy, the trust of roles, the resource
    policies of the function and the API, and when users and roles were last used. Nothing is changed. Where the
    documents leave it open somebody is listed, with the condition; service control policies are not seen.

    UNEXPECTED marks whoever is not part of the stack's design. Part of it are its function's role, its API's
    callers, the users and administrators of the key named in its template, and those given with --expect.

    Exit status: 1 where something could not be looked at, where somebody outside the account can sign, or with
    --diff where somebody can do something new or no longer only under conditions; else 0.
    """
    _require_writable(report_file, save, force=force)
    earlier = _earlier(diff)
    document, sound = _review(shell, stack, expect)
    changes = _changes(earlier, document)
    if earlier is not None and earlier.get("complete") is not True:
        shell.say("The earlier review was incomplete: what it did not look at shows as new.")
    if changes is not None:
        document["changes"] = [each.to_json() for each in changes]
    if save is not None:
        _write(save, json.dumps(document, indent=1) + "\n", force=force)
        shell.say(f"The whole review: {save}")
    if report_file is not None:
        _write(report_file, _page(report_file, document, changes), force=force)
        shell.say(f"The report: {report_file}")
    shell.result(document, _table(document, changes))
    if not sound or any(each.wider for each in changes or ()):
        raise click.exceptions.Exit(1)


def _review(
    shell: Shell, stack: str | None, expect: tuple[str, ...]
) -> tuple[dict[str, Any], bool]:
    from bursar.aws.access.gather import gather
    from bursar.aws.access.last_used import with_last_used
    from bursar.aws.access.report import review_document
    from bursar.aws.access.review import review
    from bursar.aws.cloud import Cloud

    cloud = Cloud(shell.config.aws.region)
    with shell.waiting("Reading policies") as update:
        snapshot = gather(cloud, stack or shell.config.aws.stack)
        update("Asking when each was last used")
        able = {each.principal.id for each in review(snapshot, expect).findings}
        snapshot = with_last_used(cloud, snapshot, able)
    found = review(snapshot, expect)
    return review_document(snapshot, found), found.sound


def _earlier(file: Path | None) -> dict[str, Any] | None:
    from bursar import strict_json
    from bursar.errors import ConfigError

    if file is None:
        return None
    try:
        found = strict_json.loads(file.read_bytes())
    except OSError as problem:
        raise ConfigError(f"{file} cannot be read: {problem.strerror}") from None
    except strict_json.NotStrictJson:
        found = None
    if not isinstance(found, dict):
        raise ConfigError(f"{file} is not a saved review", hint="--save writes one")
    return found


def _changes(earlier: dict[str, Any] | None, document: dict[str, Any]) -> tuple[Change, ...] | None:
    from bursar.aws.access.diff import compare

    return None if earlier is None else compare(earlier, document)


def _page(file: Path, document: dict[str, Any], changes: tuple[Change, ...] | None) -> str:
    from bursar.aws.access.report import html_page, markdown

    return (markdown if file.suffix == ".md" else html_page)(document, changes)


def _require_writable(report_file: Path | None, save: Path | None, *, force: bool) -> None:
    from bursar.errors import ConfigError

    if report_file is not None and report_file.suffix not in (".md", ".html"):
        raise ConfigError(f"{report_file} ends in neither .md nor .html", hint="name it so")
    for file in (report_file, save):
        if file is not None and file.exists() and not force:
            raise ConfigError(f"{file} is there already", hint="give another name, or --force")


def _write(file: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    from bursar.errors import ConfigError

    try:
        # Beside its place, since a file is moved in one step only within one file system. Its mode is 0600.
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            if force:
                Path(temporary).replace(file)
            else:
                os.link(temporary, file)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except FileExistsError:
        raise ConfigError(
            f"{file} is there already", hint="give another name, or --force"
        ) from None
    except OSError as problem:
        raise ConfigError(f"{file} cannot be written: {problem.strerror}") from None


def _table(document: dict[str, Any], changes: tuple[Change, ...] | None) -> Text:
    from rich.text import Text

    from bursar.aws.access.report import change_lines, facts, sections, warnings
    from bursar.cli.shell import fields

    lines = [fields(facts(document)), Text()]
    lines += [Text("! ", "bold red") + printable(each) for each in warnings(document)]
    if changes is not None:
        lines += [Text("\nSince the last review", "bold")]
        told = change_lines(changes) or ["Nothing has changed."]
        lines += [printable(f"  {each}") for each in told]
    for title, found in sections(document):
        lines += [Text(f"\n{title}", "bold"), *_rows(found)]
    return Text("\n").join([*lines, Text(), printable(document["unseen"])])


def _rows(found: list[dict[str, Any]]) -> list[Text]:
    from rich.text import Text

    from bursar.aws.access.report import last_used, name, ways

    width = max(len(name(each)) for each in found)
    lines: list[Text] = []
    for each in found:
        mark = Text("expected    ", "dim") if each["expected"] else Text("UNEXPECTED  ", "bold red")
        condition = "  conditional" if each["conditional"] else ""
        line = f"{name(each):<{width}}  last used: {last_used(each)}{condition}"
        lines.append(Text("  ") + mark + printable(line))
        lines += [printable(f"{'':14}{text}") for text in ways(each, _FEW_ACTIONS)]
    return lines
