"""ISDA credit support annex: calls, returns, disputes, schedule margin."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conform.vectors import faults, report_of

from solvent.margin.rules.isda_csa import (
    Posted,
    credit_support_amount,
    gross_initial_margin,
    item_value,
    margin_call,
    net_initial_margin,
    schedule_percent,
    transfer,
)

money = st.integers(0, 10**9).map(Fraction)


def test_reference_vectors(shared: Path) -> None:
    report = report_of(shared, "isda_cdm_margin")
    assert len(report.rows) >= 8
    assert faults(report) == []


def test_the_three_haircuts_are_each_deducted_once() -> None:
    item = Posted(Fraction(100), Fraction(1, 20), Fraction(2, 25), Fraction(1, 50), Fraction(3))
    assert item_value(item) == 100 - 5 - 8 - 2 - 3


@given(money, money, money, money, st.integers(0, 10**6).map(Fraction))
def test_a_call_covers_the_amount_and_at_most_one_side_moves(
    margin: Fraction, threshold: Fraction, held: Fraction, minimum: Fraction, multiple: Fraction
) -> None:
    call = margin_call(margin, threshold, [Posted(held)], minimum, multiple)
    assert call.delivery == 0 or call.return_ == 0
    after = held + call.delivery - call.return_
    assert after >= call.credit_support_amount or call.delivery == 0
    if call.return_:
        assert after >= call.credit_support_amount
    for moved in (call.delivery, call.return_):
        assert multiple == 0 or moved % multiple == 0
        assert moved == 0 or moved + multiple >= minimum


@given(money, money, money)
def test_an_independent_amount_is_a_floor(margin: Fraction, threshold: Fraction, independent: Fraction) -> None:
    without = credit_support_amount(margin, threshold)
    assert credit_support_amount(margin, threshold, independent) == max(without, independent)
    assert without == max(margin - threshold, 0)


def test_what_is_disputed_stays_behind() -> None:
    """The common domain model's own case: 15 called, 5 held, 3.5 disputed."""
    call = margin_call(
        Fraction(15), Fraction(0), [Posted(Fraction(5))], Fraction(0), Fraction(1, 2), None, Fraction(7, 2)
    )
    assert call.delivery == Fraction(13, 2)


def test_the_minimum_itself_is_transferred() -> None:
    assert transfer(Fraction(100), Fraction(0), Fraction(100), Fraction(0), up=True) == 100
    assert transfer(Fraction(99), Fraction(0), Fraction(100), Fraction(0), up=True) == 0


@pytest.mark.parametrize(
    ("asset_class", "years", "percent"),
    [
        ("InterestRates", 2, 1),
        ("InterestRates", 5, 2),
        ("InterestRates", 6, 4),
        ("Credit", 5, 5),
        ("ForeignExchange", 9, 6),
        ("Equity", 1, 15),
        ("Other", 1, 15),
    ],
)
def test_schedule_rates(asset_class: str, years: int, percent: int) -> None:
    assert schedule_percent(asset_class, Fraction(years)) == percent
    assert gross_initial_margin(Fraction(200), asset_class, Fraction(years)) == 2 * percent


@given(st.lists(st.tuples(money, st.integers(-(10**6), 10**6).map(Fraction)), min_size=1))
def test_net_margin_is_between_two_fifths_and_all_of_gross(rows: list[tuple[Fraction, Fraction]]) -> None:
    gross, values = [row[0] for row in rows], [row[1] for row in rows]
    assert sum(gross) * Fraction(2, 5) <= net_initial_margin(gross, values) <= sum(gross)
    assert net_initial_margin(gross, values, floored=False) <= net_initial_margin(gross, values)
