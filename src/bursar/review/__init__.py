"""What a Crossmint transaction really does, worked out from the transaction itself. Pure.

```
transaction ─► operation ─► hash ─► is it the hash we are asked to sign?   operation.py, approvals.py
                   │
                   ├─► nonce      who judges the signature                 nonce.py
                   ├─► factory    is a wallet being born, and whose        deployment.py
                   ├─► gas        what it costs at most, and whom          fee.py
                   └─► callData   calls ─► actions ─► is it the intent?    calldata.py, actions.py, intent.py
```

Nothing Crossmint says of itself is believed: the hash is recomputed, and what the wallet will do is read from the
bytes under that hash. What cannot be verified is `Unverifiable`, what was verified and is something else than was
asked for is `IntentMismatch`. No other error than bursar's own comes out, whatever JSON goes in.

Import from the modules: `transaction` (`review`, `explain`), `report` (`Review`), `intent` (`Intent`, `Token`),
`terms` (`Terms`), `signatures` (`review_signature`), `chains`, `refusals`. Needs bursar's core and nothing else.
"""
