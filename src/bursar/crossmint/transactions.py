"""The client's calls about transfers and transactions: make, read, list, approve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from bursar.crossmint.approvals import Approvable
from bursar.crossmint.calls import (
    Call,
    Kind,
    check_idempotency_key,
    record_segment,
)
from bursar.crossmint.locators import TokenLocator, WalletLocator
from bursar.crossmint.models import PastTransfer, Transaction, TransferPage, read_list
from bursar.crossmint.reading import plain
from bursar.crossmint.requests import Approval, HistoryQuery, NewTransaction, NewTransfer
from bursar.crossmint.session import Session
from bursar.crossmint.wallets import wallet_path
from bursar.crossmint.writing import iso
from bursar.errors import CrossmintProtocolError, RequestError

Record = TypeVar("Record", bound=Approvable)

_CREATE = "wallets:transactions.create"
_READ = "wallets:transactions.read"
_SIGN = "wallets:transactions.sign"


def approvals_body(approvals: Sequence[Approval]) -> dict[str, object]:
    """Return the body that hands approvals in.

    Raises:
        RequestError: there is none.
    """
    if not approvals:
        raise RequestError("there is no approval to hand in")
    return {"approvals": [approval.body() for approval in approvals]}


class TransactionCalls:
    """Transfers, transactions, approvals, history."""

    _session: Session

    def create_transfer(
        self, wallet: WalletLocator | str, request: NewTransfer, *, idempotency_key: str
    ) -> Transaction:
        """Create a transfer, to be approved. One POST; scope `wallets:transactions.create`. It moves money.

        Screening runs inside this call: when it returns, the recipient has passed. The idempotency key is the
        caller's own id of the payment; the same key returns the same transaction and never makes a second.

        Raises:
            RecipientDataMissing, RecipientWalletSanctioned, RecipientPersonSanctioned, RecipientTypeUnsupported:
                screening turned the recipient down; repeating does not help.
            ComplianceInProgress: identity checks are still running; repeat in some seconds.
            TransactionFailed: it cannot be built, or its simulation fails.
            CrossmintConflict: the key was used for another transfer.
            CrossmintUnavailable: nothing was sent.
            CrossmintOutcomeUnknown: it may exist; repeat with the same key, or look it up.
            CrossmintError: anything else that Crossmint says.
        """
        path = f"{wallet_path(wallet)}/tokens/{request.token.segment}/transfers"
        call = Call(
            "create the transfer",
            "POST",
            path,
            _CREATE,
            Kind.MOVE,
            body=request.body(),
            idempotency_key=check_idempotency_key(idempotency_key),
        )
        return self._session.ask(call, Transaction.read)

    def create_transaction(
        self, wallet: WalletLocator | str, request: NewTransaction, *, idempotency_key: str
    ) -> Transaction:
        """Create a transaction of any calls, to be approved. One POST; scope `wallets:transactions.create`.

        Raises:
            TransactionFailed: it cannot be built, or its simulation fails; `reason` says which.
            CrossmintOutcomeUnknown: it may exist; repeat with the same key, or look it up.
            CrossmintError: as for `create_transfer`.
        """
        call = Call(
            "create the transaction",
            "POST",
            f"{wallet_path(wallet)}/transactions",
            _CREATE,
            Kind.MOVE,
            body=request.body(),
            idempotency_key=check_idempotency_key(idempotency_key),
        )
        return self._session.ask(call, Transaction.read)

    def get_transaction(self, wallet: WalletLocator | str, transaction_id: str) -> Transaction:
        """Return a transaction. One GET; scope `wallets:transactions.read`.

        Raises:
            CrossmintNotFound: the wallet has none of that id.
            CrossmintProtocolError: also where the answer is another transaction.
            CrossmintError: anything else that Crossmint says.
        """
        path = f"{wallet_path(wallet)}/transactions/{record_segment(transaction_id)}"
        body = self._session.send(Call("read the transaction", "GET", path, _READ))
        return same_record(Transaction.read(body), transaction_id)

    def get_transfer(
        self, wallet: WalletLocator | str, token: TokenLocator | str, transaction_id: str
    ) -> Transaction:
        """Return the transaction of a transfer of this token. One GET; scope `wallets:transactions.read`.

        Raises:
            CrossmintNotFound: there is none.
            CrossmintError: anything else that Crossmint says.
        """
        locator = token if isinstance(token, TokenLocator) else TokenLocator.parse(token)
        path = f"{wallet_path(wallet)}/tokens/{locator.segment}/transfers/"
        path += record_segment(transaction_id)
        body = self._session.send(Call("read the transfer", "GET", path, _READ))
        return same_record(Transaction.read(body), transaction_id)

    def list_transactions(
        self,
        wallet: WalletLocator | str,
        *,
        page: int = 1,
        per_page: int = 10,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Transaction]:
        """Return one page of a wallet's transactions. One GET; scope `wallets:transactions.read`.

        Raises:
            RequestError: page or page size is below 1, or a time has no zone.
            CrossmintError: anything that Crossmint says.
        """
        query = page_query(page, per_page)
        for name, moment in (("dateFrom", since), ("dateTo", until)):
            if moment is not None:
                query[name] = iso(moment)
        path = f"{wallet_path(wallet)}/transactions"
        call = Call("list the transactions", "GET", path, _READ, query=query)
        return read_list(Transaction, self._session.send(call), "transactions")

    def approve_transaction(
        self, wallet: WalletLocator | str, transaction_id: str, approvals: Sequence[Approval]
    ) -> Transaction:
        """Hand signatures in. One POST; scope `wallets:transactions.sign`.

        With the last one that is needed Crossmint broadcasts the transaction: there is no way back.

        Raises:
            ApprovalAlreadySubmitted: this signer's was there before; read the transaction.
            ApprovalAlreadyComplete: no more are needed; read the transaction.
            ApprovalRejected: the signer or the signature is not accepted.
            CrossmintOutcomeUnknown: it may have been taken; read the transaction.
            CrossmintError: anything else that Crossmint says.
        """
        path = f"{wallet_path(wallet)}/transactions/{record_segment(transaction_id)}/approvals"
        body = approvals_body(approvals)
        call = Call("approve the transaction", "POST", path, _SIGN, Kind.APPROVE, body=body)
        return self._session.ask(
            call, lambda answer: same_record(Transaction.read(answer), transaction_id)
        )

    def transfer_history(
        self, wallet: WalletLocator | str, request: HistoryQuery, *, cursor: str | None = None
    ) -> TransferPage:
        """Return a page of what came in and went out. One GET; scope `wallets.read`; an unstable path.

        Raises:
            CrossmintError: anything that Crossmint says.
        """
        query = request.query()
        if cursor is not None:
            query["cursor"] = cursor
        path = wallet_path(wallet).split("/", 2)[2]
        call = Call(
            "list the transfers", "GET", f"/unstable/{path}/transfers", "wallets.read", query=query
        )
        return self._session.ask(call, TransferPage.read)

    def iter_transfers(
        self, wallet: WalletLocator | str, request: HistoryQuery
    ) -> Iterator[PastTransfer]:
        """Yield the whole history, page by page. One GET a page; scope `wallets.read`.

        Raises:
            CrossmintProtocolError: a cursor came twice, which would never end.
            CrossmintError: anything else that Crossmint says.
        """
        seen: set[str | None] = {None}
        cursor = None
        while True:
            found = self.transfer_history(wallet, request, cursor=cursor)
            yield from found.items
            cursor = found.next_cursor or None
            if cursor is None:
                return
            if cursor in seen:
                raise CrossmintProtocolError("Crossmint's transfer history repeats a cursor")
            seen.add(cursor)


def same_record(record: Record, record_id: str) -> Record:
    """Return the record, once it is the one that was asked for.

    Raises:
        CrossmintProtocolError: it is another one.
    """
    if record.id != record_id:
        raise CrossmintProtocolError(
            f"Crossmint was asked about {plain(record_id, 80)} and answered about {plain(record.id, 80)}"
        )
    return record


def page_query(page: int, per_page: int) -> dict[str, str]:
    """Return the query of offset paging.

    Raises:
        RequestError: a number below 1.
    """
    if page < 1 or per_page < 1:
        raise RequestError("page and page size start at 1")
    return {"page": str(page), "perPage": str(per_page)}
