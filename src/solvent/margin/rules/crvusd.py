"""crvUSD and LlamaLend: collateral lies in price bands of an AMM that sells it as the price falls through them.

Numeraire: the borrowed stablecoin, 1e-18. Equity is positive: value of what the bands hold less debt. Unsettled
profit: none; what the AMM has converted stands in x. Breach is strict: health below 0, where health =
x_down (1 - liquidation discount) / debt - 1. Rounding: prices, x_down and health down.
Band prices are exact powers rounded down; the contract approximates the exponential to about 1e-17 relative.
Source: curvefi/curve-stablecoin, curve_stablecoin/AMM.vy, curve_stablecoin/controller.vy.
"""

import math
from collections.abc import Iterable
from math import isqrt

import msgspec

from solvent.domain.quantities import div_up, mul_div_down
from solvent.pools.fixed_point import WAD

EXPONENT_LEAST, EXPONENT_MOST = -42.139678854452767551, 135.305999368893231589
"""Logarithms of a band's price over the base price that the contract can represent."""
DEAD_SHARES = 1000
"""Shares that no one owns in each band; the controller discounts for what they can cost."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One market."""

    A: int = 100
    """Amplification: a band spans 1/A of its price."""
    base_price_e18: int = 3000 * WAD
    """Upper price of band 0."""
    loan_discount_e18: int = 9 * WAD // 100
    liquidation_discount_e18: int = 6 * WAD // 100
    bands_least: int = 4
    bands_most: int = 50


class Band(msgspec.Struct, frozen=True):
    """What an account holds in one band."""

    n: int
    x: int
    """Stablecoin, 1e-18."""
    y: int
    """Collateral, 1e-18."""


def upper_price_e18_down(A: int, base_price_e18: int, n: int) -> int:
    """base ((A - 1) / A)^n: the oracle price at which band `n` starts to sell.

    Raises
    ------
    ValueError
        For a band whose price over the base leaves the range of the contract's exponential.
    """
    if not EXPONENT_LEAST < n * math.log1p(-1 / A) < EXPONENT_MOST:
        raise ValueError(f"a band nearer to 0 than {n}")
    shrinks, grows = (A - 1, A) if n >= 0 else (A, A - 1)
    return mul_div_down(base_price_e18, int(shrinks ** abs(n)), int(grows ** abs(n)))


def lower_price_e18_down(A: int, base_price_e18: int, n: int) -> int:
    """The oracle price at which band `n` is sold out: upper price of the next band."""
    return upper_price_e18_down(A, base_price_e18, n + 1)


def amm_price_e18_down(oracle_price_e18: int, edge_price_e18: int) -> int:
    """p^3 / edge^2: price of the AMM at a band's edge, cubic in the oracle price.

    With the upper edge this is the band's lowest AMM price, with the lower edge its highest.
    """
    return oracle_price_e18**2 // edge_price_e18 * oracle_price_e18 // edge_price_e18


def band_root_e18_down(A: int) -> int:
    """sqrt(A / (A - 1)), 1e-18."""
    return isqrt(10**36 * A // (A - 1))


def effective_collateral_down(
    collateral: int, bands: int, discount_e18: int, A: int, dead_shares: int = DEAD_SHARES
) -> int:
    """Collateral that is worth the same at the top band's upper price as all of it sold through its bands.

    Parameters
    ----------
    collateral : int
        1e-18 units.
    bands : int
        Number of bands that it is spread over, 4 to 50.
    discount_e18 : int
        Loan or liquidation discount.
    dead_shares : int
        0 leaves the discount for unowned shares away.

    Notes
    -----
    y / N sqrt((A - 1) / A) sum_k ((A - 1) / A)^k (1 - discount): controller.vy, _get_y_effective.
    """
    extra = dead_shares * WAD // max(collateral // bands, dead_shares) if dead_shares else 0
    kept = WAD - min(discount_e18 + extra, WAD)
    slice_down = mul_div_down(collateral, kept, band_root_e18_down(A) * bands)
    total = slice_down
    for _ in range(bands - 1):
        slice_down = mul_div_down(slice_down, A - 1, A)
        total += slice_down
    return total


def maximum_debt_down(effective_collateral: int, top_price_e18: int) -> int:
    """Debt that an effective collateral bears with its first band at `top_price_e18`."""
    return mul_div_down(effective_collateral, top_price_e18, WAD)


def band_depth_down(A: int, x: int, y: int, oracle_price_e18: int, upper_e18: int) -> int:
    """y0 of a band: collateral that it would hold with no stablecoin at the oracle price on its upper edge.

    Root of p A y0^2 - y0 ((A - 1) p_up / p x + A p^2 / p_up y) - x y = 0.
    """
    b = upper_e18 * (A - 1) * x // oracle_price_e18 + A * oracle_price_e18**2 // upper_e18 * y // WAD
    if x and y:
        root = isqrt(b * b + 4 * A * oracle_price_e18 * y // WAD * x)
        return (b + root) * WAD // (2 * A * oracle_price_e18)
    return b * WAD // (A * oracle_price_e18)


def band_stablecoin_down(params: Params, band: Band, oracle_price_e18: int) -> int:
    """Stablecoin that a band yields: traded to the oracle price, then sold slowly to its lower edge."""
    A, p = params.A, oracle_price_e18
    upper = upper_price_e18_down(A, params.base_price_e18, band.n)
    lower = lower_price_e18_down(A, params.base_price_e18, band.n)
    if band.x == 0 and band.y == 0:
        return 0
    depth = band_depth_down(A, band.x, band.y, p, upper)
    f = A * depth * p // upper * p // WAD
    g = (A - 1) * depth * upper // p
    invariant = (f + band.x) * (g + band.y)
    if g == 0 or f == 0:
        return band.x
    if p > upper:
        return mul_div_down(max(invariant // f - g, 0), upper, band_root_e18_down(A))
    if p < lower:
        return max(invariant // g - f, 0)
    y_at_oracle = max(isqrt(invariant * WAD // p), g) - g
    x_at_oracle = max(invariant // (g + y_at_oracle) - f, 0)
    return x_at_oracle + mul_div_down(y_at_oracle, isqrt(lower * p), WAD)


def stablecoin_down(params: Params, bands: Iterable[Band], oracle_price_e18: int) -> int:
    """x_down: stablecoin that all bands of an account yield."""
    return sum(band_stablecoin_down(params, band, oracle_price_e18) for band in bands)


def health_e18_down(stablecoin: int, debt: int, liquidation_discount_e18: int) -> int:
    """x_down (1 - discount) / debt - 1, floor; `debt` above 0."""
    return mul_div_down(stablecoin, WAD - liquidation_discount_e18, debt) - WAD


def is_liquidatable(health_e18: int) -> bool:
    """Health below 0, strictly."""
    return health_e18 < 0


def debt_up(initial_debt: int, rate_multiplier: int, initial_multiplier: int) -> int:
    """Debt with interest, ceiling (controller.vy, _debt)."""
    return div_up(initial_debt * rate_multiplier, initial_multiplier)
