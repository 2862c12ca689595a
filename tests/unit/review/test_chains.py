from __future__ import annotations

import pytest

from bursar.errors import ConfigError
from bursar.review.chains import CHAINS, chain_id, chain_named


@pytest.mark.parametrize(
    ("name", "number", "testnet"),
    [
        ("ethereum", 1, False),
        ("ethereum-sepolia", 11155111, True),
        ("base", 8453, False),
        ("base-sepolia", 84532, True),
        ("polygon", 137, False),
        ("polygon-amoy", 80002, True),
        ("arbitrum", 42161, False),
        ("arbitrum-sepolia", 421614, True),
        ("optimism", 10, False),
        ("optimism-sepolia", 11155420, True),
        ("avalanche", 43114, False),
        ("avalanche-fuji", 43113, True),
        ("bsc", 56, False),
        ("bsc-testnet", 97, True),
    ],
)
def test_a_chain_name_gives_its_id_and_whether_it_is_a_test(
    name: str, number: int, *, testnet: bool
) -> None:
    assert chain_id(name) == number
    assert chain_named(name).testnet is testnet


def test_no_two_names_share_an_id() -> None:
    assert len({chain.chain_id for chain in CHAINS.values()}) == len(CHAINS)


@pytest.mark.parametrize("name", ["solana", "Base", "", "base sepolia"])
def test_a_name_outside_the_table_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chain_id(name)
    assert caught.value.hint
