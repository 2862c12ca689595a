"""Unit tests of the KMS package use no network."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_network(socket_disabled: None) -> None:
    """Any socket that is opened fails the test."""
