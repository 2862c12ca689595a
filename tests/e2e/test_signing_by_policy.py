"""The deployed signer refuses what nobody asked for, whatever the caller believes, before KMS is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest

from bursar.errors import SigningServiceRefused
from bursar.review.intent import BatchIntent
from bursar.sandbox.crossmint.faults import Tamper
from bursar.sandbox.world import World
from tests.e2e.guarded import ACCOUNT, Guarded

APPROVALS = f"""
[[approvals]]
token = "usdc"
above = "5.00"
approvers = 1
by = ["{ACCOUNT}:user/grace", "{ACCOUNT}:user/ada"]
within = "8h"
"""
PAYROLL = f"{ACCOUNT}:user/payroll"
REASONS = {
    "recipient": "intent_mismatch",
    "amount": "intent_mismatch",
    "extra_call": "intent_mismatch",
    "token": "intent_mismatch",
    "chain": "intent_mismatch",
    "approve": "intent_mismatch",
    "other_wallet": "intent_mismatch",
    "delegatecall": "unverifiable",
    "hash": "unverifiable",
    "message": "unverifiable",
    "other_message": "unverifiable",
    "fee": "policy_violation",
    "replay": "already_signed",
}


@pytest.fixture(scope="module")
def treasury(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A treasury that has paid once: the wallet is there, and there is something to replay."""
    with World.temporary() as world:
        made = Guarded(world, tmp_path_factory.mktemp("treasury"))
        made.deploy(more=APPROVALS)
        payment = ("--direct", "--to", made.recipient, "--amount", "1.00", "--id", "first")
        sent = made.done("transfer", "send", *payment, "--yes", by="payroll")
        assert (sent["status"], made.paid, made.signatures) == ("success", 1_000_000, 1)
        yield made


def test_every_alteration_has_its_refusal_here():
    assert set(REASONS) == set(get_args(Tamper))


@pytest.mark.parametrize("how", REASONS)
def test_an_altered_answer_is_refused_where_the_key_is(treasury, how):
    before, other, started = treasury.signatures, treasury.start(), treasury.start()
    treasury.alter(how)
    with pytest.raises(SigningServiceRefused) as refused:
        treasury.ask(started["transaction_id"])
    assert refused.value.reason == REASONS[how]
    assert treasury.signatures == before
    assert other["status"] == "awaiting-approval"


def test_the_honest_answer_to_the_same_request_is_signed_once_however_often_it_is_asked(treasury):
    started, before = treasury.start(), treasury.signatures
    first, again = (treasury.ask(started["transaction_id"]) for _ in range(2))
    assert first.signed.signature == again.signed.signature
    assert treasury.signatures == before + 1


def test_the_command_refuses_before_it_asks(treasury):
    started, before = treasury.start(), treasury.signatures
    treasury.alter("recipient")
    payment = ("--to", treasury.recipient, "--amount", "1.00")
    status, said = treasury.run(
        "transfer", "sign", started["transaction_id"], *payment, by="payroll"
    )
    assert (status, said["error"]["code"]) == (4, "intent_mismatch")
    assert treasury.signatures == before


def test_a_refusal_names_the_rule_the_value_and_the_limit(treasury):
    started = treasury.start("11.00")
    payment = ("--to", treasury.recipient, "--amount", "11.00")
    status, said = treasury.run(
        "transfer", "sign", started["transaction_id"], *payment, by="payroll"
    )
    assert (status, said["error"]["code"]) == (3, "signing_service_refused")
    assert "tokens.usdc.per_transfer: 11 usdc; at most 10 usdc" in said["error"]["message"]


def test_a_caller_the_policy_does_not_name_is_refused_though_iam_lets_them_in(treasury):
    started = treasury.start()
    with pytest.raises(SigningServiceRefused, match=r"callers\.allow") as refused:
        treasury.ask(started["transaction_id"], by="ada")
    assert refused.value.reason == "policy_violation"


def test_a_direct_invocation_has_no_caller_and_is_refused(treasury):
    started = treasury.start()
    payment = ("--to", treasury.recipient, "--amount", "1.00", "--via", "lambda")
    status, said = treasury.run("transfer", "sign", started["transaction_id"], *payment)
    assert status == 3
    assert "callers.allow" in said["error"]["message"]


def test_a_bare_hash_is_refused(treasury):
    status, said = treasury.run(
        "sign", "--hash", "0x" + "11" * 32, "--address", treasury.address, by="payroll"
    )
    assert status == 3
    assert "does not sign bare hashes" in said["error"]["message"]
    assert treasury.signatures >= 1


def test_a_payment_above_the_threshold_waits_for_somebody_else_and_then_lands(treasury):
    before = treasury.paid
    payment = ("--direct", "--to", treasury.recipient, "--amount", "6.00", "--id", "big", "--yes")
    status, said = treasury.run("transfer", "send", *payment, by="grace")
    assert (status, said["error"]["code"]) == (3, "signing_service_refused")
    assert "it waits for approval: approvals[above 5 usdc]" in said["error"]["message"]
    started = treasury.done("transfer", "start", *payment[:-1], by="grace")
    waiting = started["transaction_id"]
    status, said = treasury.run("approve", waiting, "--yes", by="grace")
    assert "nobody approves their own request" in said["error"]["message"]
    status, said = treasury.run("approve", waiting, "--yes", by="payroll")
    assert "approvers are those the approval rules name" in said["error"]["message"]
    given = treasury.done("approve", waiting, "--yes", by="ada")
    assert given["review"].startswith("pay 6 usdc")
    assert (given["consented_by"], given["missing"]) == (f"{ACCOUNT}:user/ada", 0)
    sent = treasury.done("transfer", "send", *payment, by="grace")
    assert (sent["status"], treasury.paid - before) == ("success", 6_000_000)


