"""Cases of pooled lending: Aave v3 and v4, Compound III, Morpho Blue, Euler v2, Silo v2, Gearbox v3."""

from fractions import Fraction
from typing import Any

import msgspec

from solvent.conform.values import Function, Inputs, fraction, integer, integers, leading_fraction, ratio_e18, scaled
from solvent.liquidation import (
    absorb,
    close_factor,
    incentive_factor,
    payment_split,
    reverse_dutch,
    target_health,
    target_ltv,
)
from solvent.margin.rules import aave_v3, compound_v3, euler_v2, gearbox_v3
from solvent.pools import (
    adaptive_curve,
    kinked_aave,
    kinked_compound,
    kinked_euler,
    kinked_gearbox,
    silo_curve,
)
from solvent.pools.fixed_point import BPS, RAY, UINT256_MAX, WAD

CENT = 10**8
"""Scale of Aave's and Compound's USD prices."""


# Aave v3


def _aave_v3_liquidate(inputs: Inputs) -> Any:
    balance, price, unit = integers(inputs, "collateral_balance", "collateral_price", "collateral_unit")
    threshold, bonus, fee = integers(inputs, "liquidation_threshold", "liquidation_bonus", "liquidation_protocol_fee")
    debts = tuple(aave_v3.Debt(*integers(row, "amount", "price", "unit")) for row in inputs["debts"])
    other = integer(inputs.get("other_collateral_base", 0))
    other_threshold = integer(inputs.get("other_liquidation_threshold", threshold))
    position = close_factor.Position(balance, price, unit, threshold, bonus, fee, debts, other, other * other_threshold)
    index = integer(inputs.get("repaid_debt_index", 0))
    wish = None if inputs["debt_to_cover"] == "max" else integer(inputs["debt_to_cover"])
    outcome = close_factor.liquidate(close_factor.Params(), position, index, wish)
    return {
        "max_liquidatable": outcome.max_liquidatable,
        "debt_repaid": outcome.seizure.debt_repaid,
        "collateral_to_liquidator": outcome.seizure.collateral_to_liquidator,
        "protocol_fee": outcome.seizure.protocol_fee,
        "deficit": outcome.deficits[index],
        "deficits": outcome.deficits,
        "health_factor": outcome.health_factor_e18,
    }


def _aave_v3_close_factor(inputs: Inputs) -> Any:
    health = round(leading_fraction(inputs["hf"]) * WAD)
    debts = [scaled(value, CENT) for value in inputs["debts_usd"]]
    collateral, threshold = (scaled(inputs[name], CENT) for name in ("collateral_usd", "threshold_usd"))
    debt = debts[integer(inputs.get("repaid_debt_index", 0))]
    now = close_factor.Params(full_close_below_base=threshold)
    rules = {"max_liquidatable_usd_single_debt": now, "old_rule_usd": close_factor.BEFORE_3_3}
    return {
        name: Fraction(close_factor.max_liquidatable_base(rule, health, collateral, debt, sum(debts)), CENT)
        for name, rule in rules.items()
    }


def _aave_v3_close_factor_fraction(inputs: Inputs) -> Any:
    params = close_factor.Params(full_close_below_base=scaled(inputs["threshold_usd"], CENT))
    collateral, debt = (scaled(inputs[name], CENT) for name in ("reserve_collateral_usd", "reserve_debt_usd"))
    health = round(leading_fraction(inputs["hf"]) * WAD)
    return {"close_factor": Fraction(close_factor.close_factor_bps(params, health, collateral, debt), BPS)}


def _aave_v3_rates(inputs: Inputs) -> Any:
    names = ("optimal", "base", "slope1", "slope2", "reserve_factor")
    curve = kinked_aave.Params(*integers(inputs, *names))
    debt, available = integers(inputs, "total_debt", "available_liquidity")
    unbacked = integer(inputs.get("unbacked", 0)) + integer(inputs.get("deficit", 0))
    return {
        "supply_rate": kinked_aave.supply_rate_ray(curve, debt, available, unbacked),
        "borrow_rate": kinked_aave.borrow_rate_ray(curve, debt, available),
    }


def _aave_v3_compounded(inputs: Inputs) -> Any:
    return {"factor": kinked_aave.compounded_factor_ray(*integers(inputs, "rate", "seconds"))}


def _aave_v3_linear(inputs: Inputs) -> Any:
    return {"factor": kinked_aave.linear_factor_ray(*integers(inputs, "rate", "seconds"))}


# Aave v4


