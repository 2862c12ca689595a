"""Which of the policy's tokens a payment moves, and how much of it. Pure."""

from __future__ import annotations

from collections import Counter

from bursar.policy.model import NATIVE_DECIMALS, Policy, Token, address_key
from bursar.policy.proposal import Payment, Proposal

# A chain's own coin, as fees are paid in it.
COIN = Token(NATIVE_DECIMALS, 0, frozenset())


def token_name(policy: Policy, proposal: Proposal, payment: Payment) -> str | None:
    """Return the policy's own name of a payment's token, None where it lists no such token.

    A contract counts before a symbol: a symbol is what somebody calls the token, the contract is what moves. So
    only a chain's own coin, which has no contract, is found by its symbol. Where both are known they must agree.
    """
    chain, stated = proposal.chain, _locator(payment.token)
    if chain is None or (payment.token is not None and stated is None):
        return None
    found = [
        name
        for name, token in policy.tokens.items()
        if _moves(token, chain, payment.contract, stated)
    ]
    if len(found) != 1 or _is_of_another(policy, found[0], stated):
        return None
    return found[0]


def totals(policy: Policy, proposal: Proposal) -> dict[str, int]:
    """Return what a transaction moves of each token the policy knows, in base units.

    A payment of an unknown amount has been refused by then, and adds nothing here.
    """
    found: Counter[str] = Counter()
    for payment in proposal.payments:
        name = token_name(policy, proposal, payment)
        if name is not None:
            found[name] += payment.amount or 0
    return dict(found)


def contracts_on(token: Token, chain: str) -> frozenset[str]:
    """Return the locators of a token's contracts on a chain; it has none where it is the chain's own coin."""
    return frozenset(each for each in _on(token, chain) if _is_contract(each))


def listed_token(policy: Policy, chain: str, contract: str | None) -> tuple[str, str, Token] | None:
    """Return the one token that a contract is, None for the chain's own coin: name, locator, and what it is.

    None where the policy lists no such token, or more than one.
    """
    wanted = contract and f"{chain}:{address_key(contract)}"
    found = [
        (name, wanted or min(_on(token, chain)), token)
        for name, token in policy.tokens.items()
        if (wanted in token.locators if wanted else _is_coin(token, chain))
    ]
    return found[0] if len(found) == 1 else None


def _is_coin(token: Token, chain: str) -> bool:
    return bool(_on(token, chain)) and not contracts_on(token, chain)


def amount_text(units: int, token: Token, name: str) -> str:
    """Return base units as an amount with the token's name: `0.2 usdc`."""
    # A sum of many amounts may be past 256 bits; only the last digits are a single amount's.
    scale = 10**token.decimals
    fraction = f".{units % scale:0{token.decimals}}".rstrip("0").rstrip(".")
    return f"{units // scale}{fraction} {name}"


def _locator(text: str | None) -> str | None:
    """Return a token locator in the policy's own spelling, None where it is not one."""
    chain, colon, token = (text or "").partition(":")
    if not chain or not colon or not token or ":" in token:
        return None
    return f"{chain}:{address_key(token) or token.lower()}"


def _moves(token: Token, chain: str, contract: str | None, stated: str | None) -> bool:
    contracts = contracts_on(token, chain)
    symbols = _on(token, chain) - contracts
    if contract is None:
        return not contracts and stated in symbols
    moved = f"{chain}:{address_key(contract)}"
    if moved not in contracts:
        return False
    if stated is None or stated == moved:
        return True
    return (
        not _is_contract(stated)
        and stated.startswith(f"{chain}:")
        and (stated in symbols or not symbols)
    )


def _on(token: Token, chain: str) -> frozenset[str]:
    return frozenset(each for each in token.locators if each.startswith(f"{chain}:"))


def _is_contract(locator: str) -> bool:
    return address_key(locator.partition(":")[2]) is not None


def _is_of_another(policy: Policy, found: str, stated: str | None) -> bool:
    others = (token for name, token in policy.tokens.items() if name != found)
    return any(stated in token.locators for token in others)
