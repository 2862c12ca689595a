from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.payouts.page import html_page
from bursar.payouts.report import Report
from bursar.payouts.results import LineResult, State
from bursar.payouts.style import STYLE
from tests.unit.payouts.payday import (
    EACH_STATE,
    plan_of,
    report_of,
    result,
    results_of,
    seen_on_chain,
)
from tests.unit.payouts.payroll import USDC

PLAN = plan_of(12, "Gehalt")
EVERY = results_of(PLAN, EACH_STATE)
_VOID = {"meta", "br", "path"}


class Reader(HTMLParser):
    """Reads a page as strictly as HTML can be read: every element that is opened is closed, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self.open[-1:]:
            self.texts.setdefault(tag, []).append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(report: Report) -> Reader:
    return Reader(html_page(report))


def sums(report: Report) -> Iterator[list[list[str]]]:
    """The rows of each token's sums, from `in the file` to `check`."""
    table: list[list[str]] = []
    for row in read(report).rows:
        table.append(row)
        if row[0] == "in the file":
            table = [row]
        if row[0] == "check":
            yield [*table]


def test_the_sums_on_the_page_add_up_to_the_base_unit():
    seen = seen_on_chain(PLAN, EVERY)
    tables = list(sums(report_of(PLAN, EVERY, seen)))
    assert len(tables) == 2
    for total, (whole, *states, summed, chain, check) in zip(PLAN.totals, tables, strict=True):
        assert [row[0].split(" ", 1)[1] for row in states] == [state.words for state in State]
        assert whole[1:] == [str(total.count), total.text, str(total.units)]
        assert summed[1:] == whole[1:]
        for column in (1, 3):
            assert sum(int(row[column]) for row in states) == int(whole[column])
        assert chain == ["seen on the chain", "", states[-1][2], states[-1][3]]
        assert check[1] == "✓ adds up to the base unit, and what was paid was seen on the chain"


def test_without_the_chain_s_word_it_is_not_spoken_of():
    for table in sums(report_of(PLAN, EVERY)):
        assert table[-1][1] == "✓ adds up to the base unit"
        assert table[-2][0] == "sum of the states"


def test_what_does_not_add_up_is_an_alarm_at_the_top_and_at_the_sums():
    page = read(report_of(PLAN, EVERY[1:], {USDC: 1}))
    assert {"class": "verdict alarm"} in page.named("div")
    told = " ".join(page.texts["bdi"])
    assert "line 2 (p-1) has no result" in told
    assert [row["class"] for row in page.named("tr") if row.get("class") in ("alarm", "sound")] == [
        "alarm",
        "alarm",
    ]
    assert "verdict alarm" not in html_page(report_of(PLAN, EVERY))


def test_very_many_faults_are_counted_and_not_all_written():
    page = html_page(report_of(plan_of(100), []))
    assert "and 82 more" in page
    assert "It does not add up (no results)" in page