def _aave_v4_debt_to_target(inputs: Inputs) -> Any:
    debt = target_health.debt_to_target_up(
        scaled(inputs["total_debt_usd"], WAD * WAD),
        ratio_e18(inputs["hf"]),
        ratio_e18(inputs["target_hf"]),
        integer(inputs["bonus"]),
        integer(inputs["collateral_factor"]),
        scaled(inputs["debt_price"], WAD),
        WAD,
    )
    return {"debt": Fraction(debt, WAD)}


def _aave_v4_params(inputs: Inputs, target: str | None = None) -> target_health.Params:
    return target_health.Params(
        WAD if target is None else ratio_e18(target),
        ratio_e18(inputs["hf_for_max"]),
        integer(inputs["bonus_factor"] if "bonus_factor" in inputs else inputs["factor"]),
        1000 * WAD * WAD,
    )


def _aave_v4_amounts(inputs: Inputs) -> Any:
    reserves = target_health.Reserves(
        collateral_balance=scaled(inputs["collateral_balance"], WAD),
        collateral_price=scaled(inputs["collateral_price"], WAD),
        collateral_unit=WAD,
        debt_balance=scaled(inputs["debt_balance"], WAD),
        debt_price=scaled(inputs["debt_price"], WAD),
        debt_unit=WAD,
        collateral_factor_bps=integer(inputs["collateral_factor"]),
        maximum_bonus_bps=integer(inputs["max_bonus"]),
        fee_bps=integer(inputs["fee"]),
    )
    amounts = target_health.liquidation_amounts(
        _aave_v4_params(inputs, inputs["target_hf"]),
        reserves,
        UINT256_MAX if inputs["debt_to_cover"] == "max" else scaled(inputs["debt_to_cover"], WAD),
        scaled(inputs["total_debt_usd"], WAD * WAD),
        ratio_e18(inputs["hf"]),
    )
    return {
        "debt": Fraction(amounts.debt, WAD),
        "collateral": Fraction(amounts.collateral, WAD),
        "to_liquidator": Fraction(amounts.to_liquidator, WAD),
    }


def _aave_v4_bonus(inputs: Inputs) -> Any:
    params, health = _aave_v4_params(inputs), ratio_e18(inputs["hf"])
    return {"bonus": target_health.bonus_bps_down(params, health, integer(inputs["max_bonus"]))}


# Compound III


def _compound_quote(inputs: Inputs) -> Any:
    names = ("asset_price", "liquidation_factor", "store_front_price_factor")
    price = absorb.discounted_price_down(*integers(inputs, *names))
    amount, base_price, base_scale, scale = integers(inputs, "base_amount", "base_price", "base_scale", "asset_scale")
    return {"collateral": absorb.quote_collateral_down(amount, base_price, base_scale, price, scale)}


def _compound_account(inputs: Inputs, factor: str) -> tuple[int, int, int, list[compound_v3.Holding]]:
    """Base balance, price, scale and collaterals; a single collateral stands in the inputs themselves."""
    listed = inputs["collateral"] if isinstance(inputs["collateral"], list) else None
    rows = listed if listed is not None else [{**inputs, "amount": inputs["collateral"]}]
    holdings = [
        compound_v3.Holding(
            integer(row["amount"]),
            integer(row["price"] if "price" in row else row["asset_price"]),
            integer(row.get("scale", row.get("asset_scale", WAD))),
            integer(row[factor] if factor in row else inputs[factor]),
        )
        for row in rows
    ]
    base = (integer(inputs.get("base_price", CENT)), integer(inputs.get("base_scale", 10**6)))
    return integer(inputs["base_balance"]), *base, holdings


def _compound_liquidatable(inputs: Inputs) -> Any:
    return {"liquidatable": compound_v3.is_liquidatable(*_compound_account(inputs, "liquidate_cf"))}


def _compound_collateralized(inputs: Inputs) -> Any:
    return {"collateralized": compound_v3.is_borrow_collateralized(*_compound_account(inputs, "borrow_cf"))}


def _compound_rates(inputs: Inputs) -> Any:
    """Rates a year: the curve is linear in them, and a yearly scale loses nothing to rounding."""
    utilization = scaled(inputs["utilization"], WAD)

    def annual(side: Inputs) -> Fraction:
        curve = kinked_compound.Params(*(scaled(side[name], WAD) for name in ("base", "kink", "low", "high")))
        return Fraction(kinked_compound.rate_e18_down(curve, utilization), WAD)

    return {"supply_apr": annual(inputs["supply"]), "borrow_apr": annual(inputs["borrow"])}