def crowd(treasury: Guarded, units: int) -> BatchIntent:
    return BatchIntent(tuple(treasury.payment(each, units) for each in treasury.crowd))


def test_the_largest_batch_is_one_signature_and_lands_whole(treasury):
    batch, before = crowd(treasury, 10_000), treasury.signatures
    started = treasury.start_batch(batch)
    answer = treasury.ask_for(started, batch)
    assert answer.policy["sentence"].startswith("pay 0.9 usdc")
    assert "to 90 recipients in 90 calls" in answer.policy["sentence"]
    assert treasury.ask_for(started, batch).signed.signature == answer.signed.signature
    treasury.hand_in(started, answer)
    assert treasury.signatures == before + 1
    assert set(treasury.held(*treasury.crowd)) == {10_000}


def test_an_altered_batch_and_one_whose_sum_waits_for_others_are_not_signed(treasury):
    batch, before = crowd(treasury, 10_000), treasury.signatures
    started = treasury.start_batch(batch)
    for how, why in (("recipient", "in call 90 its recipient"), ("extra_call", "makes 91 calls")):
        treasury.alter(how)
        with pytest.raises(SigningServiceRefused, match=why) as refused:
            treasury.ask_for(started, batch)
        assert refused.value.reason == "intent_mismatch"
    large = crowd(treasury, 60_000)
    with pytest.raises(SigningServiceRefused, match=r"approvals\[above 5 usdc\]") as waiting:
        treasury.ask_for(treasury.start_batch(large), large)
    assert (waiting.value.reason, treasury.signatures) == ("needs_approval", before)


def test_nobody_consents_to_what_nobody_asked_for(treasury):
    started = treasury.start("7.00")
    status, said = treasury.run("approve", started["transaction_id"], "--yes", by="ada")
    assert status == 3
    assert "nothing waits for this consent" in said["error"]["message"]


def test_the_ledger_accounts_for_every_signature_and_an_edit_of_its_export_is_found(treasury):
    started = treasury.start()
    treasury.alter("recipient")
    with pytest.raises(SigningServiceRefused):
        treasury.ask(started["transaction_id"])
    treasury.ask(started["transaction_id"])
    checked = treasury.done("audit", "verify")
    assert (checked["sound"], checked["problems"]) == (True, [])
    assert checked["counts"]["signatures"] == treasury.signatures
    assert checked["address"] == treasury.address
    export = treasury.folder / "export.jsonl"
    treasury.done("audit", "export", "--output", str(export))
    assert treasury.done("audit", "verify", str(export))["counts"] == checked["counts"]
    lines = export.read_text().splitlines()
    edits = {
        "edited": [line.replace("intent_mismatch", "policy_violation") for line in lines],
        "deleted": [*lines[:3], *lines[4:]],
        "reordered": [lines[1], lines[0], *lines[2:]],
    }
    for how, edited in edits.items():
        file = treasury.folder / f"{how}.jsonl"
        file.write_text("\n".join(edited))
        status, said = treasury.run("audit", "verify", str(file))
        assert (how, status, said["sound"]) == (how, 4, False)
    short = treasury.folder / "short.jsonl"
    short.write_text("\n".join(lines[:-1]))
    assert treasury.done("audit", "verify", str(short))["sound"]
    status, said = treasury.run("audit", "verify", str(short), "--head", checked["head"])
    assert (status, said["problems"][0]["code"]) == (4, "head_missing")


def test_cloudtrail_holds_the_signatures_of_the_ledger_and_no_other(treasury):
    export = treasury.folder / "for-audit.jsonl"
    treasury.done("audit", "export", "--output", str(export))
    key = treasury.outputs["KeyArn"]
    audited = treasury.done("aws", "audit", "--key", key, "--records", str(export))
    assert audited["counts"]["matched"] == treasury.signatures
    assert (audited["counts"]["foreign"], audited["counts"]["missing"]) == (0, 0)
    by_the_log = treasury.done("aws", "audit")
    assert by_the_log["counts"]["matched"] == treasury.signatures


def test_what_a_changed_policy_would_have_decided_is_told_from_the_ledger(treasury):
    strict = treasury.folder / "strict.toml"
    text = (treasury.folder / "policy.toml").read_text()
    strict.write_text(text.replace('per_transfer = "10.00"', 'per_transfer = "0.50"'))
    same = treasury.done("policy", "simulate", "--policy", "policy.toml")
    assert same["records"] > 0
    changed = treasury.done("policy", "simulate", "--policy", str(strict), "--changed")
    assert changed["changed"] > same["changed"]
    assert any("per_transfer" in row["because"] for row in changed["decisions"])


def test_a_waiting_transaction_is_explained_by_what_was_spent(treasury):
    started = treasury.start()
    told = treasury.done("policy", "explain", started["transaction_id"], "--by", PAYROLL)
    assert told["outcome"] == "allowed"
    assert any(each["rule"].startswith("limits[usdc, 1 day]") for each in told["rules"])
    status, told = treasury.run("policy", "explain", started["transaction_id"])
    assert (status, told["outcome"]) == (1, "refused")
