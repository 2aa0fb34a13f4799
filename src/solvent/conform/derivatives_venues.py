"""Reference vectors that venues print: Deribit PME, Hyperliquid, OKX, Binance, Bybit, Paradex."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from solvent.conform.core import Adapter
from solvent.liquidation import hyperliquid_ladder
from solvent.margin.rules import binance, brackets, bybit, deribit_pme, hyperliquid, okx_pm, paradex

Row = Mapping[str, Any]


def pme_params(inputs: Row) -> deribit_pme.Params:
    """Parameters that the inputs state; the others keep the rule's defaults, amounts of USD default to zero."""
    names = {
        "price_range": "price_range",
        "buckets_each_side": "buckets_each_side",
        "vol_scenarios": "vol_scenarios",
        "pnl_offset": "pnl_offset",
        "min_annualised_move": "min_annualised_move",
        "annualised_move_risk": "annualised_move_risk",
        "mm_factor": "mm_factor",
        "extended_table_factor": "extended_factor",
    }
    stated = {ours: inputs[theirs] for theirs, ours in names.items() if theirs in inputs}
    if "extended_moves" in inputs:
        stated["extended_moves"] = tuple(map(float, inputs["extended_moves"]))
    return deribit_pme.Params(
        extended_dampener_usd=inputs.get("extended_dampener_usd", 0.0),
        max_offsetable_usd=inputs.get("max_offsetable_pnl", np.inf),
        **stated,
    )


def pme_vectors(inputs: Row, params: deribit_pme.Params) -> deribit_pme.RiskVectors:
    vectors = [deribit_pme.future_vectors(size, params) for size in inputs["positions"].values()]
    return deribit_pme.aggregate(vectors, inputs.get("index_price", 1.0), params)


