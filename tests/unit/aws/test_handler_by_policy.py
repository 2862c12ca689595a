"""The function with a policy: what it answers, what it logs, what it counts, and what it never signs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bursar.chains import evm
from bursar.errors import KmsAccessDenied, KmsThrottled
from bursar.review.intent import SignerChangeIntent
from bursar.signing_contract import DigestRequest
from tests.fakes.memory_store import Fault
from tests.unit.aws.guarded import Guarded, body_of, event_of
from tests.unit.review import scene
from tests.unit.signing.scene import (
    ACCOUNT,
    ADA,
    APPROVED,
    POLICY,
    SESSION,
    Desk,
    hash_of,
    numbered,
    paying,
)

BLIND = 'allow = ["blind_signing"]\n' + POLICY


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


@pytest.fixture
def approving() -> Guarded:
    return Guarded(Desk(policy=POLICY + APPROVED))


def test_a_payment_the_policy_allows_is_answered_in_the_contracts_words(guarded: Guarded) -> None:
    request = guarded.desk.request()
    status, answer = guarded.post(request)
    digest, address = request.digest, guarded.desk.kms.address
    assert status == 200
    assert evm.parse_signature(bytes.fromhex(answer["signature"][2:]), digest, address)
    told = answer["policy"]
    assert answer == {
        "signature": answer["signature"],
        "signer": f"external-wallet:{address}",
        "address": address,
        "digest": "0x" + digest.hex(),
        "requestId": "kms-1",
        "policy": told,
    }
    assert (told["version"], told["reviewed"], told["scheme"]) == (7, True, "eip191")
    assert told["receipt"]["number"] == 2
    assert told["sentence"].startswith("pay 0.2 usdc")


def test_the_log_line_has_who_what_and_by_which_policy_and_no_bodies(guarded: Guarded) -> None:
    request = guarded.desk.request()
    _, answer = guarded.post(request)
    line = guarded.line
    assert {name: line[name] for name in ("event", "via", "kind", "code", "status")} == {
        "event": "sign",
        "via": "api",
        "kind": "transaction",
        "code": "ok",
        "status": 200,
    }
    assert line["claimedCaller"] == SESSION
    assert line["policy"] == answer["policy"]["hash"]
    assert line["receipt"] == answer["policy"]["receipt"]
    assert line["sentence"] == answer["policy"]["sentence"]
    assert (line["kmsRequestId"], line["digest"]) == ("kms-1", answer["digest"])
    [text] = guarded.lines
    assert answer["signature"] not in text
    assert request.transaction["onChain"]["userOperation"]["callData"] not in text


def test_a_signature_counts_once_and_neither_a_repetition_nor_a_consent_counts(
    approving: Guarded,
) -> None:
    request = approving.desk.request()
    assert approving.post(request)[0] == 403
    assert approving.counted == {"Signatures": 0, "Refusals": 1, "Errors": 0}
    assert approving.approve(approving.desk.waiting())[0] == 200
    assert approving.counted == {"Signatures": 0, "Refusals": 0, "Errors": 0}
    assert approving.post(request)[0] == 200
    assert approving.counted == {"Signatures": 1, "Refusals": 0, "Errors": 0}
    assert approving.post(request)[0] == 200
    assert approving.counted == {"Signatures": 0, "Refusals": 0, "Errors": 0}
    assert "kmsRequestId" not in approving.line
    assert len(approving.lines) == 4


def test_a_consent_is_answered_and_logged_with_its_receipt(approving: Guarded) -> None:
    request = approving.desk.request()
    status, told = approving.post(request)
    digest = "0x" + request.digest.hex()
    assert (status, told["error"]["code"]) == (403, "needs_approval")
    assert (told["error"]["digest"], told["error"]["missing"]) == (digest, 1)
    status, answer = approving.approve(approving.desk.waiting())
    assert status == 200
    assert answer == {
        "digest": digest,
        "consentedBy": ADA,
        "missing": 0,
        "policy": answer["policy"],
    }
    line = approving.line
    assert (line["kind"], line["code"], line["claimedCaller"]) == ("approval", "ok", ADA)
    assert (line["digest"], line["receipt"]) == (digest, answer["policy"]["receipt"])
    assert approving.desk.kms.signatures == 0


def refused(guarded: Guarded, body: Any, arn: Any = SESSION) -> tuple[int, str]:
    before = guarded.desk.kms.signatures
    status, answer = guarded.post(body, arn)
    assert set(answer) == {"error"}
    assert guarded.desk.kms.signatures == before
    assert (guarded.line["code"], guarded.line["status"]) == (answer["error"]["code"], status)
    assert guarded.line["kind"] == body_of(body).get("kind", "digest")
    return status, answer["error"]["code"]


def test_each_refusal_has_its_status_and_code(guarded: Guarded) -> None:
    desk = guarded.desk
    thief = desk.request(desk.waiting(paying(scene.THIEF), name="tx-2"))
    settled = desk.request(desk.waiting(name="tx-3") | {"status": "success"})
    broken = desk.waiting(name="tx-4")
    broken["onChain"]["userOperationHash"] = "0x" + "11" * 32
    assert refused(guarded, thief) == (403, "intent_mismatch")
    assert refused(guarded, settled) == (409, "not_awaiting_approval")
    assert refused(guarded, desk.request(broken)) == (403, "unverifiable")
    assert guarded.desk.kms.calls == []
    other = desk.request(scene.asked(scene.OPERATION), signer=scene.SIGNER)
    assert refused(guarded, other) == (403, "signer_mismatch")
    assert refused(guarded, desk.request(), f"{ACCOUNT}:user/mallory") == (403, "policy_violation")
    assert guarded.line["rule"] == "callers.allow"
    change = desk.request(
        intent=SignerChangeIntent(scene.CHAIN, True, scene.OTHER, scene.VALIDATOR)
    )
    assert refused(guarded, change) == (403, "intent_mismatch")
    assert guarded.post(desk.request())[0] == 200
    again = desk.request(desk.waiting(numbered(1)))
    assert refused(guarded, again) == (409, "already_signed")
    assert refused(guarded, desk.approval(desk.waiting())) == (409, "not_waiting")
    assert guarded.desk.kms.signatures == 1


def test_bare_hashes_need_the_switch_and_the_policy() -> None:
    for policy, switch, code in (
        (POLICY, "allowed", "policy_violation"),
        (BLIND, "refused", "blind_signing_disabled"),
        (BLIND, None, "blind_signing_disabled"),
        (POLICY, None, "blind_signing_disabled"),
    ):
        guarded = Guarded(Desk(policy=policy), {"BURSAR_BLIND_SIGNING": switch})
        request = DigestRequest(bytes(range(32)), guarded.desk.kms.address)
        assert refused(guarded, request) == (403, code)
    both = Guarded(Desk(policy=BLIND), {"BURSAR_BLIND_SIGNING": "allowed"})
    status, answer = both.post(both.desk.blind())
    assert (status, answer["policy"]["reviewed"]) == (200, False)


@pytest.mark.parametrize(
    ("environ", "file"),
    [
        ({"BURSAR_LEDGER_TABLE": None}, None),
        ({"BURSAR_LEDGER_TABLE": ""}, None),
        ({"BURSAR_POLICY_HASH": None}, None),
        ({"BURSAR_POLICY_HASH": ""}, None),
        ({"BURSAR_POLICY_HASH": "sha256:" + "00" * 32}, None),
        ({}, POLICY.replace('"10.00"', '"10000.00"')),
        ({}, "not = toml ="),
        ({}, ""),
        ({"KMS_KEY_ID": None}, None),
        ({"KMS_KEY_ID": ""}, None),
        ({"BURSAR_SIGNER_ADDRESS": "0x" + "11" * 20}, None),
    ],
    ids=lambda each: repr(each)[:50],
)
def test_half_a_policy_or_another_than_was_deployed_signs_nothing(
    environ: dict[str, str | None], file: str | None
) -> None:
    desk = Desk(policy=BLIND)
    guarded = Guarded(desk, environ | {"BURSAR_BLIND_SIGNING": "allowed"}, file)
    for request in (desk.request(), desk.blind()):
        status, answer = guarded.post(request)
        assert (status, answer["error"]["code"]) == (500, "invalid_config")
        assert "policy" not in answer["error"]["message"]
        assert guarded.counted == {"Signatures": 0, "Refusals": 0, "Errors": 1}
        assert guarded.line["cause"]
    assert desk.kms.signatures == 0
    assert len(guarded.lines) == 2


def test_the_treasury_is_opened_once_for_a_container(guarded: Guarded) -> None:
    for request in guarded.desk.payments(3):
        guarded.post(request)
    assert guarded.tables == ["ledger"]
    assert guarded.desk.kms.calls == ["GetPublicKey", "Sign", "Sign", "Sign"]


def test_a_direct_invocation_has_no_caller_and_is_refused(guarded: Guarded) -> None:
    body = body_of(guarded.desk.request())
    for event in (body, {"body": body}, {"body": json.dumps(body)}):
        answer = guarded.send(event)
        assert (answer["statusCode"], answer["error"]["code"]) == (403, "policy_violation")
        assert answer["error"]["rule"] == "callers.allow"
        assert guarded.line["via"] == "invoke"
        assert "claimedCaller" not in guarded.line
    assert guarded.desk.kms.signatures == 0


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"identity": None},
        {"identity": {}},
        {"identity": "arn:aws:iam::111122223333:role/payroll"},
        {"identity": [SESSION]},
        {"identity": {"userArn": None}},
        {"identity": {"userArn": ""}},
        {"identity": {"userArn": [SESSION]}},
        {"identity": {"userArn": {"arn": SESSION}}},
        {"identity": {"userArn": SESSION + "\n"}},
        {"identity": {"userArn": " " + SESSION}},
        {"identity": {"userArn": SESSION.upper()}},
        {"identity": {"user": SESSION, "caller": SESSION}},
        {"authorizer": {"userArn": SESSION}},
        {"userArn": SESSION},
    ],
    ids=repr,
)
def test_an_event_that_does_not_say_who_asks_is_refused(guarded: Guarded, context: Any) -> None:
    event = event_of(guarded.desk.request()) | {"requestContext": context}
    result = guarded.send(event)
    body = json.loads(result["body"])
    assert (result["statusCode"], body["error"]["code"]) == (403, "policy_violation")
    assert body["error"]["rule"] == "callers.allow"
    assert guarded.desk.kms.signatures == 0
    assert len(guarded.lines) == 1


def test_who_asks_is_who_the_door_says_and_not_who_the_body_or_a_header_says(
    guarded: Guarded,
) -> None:
    for name in ("caller", "claimedCaller", "requestContext"):
        status, answer = guarded.post(body_of(guarded.desk.request()) | {name: SESSION}, ADA)
        assert (status, answer["error"]["code"]) == (400, "invalid_request")
    event = event_of(guarded.desk.request(), ADA)
    event["headers"] |= {"x-amz-user-arn": SESSION}
    assert guarded.send(event)["statusCode"] == 403
    assert guarded.desk.kms.signatures == 0


def test_a_direct_invocations_consent_does_not_count(approving: Guarded) -> None:
    approving.post(approving.desk.request())
    answer = approving.send(body_of(approving.desk.approval(approving.desk.waiting())))
    assert (answer["statusCode"], answer["error"]["code"]) == (403, "policy_violation")
    assert approving.post(approving.desk.request())[1]["error"]["missing"] == 1


def test_a_ledger_that_is_down_is_an_answer_to_ask_again_and_tells_nothing(
    guarded: Guarded,
) -> None:
    guarded.desk.store.faults.append(Fault.DOWN)
    status, answer = guarded.post(guarded.desk.request())
    assert (status, answer["error"]["code"]) == (503, "ledger_unavailable")
    assert answer["error"]["retryable"] is True
    assert "the store is down" not in json.dumps(answer)
    assert guarded.line["cause"] == "the store is down"
    assert guarded.post(guarded.desk.request())[0] == 200


def test_a_ledger_that_is_down_after_kms_signed_leaves_kmss_id_in_the_log(
    guarded: Guarded,
) -> None:
    desk = guarded.desk
    desk.kms.before_signing = lambda: desk.store.faults.append(Fault.DOWN)
    status, answer = guarded.post(desk.request())
    assert (status, answer["error"]["code"]) == (503, "ledger_unavailable")
    assert (guarded.line["kmsRequestId"], desk.kms.signatures) == ("kms-1", 1)
    assert guarded.counted == {"Signatures": 0, "Refusals": 0, "Errors": 1}
    status, answer = guarded.post(desk.request())
    assert (status, answer["error"]["code"]) == (503, "signing_in_progress")
    assert answer["error"]["retryable"] is True


def test_a_damaged_ledger_is_a_500_that_tells_nothing(guarded: Guarded) -> None:
    guarded.post(guarded.desk.request())
    guarded.desk.damage("operation#", "[]")
    status, answer = guarded.post(guarded.desk.request())
    assert (status, answer["error"]["code"]) == (500, "ledger_damaged")
    assert answer["error"]["retryable"] is False


def test_a_throttled_key_is_counted_and_works_afterwards(guarded: Guarded) -> None:
    guarded.desk.kms.failures = [KmsThrottled("busy"), KmsAccessDenied("role/secret may not")]
    assert guarded.post(guarded.desk.request())[0] == 429
    assert guarded.line["KmsThrottles"] == 1
    status, answer = guarded.post(guarded.desk.request())
    assert (status, answer["error"]["code"]) == (502, "kms_access_denied")
    assert "secret" not in json.dumps([answer, *guarded.desk.receipts])
    assert guarded.post(guarded.desk.request())[0] == 200


def test_a_request_that_is_none_is_refused_before_anything_is_opened(guarded: Guarded) -> None:
    for body in ({}, {"kind": "transaction"}, {"kind": "approval"}, {"kind": "theft"}):
        assert guarded.post(body)[0] == 400
    assert (guarded.tables, guarded.desk.kms.calls, guarded.desk.receipts) == ([], [], [])


def test_a_consent_to_a_hash_the_policy_did_not_show_is_told_the_right_digest(
    approving: Guarded,
) -> None:
    approving.post(approving.desk.request())
    wrong = approving.desk.approval(
        approving.desk.waiting(), digest=hash_of(scene.asked(numbered(1)))
    )
    status, answer = approving.post(wrong, ADA)
    assert (status, answer["error"]["code"]) == (400, "invalid_digest")
    assert approving.desk.events == ["decision"]
