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
# Seconds without a look after which nobody here waits for a transaction: four times the longest between two.
_WAITED = 60.0


@dataclass(slots=True)
class _Wallet:
    lock: threading.Lock = field(default_factory=threading.Lock)
    # When each was last looked at.
    waiting: dict[str, float] = field(default_factory=dict)
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
            self._wait(place, transaction)
            found = self._recent(place, transaction)
            if found is None and len(place.waiting) > _FEW:
                self._list(wallet, place)
                found = self._recent(place, transaction)
            if found is None:
                found = self._client.get_transaction(wallet, transaction)
            if found.is_final:
                self._drop(place, transaction)
            return found

    def forget(self, wallet: WalletLocator, transaction: str) -> None:
        """Wait for a transaction no more."""
        place = self._place(wallet)
        with place.lock:
            self._drop(place, transaction)

    def _place(self, wallet: WalletLocator) -> _Wallet:
        with self._lock:
            return self._wallets.setdefault(str(wallet), _Wallet())

    def _wait(self, place: _Wallet, transaction: str) -> None:
        now = self._now()
        place.waiting[transaction] = now
        # Another process may have seen the end of what was put off here.
        for each in [each for each, at in place.waiting.items() if now - at > _WAITED]:
            self._drop(place, each)

    def _drop(self, place: _Wallet, transaction: str) -> None:
        place.waiting.pop(transaction, None)
        place.seen.pop(transaction, None)

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
