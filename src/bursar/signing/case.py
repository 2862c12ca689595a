"""One request, as far as it was looked at: what the review found, and what the policy is asked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bursar.chains.evm import Scheme, digest_of, parse_address
from bursar.errors import NotAwaitingApproval, Unverifiable
from bursar.ledger.pages import Question
from bursar.policy.model import Policy, address_key
from bursar.policy.principals import identity_of
from bursar.policy.proposal import Kind, Payment, Proposal
from bursar.policy.rulebook import Rulebook
from bursar.policy.tokens import listed_token
from bursar.policy.windows import windows
from bursar.review.actions import Transfer
from bursar.review.approvals import Signer as Account
from bursar.review.approvals import pending_for
from bursar.review.comparison import require_asked
from bursar.review.intent import AnyIntent, BatchIntent, Intent, Token
from bursar.review.report import Review, ReviewKind
from bursar.review.terms import DEFAULT_TERMS, Terms
from bursar.review.transaction import explain
from bursar.signing_contract import (
    UNVERIFIABLE,
    ApprovalRequest,
    Caller,
    DigestRequest,
    SigningRequest,
    TransactionRequest,
)

_KINDS = {
    ReviewKind.TRANSFER: Kind.TRANSFER,
    ReviewKind.SIGNER_CHANGE: Kind.SIGNER_CHANGE,
    ReviewKind.OTHER: Kind.OTHER,
}


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be signed: `message` is the 32 bytes before the scheme, `digest` those after it.

    `review` is None for what nobody could look at. `asked` is the request in short, as receipts have it.
    """

    message: bytes
    digest: bytes
    caller: Caller
    asked: Mapping[str, Any]
    proposal: Proposal
    review: Review | None = None
    transaction: str = ""
    id: str | None = None
    wallet: str = ""

    @property
    def scheme(self) -> Scheme:
        """The scheme that leads from message to digest."""
        return Scheme(self.asked["scheme"])

    @property
    def operation(self) -> str:
        """The message as the ledger names it."""
        return "0x" + self.message.hex()

    @property
    def nonce(self) -> str:
        """What excludes another operation: the nonce where it is known, else nothing but being the same."""
        return hex(self.review.nonce) if self.review else self.operation

    @property
    def claims(self) -> tuple[str, ...]:
        """The ids that pay once: Crossmint's, and the caller's own. Whose they are is part of them."""
        if not self.wallet:
            return ()
        wallet = f"{self.proposal.chain}:{self.wallet}"
        # The caller's own id is one payment whatever wallet Crossmint says it is of.
        own = (f"id:{self.id}",) if self.id else ()
        crossmints = (f"transaction:{wallet}:{self.transaction}",) if self.transaction else ()
        return (*crossmints, *own)

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses it would pay, each once."""
        return _recipients(self.proposal)

    def question(self, policy: Policy) -> Question:
        """Return what the ledger has to be asked."""
        asked = question_of(self.proposal, policy)
        if identity_of(self.caller.arn) not in policy.callers.allow:
            # Whoever may not ask is refused without reading what was spent, which may be much.
            asked = replace(asked, digest=None, seconds=0)
        return replace(asked, operation=self.operation, claims=self.claims)


def question_of(proposal: Proposal, policy: Policy) -> Question:
    """Return what the ledger has to be asked for a policy to judge a proposal."""
    bounds = [bound for each in windows(policy, proposal) for bound in each.bounds]
    return Question(
        proposal.transaction or "",
        (),
        _recipients(proposal),
        proposal.digest if policy.approvals else None,
        max((bound.seconds for bound in bounds), default=0),
    )


def asked(request: SigningRequest | ApprovalRequest) -> dict[str, Any]:
    """Return a request in short, as receipts have it: no bytes of anybody else's in it."""
    if isinstance(request, TransactionRequest):
        identity = request.transaction.get("id")
        return {
            "kind": "transaction",
            "transaction": identity if isinstance(identity, str) and len(identity) <= 256 else None,
            "wallet": parse_address(request.wallet),
            "intent": request.intent.to_dict(),
            "scheme": request.scheme.value,
            "accept": sorted(set(request.accept)),
            "id": request.id,
        }
    kind = "digest" if isinstance(request, DigestRequest) else "approval"
    return {"kind": kind, "scheme": request.scheme.value}


def blind_case(request: DigestRequest, caller: Caller) -> Case:
    """Return the case of a bare hash."""
    proposal = Proposal(
        Kind.BLIND_DIGEST, requested_by=caller.arn, digest="0x" + request.digest.hex()
    )
    return Case(request.message_hash, request.digest, caller, asked(request), proposal)


def transaction_case(request: TransactionRequest, caller: Caller, rules: Rulebook) -> Case:
    """Return the case of a transaction, once it does what its intent says.

    Raises:
        IntentMismatch: it does something else, or is another wallet's.
        Unverifiable: it cannot be verified, and the request does not accept that.
        NotAwaitingApproval: it has another status, or nothing in it waits for this signer.
    """
    try:
        found = explained(request.transaction, request.signer, request.wallet, rules)
    except Unverifiable:
        if UNVERIFIABLE not in request.accept:
            raise
        return _unverified(request, caller)
    require_asked(found, request.intent)
    found = replace(found, intent=_named(request.intent, rules.policy))
    return Case(
        found.hash,
        found.digest(request.scheme),
        caller,
        asked(request),
        proposal_of(found, caller, "0x" + found.digest(request.scheme).hex(), rules.policy),
        found,
        found.transaction,
        request.id,
        found.wallet,
    )


