"""Is what the transaction does what was asked for, and nothing else? Pure."""

from __future__ import annotations

from bursar.errors import IntentMismatch
from bursar.review.actions import SignerChange, Transfer
from bursar.review.intent import AnyIntent, BatchIntent, Intent, SignerChangeIntent
from bursar.review.report import Review, ReviewedCall
from bursar.review.words import token_words, words

_COIN = token_words(None)
_HINT = "do not sign it; show the transaction and ask Crossmint"


def require_asked(review: Review, intent: AnyIntent) -> None:
    """Refuse a reviewed transaction that is anything else than what was asked for.

    Raises:
        IntentMismatch: the first difference, with both values.
    """
    match intent:
        case Intent():
            require_intent(review, intent)
        case BatchIntent():
            require_batch(review, intent)
        case SignerChangeIntent():
            require_signer_change(review, intent)


def require_intent(review: Review, intent: Intent) -> None:
    """Refuse a reviewed transaction that is anything else than this one payment.

    Exactly one call, a transfer of this token to this recipient of this amount, on this chain; no coin sent along
    with a token; and not so that it may fail unnoticed.

    Raises:
        IntentMismatch: the first difference, with both values.
    """
    _require_same("chain", review.chain, intent.chain)
    if len(review.calls) != 1:
        doings = "; ".join(words(call.action, intent.tokens) for call in review.calls[:3])
        raise _mismatch(
            f"it makes {len(review.calls)} calls where one payment was asked for: {doings}"
        )
    _require_payment(review.calls[0], intent)
    if review.may_fail:
        raise _mismatch("its payment may fail and the transaction still count as a success")


def require_batch(review: Review, intent: BatchIntent) -> None:
    """Refuse a reviewed transaction that is anything else than these payments, in this order.

    As many calls as payments, and each call the payment of its place, as `require_intent` has it: nothing twice
    that was asked for once, nothing left out, nothing between them.

    Raises:
        IntentMismatch: the first difference, with both values; a call is named by its number, counted from 1.
    """
    _require_same("chain", review.chain, intent.chain)
    for number, (call, payment) in enumerate(zip(review.calls, intent.payments, strict=False), 1):
        _require_payment(call, payment, f"in call {number} ")
    made, asked = len(review.calls), len(intent.payments)
    if made != asked:
        more = "; ".join(words(call.action, intent.tokens) for call in review.calls[asked:][:3])
        extra = f": after them it would {more}" if more else ""
        calls = f"{made} call{'' if made == 1 else 's'}"
        raise _mismatch(f"it makes {calls} where {asked} payments were asked for{extra}")
    if review.may_fail:
        raise _mismatch("its payments may fail and the transaction still count as a success")


def _require_payment(call: ReviewedCall, intent: Intent, where: str = "") -> None:
    paid = call.action
    if not isinstance(paid, Transfer):
        raise _mismatch(f"{where}it does not pay; it would {words(paid, intent.tokens)}")
    _require_same("token", paid.token or _COIN, intent.token.contract or _COIN, where)
    _require_same("recipient", paid.recipient, intent.recipient, where)
    _require_same("amount", f"{paid.amount} base units", f"{intent.amount} base units", where)
    if paid.token is not None and call.value:
        raise _mismatch(
            f"{where}it sends {call.value} wei of the chain's coin along with the token"
        )


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


def _require_same(what: str, found: str, asked: str, where: str = "") -> None:
    if found != asked:
        raise _mismatch(f"{where}its {what} is {found}, but {asked} was asked for")


def _mismatch(difference: str) -> IntentMismatch:
    return IntentMismatch(f"the transaction is not what was asked for: {difference}", hint=_HINT)
