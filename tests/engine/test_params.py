"""A policy's tables as structs: what is unknown, ill-typed or unsafe in any of them is told at once."""

from typing import Any

import msgspec
import pytest
from tests.engine.desk import INSTRUMENTS, policy_with

from solvent.domain.universe import Universe
from solvent.engine.files import policy_names, read_policy
from solvent.engine.params import EngineParams, Limit, LiquidationParams, PoolParams
from solvent.errors import SolventError
from solvent.pools.interest import KinkedCurve

UNIVERSE = Universe(INSTRUMENTS)


def problems(**tables: dict[str, Any]) -> dict[str, str]:
    """Field -> what would be accepted."""
    with pytest.raises(SolventError) as caught:
        EngineParams.of(policy_with(**tables), UNIVERSE)
    return {each.field: each.accepted for each in caught.value.problems}


def test_the_ready_made_policy_is_safe_and_says_what_it_is() -> None:
    params = EngineParams.of(read_policy("portfolio"), UNIVERSE)
    assert params.oracle.minimum_sources == 1
    assert params.liquidation.buffer == 0.15
    assert params.pools.curve_of("BTC") == params.pools.curve
    assert params.limits == {}
    assert "portfolio" in policy_names()


UNSAFE: list[tuple[str, str, Any]] = [
    ("liquidation", "sizing", "magic"),
    ("liquidation", "deleveraging", "lottery"),
    ("liquidation", "buffer", 0.0),
    ("liquidation", "buffer", 1.01),
    ("liquidation", "buffer", float("nan")),
    ("liquidation", "penalty_rate", -0.001),
    ("liquidation", "penalty_rate", 0.21),
    ("liquidation", "release", -0.1),
    ("liquidation", "dust_usd", -1.0),
    ("liquidation", "auction_below", 1.1),
    ("liquidation", "price_band", 0.0),
    ("liquidation", "price_band", 0.6),
    ("liquidation", "impact_factor", -1.0),
    ("liquidation", "volatility_daily", 3.0),
    ("liquidation", "impact_most", 0.6),
    ("liquidation", "volume_usd_daily_default", 0.0),
    ("liquidation", "steps_a_tick", 0),
    ("liquidation", "steps_a_tick", 101),
    ("oracle", "oracle.band", 0.0),
    ("oracle", "oracle.minimum_sources", 0),
    ("oracle", "oracle.halt_age_s", 601.0),
]


@pytest.mark.parametrize(("table", "field", "value"), UNSAFE)
def test_what_is_unsafe_is_refused_by_name(table: str, field: str, value: Any) -> None:
    found = problems(**{table: {field.rpartition(".")[2]: value}})
    assert field in found


@pytest.mark.parametrize(
    ("table", "value", "field"),
    [
        ("liquidation", {"split": {"liquidator": 0.5, "insurance": 0.5, "venue": 0.5}}, "split"),
        ("liquidation", {"auction": {"curve": {"method": "linear", "duration_s": 0}}}, "curve.duration_s"),
        ("liquidation", {"auction": {"start": 0.0}}, "start"),
        ("liquidation", {"insurance": {"cap_usd_daily": -1}}, "cap_usd_daily"),
        ("pools", {"curve": {"kink_utilisation": 1.0}}, "kink_utilisation"),
        ("pools", {"assets": {"BTC": {"reserve_factor": 2.0}}}, "reserve_factor"),
        ("limits", {"BTC": {"daily_usd": -5}}, "daily_usd"),
        ("limits", {"BTC": {"owner_units": -5}}, "owner_units"),
        ("limits", {"BTC": {"second_person_usd": -5}}, "second_person_usd"),
        ("limits", {"BTC": {"sources": []}}, "sources"),
        ("limits", {"BTC": {"sources": ["north", ""]}}, "sources"),
        ("limits", {"BTC": {"owner": 5}}, "owner"),
        ("liquidation", {"sizeing": "full"}, "sizeing"),
        ("liquidation", {"buffer": "much"}, "buffer"),
        ("margin", {"phi": 0.9}, "phi"),
        ("margin", {"offset_most": 0.9}, "offset_most"),
    ],
)
def test_tables_within_tables_are_checked_too(table: str, value: dict[str, Any], field: str) -> None:
    assert field in problems(**{table: value})


def test_everything_is_told_at_once() -> None:
    found = problems(
        oracle={"band": -1.0},
        margin={"margin_scale": -1.0},
        liquidation={"buffer": -1.0, "dust_usd": -1.0},
        pools={"curve": {"reserve_factor": -1.0}},
        limits={"BTC": {"daily_usd": -5}, "ETH": {"nothing": 1}},
    )
    assert {"oracle.band", "margin_scale", "buffer", "dust_usd", "reserve_factor", "daily_usd", "nothing"} <= set(found)


def test_a_margin_that_does_not_cover_penalty_and_closing_is_refused() -> None:
    assert any("haircut_maintenance" in field for field in problems(liquidation={"penalty_rate": 0.05}))


def test_a_rule_that_is_not_there_is_refused() -> None:
    accepted = problems(margin={"rule": "magic"})["margin.rule"]
    assert "portfolio" in accepted


def test_curves_by_asset() -> None:
    params = PoolParams(assets={"BTC": KinkedCurve(base_annual=0.1)})
    assert params.curve_of("BTC").base_annual == 0.1
    assert params.curve_of("ETH") == params.curve == KinkedCurve()


def test_defaults_are_safe() -> None:
    assert LiquidationParams().check() == []
    assert PoolParams().check() == []
    assert Limit().check("limits") == []
    assert msgspec.structs.asdict(Limit()) == dict.fromkeys(Limit.__struct_fields__)
