"""Looking how transactions stand, for many transfers with few calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.locators import WalletLocator
from bursar.crossmint.models import Transaction
from bursar.errors import CrossmintProtocolError

# A listing tells of so many of a wallet's transactions, the newest first.
_PAGE = 100
# For how many that are waited for one listing is less than a call each.
_FEW = 2


@dataclass(slots=True)
class _Wallet:
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: set[str] = field(default_factory=set)
    seen: dict[str, tuple[float, Transaction]] = field(default_factory=dict)


class Watch:
    """Reads transactions for all transfers of this process: where many wait, by one listing for all of them.

    `freshness` is for how many seconds what was seen is good enough.
    """

    def __init__(
        self,
        client: CrossmintClient,
        freshness: float = 1.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._freshness, self._now = client, freshness, now
        self._lock = threading.Lock()
        self._wallets: dict[str, _Wallet] = {}

    def look(self, wallet: WalletLocator, transaction: str) -> Transaction:
        """Return a transaction as it stands now, or did a moment ago. At most one GET, or two.

        Raises:
            CrossmintError: as `get_transaction`.
        """
        place = self._place(wallet)
        with place.lock:
            place.waiting.add(transaction)
            found = self._recent(place, transaction)
            if found is None and len(place.waiting) > _FEW:
                self._list(wallet, place)
                found = self._recent(place, transaction)
            if found is None:
                found = self._client.get_transaction(wallet, transaction)
            if found.is_final:
                place.waiting.discard(transaction)
                place.seen.pop(transaction, None)
            return found

    def forget(self, wallet: WalletLocator, transaction: str) -> None:
        """Wait for a transaction no more."""
        place = self._place(wallet)
        with place.lock:
            place.waiting.discard(transaction)
            place.seen.pop(transaction, None)

    def _place(self, wallet: WalletLocator) -> _Wallet:
        with self._lock:
            return self._wallets.setdefault(str(wallet), _Wallet())

    def _recent(self, place: _Wallet, transaction: str) -> Transaction | None:
        at, found = place.seen.get(transaction, (0.0, None))
        return found if self._now() - at <= self._freshness else None

    def _list(self, wallet: WalletLocator, place: _Wallet) -> None:
        try:
            listed = self._client.list_transactions(wallet, per_page=_PAGE)
        except CrossmintProtocolError:
            return  # one that cannot be read must not hide all others: each is read by itself
        now = self._now()
        place.seen = {each.id: (now, each) for each in listed if each.id in place.waiting}
