"""Everything a handler may use, made once when the stand-in starts."""

from __future__ import annotations

import queue
from dataclasses import dataclass

from bursar.sandbox.chain import Contracts, Rpc, Token
from bursar.sandbox.chain.bundler import Bundler
from bursar.sandbox.crossmint.config import ApiKey, StandInConfig
from bursar.sandbox.crossmint.faults import Faults
from bursar.sandbox.crossmint.limits import RateLimits
from bursar.sandbox.crossmint.store import Store


@dataclass(frozen=True, slots=True)
class Due:
    """A transaction to be broadcast at a time of the monotonic clock."""

    at: float
    project: str
    transaction: str


@dataclass(frozen=True, slots=True)
class StandIn:
    """The running stand-in: its memory, its chain, its keys and its troubles."""

    api_keys: tuple[ApiKey, ...]
    store: Store
    rpc: Rpc
    chain_id: int
    contracts: Contracts
    token: Token
    bundler: Bundler
    limits: RateLimits
    faults: Faults
    due: queue.SimpleQueue[Due]
    settle_seconds: float

    @classmethod
    def open(cls, config: StandInConfig) -> StandIn:
        """Connect to the chain and open the memory.

        Raises:
            SandboxError: the chain does not answer, or the file cannot be used.
        """
        rpc = Rpc(config.rpc_url)
        contracts = config.contracts
        return cls(
            api_keys=config.api_keys,
            chain_id=rpc.chain_id(),
            store=Store(config.state_file),
            rpc=rpc,
            contracts=contracts,
            token=Token(rpc, contracts.usdc),
            bundler=Bundler(rpc, contracts.entry_point, config.bundler),
            limits=RateLimits(config.rate_limit_scale, window=config.rate_limit_window),
            faults=Faults(),
            due=queue.SimpleQueue(),
            settle_seconds=config.settle_seconds,
        )

    def close(self) -> None:
        """Close the memory and the connections."""
        self.store.close()
        self.rpc.close()
