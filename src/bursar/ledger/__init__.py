"""The key's memory: what was spent, who consented, what was decided and signed.

```
            look                    plan (pure)                 write, if nobody wrote since
store ─► Seen (head, …) ─► one Page: a receipt and what it changes ─► store
```

A book is one key's. Each page adds a receipt to a hash chain whose head every writer has to match, so pages follow
one another whoever writes them: two containers that read the same head cannot both write. What was read is
therefore still true when it is written, and a limit cannot be passed by asking many times at once.

`book.py` turns the pages, `pages.py` says what is on them, `receipts.py` chains and hashes them, and
`verification.py` checks a chain offline. `store.py` is the seam: a store keeps texts under names and knows nothing
of their meaning. `database.py` is one over SQLite or PostgreSQL; the deployed one, over DynamoDB, is in `aws`.
"""
