"""A policy on its way into a deployment."""

from __future__ import annotations

import pytest

from bursar.aws.policy_plan import deployment_warnings, read_policy_plan
from bursar.errors import ConfigError
from tests.fakes.policies import BLIND, HOURS, TEXT, planned

CALLERS = TEXT[TEXT.index("[callers]") :]


def test_its_text_is_kept_as_written_and_its_hash_is_of_what_it_means() -> None:
    plain, commented = planned(), planned("# more\n" + TEXT)
    assert commented.text.startswith("# more")
    assert plain.hash == commented.hash
    assert (plain.version, plain.zone, planned(HOURS).zone) == (1, None, "Europe/Berlin")
    assert (plain.allows_blind_signing, planned(BLIND).allows_blind_signing) == (False, True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("version = 0\n", "pay.toml line 1"),
        ("version = ", "pay.toml line 1: it is not TOML"),
        (
            TEXT.replace("[callers]", '[callers]\ndeny = ["arn:aws:iam::000000000000:user/alice"]'),
            "denied",
        ),
    ],
)
def test_what_is_no_policy_or_contradicts_itself_is_refused_with_its_line(
    text: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read_policy_plan(text.encode(), "pay.toml")


def test_a_policy_that_names_no_callers_is_warned_of() -> None:
    _, findings = read_policy_plan(TEXT.replace(CALLERS, "").encode())
    assert any("allows no callers" in each.message for each in findings)


@pytest.mark.parametrize(
    ("registered", "told"), [("required", "refuses every payment"), ("enough", "only those")]
)
def test_that_the_deployed_signer_knows_nobody_who_is_registered_is_told(
    registered: str, told: str
) -> None:
    text = TEXT.replace(
        "[recipients.allow]", f'[recipients]\nregistered = "{registered}"\n[recipients.allow]'
    )
    [warning] = deployment_warnings(planned(text), blind_signing=False)
    assert told in warning


def test_that_blind_signing_stays_off_without_the_option_is_told() -> None:
    assert "stays off" in deployment_warnings(planned(BLIND), blind_signing=False)[0]
    assert deployment_warnings(planned(BLIND), blind_signing=True) == ()
    assert deployment_warnings(planned(), blind_signing=False) == ()
