"""USDC, the token most treasuries pay: its contracts by Crossmint's chain names. Pure, and the only such table.

Native USDC of Circle only, never a bridged one. Source: Circle's developer documentation, "USDC contract
addresses". Each address is written with its checksum (EIP-55), which a test verifies. What else a treasury pays,
its operator names: in the policy, or in the settings.
"""

from __future__ import annotations

from typing import Final

from bursar.review.intent import Token

_USDC: Final = {
    "arbitrum": "0xaf88d065e77c8cC2239327C5EDb3A432268e5831",
    "arbitrum-sepolia": "0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d",
    "avalanche": "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E",
    "avalanche-fuji": "0x5425890298aed601595a70AB815c96711a31Bc65",
    "base": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
    "base-sepolia": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
    "ethereum": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
    "ethereum-sepolia": "0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238",
    "optimism": "0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85",
    "optimism-sepolia": "0x5fd84259d66Cd46123540766Be93DFE6D43130D7",
    "polygon": "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359",
    "polygon-amoy": "0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582",
}

KNOWN: Final[dict[str, Token]] = {
    f"{chain}:usdc": Token(contract, "USDC", 6) for chain, contract in _USDC.items()
}
# By the locators that a policy would list, in small letters.
DECIMALS: Final[dict[str, int]] = {
    f"{chain}:{contract.lower()}": 6 for chain, contract in _USDC.items()
}
