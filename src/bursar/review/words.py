"""What an action is in a sentence. Pure.

Every address is whole: people compare them, and half an address can be made to match.
"""

from __future__ import annotations

from collections.abc import Iterable

from bursar.review.actions import (
    MAX_UINT256,
    AccountChange,
    Action,
    Approve,
    Delegated,
    SignerChange,
    Transfer,
    TransferFrom,
    Unknown,
)
from bursar.review.intent import Token


def words(action: Action, named: Iterable[Token] = ()) -> str:
    """Return what an action does, beginning with a verb. `named` are the tokens whose names are known."""
    match action:
        case Transfer(token, recipient, amount):
            said = f"pay {amount_words(token, amount, named)} to {recipient}"
        case Approve(token, spender, amount):
            much = "without limit" if amount == MAX_UINT256 else f"up to {amount} base units"
            said = f"let {spender} take {token_words(token)} {much}"
        case TransferFrom(token, owner, recipient, amount):
            said = f"move {amount_words(token, amount, named)} of {owner} to {recipient}"
        case SignerChange(added, signer, validator):
            said = f"{'add' if added else 'remove'} the signer {signer} (validator {validator})"
        case AccountChange(function):
            said = f"change the wallet itself ({function})"
        case Delegated(code):
            said = f"run the code of {code} as the wallet itself, which may do anything"
        case Unknown(to, selector):
            said = f"call {to} with {selector or 'data'}, which is unknown"
    return said


def token_words(contract: str | None) -> str:
    """Return a token by its contract, or the chain's own coin."""
    return "the chain's own coin" if contract is None else f"token {contract}"


def amount_words(contract: str | None, units: int, named: Iterable[Token] = ()) -> str:
    """Return an amount with its token, by name and contract where the name is known."""
    known = (each for each in named if each.contract == contract)
    token = next(known, Token(contract))
    # The sum of many amounts may be past 256 bits, and then no token has it.
    if token.symbol is None or token.decimals is None or units > MAX_UINT256:
        return f"{units} base units of {token_words(contract)}"
    return f"{token.amount(units)} ({token_words(contract)})"
