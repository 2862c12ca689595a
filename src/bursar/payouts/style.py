"""The report's style sheet: light and dark, on screens and on A4. Pure.

Colours are chosen so that people with any colour vision can tell them apart (after Okabe and Ito, darkened to a
contrast of at least 4.5 to 1 on the background), and never say anything that a word or a mark does not say as
well.
"""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{--fg:#1b1b1b;--bg:#fff;--soft:#f2f2f2;--rule:#c4c4c4;--link:#00558a;
--contradicted:#862063;--failed:#a83f00;--pending:#7a5c00;--cancelled:#555;--not_started:#666;--paid:#00609a;
--no_result:#862063;--alarm:#fde9e2;--sound:#e4f1fa}
@media (prefers-color-scheme:dark){:root{--fg:#ececec;--bg:#16181a;--soft:#23262a;--rule:#4a4f55;--link:#8cc8f0;
--contradicted:#f09bc6;--failed:#ff9a5c;--pending:#f0c040;--cancelled:#b5b5b5;--not_started:#a8a8a8;--paid:#66bdf0;
--no_result:#f09bc6;--alarm:#4a2413;--sound:#12344a}}
*{box-sizing:border-box}
body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem auto;max-width:80rem;padding:0 1rem;color:var(--fg);
background:var(--bg)}
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:1.5rem 0 .5rem}
a{color:var(--link)}a:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:2px}
nav{position:sticky;top:0;z-index:1;background:var(--bg);border-bottom:1px solid var(--rule);padding:.5rem 0}
nav a{display:inline-block;margin-right:1rem;padding:.25rem 0}
.verdict{padding:.5rem .75rem;border-left:5px solid var(--paid);background:var(--sound);font-weight:600}
.verdict.alarm{border-color:var(--failed);background:var(--alarm)}.verdict p{margin:0}.verdict ul{margin:.25rem 0}
table{border-collapse:collapse;margin:0 0 1rem}caption{text-align:left;font-weight:600;padding:.25rem 0}
th,td{border:1px solid var(--rule);padding:.3rem .5rem;text-align:left;vertical-align:top;font-weight:400}
thead th{background:var(--soft);font-weight:600}.facts th{background:var(--soft)}
.facts td,.lines td,.lines th{overflow-wrap:anywhere}
.lines{width:100%;min-width:60rem;table-layout:fixed;font-size:13px}
.lines th:nth-child(1){width:5%}.lines th:nth-child(2){width:12%}.lines th:nth-child(3){width:17%}
.lines th:nth-child(4){width:10%}.lines th:nth-child(5){width:22%}.lines th:nth-child(6){width:24%}
.n{text-align:right;font-variant-numeric:tabular-nums}.sums .n{white-space:nowrap}
.sums .total th,.sums .total td{font-weight:600;border-top:2px solid var(--fg)}
tr.alarm th,tr.alarm td{background:var(--alarm);font-weight:600}tr.sound th,tr.sound td{background:var(--sound)}
tr.alarm p{margin:0}code{font:12px/1.4 ui-monospace,monospace}
.wide{overflow-x:auto}
summary{cursor:pointer}summary h2{display:inline;margin:0}section.state{margin:1.25rem 0;scroll-margin-top:3.5rem}
section.state>details{border-left:5px solid;padding-left:.75rem}
.chart{margin:0}.chart svg{width:100%;max-width:60rem;height:auto}
.chart text{font:11px system-ui,sans-serif;fill:var(--fg)}
.grid{stroke:var(--rule);fill:none}.curve{fill:none;stroke-width:2}
.curve.failed{stroke-dasharray:7 3}.curve.contradicted{stroke-dasharray:2 3}
.curve.cancelled{stroke-dasharray:10 3 2 3}.curve.pending{stroke-dasharray:4 4}
.curve.not_started{stroke-dasharray:1 5}
section.contradicted>details,.curve.contradicted{border-color:var(--contradicted);stroke:var(--contradicted)}
section.failed>details,.curve.failed{border-color:var(--failed);stroke:var(--failed)}
section.pending>details,.curve.pending{border-color:var(--pending);stroke:var(--pending)}
section.cancelled>details,.curve.cancelled{border-color:var(--cancelled);stroke:var(--cancelled)}
section.not_started>details,.curve.not_started{border-color:var(--not_started);stroke:var(--not_started)}
section.paid>details,.curve.paid{border-color:var(--paid);stroke:var(--paid)}
section.no_result>details{border-color:var(--no_result)}
main:has(section.state:target) section.state:not(:target){display:none}
section.state:target>details::details-content{content-visibility:visible;block-size:auto}
@page{size:A4;margin:14mm}
@media print{:root{--fg:#000;--bg:#fff;--soft:#eee;--rule:#999;--alarm:#fff;--sound:#fff}
body{font-size:9pt;margin:0;max-width:none;padding:0}nav{display:none}.lines{font-size:7.5pt;min-width:0}code{font-size:7pt}
thead{display:table-header-group}tr,svg{break-inside:avoid}.wide{overflow:visible}
details::details-content{content-visibility:visible;block-size:auto}}
"""
