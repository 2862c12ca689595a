from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bursar.crossmint.approvals import Approvable, Status
from bursar.crossmint.models import (
    Balance,
    DelegatedSigner,
    FundedBalance,
    PastTransfer,
    Signature,
    Transaction,
    TransferPage,
    User,
    Wallet,
    read_list,
)
from bursar.crossmint.reading import Signer, plain, read_time
from bursar.errors import (
    CrossmintProtocolError,
    NotAwaitingApproval,
    RecipientWalletSanctioned,
    TransactionFailed,
)
from tests.unit.crossmint import bodies
from tests.unit.crossmint.bodies import ADDRESS, HASH, OTHER, OURS

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-02T03:04:05.678Z",
        "2026-01-02T03:04:05.678",
        "2026-01-02T04:04:05.678+01:00",
        1767323045678,
        1767323045.678,
    ],
)
def test_times_come_as_text_or_numbers_and_leave_with_a_zone(value: Any) -> None:
    wallet = Wallet.read(bodies.wallet(createdAt=value))
    assert wallet.created_at == MOMENT
    assert wallet.created_at.tzinfo is not None


@pytest.mark.parametrize("value", [True, -1, 1e300, float("inf"), "soon", [], {}, "", 10**400])
def test_what_is_not_a_time_is_a_protocol_error(value: Any) -> None:
    with pytest.raises(CrossmintProtocolError):
        Wallet.read(bodies.wallet(createdAt=value))


def test_a_moment_without_zone_is_taken_as_utc() -> None:
    assert read_time(MOMENT.replace(tzinfo=None)) == MOMENT


def test_a_wallet_is_read_with_its_admin_signer() -> None:
    wallet = Wallet.read(bodies.wallet(somethingNew={"x": 1}))
    assert wallet.address == bodies.WALLET
    assert wallet.admin_signer is not None
    assert wallet.admin_signer.is_signer(OURS.lower())
    assert wallet.raw["somethingNew"] == {"x": 1}


def test_a_wallet_of_the_2022_version_is_read() -> None:
    wallet = Wallet.read(
        {
            "type": "evm-smart-wallet",
            "address": bodies.WALLET,
            "config": {"adminSigner": f"evm-keypair:{ADDRESS}"},
            "linkedUser": "email:ada@example.com",
        }
    )
    assert wallet.chain_type == "evm"
    assert wallet.owner == "email:ada@example.com"
    assert wallet.admin_signer is not None
    assert wallet.admin_signer.locator == f"evm-keypair:{ADDRESS}"
    assert wallet.admin_signer.type == "evm-keypair"


def test_a_wallet_without_config_is_read() -> None:
    wallet = Wallet.read({"type": "mpc", "chainType": "evm", "address": bodies.WALLET})
    assert wallet.admin_signer is None
    assert wallet.delegated_signers == ()


def test_null_counts_as_absent() -> None:
    wallet = Wallet.read(bodies.wallet(alias=None, owner=None, createdAt=None))
    assert (wallet.alias, wallet.owner, wallet.created_at) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "locator"),
    [
        (OURS, OURS),
        ({"type": "external-wallet", "address": ADDRESS}, OURS),
        ({"type": "external-wallet", "id": ADDRESS, "locator": OURS}, OURS),
        ({"locator": OURS}, OURS),
        ({"type": "email", "email": "a@b.co"}, "email:a@b.co"),
        ({"type": "api-key"}, "api-key"),
        ({"type": "alien", "locator": "alien:1"}, "alien:1"),
    ],
)
def test_a_signer_comes_as_text_or_object(value: Any, locator: str) -> None:
    assert Signer.read(value).locator == locator


@pytest.mark.parametrize(
    "value", [None, 3, {}, [], {"locator": 3}, {"type": 3}, {"locator": ""}, ""]
)
def test_what_is_not_a_signer_is_a_protocol_error(value: Any) -> None:
    with pytest.raises(CrossmintProtocolError):
        Signer.read(value)


def test_a_transaction_keeps_its_body_and_user_operation_word_for_word() -> None:
    body = bodies.transaction()
    body["onChain"]["userOperation"]["unheardOf"] = {"deep": [1, None]}
    transaction = Transaction.read(body)
    assert transaction.raw == body
    assert transaction.on_chain.user_operation == body["onChain"]["userOperation"]
    assert transaction.user_operation_hash == HASH
    assert transaction.chain == "base-sepolia"
    assert transaction.send_params is not None
    assert transaction.send_params.params.amount == "0.2"


def test_a_raw_field_of_the_server_does_not_replace_the_kept_body() -> None:
    body = bodies.transaction(raw={"forged": True})
    assert Transaction.read(body).raw == body


