"""`bursar audit`: the key's ledger, exported and checked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from bursar.cli import connect
from bursar.cli.shell import Shell, listing, printable, shared_options
from bursar.error_status import exit_status
from bursar.errors import ConfigError, LedgerDamaged, RequestError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bursar.ledger.book import Book
    from bursar.ledger.findings import Verification
    from bursar.ledger.verification import Known

# A receipt is some kilobytes; a line beyond this is none.
_LONGEST_LINE = 4 * 1024 * 1024

_VIA = click.option(
    "--via",
    type=click.Choice(["api", "kms"]),
    help="Whose ledger: the deployed signer's, or that of a signer on this machine [default: the settings'].",
)


@click.group("audit")
def command() -> None:
    """Prove that every signature is accounted for, from the key's ledger alone.

    The ledger holds a receipt of each decision and each signature, chained by hashes and written before a
    signature is released. `bursar aws audit` compares with CloudTrail, which counts what KMS did.
    """


@command.command("export")
@click.option(
    "--from",
    "first",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Begin with this receipt.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default="-",
    help="Write to a new file [default: stdout].",
)
@_VIA
@shared_options
@click.pass_obj
def export(shell: Shell, *, first: int, output: Path, via: str | None) -> None:
    """Write the ledger's receipts as JSON lines, one a line, as they are kept.

    It says with which head the export ends: remember it elsewhere, and `verify --head` tells later whether the
    ledger was cut off or written anew. A file is there only once it is whole.

    Needs dynamodb:GetItem and dynamodb:Query on the ledger's table.
    """
    with connect.ledger(shell, via) as book:
        exported(shell, book, first, output)


def exported(shell: Shell, book: Book, first: int, output: Path) -> None:
    """Write a book's receipts from one number on.

    Raises:
        ConfigError: the file is there already, or cannot be written.
        LedgerUnavailable, LedgerError: the ledger could not be read to its end; there is no file then.
    """
    count, last = 0, None
    with _writing(output) as file:
        for text in _counted(shell, book.receipts(first), "exporting"):
            file.write(text + "\n")
            count, last = count + 1, text
    head = _head_of(last)
    if str(output) == "-":
        shell.say(f"{count} receipts, head {head}")
    else:
        shell.result(
            {"file": str(output), "receipts": count, "head": head},
            f"{count} receipts in {output}, head {head}",
        )


@command.command("list")
@click.argument(
    "file",
    required=False,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
)
@click.option(
    "--since",
    metavar="WHEN",
    default="24h",
    show_default=True,
    help="Show what is not older: 24h, 7d, 2026-11-01 or ISO 8601, in UTC.",
)
@_VIA
@shared_options
@click.pass_obj
def listed(shell: Shell, *, file: Path | None, since: str, via: str | None) -> None:
    """List what was decided, signed and consented to: when, by whom, what, and by which rule.

    FILE is an export, `-` is stdin; without it the live ledger is read. Nothing is checked here: `bursar audit
    verify` does that. With --json each receipt is there as it is.
    """
    from bursar.aws.audit.window import parse_moment
    from bursar.cli.receipts import row
    from bursar.ledger.receipts import moment_of, read_receipt

    begin = parse_moment(since, datetime.now(UTC))
    with _texts(shell, file, via) as texts:
        receipts = [read_receipt(text)[0] for text in _counted(shell, texts, "reading")]
    shown = [each for each in receipts if moment_of(each.at) >= begin]
    table = listing(
        ("receipt", "at", "what", "by", "because", "about"), [row(each) for each in shown]
    )
    shell.result([each.to_dict() for each in shown], table if shown else f"nothing since {since}")


@contextmanager
def _texts(shell: Shell, file: Path | None, via: str | None) -> Iterator[Iterator[str]]:
    if file is not None:
        with _reading(file) as lines:
            yield lines
        return
    with connect.ledger(shell, via) as book:
        yield book.receipts()


@command.command("verify")
@click.argument(
    "file",
    required=False,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
)
@click.option(
    "--address", help="The account whose signatures they must be [default: the settings']."
)
@click.option(
    "--head",
    "heads",
    metavar="NUMBER:HASH",
    multiple=True,
    help="A receipt that must be in it, remembered from earlier. Repeat it.",
)
@click.option(
    "--after",
    metavar="NUMBER:HASH",
    help="The receipt before FILE's first: for an export that was made with --from.",
)
@click.option(
    "--policy-hash",
    "policies",
    multiple=True,
    help="Only this policy may have allowed anything. Repeat it.",
)
@_VIA
@shared_options
@click.pass_obj
def verify(
    shell: Shell,
    *,
    file: Path | None,
    address: str | None,
    heads: tuple[str, ...],
    after: str | None,
    policies: tuple[str, ...],
    via: str | None,
) -> None:
    """Check the ledger's chain and each signature in it.

    FILE is an export, `-` is stdin; without it the live ledger is read. Nothing but the receipts is needed: each
    hash is recomputed, each receipt follows the one before, each signature is the account's over the digest that a
    decision before it allowed.

    A chain alone cannot show that its end was cut off, or that all of it was written anew: give a --head you
    remember (each answer and each line of the signer's log has one), and compare with CloudTrail, which counts
    KMS's signatures: bursar aws audit.

    Exits 4 where something is wrong.
    """
    from bursar.ledger.receipts import Head
    from bursar.ledger.verification import Known, parse_head
    from bursar.ledger.verification import verify as verified

    if after and file is None:
        raise RequestError(
            "--after is for a file: the live ledger is read from its first receipt on"
        )
    known = Known(
        address or shell.config.signer.address,
        start=parse_head(after) if after else Head(),
        heads=[parse_head(each) for each in heads],
        policy_hashes=list(policies) or None,
    )
    if file is not None:
        with _reading(file) as lines:
            found = verified(_counted(shell, lines, "checking"), known)
    else:
        found = _verify_live(shell, known, via)
    if file is not None and _is_none(found):
        raise RequestError(
            f"{file} holds no receipts",
            hint="it is not what `bursar audit export` wrote; name another file",
        )
    shell.result(found.to_dict(), _told(found))
    if not found.sound:
        raise click.exceptions.Exit(exit_status(LedgerDamaged("")))


def _is_none(found: Verification) -> bool:
    """Tell whether nothing at all could be read as a receipt."""
    kinds = {each.code.value for each in found.problems}
    return found.counts.receipts > 0 and found.last is None and kinds == {"not_a_receipt"}


def _verify_live(shell: Shell, known: Known, via: str | None) -> Verification:
    from dataclasses import replace

    from bursar.ledger.verification import verify as verified

    with connect.ledger(shell, via) as book:
        # Read before the receipts: whatever the head says must be among them.
        head = book.head()
        heads = [*known.heads, *([head] if head.number else [])]
        held = replace(known, book=book.name, heads=heads)
        return verified(_counted(shell, book.receipts(), "checking"), held)


def _told(found: Verification) -> RenderableType:
    from rich.text import Text

    counts = found.counts
    lines = [
        printable(
            f"{counts.receipts} receipts: {counts.allowed} allowed ({counts.repeated} of them again), "
            f"{counts.needs_approval} to wait, {counts.refused} refused; {counts.signatures} signatures, "
            f"{counts.failures} failures, {counts.consents} consents"
        )
    ]
    rows = [(each.number, each.code.value, each.message) for each in found.problems]
    if rows:
        lines.append(listing(("receipt", "problem", ""), rows))
    notes = [(each.number, each.code.value, each.message) for each in found.notes]
    if notes:
        lines.append(listing(("receipt", "note", ""), notes))
    if found.unlisted:
        lines.append(printable(f"and {found.unlisted} more"))
    lines += [printable(step) for step in _next_steps(found)]
    if found.sound:
        whose = f" by {found.address}" if found.address else ""
        lines.append(
            Text("✓ ", "green") + printable(f"sound: every signature{whose} is accounted for")
        )
    else:
        lines.append(
            Text("✗ ", "red")
            + printable(
                "not sound: keep this ledger as it is, and find out who could write it: bursar aws access-review"
            )
        )
    lines.append(printable(f"head {found.head}"))
    return Text("\n").join(lines)


def _next_steps(found: Verification) -> Iterator[str]:
    from bursar.ledger.findings import Fault, Remark

    faults = {each.code for each in found.problems}
    if Remark.OUTCOME_UNKNOWN in {each.code for each in found.notes}:
        yield "of an unknown outcome CloudTrail knows whether KMS signed: bursar aws audit"
    if faults & {Fault.NO_DECISION, Fault.SECOND_OUTCOME, Fault.OTHER_OPERATION}:
        yield "a signature that no decision allowed: disable the key in KMS, then ask who signed: bursar aws audit"
    if faults & {Fault.MISSING, Fault.HEAD_MISSING} and found.first and found.first[0] > 1:
        yield "an export that begins later is checked with --after, and the head before it"


def _head_of(text: str | None) -> str | None:
    """Return the head that a receipt is, None where it is none."""
    from bursar.ledger.receipts import read_receipt

    try:
        return str(read_receipt(text)[0].head) if text else None
    except LedgerDamaged:
        return None


def _counted(shell: Shell, texts: Iterable[str], what: str) -> Iterator[str]:
    """Yield the texts, showing how many there were on a terminal."""
    if shell.json or not shell.err.is_terminal:
        yield from texts
        return
    with shell.waiting(f"{what} …") as report:
        for number, text in enumerate(texts, 1):
            if number % 500 == 0:
                report(f"{what} … {number} receipts")
            yield text


@contextmanager
def _writing(output: Path) -> Iterator[IO[str]]:
    """Yield a new file, which is taken away again unless it was written to its end.

    Half an export is a sound chain to whoever does not remember its head.
    """
    if str(output) == "-":
        yield sys.stdout
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            try:
                yield file
            except BaseException:
                output.unlink(missing_ok=True)
                raise
    except OSError as problem:
        raise ConfigError(f"{output} cannot be written: {type(problem).__name__}") from None


@contextmanager
def _reading(file: Path) -> Iterator[Iterator[str]]:
    with click.open_file(str(file), encoding="utf-8", errors="surrogateescape") as opened:
        yield _lines(opened)


def _lines(opened: IO[str]) -> Iterator[str]:
    while line := opened.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise LedgerDamaged("a line of the export is too long to be a receipt")
        if line.strip():
            yield line.rstrip("\n")
