"""A typed client of Crossmint's wallets API, version 2025-06-09. Blocking; safe to share between threads.

```python
with CrossmintClient(os.environ["CROSSMINT_API_KEY"]) as crossmint:      # the key names its environment
    treasury = crossmint.get_wallet("evm:smart:alias:treasury")
    transfer = NewTransfer(token=TokenLocator.parse("base-sepolia:usdc"), recipient=recipient, amount="25.00")
    transaction = crossmint.create_transfer(treasury.address, transfer, idempotency_key="payroll-0042")
    message = transaction.pending_for(SignerLocator.external_wallet(address)).message
```

The calls are in `wallets.py`, `transactions.py` and `signatures.py`; what they answer with in `models.py`; what
they take in `requests.py`; what goes wrong in `problems.py`.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from bursar.crossmint.calls import ApiKey, origin_for
from bursar.crossmint.limits import CallAllowance, Clock, Limits
from bursar.crossmint.session import Session
from bursar.crossmint.signatures import SignatureCalls
from bursar.crossmint.transactions import TransactionCalls
from bursar.crossmint.wallets import WalletCalls

if TYPE_CHECKING:
    import httpx2


class CrossmintClient(WalletCalls, TransactionCalls, SignatureCalls):
    """Crossmint's wallets API for one server-side API key.

    Every call raises `BursarError` kinds only, takes its place in the project's allowance a minute (120 writes,
    360 reads), and is repeated by itself only where it cannot act twice.
    """

    def __init__(  # noqa: PLR0913  one setting each, all optional but the key
        self,
        api_key: str,
        *,
        environment: str | None = None,
        base_url: str | None = None,
        transport: httpx2.BaseTransport | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        allowance: CallAllowance | None = None,
    ) -> None:
        """Make a client; nothing is sent yet.

        `environment` is staging or production; without it the key's own. `base_url` is an origin, for the
        sandbox or a stand-in: https, or http on loopback. `transport` and `clock` are the seams for tests.
        `allowance` is who counts the calls: without one, this client for itself alone; with
        `bursar.transfers.budget.SharedBudget`, all processes together.

        Raises:
            ConfigError: not a server-side key, a key of another environment, or a base URL that is not https.
        """
        key = ApiKey(api_key)
        origin = origin_for(key, environment, base_url)
        self._session = Session(
            key, origin, transport=transport, limits=limits, clock=clock, allowance=allowance
        )

    def __repr__(self) -> str:
        return f"CrossmintClient({self._session.origin})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The client cannot be used afterwards."""
        self._session.close()
