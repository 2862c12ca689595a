from __future__ import annotations

import pytest

from bursar.errors import ConfigError
from bursar.review.chains import CHAINS, chain_id, chain_named

# Written a second time, from the register and the chains' own pages: one wrong digit, and no hash there is right.
KNOWN = [
    ("abstract", 2741, False),
    ("abstract-testnet", 11124, True),
    ("apechain", 33139, False),
    ("curtis", 33111, True),
    ("arbitrum", 42161, False),
    ("arbitrum-sepolia", 421614, True),
    ("arbitrumnova", 42170, False),
    ("avalanche", 43114, False),
    ("avalanche-fuji", 43113, True),
    ("base", 8453, False),
    ("base-goerli", 84531, True),
    ("base-sepolia", 84532, True),
    ("bsc", 56, False),
    ("bsc-testnet", 97, True),
    ("chiliz", 88888, False),
    ("chiliz-spicy-testnet", 88882, True),
    ("ethereum", 1, False),
    ("ethereum-goerli", 5, True),
    ("ethereum-sepolia", 11155111, True),
    ("flow", 747, False),
    ("flow-testnet", 545, True),
    ("lightlink", 1890, False),
    ("lightlink-pegasus", 1891, True),
    ("mantle", 5000, False),
    ("mantle-sepolia", 5003, True),
    ("mode", 34443, False),
    ("mode-sepolia", 919, True),
    ("optimism", 10, False),
    ("optimism-goerli", 420, True),
    ("optimism-sepolia", 11155420, True),
    ("polygon", 137, False),
    ("polygon-amoy", 80002, True),
    ("polygon-mumbai", 80001, True),
    ("scroll", 534352, False),
    ("scroll-sepolia", 534351, True),
    ("sei-pacific-1", 1329, False),
    ("sei-atlantic-2-testnet", 1328, True),
    ("shape", 360, False),
    ("shape-sepolia", 11011, True),
    ("soneium", 1868, False),
    ("soneium-minato-testnet", 1946, True),
    ("viction", 88, False),
    ("viction-testnet", 89, True),
    ("world-chain", 480, False),
    ("world-chain-sepolia", 4801, True),
    ("zora", 7777777, False),
    ("zora-sepolia", 999999999, True),
]


@pytest.mark.parametrize(
    ("name", "number", "testnet"),
    KNOWN,
)
def test_a_chain_name_gives_its_id_and_whether_it_is_a_test(
    name: str, number: int, *, testnet: bool
) -> None:
    assert chain_id(name) == number
    assert chain_named(name).testnet is testnet


def test_no_chain_is_in_the_table_unproved() -> None:
    assert CHAINS.keys() == {name for name, _, _ in KNOWN}


def test_no_two_names_share_an_id() -> None:
    assert len({chain.chain_id for chain in CHAINS.values()}) == len(CHAINS)


@pytest.mark.parametrize("name", ["solana", "Base", "", "base sepolia"])
def test_a_name_outside_the_table_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chain_id(name)
    assert caught.value.hint
