"""crvUSD and LlamaLend: collateral lies in price bands of an AMM that sells it as the price falls through them.

Numeraire: the borrowed stablecoin, 1e-18. Equity is positive: value of what the bands hold less debt. Unsettled
profit: none; what the AMM has converted stands in x. Breach is strict: health below 0, where health =
x_down (1 - liquidation discount) / debt - 1. Rounding: prices, x_down and health down.
Band prices are exact powers rounded down; the contract approximates the exponential to about 1e-17 relative.
Source: curvefi/curve-stablecoin, curve_stablecoin/AMM.vy, curve_stablecoin/controller.vy.
"""

import math
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from math import isqrt
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.quantities import div_up, fraction_down, mul_div_down
from solvent.errors import Problem, problem
from solvent.margin.rules.kernel_lending import Totals
from solvent.margin.rules.lending import (
    LendingParams,
    LendingRule,
    LoanMarket,
    Position,
    Shared,
    Terms,
    Weighed,
    wad_down,
    wad_up,
)
from solvent.pools.fixed_point import WAD

F64 = NDArray[np.float64]

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


def first_band(params: Params, effective_collateral: int, debt: int) -> int:
    """The lowest band whose upper price still bears a debt: where the controller puts the top of a new loan.

    Raises
    ------
    ValueError
        Where no band that the contract can represent does.
    """
    A, base = params.A, params.base_price_e18
    if effective_collateral <= 0:
        raise ValueError("more collateral: it is lost in rounding")
    ratio = math.log(effective_collateral) + math.log(base) - math.log(debt) - math.log(WAD)
    n = math.floor(-ratio / math.log1p(-1 / A))

    def bears(n: int) -> bool:
        return maximum_debt_down(effective_collateral, upper_price_e18_down(A, base, n)) >= debt

    while not bears(n):
        n -= 1
    while bears(n + 1):
        n += 1
    return n


def full_health_e18_down(params: Params, collateral: int, debt: int, bands: int, price_e18: int) -> int:
    """Health of a loan whose collateral lies unsold in its bands, the price above them included.

    health = x_down (1 - liquidation discount) / debt - 1 + (p - p_up(n1))+ y / debt, each term floored: what
    liquidation asks for (controller.vy, _health with `full`).
    """
    top = first_band(params, effective_collateral_down(collateral, bands, params.loan_discount_e18, params.A), debt)
    each = collateral // bands
    held = [Band(top, 0, collateral - each * (bands - 1)), *(Band(top + k, 0, each) for k in range(1, bands))]
    health = health_e18_down(stablecoin_down(params, held, price_e18), debt, params.liquidation_discount_e18)
    above = price_e18 - upper_price_e18_down(params.A, params.base_price_e18, top)
    return health + max(above, 0) * collateral // debt


