"""What Derive's managers share: merging, naked shorts, vol shocks, smiles."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.margin.rules.derive import (
    OptionHolding,
    Smile,
    VolShock,
    basis_contingency,
    confidence_charge,
    merged,
    naked_shorts,
)

amounts = st.floats(-100, 100).map(lambda x: round(x, 3))
holdings = st.lists(
    st.builds(OptionHolding, st.sampled_from([1000.0, 1500.0, 2000.0]), st.booleans(), amounts, st.just(0.5)),
    max_size=8,
)


@pytest.mark.parametrize(
    ("call", "put", "naked"),
    [(-2.0, 0.0, 2.0), (-2.0, -3.0, 5.0), (-2.0, 1.5, 0.5), (2.0, -3.0, 1.0), (2.0, 3.0, 0.0), (3.0, -3.0, 0.0)],
)
def test_a_long_of_the_same_strike_covers_a_short(call: float, put: float, naked: float) -> None:
    options = (OptionHolding(1000.0, True, call, 0.5), OptionHolding(1000.0, False, put, 0.5))
    assert naked_shorts(options) == naked


@given(holdings)
def test_merging_keeps_amounts_and_is_idempotent(options: list[OptionHolding]) -> None:
    once = merged(options)
    assert merged(once) == once
    assert len({(each.strike_usd, each.is_call) for each in once}) == len(once)
    assert sum(each.amount for each in once) == pytest.approx(sum(each.amount for each in options), abs=1e-9)


@given(holdings)
def test_naked_shorts_are_at_most_all_shorts(options: list[OptionHolding]) -> None:
    rows = merged(options)
    assert 0 <= naked_shorts(rows) <= sum(max(0.0, -each.amount) for each in rows) + 1e-9


@given(st.floats(0, 1e8))
def test_vol_shocks_move_away_from_one(seconds: float) -> None:
    up, down = VolShock(0.5, 0.3).multipliers(seconds)
    assert up >= 1.0 >= down >= 0.0


def test_the_shock_of_thirty_days_is_the_stated_range() -> None:
    assert VolShock(0.5, 0.3).multipliers(30 * 86_400) == pytest.approx((1.5, 0.7))


def test_smiles_give_the_vols_that_the_venue_evaluated(shared: Path) -> None:
    file = json.loads((shared / "vectors/derivatives/derive_pmrm2.json").read_text())
    expiries = [each for portfolio in file["portfolios"].values() for each in portfolio["expiries"]]
    for expiry in expiries:
        svi = expiry["svi"]
        smile = Smile(svi["a"], svi["b"], svi["rho"], svi["m"], svi["sigma"], svi["fwd"], svi["tau"])
        for option in expiry["options"]:
            assert smile.vol(option["strike"]) == pytest.approx(option["vol"], rel=1e-9)
    assert len(expiries) > 40


def test_charges_are_off_where_nothing_is_wrong() -> None:
    assert confidence_charge(0.55, 0.55, 1.0, 1e6) == 0.0
    assert confidence_charge(0.5, 0.55, 1.0, 1e6) == 5e5
    assert basis_contingency(10.0, 11.0, 12.0, 3.0) == 0.0
    assert basis_contingency(10.0, 11.0, 8.0, 3.0) == -6.0
