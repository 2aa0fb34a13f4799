"""Reference vectors of Derive: its three risk managers and its auction."""

from collections.abc import Mapping
from typing import Any

from solvent.conform.core import Adapter
from solvent.liquidation import derive_auction
from solvent.margin.rules import derive, derive_pmrm, derive_pmrm2, derive_srm

Row = Mapping[str, Any]

WHOLE_TOLERANCE = 1e-9
"""A real this near to a whole number is that number, before it is truncated."""


def truncated(value: float) -> int:
    """Toward zero to a whole number, reals within 1e-9 of a whole number taken as it."""
    nearest = round(value)
    return nearest if abs(value - nearest) <= WHOLE_TOLERANCE * max(1.0, abs(value)) else int(value)


def smile_of(svi: Row) -> derive.Smile:
    return derive.Smile(
        svi["a"], svi["b"], svi["rho"], svi["m"], svi["sigma"], forward_usd=svi["fwd"], years=svi["tau"]
    )


def options_of(expiry: Row) -> tuple[derive.OptionHolding, ...]:
    """Holdings of one expiry; where an option states no vol, the expiry's smile gives it."""
    return tuple(
        derive.OptionHolding(
            row["strike"],
            row["is_call"],
            row["amount"],
            row["vol"] if "vol" in row else smile_of(expiry["svi"]).vol(row["strike"]),
        )
        for row in expiry["options"]
    )


def srm_market_params(row: Row) -> derive_srm.MarketParams:
    option = row["option"]
    return derive_srm.MarketParams(
        option=derive_srm.OptionParams(
            max_spot_requirement=option["maxSpotReq"],
            min_spot_requirement=option["minSpotReq"],
            mm_call_spot_requirement=option["mmCallSpotReq"],
            mm_put_spot_requirement=option["mmPutSpotReq"],
            mm_put_mark_requirement=option["MMPutMtMReq"],
            unpaired_im_scale=option["unpairedIMScale"],
            unpaired_mm_scale=option["unpairedMMScale"],
            mm_offset_scale=option["mmOffsetScale"],
        ),
        perpetual_im=row["imPerp"],
        perpetual_mm=row["mmPerp"],
        base_margin_factor=row["baseFactor"],
        base_im_scale=row.get("baseIMScale", 1.0),
        perpetual_confidence_threshold=row["perpThr"],
        option_confidence_threshold=row["optThr"],
        base_confidence_threshold=row["baseThr"],
        oracle_contingency_factor=row["OC"],
    )


def srm_holding(row: Row) -> derive_srm.Holding:
    return derive_srm.Holding(
        spot_usd=row["spot"],
        spot_confidence=row.get("spot_conf", 1.0),
        perpetual=row.get("perp", 0.0),
        perpetual_price_usd=row.get("perp_price", 0.0),
        perpetual_confidence=row.get("perp_conf", 1.0),
        unsettled_profit_usd=row.get("upnl", 0.0),
        base=row.get("base", 0.0),
        expiries=tuple(
            derive_srm.Expiry(
                expiry["sec"],
                expiry["fwd"],
                min(expiry.get("fwd_conf", 1.0), expiry.get("vol_conf", 1.0)),
                options_of(expiry),
            )
            for expiry in row.get("expiries", ())
        ),
    )


def srm_margin(vector: Row, tables: Row) -> Row:
    inputs = vector["inputs"]
    row = tables["param_sets"][vector["param_set"]]
    params = derive_srm.Params(
        market=srm_market_params(row), depeg_threshold_usd=row["depegThr"], depeg_factor=row["depegFac"]
    )
    holdings = {name: srm_holding(market) for name, market in inputs["markets"].items()}
    margins = derive_srm.account_margins(inputs.get("cash", 0.0), holdings, inputs.get("stable", 1.0), params)
    return {
        "IM": margins.initial_margin,
        "MM": margins.maintenance_margin,
        "mtm": margins.mark_to_market,
        "IM_trunc": truncated(margins.initial_margin),
        "MM_trunc": truncated(margins.maintenance_margin),
    }


