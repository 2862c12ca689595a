"""The recipe: look, decide, write it down, sign, write that down, release.

```
with KmsClient.from_environment() as kms:
    treasury = Treasury(Rulebook.read(text), Book(store, key_arn), lambda: KmsSigner.open(kms, key_arn))
    answer = treasury.sign(request, Caller(arn, "process"))
```
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from bursar.chains.evm import Scheme, parse_signature
from bursar.errors import (
    BursarError,
    DigestError,
    IntentMismatch,
    KmsError,
    KmsProtocolError,
    LedgerDamaged,
    LedgerError,
    NotAwaitingApproval,
    Refused,
    SignatureError,
)
from bursar.ledger.book import Book
from bursar.ledger.pages import Page, Question, Seen, Signed
from bursar.ledger.receipts import Event, Receipt
from bursar.policy.rulebook import Rulebook
from bursar.signer import SignedHash, Signer
from bursar.signing.case import (
    Case,
    approval_case,
    asked,
    blind_case,
    transaction_case,
)
from bursar.signing.hearing import (
    Allowed,
    Hand,
    Hearing,
    Turn,
    Verdict,
    failure_page,
    refused_body,
    signature_page,
)
from bursar.signing_contract import (
    Answer,
    ApprovalRequest,
    Caller,
    Consent,
    DigestRequest,
    SigningRequest,
    TransactionRequest,
    require_blind_signing,
    require_signer,
)

OpenSigner = Callable[[], Signer]


def _unique() -> str:
    import secrets  # a cold start should not pay for it

    return secrets.token_hex(16)


class Treasury:
    """Signs what the policy allows, once, and keeps the record of it.

    `open_signer` is called once a request has passed the review: no KMS call is made for one that has not. Bare
    hashes need `blind_signing` as well as the policy's leave.
    """

    def __init__(
        self,
        rules: Rulebook,
        book: Book,
        open_signer: OpenSigner,
        *,
        blind_signing: bool = False,
        unique: Callable[[], str] = _unique,
    ) -> None:
        self.rules = rules
        self._book = book
        self._open_signer = open_signer
        self._blind_signing = blind_signing
        self._unique = unique

    def sign(self, request: SigningRequest, caller: Caller) -> Answer:
        """Return a signature over what the request asks for, allowed by the policy and recorded. One `kms:Sign`.

        Asked again, it returns the same signature and KMS is not called. Every decision, and every refusal of the
        review, is in the ledger before this returns or raises.

        Raises:
            IntentMismatch, Unverifiable, NotAwaitingApproval, BlindSigningDisabled: it is not what was asked for,
                or cannot be shown to be.
            SignerMismatch: it is for another signer.
            PolicyViolation, NeedsApproval, AlreadySigned: it may not be signed, not yet, or not again.
            SigningInProgress: the same operation is being signed at this moment.
            LedgerError: the record could not be kept, so nothing is released.
            KmsError, SignatureError: as `Signer.sign_hash`.
        """
        case, signer = self._case(request, caller)
        turn = Turn(self._unique())
        hearing = Hearing(case, self.rules, turn)
        page, receipt = self._book.write(case.question(self.rules.policy), hearing)
        verdict: Verdict = page.verdict
        if verdict.refusal is not None:
            raise verdict.refusal
        if verdict.earlier is not None:
            return self._answer(case, _again(verdict.earlier, case, signer.address), receipt)
        allowed = Allowed(case, receipt.number, turn)
        signed = self._signed(allowed, signer)
        return self._answer(case, signed, self._record(allowed, signed))

    def consent(self, request: ApprovalRequest, caller: Caller) -> Consent:
        """Record that the caller consents to what waits, and return how many more are missing. KMS is not asked.

        Raises:
            IntentMismatch, Unverifiable, NotAwaitingApproval: what is consented to cannot be shown to be that.
            DigestError: the digest is not the one that would be signed.
            NotWaiting: nobody asked for it, or it waits for nothing.
            PolicyViolation: this caller's consent would not count.
            LedgerError: the record could not be kept.
        """
        case = approval_case(request, caller, self.rules)
        if case.digest != request.digest:
            raise DigestError(
                f"the digest is 0x{case.digest.hex()}, not 0x{request.digest.hex()}",
                hint="look at the transaction again: it, or the scheme, is another one than you have seen",
            )
        hand = Hand(case, self.rules)
        question = Question(case.operation, digest="0x" + case.digest.hex())
        page, receipt = self._book.write(question, hand)
        missing: int = page.verdict
        return Consent("0x" + case.digest.hex(), caller.arn or "", missing, self._by(receipt))

    def _case(self, request: SigningRequest, caller: Caller) -> tuple[Case, Signer]:
        """Return the case and who would sign it, or write down why there is none."""
        try:
            case = self._reviewed(request, caller)
            signer = self._open_signer()
            require_signer(request, signer.address)
        except (IntentMismatch, NotAwaitingApproval, Refused) as refusal:
            self._record_refusal(request, caller, refusal)
            raise
        return case, signer

    def _reviewed(self, request: SigningRequest, caller: Caller) -> Case:
        if isinstance(request, DigestRequest):
            require_blind_signing(allowed=self._blind_signing)
            return blind_case(request, caller)
        case = transaction_case(request, caller, self.rules)
        if case.review is None:
            # What cannot be verified is as blind as a bare hash, whatever stands around it.
            require_blind_signing(allowed=self._blind_signing)
        return case

    def _record_refusal(
        self, request: SigningRequest, caller: Caller, refusal: BursarError
    ) -> None:
        body = refused_body(asked(request), caller, self.rules, refusal)
        self._book.write(Question(""), lambda _: Page(Event.DECISION, body))

    def _signed(self, allowed: Allowed, signer: Signer) -> SignedHash:
        case = allowed.case
        try:
            return signer.sign_hash(case.message, case.scheme)
        except (KmsError, SignatureError) as error:
            failure = _failure(error)
            question = Question(case.operation, case.claims)
            # Where that cannot be written, KMS's own word still tells more, and what was taken stays taken.
            with suppress(LedgerError):
                self._book.write(question, lambda seen: failure_page(allowed, seen, failure))
            raise

    def _record(self, allowed: Allowed, signed: SignedHash) -> Receipt:
        """Write the signature down. What cannot be written down is not released."""
        kept = Signed(signed.signature.to_hex(), signed.address, signed.request_id)

        def page(seen: Seen) -> Page:
            return signature_page(allowed, seen, kept, signed.unanswered)

        return self._book.write(Question(allowed.case.operation), page)[1]

    def _answer(self, case: Case, signed: SignedHash, receipt: Receipt) -> Answer:
        sentence = case.review.sentence if case.review else None
        said = {"reviewed": case.review is not None, "sentence": sentence}
        return Answer(signed, case.scheme, {**self._by(receipt), **said})

    def _by(self, receipt: Receipt) -> dict[str, Any]:
        return {
            **self.rules.to_dict(),
            "receipt": {"number": receipt.number, "hash": receipt.hash},
        }


class OwnTreasury:
    """A treasury in this process, asked by whoever runs it: `caller` is who that is to AWS.

    It is a signer of hashes too, where the policy allows blind signing.
    """

    def __init__(self, treasury: Treasury, signer: Signer, caller: Caller) -> None:
        self._treasury = treasury
        self._caller = caller
        self.address = signer.address

    def sign_transaction(self, request: TransactionRequest) -> Answer:
        """Sign by the policy, as `Treasury.sign`."""
        return self._treasury.sign(request, self._caller)

    def sign_hash(self, message_hash: bytes, scheme: Scheme) -> SignedHash:
        """Sign a bare hash by the policy, as `Treasury.sign`."""
        request = DigestRequest(message_hash, self.address, scheme)
        return self._treasury.sign(request, self._caller).signed

    def consent(self, request: ApprovalRequest) -> Consent:
        """Record a consent, as `Treasury.consent`."""
        return self._treasury.consent(request, self._caller)


def _again(earlier: Signed, case: Case, address: str) -> SignedHash:
    """Return a signature that is on record, proved once more.

    Raises:
        LedgerDamaged: what is on record is not this signer's signature over this digest.
    """
    try:
        raw = bytes.fromhex(earlier.signature.removeprefix("0x"))
        proved = parse_signature(raw, case.digest, address)
    except (ValueError, SignatureError):
        raise LedgerDamaged("the signature on record is not one over this digest") from None
    return SignedHash(proved, case.digest, address, earlier.request_id)


def _failure(error: KmsError | SignatureError) -> dict[str, Any]:
    """Return what is recorded of a failure. What was taken is given back where KMS cannot have signed."""
    if isinstance(error, SignatureError):  # KMS signed something, though it is not to be used
        return {"code": error.code, "kmsRequestId": None, "unanswered": 0, "released": False}
    # A refusal that KMS itself sent means that it has not signed; without an answer nobody knows.
    return {
        "code": error.code,
        "kmsRequestId": error.request_id,
        "unanswered": error.unanswered,
        "released": error.unanswered == 0 and not isinstance(error, KmsProtocolError),
    }
