"""Reference vectors of derivatives protocols on other chains: dYdX v4, Drift v2, Mango v4, Synthetix v3, Vega."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import msgspec

from solvent.conform.core import Adapter
from solvent.conform.values import fraction, scaled
from solvent.liquidation import drift_sizing, dydx_fillable
from solvent.margin.rules import drift_v2, dydx_v4, mango_v4, synthetix_v3, vega

Row = Mapping[str, Any]


def dydx_market(row: Row) -> dydx_v4.Market:
    return dydx_v4.Market(
        atomic_resolution=row["atomic_resolution"],
        price=int(row["price"]),
        price_exponent=row["price_exponent"],
        im_ppm=row["im_ppm"],
        maintenance_fraction_ppm=row["maintenance_fraction_ppm"],
        open_interest=int(row.get("open_interest_base_quantums", 0)),
        open_interest_lower_cap=int(row.get("oi_lower_cap", 0)),
        open_interest_upper_cap=int(row.get("oi_upper_cap", 0)),
    )


def dydx_account(inputs: Row, tables: Row) -> dydx_fillable.Account:
    markets = {name: dydx_market(row) for name, row in tables["markets"].items()}
    positions = {name: int(size) for name, size in inputs["positions"].items()}
    return dydx_fillable.Account(int(inputs["quote_quantums"]), positions, markets)


def dydx_bankruptcy_price(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    account = dydx_account(inputs, tables)
    return dydx_fillable.bankruptcy_price_quote(account, inputs["perp"], int(inputs["delta"]))


def dydx_fillable_price(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    params = dydx_fillable.LiquidationParams(
        bankruptcy_adjustment_ppm=inputs["bankruptcy_adjustment_ppm"],
        spread_to_maintenance_ratio_ppm=inputs["spread_to_mm_ratio_ppm"],
    )
    price = dydx_fillable.fillable_price(dydx_account(inputs, tables), inputs["perp"], params)
    return {"num": price.numerator, "den": price.denominator, "unit": "quote quantums per base quantum"}


def dydx_insurance_delta(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    size = int(inputs["fill_base_quantums"])
    return dydx_fillable.insurance_fund_delta(
        dydx_account(inputs, tables),
        inputs["perp"],
        inputs["is_buy"],
        size,
        dydx_fillable.fill_quote(int(inputs["subticks"]), size, inputs["quantum_conversion_exponent"]),
        inputs["max_liquidation_fee_ppm"],
    )


def dydx_initial_margin(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return dydx_v4.initial_margin_quote(
        int(inputs["notional_quote_quantums"]),
        inputs["im_ppm"],
        int(inputs.get("open_interest_notional", 0)),
        int(inputs.get("oi_lower_cap", 0)),
        int(inputs.get("oi_upper_cap", 0)),
        inputs.get("custom_imf_ppm", 0),
    )


def dydx_margin_requirements(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    market = dydx_market({**inputs, "atomic_resolution": inputs["base_atomic_resolution"]})
    size = int(inputs["base_quantums"])
    initial, maintenance = dydx_v4.margin_requirements(size, market, inputs.get("custom_imf_ppm", 0))
    return {"imr": initial, "mmr": maintenance}


def unbounded(amount: int | None) -> int | str:
    """What the files write where nothing bounds an amount."""
    return "MAX" if amount is None else amount


def drift_asset_weight(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return drift_v2.size_discount_asset_weight(inputs["size_1e9"], inputs["imf_factor_1e6"], inputs["weight_1e4"])


def drift_liability_weight(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return drift_v2.size_premium_liability_weight(inputs["size_1e9"], inputs["imf_factor_1e6"], inputs["weight_1e4"])


def drift_scaled_weight(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    value = fraction(inputs["deposits"]) * fraction(inputs["price_usd"])
    return drift_v2.scaled_initial_asset_weight(
        inputs["initial_weight_1e4"],
        scaled(inputs["scale_start_usd"], drift_v2.QUOTE),
        int(value * drift_v2.QUOTE // 1),
    )


def drift_base_to_cover(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return unbounded(
        drift_sizing.base_to_cover_margin_shortage(
            inputs["shortage_1e6"],
            inputs["margin_ratio_1e4"],
            inputs["liq_fee_1e6"],
            inputs["if_fee_1e6"],
            inputs["oracle_1e6"],
            inputs.get("quote_oracle_1e6", drift_v2.PRICE),
        )
    )


def drift_liability_transfer(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return unbounded(
        drift_sizing.liability_transfer_to_cover(
            inputs["shortage_1e6"],
            inputs["asset_weight_1e4"],
            inputs["asset_mult_1e6"],
            inputs["liab_weight_1e4"],
            inputs["liab_mult_1e6"],
            inputs["liab_decimals"],
            inputs["liab_price_1e6"],
            inputs["if_fee_1e6"],
        )
    )


def drift_implied_liability(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return drift_sizing.liability_implied_by_asset_up(
        inputs["asset"], inputs["am"], inputs["ad"], inputs["ap"], inputs["lm"], inputs["ld"], inputs["lp"]
    )


def drift_asset_transfer(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return drift_sizing.asset_transfer_for_liability(
        inputs["asset_amount"],
        inputs["asset_mult_1e6"],
        inputs["asset_decimals"],
        inputs["asset_price_1e6"],
        inputs["liab_amount"],
        inputs["liab_mult_1e6"],
        inputs["liab_decimals"],
        inputs["liab_price_1e6"],
    )


def drift_perpetual_fee(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return drift_sizing.perpetual_insurance_fee(
        inputs["shortage_1e6"],
        inputs["base_1e9"],
        inputs["margin_ratio_1e4"],
        inputs["liq_fee_1e6"],
        inputs["oracle_1e6"],
        inputs["quote_1e6"],
        inputs["max_if_fee_1e6"],
    )


def drift_spot_fee(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return drift_sizing.spot_insurance_fee(
        inputs["shortage_1e6"],
        inputs["token_amount"],
        inputs["asset_weight_1e4"],
        inputs["asset_mult_1e6"],
        inputs["liab_weight_1e4"],
        inputs["liab_mult_1e6"],
        inputs["decimals"],
        inputs["price_1e6"],
        inputs["max_if_fee_1e6"],
    )


def drift_fee_ramp(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return drift_sizing.liquidation_fee_by_age(
        inputs["base_1e6"], inputs["max_1e6"], inputs["last_active_slot"], inputs["slot"]
    )


def drift_deposit_delta(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return drift_sizing.deposit_index_delta_to_absorb_borrow(
        scaled(inputs["loss_usd"], drift_v2.QUOTE),
        scaled(inputs["deposits_usd"], drift_v2.QUOTE),
        inputs["index_1e10"],
    )


def drift_funding_delta(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    return drift_sizing.funding_delta_to_absorb_bankruptcy(inputs["loss_1e6"], inputs["long_1e9"], inputs["short_1e9"])


def drift_account(vector: Row, tables: Row) -> Any:
    """One quote balance and one SOL balance (nine decimals) with its open orders."""
    inputs = vector["inputs"]
    decimals = 9
    spot = drift_v2.SpotPosition(
        amount=scaled(inputs.get("sol", 0), 10**decimals),
        decimals=decimals,
        price_1e6=scaled(inputs["sol_price"], drift_v2.PRICE),
        asset_weight_1e4=scaled(inputs["asset_weight"], drift_v2.WEIGHT),
        liability_weight_1e4=scaled(inputs["liab_weight"], drift_v2.WEIGHT),
        open_bids=scaled(inputs.get("open_bids", 0), 10**decimals),
        open_asks=scaled(inputs.get("open_asks", 0), 10**decimals),
        open_orders=inputs.get("open_orders", 0),
        imf_1e6=inputs.get("imf_factor_1e6", 0),
    )
    margin = drift_v2.account_margin(scaled(inputs["usdc_deposit"], drift_v2.QUOTE), [spot])
    return {
        "margin_requirement_1e6": margin.margin_requirement,
        "total_collateral_1e6": margin.total_collateral,
    }


def mango_token(name: str, params: Row, bank: Row) -> mango_v4.Token:
    def start(key: str) -> float | None:
        return bank.get(key) or None  # zero is how the files write "not set"

    return mango_v4.Token(
        prices=mango_v4.Prices(params["prices"][name], params.get("stable_prices", {}).get(name)),
        init_asset_weight=params["init_asset_weight"][name],
        init_liability_weight=params["init_liab_weight"][name],
        deposits=bank.get("deposits", 0),
        borrows=bank.get("borrows", 0),
        potential_order_tokens=bank.get("potential_serum", 0),
        deposit_scale_start=start("dstart"),
        borrow_scale_start=start("bstart"),
    )


def mango_banks(banks: Any) -> dict[str, Row]:
    """Bank totals by token: a list in token order, or a table by `t1` or `1`; a row may be a list too."""
    if not banks:
        return {}
    keys = ("deposits", "borrows", "dstart", "bstart", "potential_serum")
    items = banks.items() if isinstance(banks, Mapping) else enumerate(banks, start=1)
    return {
        f"t{str(name).removeprefix('t')}": (
            row if isinstance(row, Mapping) else dict(zip(keys, row or (), strict=False))
        )
        for name, row in items
    }


def mango_health(vector: Row, tables: Row) -> Any:
    inputs, params = vector["inputs"], tables["params"]
    banks = mango_banks(inputs.get("banks"))
    tokens = {name: mango_token(name, params, banks.get(name, {})) for name in params["prices"]}
    orders = [
        mango_v4.SpotOrders(
            base=f"t{key[3:]}",
            quote=f"t{key[2:3]}",
            reserved_quote=reserved[0],
            reserved_base=reserved[1],
            lowest_ask=inputs.get("ask", {}).get(key[3:], 0.0),
            highest_bid_inverse=inputs.get("bid_inv", {}).get(key[3:], 0.0),
        )
        for key, reserved in inputs.items()
        if key.startswith("oo")
    ]
    perpetuals = []
    if "perp" in inputs:
        lots, quote, bids, asks = inputs["perp"]
        row = params["perp"]
        perpetuals.append(
            mango_v4.Perpetual(
                settle_token=row["settle_token"],
                prices=mango_v4.Prices(row["price"]),
                base_lot_size=row["base_lot_size"],
                base_lots=lots,
                quote=quote,
                bid_lots=bids,
                ask_lots=asks,
                init_base_asset_weight=row["init_base_asset_weight"],
                init_base_liability_weight=row["init_base_liab_weight"],
                init_overall_asset_weight=row["init_overall_asset_weight"],
            )
        )
    balances = {name: float(inputs.get(name, 0)) for name in tokens}
    return mango_v4.account_health(balances, tokens, orders, perpetuals)


def snx_account(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    positions = []
    for row in inputs["positions"]:
        params = synthetix_v3.MarketParams(
            skew_scale=row["skew_scale"],
            initial_ratio=row["im_ratio"],
            initial_ratio_min=row["min_im_ratio"],
            maintenance_scalar=row["mm_scalar"],
            position_margin_min_usd=row.get("min_position_margin", 0.0),
        )
        entry = synthetix_v3.fill_price(row["size"], row.get("skew", 0.0), row["open_index"], params.skew_scale)
        positions.append(synthetix_v3.Position(row["market"], row["size"], entry, params, row.get("funding", 0.0)))
    result = synthetix_v3.account(
        inputs["collateral_usd"], positions, inputs["index_prices"], inputs.get("liquidation_reward", 0.0)
    )
    return {
        "pnl": dict(result.profit),
        "available_margin": result.available_margin,
        "initial_margin": result.initial_margin,
        "maintenance_margin": result.maintenance_margin,
        "liquidatable": result.is_liquidatable,
    }


def vega_margin_levels(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]

    def number(key: str) -> Fraction:
        return fraction(inputs.get(key, 0))

    params = vega.Params(
        linear_slippage=number("linear_slippage"),
        quadratic_slippage=number("quadratic_slippage"),
        risk_factor_long=number("risk_factor_long"),
        risk_factor_short=number("risk_factor_short"),
        **{f"{level}_scale": fraction(scale) for level, scale in inputs["scaling"].items()},
    )
    levels = vega.margin_levels(
        inputs["mark"],
        inputs["position"],
        params,
        inputs.get("buy_orders", 0),
        inputs.get("sell_orders", 0),
    )
    return msgspec.structs.asdict(levels)


CASES: dict[tuple[str, str], Adapter] = {
    ("dydx_v4", "bankruptcy_price_quote"): dydx_bankruptcy_price,
    ("dydx_v4", "fillable_price"): dydx_fillable_price,
    ("dydx_v4", "insurance_fund_delta"): dydx_insurance_delta,
    ("dydx_v4", "initial_margin_quote"): dydx_initial_margin,
    ("dydx_v4", "margin_requirements"): dydx_margin_requirements,
    ("drift_v2", "size_discount_asset_weight"): drift_asset_weight,
    ("drift_v2", "size_premium_liability_weight"): drift_liability_weight,
    ("drift_v2", "scale_initial_asset_weight"): drift_scaled_weight,
    ("drift_v2", "base_to_cover_margin_shortage"): drift_base_to_cover,
    ("drift_v2", "liability_transfer_to_cover"): drift_liability_transfer,
    ("drift_v2", "liability_implied_by_asset"): drift_implied_liability,
    ("drift_v2", "asset_transfer_for_liability"): drift_asset_transfer,
    ("drift_v2", "perp_insurance_fee"): drift_perpetual_fee,
    ("drift_v2", "spot_insurance_fee"): drift_spot_fee,
    ("drift_v2", "liquidation_fee_by_age"): drift_fee_ramp,
    ("drift_v2", "deposit_index_delta_to_absorb_borrow"): drift_deposit_delta,
    ("drift_v2", "funding_delta_to_absorb_bankruptcy"): drift_funding_delta,
    ("drift_v2", "account_margin"): drift_account,
    ("mango_v4_health", "health"): mango_health,
    ("synthetix_vega", "snx_account"): snx_account,
    ("synthetix_vega", "vega_margin_levels"): vega_margin_levels,
}
