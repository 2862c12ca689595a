"""`bursar policy`: check a policy, explain a decision, and simulate a change of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bursar.cli.shell import Shell, listing, printable, shared_options
from bursar.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from rich.text import Text

    from bursar.policy.decision import Decision
    from bursar.policy.findings import Finding
    from bursar.policy.model import Policy
    from bursar.policy.proposal import Circumstances, Payment, Proposal
    from bursar.policy.records import Record
    from bursar.policy.simulation import Comparison

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_MARKS = {"allowed": ("✓", "green"), "needs_approval": ("!", "yellow"), "refused": ("✗", "red")}
_MOST_BYTES = 64 * 1024 * 1024


def _of_settings() -> str:
    """Return the settings' policy file, or the usual name."""
    shell: Shell = click.get_current_context().obj
    return shell.config.policy.file or "policy.toml"


policy_option = click.option(
    "--policy",
    "policy_file",
    metavar="FILE",
    type=_FILE,
    default=_of_settings,
    show_default="the settings', or policy.toml",
    help="The policy.",
)


@click.group("policy")
def command() -> None:
    """Say what may be signed: write a policy, check it, explain a decision, simulate a change.

    The deployed signer goes by the policy it was deployed with: bursar aws deploy --policy policy.toml
    """


@command.command("check")
@click.argument("file", type=_FILE, default="policy.toml")
@shared_options
@click.pass_obj
def check(shell: Shell, file: Path) -> None:
    """Check a policy and say in words what each of its rules means.

    Looks for what is wrong (unknown keys, amounts that are no amounts, rules that contradict each other) and for
    what is hardly meant (rules that never act, doors left open), with lines. Exits 1 where something is wrong.
    """
    from bursar.policy.canonical import policy_hash
    from bursar.policy.document import read_document
    from bursar.policy.lint import lint
    from bursar.policy.words import describe
    from bursar.review.chains import CHAINS
    from bursar.review.tokens import DECIMALS

    document = read_document(_read(file))
    findings, policy = lint(document, chains=CHAINS, decimals=DECIMALS), document.policy
    well = all(finding.severity != "error" for finding in findings)
    sentences = describe(policy) if policy else ()
    data = {
        "ok": well,
        "version": policy.version if policy else None,
        "hash": policy_hash(policy) if policy else None,
        "findings": [asdict(finding) for finding in findings],
        "rules": [asdict(sentence) for sentence in sentences],
    }
    lines = [line for finding in findings for line in _finding_lines(str(file), finding)]
    if policy:
        lines += _block([(each.rule, each.text) for each in sentences])
        lines += [printable(f"version {policy.version}, {policy_hash(policy)}")]
    shell.result(data, _text(lines))
    if not well:
        raise click.exceptions.Exit(1)


@command.command("new")
@click.option(
    "--recipient",
    "recipients",
    metavar="NAME=0xADDRESS",
    multiple=True,
    help="Who may be paid. Repeat it.",
)
@click.option(
    "--caller",
    "callers",
    metavar="ARN",
    multiple=True,
    help="The IAM user or role that may ask. Repeat it [default: you].",
)
@click.option("--per-transfer", required=True, metavar="AMOUNT", help="The most one moves: 50.00.")
@click.option("--per-day", required=True, metavar="AMOUNT", help="The most in any 24 hours.")
@click.option("--fee-at-most", default="0.01", show_default=True, help="In the chain's own coin.")
@click.option("--token", metavar="LOCATOR", help="Another token than the settings'.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it there, where no file is yet [default: print it].",
)
@shared_options
@click.pass_obj
def new(
    shell: Shell,
    *,
    recipients: tuple[str, ...],
    callers: tuple[str, ...],
    per_transfer: str,
    per_day: str,
    fee_at_most: str,
    token: str | None,
    output: Path | None,
) -> None:
    """Write a first policy: one token, the recipients you name, a cap and a daily limit.

    It is checked as `bursar policy check` does. Without --caller it asks AWS who you are (sts:GetCallerIdentity).
    """
    from bursar.cli import connect
    from bursar.crossmint.locators import TokenLocator
    from bursar.policy.document import read_document, read_policy
    from bursar.policy.draft import Draft
    from bursar.policy.lint import lint
    from bursar.review.chains import CHAINS
    from bursar.review.tokens import DECIMALS

    locator = TokenLocator.parse(token or shell.config.wallet.token)
    meant = connect.reading_of_settings(shell).token(locator)
    name = (locator.symbol or meant.symbol or "token").lower()
    draft = Draft(
        locator.chain,
        name,
        f"{locator.chain}:{meant.contract or name}",
        meant.decimals or 0,
        per_transfer,
        per_day,
        fee_at_most,
        recipients=dict(_recipient(each) for each in recipients),
        callers=callers or (_whoever_this_is(shell),),
        wallet_factories=shell.config.wallet.factories,
    )
    read_policy(draft.text, str(output or "the policy"))
    document = read_document(draft.text)
    for finding in lint(document, chains=CHAINS, decimals=DECIMALS):
        shell.say(f"{finding.severity}: {finding.message}")
    shell.say(f"who may ask: {', '.join(draft.callers)}")
    if output is None:
        shell.result({"policy": draft.text}, draft.text.rstrip("\n"))
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(draft.text)
    except OSError as problem:
        what = "is there already" if isinstance(problem, FileExistsError) else "cannot be written"
        raise ConfigError(f"{output} {what}", hint="name another file") from None
    shell.result({"file": str(output), "policy": draft.text}, f"{output} is written")


