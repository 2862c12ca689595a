"""Where tools, wheels and sandboxes are kept when nobody said so, and when somebody did."""

from __future__ import annotations

from pathlib import Path

import pytest

from bursar.aws.wheels import cache_directory
from bursar.home import home
from bursar.sandbox.records import Place
from bursar.sandbox.setup.tools import tools_folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that has been set up."""
    (tmp_path / "src" / "bursar").mkdir(parents=True)
    (tmp_path / ".bursar").mkdir()
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def test_bursar_home_moves_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("BURSAR_HOME", str(tmp_path))
    assert home() == tmp_path
    assert tools_folder() == tmp_path / "tools"
    assert cache_directory() == tmp_path / "wheels"
    assert Place.named("x").folder == tmp_path / "sandbox" / "x"


def test_bursar_home_may_be_relative_or_in_the_users_home(checkout):
    package = checkout / "src" / "bursar"
    assert home({"BURSAR_HOME": "here"}, package) == Path.cwd() / "here"
    assert home({"BURSAR_HOME": "~/there"}, package) == Path.home() / "there"


def test_a_checkout_that_was_set_up_needs_no_variable(checkout):
    assert home({}, checkout / "src" / "bursar") == checkout / ".bursar"
    assert home({"BURSAR_HOME": ""}, checkout / "src" / "bursar") == checkout / ".bursar"


@pytest.mark.parametrize("missing", ["pyproject.toml", ".bursar"])
def test_what_is_no_checkout_or_not_set_up_keeps_to_the_users_data_folder(checkout, missing):
    (checkout / missing).rename(checkout / "elsewhere")
    assert home({}, checkout / "src" / "bursar").name == "bursar"


def test_an_installed_package_keeps_to_the_users_data_folder(checkout):
    site = checkout / "site-packages"
    site.mkdir()
    assert home({}, site / "bursar").name == "bursar"