def approval_case(request: ApprovalRequest, caller: Caller, rules: Rulebook) -> Case:
    """Return the case of what somebody consents to, looked at once more where the key is.

    What a review cannot verify can still be waiting, if the policy lets it; the case then shows no more than that.

    Raises:
        IntentMismatch, NotAwaitingApproval: as `transaction_case`; the intent was compared when it was asked for.
    """
    if request.transaction is None or request.wallet is None:
        message = request.message_hash or b""
        digest = digest_of(message, request.scheme)
        proposal = Proposal(Kind.BLIND_DIGEST, digest="0x" + digest.hex())
        return Case(message, digest, caller, asked(request), proposal)
    try:
        found = explained(request.transaction, request.signer, request.wallet, rules)
    except Unverifiable:
        return _unverified_approval(request, request.transaction, caller)
    digest = found.digest(request.scheme)
    proposal = proposal_of(found, caller, "0x" + digest.hex(), rules.policy)
    return Case(found.hash, digest, caller, asked(request), proposal, found, found.transaction)


def explained(
    transaction: Mapping[str, Any], signer: str, wallet: str, rules: Rulebook | None = None
) -> Review:
    """Return what a transaction does, with the policy's names for the tokens it pays, where there are some.

    Raises:
        Unverifiable, IntentMismatch, NotAwaitingApproval: as `review.transaction.explain`.
    """
    policy = rules.policy if rules else None
    found = explain(transaction, signer=signer, wallet=wallet, terms=terms(policy))
    if policy is None:
        return found
    contracts = dict.fromkeys(each.token for each in found.payments)
    return replace(found, named=tuple(_token(policy, found.chain, each) for each in contracts))


def terms(policy: Policy | None) -> Terms:
    """Return what a review takes for granted under a policy."""
    if policy is None or not policy.wallet_factories:
        return DEFAULT_TERMS
    return Terms(factories=DEFAULT_TERMS.factories | policy.wallet_factories)


def proposal_of(found: Review, caller: Caller, digest: str, policy: Policy) -> Proposal:
    """Return what the policy is asked about a reviewed transaction.

    Whether a recipient is a registered one is not known where the key is, so a rule that needs it refuses.
    """
    return Proposal(
        _KINDS[found.kind],
        chain=found.chain,
        payments=tuple(_payment(policy, found.chain, each) for each in found.payments),
        calls=len(found.calls),
        fee_at_most=found.fee.at_most,
        requested_by=caller.arn,
        digest=digest,
        transaction="0x" + found.hash.hex(),
        wallet=found.wallet,
    )


def _recipients(proposal: Proposal) -> tuple[str, ...]:
    found = (address_key(each.recipient) for each in proposal.payments)
    return tuple(dict.fromkeys(each for each in found if each is not None))


def _payment(policy: Policy, chain: str, paid: Transfer) -> Payment:
    listed = listed_token(policy, chain, paid.token)
    return Payment(listed[1] if listed else None, paid.token, paid.amount, paid.recipient)


def _named(intent: AnyIntent, policy: Policy) -> Intent | BatchIntent | None:
    # What a caller calls a token decides nothing and misleads people; the policy's own name does not.
    match intent:
        case Intent():
            return _payment_named(intent, policy)
        case BatchIntent(payments):
            return BatchIntent(tuple(_payment_named(each, policy) for each in payments))
        case _:
            return None


def _payment_named(intent: Intent, policy: Policy) -> Intent:
    return replace(intent, token=_token(policy, intent.chain, intent.token.contract))


def _token(policy: Policy, chain: str, contract: str | None) -> Token:
    listed = listed_token(policy, chain, contract)
    if listed is None:
        return Token(contract)
    name, _, token = listed
    return Token(contract, name[:20], token.decimals)


def _unverified(request: TransactionRequest, caller: Caller) -> Case:
    message, digest = request.message_hash, request.digest
    shown = asked(request)
    proposal = Proposal(
        Kind.UNVERIFIABLE,
        chain=request.intent.chain,
        requested_by=caller.arn,
        digest="0x" + digest.hex(),
        wallet=shown["wallet"],
    )
    return Case(
        message,
        digest,
        caller,
        shown,
        proposal,
        transaction=shown["transaction"] or "",
        id=request.id,
        wallet=shown["wallet"],
    )


def _unverified_approval(
    request: ApprovalRequest, transaction: Mapping[str, Any], caller: Caller
) -> Case:
    message = pending_for(transaction, Account.parse(request.signer)).message
    digest = digest_of(message, request.scheme)
    if digest != request.digest:
        raise NotAwaitingApproval("the transaction does not wait for that digest")
    proposal = Proposal(Kind.UNVERIFIABLE, digest="0x" + digest.hex())
    return Case(message, digest, caller, asked(request), proposal)
