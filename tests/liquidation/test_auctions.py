"""Dutch auctions: MakerDAO's curves digit for digit, Derive's slice, resets, bids and dust."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from solvent.liquidation.auctions import (
    METHODS,
    AuctionParams,
    Curve,
    Exponential,
    Linear,
    Stairstep,
    TwoSlope,
    buffer_margin,
    cash_up,
    leg,
    needs_reset,
    payout_down,
    price_e18,
    price_ray,
    slice_fraction_e18,
    slice_lots,
    start_fee,
    take,
)
from solvent.pools.decimals import scaled
from solvent.pools.fixed_point import RAY, WAD

curves = st.one_of(
    st.builds(Linear, duration_s=st.integers(1, 10**6)),
    st.builds(Stairstep, cut=st.integers(1, 999).map(lambda n: n / 1000), step_s=st.integers(1, 600)),
    st.builds(Exponential, cut_per_second=st.integers(900, 999).map(lambda n: n / 1000)),
    st.builds(
        TwoSlope,
        knee=st.integers(1, 99).map(lambda n: n / 100),
        fast_s=st.integers(1, 10**5),
        slow_s=st.integers(1, 10**6),
    ),
)
money = st.integers(-(10**15), 10**15)
margins = st.integers(0, 10**15)
fractions = st.integers(1, WAD)
buffers = st.integers(0, 100).map(lambda n: n / 100)


def maker_curve(inputs: dict[str, str]) -> Curve:
    """A curve of the reference file; its cuts have at most 12 digits, so floats carry them exactly."""
    if inputs["curve"] == "linear":
        return Linear(duration_s=int(inputs["tau"]))
    cut = int(inputs["cut"]) / RAY
    assert scaled(cut, RAY) == int(inputs["cut"])
    if inputs["curve"] == "continuous":
        return Exponential(cut_per_second=cut)
    return Stairstep(cut=cut, step_s=int(inputs["step"]))


def wrong_prices(vectors: list[dict[str, Any]]) -> list[str]:
    """Ids of the vectors that `price_ray` misses by more than their own tolerance."""
    wrong = []
    for vector in vectors:
        inputs = vector["inputs"]
        found = price_ray(maker_curve(inputs), int(inputs["top"]), int(inputs["dur"]))
        allowed = 0 if vector["tolerance"] == "exact" else vector["tolerance"]["abs"]
        if abs(found - int(vector["expected"]["price"])) > allowed:
            wrong.append(vector["id"])
    return wrong


def test_makers_own_prices(shared: Path) -> None:
    vectors = json.loads((shared / "vectors/lending/maker_auction_curves.json").read_text())["vectors"]
    assert vectors
    assert wrong_prices(vectors) == []
    for vector in vectors:
        vector["inputs"]["dur"] = str(int(vector["inputs"]["dur"]) + 60)
    assert len(wrong_prices(vectors)) == len(vectors), "the control: a minute later every price is wrong"


def in_wei(usd: float) -> int:
    return round(Fraction(usd) * WAD)


def derive_step(params: dict[str, float], step: dict[str, Any], reserved: int) -> dict[str, float]:
    """One bid of the reference file by our functions, in 1e-18 USD."""
    start, buffer = params["starting_mtm_pct"], params["buffer_margin_pct"]
    curve = TwoSlope(
        knee=params["fast_cutoff_pct"] / start,
        fast_s=int(params["fast_length"]),
        slow_s=int(params["slow_length"]),
    )
    discount = price_e18(curve, scaled(start), step["seconds_since_start"])
    equity = in_wei(step["mtm"])
    maintenance = equity - in_wei(step["mm"])
    most = slice_fraction_e18(equity, maintenance, buffer, discount, reserved)
    fraction = take(scaled(step["percent_wanted"]), most, minimum=0, dust=0)
    cash = cash_up(fraction, equity, discount, reserved)
    after = equity + cash - (equity - reserved) * fraction // WAD
    maintenance_after = maintenance * (WAD - fraction) // WAD
    found = {
        "buffer_margin": buffer_margin(equity, maintenance, buffer),
        "max_fraction": most,
        "fraction_liquidated": fraction,
        "cash_from_bidder": cash,
        "post_mtm": after,
        "post_mm": after - maintenance_after,
        "post_bm": buffer_margin(after, maintenance_after, buffer),
        "post_max_fraction": slice_fraction_e18(after, maintenance_after, buffer, discount, reserved + cash),
    }
    return {name: value / WAD for name, value in found.items()}


def test_derives_own_bids(shared: Path) -> None:
    file = json.loads((shared / "vectors/derivatives/derive_auction.json").read_text())
    params, seen = file["params"], 0
    for vector in file["vectors"]:
        reserved = 0
        for step in vector["steps"]:
            found = derive_step(params, step, reserved)
            assert found == pytest.approx(step["expected"], abs=vector["tolerance"]["abs"])
            reserved, seen = reserved + in_wei(found["cash_from_bidder"]), seen + 1
        first, fee = vector["steps"][0], in_wei(vector["start_fee"])
        if first["seconds_since_start"] == 0:
            equity = in_wei(first["mtm"]) + fee
            maintenance = in_wei(first["mtm"]) - in_wei(first["mm"])
            ours = start_fee(equity, maintenance, params["buffer_margin_pct"], params["liquidator_fee_rate"])
            assert ours / WAD == pytest.approx(vector["start_fee"], abs=1e-9)
            assert start_fee(2 * equity, maintenance, 0.2, 0.02) / WAD != pytest.approx(vector["start_fee"])
    assert seen


@given(curves, st.integers(0, 10**30), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_price_starts_at_the_start_and_never_rises(curve: Curve, start: int, one: int, other: int) -> None:
    earlier, later = sorted((one, other))
    assert price_e18(curve, start, 0) == start
    assert 0 <= price_e18(curve, start, later) <= price_e18(curve, start, earlier) <= start


@given(curves, st.integers(0, 10**20), st.integers(0, 5000))
def test_both_scales_agree(curve: Curve, start: int, elapsed_s: int) -> None:
    fine = Fraction(price_ray(curve, start * 10**9, elapsed_s), 10**9)
    slack = 2 + Fraction(start * (elapsed_s + 2), WAD)
    assert abs(price_e18(curve, start, elapsed_s) - fine) <= slack


def test_curves_end_at_zero_or_halve() -> None:
    assert price_e18(Linear(duration_s=100), WAD, 100) == 0
    assert price_e18(TwoSlope(knee=0.8, fast_s=10, slow_s=90), WAD, 10) == 8 * WAD // 10
    assert price_e18(TwoSlope(knee=0.8, fast_s=10, slow_s=90), WAD, 100) == 0
    assert price_e18(Exponential(), WAD, 900) == pytest.approx(WAD / 2, rel=1e-9)
    assert price_e18(Stairstep(cut=0.5, step_s=10), WAD, 29) == WAD // 4


def test_an_auction_is_reset_when_it_is_old_or_cheap_and_not_for_ever() -> None:
    params = AuctionParams(curve=Linear(duration_s=3600), tail_s=3600, cusp=0.5, resets_most=1)
    assert not needs_reset(params, 1800, 0), "half the price is not below half"
    assert needs_reset(params, 1801, 0)
    assert not needs_reset(params, 1801, 1)
    slow = AuctionParams(curve=Linear(duration_s=36_000), tail_s=3600, cusp=0.5)
    assert not needs_reset(slow, 3600, 0)
    assert needs_reset(slow, 3601, 0)


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**5),
    st.integers(0, 10**5),
)
def test_a_bid_leaves_nothing_or_at_least_dust(wanted: int, available: int, minimum: int, dust: int) -> None:
    got = take(wanted, available, minimum=minimum, dust=dust)
    assert 0 <= got <= min(wanted, available) if wanted < available else got == available
    rest = available - got
    assert rest == 0 or got == 0 or rest >= dust
    assert got == available or got == 0 or got >= minimum
    if got == 0 and available and wanted:
        assert min(wanted, available - dust) < max(minimum, 1), "only what cannot be cut to fit is refused"


def test_small_bids_are_cut_or_refused() -> None:
    assert take(95, 100, minimum=10, dust=20) == 80
    assert take(5, 100, minimum=10, dust=20) == 0
    assert take(15, 25, minimum=10, dust=20) == 0
    assert take(25, 25, minimum=30, dust=20) == 25


@given(st.integers(1, 10**15), margins, buffers, fractions, st.integers(0, 10**15))
def test_the_slice_restores_the_buffer_and_no_less_would(
    equity: int, maintenance: int, buffer: float, discount: int, reserved: int
) -> None:
    assume(equity > reserved)
    fraction = slice_fraction_e18(equity, maintenance, buffer, discount, reserved)
    assert 0 <= fraction <= WAD
    assert (fraction == 0) == (buffer_margin(equity, maintenance, buffer) >= 0)

    def missing_after(share: Fraction) -> Fraction:
        missing = -buffer_margin(equity, maintenance, buffer)
        brought = share * (equity - reserved) * Fraction(discount, WAD)
        return (1 - share) * missing - share * reserved - brought

    assert missing_after(Fraction(fraction, WAD)) <= 0
    if fraction:
        assert missing_after(Fraction(fraction - 1, WAD)) > 0, "the control: a hair less does not restore it"


@given(st.integers(1, 10**15), margins, fractions, fractions)
def test_a_slice_is_never_given_away_below_its_price(
    equity: int, maintenance: int, discount: int, fraction: int
) -> None:
    paid = cash_up(fraction, equity, discount)
    assert 0 <= paid - Fraction(equity * discount * fraction, WAD**2) < 1
    assert paid <= equity


def test_an_account_without_value_goes_whole() -> None:
    assert slice_fraction_e18(-5, 10, 0.15, WAD) == WAD
    assert slice_fraction_e18(5, 10, 0.15, 0) == WAD
    assert leg(0, WAD) == "solvent"
    assert leg(-1, WAD) == leg(1, 0) == "insolvent"


@given(money, margins, st.integers(0, 10**5), st.integers(1, 10**5))
def test_the_offer_of_the_fund_rises_from_the_shortfall_to_the_requirement(
    equity: int, maintenance: int, elapsed_s: int, length_s: int
) -> None:
    first = payout_down(WAD, equity, maintenance, 0, length_s)
    now = payout_down(WAD, equity, maintenance, elapsed_s, length_s)
    last = payout_down(WAD, equity, maintenance, length_s, length_s)
    assert first == max(-equity, 0)
    assert last == max(maintenance - equity, 0)
    assert first <= now <= last
    assert payout_down(WAD // 2, equity, maintenance, elapsed_s, length_s) == now // 2 or now % 2


@given(money, margins, buffers)
def test_the_fee_never_makes_an_account_insolvent(equity: int, maintenance: int, buffer: float) -> None:
    fee = start_fee(equity, maintenance, buffer, 0.5)
    assert 0 <= fee <= max(equity, 0)


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=5), st.integers(0, WAD))
def test_a_slice_of_lots_is_whole_and_stays_inside_the_leg(lots: list[int], fraction: int) -> None:
    legs = np.array(lots, dtype=np.int64)
    cut = slice_lots(legs, fraction)
    assert np.all(np.abs(cut) <= np.abs(legs))
    assert np.all((cut == 0) | (np.sign(cut) == np.sign(legs)))
    for whole, part in zip(lots, cut, strict=True):
        assert 0 <= abs(int(part)) - Fraction(abs(whole) * fraction, WAD) < 1


def test_unsafe_parameters_are_all_named() -> None:
    bad = AuctionParams(curve=Stairstep(cut=1.0, step_s=0), start=0.0, cusp=1.0, dust_usd=1, fee_rate=-0.1)
    assert [p.field for p in bad.check()] == [
        "curve.cut",
        "curve.step_s",
        "start",
        "cusp",
        "dust_usd",
        "fee_rate",
    ]
    assert AuctionParams().check() == []
    assert all(AuctionParams(curve=kind()).check() == [] for kind in METHODS.values())
