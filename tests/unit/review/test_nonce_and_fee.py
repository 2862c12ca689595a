from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import Unverifiable
from bursar.review.fee import Fee, worst_case
from bursar.review.nonce import Nonce, read_nonce
from bursar.review.operation import read_operation
from bursar.sandbox.chain import kernel
from tests.unit.review.scene import OPERATION, SPONSOR, VALIDATOR


@given(key=st.integers(0, 2**16 - 1), sequence=st.integers(0, 2**64 - 1))
def test_the_root_validators_nonce_is_read_as_the_sandbox_wrote_it(key: int, sequence: int) -> None:
    nonce = (kernel.nonce_key(VALIDATOR, key) << 64) + sequence
    assert read_nonce(nonce) == Nonce(VALIDATOR, key, sequence)


@pytest.mark.parametrize(
    ("mode", "kind", "said"),
    [
        (1, 0, "mode enable and type root validator;"),
        (2, 0, "mode install and type root validator"),
        (0, 1, "mode default and type validator;"),
        (0, 2, "mode default and type permission;"),
        (0, 3, "type 0x03"),
        (0xAB, 0, "mode 0xab"),
    ],
)
def test_another_mode_or_validator_is_unverifiable(mode: int, kind: int, said: str) -> None:
    with pytest.raises(Unverifiable, match=said) as refused:
        read_nonce((mode << 248) + (kind << 240) + 1)
    assert refused.value.what == "nonce"


def test_the_fee_bound_is_every_limit_at_the_highest_price_and_names_who_pays() -> None:
    sponsored = worst_case(read_operation(OPERATION.to_api()))
    assert sponsored == Fee((100 + 200 + 300 + 40 + 2) * 10**9, SPONSOR)


def test_without_a_paymaster_the_wallet_pays_and_the_paymasters_gas_is_not_counted() -> None:
    fields = {k: v for k, v in OPERATION.to_api().items() if not k.startswith("paymaster")}
    assert worst_case(read_operation(fields)) == Fee(600 * 10**9, None)
