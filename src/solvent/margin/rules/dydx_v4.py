"""dYdX v4 cross margin: a fraction of notional per perpetual, the initial one growing with open interest.

Numeraire: quote quantums, integers of 1e-6 USD. Equity is net collateral: the quote balance (which carries
unsettled profit as entry cost) plus net notional at the oracle price. Unsettled profit counts in full.
Breach: liquidatable iff maintenance requirement > 0 and net collateral < it (strict); an update passes iff
net collateral >= initial requirement. Rounding: notional truncates toward zero, the fraction rises in whole
parts per million, requirements round up.
Unpublished: nothing.
As a Statement: equity = net collateral, IM and MM are the requirements, all USD assets counting as the quote
currency at par; an account that nothing is required of is not liquidatable, so its MM is min(0, equity).
Source: dydxprotocol/v4-chain, protocol/x/perpetuals/lib/lib.go, protocol/x/perpetuals/types/liquidity_tier.go,
protocol/lib/margin.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from solvent.domain.instruments import Perpetual
from solvent.domain.quantities import MICRO, mul_div_up
from solvent.domain.universe import LINEAR, Universe
from solvent.errors import Problem
from solvent.margin.rules.rows import Held, found_in
from solvent.margin.rules.venue import (
    Addend,
    Addends,
    Block,
    Figures,
    PreparedVenue,
    VenueRule,
    checked,
    digits,
    total,
    unlisted,
)

PPM = 1_000_000
QUOTE_ATOMIC_RESOLUTION = -6
"""A quote quantum is 10^-6 USD."""


class LiquidityTier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Margin parameters that markets share; defaults: the large-cap tier of the chain's genesis."""

    im_ppm: int = 50_000
    maintenance_fraction_ppm: int = 600_000
    """Maintenance requirement as a fraction of the base initial requirement."""
    open_interest_lower_cap: int = 0
    open_interest_upper_cap: int = 0
    """Quote quantums. From lower to upper the initial fraction rises to one; an upper cap of 0 turns it off."""


class Market(msgspec.Struct, frozen=True):
    """One perpetual: its units, oracle price, open interest and liquidity tier."""

    atomic_resolution: int
    """A base quantum is 10^this of the underlying."""
    price: int
    price_exponent: int
    """The oracle price is price x 10^this USD."""
    tier: LiquidityTier = LiquidityTier()
    open_interest: int = 0
    """Base quantums."""


class Risk(msgspec.Struct, frozen=True):
    """Net collateral and requirements, quote quantums."""

    net_collateral: int
    initial: int
    maintenance: int

    def __add__(self, other: "Risk") -> "Risk":
        return Risk(
            self.net_collateral + other.net_collateral,
            self.initial + other.initial,
            self.maintenance + other.maintenance,
        )

    @property
    def is_liquidatable(self) -> bool:
        """Source: protocol/lib/margin/risk.go `IsLiquidatable`."""
        return self.maintenance > 0 and self.net_collateral < self.maintenance

    @property
    def is_initial_collateralized(self) -> bool:
        return self.net_collateral >= self.initial

    def precedes(self, other: "Risk") -> bool:
        """Whether this account is liquidated first: lower net collateral / maintenance, by cross-multiplication.

        Among accounts without a maintenance requirement the lower net collateral goes first.
        Source: protocol/lib/margin/risk.go `Cmp`.
        """
        left = self.net_collateral * other.maintenance
        right = other.net_collateral * self.maintenance
        if left != right:
            return left < right
        return self.net_collateral < other.net_collateral


def power_of_ten_down(value: int, exponent: int) -> int:
    """value x 10^exponent, truncated toward zero."""
    if exponent >= 0:
        return value * int(10**exponent)
    scaled = abs(value) // int(10**-exponent)
    return scaled if value >= 0 else -scaled


def notional_quote(base_quantums: int, market: Market) -> int:
    """Signed notional in quote quantums, truncated toward zero."""
    exponent = market.price_exponent + market.atomic_resolution - QUOTE_ATOMIC_RESOLUTION
    return power_of_ten_down(base_quantums * market.price, exponent)