def test_the_kept_body_is_not_in_repr() -> None:
    assert "raw=" not in repr(Transaction.read(bodies.transaction()))
    assert "Lovelace" not in repr(User.read({"userId": "u", "lastName": "Lovelace"}))


def test_an_old_body_without_chain_type_and_optionals_is_read() -> None:
    transaction = Transaction.read(
        {
            "id": "old-1",
            "status": "awaiting-approval",
            "onChain": {"userOperationHash": HASH},
            "approvals": {"pending": [{"signer": f"evm-keypair:{ADDRESS}", "message": HASH}]},
            "error": None,
        }
    )
    assert transaction.chain is None
    assert transaction.pending_for(f"evm-keypair:{ADDRESS.lower()}").message == HASH


def test_an_external_wallet_given_by_id_is_found() -> None:
    pending = [{"signer": {"type": "external-wallet", "id": ADDRESS}, "message": HASH}]
    transaction = Transaction.read(bodies.transaction(approvals={"pending": pending}))
    assert transaction.pending_for(OURS).locator == OURS


@pytest.mark.parametrize(
    ("text", "status", "succeeded", "final"),
    [
        ("awaiting-approval", Status.AWAITING_APPROVAL, False, False),
        ("pending", Status.PENDING, False, False),
        ("success", Status.SUCCESS, True, True),
        ("failed", Status.FAILED, False, True),
        ("successful", Status.UNKNOWN, False, False),
        ("SUCCESS", Status.UNKNOWN, False, False),
        ("unknown", Status.UNKNOWN, False, False),
        ("", Status.UNKNOWN, False, False),
    ],
)
def test_an_unknown_status_is_kept_and_is_never_success(
    text: str, status: Status, *, succeeded: bool, final: bool
) -> None:
    transaction = Transaction.read(bodies.transaction(status=text))
    assert transaction.status is status
    assert transaction.status_text == text
    assert (transaction.succeeded, transaction.is_final) == (succeeded, final)


@pytest.mark.parametrize("case", [str.lower, str.upper, str])
def test_our_pending_approval_is_found_in_any_letter_case(case: Any) -> None:
    pending = Transaction.read(bodies.transaction()).pending_for(
        f"external-wallet:0x{case(ADDRESS[2:])}"
    )
    assert (pending.locator, pending.message, pending.quorum) == (OURS, HASH, None)


def test_our_pending_approval_is_found_inside_a_quorum() -> None:
    transaction = Transaction.read(bodies.quorum_transaction())
    pending = transaction.pending_for(OURS)
    assert (pending.locator, pending.message, pending.quorum) == (OURS, HASH, "quorum:q1")
    assert transaction.waiting_for() == (OURS,)
    (submitted,) = transaction.submitted_by(f"external-wallet:{OTHER}")
    assert submitted.submitted_at == MOMENT
    assert transaction.submitted_by(OURS) == ()


def test_a_stranger_is_told_who_is_pending() -> None:
    with pytest.raises(NotAwaitingApproval) as caught:
        Transaction.read(bodies.transaction()).pending_for(f"external-wallet:{OTHER}")
    assert OURS in caught.value.message


def test_one_who_approved_is_told_so() -> None:
    submitted = [{"signer": OURS, "signature": "0x" + "11" * 64, "message": HASH}]
    body = bodies.transaction(approvals={"pending": [], "submitted": submitted})
    with pytest.raises(NotAwaitingApproval) as caught:
        Transaction.read(body).pending_for(OURS)
    assert "approved already" in (caught.value.hint or "")
    assert "nobody" in caught.value.message


@pytest.mark.parametrize("status", ["pending", "success", "failed", "something-else"])
def test_nothing_waits_in_another_state(status: str) -> None:
    with pytest.raises(NotAwaitingApproval):
        Transaction.read(bodies.transaction(status=status)).pending_for(OURS)


def test_two_different_messages_for_one_signer_are_refused() -> None:
    pending = [
        {"signer": bodies.signer(), "message": HASH},
        {"signer": bodies.signer(ADDRESS.lower()), "message": "0x" + "00" * 32},
    ]
    transaction = Transaction.read(bodies.transaction(approvals={"pending": pending}))
    with pytest.raises(CrossmintProtocolError, match="more than one message"):
        transaction.pending_for(OURS)


def test_a_pending_entry_without_message_is_refused_only_when_it_is_ours() -> None:
    pending = [{"signer": bodies.signer()}, {"signer": bodies.signer(OTHER), "message": HASH}]
    transaction = Transaction.read(bodies.transaction(approvals={"pending": pending}))
    assert transaction.pending_for(f"external-wallet:{OTHER}").message == HASH
    with pytest.raises(CrossmintProtocolError, match="no message"):
        transaction.pending_for(OURS)


