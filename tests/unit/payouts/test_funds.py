from __future__ import annotations

import pytest

from bursar.crossmint.locators import TokenLocator
from bursar.crossmint.models import Balance
from bursar.payouts.funds import FeePayer, Fees, Need, Wanted, held_of, needs
from bursar.review.intent import Token
from tests.unit.payouts.payday import plan_of
from tests.unit.payouts.payroll import ADA, USDC, csv_of, planned

ONLY_USDC = planned(csv_of(f"p-1,{ADA},25.00", f"p-2,{ADA},0.50"))
BOTH = plan_of(3)  # 4 USDC in two payments, 0.25 ETH in a third
SPONSORED = Fees(FeePayer.SPONSOR)
FEE = 10**15
OWN = Fees(FeePayer.WALLET, FEE)


def test_where_somebody_else_pays_fees_only_what_is_paid_is_needed():
    assert needs(ONLY_USDC, {USDC: 30_000_000}, SPONSORED) == (
        Need("USDC", 6, 25_500_000, 30_000_000),
    )


def test_fees_are_for_every_payment_and_in_the_coin():
    [usdc, coin] = needs(ONLY_USDC, {USDC: 25_500_000, None: 10**15}, OWN)
    assert (usdc.missing, coin.needed, coin.missing) == (0, 2 * FEE, FEE)
    assert str(usdc) == "USDC: 25.5 needed, 25.5 held, enough"
    assert str(coin) == "the chain's own coin: 0.002 needed, 0.001 held, 0.001 are missing"


def test_a_coin_that_is_paid_out_is_needed_for_fees_besides():
    [usdc, coin] = needs(BOTH, {USDC: 1, None: 25 * 10**16}, OWN)
    assert (usdc.needed, usdc.missing) == (4_000_000, 3_999_999)
    assert (coin.needed, coin.missing) == (25 * 10**16 + 3 * FEE, 3 * FEE)
    assert needs(BOTH, {None: 25 * 10**16}, SPONSORED)[1].missing == 0


def test_what_is_not_known_is_never_enough():
    [usdc, coin] = needs(ONLY_USDC, {None: 10**18}, Fees(FeePayer.WALLET))
    assert (usdc.missing, coin.missing) == (None, None)
    assert str(coin) == "the chain's own coin: it is not known whether there is enough"


# What Crossmint says is held

SYMBOL = Wanted(TokenLocator.parse("base-sepolia:usdc"), Token(USDC, "USDC", 6))
COIN = Wanted(TokenLocator.parse("base-sepolia:eth"), Token(None, "ETH", 18))


def balance(symbol: str, raw: str, decimals: int, contract: str | None = None) -> Balance:
    entry = {"amount": "1", "rawAmount": raw} | ({"contractAddress": contract} if contract else {})
    return Balance.read(
        {
            "symbol": symbol,
            "decimals": decimals,
            "amount": "1",
            "rawAmount": raw,
            "chains": {"base-sepolia": entry},
        }
    )


def test_a_balance_is_known_by_its_contract_and_the_coin_by_its_name():
    found = [balance("USDC", "7", 6, USDC.lower()), balance("eth", "9", 18)]
    assert held_of([SYMBOL, COIN], found) == {USDC: 7, None: 9}
    assert held_of([SYMBOL], [balance("usdc", "7", 6)]) == {USDC: 7}


@pytest.mark.parametrize(
    "answer",
    [
        balance("usdc", "7", 6, ADA),
        balance("usdc", "7", 18, USDC),
        balance("dai", "7", 6),
        balance("usdc", str(2**256), 6, USDC),
    ],
)
def test_a_balance_of_something_else_says_nothing(answer):
    assert held_of([SYMBOL], [answer]) == {}
