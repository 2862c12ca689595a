"""Signers elsewhere that have a policy: their answers are proved, and their refusals arrive as they were meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import coincurve
import httpx2
import pytest

from bursar.chains import evm
from bursar.errors import (
    NotAwaitingApproval,
    SignatureError,
    SignerMismatch,
    SigningServiceError,
    SigningServiceRefused,
    SigningServiceUnavailable,
)
from bursar.signing_contract import Caller
from tests.contract.signers import Door, Stub, api_signer, lambda_signer
from tests.fakes.kms_server import KmsServer
from tests.fakes.memory_store import Fault
from tests.unit.review import scene
from tests.unit.signing.batches import asked, calls, crowd, largest, rules
from tests.unit.signing.scene import ADA, APPROVED, POLICY, SESSION, Desk, Kms, paying


@dataclass
class Office:
    """A desk whose key is in the stub of KMS, and the door of the function in front of it."""

    desk: Desk
    stub: Stub
    server: KmsServer

    @property
    def address(self) -> str:
        return self.desk.kms.address

    def door(self, caller: str = SESSION) -> Door:
        return self.stub.guarded(self.desk.policy, self.desk.store, caller)

    @property
    def signatures(self) -> int:
        return len(self.server.calls("Sign"))


@pytest.fixture
def office(kms_server: KmsServer) -> Iterator[Office]:
    with ExitStack() as stack:
        stub = Stub(kms_server, kms_server.create_key(), stack)
        desk = Desk(kms=Kms(key=stub.key.private), key=stub.key.arn)
        yield Office(desk, stub, kms_server)


@pytest.fixture
def approving(office: Office) -> Office:
    office.desk.policy = POLICY + APPROVED
    return office


def test_an_answer_of_the_api_is_proved_and_tells_the_policy_and_the_receipt(
    office: Office,
) -> None:
    signer, request = api_signer(office.door(), office.address), office.desk.request()
    answer = signer.sign_transaction(request)
    raw = answer.signed.signature.to_bytes()
    assert evm.parse_signature(raw, request.digest, office.address) == answer.signed.signature
    assert answer.policy["sentence"].startswith("pay 0.2 usdc")
    assert (answer.policy["version"], answer.policy["receipt"]["number"]) == (7, 2)
    again = signer.sign_transaction(request)
    assert (again.signed.signature, office.signatures) == (answer.signed.signature, 1)


def test_a_consent_and_what_waits_for_it_go_through_the_api(approving: Office) -> None:
    desk, request = approving.desk, approving.desk.request()
    signer = api_signer(approving.door(), approving.address)
    with pytest.raises(SigningServiceRefused, match="it waits for approval") as waiting:
        signer.sign_transaction(request)
    assert waiting.value.reason == "needs_approval"
    assert "bursar approve tx-1" in str(waiting.value.hint)
    with pytest.raises(SigningServiceRefused) as own:
        signer.consent(desk.approval(request.transaction))
    assert own.value.reason == "policy_violation"
    ada = api_signer(approving.door(ADA), approving.address)
    given = ada.consent(desk.approval(request.transaction))
    assert (given.by, given.missing) == (ADA, 0)
    assert given.digest == "0x" + request.digest.hex()
    assert signer.sign_transaction(request)


def test_an_invocation_tells_nobody_and_is_refused(approving: Office) -> None:
    signer = lambda_signer(approving.door(), approving.address)
    with pytest.raises(SigningServiceRefused, match="not known") as refused:
        signer.sign_transaction(approving.desk.request())
    assert refused.value.reason == "policy_violation"
    with pytest.raises(SigningServiceRefused) as unheard:
        signer.consent(approving.desk.approval(approving.desk.waiting()))
    assert unheard.value.reason == "not_waiting"
    assert approving.signatures == 0


def test_a_refusal_of_the_review_and_of_the_policy_arrive_with_their_reasons(
    office: Office,
) -> None:
    desk, signer = office.desk, api_signer(office.door(), office.address)
    thief = desk.request(desk.waiting(paying(scene.THIEF), name="tx-2"))
    with pytest.raises(SigningServiceRefused, match="its recipient is") as refused:
        signer.sign_transaction(thief)
    assert refused.value.reason == "intent_mismatch"
    for request in desk.payments(5):
        signer.sign_transaction(request)
    with pytest.raises(SigningServiceRefused, match=r"1\.2 usdc with this one") as over:
        signer.sign_transaction(desk.payments(6)[-1])
    assert over.value.reason == "policy_violation"
    assert office.signatures == 5


def test_the_largest_batch_goes_through_the_api_as_one_signature(office: Office) -> None:
    office.desk.policy = rules()
    request = asked(office.desk, largest(), id="payroll-11")
    answer = api_signer(office.door(), office.address).sign_transaction(request)
    raw = answer.signed.signature.to_bytes()
    assert evm.parse_signature(raw, request.digest, office.address) == answer.signed.signature
    assert "to 90 recipients in 90 calls on base-sepolia" in answer.policy["sentence"]
    assert office.signatures == 1
    signer = lambda_signer(office.door(), office.address)
    with pytest.raises(SigningServiceRefused, match="not known") as refused:
        signer.sign_transaction(request)
    assert refused.value.reason == "policy_violation"


def test_a_batch_that_waits_is_consented_to_and_an_altered_one_refused_through_the_api(
    office: Office,
) -> None:
    office.desk.policy = rules(APPROVED)
    request = asked(office.desk, largest())
    signer = api_signer(office.door(), office.address)
    with pytest.raises(SigningServiceRefused, match="it waits for approval"):
        signer.sign_transaction(request)
    ada = api_signer(office.door(ADA), office.address)
    assert ada.consent(office.desk.approval(request.transaction)).missing == 0
    assert signer.sign_transaction(request)
    altered = asked(office.desk, crowd(3), [*calls(crowd(3)), *calls(crowd(2))], sequence=1)
    with pytest.raises(SigningServiceRefused, match="makes 5 calls where 3") as refused:
        signer.sign_transaction(altered)
    assert (refused.value.reason, office.signatures) == ("intent_mismatch", 1)


def test_a_deployment_without_a_policy_refuses_what_only_a_policy_allows(office: Office) -> None:
    for make in (api_signer, lambda_signer):
        signer: Any = make(office.stub.door(), office.address)
        with pytest.raises(SigningServiceRefused) as refused:
            signer.sign_transaction(office.desk.request())
        assert refused.value.reason == "unsupported_operation"


@pytest.mark.parametrize("make", [api_signer, lambda_signer])
def test_what_is_not_for_this_signer_or_waits_for_nobody_is_never_sent(
    office: Office, make: Any
) -> None:
    door = office.door()
    signer = make(door, office.address)
    with pytest.raises(SignerMismatch):
        signer.sign_transaction(office.desk.request(signer=scene.SIGNER))
    with pytest.raises(SignerMismatch):
        signer.consent(office.desk.approval(office.desk.waiting(), signer=scene.SIGNER))
    with pytest.raises(NotAwaitingApproval):
        signer.sign_transaction(office.desk.request(office.desk.waiting() | {"status": "failed"}))
    assert door.requests == []


def test_a_ledger_that_is_down_and_a_signing_in_progress_are_asked_again(office: Office) -> None:
    door, desk = office.door(), office.desk
    desk.store.faults.extend([Fault.DOWN, Fault.NONE, Fault.NONE])
    assert api_signer(door, office.address).sign_transaction(desk.request())
    assert len(door.requests) == 2
    busy = {
        "error": {
            "code": "signing_in_progress",
            "message": "the same operation is being signed at this moment",
            "retryable": True,
        }
    }
    door.script = [httpx2.Response(503, json=busy)] * 2
    assert api_signer(door, office.address).sign_transaction(desk.request())
    assert len(door.requests) == 5
    door.script = [httpx2.Response(503, json=busy)] * 4
    with pytest.raises(SigningServiceUnavailable, match="at this moment"):
        api_signer(door, office.address).sign_transaction(desk.request())
    assert office.signatures == 1


def test_a_damaged_ledger_is_not_asked_again(office: Office) -> None:
    door, desk = office.door(), office.desk
    api_signer(door, office.address).sign_transaction(desk.request())
    desk.damage("operation#", "{}")
    with pytest.raises(SigningServiceError, match="ledger_damaged"):
        api_signer(door, office.address).sign_transaction(desk.request())
    assert len(door.requests) == 2


def told(office: Office, **changes: Any) -> dict[str, Any]:
    """What an honest signer would say of the honest payment, changed."""
    door = office.door()
    api_signer(door, office.address).sign_transaction(office.desk.request())
    again = door.api(door.requests[0])
    answer: dict[str, Any] = json.loads(again.text)
    return answer | changes


def lying(office: Office, answer: Any) -> Door:
    door = office.door()
    door.script = [httpx2.Response(200, json=answer)]
    return door


def test_a_signature_over_another_digest_or_by_another_key_is_not_released(office: Office) -> None:
    desk = office.desk
    digest = desk.request().digest
    forged = coincurve.PrivateKey().sign_recoverable(digest, hasher=None)
    over_another = desk.kms.key.sign_recoverable(b"\x01" * 32, hasher=None)
    for made in (forged, over_another):
        signature = "0x" + made[:64].hex() + f"{made[64] + 27:02x}"
        door = lying(office, told(office, signature=signature))
        with pytest.raises(SignatureError):
            api_signer(door, office.address).sign_transaction(desk.request())


def test_an_answer_that_names_another_address_or_digest_changes_nothing_of_what_is_proved(
    office: Office,
) -> None:
    claims = {"address": scene.THIEF, "digest": "0x" + "22" * 32, "signer": scene.SIGNER}
    door = lying(office, told(office, **claims))
    answer = api_signer(door, office.address).sign_transaction(office.desk.request())
    assert answer.signed.address == office.address
    assert answer.signed.digest == office.desk.request().digest


@pytest.mark.parametrize(
    "policy",
    [
        None,
        [],
        "text",
        {"version": "7", "hash": 7, "sentence": ["x"], "receipt": "r", "reviewed": "yes"},
        {"version": True, "receipt": {"number": -1}, "sentence": None},
        {"version": 10**400, "receipt": {"number": 10**400, "hash": "h"}},
        {"sentence": "\x1b[2J" + "x" * 999, "hash": "\x00", "receipt": {"number": 1, "hash": []}},
        {"unheard": {"of": 1}},
    ],
    ids=lambda each: repr(each)[:40],
)
def test_what_is_garbage_about_the_policy_is_dropped_and_steers_no_terminal(
    office: Office, policy: Any
) -> None:
    door = lying(office, told(office, policy=policy))
    answer = api_signer(door, office.address).sign_transaction(office.desk.request())
    assert set(answer.policy) <= {"reviewed", "version", "hash", "sentence", "rule", "receipt"}
    assert answer.policy["reviewed"] is False
    for part in (answer.policy.get("sentence", ""), answer.policy.get("hash", "")):
        assert part.isprintable()
        assert len(part) <= 300
    assert len(json.dumps(answer.policy)) < 1000


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "0x" + "22" * 32},
        {"digest": None},
        {"missing": "0"},
        {"missing": -1},
        {"missing": True},
        {"missing": 10**400},
        {"missing": None},
        {"consentedBy": None},
        {"consentedBy": [ADA]},
    ],
    ids=repr,
)
def test_a_consent_to_something_else_or_by_nobody_is_none(
    approving: Office, changes: dict[str, Any]
) -> None:
    approval = approving.desk.approval(approving.desk.waiting())
    honest = {"digest": "0x" + approval.digest.hex(), "consentedBy": ADA, "missing": 0}
    door = lying(approving, honest | {"policy": {}})
    assert api_signer(door, approving.address).consent(approval).missing == 0
    door = lying(approving, honest | {"policy": {}} | changes)
    with pytest.raises(SignatureError):
        api_signer(door, approving.address).consent(approval)


def test_one_ledger_is_kept_by_the_function_and_by_a_treasury_in_this_process(
    office: Office,
) -> None:
    request = office.desk.request()
    here = office.desk.treasury.sign(request, Caller(SESSION, "process"))
    there = api_signer(office.door(), office.address).sign_transaction(request)
    assert there.signed.signature == here.signed.signature
    assert office.signatures == 0