def pmrm_params(row: Row, scenarios: list[list[Any]]) -> derive_pmrm.Params:
    return derive_pmrm.Params(
        vol_shock=derive.VolShock(row["volUp"], row["volDown"], row["shortPow"], row["longPow"], row["dteFloor"]),
        basis_spot_up=row["spotUp"],
        basis_spot_down=row["spotDown"],
        basis_add_factor=row["basisAdd"],
        basis_mult_factor=row["basisMult"],
        peg_threshold_usd=row["pegThr"],
        peg_factor=row["pegFac"],
        confidence_threshold=row["confThreshold"],
        confidence_margin=row["confMargin"],
        base_percent=row["basePercent"],
        perpetual_percent=row["perpPercent"],
        option_percent=row["optionPercent"],
        im_factor=row["imFactor"],
        base_static_discount=row["baseDisc"],
        rate_mult_scale=row["rateMult"],
        rate_add_scale=row["rateAdd"],
        scenarios=tuple(derive_pmrm.Scenario(float(spot), vol) for spot, vol in scenarios),
    )


def pmrm_account(row: Row) -> derive_pmrm.Account:
    return derive_pmrm.Account(
        cash_usd=row.get("cash", 0.0),
        spot_usd=row["spot"],
        spot_confidence=row.get("spot_conf", 1.0),
        stable_usd=row.get("stable", 1.0),
        perpetual=row.get("perp", 0.0),
        perpetual_price_usd=row.get("perp_price", 0.0),
        perpetual_confidence=row.get("perp_conf", 1.0),
        unsettled_profit_usd=row.get("upnl", 0.0),
        base=row.get("base", 0.0),
        expiries=tuple(
            derive_pmrm.Expiry(
                expiry["sec"],
                expiry.get("fwd_fixed", 0.0),
                expiry["fwd_var"],
                expiry.get("rate", 0.0),
                min(expiry.get(key, 1.0) for key in ("fwd_conf", "rate_conf", "vol_conf")),
                options_of(expiry),
            )
            for expiry in row.get("expiries", ())
        ),
    )


def pmrm_margin(vector: Row, tables: Row) -> Row:
    row = tables["param_sets"][vector.get("param_set", "default")]
    margins = derive_pmrm.account_margins(pmrm_account(vector["inputs"]), pmrm_params(row, tables["scenarios"]))
    return {
        "IM": margins.initial_margin,
        "MM": margins.maintenance_margin,
        "mtm_incl_cash": margins.mark_to_market,
        "basis_contingency": margins.basis_contingency,
        "static_contingency": margins.static_contingency,
        "confidence_contingency": margins.confidence_contingency,
        "scenario_pnl": list(margins.scenario_pnl),
        "worst_scenario": margins.worst_scenario,
        "IM_trunc": truncated(margins.initial_margin),
        "MM_trunc": truncated(margins.maintenance_margin),
    }


def pmrm2_params(row: Row) -> derive_pmrm2.Params:
    shock, margin, basis = row["VolShock"], row["Margin"], row["BasisContingency"]
    other, skew = row["OtherContingency"], row["SkewShock"]
    return derive_pmrm2.Params(
        vol_shock=derive.VolShock(
            shock["VOLRANGEUP"],
            shock["VOLRANGEDOWN"],
            shock["SHORTTERMPOWER"],
            shock["LONGTERMPOWER"],
            shock["DTE_FLOOR"] * 86_400,
        ),
        vol_up_min=shock["MIN_VOL_EVAL_SHOCKED"],
        skew=derive_pmrm2.SkewShock(
            linear_cap=skew["LINEAR_SCALE_CAP"],
            linear_cap_slope=skew["LINEAR_CBASE"],
            abs_cap=skew["ABS_SCALE_CAP"],
            abs_cap_slope=skew["ABS_CBASE"],
            k_star_min=skew["MIN_K_STAR"],
            width_scale=skew["MIN_WIDTH_SCALE"],
            vol_static=skew["VOL_PARAM_STATIC"],
            vol_scale=skew["VOL_PARAM_SCALE"],
        ),
        mm_factor=margin["MM_LOSS_FACTOR"],
        im_factor=margin["IM_LOSS_FACTOR"],
        long_static_discount=margin["BASE_STATIC_DISCOUNT"],
        long_rate_mult=margin["LONG_RATE_MULTSCALE"],
        long_rate_add=margin["LONG_RATE_ADDSCALE"],
        short_static_discount=margin["BASE_STATIC_DISCOUNT_NEG"],
        short_rate_mult=margin["SHORT_RATE_MULTSCALE"],
        short_rate_add=margin["SHORT_RATE_ADDSCALE"],
        basis_spot_up=basis["SCENARIO_SPOT_UP"],
        basis_spot_down=basis["SCENARIO_SPOT_DOWN"],
        basis_add_factor=basis["BASIS_CONT_ADD_FACTOR"],
        basis_mult_factor=basis["BASIS_CONT_MULT_FACTOR"],
        peg_threshold_usd=other["PEG_LOSS_THRESHOLD"],
        peg_factor=other["PEG_LOSS_FACTOR"],
        confidence_threshold=other["CONF_THRESHOLD"],
        confidence_margin=other["CONF_MARGIN"],
        perpetual_mm_percent=other["MM_PERP_PERCENT"],
        perpetual_im_percent=other["IM_PERP_PERCENT"],
        option_mm_percent=other["MM_OPTION_PERCENT"],
        option_im_percent=other["IM_OPTION_PERCENT"],
        scenarios=tuple(
            derive_pmrm2.Scenario(float(spot), vol, float(dampening)) for spot, vol, dampening in row["scenarios"]
        ),
    )


