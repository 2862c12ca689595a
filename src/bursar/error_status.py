"""Two tables: the HTTP status and the exit status of every error."""

from __future__ import annotations

from bursar.errors import (
    AlreadySigned,
    BursarError,
    ChainUnavailable,
    ComplianceError,
    CrossmintOutcomeUnknown,
    InputError,
    IntentMismatch,
    JournalUnavailable,
    KeyReplacementForbidden,
    KmsError,
    KmsThrottled,
    KmsTimeout,
    KmsUnavailable,
    LedgerDamaged,
    LedgerUnavailable,
    NotAwaitingApproval,
    NotCancellable,
    NotWaiting,
    PlanChanged,
    PlanRejected,
    Refused,
    RequestTooLarge,
    SettlementContradicted,
    SettlementTimeout,
    SignatureError,
    SignerMismatch,
    SigningInProgress,
    SigningServiceDenied,
    SigningServiceRefused,
    TransferConflict,
    TransferEnded,
    UnknownPayout,
    UnknownTransfer,
    Unverifiable,
    WebhookRejected,
)

_BRANCH_HTTP: dict[type[BursarError], int] = {
    RequestTooLarge: 413,
    InputError: 400,
    SignerMismatch: 403,
    SigningInProgress: 503,
    AlreadySigned: 409,
    NotWaiting: 409,
    NotAwaitingApproval: 409,
    Refused: 403,
    IntentMismatch: 403,
    SignatureError: 502,
    KmsThrottled: 429,
    KmsTimeout: 504,
    KmsUnavailable: 503,
    KmsError: 502,
    LedgerUnavailable: 503,
    TransferConflict: 409,
    NotCancellable: 409,
    TransferEnded: 409,
    UnknownTransfer: 404,
    UnknownPayout: 404,
    PlanRejected: 400,
    PlanChanged: 409,
    JournalUnavailable: 503,
    ChainUnavailable: 503,
    WebhookRejected: 401,
    BursarError: 500,
}

_BRANCH_EXIT: dict[type[BursarError], int] = {
    InputError: 2,
    Refused: 3,
    ComplianceError: 3,
    SigningServiceDenied: 3,
    SigningServiceRefused: 3,
    IntentMismatch: 4,
    Unverifiable: 4,
    SigningInProgress: 5,
    KeyReplacementForbidden: 3,
    SignatureError: 4,
    LedgerDamaged: 4,
    TransferConflict: 2,
    UnknownTransfer: 2,
    UnknownPayout: 2,
    PlanRejected: 2,
    NotCancellable: 3,
    TransferEnded: 3,
    PlanChanged: 4,
    SettlementContradicted: 4,
    CrossmintOutcomeUnknown: 5,
    SettlementTimeout: 5,
    BursarError: 1,
}


def http_status(error: BursarError) -> int:
    """Return the HTTP status the signing contract gives this error."""
    return _nearest(_BRANCH_HTTP, type(error))


def exit_status(error: BursarError) -> int:
    """Return the command line's exit status for this error.

    1 failed, 2 wrong input, 3 refused, 4 not what it should be (a transaction, a signature, a ledger),
    5 outcome not known yet.
    """
    return _nearest(_BRANCH_EXIT, type(error))


def _nearest(table: dict[type[BursarError], int], kind: type[BursarError]) -> int:
    return next(table[cls] for cls in kind.__mro__ if cls in table)
