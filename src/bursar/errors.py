"""Everything bursar raises on purpose.

```
BursarError
├── InputError                 what the caller handed over is wrong; nothing was done
│   ├── ConfigError            a setting is missing or contradicts another
│   ├── DigestError            not a 32-byte hash
│   ├── AddressError           not an address of this chain
│   ├── AmountError            not an amount of this token
│   ├── LocatorError           not a locator of Crossmint's grammar
│   ├── PublicKeyError         not an uncompressed secp256k1 SubjectPublicKeyInfo
│   ├── RequestError           a signing request that breaks the signing contract
│   └── TransactionError       a chain transaction that must not be signed as given
├── SignatureError             a signature that must not be released
│   ├── MalformedSignature     not strict DER, or r or s out of range
│   └── WrongKey               a good signature by another key than the pinned one
├── Refused                    a request that is understood and turned down
│   ├── BlindSigningDisabled   a bare hash, where only reviewed transactions are signed
│   ├── SignerMismatch         a request for another signer than this one
│   ├── UnsupportedOperation   something this kind of signer cannot do
│   ├── Unverifiable           what would be signed cannot be shown to be what it is said to be
│   ├── PolicyViolation        a rule of the policy turned it down
│   ├── NeedsApproval          others must consent first
│   ├── NotWaiting             a consent to something that waits for none
│   ├── AlreadySigned          the same payment was signed before, as another operation
│   └── SigningInProgress      retryable: the same operation is being signed at this moment
├── KmsError                   AWS KMS turned the call down, or could not be reached
│   ├── KmsThrottled           retryable
│   ├── KmsUnavailable         retryable: internal error, dependency timeout, broken connection
│   ├── KmsTimeout             retryable: our own deadline ran out
│   ├── KmsAccessDenied
│   ├── KmsKeyNotFound
│   ├── KmsKeyDisabled
│   ├── KmsKeyPendingDeletion
│   ├── KmsKeyUnusable         any other key state that cannot sign
│   ├── KmsWrongUsage          wrong key usage, key spec or algorithm
│   ├── KmsAliasTaken          the alias is another key's
│   ├── KmsCredentials         missing, expired or wrongly signed credentials
│   ├── KmsRegionMismatch      the key ARN's Region is not the client's
│   └── KmsProtocolError       an answer that is not KMS's wire format
├── SigningServiceError        the deployed signer (API or Lambda) failed or refused
│   ├── SigningServiceDenied   403: not allowed to call
│   ├── SigningServiceRefused  4xx: the signer turned the request down
│   └── SigningServiceUnavailable   retryable
├── AwsError                   the AWS control plane failed
│   ├── AwsAccessDenied        names the permission
│   ├── AwsCredentials         no usable credentials
│   └── StackError             CloudFormation: the first real cause
│       └── KeyReplacementForbidden    a change would replace or remove the signing key
├── CrossmintError             Crossmint's API failed or refused
│   ├── CrossmintAuth          401 or 403: the key or its scopes
│   ├── CrossmintNotFound
│   ├── CrossmintBadRequest
│   ├── CrossmintConflict      409 or an idempotency key used for something else
│   ├── ApprovalAlreadySubmitted    409 on approvals
│   ├── ApprovalAlreadyComplete     422 on approvals
│   ├── ApprovalRejected       400 on approvals: signer or signature not accepted
│   ├── CrossmintRateLimited   retryable
│   ├── CrossmintUnavailable   retryable: nothing reached the server
│   ├── CrossmintOutcomeUnknown     the server may have acted: look it up, do not repeat
│   ├── CrossmintProtocolError an answer outside the documented shapes
│   ├── TransactionFailed      built or executed with an error
│   └── ComplianceError        screening turned the recipient down
│       ├── RecipientDataMissing
│       ├── RecipientWalletSanctioned
│       ├── RecipientPersonSanctioned
│       ├── RecipientTypeUnsupported
│       └── ComplianceInProgress    retryable: identity checks still running
├── TransferError              a transfer that cannot go on
│   ├── NotAwaitingApproval    nothing is waiting for this signer
│   ├── IntentMismatch         the transaction is not what was asked for
│   ├── SettlementTimeout      retryable: still not final when we stopped waiting
│   ├── TransferConflict       the id is another payment's
│   ├── UnknownTransfer        the journal has none of that id
│   ├── NotCancellable         its approval was handed in, or it is over
│   ├── TransferEnded          it failed for good or was cancelled: a new payment needs a new id
│   └── SettlementContradicted the chain and Crossmint disagree about whether it was paid
├── PayoutError                a file of payments that cannot be paid as it is
│   ├── PlanRejected           lines that are wrong; nothing was done
│   ├── PlanChanged            the file is not the one that was planned
│   └── UnknownPayout          the journal has none of that id
├── JournalError               the transfers' memory failed
│   └── JournalUnavailable     retryable: it could not be reached, or is full
├── ChainError                 the chain's JSON-RPC endpoint failed, or is of another chain
│   └── ChainUnavailable       retryable
├── WebhookRejected            a delivery that Crossmint did not sign, or that is too old
├── LedgerError                the key's memory failed: what was spent, who consented, what was signed
│   ├── LedgerUnavailable      retryable: it could not be reached, or somebody else always came first
│   └── LedgerDamaged          a record in it is not what was written
└── SandboxError               the local world could not be brought up
```

Each class has a stable `code` (used in JSON, HTTP bodies and logs) and `retryable`. Instances carry one
line of message and, where there is one, a `hint` that says what to do next. They hold no request,
response, header or secret, and they pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self


class BursarError(Exception):
    """Base of all errors bursar raises on purpose."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from state, so that a workflow engine or another process can read it back."""
        return _rebuild, (type(self), self.message, dict(self.__dict__))

    def to_dict(self) -> dict[str, Any]:
        """Return the error body of the signing contract: code, message, hint, retryable."""
        body: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
        }
        if self.hint:
            body["hint"] = self.hint
        return body

    @classmethod
    def at(cls, where: str, message: str, *, hint: str | None = None) -> Self:
        """Return this error with the place it happened put before the message."""
        return cls(f"{where}: {message}", hint=hint)