def _compound_absorb(inputs: Inputs) -> Any:
    seized = [
        absorb.Seized(
            integer(row["amount"]),
            integer(row["price"]),
            integer(row["scale"]),
            integer(row["liquidation_factor"] if "liquidation_factor" in row else inputs["liquidation_factor"]),
        )
        for row in inputs["collateral"]
    ]
    price, scale = integer(inputs.get("base_price", CENT)), integer(inputs.get("base_scale", 10**6))
    balance, paid = absorb.absorb(integer(inputs["old_balance"]), seized, price, scale)
    return {"new_balance": balance, "base_paid_out": paid}


# Morpho Blue


def _morpho_factor(inputs: Inputs) -> Any:
    factor = incentive_factor.incentive_factor_e18_down(incentive_factor.Params(), integer(inputs["lltv"]))
    return {"lif": factor}


def _morpho_liquidate(inputs: Inputs) -> Any:
    totals = integers(inputs, "borrow_assets_total", "borrow_shares_total", "price")
    market, factor = incentive_factor.Market(*totals), _morpho_factor(inputs)["lif"]
    if integer(inputs.get("seized_assets", 0)) > 0:
        seized = integer(inputs["seized_assets"])
        shares, repaid = incentive_factor.shares_for_seized(market, factor, seized)
    else:
        shares = integer(inputs["repaid_shares"])
        seized, repaid = incentive_factor.seized_for_shares(market, factor, shares)
    return {"seized": seized, "repaid": repaid, "repaid_shares": shares}


def _morpho_curve(inputs: Inputs) -> Any:
    values = integers(inputs, "utilization", "rate_at_target", "dt")
    average, end = adaptive_curve.accrued_rates_e18(adaptive_curve.Params(), *values)
    return {"avg_rate": average, "rate_at_target": end}


# Euler v2


def _euler_check(inputs: Inputs) -> Any:
    holdings = [euler_v2.Holding(*integers(row, "bal", "price", "ltv")) for row in inputs["collaterals"]]
    taken = holdings[integer(inputs.get("liquidated_index", 0))]
    adjusted = euler_v2.adjusted_value_down(holdings)
    debt, price = integers(inputs, "debt", "debt_price")
    liability = euler_v2.value_down(debt, price)
    violator = reverse_dutch.Violator(adjusted, debt, price, taken.amount, taken.price_e18)
    params = reverse_dutch.Params(maximum_discount_bps=integer(inputs.get("max_discount", 2000)))
    repay, seized = reverse_dutch.maximum_liquidation(params, violator)
    health = euler_v2.health_e18_down(adjusted, liability) if liability else None
    return {"max_repay": repay, "max_yield": seized, "health": health}


def _euler_residual(inputs: Inputs) -> Any:
    balance, price, ltv = integers(inputs, "collateral", "collateral_price", "ltv")
    row = {"bal": balance, "price": price, "ltv": ltv}
    found = _euler_check({**inputs, "collaterals": [row], "liquidated_index": 0})
    debt, debt_price = integers(inputs, "debt", "debt_price")
    liability = euler_v2.value_down(debt, debt_price)
    has_collateral = balance > found["max_yield"]
    repaid = found["max_repay"]
    return {
        "residual_value": euler_v2.value_down(debt - repaid, debt_price),
        "socialised": reverse_dutch.is_socialised(reverse_dutch.Params(), liability, debt, repaid, has_collateral),
    }


