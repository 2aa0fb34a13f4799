"""Reference vectors that venues print: Deribit PME, Hyperliquid, OKX, Binance, Bybit, Paradex."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from solvent.conform.adapters import of_inputs, with_reals
from solvent.conform.core import Adapter
from solvent.conform.values import Inputs
from solvent.liquidation import hyperliquid_ladder
from solvent.margin.rules import binance, brackets, bybit, deribit_pme, hyperliquid, okx_pm, paradex


def pme_params(inputs: Inputs) -> deribit_pme.Params:
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


def pme_vectors(inputs: Inputs, params: deribit_pme.Params) -> deribit_pme.RiskVectors:
    vectors = [deribit_pme.future_vectors(size, params) for size in inputs["positions"].values()]
    return deribit_pme.aggregate(vectors, inputs.get("index_price", 1.0), params)


def pme_extended(inputs: Inputs) -> Any:
    return list(deribit_pme.future_vectors(inputs["position_base"], pme_params(inputs)).extended)


def pme_standard(inputs: Inputs) -> Any:
    return list(deribit_pme.future_vectors(inputs["position_base"], pme_params(inputs)).standard)


def pme_aggregate(inputs: Inputs) -> Any:
    vectors = pme_vectors(inputs, pme_params(inputs))
    return {"standard": list(vectors.standard), "extended": list(vectors.extended)}


def pme_margin(inputs: Inputs) -> Any:
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


def pme_net_delta(delta: float, mark_price: float, minutes: float, settlement_minutes: float) -> float:
    return deribit_pme.net_transaction_delta(delta, mark_price, minutes / settlement_minutes)


def lower_brackets(tiers: Sequence[Mapping[str, Any]]) -> tuple[brackets.Bracket, ...]:
    """Rows with `lower` and `mm_rate`."""
    return tuple(brackets.Bracket(float(tier["lower"]), float(tier["mm_rate"])) for tier in tiers)


def upper_brackets(tiers: Sequence[Sequence[float]]) -> tuple[brackets.Bracket, ...]:
    """Rows of (upper limit, rate)."""
    return brackets.from_uppers([float(row[0]) for row in tiers], [float(row[1]) for row in tiers])


def hyperliquid_maintenance(inputs: Inputs) -> Any:
    return hyperliquid.maintenance_margin(inputs["notional"], lower_brackets(inputs["tiers"]))


def hyperliquid_portfolio_ratio(inputs: Inputs) -> Any:
    token = hyperliquid.Borrowable(
        borrowed=inputs["borrowed"],
        price_usd=inputs["borrow_price"],
        balance=inputs["balance"],
        borrow_cap=inputs["borrow_cap"],
        supply_cap=inputs["supply_cap"],
        loan_to_value=inputs["ltv"],
    )
    params = hyperliquid.PortfolioParams(inputs.get("min_borrow_offset", 20.0), inputs.get("trigger", 0.95))
    result = hyperliquid.portfolio_margin_ratio(inputs["cross_mm"], token, params)
    return {**msgspec.structs.asdict(result), "liquidatable": result.is_liquidatable}


def hyperliquid_thresholds(value_usd: float, loan_to_value: float) -> Any:
    partial, full = hyperliquid.collateral_thresholds(value_usd, loan_to_value)
    return {"partial": partial, "full": full}


def okx_minimum_charge(inputs: Inputs) -> Any:
    adjusted = okx_pm.minimum_charge(inputs["mr7_raw"], upper_brackets(inputs["tiers"]))
    return {"mr7_adj": adjusted, "mmr": max(inputs["mr"], adjusted)}


def okx_depeg(inputs: Inputs) -> Any:
    return okx_pm.depeg_risk(inputs["hedge_usd"], upper_brackets(inputs["tiers"]))


def bybit_tiered_margin(inputs: Inputs) -> Any:
    return bybit.maintenance_margin(inputs["position_value"], upper_brackets(inputs["tiers"]))


def binance_deductions(inputs: Inputs) -> Any:
    return brackets.deductions(brackets.from_uppers(inputs["caps"], inputs["mm_rates"]))


def paradex_initial_check(*numbers: float) -> Any:
    check = paradex.initial_margin_check(*numbers)
    return {
        "imr": check.initial_requirement,
        "upnl": check.unrealised_profit,
        "account_value": check.account_value,
        "passes": check.passes,
    }


def paradex_deltas(inputs: Inputs) -> Any:
    return msgspec.structs.asdict(paradex.split_deltas(inputs["deltas"]))


def paradex_minimum_delta(net: float, hedged: float, spot: float, net_rate: float, hedged_rate: float) -> float:
    params = paradex.PortfolioParams(net_delta_rate=net_rate, hedged_delta_rate=hedged_rate)
    deltas = paradex.Deltas(net, abs(net) + 2.0 * hedged, hedged)
    return paradex.minimum_delta_requirement(deltas, spot, params)


EXAMPLES = "venues_published_examples"

CASES: dict[tuple[str, str], Adapter] = {
    ("deribit_pme", "inverse_future_extended_pnl"): of_inputs(pme_extended),
    ("deribit_pme", "inverse_future_scenario_pnl"): of_inputs(pme_standard),
    ("deribit_pme", "aggregate_with_pnl_offset"): of_inputs(pme_aggregate),
    ("deribit_pme", "pme_margin"): of_inputs(pme_margin),
    ("deribit_pme", "contingency"): with_reals(deribit_pme.option_contingency, "options", "pct"),
    ("deribit_pme", "iv_shock"): with_reals(deribit_pme.vol_shock, "days", "range", "power"),
    ("deribit_pme", "net_transaction_delta"): with_reals(
        pme_net_delta, "delta_now", "mark_price", "minutes_into_settlement", settlement_minutes=30.0
    ),
    (EXAMPLES, "hyperliquid_maintenance_margin"): of_inputs(hyperliquid_maintenance),
    (EXAMPLES, "hyperliquid_liq_price"): with_reals(
        hyperliquid.liquidation_price, "price", "side", "margin_available", "position_size", "l"
    ),
    (EXAMPLES, "hyperliquid_portfolio_margin_ratio"): of_inputs(hyperliquid_portfolio_ratio),
    (EXAMPLES, "hyperliquid_collateral_thresholds"): with_reals(hyperliquid_thresholds, "value", "ltv"),
    (EXAMPLES, "hyperliquid_borrowable"): with_reals(hyperliquid.borrowable_amount, "balance", "price", "ltv"),
    (EXAMPLES, "adl_rank_index"): with_reals(
        hyperliquid_ladder.deleverage_index, "mark", "entry", "notional", "account_value"
    ),
    (EXAMPLES, "okx_mr7_adjusted"): of_inputs(okx_minimum_charge),
    (EXAMPLES, "okx_mr9"): of_inputs(okx_depeg),
    (EXAMPLES, "initial_margin_inverse"): with_reals(
        bybit.inverse_initial_margin, "contracts_usd", "entry", "leverage"
    ),
    (EXAMPLES, "tiered_mm"): of_inputs(bybit_tiered_margin),
    (EXAMPLES, "tier_cumulative_deduction"): of_inputs(binance_deductions),
    (EXAMPLES, "cross_liquidation_price"): with_reals(
        binance.cross_liquidation_price, "equity", "size", "mark", "mm_rate", other_maintenance=0.0, deduction=0.0
    ),
    (EXAMPLES, "initial_margin_check"): with_reals(
        paradex_initial_check, "collateral", "size", "order_price", "mark", "imf"
    ),
    (EXAMPLES, "net_gross_hedged_delta"): of_inputs(paradex_deltas),
    (EXAMPLES, "min_delta_risk"): with_reals(paradex_minimum_delta, "net", "hedged", "spot", "net_pct", "hedged_pct"),
}