def _rebuild(kind: type[BursarError], message: str, state: dict[str, Any]) -> BursarError:
    error = kind.__new__(kind, message)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class InputError(BursarError):
    code = "invalid_input"


class ConfigError(InputError):
    code = "invalid_config"


class DigestError(InputError):
    code = "invalid_digest"


class AddressError(InputError):
    code = "invalid_address"


class AmountError(InputError):
    code = "invalid_amount"


class LocatorError(InputError):
    code = "invalid_locator"


class PublicKeyError(InputError):
    code = "invalid_public_key"


class RequestError(InputError):
    code = "invalid_request"


class RequestTooLarge(RequestError):
    code = "request_too_large"


class TransactionError(InputError):
    code = "invalid_transaction"


class SignatureError(BursarError):
    code = "signature_error"


class MalformedSignature(SignatureError):
    code = "malformed_signature"


class WrongKey(SignatureError):
    code = "wrong_key"


class Refused(BursarError):
    code = "refused"


class BlindSigningDisabled(Refused):
    code = "blind_signing_disabled"


class SignerMismatch(Refused):
    code = "signer_mismatch"


class UnsupportedOperation(Refused):
    code = "unsupported_operation"


class Unverifiable(Refused):
    """What would be signed cannot be shown to be what it is said to be.

    `what` names the part, in Crossmint's words where it has one: `userOperationHash`, `nonce`, `factory`.
    """

    code = "unverifiable"

    def __init__(self, message: str, *, hint: str | None = None, what: str = "transaction") -> None:
        super().__init__(message, hint=hint)
        self.what = what


