"""A payout's report as one HTML page that loads nothing and runs nothing. Pure.

What went wrong comes first. The links at the top filter by state, by style sheet alone (`:has(:target)`).
Everything that comes from a file or from somebody's answer is escaped and isolated (`bdi`); what does not print is
shown as a mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from bursar.payouts.chart import chart
from bursar.payouts.reconciliation import Account, Entry, Reconciliation
from bursar.payouts.report import Report, moment
from bursar.payouts.results import State
from bursar.payouts.style import STYLE
from bursar.version import VERSION

_MARKS: Final = {
    State.CONTRADICTED: "‼",
    State.FAILED: "✗",
    State.PENDING: "…",
    State.CANCELLED: "⊘",
    State.NOT_STARTED: "○",
    State.PAID: "✓",
}
_OPEN: Final = (State.CONTRADICTED, State.FAILED, State.PENDING)
_NO_RESULT: Final = "no_result"
_COLUMNS: Final = ("Line", "Id", "Recipient", "Amount", "What happened", "Proof", "Note")
_SUM_COLUMNS: Final = ("State", "Lines", "Amount", "Base units")
_MOST_FAULTS: Final = 20
# Were anything in the page to ask for something, a browser would refuse.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def html_page(report: Report) -> str:
    """Return the report as a page: does it add up, what it was, sums by token, payments over time, every line."""
    found = report.reconciliation
    sections = list(_sections(found))
    body = [
        f'<header id="top"><h1>Payout {_text(report.header.file)}</h1>{_verdict(found)}</header>',
        f'<nav aria-label="Filter by state">{_links(sections)}</nav>',
        f"<main>{_facts(report)}<h2>Sums</h2>{''.join(map(_sums, found.accounts))}",
        _over_time(report),
        *(_section(name, title, entries) for name, title, entries in sections),
        "</main>",
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
        f"<title>Payout {escape(_printable(report.header.file))}</title><style>{STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{"".join(body)}</body></html>\n'


def _verdict(found: Reconciliation) -> str:
    told = ", ".join(
        f"{found.count(state):,} {state.words}" for state in State if found.count(state)
    )
    if found.sound:
        return f'<p class="verdict sound">✓ Everything adds up: {told}.</p>'
    shown, more = found.faults[:_MOST_FAULTS], len(found.faults) - _MOST_FAULTS
    faults = [_text(each) for each in shown] + ([f"and {more:,} more"] if more > 0 else [])
    items = "".join(f"<li>{each}</li>" for each in faults)
    return (
        f'<div class="verdict alarm"><p>✗ It does not add up ({told or "no results"}).</p>'
        f"<ul>{items}</ul></div>"
    )


def _links(sections: Iterable[tuple[str, str, list[Entry]]]) -> str:
    links = [f'<a href="#{name}">{title}</a>' for name, title, _ in sections]
    return " ".join(['<a href="#top">all</a>', *links])


def _facts(report: Report) -> str:
    plan, header = report.plan, report.header
    facts = {
        "file": header.file,
        "plan": plan.hash,
        "treasury": str(plan.wallet),
        "wallet": plan.address,
        "chain": plan.chain,
        "paid by": header.who or "not known",
        "policy": header.policy_hash or "not known",
        "from": moment(header.started) or "not known",
        "to": moment(header.ended) or "not known",
        "report made": moment(header.made),
        "bursar": VERSION,
    }
    rows = (
        f'<tr><th scope="row">{name}</th><td>{_text(value)}</td></tr>'
        for name, value in facts.items()
    )
    return f'<table class="facts"><caption>What it was</caption>{"".join(rows)}</table>'


def _sums(account: Account) -> str:
    """Return a token's sums as a table whose last row says whether they add up."""
    total = account.total
    rows = [_sum("in the file", total.count, total.units, account, "total")]
    for state, (count, units) in account.states.items():
        mark = f"{_MARKS[state]} {state.words}"
        rows.append(_sum(mark, count, units, account, state.value))
    count = sum(count for count, _ in account.states.values())
    rows.append(_sum("sum of the states", count, total.units - account.missing, account, "total"))
    if account.on_chain is not None:
        rows.append(_sum("seen on the chain", None, account.on_chain, account, ""))
    if account.faults:
        check = "".join(f"<p>✗ {_text(each)}</p>" for each in account.faults)
    else:
        proof = "" if account.on_chain is None else ", and what was paid was seen on the chain"
        check = f"✓ adds up to the base unit{proof}"
    kind = "alarm" if account.faults else "sound"
    rows.append(f'<tr class="{kind}"><th scope="row">check</th><td colspan="3">{check}</td></tr>')
    return (
        f'<table class="sums"><caption>{_text(total.name)}</caption>{_head(_SUM_COLUMNS)}'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _sum(name: str, count: int | None, units: int, account: Account, kind: str) -> str:
    counted = "" if count is None else f"{count:,}"
    amount = _amount(units, account.total.token.decimals or 0)
    return (
        f'<tr class="{kind}"><th scope="row">{name}</th><td class="n">{counted}</td>'
        f'<td class="n">{amount}</td><td class="n">{units}</td></tr>'
    )


def _over_time(report: Report) -> str:
    drawing = chart(report.results)
    return f'<h2>Over time</h2><figure class="chart">{drawing}</figure>' if drawing else ""


def _sections(found: Reconciliation) -> Iterator[tuple[str, str, list[Entry]]]:
    """Return the entries by state, worst first: an anchor, a title, and those in it. Empty states are left out."""
    lost = [each for each in found.entries if each.line is None or each.result is None]
    if lost:
        yield _NO_RESULT, f"! {len(lost):,} without a line or a result", lost
    for state in State:
        mine = [
            each
            for each in found.entries
            if each.line is not None and each.result is not None and each.result.state is state
        ]
        if mine:
            yield state.value, f"{_MARKS[state]} {len(mine):,} {state.words}", mine


def _section(name: str, title: str, entries: list[Entry]) -> str:
    is_open = name == _NO_RESULT or State(name) in _OPEN
    rows = "".join(map(_row, entries))
    return (
        f'<section class="state {name}" id="{name}"><details{" open" if is_open else ""}>'
        f'<summary><h2>{title}</h2></summary><div class="wide"><table class="lines">{_head(_COLUMNS)}'
        f"<tbody>{rows}</tbody></table></div></details></section>\n"
    )


def _head(columns: Iterable[str]) -> str:
    cells = "".join(f'<th scope="col">{column}</th>' for column in columns)
    return f"<thead><tr>{cells}</tr></thead>"


def _row(entry: Entry) -> str:
    line = entry.line
    if line is None:
        own_id = entry.result.id if entry.result else ""
        cells = ["", _text(own_id), "", "", _happened(entry), _proof(entry), ""]
        return f"<tr>{''.join(f'<td>{each}</td>' for each in cells)}</tr>"
    amount = f"{_amount(line.units, line.meant.decimals or 0)} {_text(line.meant.symbol or str(line.token))}"
    return (
        f'<tr id="line-{line.number}"><td class="n">{line.number}</td><th scope="row">{_text(line.id)}</th>'
        f'<td><code>{_text(str(line.recipient))}</code></td><td class="n">{amount}</td>'
        f"<td>{_happened(entry)}</td><td>{_proof(entry)}</td><td>{_text(line.note)}</td></tr>\n"
    )


def _happened(entry: Entry) -> str:
    result = entry.result
    if result is None:
        return "nobody says what became of it"
    told = [_text(result.reason)] if result.reason else []
    if result.advice:
        told.append(f"<em>{_text(result.advice)}</em>")
    times = " to ".join(filter(None, (moment(result.started), moment(result.ended))))
    return "<br>".join([*told, times] if times else told) or result.state.words


def _proof(entry: Entry) -> str:
    result = entry.result
    if result is None:
        return ""
    named = {
        "Crossmint": result.transaction,
        "chain": result.chain_transaction,
        "KMS": result.kms_request,
        "digest": result.digest,
        "batch": result.batch,
    }
    known = [f"{name} <code>{_text(value)}</code>" for name, value in named.items() if value]
    return "<br>".join(known)


def _amount(units: int, decimals: int) -> str:
    # Sums of what somebody states may be past what one amount can be.
    scale = 10**decimals
    return (
        f"{units // scale}.{units % scale:0{decimals}}".rstrip("0").rstrip(".")
        if decimals
        else str(units)
    )


def _text(text: str) -> str:
    """Return somebody's text as HTML. Which way it runs changes nothing around it."""
    return f"<bdi>{escape(_printable(text))}</bdi>" if text else ""


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
