"""Derive portfolio manager version 1: the venue's cases, and what must hold for any account."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.margin.rules.reference import assert_holds, vectors

from solvent.margin.rules.derive import OptionHolding
from solvent.margin.rules.derive_pmrm import Account, Expiry, Params, account_margins

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
accounts = st.builds(
    Account,
    cash_usd=st.floats(-1e4, 1e4),
    spot_usd=st.just(2000.0),
    spot_confidence=st.floats(0, 1),
    stable_usd=st.floats(0.95, 1.05),
    perpetual=st.integers(-5, 5).map(float),
    perpetual_price_usd=st.just(2003.0),
    base=st.floats(0, 10),
    expiries=st.builds(
        Expiry, st.floats(60, 1e7), st.just(0.0), st.just(2010.0), st.floats(-0.1, 0.3), st.floats(0, 1), options
    ).map(lambda x: (x,)),
)


def test_vectors(shared: Path) -> None:
    assert_holds(vectors(shared, "derive_pmrm1"))


@settings(max_examples=30)
@given(accounts)
def test_margins_are_the_parts_put_together(account: Account) -> None:
    found = account_margins(account, PARAMS)
    loss = min(found.basis_contingency, *found.scenario_pnl) - found.static_contingency
    assert found.maintenance_margin == pytest.approx(loss + found.mark_to_market, rel=1e-12, abs=1e-8)
    assert found.initial_margin <= found.maintenance_margin + 1e-9
    assert found.basis_contingency <= 0
    if found.worst_scenario < len(found.scenario_pnl):
        assert found.scenario_pnl[found.worst_scenario] == min(found.scenario_pnl)


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


def test_profit_without_a_position_is_not_there() -> None:
    flat = Account(cash_usd=0.0, spot_usd=2000.0, unsettled_profit_usd=500.0)
    assert account_margins(flat, PARAMS).mark_to_market == 0.0
