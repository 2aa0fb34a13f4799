"""Caps, thresholds, regimes and marks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.models.collateral.caps import asset_cap, reflexivity_cap_usd, shared_caps
from solvent.models.collateral.regime import (
    depth_signal,
    funding_signal,
    multiplier,
    peg_signal,
    spread_signal,
    volatility_signal,
)
from solvent.models.collateral.scorecard import overall, scorecard
from solvent.models.collateral.thresholds import is_toxic, loan_terms, threshold_bound

RATES = st.floats(0.0, 0.9)


def test_the_lowest_cap_binds_and_says_so() -> None:
    assert asset_cap(1e9, None, 1.0) == (5e8, "10% of volume in 5 days")
    assert asset_cap(1e9, 1e9, 1.0) == (3e7, "3% of supply")
    assert asset_cap(1e9, 1e12, 2.0, reflexive=True).usd == reflexivity_cap_usd(1e9, 2.0) == pytest.approx(1e8)
    assert asset_cap(1e9, None, 1.0, share=0.25).usd == 1.25e8
    assert asset_cap(float("nan"), 1e9, 1.0).usd == 0.0


def test_the_worth_of_all_units_never_lifts_a_reflexive_cap() -> None:
    """FTT: the float at its last price says nothing of what a sale brings."""
    assert asset_cap(1e8, 3e9, 1.0, reflexive=True).usd == asset_cap(1e8, 3e12, 1.0, reflexive=True).usd


@given(st.dictionaries(st.sampled_from("ABCDE"), st.floats(1.0, 1e9), min_size=1), st.data())
def test_what_fails_together_is_capped_like_its_largest(caps: dict[str, float], data: st.DataObject) -> None:
    domains = {asset: data.draw(st.frozensets(st.sampled_from(["issuer", "bank", "A"]), max_size=2)) for asset in caps}
    cut = caps | {asset: cap.usd for asset, cap in shared_caps(caps, domains).items()}
    assert all(cut[asset] <= caps[asset] for asset in caps)
    for domain in ("issuer", "bank", "A"):
        members = [asset for asset in caps if domain in domains[asset] or asset == domain]
        if members:
            assert sum(cut[asset] for asset in members) <= max(caps[asset] for asset in members) * (1 + 1e-9)


def test_apart_nothing_is_cut() -> None:
    assert shared_caps({"A": 5.0, "B": 7.0}, {"A": frozenset({"x"}), "B": frozenset({"y"})}) == {}
    both = shared_caps({"A": 5.0, "B": 5.0}, {"A": frozenset({"x"}), "B": frozenset({"x"})})
    assert both["A"] == (2.5, "shares the failure domain x with B")


@given(RATES, RATES, RATES, RATES, RATES, st.floats(0.0, 0.5))
def test_no_threshold_is_toxic_and_ltv_stays_below(
    initial: float, maintenance: float, fall: float, hourly: float, impact: float, bonus: float
) -> None:
    terms = loan_terms(max(initial, maintenance), min(initial, maintenance), fall, hourly, impact, bonus)
    assert terms.loan_to_value <= terms.liquidation_threshold <= threshold_bound(fall, impact, bonus) + 1e-9
    assert not is_toxic(terms.liquidation_threshold, bonus)
    assert terms.loan_to_value <= max(0.0, 1 - max(initial, maintenance)) + 1e-9
    if terms.loan_to_value > 0:
        assert terms.liquidation_threshold - terms.loan_to_value >= 0.03 - 1e-9


def test_the_toxic_bounds_of_the_paper() -> None:
    """5, 8 and 10 % of bonus spiral from 95.24, 92.59 and 90.91 % on."""
    for bonus, bound in ((0.05, 0.9524), (0.08, 0.9259), (0.10, 0.9091)):
        assert threshold_bound(0.0, 0.0, bonus) == pytest.approx(bound, abs=5e-5)
        assert not is_toxic(bound - 1e-4, bonus)
        assert is_toxic(bound + 1e-4, bonus)


def test_volatility_is_a_signal_only_when_it_jumps() -> None:
    draw = np.random.default_rng(3)
    calm = draw.normal(0, 0.02, 900)
    wild = calm.copy()
    wild[-5:] *= 8
    assert volatility_signal(calm).shape == (901,)
    assert not volatility_signal(calm)[:365].any()
    assert volatility_signal(wild)[-1]
    assert volatility_signal(calm).mean() < 0.1


def test_each_signal_by_its_own_threshold() -> None:
    steady = np.ones(60) + 0.01 * np.sin(np.arange(60))
    for signal, jump in ((depth_signal, 0.4), (spread_signal, 3.5), (funding_signal, 2.0)):
        moved = steady.copy()
        moved[-1] = jump
        assert signal(moved)[-1]
        assert not signal(steady).any()
    unknown = steady.copy()
    unknown[-1] = np.nan
    assert not depth_signal(unknown)[-1]
    assert peg_signal([0.009, 0.011]).tolist() == [False, True]


def test_more_signals_more_stress() -> None:
    on, off = np.array([True]), np.array([False])
    found = [float(multiplier(dict(zip("abc", signals, strict=True)))[0])
             for signals in ((off, off, off), (on, off, off), (on, on, off), (on, on, on))]  # fmt: skip
    assert found == [1.0, 1.25, 1.6, 1.6]


def test_marks_fall_with_what_is_worse_and_unknown_is_none() -> None:
    best = {"liquidity_score": 1.0, "liquidity_tier": 1.0, "volume_usd_daily": 1e10, "sigma_daily": 0.0,
            "age_days": 5000.0, "kind": "coin", "custody": "native", "wrapping": "none", "redemption": "none",
            "stablecoin": "", "represents": ""}  # fmt: skip
    top = overall(scorecard(best))
    assert top == pytest.approx(100.0)
    for worse in ({"affiliated": True}, {"sigma_daily": 0.1}, {"wrapping": "third_party"}, {"age_days": None},
                  {"represents": "BTC"}, {"custody": "exchange"}, {"liquidity_score": 0.2}):  # fmt: skip
        assert overall(scorecard(best | worse)) < top
    assert all(0 <= mark.mark <= 100 and mark.reason for mark in scorecard({}))