def _recipient(text: str) -> tuple[str, str]:
    name, _, address = text.partition("=")
    if not name or not address:
        raise RequestError(f"{text[:80]!r} is not NAME=0xADDRESS", hint="--recipient ada=0x…")
    return name, address


def _whoever_this_is(shell: Shell) -> str:
    from bursar.aws.cloud import Cloud
    from bursar.policy.principals import identity_of

    arn = Cloud(shell.config.aws.region).caller_arn
    return identity_of(arn) or arn


@command.command("explain")
@click.argument("transaction_id", metavar="[TRANSACTION]", required=False)
@click.option(
    "--proposal",
    "proposal_file",
    metavar="FILE",
    type=_FILE,
    help="What is to be signed, as JSON, instead of a transaction.",
)
@policy_option
@click.option(
    "--records",
    metavar="FILE",
    type=_FILE,
    help="What was decided before, JSON or JSON lines: fills the windows [default: the key's ledger].",
)
@click.option("--by", metavar="ARN", help="Who is to ask [default: you].")
@click.option("--wallet", metavar="LOCATOR", help="Another wallet than the settings'.")
@click.option("--at", metavar="WHEN", help="Decide as of this time [default: now].")
@shared_options
@click.pass_obj
def explain(
    shell: Shell,
    *,
    transaction_id: str | None,
    proposal_file: Path | None,
    policy_file: Path,
    records: Path | None,
    by: str | None,
    wallet: str | None,
    at: str | None,
) -> None:
    """Explain what a transaction does, and what the policy says to it, rule by rule.

    TRANSACTION is Crossmint's id of a transaction, or of an off-chain signature, that waits for the key. Nothing
    is signed, reserved or recorded. What was spent comes from --records or from the key's ledger; where neither
    can be read, a policy with limits refuses. Exits 1 unless it is allowed.
    """
    from bursar.cli.explain import Looked, look
    from bursar.policy.records import proposal_of
    from bursar.policy.rulebook import Rulebook

    if (transaction_id is None) == (proposal_file is None):
        raise RequestError("give either a transaction's id or --proposal")
    rules = Rulebook.read(_read(policy_file), policy_file.name)
    if proposal_file is not None:
        found = Looked(proposal_of(_json(proposal_file)))
    else:
        found = look(shell, rules, transaction_id or "", wallet, by or _whoever_this_is(shell))
    now = _moment(at)
    if found.sentence:
        shell.say(found.sentence)
    if found.deployed not in (None, rules.hash):
        shell.say(
            f"warning: {policy_file} ({rules.hash}) is not the policy that is deployed ({found.deployed}): "
            "the signer may decide otherwise"
        )
    if records is None and found.seen is not None:
        circumstances = found.circumstances(rules.policy, now)
    else:
        circumstances = _circumstances(rules.policy, found.proposal, records, now)
    explained(shell, rules.policy, found.proposal, circumstances)


def explained(
    shell: Shell, policy: Policy, proposal: Proposal, circumstances: Circumstances
) -> None:
    """Print what a policy says to a proposal.

    Raises:
        click.exceptions.Exit: 1, unless it is allowed.
    """
    from bursar.policy.decide import decide
    from bursar.policy.decision import Outcome

    decision = decide(policy, proposal, circumstances)
    shell.result(decision.to_dict(), _explanation(decision))
    if decision.outcome is not Outcome.ALLOWED:
        raise click.exceptions.Exit(1)


@command.command("simulate")
@click.option(
    "--records",
    metavar="FILE",
    type=_FILE,
    help="What was decided, JSON or JSON lines [default: the key's ledger].",
)
@click.option(
    "--since",
    metavar="WHEN",
    help="Show what is not older: 24h, 7d, 2026-11-01 or ISO 8601, in UTC [default: all].",
)
@policy_option
@click.option("--changed", is_flag=True, help="Show only what would be decided otherwise.")
@shared_options
@click.pass_obj
def simulate(
    shell: Shell, *, records: Path | None, since: str | None, policy_file: Path, changed: bool
) -> None:
    """Show what a policy would have decided about past transactions, against what was decided.

    Its windows fill with what it would itself have allowed. Records before --since fill them too, but are not
    shown.
    """
    from bursar.aws.audit.window import parse_moment
    from bursar.cli.explain import decided
    from bursar.policy.records import records_in
    from bursar.policy.simulation import simulate as simulated

    past = records_in(_read(records)) if records else decided(shell)
    begin = parse_moment(since, datetime.now(UTC)) if since else None
    policy = _policy(policy_file)
    found = simulated(policy, past, begin)
    shown = [each for each in found if each.changed or not changed]
    total = {"records": len(found), "changed": sum(each.changed for each in found)}
    rows = [_row(each, policy) for each in shown]
    cells = [[*list(row.values())[:-1], "changed" if row["changed"] else ""] for row in rows]
    told = f"{total['changed']} of {total['records']} would be decided otherwise"
    table = listing(_COLUMNS, cells)
    shell.result(total | {"decisions": rows}, _text([*([table] if rows else []), printable(told)]))


