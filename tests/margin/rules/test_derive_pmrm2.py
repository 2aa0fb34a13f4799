"""Derive portfolio manager version 2: the venue's cases, and what must hold for any account."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.derive import OptionHolding
from solvent.margin.rules.derive_pmrm2 import (
    SCENARIOS,
    Account,
    Collateral,
    Expiry,
    Params,
    SkewShock,
    account_margins,
    forward_portions,
    static_discounts,
)

PARAMS = Params()
options = st.lists(
    st.builds(
        OptionHolding,
        st.sampled_from([1200.0, 2000.0, 2600.0]),
        st.booleans(),
        st.integers(-5, 5).map(float),
        st.floats(0.2, 2.0),
    ),
    min_size=1,
    max_size=4,
).map(tuple)
collaterals = st.builds(
    Collateral, st.floats(0, 10), st.just(2000.0), st.floats(0.56, 1), st.booleans(), st.just(0.1), st.just(0.05)
)
accounts = st.builds(
    Account,
    cash_usd=st.floats(-1e4, 1e4),
    spot_usd=st.just(2000.0),
    spot_confidence=st.floats(0.56, 1),
    stable_usd=st.floats(0.95, 1.05),
    perpetual=st.integers(-5, 5).map(float),
    perpetual_price_usd=st.just(2003.0),
    collaterals=st.tuples(collaterals),
    expiries=st.builds(Expiry, st.floats(60, 1e7), st.just(2010.0), st.floats(-0.1, 0.3), st.floats(0, 1), options).map(
        lambda x: (x,)
    ),
)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "derive_pmrm2"))


def test_there_are_33_default_scenarios() -> None:
    assert len(SCENARIOS) == 33
    assert {each.vol for each in SCENARIOS} == {"up", "none", "down", "linear", "abs"}


@settings(max_examples=30)
@given(accounts)
def test_margins_are_the_parts_put_together(account: Account) -> None:
    found = account_margins(account, PARAMS)
    loss = min(found.basis_contingency, *found.scenario_pnl)
    assert loss <= 1e-9
    rest = found.mark_to_market - found.mm_contingency
    assert found.maintenance_margin == pytest.approx(loss * 0.8 + rest, rel=1e-12, abs=1e-8)
    assert found.initial_margin <= found.maintenance_margin + 1e-9


@settings(max_examples=30)
@given(accounts, st.floats(0.1, 5))
def test_collateral_outside_the_scenarios_never_hurts(account: Account, more: float) -> None:
    outside = msgspec.structs.replace(account.collaterals[0], is_risk_cancelling=False)
    poor = msgspec.structs.replace(account, collaterals=(outside,))
    added = msgspec.structs.replace(outside, amount=outside.amount + more)
    rich = msgspec.structs.replace(account, collaterals=(added,))
    assert account_margins(rich, PARAMS).initial_margin >= account_margins(poor, PARAMS).initial_margin
    assert account_margins(rich, PARAMS).maintenance_margin >= account_margins(poor, PARAMS).maintenance_margin


@settings(max_examples=30)
@given(accounts)
def test_rows_of_one_option_add_up(account: Account) -> None:
    expiry = account.expiries[0]
    option = expiry.options[0]
    extra = msgspec.structs.replace(option, amount=-2.0), msgspec.structs.replace(option, amount=2.0)
    parts = msgspec.structs.replace(expiry, options=(*expiry.options, *extra))
    same = msgspec.structs.replace(account, expiries=(parts,))
    first, second = account_margins(account, PARAMS), account_margins(same, PARAMS)
    assert second.initial_margin == pytest.approx(first.initial_margin, rel=1e-9, abs=1e-6)


@given(st.floats(0.01, 1e7), st.floats(1, 1e6))
def test_the_forward_is_its_two_portions(seconds: float, forward: float) -> None:
    fixed, variable = forward_portions(forward, seconds)
    assert fixed + variable == pytest.approx(forward)
    assert (fixed == 0.0) == (seconds >= 1_800)


@given(st.floats(-3, 3), st.floats(0.01, 2), st.booleans())
def test_skew_stays_inside_its_cap(k: float, root_years: float, is_linear: bool) -> None:
    skew = SkewShock(linear_cap_slope=0.0, abs_cap_slope=0.0)
    factor = float(skew.factors(np.array([k]), root_years, is_linear)[0])
    assert 0.75 - 1e-12 <= factor <= 1.25 + 1e-12
    assert is_linear or factor >= 1.0
    assert not is_linear or (factor - 1.0) * k >= 0.0


@given(st.floats(60, 3e7), st.floats(-0.5, 0.5))
def test_a_short_is_never_discounted_below_its_undiscounted_value(seconds: float, rate: float) -> None:
    expiry = Expiry(seconds, 2000.0, rate, 1.0, ())
    discount = math.exp(-max(rate, 0.0) * seconds / 31_536_000)
    long, short = static_discounts(expiry, discount, PARAMS)
    assert long <= PARAMS.long_static_discount
    assert short <= 1.0 / discount
