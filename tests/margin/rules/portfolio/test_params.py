"""Policies that cannot be safe are refused, all problems at once; what is safe is read."""

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.portfolio.worlds import UNIVERSE, WORLDS, market, policy

import solvent
from solvent.domain.instruments import Spot
from solvent.domain.policy import Policy
from solvent.domain.universe import Universe
from solvent.errors import SolventError
from solvent.margin.rules.portfolio import Portfolio
from solvent.margin.rules.portfolio.params import (
    ModelFile,
    PortfolioParams,
    check_params,
    check_universe,
    portfolio_params,
    scenario_set,
)

BUILT_IN = Path(solvent.__file__).parent / "policies" / "portfolio.toml"
NAN = math.nan


def problems(margin: dict[str, Any], penalty: Any = 0.005) -> list[str]:
    """Fields of everything that is wrong with a margin table."""
    tried = Policy("tried", "1", "2025-01-01", "tests", margin=margin, liquidation={"penalty_rate": penalty})
    try:
        portfolio_params(tried, UNIVERSE)
    except SolventError as error:
        return [each.field for each in error.problems]
    return []


UNSAFE: list[tuple[str, Any]] = [
    ("scan_range", {"BTC": 0.0}),
    ("scan_range", {"BTC": 1.2}),
    ("scan_range_default", -0.1),
    ("scan_range_stablecoin", 2.0),
    ("margin_scale", 0.0),
    ("maintenance_factor", 1.01),
    ("maintenance_factor", 0.0),
    ("short_option_maintenance", 0.006),
    ("short_option_initial", 1.1),
    ("offset_most", 0.81),
    ("offset_most", -0.1),
    ("correlation_haircut", -0.3),
    ("steps", [0.0, 1.0]),
    ("steps", [1.0, -1.0, NAN]),
    ("tails", [0.0]),
    ("tails", [NAN]),
    ("tail_damp", 1.5),
    ("vol_up", -0.5),
    ("vol_down", 1.5),
    ("vol_power_short", NAN),
    ("vol_power_long", -1.0),
    ("option_long_weight", 1.05),
    ("expected_shortfall_count", 0),
    ("expected_shortfall_count", 27),
    ("roll_least", -0.001),
    ("roll_annual", NAN),
    ("half_spread_least", 1.1),
    ("confidence_factor", -1.0),
    ("confidence_growth_hourly", NAN),
    ("soft_age_s", -5.0),
    ("depeg_factor", -1.0),
    ("depeg_threshold", 1.5),
    ("participation_edges", [0.3, 0.1, 1.0]),
    ("participation_rates", [0.5, 0.0, 1.0, 2.0]),
    ("participation_rates", [0.0, 0.5, 1.0]),
    ("history", {"BTC": [0.1, 0.2], "ETH": [0.1]}),
    ("history", {"BTC": [NAN]}),
    ("crashes", {"end": {"BTC": -1.5}}),
    ("groups", [{"assets": ["BTC", "ETH"], "correlation": 1.5}]),
    ("groups", [{"assets": ["BTC"], "correlation": 0.5}, {"assets": ["BTC"], "correlation": 0.5}]),
]


@pytest.mark.parametrize(("field", "value"), UNSAFE)
def test_unsafe_values_are_refused_by_name(field: str, value: Any) -> None:
    found = problems({field: value})
    assert [each.partition(".")[0] for each in found] == [field]
    assert problems({}) == []


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"haircut_initial": 1.1}, "haircut_initial"),
        ({"haircut_maintenance": -0.1}, "haircut_maintenance"),
        ({"haircut_initial": 0.1, "haircut_maintenance": 0.2}, "haircut_maintenance"),
        ({"borrow_initial": 0.1, "borrow_maintenance": 0.2}, "borrow_maintenance"),
        ({"borrow_initial": NAN, "borrow_maintenance": 0.0}, "borrow_initial"),
        ({"tier_edges_usd": [5.0, 1.0], "tier_add": [0.1, 0.2]}, "tier_edges_usd"),
        ({"tier_edges_usd": [5.0], "tier_add": [0.1, 0.2]}, "tier_edges_usd"),
        ({"tier_edges_usd": [1.0, 5.0], "tier_add": [0.2, 0.1]}, "tier_add"),
        ({"tier_edges_usd": [1.0], "tier_add": [NAN]}, "tier_add"),
        ({"cap_usd": -1.0}, "cap_usd"),
        ({"cap_usd": NAN}, "cap_usd"),
        ({"scanned": True, "haircut_initial": 0.01, "haircut_maintenance": 0.005}, "haircut_maintenance"),
        ({"scanned": True, "borrow_initial": 0.01, "borrow_maintenance": 0.0}, "borrow_maintenance"),
    ],
)
def test_unsafe_collateral_is_refused_by_name(terms: dict[str, Any], field: str) -> None:
    assert f"collateral.BTC.{field}" in problems({"collateral": {"BTC": terms}})


