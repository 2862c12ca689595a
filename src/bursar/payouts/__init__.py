"""From a file of payments to a plan that can be paid, and the report afterwards.

```
file ─► files.py       CSV, workbook or JSON lines, as cells with their lines   EDGE: workbook.py; PURE: package.py
     ─► table.py       columns and clean text       PURE: delimited.py, json_lines.py, numbers.py, texts.py
     ─► plan.py        every line judged, totals, one hash for all of it        PURE: lines.py
     ─► foresight.py   what the policy will say to each line                    PURE
        funds.py       is there enough, fees included                           PURE
        readiness.py   may each recipient be paid; asks through a seam
results ─► reconciliation.py   does everything add up                           PURE
        ─► report.py (CSV), page.py (HTML), chart.py                            PURE; writing.py writes them
```

Nothing here signs or pays. A file with one wrong line gives no plan, and a plan's hash covers everything that will
be paid, so that what was agreed to is what is run.
"""
