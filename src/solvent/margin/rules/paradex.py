"""Paradex: initial margin fraction of perpetuals in cross margin; portfolio margin over 24 weighted scenarios.

Numeraire: USD (USDC collateral only). Account value is collateral plus unrealised profit, which counts in full;
an order is checked as if filled at its price. Breach: liquidated iff account value < maintenance requirement
(strict); an order passes iff account value >= initial requirement. Rounding: reals.
Unpublished parts are named in `UNPUBLISHED`.
Source: Paradex docs, risk/paradex-risk-checks, risk/portfolio-margin.
"""

import math
from collections.abc import Sequence

import msgspec

UNPUBLISHED = (
    "forecast of funding over eight hours in the funding provision",
    "price steps between the edges of the regular scenarios: here even steps",
)


class Scenario(msgspec.Struct, frozen=True):
    """One joint move; the loss counts at `weight`."""

    spot_move: float
    vol: str
    """`up`, `none` or `down`."""
    weight: float = 1.0


def default_scenarios() -> tuple[Scenario, ...]:
    """+-16 % and between, with vol up and down, and far moves with vol up at weight 0.16 / |move|."""
    regular = tuple(
        Scenario(move, vol) for move in (-0.16, -0.12, -0.08, -0.04, 0.04, 0.08, 0.12, 0.16) for vol in ("up", "down")
    )
    weights = (
        (-0.66, 0.24),
        (-0.33, 0.48),
        (0.5, 0.32),
        (1.0, 0.16),
        (2.0, 0.08),
        (3.0, 0.0533),
        (4.0, 0.04),
        (5.0, 0.032),
    )
    return regular + tuple(Scenario(move, "up", weight) for move, weight in weights)


class PortfolioParams(msgspec.Struct, frozen=True):
    """Portfolio margin settings of one underlying."""

    scenarios: tuple[Scenario, ...] = default_scenarios()
    vol_up: float = 0.40
    vol_down: float = 0.22
    vega_power: float = 0.30
    days_floor: float = 1.0
    net_delta_rate: float = 0.02
    hedged_delta_rate: float = 0.01
    maintenance_fraction: float = 0.5


class InitialCheck(msgspec.Struct, frozen=True):
    """Account after a hypothetical fill, USD."""

    initial_requirement: float
    unrealised_profit: float
    account_value: float
    passes: bool


class Deltas(msgspec.Struct, frozen=True):
    """Deltas of one underlying in units: net, gross, and the part that hedges itself."""

    net: float
    gross: float
    hedged: float


def initial_margin_check(
    collateral: float, size: float, order_price: float, mark: float, initial_fraction: float
) -> InitialCheck:
    """Whether an order of `size` (signed) at `order_price` passes: value after the fill >= fraction of notional."""
    profit = size * (mark - order_price)
    requirement = abs(size) * mark * initial_fraction
    value = collateral + profit
    return InitialCheck(requirement, profit, value, value >= requirement)


def split_deltas(deltas: Sequence[float]) -> Deltas:
    """Net sum, gross sum, and hedged = (gross - |net|) / 2."""
    net, gross = sum(deltas), sum(abs(delta) for delta in deltas)
    return Deltas(net, gross, (gross - abs(net)) / 2.0)


def minimum_delta_requirement(deltas: Deltas, spot_usd: float, params: PortfolioParams) -> float:
    """(rate |net delta| + rate hedged delta) spot, USD: the floor of portfolio margin."""
    return (abs(deltas.net) * params.net_delta_rate + deltas.hedged * params.hedged_delta_rate) * spot_usd


def vol_factor(vol: str, days: float, params: PortfolioParams) -> float:
    """Factor on implied vol: 1 +- shock (30 / max(floor, days))^power, not below zero."""
    shock = {"up": params.vol_up, "none": 0.0, "down": -params.vol_down}[vol]
    return max(0.0, 1.0 + shock * math.pow(30.0 / max(params.days_floor, days), params.vega_power))


def scan_risk(profits: Sequence[float], params: PortfolioParams) -> float:
    """Largest weighted loss over the scenarios, at least zero; `profits` in the scenarios' order, USD."""
    return max(0.0, *(-profit * each.weight for profit, each in zip(profits, params.scenarios, strict=True)))


def portfolio_margins(
    scan: float, minimum_delta: float, funding_provision: float, fee_provision: float, params: PortfolioParams
) -> tuple[float, float]:
    """(initial, maintenance) requirement, USD: the greater of scan risk and floor, half of it in maintenance.

    Funding and fee provisions are added to both in full.
    """
    net = max(scan, minimum_delta)
    provisions = funding_provision + fee_provision
    return net + provisions, params.maintenance_fraction * net + provisions
