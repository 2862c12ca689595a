"""Drive one transfer from here, without the workflow engine: a loop that may be left and begun again.

```python
with Journal.open() as journal, CrossmintClient(api_key) as client:
    desk = Desk(journal, Tools(client, signer, reading=reading))
    journal.record(NewTransfer(Key(wallet_address, "rent-2026-11"), intent, confirmed_by="Ada"))
    transfer = drive(desk, Key(wallet_address, "rent-2026-11"))
```
"""

from __future__ import annotations

from typing import Final

from bursar.crossmint.limits import Clock
from bursar.transfers.desk import Desk
from bursar.transfers.record import Key, Transfer

# Seconds: somebody else may bring it further meanwhile.
_LONGEST_NAP: Final = 5.0


def drive(desk: Desk, key: Key, deadline: float = 120.0, clock: Clock | None = None) -> Transfer:
    """Take steps until a transfer is over or held, or `deadline` seconds went by; return it as it stands then.

    A failure is written into the journal and not raised: `transfer.standing` has it, `desk.trouble_of` the error.
    Whoever else drives the same transfer, here or elsewhere, does no harm.

    Raises:
        UnknownTransfer: the journal has none.
        JournalError: it could not be read or written.
    """
    clock = clock or Clock()
    end = clock.now() + deadline
    while True:
        found = desk.advance(key)
        if found.wait is None or clock.now() + found.wait > end:
            return found.transfer
        clock.sleep(min(found.wait, _LONGEST_NAP))
