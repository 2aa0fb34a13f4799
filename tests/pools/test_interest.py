"""Interest: the kinked curve's corners, rounding against the borrower, the exact split."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.pools.decimals import scaled
from solvent.pools.fixed_point import WAD, YEAR_S
from solvent.pools.interest import (
    METHODS,
    KinkedCurve,
    accrue,
    borrow_rate_e18,
    interest_up,
    supply_rate_e18,
    utilisation_up_e18,
)

CURVE = KinkedCurve(
    base_annual=0.01,
    slope_low_annual=0.04,
    slope_high_annual=0.75,
    kink_utilisation=0.8,
    reserve_factor=0.1,
)
atoms = st.integers(0, 10**30)
curves = st.builds(
    KinkedCurve,
    base_annual=st.integers(0, 100).map(lambda n: n / 100),
    slope_low_annual=st.integers(0, 100).map(lambda n: n / 100),
    slope_high_annual=st.integers(0, 300).map(lambda n: n / 100),
    kink_utilisation=st.integers(1, 99).map(lambda n: n / 100),
    reserve_factor=st.integers(0, 100).map(lambda n: n / 100),
)


def rate(curve: KinkedCurve, cash: int, loans: int) -> Fraction:
    """The curve in rationals, as the protocol's formula reads."""
    u = Fraction(loans, cash + loans) if loans else Fraction(0)
    base, low, high, kink = (
        Fraction(scaled(x), WAD)
        for x in (
            curve.base_annual,
            curve.slope_low_annual,
            curve.slope_high_annual,
            curve.kink_utilisation,
        )
    )
    return base + low * u / kink if u <= kink else base + low + high * (u - kink) / (1 - kink)


@pytest.mark.parametrize(
    ("cash", "loans", "percent"),
    [(100, 0, 1), (60, 40, 3), (20, 80, 5), (10, 90, 42.5), (0, 100, 80), (0, 0, 1)],
)
def test_the_rate_at_the_corners(cash: int, loans: int, percent: float) -> None:
    assert borrow_rate_e18(CURVE, cash, loans) == int(percent * 10) * WAD // 1000


@given(curves, atoms, atoms)
def test_the_rate_is_the_formula_rounded_up(curve: KinkedCurve, cash: int, loans: int) -> None:
    error = Fraction(borrow_rate_e18(curve, cash, loans), WAD) - rate(curve, cash, loans)
    assert 0 <= error < Fraction(1, WAD)


@given(curves, st.integers(1, 10**24), st.integers(0, 10**24), st.integers(0, 10**24))
def test_the_rate_never_falls_as_more_is_lent(curve: KinkedCurve, total: int, one: int, other: int) -> None:
    less, more = sorted((one % (total + 1), other % (total + 1)))
    assert borrow_rate_e18(curve, total - less, less) <= borrow_rate_e18(curve, total - more, more)


@given(atoms, st.integers(0, 10 * WAD), st.integers(0, 10**8))
def test_interest_is_rounded_up_by_less_than_an_atom(loan: int, rate_e18: int, interval_s: int) -> None:
    true = Fraction(loan * rate_e18 * interval_s, WAD * YEAR_S)
    assert 0 <= interest_up(loan, rate_e18, interval_s) - true < 1


def test_a_year_of_five_percent_on_a_million() -> None:
    assert interest_up(10**6, 5 * 10**16, YEAR_S) == 50_000
    assert interest_up(1, 1, 1) == 1, "the least loan pays an atom: no loan is free by being small"


@given(curves, atoms, st.lists(atoms, max_size=8), st.integers(0, 10**7))
def test_the_split_is_exact(curve: KinkedCurve, cash: int, loans: list[int], interval_s: int) -> None:
    result = accrue(curve, cash, loans, interval_s)
    assert sum(result.interest_atoms) == result.lenders_atoms + result.reserve_atoms
    assert result.rate_e18 == borrow_rate_e18(curve, cash, sum(loans))
    assert len(result.interest_atoms) == len(loans)
    assert min(result.lenders_atoms, result.reserve_atoms) >= 0
    share = Fraction(scaled(curve.reserve_factor), WAD)
    assert 0 <= result.reserve_atoms - sum(result.interest_atoms) * share < 1


@given(curves, st.integers(0, 10**24), st.integers(0, 10**24))
def test_lenders_earn_no_more_than_borrowers_pay(curve: KinkedCurve, cash: int, loans: int) -> None:
    paid = borrow_rate_e18(curve, cash, loans) * loans
    assert supply_rate_e18(curve, cash, loans) * (cash + loans) <= paid


@given(atoms, atoms)
def test_utilisation_stays_between_zero_and_one(cash: int, loans: int) -> None:
    assert 0 <= utilisation_up_e18(cash, loans) <= WAD
    assert (utilisation_up_e18(cash, loans) == 0) == (loans == 0)


def test_unsafe_curves_are_named_field_by_field() -> None:
    bad = KinkedCurve(base_annual=-0.1, slope_high_annual=float("nan"), kink_utilisation=1.0, reserve_factor=1.1)
    assert [p.field for p in bad.check()] == [
        "base_annual",
        "slope_high_annual",
        "kink_utilisation",
        "reserve_factor",
    ]
    steep = KinkedCurve(slope_low_annual=6.0, slope_high_annual=6.0)
    assert [p.field for p in steep.check()] == ["base + slopes"]
    assert CURVE.check() == []


def test_the_method_is_chosen_by_name() -> None:
    assert METHODS["kinked"]().check() == []
