"""Derive standard manager: the venue's cases, and what must hold for any account."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.derive import OptionHolding
from solvent.margin.rules.derive_srm import (
    Expiry,
    Holding,
    Margins,
    MarketParams,
    OptionParams,
    Params,
    account_margins,
    isolated_margin,
    maximum_loss,
)

PARAMS = Params()
options = st.lists(
    st.builds(
        OptionHolding,
        st.sampled_from([1200.0, 2000.0, 2600.0]),
        st.booleans(),
        st.integers(-5, 5).map(float),
        st.just(0.6),
    ),
    max_size=5,
).map(tuple)
markets = st.builds(
    Holding,
    spot_usd=st.just(2000.0),
    spot_confidence=st.floats(0, 1),
    perpetual=st.integers(-5, 5).map(float),
    perpetual_price_usd=st.just(2003.0),
    unsettled_profit_usd=st.floats(-500, 500),
    base=st.floats(0, 10),
    expiries=st.builds(Expiry, st.floats(1, 1e7), st.just(2010.0), st.floats(0, 1), options).map(lambda x: (x,)),
)


def margins(holding: Holding, cash: float = 0.0, stable: float = 1.0) -> Margins:
    return account_margins(cash, {"ETH": holding}, stable, PARAMS)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "derive_srm"))


@given(markets, st.floats(0.9, 1.1), st.floats(-1e4, 1e4))
def test_cash_counts_one_to_one(holding: Holding, stable: float, cash: float) -> None:
    without, held = margins(holding, 0.0, stable), margins(holding, cash, stable)
    assert held.initial_margin - without.initial_margin == pytest.approx(cash, abs=1e-6)
    assert held.maintenance_margin - without.maintenance_margin == pytest.approx(cash, abs=1e-6)


@given(markets, st.floats(0.9, 1.1))
def test_initial_margin_asks_for_more(holding: Holding, stable: float) -> None:
    found = margins(holding, 0.0, stable)
    assert found.initial_margin <= found.maintenance_margin + 1e-9


@given(markets, st.floats(0.1, 10))
def test_an_account_scales(holding: Holding, scale: float) -> None:
    expiry = holding.expiries[0]
    larger = msgspec.structs.replace(
        holding,
        perpetual=holding.perpetual * scale,
        base=holding.base * scale,
        unsettled_profit_usd=holding.unsettled_profit_usd * scale,
        expiries=(
            msgspec.structs.replace(
                expiry,
                options=tuple(msgspec.structs.replace(x, amount=x.amount * scale) for x in expiry.options),
            ),
        ),
    )
    once, more = margins(holding), margins(larger)
    assert more.initial_margin == pytest.approx(once.initial_margin * scale, rel=1e-9, abs=1e-6)
    assert more.maintenance_margin == pytest.approx(once.maintenance_margin * scale, rel=1e-9, abs=1e-6)


@given(markets)
def test_rows_of_one_option_add_up(holding: Holding) -> None:
    expiry = holding.expiries[0]
    split = tuple(
        msgspec.structs.replace(option, amount=part)
        for option in expiry.options
        for part in (option.amount + 3.0, -3.0)
    )
    parts = msgspec.structs.replace(holding, expiries=(msgspec.structs.replace(expiry, options=split),))
    assert margins(parts).initial_margin == pytest.approx(margins(holding).initial_margin, rel=1e-9, abs=1e-6)


@given(markets, st.floats(0.01, 10))
def test_base_collateral_never_hurts_while_the_oracle_is_sure(holding: Holding, more: float) -> None:
    sure = msgspec.structs.replace(holding, spot_confidence=1.0)
    richer = msgspec.structs.replace(sure, base=sure.base + more)
    assert margins(richer).initial_margin >= margins(sure).initial_margin
    assert margins(richer).maintenance_margin >= margins(sure).maintenance_margin


def test_a_long_option_alone_needs_nothing_and_gives_nothing() -> None:
    option = OptionHolding(2000.0, True, 3.0, 0.5)
    assert isolated_margin(option, 300.0, 2000.0, OptionParams(), initial=True) == 0.0


def test_a_spread_cannot_lose_more_than_its_width() -> None:
    spread = (OptionHolding(2000.0, True, -1.0, 0.5), OptionHolding(2300.0, True, 1.0, 0.5))
    assert maximum_loss(spread, 2010.0, 1.2) == -300.0
    assert maximum_loss(spread[:1], 2010.0, 1.2) == pytest.approx(-300.0 * 0 - 1.2 * 2010.0)


def test_markets_may_have_parameters_of_their_own() -> None:
    params = Params(markets={"BTC": MarketParams(base_margin_factor=0.75, base_im_scale=0.93)})
    held = account_margins(0.0, {"BTC": Holding(spot_usd=100.0, base=1.0)}, 1.0, params)
    assert (held.maintenance_margin, held.initial_margin) == pytest.approx((75.0, 69.75))
