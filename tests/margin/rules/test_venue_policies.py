"""Ready-made policies of the venues, and everything unsafe in one: refused at once, each by its name."""

import datetime
from typing import Any

import numpy as np
import pytest
from tests.margin.rules.venue_worlds import MARKET, RULES, UNIVERSE

from solvent.domain.book import Book
from solvent.domain.instruments import Perpetual, Spot
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.engine.files import read_policy
from solvent.errors import SolventError
from solvent.margin.rule import rule

UNSAFE: list[tuple[str, str, Any, str]] = [
    ("dydx-v4", "markets.BTC.tier.im_ppm", 1_000_001, "im_ppm"),
    ("dydx-v4", "markets.BTC.tier.maintenance_fraction_ppm", 1_200_000, "maintenance margin must not be above"),
    ("dydx-v4", "markets.*.tier", {"open_interest_lower_cap": 60, "open_interest_upper_cap": 50}, "upper_cap"),
    ("hyperliquid", "markets.BTC.leverages_max", [20.0, 40.0], "never fall"),
    ("hyperliquid", "markets.BTC.leverages_max", [0.5, 0.4], "leverage of 1 or more"),
    ("hyperliquid-pm", "collateral.BTC.loan_to_value", 1.0, "loan_to_value"),
    ("hyperliquid-pm", "trigger", 1.5, "trigger"),
    ("binance", "collateral_rates.BTC", 1.2, "collateral_rates.BTC"),
    ("binance", "block", 1.0, "level of liquidation"),
    ("binance", "markets.BTC.rates", [0.5, 0.1], "markets.BTC"),
    ("bybit", "linear.BTC.leverage", 0.5, "leverage"),
    ("bybit", "inverse.ETH.rates", [0.01, 0.005, 0.02, 0.03, 0.04, 0.05], "never fall"),
    ("synthetix-v3", "markets.BTC.skew_scale", 0.0, "skew_scale"),
    ("synthetix-v3", "markets.BTC.maintenance_scalar", 1.5, "maintenance_scalar"),
    ("synthetix-v3", "collateral_discounts.BTC", -0.1, "collateral_discounts.BTC"),
    ("vega", "markets.BTC.initial_scale", "0.9", "search <= initial"),
    ("vega", "markets.BTC.risk_factor_long", "-0.1", "risk_factor_long"),
    ("drift-v2", "tokens.BTC.maintenance_asset_weight_1e4", 7_000, "initial <= maintenance"),
    ("drift-v2", "perpetuals.BTC.maintenance_ratio_1e4", 600, "maintenance <= initial"),
    ("mango-v4", "tokens.BTC.maint_asset_weight", 1.1, "maint <= 1"),
    ("mango-v4", "perpetuals.ETH.maint_base_liability_weight", 0.9, "1 <= maint"),
    ("paradex", "markets.*.maintenance_fraction", 1.5, "maintenance_fraction"),
    ("paradex", "fee_provision_rate", float("nan"), "fee_provision_rate"),
    ("okx-pm", "initial_factor", 0.9, "maintenance margin must not be above"),
    ("okx-pm", "units.BTC.price_moves", [-1.5, 0.1], "moves above -1"),
    ("okx-pm", "depeg", {"uppers": [5.0, 1.0], "rates": [0.1, 0.2, 0.3]}, "rising"),
    ("span16", "initial_factor", 0.5, "initial_factor"),
    ("span16", "commodities.BTC.price_scan", 1.0, "price_scan"),
    ("span16", "collateral_rates.BTC", 2.0, "collateral_rates.BTC"),
    ("deribit-pme", "pairs.BTC.mm_factor", 1.1, "maintenance margin must not be above"),
    ("deribit-pme", "pairs.BTC.price_range", 0.0, "price_range"),
    ("deribit-pme", "collateral_haircuts.BTC", 1.1, "collateral_haircuts.BTC"),
    ("derive-srm", "markets.ETH.perpetual_mm", 0.2, "perpetual_im"),
    ("derive-srm", "markets.ETH.base_margin_factor", 1.1, "base_margin_factor"),
    ("derive-pmrm", "managers.BTC.im_factor", 0.5, "im_factor"),
    ("derive-pmrm2", "managers.BTC.mm_factor", 1.5, "im_factor"),
    ("derive-pmrm2", "managers.BTC.mm_haircut", 0.995, "at most 1"),
]