# More payments than these are told by their sums.
_FEW = 3
_COLUMNS = ("at", "transaction", "what", "was", "would be", "because", "")


def _row(comparison: Comparison, policy: Policy) -> dict[str, Any]:
    record, decision = comparison.record, comparison.decision
    decisive = decision.decisive
    return {
        "at": record.at.isoformat(timespec="seconds"),
        "transaction": record.proposal.transaction or "-",
        "what": _what(record, policy),
        "was": record.decided.value if record.decided else "-",
        "wouldBe": decision.outcome.value,
        "because": str(decisive) if decisive else "",
        "changed": comparison.changed,
    }


def _what(record: Record, policy: Policy) -> str:
    from bursar.policy.tokens import amount_text, totals

    proposal = record.proposal
    if len(proposal.payments) > _FEW:
        moved = totals(policy, proposal).items()
        sums = [amount_text(units, policy.tokens[name], name) for name, units in moved]
        return f"{', '.join([*sums, ''])}{len(proposal.payments)} payments"
    paid = [_paid(policy, proposal.chain or "", each) for each in proposal.payments]
    return ", ".join(paid) or proposal.kind.value.replace("_", " ")


def _paid(policy: Policy, chain: str, payment: Payment) -> str:
    """Return a payment as people say it, by the policy's own names where it has them."""
    from bursar.policy.model import address_key
    from bursar.policy.tokens import amount_text, listed_token

    listed = listed_token(policy, chain, payment.contract)
    if listed is None or payment.amount is None:
        much = f"{payment.amount} of {payment.token or payment.contract}"
    else:
        much = amount_text(payment.amount, listed[2], listed[0])
    whom = policy.recipients.allow.get(address_key(payment.recipient) or "", payment.recipient)
    return f"{much} to {whom}"


def _policy(file: Path) -> Policy:
    from bursar.policy.document import read_policy

    return read_policy(_read(file), file.name)


def _circumstances(
    policy: Policy, proposal: Proposal, records: Path | None, now: datetime
) -> Circumstances:
    from bursar.policy.proposal import Circumstances
    from bursar.policy.records import records_in
    from bursar.policy.simulation import circumstances_after

    if records is None:
        return Circumstances(now)
    before = [each for each in records_in(_read(records)) if each.at <= now]
    return circumstances_after(policy, proposal, before, now)


def _moment(at: str | None) -> datetime:
    from bursar.aws.audit.window import parse_moment

    now = datetime.now(UTC)
    return parse_moment(at, now) if at else now


def _json(file: Path) -> Any:
    from bursar.strict_json import NotStrictJson, loads

    try:
        return loads(_read(file))
    except NotStrictJson as problem:
        raise RequestError(f"{file.name}: {problem}") from None


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            body = opened.read(_MOST_BYTES + 1)
    except OSError as problem:
        raise ConfigError(f"{file} cannot be read: {type(problem).__name__}") from None
    if len(body) > _MOST_BYTES:
        raise ConfigError(f"{file} is over {_MOST_BYTES} bytes")
    return body


def _explanation(decision: Decision) -> Text:
    from rich.text import Text

    lines = []
    width = max(len(each.rule) for each in decision.judgements)
    for each in decision.judgements:
        mark, colour = _MARKS[each.outcome.value]
        told = printable(f"{each.rule:<{width}}  {each.value}; {each.limit}")
        lines.append(Text(f"{mark} ", colour) + told)
    outcome = decision.outcome.value.replace("_", " ")
    if decision.approvals_missing:
        outcome += f": {decision.approvals_missing} more, not {', '.join(decision.not_from)}"
    by = f"by version {decision.policy_version}, {decision.policy_hash}"
    return _text([*lines, printable(f"{outcome}, {by}")])


def _finding_lines(file: str, finding: Finding) -> list[Text]:
    from rich.text import Text

    colour = "red" if finding.severity == "error" else "yellow"
    place = printable(f"{file}:{finding.line}:{finding.column}: ")
    lines = [place + Text(f"{finding.severity}: ", colour) + printable(finding.message)]
    if finding.hint:
        lines.append(Text("  hint: ", "yellow") + printable(finding.hint))
    return lines


def _block(pairs: list[tuple[str, str]]) -> list[Text]:
    from rich.text import Text

    width = max(len(name) for name, _ in pairs)
    return [Text(f"{name:<{width}}  ", "dim") + printable(text) for name, text in pairs]


def _text(lines: list[Text]) -> Text:
    from rich.text import Text

    return Text("\n").join(lines)
