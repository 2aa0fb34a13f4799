"""Cases of vaults that mint a stablecoin: Maker, Liquity, Curve."""

from fractions import Fraction
from typing import Any

from solvent.conform.values import Function, Inputs, integer, integers, scaled
from solvent.liquidation import clipper, dog, stability_pool, troves
from solvent.margin.rules import crvusd
from solvent.pools import base_rate, hyperbolic
from solvent.pools.fixed_point import RAY, WAD

# Maker


def _maker_params(inputs: Inputs, curve: str) -> clipper.Params:
    return clipper.Params(
        curve=curve,
        tau_s=integer(inputs.get("tau", 1)),
        cut_ray=integer(inputs.get("cut", RAY)),
        step_s=integer(inputs.get("step", 1)),
        tail_s=integer(inputs.get("tail", 0)),
        cusp_ray=integer(inputs.get("cusp", 0)),
    )


def _maker_price(curve: str) -> Function:
    def price(inputs: Inputs) -> Any:
        return {"price": clipper.price_ray_down(_maker_params(inputs, curve), *integers(inputs, "top", "dur"))}

    return price


def _maker_take(inputs: Inputs) -> Any:
    sale = clipper.Sale(*integers(inputs, "tab", "lot"))
    taken = clipper.take(sale, *integers(inputs, "amt", "max", "price", "chost"))
    return {
        "bought": taken.bought,
        "paid": taken.paid,
        "returned_to_owner": taken.returned_to_owner,
        "closed": taken.closed,
        "tab_left": taken.sale.tab,
        "lot_left": taken.sale.lot,
    }


def _maker_bark(inputs: Inputs) -> Any:
    params = dog.Params(chop_wad=integer(inputs["chop"]), dust_rad=integer(inputs["dust"]))
    ink, art, rate, room = integers(inputs, "ink", "art", "rate", "room")
    sent = dog.bark(params, ink, art, rate, room)
    return {
        "art_left": art - sent.art,
        "ink_left": ink - sent.ink,
        "dart": sent.art,
        "dink": sent.ink,
        "tab": sent.tab,
    }


def _maker_kick_reward(inputs: Inputs) -> Any:
    return {"reward": clipper.start_reward_rad_down(*integers(inputs, "tip", "chip", "tab"))}


def _maker_redo_reward(inputs: Inputs) -> Any:
    names = ("tip", "chip", "tab", "lot", "feed", "chost")
    return {"reward": clipper.reset_reward_rad_down(*integers(inputs, *names))}


def _maker_needs_redo(inputs: Inputs) -> Any:
    params, (top, elapsed) = _maker_params(inputs, inputs["curve"]), integers(inputs, "top", "elapsed")
    price = clipper.price_ray_down(params, top, elapsed)
    return {"needs_redo": clipper.needs_reset(params, top, price, elapsed), "price": price}


# Liquity


def _stability_pool(inputs: Inputs) -> tuple[dict[str, Fraction], dict[str, int]]:
    """Play deposits, withdrawals and liquidations.

    Returns what each depositor has (or took out when leaving) and earned, and the product after each
    liquidation.
    """
    params, pool = stability_pool.Params(), stability_pool.Pool()
    held: dict[str, stability_pool.Deposit] = {}
    left: dict[str, int] = {}
    gains: dict[str, int] = {}
    products: dict[str, int] = {}
    for event in inputs["events"]:
        if "liquidate" in event:
            row = event["liquidate"]
            pool = stability_pool.liquidate(params, pool, scaled(row["debt"], WAD), scaled(row["coll"], WAD))[0]
            products[f"P{len(products) + 1}"] = pool.product
            continue
        stated = event["deposit"] if "deposit" in event else event["withdraw"]
        name, amount = stated if isinstance(stated, list) else (stated, None)
        if name in held:
            gains[name] = gains.get(name, 0) + stability_pool.collateral_gain_down(pool, held[name])
        if "deposit" in event:
            pool, held[name] = stability_pool.deposit(pool, scaled(amount, WAD), held.get(name))
            continue
        wish = pool.total if amount is None else scaled(amount, WAD)
        pool, held[name], left[name] = stability_pool.withdraw(params, pool, held[name], wish)
        if held[name].amount == 0:
            del held[name]
    found: dict[str, Fraction] = {}
    for name in {**left, **held}:
        mine = held.get(name)
        earned = 0 if mine is None else stability_pool.collateral_gain_down(pool, mine)
        amount = left[name] if mine is None else stability_pool.compounded_down(pool, mine)
        found[f"{name}_deposit"] = Fraction(amount, WAD)
        found[f"{name}_gain"] = Fraction(gains.get(name, 0) + earned, WAD)
    return found, products


