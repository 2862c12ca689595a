"""Where review, policy, ledger and key meet: what stands between a request and `kms:Sign`.

```
request ─► case.py     what is it, really?         review          PURE
        ─► hearing.py  may it be signed, now?      policy, ledger  PURE: a plan for one page of the ledger
        ─► treasury.py write the decision, sign, write the signature, release it
```

`treasury.py` is the recipe, short enough to read aloud. Whatever is decided is written down before anything else
happens, and a signature is written down before it is released.
"""
