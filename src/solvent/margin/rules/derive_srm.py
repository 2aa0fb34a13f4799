"""Derive standard manager: each perpetual and expiry margined alone, an expiry at the better of two forms.

Numeraire: USD. Net margins: positive is surplus, negative is shortfall. In the terms of a Statement:
equity = mark_to_market, requirement = mark_to_market - net margin.
Unsettled profit: a perpetual's unsettled and unrealised cash counts in full in margin and mark-to-market, and
only where the position is not zero. Breach: liquidatable iff net maintenance margin < 0 (strict); a trade
passes iff net initial margin >= 0. Rounding: reals (the contract truncates at 1e-18).
Unpublished: nothing; parameters are set on chain by market.
Source: derivexyz/v2-core, src/risk-managers/StandardManager.sol and SRMPortfolioViewer.sol; defaults from
scripts/config-mainnet.sol (ETH).
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from solvent.margin.rules.derive import OptionHolding, confidence_charge, expiry_values, merged


class OptionParams(msgspec.Struct, frozen=True):
    """Requirements of short options, as fractions of the spot price where not said otherwise."""

    max_spot_requirement: float = 0.15
    min_spot_requirement: float = 0.13
    mm_call_spot_requirement: float = 0.09
    mm_put_spot_requirement: float = 0.09
    mm_put_mark_requirement: float = 0.09
    """Fraction of a short put's mark value."""
    unpaired_im_scale: float = 1.2
    unpaired_mm_scale: float = 1.1
    """Fractions of the forward, for each net short call, in the maximum-loss form."""
    mm_offset_scale: float = 1.05
    """A short put's initial margin is at least this multiple of its maintenance margin."""


class MarketParams(msgspec.Struct, frozen=True):
    """Parameters of one market (underlying)."""

    option: OptionParams = OptionParams()
    perpetual_im: float = 0.10
    perpetual_mm: float = 0.065
    base_margin_factor: float = 0.8
    base_im_scale: float = 0.9375
    """Initial margin counts base_margin_factor times this."""
    perpetual_confidence_threshold: float = 0.55
    option_confidence_threshold: float = 0.55
    base_confidence_threshold: float = 0.55
    """A threshold of zero turns its charge off."""
    oracle_contingency_factor: float = 1.0


class Params(msgspec.Struct, frozen=True):
    """`market` holds for every market that `markets` does not name."""

    market: MarketParams = MarketParams()
    markets: Mapping[str, MarketParams] = {}
    depeg_threshold_usd: float = 0.99
    depeg_factor: float = 2.0

    def of(self, name: str) -> MarketParams:
        """Parameters of the market `name`."""
        return self.markets.get(name, self.market)


class Expiry(msgspec.Struct, frozen=True):
    """Options of one market and expiry, with their oracles."""

    seconds: float
    forward_usd: float
    confidence: float
    """Lowest of the forward's and the vol surface's confidence, 0 to 1."""
    options: tuple[OptionHolding, ...]


class Holding(msgspec.Struct, frozen=True):
    """What an account holds in one market, with the market's prices."""

    spot_usd: float
    spot_confidence: float = 1.0
    perpetual: float = 0.0
    perpetual_price_usd: float = 0.0
    perpetual_confidence: float = 1.0
    unsettled_profit_usd: float = 0.0
    base: float = 0.0
    expiries: tuple[Expiry, ...] = ()


class Margins(msgspec.Struct, frozen=True):
    """Net margins and value, USD; positive is surplus."""

    initial_margin: float
    maintenance_margin: float
    mark_to_market: float

    def __add__(self, other: "Margins") -> "Margins":
        return Margins(
            self.initial_margin + other.initial_margin,
            self.maintenance_margin + other.maintenance_margin,
            self.mark_to_market + other.mark_to_market,
        )


def perpetual_margins(holding: Holding, params: MarketParams) -> Margins:
    """-|n| P requirement, the oracle charge in initial margin only, unsettled profit in all three."""
    if holding.perpetual == 0:
        return Margins(0.0, 0.0, 0.0)
    size = abs(holding.perpetual)
    notional = size * holding.perpetual_price_usd
    doubt = confidence_charge(
        min(holding.perpetual_confidence, holding.spot_confidence),
        params.perpetual_confidence_threshold,
        params.oracle_contingency_factor,
        size * holding.spot_usd,
    )
    profit = holding.unsettled_profit_usd
    return Margins(profit - notional * params.perpetual_im - doubt, profit - notional * params.perpetual_mm, profit)


def base_margins(holding: Holding, params: MarketParams, stable_usd: float) -> Margins:
    """Base asset counts at spot times a factor; its mark is in units of the stablecoin."""
    notional = holding.base * holding.spot_usd
    maintenance = notional * params.base_margin_factor
    doubt = confidence_charge(
        holding.spot_confidence,
        params.base_confidence_threshold,
        params.oracle_contingency_factor,
        notional,
    )
    return Margins(maintenance * params.base_im_scale - doubt, maintenance, notional / stable_usd)