def initial_margin_ppm(im_ppm: int, open_interest: int, lower_cap: int, upper_cap: int) -> int:
    """Initial fraction at an open interest in quote quantums, whole parts per million, rounded down.

    base + (1 - base) clamp((open interest - lower) / (upper - lower), 0, 1); an upper cap of 0 turns it off.
    Source: liquidity_tier.go `GetAdjustedInitialMarginPpm`.
    """
    if upper_cap == 0 or open_interest <= lower_cap:
        return im_ppm
    if open_interest >= upper_cap:
        return PPM
    return im_ppm + (PPM - im_ppm) * (open_interest - lower_cap) // (upper_cap - lower_cap)


def initial_margin_quote(
    notional: int,
    im_ppm: int,
    open_interest: int = 0,
    lower_cap: int = 0,
    upper_cap: int = 0,
    custom_im_ppm: int = 0,
) -> int:
    """Initial requirement in quote quantums, rounded up; amounts in quote quantums, `notional` >= 0.

    `custom_im_ppm` is a fraction that an account chose for itself, where it is higher.
    Source: liquidity_tier.go `GetInitialMarginQuoteQuantums`.
    """
    fraction_ppm = initial_margin_ppm(im_ppm, open_interest, lower_cap, upper_cap)
    return mul_div_up(notional, max(fraction_ppm, custom_im_ppm), PPM)


def margin_requirements(base_quantums: int, market: Market, custom_im_ppm: int = 0) -> tuple[int, int]:
    """(initial, maintenance) requirement of one position, quote quantums, rounded up.

    Maintenance is a fraction of the base initial requirement, whatever the open interest.
    """
    tier, notional = market.tier, notional_quote(abs(base_quantums), market)
    initial = initial_margin_quote(
        notional,
        tier.im_ppm,
        notional_quote(market.open_interest, market),
        tier.open_interest_lower_cap,
        tier.open_interest_upper_cap,
        custom_im_ppm,
    )
    base = initial_margin_quote(notional, tier.im_ppm)
    return initial, mul_div_up(base, tier.maintenance_fraction_ppm, PPM)


def position_risk(base_quantums: int, market: Market, custom_im_ppm: int = 0) -> Risk:
    """Net notional and requirements of one position."""
    initial, maintenance = margin_requirements(base_quantums, market, custom_im_ppm)
    return Risk(notional_quote(base_quantums, market), initial, maintenance)


def account_risk(quote_quantums: int, positions: Mapping[str, int], markets: Mapping[str, Market]) -> Risk:
    """Net collateral and requirements of one account.

    Parameters
    ----------
    quote_quantums : quote balance, negative where owed.
    positions : base quantums by market, signed.
    markets : by the same names.
    """
    total = Risk(quote_quantums, 0, 0)
    for name, base_quantums in positions.items():
        total = total + position_risk(base_quantums, markets[name])
    return total


class MarketTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One perpetual as a policy states it."""

    tier: LiquidityTier = LiquidityTier()
    open_interest_coins: float = 0.0


class DydxParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters by instrument id or underlying; `*` stands for all others."""

    markets: Mapping[str, MarketTerms]


