"""What each lending protocol would say of an account, straight from its own functions."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from tests.margin.rules.lending_worlds import PRICES, UNIVERSE

from solvent.margin.rules import (
    aave_v3,
    aave_v4,
    compound_v3,
    crvusd,
    euler_v2,
    gearbox_v3,
    liquity,
    maker,
    morpho_blue,
    silo_v2,
)
from solvent.pools.fixed_point import BPS, RAY, WAD

Rows = list[tuple[str, int]]
"""(id, atoms above 0) of what is held or owed; every function takes both and the policy's parameters."""


def e(id: str, digits: int) -> int:
    """Price in 10**-digits USD."""
    return int(Fraction(PRICES[id]) * 10**digits)


def unit(id: str) -> int:
    each: Any = UNIVERSE[UNIVERSE.index(id)]
    return int(10**each.decimals)


def wad(id: str, atoms: int) -> int:
    return atoms * WAD // unit(id)


def aave3(held: Rows, owed: Rows, p: Any) -> bool:
    bps = {id: int(x.liquidation_threshold * BPS) for id, x in p.reserves.items()}
    collateral = [aave_v3.Collateral(n, e(id, 8), unit(id), bps.get(id, 0)) for id, n in held]
    debt = [aave_v3.Debt(n, e(id, 8), unit(id)) for id, n in owed]
    return aave_v3.is_liquidatable(aave_v3.account_health_factor_e18_down(collateral, debt))


def aave4(held: Rows, owed: Rows, p: Any) -> bool:
    factor = {id: int(x.collateral_factor * BPS) for id, x in p.reserves.items()}
    rows = [(aave_v4.collateral_value_down(n, e(id, 8), unit(id)), factor.get(id, 0)) for id, n in held]
    debt = sum(aave_v4.debt_value_up(n, e(id, 8), unit(id)) for id, n in owed)
    return aave_v4.is_liquidatable(aave_v4.health_factor_e18_down(rows, debt))


def comet(held: Rows, owed: Rows, p: Any) -> bool:
    if not owed:
        return False
    (base, debt) = owed[0]
    assets = p.comets[base]
    rows = [
        compound_v3.Holding(n, e(id, 8), unit(id), int(assets[id].liquidate_collateral_factor * WAD))
        for id, n in held
        if id in assets
    ]
    return compound_v3.is_liquidatable(-debt, e(base, 8), unit(base), rows)


def morpho(held: Rows, owed: Rows, p: Any) -> bool:
    if not owed:
        return False
    loan, debt = owed[0]
    taken = [(id, n) for id, n in held if id in p.markets[loan]]
    if not taken:
        return debt > 0
    id, collateral = taken[0]
    price = Fraction(PRICES[id]) / unit(id) / (Fraction(PRICES[loan]) / unit(loan)) * 10**36
    return morpho_blue.is_liquidatable(debt, collateral, int(price), int(p.markets[loan][id] * WAD))


def euler(held: Rows, owed: Rows, p: Any) -> bool:
    if not owed:
        return False
    loan, debt = owed[0]
    ltv = {id: int(x.liquidation_ltv * BPS) for id, x in p.vaults[loan].items()}
    rows = [euler_v2.Holding(n, e(id, 36) // unit(id), ltv[id]) for id, n in held if id in ltv]
    return euler_v2.is_liquidatable(
        euler_v2.adjusted_value_down(rows), euler_v2.value_down(debt, e(loan, 36) // unit(loan))
    )


def dss(held: Rows, owed: Rows, p: Any) -> bool:
    taken = [(id, n) for id, n in held if id in p.ilks]
    if not owed:
        return False
    art = sum(wad(id, n) for id, n in owed)
    id, ink = taken[0]
    mat = int(p.ilks[id].liquidation_ratio * RAY)
    return maker.is_liquidatable(wad(id, ink), maker.spot_ray_down(e(id, 27), mat), art, RAY)


def trove(held: Rows, owed: Rows, p: Any) -> bool:
    if not owed:
        return False
    id, n = next((id, n) for id, n in held if id in p.branches)
    branch = p.branches[id]
    debt = sum(wad(id, n) for id, n in owed)
    system = getattr(p, "system_ratio", None)
    params = liquity.Params(
        mcr_e18=int(branch.minimum_ratio * WAD), ccr_e18=int(branch.critical_ratio * WAD),
        has_recovery_mode=system is not None,
    )  # fmt: skip
    ratio = liquity.collateral_ratio_e18_down(wad(id, n), debt, e(id, 18))
    pool = int(getattr(p, "stability_pool", 0) * WAD)
    return liquity.is_liquidatable(params, ratio, int((system or 10) * WAD), debt, pool)


def llamma(held: Rows, owed: Rows, p: Any) -> bool:
    if not owed:
        return False
    loan, debt = owed[0]
    id, n = next((id, n) for id, n in held if id in p.markets)
    market = p.markets[id]
    price = int(Fraction(PRICES[id]) / Fraction(PRICES[loan]) * WAD)
    try:
        health = crvusd.full_health_e18_down(market.exact, wad(id, n), wad(loan, debt), market.bands, price)
    except ValueError:
        return wad(id, n) * price < wad(loan, debt) * WAD
    return crvusd.is_liquidatable(health)


def silo(held: Rows, owed: Rows, p: Any) -> bool:
    if not owed:
        return False
    loan, debt = owed[0]
    id, n = next((id, n) for id, n in held if id in p.silos[loan])
    ltv = silo_v2.ltv_e18_up(debt * e(loan, 18) // unit(loan), n * e(id, 18) // unit(id))
    return silo_v2.is_liquidatable(ltv, int(p.silos[loan][id].liquidation_threshold * WAD))


def gearbox(held: Rows, owed: Rows, p: Any) -> bool:
    if not owed:
        return False
    loan, debt = owed[0]
    tokens = p.managers[loan]
    rows = []
    for id, n in held:
        if id in tokens:
            value = n * e(id, 8) * unit(loan) // (e(loan, 8) * unit(id))
            rows.append((value, int(tokens[id].liquidation_threshold * BPS), 2**255))
    return gearbox_v3.is_liquidatable(gearbox_v3.weighted_value_down(rows), debt)


VERDICTS: dict[str, Callable[[Rows, Rows, Any], bool]] = {
    "aave-v3": aave3, "aave-v4": aave4, "compound-v3": comet, "morpho-blue": morpho, "euler-v2": euler, "maker": dss,
    "liquity-v1": trove, "liquity-v2": trove, "crvusd": llamma, "silo-v2": silo, "gearbox-v3": gearbox,
}  # fmt: skip
