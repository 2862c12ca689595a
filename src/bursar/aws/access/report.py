"""A review as a JSON document, and from that as text for a terminal, as Markdown and as HTML. Pure.

The document is the one truth: what is printed, filed and compared is made from it. Names in it are other people's
(policies, Sids, grants), so they are escaped, and control characters show as themselves.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from bursar.aws.access.abilities import SIGNING, TITLES
from bursar.aws.access.diff import FORMAT, Change
from bursar.aws.access.review import UNSEEN, Finding, Review
from bursar.aws.access.snapshot import Snapshot, to_json
from bursar.version import VERSION

Json = dict[str, Any]

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1b1b1b}"
    "table{border-collapse:collapse;width:100%;margin:0 0 1.5rem}"
    "th,td{border:1px solid #ccc;padding:.35rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}"
    "th{background:#f3f3f3}.no td:first-child{background:#fde3e0;font-weight:600}"
    ".alarm{border-left:4px solid #b3261e;padding:.1rem 1rem;background:#fde3e0}code{font-size:13px}"
)


def review_document(snapshot: Snapshot, review: Review) -> Json:
    """Return all of a review as JSON values, with the snapshot that it was made from."""
    return {
        "format": FORMAT,
        "taken": snapshot.taken,
        "caller": snapshot.caller,
        "account": snapshot.account,
        "region": snapshot.region,
        "stack": snapshot.stack,
        "stack_id": snapshot.stack_id,
        "key_arn": snapshot.outputs.get("KeyArn"),
        "address": snapshot.outputs.get("SignerAddress"),
        "bursar": VERSION,
        "snapshot_sha256": snapshot.digest,
        "complete": not review.gaps,
        "sound": review.sound,
        "not_looked_at": [asdict(gap) for gap in review.gaps],
        "unseen": UNSEEN,
        "findings": [_finding(each) for each in review.findings],
        "snapshot": to_json(snapshot),
    }


def _finding(finding: Finding) -> Json:
    return {
        "ability": finding.ability,
        "principal": asdict(finding.principal),
        "expected": finding.expected,
        "conditional": finding.conditional,
        "outside": finding.outside,
        "last_used": finding.last_used,
        "paths": [
            {
                "actions": list(path.actions),
                "resource": path.resource,
                "statements": list(path.statements),
                "conditions": list(path.conditions),
            }
            for path in finding.paths
        ],
    }


def facts(document: Json) -> dict[str, str]:
    """Return what identifies a review, by the names to print."""
    named = {
        "taken": f"{document['taken']} (UTC)",
        "account": document["account"],
        "region": document["region"],
        "stack": document["stack"],
        "key": document["key_arn"] or "not known",
        "address": document["address"] or "not among the stack's outputs",
        "run by": document["caller"],
        "bursar": document["bursar"],
        "snapshot sha256": document["snapshot_sha256"],
    }
    return {name: _plain(str(value)) for name, value in named.items()}


def warnings(document: Json) -> list[str]:
    """Return what makes a review alarming or incomplete, a line each."""
    alarms = [
        f"outside the account: {name(each)} can {TITLES[each['ability']].lower()}"
        for each in document["findings"]
        if each["outside"] and each["ability"] in SIGNING
    ]
    gaps = [f"not looked at: {g['what']}, needs {g['needs']}" for g in document["not_looked_at"]]
    return [_plain(each) for each in (*alarms, *gaps)]


def name(finding: Json) -> str:
    """Return who a finding is about, as people say it."""
    kind, given = finding["principal"]["kind"], _plain(finding["principal"]["id"])
    words = {
        "root": "the account's root user",
        "everyone": "EVERYONE, in any account or none",
        "service": f"AWS service {given}",
        "account": f"anybody in account {given}",
        "federated": f"identity provider {given}",
    }
    return words.get(kind, given)


def ways(finding: Json, limit: int = 1000) -> list[str]:
    """Return the ways of a finding, a line each; `limit` is how many actions to name in one."""
    return [_plain(way(path, limit)) for path in finding["paths"]]


def way(path: Json, limit: int = 1000) -> str:
    """Return one way in words: what, on what, by which statements, under which conditions."""
    actions, more = path["actions"][:limit], len(path["actions"]) - limit
    what = ", ".join(actions) + (f" and {more} more" if more > 0 else "")
    under = f", if {'; and '.join(path['conditions'])}" if path["conditions"] else ""
    return f"{what} on {path['resource']} by {' with '.join(path['statements'])}{under}"


def sections(document: Json) -> Iterator[tuple[str, list[Json]]]:
    """Return the findings by the title of their ability."""
    for ability, found in groupby(document["findings"], key=lambda each: each["ability"]):
        yield TITLES.get(ability, ability), list(found)


def change_lines(changes: Iterable[Change]) -> list[str]:
    """Return the differences to an earlier review, a line each."""
    lines = []
    for change in changes:
        wider = " (wider)" if change.wider and change.kind == "changed" else ""
        who = name({"principal": change.principal})
        lines.append(f"{change.kind}{wider}: {who}: {TITLES.get(change.ability, change.ability)}")
        lines += [f"  {detail}" for detail in change.details]
    return [_plain(line) for line in lines]


def markdown(document: Json, changes: tuple[Change, ...] | None = None) -> str:
    """Return the report as Markdown. `changes` are those since an earlier review, None where none was given."""
    lines = ["# Access review", ""]
    lines += ["| | |", "| --- | --- |"]
    lines += [f"| {label} | {_cell(value)} |" for label, value in facts(document).items()]
    lines += ["", *(f"- **{_cell(each)}**" for each in warnings(document))]
    if changes is not None:
        told = change_lines(changes) or ["Nothing has changed."]
        lines += ["", "## Since the last review", "", *(f"- {_cell(each)}" for each in told)]
    for title, found in sections(document):
        lines += ["", f"## {title}", "", "| expected? | who | last used | how |"]
        lines += ["| --- | --- | --- | --- |"]
        lines += [f"| {' | '.join(map(_cell, _row(each)))} |" for each in found]
    lines += ["", "## What this review cannot see", "", document["unseen"]]
    return "\n".join(lines) + "\n"


def html_page(document: Json, changes: tuple[Change, ...] | None = None) -> str:
    """Return the report as one HTML page that loads nothing."""
    body = ["<h1>Access review</h1>", _html_facts(document)]
    if alarming := warnings(document):
        body.append(f'<div class="alarm">{_html_list(alarming)}</div>')
    if changes is not None:
        told = change_lines(changes) or ["Nothing has changed."]
        body.append(f"<h2>Since the last review</h2>{_html_list(told)}")
    for title, found in sections(document):
        rows = "".join(_html_row(each) for each in found)
        head = "<tr><th>expected?</th><th>who</th><th>last used</th><th>how</th></tr>"
        body.append(f"<h2>{html.escape(title)}</h2><table>{head}{rows}</table>")
    body.append(f"<h2>What this review cannot see</h2><p>{html.escape(document['unseen'])}</p>")
    head = f'<meta charset="utf-8"><title>Access review</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{"".join(body)}</body></html>\n'


def _row(finding: Json) -> tuple[str, str, str, str]:
    return _expected(finding), name(finding), last_used(finding), "\n".join(ways(finding))


def _expected(finding: Json) -> str:
    conditional = ", conditional" if finding["conditional"] else ""
    return f"{'expected' if finding['expected'] else 'UNEXPECTED'}{conditional}"


def last_used(finding: Json) -> str:
    """Return when a finding's principal was last used; AWS tells it of users and roles only."""
    if finding["principal"]["kind"] not in ("user", "role"):
        return "not told"
    return _plain(finding["last_used"] or "never, or not known")


def _html_facts(document: Json) -> str:
    rows = (
        f"<tr><th>{html.escape(label)}</th><td>{html.escape(value)}</td></tr>"
        for label, value in facts(document).items()
    )
    return f"<table>{''.join(rows)}</table>"


def _html_list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>"


def _html_row(finding: Json) -> str:
    cells = (f"<td>{html.escape(cell).replace(chr(10), '<br>')}</td>" for cell in _row(finding))
    return f'<tr class="{"yes" if finding["expected"] else "no"}">{"".join(cells)}</tr>'


_MARKS = re.compile(r"([\\`*_\[\]<>|&#~!])")


def _cell(text: str) -> str:
    return _MARKS.sub(r"\\\1", text).replace("\n", "<br>")


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