def test_maintenance_margin_must_pay_for_penalty_and_closing_a_scanned_balance() -> None:
    margin = {"collateral": {"BTC": {"scanned": True, "haircut_initial": 0.03, "haircut_maintenance": 0.02}}}
    assert problems(margin, penalty=0.0195) == []
    assert problems(margin, penalty=0.0196) == ["collateral.BTC.haircut_maintenance"]


@pytest.mark.parametrize("penalty", [-0.01, 0.5, NAN, "dear", None])
def test_a_penalty_that_is_none_is_refused(penalty: Any) -> None:
    assert problems({}, penalty) == ["penalty_rate"]


def test_a_scanned_balance_must_be_worth_something_in_its_worst_scenario() -> None:
    terms = {"scanned": True, "haircut_initial": 0.4, "haircut_maintenance": 0.4}
    assert problems({"collateral": {"BTC": terms}}) == []
    assert problems({"collateral": {"BTC": terms}, "margin_scale": 5.0}) == ["collateral.BTC.haircut_maintenance"]


def test_everything_wrong_is_told_at_once() -> None:
    found = problems(
        {"offset_most": 0.9, "maintenance_factor": 2.0, "unheard_of": 1, "roll_least": "much",
         "collateral": {"BTC": {"haircut_initial": 1.5}}}, penalty=-1.0,
    )  # fmt: skip
    assert set(found) == {
        "offset_most", "maintenance_factor", "unheard_of", "roll_least", "collateral.BTC.haircut_initial",
        "penalty_rate",
    }  # fmt: skip


def test_prices_finer_than_the_exact_form_are_refused() -> None:
    from decimal import Decimal

    fine = Universe([Spot("X", "X", decimals=24, tick=Decimal("1e-19"))])
    assert [each.field for each in check_universe(PortfolioParams(), fine)] == ["X.tick"]
    assert check_universe(PortfolioParams(), Universe([Spot("X", "X", decimals=24, tick=Decimal("1e-18"))])) == []
    assert Portfolio().check(PortfolioParams(), fine)


def test_the_built_in_policy_is_safe_and_is_the_text() -> None:
    read = Policy.from_toml(BUILT_IN.read_text())
    params = portfolio_params(read, UNIVERSE)
    assert check_params(params) == []
    assert (params.range_of("BTC"), params.range_of("SOL"), params.range_of("USDC")) == (0.16, 0.25, 0.02)
    assert params.range_of("USD") == 0
    assert len(WORLDS[0].prepared.shared.fixed.scenarios) == 7 * 3 + 5
    assert (params.tails, params.tail_damp) == ((2.0, -2.0, 3.0, -3.0, 5.0), 0.75)


def test_offset_by_the_formula() -> None:
    params = PortfolioParams()
    assert params.offset_of(0.8) == pytest.approx(1 - math.sqrt((1 - 0.5) / 2))
    assert params.offset_of(1.0) == pytest.approx(1 - math.sqrt((1 - 0.7) / 2))
    assert PortfolioParams(correlation_haircut=0.0).offset_of(1.0) == 0.8
    assert params.offset_of(-0.9) == params.offset_of(0.0)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_offset_rises_with_correlation(one: float, other: float) -> None:
    params = PortfolioParams()
    low, high = sorted((one, other))
    assert 0 <= params.offset_of(low) <= params.offset_of(high) <= 0.8


def test_prepared_tables_are_kept_while_universe_and_policy_stay() -> None:
    rule, given_policy = Portfolio(), policy()
    kept = rule.fixed(UNIVERSE, given_policy)
    assert rule.prepare(UNIVERSE, market(), given_policy).shared.fixed is kept
    assert rule.fixed(UNIVERSE, policy()) is not kept


GOOD_MODEL = {"file": "BTC.lightgbm.txt", "blake2b": "0a" * 32, "learnt_before": "2024-10-03T00:00:00Z"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("file", "../BTC.txt"),
        ("file", "/etc/passwd"),
        ("file", ".hidden"),
        ("blake2b", "0A" * 32),
        ("blake2b", "0a"),
        ("learnt_before", "2024-10-03T00:00:00"),
        ("learnt_before", "yesterday"),
    ],
)
def test_a_model_is_a_plain_file_with_a_hash_and_a_time(field: str, value: str) -> None:
    assert check_params(PortfolioParams(prediction={"BTC": ModelFile(**GOOD_MODEL)})) == []
    (found,) = check_params(PortfolioParams(prediction={"BTC": ModelFile(**{**GOOD_MODEL, field: value})}))
    assert (found.field, found.value) == (f"prediction.BTC.{field}", value)


def test_a_model_that_is_named_changes_no_margin() -> None:
    table = {"prediction": {"BTC": GOOD_MODEL}}
    named = msgspec.structs.replace(policy(), margin={**policy().margin, **table})
    assert scenario_set(portfolio_params(named, UNIVERSE), UNIVERSE).moves.tolist() == (
        scenario_set(portfolio_params(policy(), UNIVERSE), UNIVERSE).moves.tolist()
    )
    assert named.digest() != policy().digest()
