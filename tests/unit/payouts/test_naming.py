from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.crossmint.locators import WalletLocator
from bursar.errors import RequestError
from bursar.payouts.book import Beginning
from bursar.payouts.naming import batch_id, id_of_file, require_payout_id
from bursar.review.intent import MOST_PAYMENTS
from bursar.transfers.batch import BatchPayment, BatchTransfer, halves_of
from bursar.transfers.intent import TransferIntent
from tests.unit.payouts.payroll import ADA, WALLET

LETTERS = "abcXYZ0189._:-"
IDS = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from("aZ9"),
    st.text(LETTERS, max_size=63),
)
LINES = st.integers(2, 9_999_999)
PAYMENT = BatchPayment.parse(token="base-sepolia:usdc", recipient=ADA, amount="1")


def ids_of_all_splits(batch: str, lines: int) -> list[str]:
    """Split a batch until each payment is alone, as where all of them are bad."""
    found = [batch]
    first = (lines + 1) // 2
    for name, count in zip(halves_of(batch), (first, lines - first), strict=True):
        found += ids_of_all_splits(name, count) if count > 1 else []
    return found


def require_usable(name: str) -> None:
    wallet = WalletLocator.treasury("treasury")
    BatchTransfer(name, wallet, (PAYMENT, PAYMENT))
    TransferIntent(name, wallet, PAYMENT.token, PAYMENT.recipient, "1")


@given(IDS, LINES)
def test_however_often_batches_are_split_their_ids_are_ids_and_none_comes_twice(
    payout: str, line: int
) -> None:
    require_payout_id(payout)
    batches = [batch_id(WALLET.lower(), payout, each) for each in (line, line + MOST_PAYMENTS)]
    names = [name for each in batches for name in ids_of_all_splits(each, MOST_PAYMENTS)]
    assert len(set(names)) == len(names) == 2 * (MOST_PAYMENTS - 1)
    for name in names:
        require_usable(name)


@given(IDS)
def test_a_batch_of_any_id_can_be_split(name: str) -> None:
    names = ids_of_all_splits(name, MOST_PAYMENTS)
    assert len(set(names)) == len(names)
    for each in names:
        require_usable(each)


def test_payouts_with_one_beginning_or_of_two_wallets_share_no_batch() -> None:
    same = "november-payroll-of-all-offices-in-the-north-" + "x" * 18
    found = {
        batch_id(wallet, payout, 2)
        for wallet in (WALLET.lower(), "0x" + "ab" * 20)
        for payout in (same + "a", same + "b")
    }
    assert len(found) == 4


@given(st.text(max_size=80))
def test_any_file_s_name_gives_an_id(name: str) -> None:
    require_payout_id(id_of_file(name))


@pytest.mark.parametrize(
    ("name", "payout"),
    [
        ("payroll-2026-11", "payroll-2026-11"),
        ("November payroll", "November-payroll"),
        ("_payroll", "payroll"),
        ("x" * 70, "x" * 64),
        ("\udcff", "payout-8f1d0f9c"),
    ],
)
def test_a_payout_is_called_as_its_file(name: str, payout: str) -> None:
    assert id_of_file(name) == payout


def test_names_without_a_single_letter_are_told_apart() -> None:
    assert id_of_file("工资") != id_of_file("奖金")


@pytest.mark.parametrize("name", ["", "November payroll", "_payroll", "-a", "a/b", "é", "x" * 65])
def test_what_is_no_id_is_refused_before_anything_begins(name: str) -> None:
    with pytest.raises(RequestError, match="a payout's id"):
        Beginning(name, "Ada")