class PolicyViolation(Refused):
    """The policy turned a transaction down.

    `rule` is the rule's name as the policy file has it, `value` what the transaction has, `limit` what the rule
    allows.
    """

    code = "policy_violation"

    def __init__(
        self,
        message: str,
        *,
        rule: str = "",
        value: str = "",
        limit: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
        self.value = value
        self.limit = limit

    def to_dict(self) -> dict[str, Any]:
        """Return the error body of the signing contract, with the rule, the value and the limit."""
        return super().to_dict() | {"rule": self.rule, "value": self.value, "limit": self.limit}


class NeedsApproval(Refused):
    """Others must consent before this is signed.

    `digest` is what they consent to, 0x hex; `missing` more are needed, and those of `not_from` would not count.
    """

    code = "needs_approval"

    def __init__(
        self,
        message: str,
        *,
        digest: str = "",
        missing: int = 0,
        not_from: tuple[str, ...] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.digest = digest
        self.missing = missing
        self.not_from = not_from

    def to_dict(self) -> dict[str, Any]:
        """Return the error body of the signing contract, with the digest and how many consents are missing."""
        more = {"digest": self.digest, "missing": self.missing, "notFrom": list(self.not_from)}
        return super().to_dict() | more


class NotWaiting(Refused):
    code = "not_waiting"


class AlreadySigned(Refused):
    code = "already_signed"


class SigningInProgress(Refused):
    code = "signing_in_progress"
    retryable = True


class KmsError(BursarError):
    """AWS KMS turned the call down or could not be reached.

    `request_id` is KMS's own id of the call, for the audit trail and for AWS support; None where the call
    never got an answer. `unanswered` counts the attempts that may have reached KMS and got none.
    """

    code = "kms_error"

    def __init__(
        self, message: str, *, hint: str | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.request_id = request_id
        self.unanswered = 0


class KmsThrottled(KmsError):
    code = "kms_throttled"
    retryable = True


class KmsUnavailable(KmsError):
    code = "kms_unavailable"
    retryable = True


class KmsTimeout(KmsError):
    code = "kms_timeout"
    retryable = True


class KmsAccessDenied(KmsError):
    code = "kms_access_denied"


class KmsKeyNotFound(KmsError):
    code = "kms_key_not_found"


class KmsKeyDisabled(KmsError):
    code = "kms_key_disabled"


class KmsKeyPendingDeletion(KmsError):
    code = "kms_key_pending_deletion"


class KmsKeyUnusable(KmsError):
    code = "kms_key_unusable"


class KmsWrongUsage(KmsError):
    code = "kms_wrong_usage"


class KmsAliasTaken(KmsError):
    code = "kms_alias_taken"


class KmsCredentials(KmsError):
    code = "kms_credentials"


class KmsRegionMismatch(KmsError):
    code = "kms_region_mismatch"


class KmsProtocolError(KmsError):
    code = "kms_protocol_error"


class SigningServiceError(BursarError):
    code = "signing_service_error"


class SigningServiceDenied(SigningServiceError):
    code = "signing_service_denied"


class SigningServiceRefused(SigningServiceError):
    """The deployed signer turned the request down.

    `reason` is the code the signer gave, for example `policy_violation`, and `details` what it says besides: the
    `rule`, `value` and `limit` of a policy's, or `digest`, `missing` and `notFrom` where others must consent.
    """

    code = "signing_service_refused"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        reason: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.details = details if isinstance(details, dict) else {}

    def to_dict(self) -> dict[str, Any]:
        """Return the error body, with the signer's own code as `reason` and what it says besides."""
        return {**self.details, **super().to_dict(), "reason": self.reason}


class SigningServiceUnavailable(SigningServiceError):
    code = "signing_service_unavailable"
    retryable = True


class AwsError(BursarError):
    code = "aws_error"


class AwsAccessDenied(AwsError):
    code = "aws_access_denied"


class AwsCredentials(AwsError):
    code = "aws_credentials"


class StackError(AwsError):
    code = "stack_error"


class KeyReplacementForbidden(StackError):
    code = "key_replacement_forbidden"


class CrossmintError(BursarError):
    """Crossmint's API failed or refused.

    `status` is the HTTP status, None where no answer came. `reason` is Crossmint's own code, where it gave one.
    """

    code = "crossmint_error"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason


class CrossmintAuth(CrossmintError):
    code = "crossmint_auth"


class CrossmintNotFound(CrossmintError):
    code = "crossmint_not_found"


class CrossmintBadRequest(CrossmintError):
    code = "crossmint_bad_request"


class CrossmintConflict(CrossmintError):
    code = "crossmint_conflict"


class ApprovalAlreadySubmitted(CrossmintError):
    code = "approval_already_submitted"


class ApprovalAlreadyComplete(CrossmintError):
    code = "approval_already_complete"


class ApprovalRejected(CrossmintError):
    code = "approval_rejected"


class CrossmintRateLimited(CrossmintError):
    """429. `retry_after` is in seconds, None where the server did not say."""

    code = "crossmint_rate_limited"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = 429,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, status=status)
        self.retry_after = retry_after


class CrossmintUnavailable(CrossmintError):
    code = "crossmint_unavailable"
    retryable = True


class CrossmintOutcomeUnknown(CrossmintError):
    """The server may have acted. Look the outcome up; never repeat without the same idempotency key.

    `record_id` is the id of what may have been created, where the answer named one.
    """

    code = "crossmint_outcome_unknown"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        record_id: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, status=status)
        self.record_id = record_id


class CrossmintProtocolError(CrossmintError):
    code = "crossmint_protocol_error"


class TransactionFailed(CrossmintError):
    code = "transaction_failed"


class ComplianceError(CrossmintError):
    code = "compliance_refused"


class RecipientDataMissing(ComplianceError):
    code = "recipient_personal_data_missing"


class RecipientWalletSanctioned(ComplianceError):
    code = "recipient_wallet_sanctioned"


class RecipientPersonSanctioned(ComplianceError):
    code = "recipient_person_sanctioned"


class RecipientTypeUnsupported(ComplianceError):
    code = "recipient_type_unsupported"


class ComplianceInProgress(ComplianceError):
    code = "compliance_in_progress"
    retryable = True


class TransferError(BursarError):
    code = "transfer_error"


class NotAwaitingApproval(TransferError):
    code = "not_awaiting_approval"


class IntentMismatch(TransferError):
    code = "intent_mismatch"


class SettlementTimeout(TransferError):
    code = "settlement_timeout"
    retryable = True


class TransferConflict(TransferError):
    code = "transfer_conflict"


class UnknownTransfer(TransferError):
    code = "unknown_transfer"


class NotCancellable(TransferError):
    code = "not_cancellable"


class TransferEnded(TransferError):
    code = "transfer_ended"


class SettlementContradicted(TransferError):
    code = "settlement_contradicted"


class PayoutError(BursarError):
    code = "payout_error"


class PlanRejected(PayoutError):
    """A file of payments is wrong, and nothing was done.

    `problems` are all that were found, in the order of the file: mappings of `line` (0 for the file as a whole),
    `column`, `value`, `what` and `fix`.
    """

    code = "plan_rejected"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        problems: tuple[Mapping[str, Any], ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems

    def to_dict(self) -> dict[str, Any]:
        """Return the error body, with all problems."""
        return super().to_dict() | {"problems": list(self.problems)}


class PlanChanged(PayoutError):
    code = "plan_changed"


class UnknownPayout(PayoutError):
    code = "unknown_payout"


class JournalError(BursarError):
    code = "journal_error"


class JournalUnavailable(JournalError):
    code = "journal_unavailable"
    retryable = True


class ChainError(BursarError):
    code = "chain_error"


class ChainUnavailable(ChainError):
    code = "chain_unavailable"
    retryable = True


class WebhookRejected(BursarError):
    code = "webhook_rejected"


class LedgerError(BursarError):
    code = "ledger_error"


class LedgerUnavailable(LedgerError):
    code = "ledger_unavailable"
    retryable = True


class LedgerDamaged(LedgerError):
    code = "ledger_damaged"


class SandboxError(BursarError):
    code = "sandbox_error"


def all_errors() -> list[type[BursarError]]:
    """Return every error class, base first, each once."""
    seen: list[type[BursarError]] = []
    queue: list[type[BursarError]] = [BursarError]
    while queue:
        kind = queue.pop(0)
        seen.append(kind)
        queue.extend(kind.__subclasses__())
    return seen
