"""Is what the transaction does what was asked for, and nothing else? Pure."""

from __future__ import annotations

from bursar.errors import IntentMismatch
from bursar.review.actions import SignerChange, Transfer
from bursar.review.intent import Intent, SignerChangeIntent
from bursar.review.report import Review
from bursar.review.words import token_words, words

_COIN = token_words(None)
_HINT = "do not sign it; show the transaction and ask Crossmint"


def require_intent(review: Review, intent: Intent) -> None:
    """Refuse a reviewed transaction that is anything else than this one payment.

    Exactly one call, a transfer of this token to this recipient of this amount, on this chain; no coin sent along
    with a token; and not so that it may fail unnoticed.

    Raises:
        IntentMismatch: the first difference, with both values.
    """
    _require_same("chain", review.chain, intent.chain)
    if len(review.calls) != 1:
        doings = "; ".join(words(call.action, intent.token) for call in review.calls[:3])
        raise _mismatch(
            f"it makes {len(review.calls)} calls where one payment was asked for: {doings}"
        )
    [call] = review.calls
    if not isinstance(call.action, Transfer):
        raise _mismatch(f"it does not pay; it would {words(call.action, intent.token)}")
    paid = call.action
    _require_same("token", paid.token or _COIN, intent.token.contract or _COIN)
    _require_same("recipient", paid.recipient, intent.recipient)
    _require_same("amount", f"{paid.amount} base units", f"{intent.amount} base units")
    if paid.token is not None and call.value:
        raise _mismatch(f"it sends {call.value} wei of the chain's coin along with the token")
    if review.may_fail:
        raise _mismatch("its payment may fail and the transaction still count as a success")


def require_signer_change(review: Review, intent: SignerChangeIntent) -> None:
    """Refuse a reviewed transaction that is anything else than this one change of the wallet's signers.

    Raises:
        IntentMismatch: the first difference, with both values.
    """
    _require_same("chain", review.chain, intent.chain)
    call = review.calls[0] if len(review.calls) == 1 else None
    change = call and call.action
    if call is None or not isinstance(change, SignerChange):
        doings = "; ".join(words(each.action) for each in review.calls[:3]) or "do nothing"
        raise _mismatch(f"it would {doings}")
    asked = SignerChange(intent.added, intent.signer, intent.validator)
    _require_same("change", words(change), words(asked))
    if call.value:
        raise _mismatch(f"it sends {call.value} wei of the chain's coin along")
    if review.may_fail:
        raise _mismatch("its change may fail and the transaction still count as a success")


def _require_same(what: str, found: str, asked: str) -> None:
    if found != asked:
        raise _mismatch(f"its {what} is {found}, but {asked} was asked for")


def _mismatch(difference: str) -> IntentMismatch:
    return IntentMismatch(f"the transaction is not what was asked for: {difference}", hint=_HINT)
