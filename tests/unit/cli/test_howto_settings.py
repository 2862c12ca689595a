"""The settings that the how-to pages show are settings, and describe plans that are sound."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from bursar.aws.permissions import needed
from bursar.aws.plan import StackPlan, require_sound
from bursar.cli.aws.planning import plan_of
from bursar.cli.config import Config, load_config
from tests.fakes.policies import planned

ROOT = Path(__file__).parents[3]
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in sorted(ROOT.glob("docs/how-to/*.md"))
    for number, block in enumerate(
        re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    )
]
REAL_ACCOUNT = (ROOT / "docs/how-to/real-account.md").read_text()
WHOLE = re.findall(r"^```toml\n(.*?)^```", REAL_ACCOUNT, re.MULTILINE | re.DOTALL)[0]


def load(text: str, folder: Path) -> Config:
    file = folder / "bursar.toml"
    file.write_text(text)
    return load_config(str(file), environ={})


@pytest.mark.parametrize("block", BLOCKS)
def test_the_settings_of_the_how_to_pages_describe_sound_plans(block, tmp_path):
    plan = plan_of(load(block, tmp_path))
    assert require_sound(plan) == plan


def test_the_whole_file_names_every_section_of_a_deployment():
    sections = {"aws", "key", "function", "api", "callers", "network", "records"}
    assert set(tomllib.loads(WHOLE)) == sections


@pytest.mark.parametrize("section", ["function", "api", "callers"])
def test_the_whole_file_has_every_setting_of_a_section(section):
    fields = Config.model_fields[section].annotation
    assert set(tomllib.loads(WHOLE)[section]) == set(getattr(fields, "model_fields", {}))


def test_the_page_explains_every_group_of_the_deployers_permissions(tmp_path):
    from bursar.aws.grants import Place

    place = Place("bursar-treasury", "111122223333", "eu-central-1")
    groups = {grant.name for grant in needed(plan_of(load(WHOLE, tmp_path)), place)}
    groups |= {grant.name for grant in needed(plan_of(load("", tmp_path)), place)}
    groups |= {grant.name for grant in needed(StackPlan(policy=planned()), place)}
    assert {name for name in groups if f"`{name}`" not in REAL_ACCOUNT} == set()
