"""dYdX v4 liquidation: the chain's cases bit for bit; closing at the bankruptcy price costs the others nothing."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.errors import SolventError
from solvent.liquidation.dydx_fillable import (
    Account,
    LiquidationParams,
    bankruptcy_price_quote,
    fillable_price,
    insurance_fund_delta,
    liquidatable_size,
)
from solvent.margin.rules.dydx_v4 import LiquidityTier, Market, account_risk, notional_quote

BTC = Market(-8, 5_000_000_000, -5)
ETH = Market(-9, 3_000_000_000, -6)
MARKETS = {"BTC": BTC, "ETH": ETH}
accounts = st.builds(
    Account,
    st.integers(-(10**11), 10**11),
    st.fixed_dictionaries({"BTC": st.integers(-(10**9), 10**9), "ETH": st.integers(-(10**10), 10**10)}),
    st.just(MARKETS),
)


def test_vectors(shared: Path) -> None:
    fns = ("bankruptcy_price_quote", "fillable_price", "insurance_fund_delta")
    assert_holds(vectors(shared, "dydx_v4", *fns))


@given(accounts, st.integers(1, 100))
def test_closing_at_the_bankruptcy_price_does_not_lower_the_ratio(account: Account, percent: int) -> None:
    size = account.positions["BTC"]
    delta = -(size * percent // 100)
    assume(size * delta < 0 and abs(delta) <= abs(size))
    before = account_risk(account.quote_quantums, account.positions, MARKETS)
    price = bankruptcy_price_quote(account, "BTC", delta)
    positions = {**account.positions, "BTC": size + delta}
    after = account_risk(account.quote_quantums + price, positions, MARKETS)
    assert after.net_collateral * before.maintenance >= before.net_collateral * after.maintenance
    assert (after.net_collateral - 1) * before.maintenance < before.net_collateral * after.maintenance


@given(accounts)
def test_the_fillable_price_is_at_most_the_spread_away(account: Account) -> None:
    size = account.positions["BTC"]
    assume(size != 0)
    price = fillable_price(account, "BTC", LiquidationParams())
    oracle = Fraction(notional_quote(size, BTC), size)
    away = (oracle - price) * (1 if size > 0 else -1)
    assert 0 <= away <= oracle * Fraction(3, 1000) + Fraction(2, abs(size))


@given(accounts, st.integers(0, 10**11))
def test_the_fund_gets_at_most_the_fee_and_pays_all_of_a_loss(account: Account, quote: int) -> None:
    size = account.positions["BTC"]
    assume(size != 0)
    gain = insurance_fund_delta(account, "BTC", size < 0, abs(size), quote, 5_000)
    received = -quote if size < 0 else quote
    full = received - bankruptcy_price_quote(account, "BTC", -size)
    assert gain == full if full <= 0 else gain <= min(full, quote * 5_000 // 10**6)


def test_only_reductions_have_a_bankruptcy_price() -> None:
    account = Account(0, {"BTC": 100}, MARKETS)
    for delta in (0, 1, -101):
        with pytest.raises(SolventError, match="a reduction of BTC"):
            bankruptcy_price_quote(account, "BTC", delta)
    with pytest.raises(SolventError, match="a position with maintenance margin"):
        fillable_price(account, "ETH", LiquidationParams())
    free = Account(0, {"BTC": 10}, {"BTC": Market(-8, 1, -5, LiquidityTier(0, 0))})
    with pytest.raises(SolventError, match="maintenance margin"):
        bankruptcy_price_quote(free, "BTC", -10)


def test_block_limits_cut_to_whole_steps() -> None:
    assert liquidatable_size(100, 1_000, 1_000, 10) == 100
    assert liquidatable_size(-100, 1_000, 555, 10) == 50
    assert liquidatable_size(100, 1_000, 1, 10) == 10
    assert liquidatable_size(5, 1_000, 1, 10) == 5
