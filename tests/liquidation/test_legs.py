"""Legs: bankruptcy prices that use equity up exactly, penalties that never bankrupt, exact splits."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.liquidation.legs import (
    PenaltySplit,
    bankruptcy_price,
    bankruptcy_price_inverse,
    bankruptcy_ticks,
    loss_shares,
    penalty,
    split_penalty,
)

prices = st.integers(1, 10**9).map(lambda n: Fraction(n, 100))
lots = st.integers(-(10**9), 10**9).filter(bool)
coins = st.integers(1, 10**6).map(lambda n: Fraction(n, 10**6))
equities = st.integers(-(10**12), 10**12).map(lambda n: Fraction(n, 10**6))
rows = st.lists(st.tuples(prices, lots, coins, st.integers(0, 10**12)), min_size=1, max_size=5)


@given(rows, equities)
def test_closing_every_leg_at_its_price_leaves_nothing(
    legs: list[tuple[Fraction, int, Fraction, int]], equity: Fraction
) -> None:
    shares = loss_shares([row[3] for row in legs])
    assert sum(shares) == 1
    profit = sum(
        q * m * (bankruptcy_price(mark, q, m, equity, share) - mark)
        for (mark, q, m, _), share in zip(legs, shares, strict=True)
    )
    assert equity + profit == 0


@given(prices, lots, coins, equities)
def test_the_price_lies_on_the_side_that_equity_pays_for(mark: Fraction, q: int, m: Fraction, equity: Fraction) -> None:
    price = bankruptcy_price(mark, q, m, equity, Fraction(1))
    assert (mark - price) * q * equity >= 0
    assert (price == mark) == (equity == 0)


@given(prices, lots, coins, equities, prices)
def test_an_inverse_leg_uses_its_share_up_in_coins(
    mark: Fraction, q: int, usd: Fraction, equity: Fraction, index: Fraction
) -> None:
    price = bankruptcy_price_inverse(mark, q, usd, equity, Fraction(1), index)
    if price is None:
        most = q * usd / mark * index + equity
        assert most >= 0 if q < 0 else most <= 0, "what is left as the price grows without bound"
        return
    assert q * usd * (1 / mark - 1 / price) * index == -equity


@given(prices, lots, coins, equities, st.integers(1, 1000).map(lambda n: Fraction(n, 100)))
def test_ticks_round_for_the_account_that_is_closed(
    mark: Fraction, q: int, m: Fraction, equity: Fraction, tick: Fraction
) -> None:
    price = bankruptcy_price(mark, q, m, equity, Fraction(1))
    ticks = bankruptcy_ticks(price, tick, q)
    assert ticks >= 0
    if price >= 0:
        left = equity + q * m * (ticks * tick - mark)
        assert left >= 0
        worse = equity + q * m * ((ticks - (1 if q > 0 else -1)) * tick - mark)
        assert worse < 0, "the control: one tick further and the account is bankrupt"


def test_a_long_of_ten_thousand_with_a_thousand_behind_it() -> None:
    assert bankruptcy_price(Fraction(100), 100, Fraction(1), Fraction(1000), Fraction(1)) == 90
    assert bankruptcy_price(Fraction(100), -100, Fraction(1), Fraction(1000), Fraction(1)) == 110
    assert bankruptcy_price(Fraction(100), 100, Fraction(1), Fraction(-1000), Fraction(1)) == 110
    assert loss_shares([1, 3]) == (Fraction(1, 4), Fraction(3, 4))
    assert loss_shares([0, 0]) == (Fraction(1, 2), Fraction(1, 2))


@given(st.integers(0, 10**18), st.integers(0, 1000).map(lambda n: n / 1000), st.integers(-(10**15), 10**15))
def test_a_penalty_leaves_equity_at_zero_or_more(notional: int, rate: float, equity: int) -> None:
    charged = penalty(notional, rate, equity)
    assert charged >= 0
    assert equity - charged >= min(equity, 0)
    full = Fraction(repr(rate)) * notional
    assert charged == max(equity, 0) or 0 <= charged - full < 1


@given(st.integers(0, 10**18), st.integers(0, 100), st.integers(0, 100))
def test_the_split_gives_away_exactly_the_penalty(total: int, one: int, other: int) -> None:
    low, high = sorted((one, other))
    split = PenaltySplit(liquidator=low / 100, insurance=(100 - high) / 100, venue=round((high - low) / 100, 2))
    assert split.check() == []
    parts = split_penalty(total, split)
    assert sum(parts) == total
    assert min(parts) >= 0


@pytest.mark.parametrize(
    ("split", "field"),
    [
        (PenaltySplit(liquidator=0.5, insurance=0.5, venue=0.1), "split"),
        (PenaltySplit(liquidator=-0.5, insurance=1.0, venue=0.5), "liquidator"),
    ],
)
def test_a_split_that_does_not_add_up_is_refused(split: PenaltySplit, field: str) -> None:
    assert [p.field for p in split.check()] == [field]
    assert PenaltySplit().check() == []