def pmrm2_account(row: Row) -> derive_pmrm2.Account:
    return derive_pmrm2.Account(
        cash_usd=row.get("cash", 0.0),
        spot_usd=row["spot"],
        spot_confidence=row.get("spot_conf", 1.0),
        stable_usd=row.get("stable", 1.0),
        perpetual=row.get("perp", 0.0),
        perpetual_price_usd=row.get("perp_price", 0.0),
        perpetual_confidence=row.get("perp_conf", 1.0),
        unsettled_profit_usd=row.get("perp_upnl", 0.0) + row.get("perp_funding", 0.0),
        collaterals=tuple(
            derive_pmrm2.Collateral(
                each["amount"],
                each["price"],
                each.get("conf", 1.0),
                each["risk_cancelling"],
                each["mm_haircut"],
                each["im_haircut"],
            )
            for each in row.get("collaterals", ())
        ),
        expiries=tuple(
            derive_pmrm2.Expiry(
                expiry["sec"],
                expiry["forward"],
                expiry.get("rate", 0.0),
                min(expiry.get(key, 1.0) for key in ("fwd_conf", "rate_conf", "vol_conf")),
                options_of(expiry),
            )
            for expiry in row.get("expiries", ())
        ),
    )


def pmrm2_margin(vector: Row, tables: Row) -> Row:
    margins = derive_pmrm2.account_margins(
        pmrm2_account(tables["portfolios"][vector["portfolio"]]),
        pmrm2_params(tables["param_sets"][vector["params"]]),
    )
    return {
        "IM": margins.initial_margin,
        "MM": margins.maintenance_margin,
        "mtm_incl_cash": margins.mark_to_market,
        "option_mtm": margins.option_mark,
        "collateral_mtm": margins.collateral_mark,
        "basis_contingency": margins.basis_contingency,
        "scenario_pnl": list(margins.scenario_pnl),
        "worst_scenario": margins.worst_scenario,
    }


def dutch_auction(vector: Row, tables: Row) -> Any:
    row = {**tables.get("params", {}), **vector.get("params", {})}
    params = derive_auction.AuctionParams(
        starting_discount=row["starting_mtm_pct"],
        fast_cutoff=row["fast_cutoff_pct"],
        fast_length_s=row["fast_length"],
        slow_length_s=row["slow_length"],
        insolvent_length_s=row["insolvent_length"],
        fee_rate=row["liquidator_fee_rate"],
        buffer_percent=row["buffer_margin_pct"],
        mark_cutoff_usd=row.get("mtm_cutoff", 0.0),
    )
    state, results = derive_auction.AuctionState(0.0, 0.0), []
    for step in vector["steps"]:
        state = derive_auction.AuctionState(  # where prices did not move, a step states no new marks
            step.get("mtm", state.mark_to_market), step.get("mm", state.maintenance_margin), state.reserved_cash
        )
        elapsed_s = step["seconds_since_start"]
        bid = derive_auction.place_bid(state, step["percent_wanted"], elapsed_s, params)
        asked = derive_auction.discount(elapsed_s, params)
        results.append(
            {
                "discount": asked,
                "buffer_margin": derive_auction.buffer_margin(state, params),
                "max_fraction": bid.max_fraction,
                "fraction_liquidated": bid.fraction,
                "cash_from_bidder": bid.cash_from_bidder,
                "post_mtm": bid.after.mark_to_market,
                "post_mm": bid.after.maintenance_margin,
                "post_bm": derive_auction.buffer_margin(bid.after, params),
                "post_max_fraction": derive_auction.max_fraction(bid.after, asked, params),
            }
        )
        state = bid.after
    return results


CASES: dict[tuple[str, str], Adapter] = {
    ("derive_srm", "srm_margin"): srm_margin,
    ("derive_pmrm1", "pmrm_margin"): pmrm_margin,
    ("derive_pmrm2", "pmrm2_margin"): pmrm2_margin,
    ("derive_auction", "dutch_auction"): dutch_auction,
}
