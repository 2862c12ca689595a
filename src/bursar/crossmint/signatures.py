"""The client's calls about off-chain signatures by a wallet: ask, read, list, approve."""

from __future__ import annotations

from collections.abc import Sequence

from bursar.crossmint.calls import Call, Kind, check_idempotency_key, record_segment
from bursar.crossmint.locators import WalletLocator
from bursar.crossmint.models import Signature, read_list
from bursar.crossmint.requests import Approval, NewMessageSignature, NewTypedDataSignature
from bursar.crossmint.session import Session
from bursar.crossmint.transactions import approvals_body, page_query, same_record
from bursar.crossmint.wallets import wallet_path

_CREATE = "wallets:signatures.create"
_READ = "wallets:signatures.read"


class SignatureCalls:
    """Messages and typed data signed in a wallet's name."""

    _session: Session

    def create_signature(
        self,
        wallet: WalletLocator | str,
        request: NewMessageSignature | NewTypedDataSignature,
        *,
        idempotency_key: str,
    ) -> Signature:
        """Ask for a signature in the wallet's name, to be approved. One POST; scope `wallets:signatures.create`.

        Typed data can be a permit that moves money, so the key is the caller's to give.

        Raises:
            CrossmintBadRequest: also where this kind of signature is not supported.
            CrossmintOutcomeUnknown: it may exist; repeat with the same key.
            CrossmintError: anything else that Crossmint says.
        """
        call = Call(
            "create the signature",
            "POST",
            f"{wallet_path(wallet)}/signatures",
            _CREATE,
            Kind.WRITE,
            body=request.body(),
            idempotency_key=check_idempotency_key(idempotency_key),
        )
        return self._session.ask(call, Signature.read)

    def get_signature(self, wallet: WalletLocator | str, signature_id: str) -> Signature:
        """Return a signature. One GET; scope `wallets:signatures.read`.

        Raises:
            CrossmintNotFound: the wallet has none of that id.
            CrossmintError: anything else that Crossmint says.
        """
        path = f"{wallet_path(wallet)}/signatures/{record_segment(signature_id)}"
        body = self._session.send(Call("read the signature", "GET", path, _READ))
        return same_record(Signature.read(body), signature_id)

    def list_signatures(
        self, wallet: WalletLocator | str, *, page: int = 1, per_page: int = 10
    ) -> list[Signature]:
        """Return one page of a wallet's signatures. One GET; scope `wallets:signatures.read`.

        Raises:
            RequestError: page or page size is below 1.
            CrossmintError: anything that Crossmint says.
        """
        path, query = f"{wallet_path(wallet)}/signatures", page_query(page, per_page)
        call = Call("list the signatures", "GET", path, _READ, query=query)
        return read_list(Signature, self._session.send(call), "signatures")

    def approve_signature(
        self, wallet: WalletLocator | str, signature_id: str, approvals: Sequence[Approval]
    ) -> Signature:
        """Hand approvals of a signature in. One POST; scope `wallets:signatures.create`.

        Raises:
            ApprovalAlreadySubmitted, ApprovalAlreadyComplete: it was approved before; read the signature.
            ApprovalRejected: the signer or the signature is not accepted.
            CrossmintOutcomeUnknown: it may have been taken; read the signature.
            CrossmintError: anything else that Crossmint says.
        """
        path = f"{wallet_path(wallet)}/signatures/{record_segment(signature_id)}/approvals"
        body = approvals_body(approvals)
        call = Call("approve the signature", "POST", path, _CREATE, Kind.APPROVE, body=body)
        return self._session.ask(
            call, lambda answer: same_record(Signature.read(answer), signature_id)
        )
