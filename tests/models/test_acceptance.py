"""Criteria of a backtest: Holm's method on a published example, and what each criterion refuses."""

from typing import Any

import polars as pl
import pytest

from solvent.models.acceptance import CRITERIA, conditional, failures, holm, kupiec


def row(exceptions: int, observations: int = 1000, asset: str = "BTC", **more: Any) -> dict[str, Any]:
    known = {"independence_p": 0.8, "conditional_coverage_p": 0.8}
    return {"asset": asset, "side": "long", "level": 0.99, "observations": observations, "exceptions": exceptions,
            **known, **more}  # fmt: skip


def failed(daily: list[dict[str, Any]], held: list[dict[str, Any]], days: int = 1) -> list[tuple[str, str]]:
    horizons = {each["asset"]: days for each in daily}
    return [(each.criterion, each.asset) for each in failures(pl.DataFrame(daily), pl.DataFrame(held), horizons)]


def test_holm_on_four_hypotheses() -> None:
    # The worked example of the method in encyclopaedias: H4 and H1 are rejected, H3 stops it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]
    assert holm([0.04, 0.03, 0.02]) == [False, False, False], "a control: Fisher's 5 % each would refuse all three"
    assert holm([]) == []


def test_a_right_model_passes() -> None:
    assert failed([row(10)], [row(7)]) == []


def test_too_many_exceptions_are_refused() -> None:
    assert failed([row(24)], [row(7)]) == [("kupiec", "BTC"), ("together", "")]
    assert failed([row(10)], [row(24)]) == [("held", "BTC")]


def test_too_few_exceptions_are_not() -> None:
    assert kupiec(row(0), 1).p_value == 1.0
    assert conditional(row(0, conditional_coverage_p=1e-6)).p_value == 0.8
    assert failed([row(0, conditional_coverage_p=1e-6)], [row(0)]) == []


def test_exceptions_in_a_row_are_refused_however_few() -> None:
    assert failed([row(7, independence_p=1e-4)], [row(7)]) == [("conditional_coverage", "BTC")]


def test_neighbouring_losses_over_a_horizon_count_once() -> None:
    assert kupiec(row(50), 5).value.startswith("10 of 200")
    assert kupiec(row(20), 5).p_value > kupiec(row(20), 1).p_value


def test_one_of_many_is_chance_all_of_many_is_not() -> None:
    good = [row(10, asset=f"A{i}") for i in range(40)]
    assert failed([row(19, asset="B"), *good], [row(5, asset=each["asset"]) for each in good]) == []
    worse = [row(18, asset=f"A{i}") for i in range(40)]
    assert failed(worse, [row(5, asset=each["asset"]) for each in worse]) == [("together", "")]


@pytest.mark.parametrize("name", ["kupiec", "conditional_coverage", "held", "together", "data"])
def test_every_criterion_is_stated(name: str) -> None:
    assert len(CRITERIA[name]) > 30