def test_a_failed_transaction_names_its_reason() -> None:
    error = {"reason": "execution_reverted", "message": "out\nof  gas\x1b[31m"}
    transaction = Transaction.read(bodies.transaction(status="failed", error=error))
    with pytest.raises(TransactionFailed, match=r"out of gas \[31m") as caught:
        transaction.require_not_failed()
    assert caught.value.reason == "execution_reverted"


def test_a_transaction_failed_on_a_sanctioned_address_is_a_compliance_refusal() -> None:
    error = {"reason": "sanctioned_wallet_address", "message": "no"}
    with pytest.raises(RecipientWalletSanctioned):
        Transaction.read(bodies.transaction(status="failed", error=error)).require_not_failed()


@pytest.mark.parametrize("error", [None, "because", {}])
def test_a_failure_with_little_said_is_still_a_failure(error: Any) -> None:
    with pytest.raises(TransactionFailed):
        Transaction.read(bodies.transaction(status="failed", error=error)).require_not_failed()


@pytest.mark.parametrize("status", ["awaiting-approval", "pending", "success", "new"])
def test_other_states_are_not_failures(status: str) -> None:
    Transaction.read(bodies.transaction(status=status)).require_not_failed()


def test_balances_count_base_units() -> None:
    (balance,) = read_list(Balance, [bodies.balance()])
    assert balance.units == 12_500_000
    assert balance.chains["base-sepolia"].contract_address == OTHER


@pytest.mark.parametrize("raw", ["1.5", "-1", "", "1e9", 5, "٣"])
def test_a_balance_that_is_not_a_count_is_a_protocol_error(raw: Any) -> None:
    with pytest.raises(CrossmintProtocolError):
        Balance.read({**bodies.balance(), "rawAmount": raw})


def test_funded_balances_have_the_older_shape() -> None:
    body = {"token": "usdxm", "decimals": 6, "balances": {"base-sepolia": "5", "total": "5"}}
    assert FundedBalance.read(body).balances["total"] == "5"


def test_a_new_signer_shows_what_has_to_be_approved_per_chain() -> None:
    signer = DelegatedSigner.read(bodies.delegated_signer())
    registration = signer.chains["base-sepolia"]
    assert isinstance(registration, Approvable)
    assert registration.pending_for(OURS).message == HASH
    assert signer.expires_at == MOMENT


def test_a_registered_signer_has_a_status_alone() -> None:
    body = {**bodies.signer(), "chains": {"base-sepolia": {"status": "success"}}}
    assert DelegatedSigner.read(body).chains["base-sepolia"].succeeded


def test_a_new_signer_of_solana_shows_a_transaction() -> None:
    body = {**bodies.signer(), "transaction": bodies.transaction()}
    assert DelegatedSigner.read(body).transaction is not None


def test_a_signature_is_read() -> None:
    signature = Signature.read(bodies.signature(status="success", outputSignature="0xabcd"))
    assert signature.succeeded
    assert signature.output_signature == "0xabcd"


@pytest.mark.parametrize(
    ("status", "succeeded"), [("succeeded", True), ("successful", True), ("failed", False)]
)
def test_past_transfers_know_both_words_for_success(status: str, *, succeeded: bool) -> None:
    assert PastTransfer.read(bodies.past_transfer(status=status)).succeeded is succeeded


def test_an_old_history_entry_with_null_error_is_read() -> None:
    body = bodies.past_transfer(error=None, completedAt=1767323045678)
    body["token"]["type"] = "ft"
    page = TransferPage.read({"data": [body], "nextCursor": "c"})
    assert page.items[0].completed_at == MOMENT
    assert page.items[0].raw == body


def test_a_user_keeps_what_the_answer_says() -> None:
    user = User.read({"userId": "u", "userDetails": True})
    assert (user.user_id, user.raw["userDetails"]) == ("u", True)


@pytest.mark.parametrize("body", [{}, {"transactions": None}, {"transactions": {}}, [], "x", None])
def test_a_missing_list_is_a_protocol_error(body: Any) -> None:
    with pytest.raises(CrossmintProtocolError):
        read_list(Transaction, body, "transactions")


@pytest.mark.parametrize("field", ["id", "status"])
def test_a_missing_required_field_is_named(field: str) -> None:
    body = bodies.transaction()
    del body[field]
    with pytest.raises(CrossmintProtocolError, match=field):
        Transaction.read(body)


def test_a_protocol_error_does_not_show_the_value() -> None:
    with pytest.raises(CrossmintProtocolError) as caught:
        Transaction.read(bodies.transaction(approvals="private-thing"))
    assert "private-thing" not in caught.value.message


def test_text_of_another_party_is_cut_and_cleaned() -> None:
    assert plain("a\r\nb\x00\u202ec\ud800d" + "x" * 1000, 12) == "a b c dxxxx…"
