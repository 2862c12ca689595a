"""Unit tests stand alone: what the shell they run in was set up for must not reach them."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take AWS's and bursar's variables away, but for the one that says where the tools are."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "BURSAR_")) and name != "BURSAR_HOME":
            monkeypatch.delenv(name)