class Market(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collateral's market."""

    base_price: Decimal
    """Upper price of band 0, in the loan asset."""
    A: int = 100
    loan_discount: Decimal = Decimal("0.09")
    liquidation_discount: Decimal = Decimal("0.06")
    bands: int = 10
    """That a loan's collateral is spread over."""

    @property
    def exact(self) -> Params:
        """In the contract's integers."""
        rates = (int(x * WAD) for x in (self.base_price, self.loan_discount, self.liquidation_discount))
        return Params(self.A, *rates)


class CrvusdParams(LendingParams, frozen=True):
    """Markets by spot id of their collateral."""

    markets: dict[str, Market]
    loan: str = "CRVUSD"
    """Spot id of the asset that all of them lend."""


class Crvusd(LendingRule):
    """The rule; see the module.

    A book says how much an account holds and owes, not in which bands: here they are those that the controller
    gives a loan of that size, and nothing has been sold in them. So a price below them is one that no trade has
    followed yet, which is where health falls fastest. A loan can be taken up to what the collateral bears with its
    first band at the price.
    """

    name: ClassVar[str] = "crvusd"
    Params: ClassVar[type[msgspec.Struct]] = CrvusdParams
    homogeneous: ClassVar[bool] = False
    isolated: ClassVar[bool] = True
    weight_one: ClassVar[int] = WAD
    weight_names: ClassVar[tuple[str, str]] = (
        "x_down less liquidation discount",
        "band at the price less loan discount",
    )
    ratio_name: ClassVar[str] = "health"

    def check_own(self, params: Any) -> list[Problem]:
        """What the contract's factory would refuse."""
        return [
            problem("policy margin", None, f"markets.{id}", str(x),
                    "base_price > 0, A 2 to 10000, 0 < liquidation_discount < loan_discount < 1, bands 4 to 50")
            for id, x in params.markets.items()
            if not (x.base_price > 0 and 2 <= x.A <= 10_000 and 4 <= x.bands <= 50
                    and 0 < x.liquidation_discount < x.loan_discount < 1)
        ]  # fmt: skip

    def markets(self, params: Any, now_s: int) -> list[LoanMarket]:
        """One loan asset; a hard liquidation takes what the bands hold for the debt."""
        rows = {
            id: Terms(1 - Fraction(x.liquidation_discount), 1 - Fraction(x.loan_discount))
            for id, x in params.markets.items()
        }
        return [LoanMarket((params.loan,), rows)]

    def weighed(self, shared: Shared, position: Position, initial: bool) -> Weighed:
        """Health in 1e-18 of the debt."""
        (loan, atoms), fixed = position.owed[0], shared.fixed
        debt = wad_up(shared, loan, atoms)
        scale = shared.price[loan] * debt / WAD**2
        rows = []
        for i, n in position.pledged:
            market = fixed.params.markets[fixed.universe[i].id]
            params, collateral = market.exact, wad_down(shared, i, n)
            price = oracle_price_e18(shared, i, loan)
            try:
                health = full_health_e18_down(params, collateral, debt, market.bands, price)
            except ValueError:  # no band of the contract bears the debt, or none is that far off
                health = -WAD if collateral * price < debt * WAD else collateral * price // debt - WAD
            if initial:
                effective = effective_collateral_down(collateral, market.bands, params.loan_discount_e18, params.A)
                health = min(health, maximum_debt_down(effective, price) * WAD // debt - WAD)
            rows.append((i, health + WAD))
        return Weighed(scale, rows, [(loan, WAD)])

    def grain_usd(self, shared: Shared, market: int) -> float:
        """A thousand atoms of 1e-18 of loan asset in the bands' roundings."""
        return max((float(1000 * shared.price[i] / WAD) for i in shared.fixed.lender), default=0.0)

    def reweighed(self, shared: Shared, sums: Totals) -> Totals:
        """The same of a book: what the bands of each account yield."""
        fixed = shared.fixed
        maintenance, initial, band = sums.maintenance.copy(), sums.initial.copy(), sums.band.copy()
        for loan in fixed.lender:
            unit = float(shared.price[loan])
            for i in fixed.terms[fixed.lender[loan]]:
                mine = np.flatnonzero((sums.asset == i) & (sums.owed > 0))
                market = fixed.params.markets[fixed.universe[i].id]
                price = oracle_price_e18(shared, i, loan) / WAD
                coins, debt = sums.pledged[mine] / float(shared.price[i]), sums.owed[mine] / unit
                found = band_values(market, coins, debt, price)
                maintenance[mine], initial[mine] = found.maintenance * unit, found.initial * unit
                band[mine] = np.where(found.certain, band[mine] * (100 * market.A), np.inf)
        return sums._replace(maintenance=maintenance, initial=initial, band=band)

    def venue_ratio(self, sums: Totals) -> F64:
        """Health: liquidatable below 0."""
        return np.where(sums.owed > 0, sums.maintenance / np.where(sums.owed > 0, sums.owed, 1) - 1, np.inf)

    def toxic(self, terms: Terms) -> Fraction | float:
        """A hard liquidation repays the debt and takes everything: it always ends the loan."""
        return Fraction(1)


class BandValues(msgspec.Struct, frozen=True, eq=False):
    """What the bands of each account bear, in the loan asset."""

    maintenance: F64
    initial: F64
    certain: NDArray[np.bool_]
    """False where rounding may put a loan into the next band."""


def oracle_price_e18(shared: Shared, collateral: int, loan: int) -> int:
    """Price of collateral in the loan asset, floor."""
    return fraction_down(shared.price[collateral] / shared.price[loan], WAD)


def band_values(market: Market, collateral: F64, debt: F64, price: float) -> BandValues:
    """`full_health_e18_down` + 1 of many loans in floats, times debt.

    collateral, debt : (n,) coins. price : loan asset of a coin.
    """
    A, N, base = market.A, market.bands, float(market.base_price)
    shrink, root = 1 - 1 / A, math.sqrt(A / (A - 1))
    dead = DEAD_SHARES / np.maximum(np.floor(collateral / N * 1e18), DEAD_SHARES)
    kept = 1 - np.minimum(float(market.loan_discount) + dead, 1.0)
    effective = collateral * kept / (root * N) * (1 - shrink**N) * A
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        exponent = np.log(effective * base / debt) / -math.log(shrink)
        top = np.floor(exponent)
        within = (exponent * math.log(shrink) > EXPONENT_LEAST + 1) & (exponent * math.log(shrink) < EXPONENT_MOST - 1)
        certain = within & (np.abs(exponent - np.round(exponent)) > 1e-9)
        upper = base * shrink**top
        value = np.zeros(len(collateral))
        for k in range(N):
            value += _band_value(collateral / N, price, upper * shrink**k, upper * shrink ** (k + 1), A)
        value *= 1 - float(market.liquidation_discount)
        value += np.maximum(price - upper, 0) * collateral
    value = np.where(within, value, collateral * price)
    return BandValues(value, np.minimum(value, effective * price), certain)


def _band_value(y: F64, price: float, upper: F64, lower: F64, A: int) -> F64:
    """`band_stablecoin_down` of bands with no stablecoin in them."""
    g = (A - 1) * y
    f = A * y * price**3 / upper**2
    kept = np.maximum(np.sqrt(f * A * y / price) - g, 0)
    sold = np.maximum(f * A * y / (g + kept) - f, 0)
    inside = sold + kept * np.sqrt(lower * price)
    above = y * upper / math.sqrt(A / (A - 1))
    return np.where(price > upper, above, np.where(price < lower, f / (A - 1), inside))
