from __future__ import annotations

from typing import Any

import pytest

from bursar.aws.doctor import key
from bursar.aws.doctor.checks import run
from bursar.aws.plan import KeyPlan
from tests.unit.aws.doctor.cases import (
    ACCOUNT,
    ADDRESS,
    ALIAS,
    KEY,
    OTHER_KEY,
    USER,
    case,
    cloud,
    denied,
    kms,
    only,
    planned,
    refused,
    stack,
    told,
)

SIGNED = {"KeyId": KEY, "Signature": b"\x30", "SigningAlgorithm": "ECDSA_SHA_256"}


def test_a_good_key_passes() -> None:
    found = case(cloud(kms=kms()), stack())
    assert told(key.kind(found)) == {"key.spec": "ok", "key.state": "ok"}
    assert only(key.alias(found)).status == "ok"
    assert only(key.addresses(found)).status == "ok"


def test_a_key_of_another_kind_fails() -> None:
    found = case(cloud(kms=kms(spec="ECC_NIST_P256")), stack())
    checks = told(key.kind(found))
    assert checks == {"key.spec": "fail", "key.state": "ok"}
    assert only(key.addresses(found)).status == "skip"


def test_a_solana_plan_wants_an_ed25519_key() -> None:
    plan = planned(key=KeyPlan(chain="solana"))
    found = case(cloud(kms=kms(spec="ECC_NIST_EDWARDS25519")), stack(), plan=plan)
    assert told(key.kind(found))["key.spec"] == "ok"


@pytest.mark.parametrize(
    ("state", "way_out"),
    [("Disabled", "enable-key"), ("PendingDeletion", "cancel-key-deletion"), ("PendingImport", "")],
)
def test_a_key_that_cannot_sign_fails_with_the_way_back(state: str, way_out: str) -> None:
    found = case(cloud(kms=kms(state=state)), stack())
    [_, check] = key.kind(found)
    assert (check.name, check.status) == ("key.state", "fail")
    assert way_out in (check.fix or "")


def test_before_the_first_deployment_a_free_alias_is_well_and_there_is_no_key() -> None:
    found = case(cloud(kms=kms(aliases={})))
    assert told([*key.kind(found), *key.alias(found), *key.addresses(found)]) == {
        "key": "skip",
        "key.alias": "ok",
        "key.address": "skip",
    }


def test_before_the_first_deployment_an_alias_that_leads_to_a_key_says_that_it_will_be_used() -> (
    None
):
    check = only(key.alias(case(cloud(kms=kms()))))
    assert check.status == "ok"
    assert f"{ALIAS} leads to {KEY}" in check.detail


def test_an_alias_moved_to_another_key_fails_and_names_both() -> None:
    check = only(key.alias(case(cloud(kms=kms(aliases={ALIAS: OTHER_KEY})), stack())))
    assert check.status == "fail"
    assert KEY in check.detail
    assert OTHER_KEY in check.detail


def test_an_alias_that_is_gone_fails_with_the_command_that_makes_it() -> None:
    check = only(key.alias(case(cloud(kms=kms(aliases={})), stack())))
    assert check.fix == f"aws kms create-alias --alias-name {ALIAS} --target-key-id {KEY}"


def test_a_stacks_key_that_is_gone_is_a_failure_and_not_a_key_to_come() -> None:
    found = case(cloud(kms=kms()), stack(KeyArn=KEY.replace("8a4f", "dead")))
    assert told(run("key", lambda: key.kind(found))) == {"key": "fail"}


def test_the_address_is_compared_with_everybody_who_names_one_whatever_its_letters() -> None:
    found = case(
        cloud(kms=kms()),
        stack(SignerAddress=ADDRESS.lower()),
        addresses={"the wallet's admin signer": ADDRESS},
    )
    check = only(key.addresses(found))
    assert check.status == "ok"
    assert "the function's pin and the wallet's admin signer" in check.detail


def test_a_wallet_of_another_address_fails_and_names_both() -> None:
    other = "0x" + "22" * 20
    check = only(
        key.addresses(
            case(cloud(kms=kms()), stack(), addresses={"the wallet's admin signer": other})
        )
    )
    assert check.status == "fail"
    assert ADDRESS in check.detail
    assert other in check.detail


def dry_run(sign: Any, **question: Any) -> Any:
    question = {"dry_run": True, **question}
    return only(key.dry_run(case(cloud(kms=kms(sign=sign)), stack(), **question)))


DRY = refused("DryRunOperationException", operation="Sign")


def test_only_the_dry_runs_own_exception_counts_as_a_yes() -> None:
    assert dry_run(DRY, via="kms").status == "ok"
    with pytest.raises(Exception, match="Sign failed"):
        dry_run(refused("ValidationException", operation="Sign"), via="kms")


def test_a_signature_in_answer_to_a_dry_run_is_a_failure_that_says_so() -> None:
    check = dry_run(SIGNED, via="kms")
    assert check.status == "fail"
    assert "signed in earnest" in check.detail


def test_a_caller_who_cannot_sign_is_as_it_should_be_unless_the_settings_have_it_sign() -> None:
    assert dry_run(denied("kms:Sign"), via="api").status == "ok"
    check = dry_run(denied("kms:Sign"), via="kms")
    assert (check.status, "key.users" in str(check.fix)) == ("fail", True)


def test_a_caller_who_can_sign_past_the_api_is_a_warning_unless_the_plan_names_it() -> None:
    assert dry_run(DRY).status == "warn"
    assert dry_run(DRY, plan=planned(key=KeyPlan(users=(USER,)))).status == "ok"
    role = f"arn:aws:iam::{ACCOUNT}:role/teams/payer"
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/payer/alice"
    named = planned(key=KeyPlan(users=(role,)))
    assert dry_run(DRY, plan=named, caller=session).status == "ok"


def test_what_is_sent_is_a_dry_run_over_a_digest_of_our_own() -> None:
    asked: dict[str, Any] = {}

    def sign(**parameters: Any) -> Any:
        asked.update(parameters)
        raise DRY

    dry_run(sign)
    assert asked["DryRun"] is True
    assert (asked["MessageType"], asked["SigningAlgorithm"]) == ("DIGEST", "ECDSA_SHA_256")
    assert len(asked["Message"]) == 32


def test_an_emulator_and_a_disabled_key_are_not_asked_for_a_dry_run() -> None:
    def sign(**_: Any) -> Any:
        raise AssertionError

    here = case(cloud(emulated=True, kms=kms(sign=sign)), stack())
    disabled = case(cloud(kms=kms(sign=sign, state="Disabled")), stack())
    for found in (here, disabled):
        assert only(key.dry_run(found)).status == "skip"


def test_a_watched_key_is_not_tried_unless_it_is_asked_for() -> None:
    watched = stack(TrailLogGroup="trail")
    check = only(key.dry_run(case(cloud(kms=kms(sign=DRY)), watched)))
    assert (check.status, "--only key.dry-run" in str(check.fix)) == ("skip", True)
    assert dry_run(DRY, via="kms", dry_run=False).status == "ok"