def isolated_margin(
    option: OptionHolding, mark_usd: float, spot_usd: float, params: OptionParams, initial: bool
) -> float:
    """Net margin of one option alone, USD; a long option gives nothing and needs nothing.

    `mark_usd` is the signed value of the whole position.
    """
    amount = option.amount
    if amount > 0:
        return 0.0
    if option.is_call:
        maintenance = mark_usd + params.mm_call_spot_requirement * spot_usd * amount
    else:
        maintenance = mark_usd + min(
            params.mm_put_spot_requirement * spot_usd * amount, params.mm_put_mark_requirement * mark_usd
        )
    if not initial:
        return maintenance
    out_of_money = (option.strike_usd - spot_usd) * (1.0 if option.is_call else -1.0)
    fraction = max(params.min_spot_requirement, params.max_spot_requirement - max(0.0, out_of_money) / spot_usd)
    margin = fraction * spot_usd * amount + mark_usd
    return margin if option.is_call else min(margin, maintenance * params.mm_offset_scale)


def payoff(options: tuple[OptionHolding, ...], settlement_usd: float) -> float:
    """What the holdings pay at expiry, USD."""
    total = 0.0
    for option in options:
        intrinsic = settlement_usd - option.strike_usd
        total += option.amount * max(0.0, intrinsic if option.is_call else -intrinsic)
    return total


def maximum_loss(options: tuple[OptionHolding, ...], forward_usd: float, unpaired_scale: float) -> float:
    """Worst payoff over settlement at zero and every strike, at most zero, plus the charge for net short calls."""
    worst = min(min(0.0, payoff(options, price)) for price in (0.0, *(option.strike_usd for option in options)))
    net_calls = sum(option.amount for option in options if option.is_call)
    return worst + unpaired_scale * forward_usd * min(0.0, net_calls)


def expiry_margins(expiry: Expiry, holding: Holding, params: MarketParams) -> Margins:
    """The better of the sum of isolated margins and the maximum loss, less the oracle charge on shorts."""
    options = merged(expiry.options)
    marks = option_marks(options, expiry)
    shorts = sum(-option.amount for option in options if option.amount < 0)
    doubt = confidence_charge(
        min(expiry.confidence, holding.spot_confidence),
        params.option_confidence_threshold,
        params.oracle_contingency_factor,
        shorts * holding.spot_usd,
    )
    best = []
    for initial, scale in ((True, params.option.unpaired_im_scale), (False, params.option.unpaired_mm_scale)):
        isolated = sum(
            isolated_margin(option, mark, holding.spot_usd, params.option, initial)
            for option, mark in zip(options, marks, strict=True)
        )
        best.append(max(isolated, maximum_loss(options, expiry.forward_usd, scale)))
    return Margins(best[0] - doubt, best[1], sum(marks))


def option_marks(options: tuple[OptionHolding, ...], expiry: Expiry) -> list[float]:
    """Signed undiscounted Black-76 value of each holding, USD."""
    forward = np.array([expiry.forward_usd])
    return [float(expiry_values((option,), expiry.seconds, forward, np.array([[option.vol]]))[0]) for option in options]


def depeg_charge(holding: Holding, stable_usd: float, params: Params) -> float:
    """(threshold - stable) factor S (shorts + |perpetual|), USD, while the stablecoin is below threshold."""
    multiplier = max(0.0, params.depeg_threshold_usd - stable_usd) * params.depeg_factor
    options = (option for expiry in holding.expiries for option in merged(expiry.options))
    shorts = sum(-option.amount for option in options if option.amount < 0)
    return multiplier * holding.spot_usd * (shorts + abs(holding.perpetual))


def market_margins(holding: Holding, stable_usd: float, params: MarketParams) -> Margins:
    """Net margins of one market, before the depeg charge."""
    total = perpetual_margins(holding, params) + base_margins(holding, params, stable_usd)
    for expiry in holding.expiries:
        total = total + expiry_margins(expiry, holding, params)
    return total


def account_margins(cash_usd: float, holdings: Mapping[str, Holding], stable_usd: float, params: Params) -> Margins:
    """Net initial and maintenance margin and mark-to-market of one account, USD.

    Parameters
    ----------
    cash_usd : cash balance, negative where borrowed.
    holdings : by market name.
    stable_usd : price of the stablecoin that cash and marks are in.
    params : the venue's parameters.

    Source: StandardManager.sol `getMargin`, `getMarginAndMarkToMarket`.
    """
    total = Margins(cash_usd, cash_usd, cash_usd)
    for name, holding in holdings.items():
        total = total + market_margins(holding, stable_usd, params.of(name))
        total = total + Margins(-depeg_charge(holding, stable_usd, params), 0.0, 0.0)
    return total
