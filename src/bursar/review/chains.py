"""The EVM chains Crossmint names, with their EIP-155 chain ids. Pure, and the only such table.

Names: the chain enumeration of Crossmint's public API description, version 2025-06-09.
Ids: EIP-155, as registered in ethereum-lists/chains (`_data/chains/eip155-<id>.json`).

Crossmint names more chains than are listed. One whose id is not certain is left out on purpose: a wrong id
would make every hash on that chain fail its review with a misleading reason, where a missing one says why.
Hedera is left out as its coin has 8 decimals inside the EVM: a ceiling on fees in 18 would be none.
"""

from __future__ import annotations

from dataclasses import dataclass

from bursar.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Chain:
    """An EVM chain: Crossmint's name, the EIP-155 id, and whether its tokens are worth nothing."""

    name: str
    chain_id: int
    testnet: bool


_MAINNETS = {
    "abstract": 2741,
    "apechain": 33139,
    "arbitrum": 42161,
    "arbitrumnova": 42170,
    "avalanche": 43114,
    "base": 8453,
    "bsc": 56,
    "chiliz": 88888,  # as in viem's chains; the register has another chain at this number
    "ethereum": 1,
    "flow": 747,
    "lightlink": 1890,
    "mantle": 5000,
    "mode": 34443,
    "optimism": 10,
    "polygon": 137,
    "scroll": 534352,
    "sei-pacific-1": 1329,
    "shape": 360,
    "soneium": 1868,
    "viction": 88,
    "world-chain": 480,
    "zora": 7777777,
}

_TESTNETS = {
    "abstract-testnet": 11124,
    "arbitrum-sepolia": 421614,
    "avalanche-fuji": 43113,
    "base-goerli": 84531,
    "base-sepolia": 84532,
    "bsc-testnet": 97,
    "chiliz-spicy-testnet": 88882,
    "curtis": 33111,
    "ethereum-goerli": 5,
    "ethereum-sepolia": 11155111,
    "flow-testnet": 545,
    "lightlink-pegasus": 1891,
    "mantle-sepolia": 5003,
    "mode-sepolia": 919,
    "optimism-goerli": 420,
    "optimism-sepolia": 11155420,
    "polygon-amoy": 80002,
    "polygon-mumbai": 80001,
    "scroll-sepolia": 534351,
    "sei-atlantic-2-testnet": 1328,
    "shape-sepolia": 11011,
    "soneium-minato-testnet": 1946,
    "viction-testnet": 89,
    "world-chain-sepolia": 4801,
    "zora-sepolia": 999999999,
}

CHAINS: dict[str, Chain] = {
    name: Chain(name, chain_id, testnet=testnet)
    for table, testnet in ((_MAINNETS, False), (_TESTNETS, True))
    for name, chain_id in table.items()
}


def chain_named(name: str) -> Chain:
    """Return the EVM chain of this Crossmint name.

    Raises:
        ConfigError: the name is not in the table.
    """
    if name not in CHAINS:
        raise ConfigError(
            f"{str(name)[:40]!r} is not an EVM chain whose id bursar knows",
            hint="use Crossmint's own name, for example base-sepolia; one missing here can be added "
            "to bursar.review.chains",
        )
    return CHAINS[name]


def chain_id(name: str) -> int:
    """Return the EIP-155 chain id of this Crossmint chain name.

    Raises:
        ConfigError: the name is not in the table.
    """
    return chain_named(name).chain_id