def test_states_come_worst_first_and_what_needs_nobody_is_folded():
    page = read(report_of(PLAN, EVERY))
    sections = [each["id"] for each in page.named("section")]
    assert sections == ["contradicted", "failed", "pending", "cancelled", "not_started", "paid"]
    assert ["open" in each for each in page.named("details")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_every_line_is_in_one_section_and_can_be_linked_to():
    page = read(report_of(PLAN, EVERY))
    ids = [each["id"] for _, each in page.elements if "id" in each]
    assert max(Counter(ids).values()) == 1
    assert {f"line-{line.number}" for line in PLAN.lines} <= set(ids)


def test_the_links_at_the_top_lead_to_every_section():
    page = read(report_of(PLAN, EVERY))
    targets = [str(each["href"]) for each in page.named("a")]
    assert targets == ["#top", *(f"#{state.value}" for state in State)]
    assert set(targets) <= {f"#{each['id']}" for _, each in page.elements if "id" in each}


def test_a_failure_has_its_reason_and_what_to_do():
    page = html_page(report_of(PLAN, EVERY))
    assert "because of failed" in page
    assert "<em><bdi>put right what the reason says, and pay it under a new id</bdi></em>" in page


def test_a_line_has_what_proves_it():
    page = html_page(report_of(PLAN, EVERY))
    for each in EVERY:
        for value in (each.transaction, each.chain_transaction, each.kms_request, each.digest):
            assert value in page


def test_results_and_lines_that_miss_each_other_come_first():
    page = read(report_of(PLAN, [*EVERY[1:], result("q-1", State.PAID)]))
    assert page.named("section")[0]["id"] == "no_result"
    assert ["", "q-1", "", ""] in [row[:4] for row in page.rows]


def test_the_page_says_what_it_was_of():
    page = html_page(report_of(PLAN, EVERY))
    for value in (PLAN.hash, PLAN.address, "evm:smart:alias:treasury", "2026-11-25T12:02:00Z"):
        assert value in page
    bare = html_page(report_of(PLAN, EVERY, who="", policy_hash="", started=None, ended=None))
    assert bare.count("not known") == 4


def test_the_page_loads_nothing_and_runs_nothing():
    page = html_page(report_of(PLAN, EVERY))
    assert not re.search(r"https?:|//|url\(|@import|<script|<link|<img|\son\w+=|src=", page)
    assert "default-src 'none'" in page


def test_tables_have_headers_and_names():
    page = read(report_of(PLAN, EVERY))
    assert page.named("html") == [{"lang": "en"}]
    assert page.texts["title"] == ["Payout payroll.csv", "Payments over time"]
    assert {each.get("scope") for each in page.named("th")} == {"row", "col"}
    assert all(row for row in page.rows)


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></td></table><h1>paid</h1>",
    "&lt;b&gt; &amp; ' \"",
    "تحويل الرواتب",
    "evil\u202egnp.exe",
    "a\u200bb\x00c\x1b[31m",
    "👩‍💻🎉",
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_somebody_wrote_is_text_and_nothing_else(text):
    def failed(said: str) -> list[LineResult]:
        return [
            LineResult("p-1", State.FAILED, said, said, None, said, said, said, said, said),
            *EVERY[1:],
        ]

    usual = read(report_of(PLAN, failed("x")))
    lines = (replace(PLAN.lines[0], note=text), *PLAN.lines[1:])
    hostile = replace(PLAN, lines=lines)
    report = report_of(hostile, failed(text), file=text, who=text, policy_hash=text)
    page = read(report)
    assert [name for name, _ in page.elements] == [name for name, _ in usual.elements]
    html_page(report).encode("utf-8")
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    assert shown in page.texts["bdi"]
    assert any(shown in row[-1] for row in page.rows)


@given(st.text(max_size=40))
def test_any_note_leaves_the_page_whole(text):
    page = read(report_of(PLAN, [LineResult("p-1", State.PAID, reason=text), *EVERY[1:]]))
    assert len(page.named("section")) == 6


def test_ten_thousand_lines_make_a_page_that_is_still_of_use():
    plan = plan_of(10_000, "Gehalt November")
    page = html_page(report_of(plan, results_of(plan, (State.PAID,) * 99 + (State.FAILED,))))
    assert len(page) < 10 * 1024 * 1024
    assert page.index('id="failed"') < page.index('id="paid"')
    assert page.count('<tr id="line-') == 10_000


def luminance(colour: str) -> float:
    parts = [
        int(each * (2 if len(colour) == 4 else 1), 16) / 255
        for each in re.findall("." if len(colour) == 4 else "..", colour[1:])
    ]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", range(2), ids=["light", "dark"])
def test_colours_have_the_contrast_that_text_needs(scheme):
    colours = dict(re.findall(r"--(\w+):(#\w+)", STYLE.split(":root")[scheme + 1]))
    for name, other in [
        *((each, "bg") for each in [*State, "fg", "link"]),
        ("fg", "alarm"),
        ("fg", "sound"),
        ("fg", "soft"),
    ]:
        one, two = sorted((luminance(colours[str(name)]), luminance(colours[other])))
        assert (two + 0.05) / (one + 0.05) >= 4.5, (name, other)
