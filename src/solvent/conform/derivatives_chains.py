"""Reference vectors of derivatives protocols on other chains: dYdX v4, Drift v2, Mango v4, Synthetix v3, Vega."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from solvent.conform.adapters import of_inputs, with_integers
from solvent.conform.core import Adapter
from solvent.conform.values import Inputs, fraction, integer, integers, scaled
from solvent.liquidation import drift_sizing, dydx_fillable
from solvent.margin.rules import drift_v2, dydx_v4, mango_v4, synthetix_v3, vega

Row = Mapping[str, Any]


def dydx_market(row: Row) -> dydx_v4.Market:
    caps = (integer(row.get(name, 0)) for name in ("oi_lower_cap", "oi_upper_cap"))
    tier = dydx_v4.LiquidityTier(*integers(row, "im_ppm", "maintenance_fraction_ppm"), *caps)
    resolution, price, exponent = integers(row, "atomic_resolution", "price", "price_exponent")
    open_interest = integer(row.get("open_interest_base_quantums", 0))
    return dydx_v4.Market(resolution, price, exponent, tier, open_interest)


def dydx_account(inputs: Row, tables: Row) -> dydx_fillable.Account:
    markets = {name: dydx_market(row) for name, row in tables["markets"].items()}
    positions = {name: integer(size) for name, size in inputs["positions"].items()}
    return dydx_fillable.Account(integer(inputs["quote_quantums"]), positions, markets)


def dydx_bankruptcy_price(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    account = dydx_account(inputs, tables)
    return dydx_fillable.bankruptcy_price_quote(account, inputs["perp"], integer(inputs["delta"]))


def dydx_fillable_price(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    params = dydx_fillable.LiquidationParams(*integers(inputs, "bankruptcy_adjustment_ppm", "spread_to_mm_ratio_ppm"))
    price = dydx_fillable.fillable_price(dydx_account(inputs, tables), inputs["perp"], params)
    return {"num": price.numerator, "den": price.denominator, "unit": "quote quantums per base quantum"}


def dydx_insurance_delta(vector: Row, tables: Row) -> Any:
    inputs = vector["inputs"]
    size, subticks, exponent, fee_ppm = integers(
        inputs, "fill_base_quantums", "subticks", "quantum_conversion_exponent", "max_liquidation_fee_ppm"
    )
    quote = dydx_fillable.fill_quote(subticks, size, exponent)
    account = dydx_account(inputs, tables)
    return dydx_fillable.insurance_fund_delta(account, inputs["perp"], inputs["is_buy"], size, quote, fee_ppm)


def dydx_margin_requirements(inputs: Inputs) -> Any:
    market = dydx_market({**inputs, "atomic_resolution": inputs["base_atomic_resolution"]})
    size, custom_ppm = integer(inputs["base_quantums"]), integer(inputs.get("custom_imf_ppm", 0))
    initial, maintenance = dydx_v4.margin_requirements(size, market, custom_ppm)
    return {"imr": initial, "mmr": maintenance}


def unbounded(function: Callable[..., int | None]) -> Callable[..., int | str]:
    """The function with what the files write where nothing bounds an amount."""

    def call(*numbers: int) -> int | str:
        found = function(*numbers)
        return "MAX" if found is None else found

    return call


def drift_scaled_weight(inputs: Inputs) -> Any:
    value = fraction(inputs["deposits"]) * fraction(inputs["price_usd"]) * drift_v2.QUOTE
    start = scaled(inputs["scale_start_usd"], drift_v2.QUOTE)
    return drift_v2.scaled_initial_asset_weight(integer(inputs["initial_weight_1e4"]), start, int(value // 1))


def drift_deposit_delta(inputs: Inputs) -> Any:
    loss, deposits = (scaled(inputs[name], drift_v2.QUOTE) for name in ("loss_usd", "deposits_usd"))
    return drift_sizing.deposit_index_delta_to_absorb_borrow(loss, deposits, integer(inputs["index_1e10"]))


def drift_account(inputs: Inputs) -> Any:
    """One quote balance and one SOL balance (nine decimals) with its open orders."""
    decimals = 9
    spot = drift_v2.SpotPosition(
        amount=scaled(inputs.get("sol", 0), 10**decimals),
        decimals=decimals,
        price_1e6=scaled(inputs["sol_price"], drift_v2.PRICE),
        asset_weight_1e4=scaled(inputs["asset_weight"], drift_v2.WEIGHT),
        liability_weight_1e4=scaled(inputs["liab_weight"], drift_v2.WEIGHT),
        open_bids=scaled(inputs.get("open_bids", 0), 10**decimals),
        open_asks=scaled(inputs.get("open_asks", 0), 10**decimals),
        open_orders=integer(inputs.get("open_orders", 0)),
        imf_1e6=integer(inputs.get("imf_factor_1e6", 0)),
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


def snx_account(inputs: Inputs) -> Any:
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


def vega_margin_levels(inputs: Inputs) -> Any:
    names = ("linear_slippage", "quadratic_slippage", "risk_factor_long", "risk_factor_short")
    params = vega.Params(
        **{name: fraction(inputs.get(name, 0)) for name in names},
        **{f"{level}_scale": fraction(scale) for level, scale in inputs["scaling"].items()},
    )
    mark, position = integers(inputs, "mark", "position")
    orders = (integer(inputs.get(name, 0)) for name in ("buy_orders", "sell_orders"))
    return msgspec.structs.asdict(vega.margin_levels(mark, position, params, *orders))


CASES: dict[tuple[str, str], Adapter] = {
    ("dydx_v4", "bankruptcy_price_quote"): dydx_bankruptcy_price,
    ("dydx_v4", "fillable_price"): dydx_fillable_price,
    ("dydx_v4", "insurance_fund_delta"): dydx_insurance_delta,
    ("dydx_v4", "initial_margin_quote"): with_integers(
        dydx_v4.initial_margin_quote,
        "notional_quote_quantums",
        "im_ppm",
        open_interest_notional=0,
        oi_lower_cap=0,
        oi_upper_cap=0,
        custom_imf_ppm=0,
    ),
    ("dydx_v4", "margin_requirements"): of_inputs(dydx_margin_requirements),
    ("drift_v2", "size_discount_asset_weight"): with_integers(
        drift_v2.size_discount_asset_weight, "size_1e9", "imf_factor_1e6", "weight_1e4"
    ),
    ("drift_v2", "size_premium_liability_weight"): with_integers(
        drift_v2.size_premium_liability_weight, "size_1e9", "imf_factor_1e6", "weight_1e4"
    ),
    ("drift_v2", "scale_initial_asset_weight"): of_inputs(drift_scaled_weight),
    ("drift_v2", "base_to_cover_margin_shortage"): with_integers(
        unbounded(drift_sizing.base_to_cover_margin_shortage),
        "shortage_1e6",
        "margin_ratio_1e4",
        "liq_fee_1e6",
        "if_fee_1e6",
        "oracle_1e6",
        quote_oracle_1e6=drift_v2.PRICE,
    ),
    ("drift_v2", "liability_transfer_to_cover"): with_integers(
        unbounded(drift_sizing.liability_transfer_to_cover),
        "shortage_1e6",
        "asset_weight_1e4",
        "asset_mult_1e6",
        "liab_weight_1e4",
        "liab_mult_1e6",
        "liab_decimals",
        "liab_price_1e6",
        "if_fee_1e6",
    ),
    ("drift_v2", "liability_implied_by_asset"): with_integers(
        drift_sizing.liability_implied_by_asset_up, "asset", "am", "ad", "ap", "lm", "ld", "lp"
    ),
    ("drift_v2", "asset_transfer_for_liability"): with_integers(
        drift_sizing.asset_transfer_for_liability,
        "asset_amount",
        "asset_mult_1e6",
        "asset_decimals",
        "asset_price_1e6",
        "liab_amount",
        "liab_mult_1e6",
        "liab_decimals",
        "liab_price_1e6",
    ),
    ("drift_v2", "perp_insurance_fee"): with_integers(
        drift_sizing.perpetual_insurance_fee,
        "shortage_1e6",
        "base_1e9",
        "margin_ratio_1e4",
        "liq_fee_1e6",
        "oracle_1e6",
        "quote_1e6",
        "max_if_fee_1e6",
    ),
    ("drift_v2", "spot_insurance_fee"): with_integers(
        drift_sizing.spot_insurance_fee,
        "shortage_1e6",
        "token_amount",
        "asset_weight_1e4",
        "asset_mult_1e6",
        "liab_weight_1e4",
        "liab_mult_1e6",
        "decimals",
        "price_1e6",
        "max_if_fee_1e6",
    ),
    ("drift_v2", "liquidation_fee_by_age"): with_integers(
        drift_sizing.liquidation_fee_by_age, "base_1e6", "max_1e6", "last_active_slot", "slot"
    ),
    ("drift_v2", "deposit_index_delta_to_absorb_borrow"): of_inputs(drift_deposit_delta),
    ("drift_v2", "funding_delta_to_absorb_bankruptcy"): with_integers(
        drift_sizing.funding_delta_to_absorb_bankruptcy, "loss_1e6", "long_1e9", "short_1e9"
    ),
    ("drift_v2", "account_margin"): of_inputs(drift_account),
    ("mango_v4_health", "health"): mango_health,
    ("synthetix_vega", "snx_account"): of_inputs(snx_account),
    ("synthetix_vega", "vega_margin_levels"): of_inputs(vega_margin_levels),
}