def pme_extended(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return list(deribit_pme.future_vectors(inputs["position_base"], pme_params(inputs)).extended)


def pme_standard(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return list(deribit_pme.future_vectors(inputs["position_base"], pme_params(inputs)).standard)


def pme_aggregate(vector: Row, tables: Row) -> Any:
    vectors = pme_vectors(vector["inputs"], pme_params(vector["inputs"]))
    return {"standard": list(vectors.standard), "extended": list(vectors.extended)}


def pme_margin(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    params = pme_params(inputs)
    result = deribit_pme.margin(
        pme_vectors(inputs, params),
        deribit_pme.roll_shock(inputs["positions"], inputs.get("days_to_expiry", {}), params),
        params,
        delta_shock=inputs.get("delta_shock", 0.0),
        correlation_contingency=inputs.get("correlation_contingency", 0.0),
        spot_margin=inputs.get("spot_margin", 0.0),
        mmp_margin=inputs.get("mmp_margin", 0.0),
        open_orders_margin=inputs.get("open_orders_margin", 0.0),
    )
    return msgspec.structs.asdict(result)


def pme_contingency(vector: Row, tables: Row) -> Any:
    return deribit_pme.option_contingency(vector["inputs"]["options"], vector["inputs"]["pct"])


def pme_iv_shock(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return deribit_pme.vol_shock(inputs["days"], inputs["range"], inputs["power"])


def pme_net_delta(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    settled = inputs["minutes_into_settlement"] / inputs.get("settlement_minutes", 30)
    return deribit_pme.net_transaction_delta(inputs["delta_now"], inputs["mark_price"], settled)


def hyperliquid_brackets(tiers: Sequence[Row]) -> tuple[brackets.Bracket, ...]:
    return tuple(brackets.Bracket(float(tier["lower"]), tier["mm_rate"]) for tier in tiers)


def upper_brackets(tiers: Sequence[Sequence[float]]) -> tuple[brackets.Bracket, ...]:
    """Rows of (upper limit, rate)."""
    return brackets.from_uppers([float(row[0]) for row in tiers], [float(row[1]) for row in tiers])


def hyperliquid_maintenance(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return hyperliquid.maintenance_margin(inputs["notional"], hyperliquid_brackets(inputs["tiers"]))


def hyperliquid_liquidation_price(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return hyperliquid.liquidation_price(
        inputs["price"], inputs["side"], inputs["margin_available"], inputs["position_size"], inputs["l"]
    )


def hyperliquid_portfolio_ratio(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    token = hyperliquid.Borrowable(
        borrowed=inputs["borrowed"],
        price_usd=inputs["borrow_price"],
        balance=inputs["balance"],
        borrow_cap=inputs["borrow_cap"],
        supply_cap=inputs["supply_cap"],
        loan_to_value=inputs["ltv"],
    )
    params = hyperliquid.PortfolioParams(
        min_borrow_offset_usd=inputs["min_borrow_offset"], trigger=inputs.get("trigger", 0.95)
    )
    result = hyperliquid.portfolio_margin_ratio(inputs["cross_mm"], token, params)
    return {
        "maintenance_requirement": result.maintenance_requirement,
        "liquidation_value": result.liquidation_value,
        "ratio": result.ratio,
        "liquidatable": result.is_liquidatable,
    }


def hyperliquid_thresholds(vector: Row, tables: Row) -> Any:
    partial, full = hyperliquid.collateral_thresholds(vector["inputs"]["value"], vector["inputs"]["ltv"])
    return {"partial": partial, "full": full}


def hyperliquid_borrowable(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return hyperliquid.borrowable_amount(inputs["balance"], inputs["price"], inputs["ltv"])


def adl_rank_index(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return hyperliquid_ladder.deleverage_index(
        inputs["mark"], inputs["entry"], inputs["notional"], inputs["account_value"]
    )


def okx_minimum_charge(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    adjusted = okx_pm.minimum_charge(inputs["mr7_raw"], upper_brackets(inputs["tiers"]))
    return {"mr7_adj": adjusted, "mmr": max(inputs["mr"], adjusted)}


def okx_depeg(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return okx_pm.depeg_risk(inputs["hedge_usd"], upper_brackets(inputs["tiers"]))


def bybit_inverse_margin(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return msgspec.structs.asdict(
        bybit.inverse_initial_margin(inputs["contracts_usd"], inputs["entry"], inputs["leverage"])
    )


def bybit_tiered_margin(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return bybit.maintenance_margin(inputs["position_value"], upper_brackets(inputs["tiers"]))


def binance_deductions(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return brackets.deductions(brackets.from_uppers(inputs["caps"], inputs["mm_rates"]))


def cross_liquidation_price(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return binance.cross_liquidation_price(
        inputs["equity"],
        inputs["size"],
        inputs["mark"],
        inputs["mm_rate"],
        inputs.get("other_maintenance", 0.0),
        inputs.get("deduction", 0.0),
    )


def paradex_initial_check(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    check = paradex.initial_margin_check(
        inputs["collateral"], inputs["size"], inputs["order_price"], inputs["mark"], inputs["imf"]
    )
    return {
        "imr": check.initial_requirement,
        "upnl": check.unrealised_profit,
        "account_value": check.account_value,
        "passes": check.passes,
    }


def paradex_deltas(vector: Row, tables: Row) -> Any:
    return msgspec.structs.asdict(paradex.split_deltas(vector["inputs"]["deltas"]))


def paradex_minimum_delta(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    deltas = paradex.Deltas(inputs["net"], abs(inputs["net"]) + 2 * inputs["hedged"], inputs["hedged"])
    params = paradex.PortfolioParams(net_delta_rate=inputs["net_pct"], hedged_delta_rate=inputs["hedged_pct"])
    return paradex.minimum_delta_requirement(deltas, inputs["spot"], params)


CASES: dict[tuple[str, str], Adapter] = {
    ("deribit_pme", "inverse_future_extended_pnl"): pme_extended,
    ("deribit_pme", "inverse_future_scenario_pnl"): pme_standard,
    ("deribit_pme", "aggregate_with_pnl_offset"): pme_aggregate,
    ("deribit_pme", "pme_margin"): pme_margin,
    ("deribit_pme", "contingency"): pme_contingency,
    ("deribit_pme", "iv_shock"): pme_iv_shock,
    ("deribit_pme", "net_transaction_delta"): pme_net_delta,
    ("venues_published_examples", "hyperliquid_maintenance_margin"): hyperliquid_maintenance,
    ("venues_published_examples", "hyperliquid_liq_price"): hyperliquid_liquidation_price,
    ("venues_published_examples", "hyperliquid_portfolio_margin_ratio"): hyperliquid_portfolio_ratio,
    ("venues_published_examples", "hyperliquid_collateral_thresholds"): hyperliquid_thresholds,
    ("venues_published_examples", "hyperliquid_borrowable"): hyperliquid_borrowable,
    ("venues_published_examples", "adl_rank_index"): adl_rank_index,
    ("venues_published_examples", "okx_mr7_adjusted"): okx_minimum_charge,
    ("venues_published_examples", "okx_mr9"): okx_depeg,
    ("venues_published_examples", "initial_margin_inverse"): bybit_inverse_margin,
    ("venues_published_examples", "tiered_mm"): bybit_tiered_margin,
    ("venues_published_examples", "tier_cumulative_deduction"): binance_deductions,
    ("venues_published_examples", "cross_liquidation_price"): cross_liquidation_price,
    ("venues_published_examples", "initial_margin_check"): paradex_initial_check,
    ("venues_published_examples", "net_gross_hedged_delta"): paradex_deltas,
    ("venues_published_examples", "min_delta_risk"): paradex_minimum_delta,
}
