from __future__ import annotations

import pytest

from bursar.accounts import SignerAccount
from tests.unit.accounts.signers import (
    KEY,
    DeterministicSigner,
)


@pytest.fixture
def signer() -> DeterministicSigner:
    return DeterministicSigner(KEY)


@pytest.fixture
def account(signer: DeterministicSigner) -> SignerAccount:
    return SignerAccount(signer)
