"""OKX portfolio margin: stress losses MR1-MR6 of a risk unit, minimum charge MR7, borrowing MR8, depeg MR9.

Numeraire: USD. Equity is adjusted equity (discounted balances plus unrealised profit); profit counts in full.
MMR = max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, MR7) + MR8 + MR9; IMR = 1.3 MMR. Breach: liquidated iff
margin ratio adjusted equity / (MMR + liquidation cost) <= 100 % (not strict). Rounding: reals.
Unpublished parts are named in `UNPUBLISHED`; here they are arguments, never guessed.
Source: OKX help centre, portfolio margin mode; announcements of Dec 2021, Dec 2024 and Jan 2025.
"""

from collections.abc import Mapping, Sequence

import msgspec

from solvent.margin.rules.brackets import Bracket, charge, from_uppers

UNPUBLISHED = (
    "MR2: horizon of the theta decay",
    "MR3: vega coefficients by term",
    "MR5: rate shock by term",
    "MR7: slippage coefficients of the raw minimum charge",
    "liquidation cost in the margin ratio",
)


class Params(msgspec.Struct, frozen=True):
    """Published parameters of one risk unit; defaults are BTC and ETH, January 2025."""

    price_moves: tuple[float, ...] = (-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12)
    """MR1, each with vol down, same and up: 21 scenarios."""
    extreme_moves: tuple[float, ...] = (-0.24, 0.24)
    extreme_fraction: float = 0.5
    """MR6 counts this share of the extreme loss."""
    annualised_move_risk: float = 0.05
    basis_move_min: float = 0.0
    """MR4: |delta| max(minimum, risk x years) by expiry."""
    minimum_charge_tiers: tuple[Bracket, ...] = from_uppers(
        (1e4, 7e4, 1.7e5, 3e5, 4.7e5, 7e5), (1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0)
    )
    depeg_tiers: tuple[Bracket, ...] = from_uppers((1e6, 5e6), (0.0075, 0.0175, 0.025))
    initial_factor: float = 1.3


class StressLosses(msgspec.Struct, frozen=True):
    """Terms of one risk unit, USD, each at least zero."""

    mr1_spot_shock: float = 0.0
    mr2_theta_decay: float = 0.0
    mr3_vega: float = 0.0
    mr4_basis: float = 0.0
    mr5_rate: float = 0.0
    mr6_extreme_move: float = 0.0
    mr7_minimum_raw: float = 0.0

    @property
    def stress(self) -> float:
        """max(MR1, MR2, MR6) + MR3 + MR4 + MR5."""
        worst = max(self.mr1_spot_shock, self.mr2_theta_decay, self.mr6_extreme_move)
        return worst + self.mr3_vega + self.mr4_basis + self.mr5_rate


def worst_loss(profits: Sequence[float]) -> float:
    """Largest loss of a scenario grid, at least zero (MR1)."""
    return max(0.0, *(-profit for profit in profits))


def extreme_loss(profits: Sequence[float], params: Params) -> float:
    """MR6: the stated share of the larger loss over the extreme moves."""
    return params.extreme_fraction * worst_loss(profits)


def basis_risk(delta_usd_by_years: Mapping[float, float], params: Params) -> float:
    """MR4: sum over expiries of |delta| max(minimum move, annualised risk x years), USD."""
    return sum(
        abs(delta) * max(params.basis_move_min, params.annualised_move_risk * years)
        for years, delta in delta_usd_by_years.items()
    )


def minimum_charge(raw_usd: float, tiers: Sequence[Bracket]) -> float:
    """MR7: the raw charge with marginal multipliers by size."""
    return charge(raw_usd, tiers)


def depeg_risk(hedge_usd: float, tiers: Sequence[Bracket]) -> float:
    """MR9: marginal rates on the amount hedged across stablecoins and USD."""
    return charge(hedge_usd, tiers)


def cross_currency_hedge(cash_delta_usd: Mapping[str, float]) -> float:
    """Amount that positions in one stablecoin (or USD) hedge in another: the lesser of long and short deltas."""
    longs = sum(max(0.0, delta) for delta in cash_delta_usd.values())
    shorts = sum(max(0.0, -delta) for delta in cash_delta_usd.values())
    return min(longs, shorts)


def unit_maintenance_margin(losses: StressLosses, params: Params) -> float:
    """Derivatives margin of one risk unit, USD: the stress terms, at least the tiered minimum charge."""
    return max(losses.stress, minimum_charge(losses.mr7_minimum_raw, params.minimum_charge_tiers))


def account_margins(
    units: Sequence[StressLosses], borrow_margin: float, depeg_hedge_usd: float, params: Params
) -> tuple[float, float]:
    """(initial, maintenance) margin of an account, USD: risk units, MR8 `borrow_margin` and MR9 add up."""
    maintenance = sum(unit_maintenance_margin(unit, params) for unit in units)
    maintenance += borrow_margin + depeg_risk(depeg_hedge_usd, params.depeg_tiers)
    return params.initial_factor * maintenance, maintenance


def margin_ratio(adjusted_equity: float, maintenance: float, liquidation_cost: float) -> float:
    """Adjusted equity / (MMR + liquidation cost); +-inf by the sign of equity where nothing is required."""
    required = maintenance + liquidation_cost
    if required == 0:
        return float("inf") if adjusted_equity >= 0 else float("-inf")
    return adjusted_equity / required
