"""A ledger's store in memory: `bursar.ledger.store.Store` with faults on demand.

```
store = MemoryStore()
store.faults.append(Fault.LOST_AFTER)      # the next put is written, and its answer lost
store.after_get = lambda: ...              # somebody else writes between two reads
```
It is held to the same contract suite as the real ones.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from enum import Enum

from bursar.errors import LedgerError, LedgerUnavailable
from bursar.ledger.store import HEAD, Change, OutcomeUnknown, OutOfTurn


class Fault(Enum):
    """What goes wrong with the next put.

    LOST_AFTER and LOST_BEFORE: no answer, and it was or was not written. TAKEN: somebody else was first.
    DOWN: the store cannot be reached. NONE: nothing, so that a later put can be meant.
    """

    NONE = "none"
    LOST_AFTER = "lost after"
    LOST_BEFORE = "lost before"
    TAKEN = "taken"
    DOWN = "down"


@dataclass
class MemoryStore:
    """Books in a dictionary. Threads may share it. `puts` are the changes that were written, oldest first."""

    books: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: deque[Fault] = field(default_factory=deque)
    after_get: Callable[[], None] | None = None
    puts: list[Change] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, book: str, names: Collection[str]) -> dict[str, str]:
        _require_unicode(*names)
        with self._lock:
            entries = self.books.get(book, {})
            found = {name: entries[name] for name in names if name in entries}
        if self.after_get is not None:
            self.after_get()
        return found

    def between(self, book: str, first: str, last: str) -> Iterator[tuple[str, str]]:
        with self._lock:
            entries = dict(self.books.get(book, {}))
        low, high = first.encode(), last.encode()
        names = sorted(entries, key=str.encode)
        return ((name, entries[name]) for name in names if low <= name.encode() <= high)

    def put(self, book: str, change: Change) -> None:
        fault = self.faults.popleft() if self.faults else Fault.NONE
        if fault is Fault.DOWN:
            raise LedgerUnavailable("the store is down")
        if fault is Fault.TAKEN:
            raise OutOfTurn("somebody else wrote first")
        if fault is Fault.LOST_BEFORE:
            raise OutcomeUnknown("no answer")
        self._write(book, change)
        if fault is Fault.LOST_AFTER:
            raise OutcomeUnknown("no answer")

    def _write(self, book: str, change: Change) -> None:
        for entries in (change.new, change.entries):
            _require_unicode(change.head, *entries, *entries.values())
        with self._lock:
            entries = self.books.setdefault(book, {})
            if entries.get(HEAD) != change.seen or any(name in entries for name in change.new):
                raise OutOfTurn("somebody else wrote first")
            entries.update(change.entries)
            entries.update(change.new)
            entries[HEAD] = change.head
            self.puts.append(change)


def _require_unicode(*texts: str) -> None:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise LedgerError("not Unicode") from None
