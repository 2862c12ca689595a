"""What an action is in a sentence. Pure.

Every address is whole: people compare them, and half an address can be made to match.
"""

from __future__ import annotations

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


def words(action: Action, named: Token | None = None) -> str:
    """Return what an action does, beginning with a verb. `named` is the one token whose name is known."""
    match action:
        case Transfer(token, recipient, amount):
            said = f"pay {_amount(token, amount, named)} to {recipient}"
        case Approve(token, spender, amount):
            much = "without limit" if amount == MAX_UINT256 else f"up to {amount} base units"
            said = f"let {spender} take {token_words(token)} {much}"
        case TransferFrom(token, owner, recipient, amount):
            said = f"move {_amount(token, amount, named)} of {owner} to {recipient}"
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


def _amount(contract: str | None, units: int, named: Token | None) -> str:
    token = named if named and named.contract == contract else Token(contract)
    if token.symbol is None or token.decimals is None:
        return f"{units} base units of {token_words(contract)}"
    return f"{token.amount(units)} ({token_words(contract)})"
