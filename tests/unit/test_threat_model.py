"""The threat model speaks of the alarms that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bursar.aws.plan import StackPlan
from bursar.aws.template.alarms import meanings

PAGE = (Path(__file__).parents[2] / "docs/threat-model.md").read_text()
# The table of alarms: each row begins with a name.
NAMED = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE))
ALARMS = set(meanings(StackPlan()))


def test_the_table_has_every_alarm_and_no_other():
    assert NAMED == ALARMS


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_somebody_in_the_threat_model_sets_each_alarm_off(name):
    before_the_table = PAGE.partition("## What each alarm means")[0]
    assert f"`{name}`" in before_the_table


def test_what_tells_you_is_an_alarm_of_ours():
    told = re.findall(r"^- \*Tells you\*: .*(?:\n  .*)*", PAGE, re.MULTILINE)
    spoken = {each for line in told for each in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", line)}
    assert spoken - ALARMS <= {"intent_mismatch"}
    assert len(told) > 10
