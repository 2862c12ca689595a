from __future__ import annotations

from typing import Any

import httpx2
import pytest

from bursar.crossmint.client import CrossmintClient
from bursar.crossmint.requests import Approval, ContractCall, NewTransaction, NewTransfer
from bursar.errors import (
    ApprovalAlreadyComplete,
    ApprovalAlreadySubmitted,
    ApprovalRejected,
    ComplianceError,
    ComplianceInProgress,
    CrossmintAuth,
    CrossmintBadRequest,
    CrossmintConflict,
    CrossmintError,
    CrossmintNotFound,
    CrossmintProtocolError,
    RecipientDataMissing,
    RecipientPersonSanctioned,
    RecipientTypeUnsupported,
    RecipientWalletSanctioned,
    TransactionFailed,
)
from tests.unit.crossmint.bodies import OTHER, OURS, SIGNATURE, WALLET
from tests.unit.crossmint.conftest import FakeServer
from tests.unit.crossmint.test_session import TRANSFER

APPROVAL = Approval(signer=OURS, signature=SIGNATURE)


def plain(message: str = "no", **more: Any) -> dict[str, Any]:
    return {"error": True, "message": message, **more}


def reasoned(reason: str, message: str = "no", **more: Any) -> dict[str, Any]:
    return {"error": {"reason": reason, "message": message}, **more}


def transfer(client: CrossmintClient, request: NewTransfer = TRANSFER) -> Any:
    return client.create_transfer(WALLET, request, idempotency_key="pay-1")


@pytest.mark.parametrize("status", [400, 403, 409, 422, 451])
@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("recipient_personal_data_missing", RecipientDataMissing),
        ("personal_data_missing", RecipientDataMissing),
        ("recipient_wallet_sanctioned", RecipientWalletSanctioned),
        ("address_sanction_check_failed", RecipientWalletSanctioned),
        ("sanctioned_wallet_address", RecipientWalletSanctioned),
        ("recipient_person_sanctioned", RecipientPersonSanctioned),
        ("user_sanction_check_failed", RecipientPersonSanctioned),
        ("recipient_type_unsupported", RecipientTypeUnsupported),
        ("not_support_recipient_type", RecipientTypeUnsupported),
    ],
)
def test_a_compliance_reason_decides_whatever_the_status(
    client: CrossmintClient,
    server: FakeServer,
    status: int,
    reason: str,
    kind: type[ComplianceError],
) -> None:
    server.answers(reasoned(reason, "because"), status=status)
    with pytest.raises(kind) as caught:
        transfer(client)
    assert (caught.value.reason, caught.value.status) == (reason, status)
    assert caught.value.hint
    assert not caught.value.retryable
    assert "because" in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        plain("User KYC is in progress, please retry in a few seconds"),
        reasoned("recipient_personal_data_missing", "user kyc in progress"),
        plain("Identity verification pending. Try again later."),
    ],
)
def test_running_identity_checks_can_be_retried(
    client: CrossmintClient, server: FakeServer, body: dict[str, Any]
) -> None:
    server.answers(body, status=400)
    with pytest.raises(ComplianceInProgress) as caught:
        transfer(client)
    assert caught.value.retryable
    assert len(server.requests) == 1


def test_a_finished_identity_check_is_not_taken_for_a_running_one(
    client: CrossmintClient, server: FakeServer
) -> None:
    server.answers(reasoned("recipient_personal_data_missing", "KYC data is missing"), status=400)
    with pytest.raises(RecipientDataMissing):
        transfer(client)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (422, reasoned("build_failed"), TransactionFailed),
        (422, reasoned("execution_reverted"), TransactionFailed),
        (400, reasoned("program_error"), TransactionFailed),
        (422, plain(), TransactionFailed),
        (422, reasoned("new_reason"), TransactionFailed),
        (400, plain(), CrossmintBadRequest),
        (400, plain(code="DEVICE_SIGNER_NOT_SUPPORTED"), CrossmintBadRequest),
        (
            400,
            {"statusCode": 400, "message": ["a", "b"], "error": "Bad Request"},
            CrossmintBadRequest,
        ),
        (400, [], CrossmintBadRequest),
        (400, plain("idempotency key reused with another body"), CrossmintConflict),
        (409, plain(), CrossmintConflict),
        (401, plain(code="ERROR_JWT_EXPIRED"), CrossmintAuth),
        (403, plain(), CrossmintAuth),
        (404, plain(), CrossmintNotFound),
        (418, plain(), CrossmintBadRequest),
        (304, plain(), CrossmintProtocolError),
    ],
)
def test_a_refused_creation_is_told_by_meaning(
    client: CrossmintClient,
    server: FakeServer,
    status: int,
    body: Any,
    kind: type[CrossmintError],
) -> None:
    server.answers(body, status=status)
    for create in (transfer, _transaction):
        with pytest.raises(CrossmintError) as caught:
            create(client)
        assert type(caught.value) is kind
        assert caught.value.status == status


def _transaction(client: CrossmintClient) -> Any:
    request = NewTransaction(calls=(ContractCall(to=OTHER),), chain="base")
    return client.create_transaction(WALLET, request, idempotency_key="t-1")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ApprovalRejected),
        (409, ApprovalAlreadySubmitted),
        (422, ApprovalAlreadyComplete),
        (404, CrossmintNotFound),
        (403, CrossmintAuth),
    ],
)
def test_a_refused_approval_is_told_by_meaning(
    client: CrossmintClient, server: FakeServer, status: int, kind: type[CrossmintError]
) -> None:
    server.answers(plain("already"), status=status)
    for approve in (client.approve_transaction, client.approve_signature):
        with pytest.raises(CrossmintError) as caught:
            approve(WALLET, "id-1", [APPROVAL])
        assert type(caught.value) is kind
        assert "already" in caught.value.message
        assert caught.value.hint or kind is CrossmintNotFound


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_permission_names_the_scope(
    client: CrossmintClient, server: FakeServer, status: int
) -> None:
    page = b"<!DOCTYPE html><html><title>Attention Required! | Cloudflare</title></html>"
    server.answers(httpx2.Response(status, content=page, headers={"Content-Type": "text/html"}))
    with pytest.raises(CrossmintAuth) as caught:
        transfer(client)
    assert "wallets:transactions.create" in (caught.value.hint or "")
    assert "web page" in caught.value.message
    with pytest.raises(CrossmintAuth) as caught:
        client.get_wallet(WALLET)
    assert "wallets.read" in (caught.value.hint or "")


def test_a_stable_code_is_the_reason(client: CrossmintClient, server: FakeServer) -> None:
    server.answers(plain(code="DEVICE_SIGNER_NOT_SUPPORTED"), status=400)
    with pytest.raises(CrossmintBadRequest) as caught:
        client.get_wallet(WALLET)
    assert caught.value.reason == "DEVICE_SIGNER_NOT_SUPPORTED"


def test_an_error_in_a_successful_answer_is_a_protocol_error(
    client: CrossmintClient, server: FakeServer
) -> None:
    server.answers(plain())
    with pytest.raises(CrossmintProtocolError):
        client.get_wallet(WALLET)
