"""The answer's own words: health and liquidatable at their edges, frames, the exact verdict."""

import numpy as np
import polars as pl
import pytest

from solvent.margin.statement import COLUMNS, ExactStatement, Statement, ratio

INF = np.inf


def statement(equity: list[float], maintenance: list[float], **columns: object) -> Statement:
    size = len(equity)
    given = {
        "account": np.arange(size), "equity": np.array(equity), "initial_margin": np.array(maintenance) * 2,
        "maintenance_margin": np.array(maintenance), "collateral_value": np.full(size, 5.0),
        "liabilities": np.zeros(size), "leverage": np.ones(size), "worst_scenario": np.full(size, -1),
        "certain": np.ones(size, np.bool_), **columns,
    }  # fmt: skip
    return Statement(**given)  # type: ignore[arg-type]


def test_health_without_margin_is_infinite_by_the_sign_of_equity() -> None:
    found = statement([10.0, 0.0, -1.0, 0.0, 5.0], [5.0, 0.0, 0.0, 4.0, 10.0])
    assert found.health.tolist() == [2.0, INF, -INF, 0.0, 0.5]
    assert ratio(np.array([3.0]), np.array([2.0])).tolist() == [1.5]


@pytest.mark.parametrize(("strict", "at_margin"), [(True, False), (False, True)])
def test_liquidatable_is_the_rules_own_inequality(strict: bool, at_margin: bool) -> None:
    found = statement([4.0, 5.0, 6.0, 0.0], [5.0, 5.0, 5.0, 0.0], strict=strict)
    assert found.liquidatable.tolist() == [True, at_margin, False, False]


def test_exact_verdicts_at_the_threshold() -> None:
    at, below = ExactStatement(5, 9, 5), ExactStatement(4, 4, 5)
    assert (at.liquidatable, at.below_initial) == (False, True)
    assert (below.liquidatable, below.below_initial) == (True, False)
    assert at._replace(strict=False).liquidatable
    assert not ExactStatement(0, 0, 0, strict=False).liquidatable


def test_the_frame_has_the_columns_in_order_with_names() -> None:
    scenarios = ("down", "up")
    found = statement([10.0, 1.0], [5.0, 2.0], worst_scenario=np.array([1, -1]), names=("a", "b"), scenarios=scenarios)
    frame = found.to_frame()
    assert tuple(frame.columns) == COLUMNS
    assert frame["account"].to_list() == ["a", "b"]
    assert frame["worst_scenario"].to_list() == ["up", ""]
    assert frame["venue_ratio"].to_list() == frame["health"].to_list() == [2.0, 0.5]
    assert frame["collateral_ratio"].to_list() == [INF, INF]
    assert frame.schema["worst_scenario"] == pl.String
    assert len(found) == 2


def test_without_names_accounts_are_indices_and_a_venues_ratio_stands_for_itself() -> None:
    frame = statement([10.0], [5.0], venue_ratio=np.array([0.25]), ratio_name="uniMMR").to_frame()
    assert frame["account"].to_list() == [0]
    assert frame["venue_ratio"].to_list() == [0.25]


def test_an_empty_statement_has_its_columns() -> None:
    frame = statement([], []).to_frame()
    assert frame.height == 0
    assert tuple(frame.columns) == COLUMNS
    assert frame.schema["worst_scenario"] == pl.String