def _liquity_deposits(inputs: Inputs) -> Any:
    return _stability_pool(inputs)[0]


def _liquity_products(inputs: Inputs) -> Any:
    return _stability_pool(inputs)[1]


def _liquity_v2_liquidate(inputs: Inputs) -> Any:
    params = troves.Params(
        scaled(inputs["penalty_sp"], WAD),
        scaled(inputs["penalty_redistribution"], WAD),
        integer(inputs["gas_comp_divisor"]),
        scaled(inputs["gas_comp_cap"], WAD),
    )
    split = troves.split(params, *(scaled(inputs[name], WAD) for name in ("debt", "coll", "sp", "price")))
    amounts = {
        "debt_offset": split.debt_offset,
        "gas_comp": split.gas_compensation,
        "coll_to_sp": split.collateral_to_pool,
        "coll_surplus": split.surplus,
        "debt_redistributed": split.debt_redistributed,
        "coll_redistributed": split.collateral_redistributed,
    }
    return {name: Fraction(amount, WAD) for name, amount in amounts.items()}


def _liquity_base_rate(inputs: Inputs) -> Any:
    params = base_rate.Params(minute_decay_factor_e18=integer(inputs["minute_decay_factor"]))
    rate = base_rate.decayed_e18_down(params, scaled(inputs["base_rate"], WAD), integer(inputs["minutes"]))
    return {"base_rate": Fraction(rate, WAD)}


# Curve


def _curve_edges(inputs: Inputs) -> tuple[int, int]:
    A, n, base = integer(inputs["A"]), integer(inputs["n"]), scaled(inputs["base_price"], WAD)
    return crvusd.upper_price_e18_down(A, base, n), crvusd.lower_price_e18_down(A, base, n)


def _curve_bounds(inputs: Inputs) -> Any:
    upper, lower = _curve_edges(inputs)
    return {"p_up": Fraction(upper, WAD), "p_down": Fraction(lower, WAD)}


def _curve_current(inputs: Inputs) -> Any:
    oracle = scaled(inputs["oracle_price"], WAD)
    names = ("p_current_down", "p_current_up")
    prices = (crvusd.amm_price_e18_down(oracle, edge) for edge in _curve_edges(inputs))
    return {name: Fraction(price, WAD) for name, price in zip(names, prices, strict=True)}


def _curve_effective(inputs: Inputs) -> Any:
    """The suite leaves the discount for unowned shares away."""
    collateral, discount = (scaled(inputs[name], WAD) for name in ("collateral", "discount"))
    bands, A = integers(inputs, "N", "A")
    effective = crvusd.effective_collateral_down(collateral, bands, discount, A, dead_shares=0)
    return {"y_effective": Fraction(effective, WAD)}


def _curve_hyperbolic(inputs: Inputs) -> Any:
    names = ("target_utilization", "low_ratio", "high_ratio")
    curve = hyperbolic.curve_through(hyperbolic.Params(*(scaled(inputs[name], WAD) for name in names)))
    rate = hyperbolic.rate_e18(curve, scaled(inputs["utilization"], WAD), WAD)
    return {"rate_over_r0": Fraction(rate, WAD)}


def _curve_apr(inputs: Inputs) -> Any:
    return {"apr": hyperbolic.rate_annual_e18(integer(inputs["rate_per_second"]))}


FUNCTIONS: dict[str, dict[str, Function]] = {
    "maker_auction_curves": {curve: _maker_price(curve) for curve in clipper.CURVES},
    "maker_clip_dog": {
        "take": _maker_take,
        "bark": _maker_bark,
        "kick_reward": _maker_kick_reward,
        "redo_reward": _maker_redo_reward,
        "needs_redo": _maker_needs_redo,
    },
    "liquity_stability_pool": {
        "stability_pool": _liquity_deposits,
        "stability_pool_P": _liquity_products,
        "v2_liquidate": _liquity_v2_liquidate,
        "base_rate_decay": _liquity_base_rate,
    },
    "crvusd_llamma": {
        "band_bounds": _curve_bounds,
        "band_current_price": _curve_current,
        "y_effective": _curve_effective,
        "hyperbolic_rate_multiple": _curve_hyperbolic,
        "apr": _curve_apr,
    },
}
"""suite -> fn -> function of a vector's inputs."""