def _euler_linear_kink(inputs: Inputs) -> Any:
    curve = kinked_euler.Params(*integers(inputs, "base", "slope1", "slope2", "kink"))
    u = fraction(inputs["utilization"]) * kinked_euler.UTILIZATION_ONE
    rate = kinked_euler.rate_e27(curve, u.numerator // u.denominator)
    year = float(fraction(inputs.get("seconds_per_year", kinked_euler.GREGORIAN_YEAR_S)))
    return {"apy": kinked_euler.yield_annual(rate, year), "rate": rate}


# Silo


def _silo_params(inputs: Inputs, target: Any = 0) -> target_ltv.Params:
    return target_ltv.Params(integer(target), integer(inputs["liquidationFee"]))


def _silo_maximum(inputs: Inputs) -> Any:
    values = integers(inputs, "totalBorrowerDebtValue", "totalBorrowerCollateralValue")
    seized, repaid = target_ltv.maximum_preview(_silo_params(inputs, inputs["ltvAfterLiquidation"]), *values)
    return {"collateralValueToLiquidate": seized, "repayValue": repaid}


def _silo_collateral(inputs: Inputs) -> Any:
    names = ("debtValueToCover", "totalBorrowerCollateralAssets", "totalBorrowerCollateralValue")
    assets, value = target_ltv.collateral_assets_for(_silo_params(inputs), *integers(inputs, *names))
    return {"collateralAssets": assets, "collateralValue": value}


def _silo_preview(inputs: Inputs) -> Any:
    names = ("DebtAssets", "DebtValue", "CollateralAssets", "CollateralValue")
    borrower = target_ltv.Borrower(*integers(inputs, *(f"totalBorrower{name}" for name in names)))
    params = _silo_params(inputs, inputs["liquidationTargetLtv"])
    seized, repaid, ltv = target_ltv.preview(params, borrower, integer(inputs["maxDebtToCover"]))
    return {"collateralAssetsToLiquidate": seized, "debtAssetsToRepay": repaid, "ltvAfterLiquidation": ltv}


def _silo_rate(inputs: Inputs) -> Any:
    names = ("uopt", "ucrit", "ulow", "ki", "kcrit", "klow", "klin", "beta")
    curve = msgspec.structs.replace(
        silo_curve.Params(*integers(inputs, *names)),
        amount_most=integer(inputs.get("amountMax", silo_curve.AMOUNT_MOST)),
        exponent_most_e18=integer(inputs.get("xMax", silo_curve.EXPONENT_MOST_E18)),
    )
    state = silo_curve.State(*integers(inputs, "integratorState", "Tcrit"))
    deposits, debt, now, then = integers(
        inputs, "totalDeposits", "totalBorrowAmount", "currentTime", "lastTransactionTime"
    )
    return {"annual_rate": silo_curve.current_rate_e18(curve, state, deposits, debt, now - then)}


# Gearbox


def _gearbox_payments(inputs: Inputs) -> Any:
    params = payment_split.Params(
        integer(inputs["discount"]), integer(inputs["fee_liquidation"]), integer(inputs.get("token_fee_bps", 0))
    )
    value, debt, interest = integers(inputs, "total_value", "debt", "accrued_interest")
    fees = interest * integer(inputs["fee_interest"]) // BPS
    return payment_split.liquidation_payments(params, value, debt, interest, fees)


def _gearbox_threshold(inputs: Inputs) -> Any:
    names = ("lt_initial", "lt_final", "ramp_start_relative_to_now", "ramp_duration")
    return {"lt": gearbox_v3.threshold_bps_down(gearbox_v3.Threshold(*integers(inputs, *names)), 0)}


def _gearbox_rate(inputs: Inputs) -> Any:
    u1, u2, base, slope1, slope2, slope3 = integers(inputs, "U1", "U2", "base", "slope1", "slope2", "slope3")
    curve = kinked_gearbox.Params(u1, u2, base, slope1, slope2, slope3)
    liquidity = integers(inputs, "expected_liquidity", "available_liquidity")
    return {"rate_bps": Fraction(kinked_gearbox.borrow_rate_ray_down(curve, *liquidity) * BPS, RAY)}


FUNCTIONS: dict[str, dict[str, Function]] = {
    "aave_v3": {
        "liquidate": _aave_v3_liquidate,
        "close_factor": _aave_v3_close_factor,
        "close_factor_fraction": _aave_v3_close_factor_fraction,
        "rates": _aave_v3_rates,
        "compound_interest": _aave_v3_compounded,
        "compound_interest_poly3": _aave_v3_compounded,
        "linear_interest": _aave_v3_linear,
    },
    "aave_v4_target_hf": {
        "debt_to_target": _aave_v4_debt_to_target,
        "amounts": _aave_v4_amounts,
        "bonus": _aave_v4_bonus,
    },
    "compound_v3": {
        "quote_collateral": _compound_quote,
        "is_liquidatable": _compound_liquidatable,
        "is_borrow_collateralized": _compound_collateralized,
        "rates": _compound_rates,
        "absorb": _compound_absorb,
    },
    "morpho_blue": {"lif": _morpho_factor, "liquidate_shares": _morpho_liquidate, "irm": _morpho_curve},
    "euler_vault_kit": {
        "check_liquidation": _euler_check,
        "residual_liability": _euler_residual,
        "linear_kink": _euler_linear_kink,
    },
    "silo_target_ltv": {
        "max_liquidation_preview": _silo_maximum,
        "estimate_max_repay": _silo_maximum,
        "collateral_to_liquidate": _silo_collateral,
        "liquidation_preview": _silo_preview,
    },
    "silo_irm_v2": {"current_rate": _silo_rate},
    "gearbox_v3": {
        "liquidation_payments": _gearbox_payments,
        "lt_ramp": _gearbox_threshold,
        "irm": _gearbox_rate,
    },
}
"""suite -> fn -> function of a vector's inputs."""
