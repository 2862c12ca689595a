"""A payout of many lines by many workers that die: every line is paid once, and Crossmint's limits are kept.

```
python -m tests.payout_run --lines 1000 --workers 3 --store postgresql --batch 1 --kind regulated
```
`scene` sets everything up, `shift` runs workers and kills them, `gauge` counts meanwhile, `verdict` judges.
"""