class PreparedDydx(PreparedVenue):
    """The rule at one market."""

    cash_at_par = True
    ROUNDED = 4 / MICRO
    """USD by which the integers of one position's notional and requirements may be rounded."""

    def build(self) -> None:
        """Fractions of each perpetual: open interest is the same for all accounts."""
        self.markets = {
            i: self._market(i, found_in(self.params.markets, each))
            for i, each in enumerate(self.universe)
            if isinstance(each, Perpetual) and i not in self.missing and self.market.ticks[i] > 0
        }
        self.initial_rate, self.maintenance_rate = np.zeros((2, len(self.universe)))
        for i, market in self.markets.items():
            tier = market.tier
            interest = notional_quote(market.open_interest, market)
            caps = tier.open_interest_lower_cap, tier.open_interest_upper_cap
            self.initial_rate[i] = initial_margin_ppm(tier.im_ppm, interest, *caps) / PPM
            self.maintenance_rate[i] = tier.im_ppm / PPM * tier.maintenance_fraction_ppm / PPM

    def _market(self, i: int, terms: MarketTerms) -> Market:
        """The chain's market whose base quantum is the smallest decimal part of one of our lots."""
        each = self.universe[i]
        assert isinstance(each, Perpetual)
        _, resolution = digits(each.lot * each.multiplier)
        tick, exponent = digits(each.tick)
        interest = int(Fraction(terms.open_interest_coins) / Fraction(10) ** resolution)
        return Market(resolution, int(self.market.ticks[i]) * tick, exponent, terms.tier, interest)

    def figures(self, block: Block) -> Figures:
        """Requirements of a block of accounts."""
        rows = block.rows
        notional = np.abs(rows.lots) * np.where(
            self.universe.terms.form[rows.instrument] == LINEAR, self.notional[rows.instrument], 0.0
        )
        initial = rows.total(notional * self.initial_rate[rows.instrument])
        maintenance = rows.total(notional * self.maintenance_rate[rows.instrument])
        slack = rows.total(np.full(len(rows.owner), self.ROUNDED))
        return Figures(
            initial, np.where(maintenance > 0, maintenance, np.minimum(0.0, block.equity)), block.gross, slack=slack
        )

    def addends(self, held: Held) -> Addends:
        """Quote balance, net notional and requirements in quote quantums."""
        equity, initial, maintenance = list[Addend](), list[Addend](), list[Addend]()
        quote = sum(held.coins.values(), Fraction(0)) + sum(held.cost.values(), Fraction(0))
        equity.append(("quote balance", "", Fraction(quote * MICRO // 1, MICRO)))
        for i, lots in held.lots.items():
            each = self.universe[i]
            assert isinstance(each, Perpetual)
            risk = position_risk(lots * digits(each.lot * each.multiplier)[0], self.markets[i])
            equity.append(("net notional", each.id, Fraction(risk.net_collateral, MICRO)))
            initial.append(("initial margin requirement", each.id, Fraction(risk.initial, MICRO)))
            maintenance.append(("maintenance margin requirement", each.id, Fraction(risk.maintenance, MICRO)))
        net_collateral = total(equity)
        if not any(x for _, _, x in maintenance) and net_collateral < 0:
            maintenance = [("nothing to liquidate", "", net_collateral)]
        return Addends(equity, initial, maintenance)


class DydxRule(VenueRule):
    """dYdX v4 cross margin; see the module."""

    name = "dydx-v4"
    Params = DydxParams
    margins = frozenset({"cash", "perpetual"})
    prepared = PreparedDydx

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Fractions above one, caps that fall."""
        rows = []
        for name, market in params.markets.items():
            tier, field = market.tier, f"markets.{name}"
            rows += [
                (f"{field}.tier.im_ppm", tier.im_ppm, 0 < tier.im_ppm <= PPM, f"above 0, at most {PPM}"),
                (
                    f"{field}.tier.maintenance_fraction_ppm",
                    tier.maintenance_fraction_ppm,
                    0 < tier.maintenance_fraction_ppm <= PPM,
                    f"above 0, at most {PPM}: maintenance margin must not be above initial margin",
                ),
                (
                    f"{field}.tier.open_interest_upper_cap",
                    tier.open_interest_upper_cap,
                    tier.open_interest_upper_cap == 0 or tier.open_interest_upper_cap > tier.open_interest_lower_cap,
                    "0, or above open_interest_lower_cap",
                ),
                (
                    f"{field}.open_interest_coins",
                    market.open_interest_coins,
                    market.open_interest_coins >= 0,
                    "0 or more",
                ),
            ]
        return checked(rows)

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Perpetuals without a tier."""
        return unlisted(universe, params.markets, "markets", (LINEAR,))