def changed(name: str, path: str, value: Any) -> Policy:
    """The ready-made policy with one value replaced."""
    policy = read_policy(name)

    def put(table: dict[str, Any], keys: list[str]) -> dict[str, Any]:
        head, *rest = keys
        return {**table, head: put(table.get(head, {}), rest) if rest else value}

    margin = put(policy.margin, path.split("."))
    return Policy(policy.name, policy.version, policy.as_of, policy.source, margin)


@pytest.mark.parametrize(("name", "path", "value", "said"), UNSAFE, ids=[f"{x[0]}.{x[1]}" for x in UNSAFE])
def test_unsafe_values_are_refused_by_name(name: str, path: str, value: Any, said: str) -> None:
    with pytest.raises(SolventError) as error:
        rule(name).prepare(UNIVERSE, MARKET, changed(name, path, value))
    assert said in str(error.value)


def test_every_venue_has_unsafe_values_here() -> None:
    assert {row[0] for row in UNSAFE} == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_misspelt_keys_deep_in_a_table_are_refused(name: str) -> None:
    policy = read_policy(name)
    tables = ("markets", "linear", "tokens", "units", "commodities", "pairs", "managers")
    table = next(key for key in tables if key in policy.margin)
    entry = next(iter(policy.margin[table]))
    with pytest.raises(SolventError, match="hair_cut"):
        rule(name).prepare(UNIVERSE, MARKET, changed(name, f"{table}.{entry}.hair_cut", 0.1))


@pytest.mark.parametrize("name", RULES)
def test_ready_made_policies_say_where_they_come_from_and_what_is_left_out(name: str) -> None:
    policy = read_policy(name)
    assert policy.name == policy.rule == name
    assert datetime.date.fromisoformat(policy.as_of) <= datetime.date(2026, 12, 31)
    assert policy.source
    assert len(policy.notes) > 100
    module = __import__(rule(name).__module__, fromlist=["UNPUBLISHED"])
    if getattr(module, "UNPUBLISHED", ()) and name != "hyperliquid":
        assert "npublished" in policy.notes


@pytest.mark.parametrize(("name", "table"), [("derive-pmrm2", "managers"), ("derive-pmrm", "managers")])
def test_what_a_policy_says_nothing_of_is_refused_with_what_it_would_take(name: str, table: str) -> None:
    prepared = rule(name).prepare(UNIVERSE, MARKET, read_policy(name))
    book = Book(UNIVERSE, ["trader"])
    book.add(0, UNIVERSE.index("SOL/USDC:USDC"), 3)
    with pytest.raises(SolventError, match=f"SOL/USDC:USDC.*policy's {table}"):
        prepared.assess(book)


def test_an_asset_that_is_no_collateral_counts_nothing() -> None:
    universe = UNIVERSE.listed(Spot("XYZ", "XYZ"), Perpetual("XYZ/USDC:USDC", "XYZ", "USDC"))
    ticks = np.append(MARKET.ticks, [1_000_000, 100])
    market = Market(universe, MARKET.ts_ns, ticks, vol_annual=np.append(MARKET.vol_annual, [np.nan, np.nan]))
    for name in ("binance", "bybit", "okx-pm", "synthetix-v3", "hyperliquid-pm", "span16", "drift-v2", "mango-v4"):
        prepared = rule(name).prepare(universe, market, read_policy(name))
        book = Book(universe, ["holder"])
        book.add(0, 0, 10**9)
        book.add(0, universe.index("BTC/USDC:USDC"), 100)
        before = prepared.exact(book, 0)
        book.add(0, universe.index("XYZ"), 10**12)
        after = prepared.exact(book, 0)
        assert after.equity > before.equity
        assert after.equity - after.maintenance_margin == pytest.approx(
            before.equity - before.maintenance_margin, abs=2
        )


def test_parameters_decide() -> None:
    """The control: a book that is sound under one version of a policy is not under another."""
    book = Book(UNIVERSE, ["trader"])
    book.add(0, 0, 200 * 10**6)
    book.add(0, UNIVERSE.index("BTC/USDC:USDC"), 1_000, -3_603 * 10**6)
    now = rule("dydx-v4").prepare(UNIVERSE, MARKET, read_policy("dydx-v4"))
    then = rule("dydx-v4").prepare(UNIVERSE, MARKET, changed("dydx-v4", "markets.BTC.tier.im_ppm", 120_000))
    assert not now.assess(book).liquidatable[0]
    assert then.assess(book).liquidatable[0]
    assert then.exact(book, 0).liquidatable
