"""Drift v2 liquidation sizing: the program's cases bit for bit; what is sized covers the shortage."""

from fractions import Fraction
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.liquidation.drift_sizing import (
    FEE,
    asset_transfer_for_liability,
    base_to_cover_margin_shortage,
    deposit_index_delta_to_absorb_borrow,
    funding_delta_to_absorb_bankruptcy,
    liability_transfer_to_cover,
    liquidation_fee_by_age,
    max_percent_to_liquidate,
    perpetual_insurance_fee,
    spot_insurance_fee,
)
from solvent.margin.rules.drift_v2 import BASE, PRICE, QUOTE

FNS = (
    "base_to_cover_margin_shortage",
    "liability_transfer_to_cover",
    "liability_implied_by_asset",
    "asset_transfer_for_liability",
    "perp_insurance_fee",
    "spot_insurance_fee",
    "liquidation_fee_by_age",
    "deposit_index_delta_to_absorb_borrow",
    "funding_delta_to_absorb_bankruptcy",
)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "drift_v2", *FNS))


@given(st.integers(1, 10**12), st.integers(100, 5_000), st.integers(0, 50_000), st.integers(PRICE, 10**11))
def test_closing_the_base_frees_the_shortage(shortage: int, ratio: int, fee: int, price: int) -> None:
    base = base_to_cover_margin_shortage(shortage, ratio, fee, 0, price, PRICE)
    if ratio * 100 <= fee:
        assert base is None
        return
    assert base is not None
    freed = Fraction(base, BASE) * price * Fraction(ratio * 100 - fee, FEE)
    assert abs(freed - shortage) <= Fraction(price, BASE) + shortage * Fraction(1, 1_000)


@given(st.integers(1, 10**12), st.integers(0, 10_000), st.integers(10_001, 20_000), st.integers(PRICE, 10**11))
def test_repaying_frees_the_shortage(shortage: int, asset: int, liability: int, price: int) -> None:
    amount = liability_transfer_to_cover(shortage, asset, FEE, liability, FEE, 9, price, 0)
    assert amount is not None
    freed = Fraction(amount, 10**9) * price * Fraction(liability - asset, 10_000)
    assert freed <= shortage + Fraction(price, 10**9)
    assert freed >= shortage - Fraction(price * 2, 10**9) - 1


def test_what_cannot_free_margin_is_unbounded() -> None:
    assert base_to_cover_margin_shortage(1, 100, 10_000, 0, PRICE, PRICE) is None
    assert base_to_cover_margin_shortage(1, 100, 0, 0, 0, PRICE) is None
    assert base_to_cover_margin_shortage(1, 100, 0, 20_000, PRICE, PRICE) is None
    assert liability_transfer_to_cover(1, 9_000, FEE, 9_000, FEE, 6, PRICE, 0) is None
    assert liability_transfer_to_cover(1, 9_000, 2 * FEE, 9_500, FEE, 6, PRICE, 0) is None
    assert liability_transfer_to_cover(1, 0, FEE, 10_000, FEE, 6, PRICE, FEE) is None
    assert liability_transfer_to_cover(1, 0, FEE, 10_000, FEE, 6, 10**12, 0) == 1


def test_dust_of_collateral_goes_whole() -> None:
    assert asset_transfer_for_liability(10**6 + 5 * 10**5, FEE, 6, PRICE, 10**6, FEE, 6, PRICE) == 10**6 + 5 * 10**5
    assert asset_transfer_for_liability(3 * 10**6, FEE, 6, PRICE, 10**6, FEE, 6, PRICE) == 10**6


@given(st.integers(0, 10**9), st.integers(1, 10**12), st.integers(100, 5_000), st.integers(0, 50_000))
def test_the_insurance_fee_leaves_the_shortage_covered(shortage: int, base: int, ratio: int, fee: int) -> None:
    insurance = perpetual_insurance_fee(shortage, base, ratio, fee, 100 * PRICE, PRICE, 50_000)
    assert 0 <= insurance <= 50_000
    assume(insurance > 0)
    freed = Fraction(base, BASE) * 100 * PRICE * Fraction(ratio * 100 - fee - insurance, FEE)
    assert freed >= shortage - Fraction(base, BASE) * 100 - 1


def test_fees_of_nothing() -> None:
    assert perpetual_insurance_fee(1, 0, 500, 0, PRICE, PRICE, 50_000) == 0
    assert perpetual_insurance_fee(1, 1, 500, 0, 1, 1, 50_000) == 0
    assert spot_insurance_fee(0, 10**9, 0, FEE, 11_000, FEE, 9, PRICE, 50_000) == 50_000


def test_the_fee_ramp() -> None:
    assert liquidation_fee_by_age(20_000, 50_000, 0, 1_499) == 20_000
    assert liquidation_fee_by_age(20_000, 50_000, 0, 1_500) == 21_500
    assert liquidation_fee_by_age(20_000, 50_000, 0, 10**9) == 50_000


def test_the_share_that_may_be_freed() -> None:
    assert max_percent_to_liquidate(49 * QUOTE, 0, 0, 100, 150) == 10_000
    assert max_percent_to_liquidate(1_000 * QUOTE, 0, 15, 100, 150) == 1_100
    assert max_percent_to_liquidate(1_000 * QUOTE, 1_000 * QUOTE, 0, 100, 150) == 0
    assert max_percent_to_liquidate(1_000 * QUOTE, 0, 1, 0, 0) == 10_000


@given(st.integers(1, 10**12), st.integers(0, 10**12), st.integers(1, 10**12))
def test_socialised_losses_are_covered(loss: int, long: int, short: int) -> None:
    delta = funding_delta_to_absorb_bankruptcy(-loss, long, -short)
    assert delta * (long + short) >= loss * BASE * 1_000
    cut = deposit_index_delta_to_absorb_borrow(loss, long + short, 10**10)
    assert cut == 10**10 - 1 or cut * (long + short) >= loss * 10**10


def test_no_depositors_no_cut() -> None:
    assert deposit_index_delta_to_absorb_borrow(5, 0, 10**10) == 0
