"""Derive standard manager: each perpetual and expiry margined alone, an expiry at the better of two forms.

Numeraire: USD. Net margins: positive is surplus, negative is shortfall. In the terms of a Statement:
equity = mark_to_market, requirement = mark_to_market - net margin.
Unsettled profit: a perpetual's unsettled and unrealised cash counts in full in margin and mark-to-market, and
only where the position is not zero. Breach: liquidatable iff net maintenance margin < 0 (strict); a trade
passes iff net initial margin >= 0. Rounding: reals (the contract truncates at 1e-18).
Unpublished: nothing; parameters are set on chain by market.
As a Statement: MM = equity - net maintenance margin, IM the same with the initial one, so that equity < MM iff the
venue's net maintenance margin < 0. See `derive_book` for what stands for the venue's inputs.
Source: derivexyz/v2-core, src/risk-managers/StandardManager.sol and SRMPortfolioViewer.sol; defaults from
scripts/config-mainnet.sol (ETH).
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.universe import Universe
from solvent.errors import Problem
from solvent.margin.rules.derive import YEAR_S, OptionHolding, confidence_charge, expiry_values, merged
from solvent.margin.rules.derive_book import Holdings, PreparedDerive
from solvent.margin.rules.rows import Held, sums
from solvent.margin.rules.venue import Addend, Addends, Block, Figures, VenueRule, checked

F64 = NDArray[np.float64]


class OptionParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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


class MarketParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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


class PreparedSrm(PreparedDerive):
    """The rule at one market."""

    def build(self) -> None:
        """Isolated margins of one lot of a short option, and parameters by underlying."""
        super().build()
        self.markets = [self.params.of(asset) for asset in self.universe.assets]
        self.isolated_initial, self.isolated_maintenance = np.zeros((2, len(self.universe)))
        rows = self.chain.rows
        if len(rows):
            value = self.chain._replace(discount=np.ones(len(rows))).now() / self.chain.unit
            for row, unit_usd, i in zip(range(len(rows)), value.tolist(), rows.tolist(), strict=True):
                asset = int(self.chain.asset[row])
                short = OptionHolding(float(self.chain.strike[row]), bool(self.chain.call[row]), -1.0, 0.0)
                given = -unit_usd, float(self.spot_usd[asset]), self.markets[asset].option
                coins = float(self.chain.unit[row])
                self.isolated_initial[i] = isolated_margin(short, *given, initial=True) * coins
                self.isolated_maintenance[i] = isolated_margin(short, *given, initial=False) * coins
        self.depeg = max(0.0, self.params.depeg_threshold_usd - self.stable_usd) * self.params.depeg_factor

    def weights(self) -> F64:
        """Factors of base assets; cash counts in full."""
        found = np.array([self.params.of(each.underlying).base_margin_factor for each in self.universe])
        found[self.at_par] = 1.0
        return found

    def _rates(self, name: str) -> F64:
        """(U,) one parameter of every market."""
        return np.array([getattr(each, name) for each in self.markets])

    def _doubt(self, confidence: F64, threshold: F64, asset: NDArray[np.int64], notional: F64) -> F64:
        """`confidence_charge` of arrays."""
        rate = np.where(
            confidence < threshold, (1.0 - confidence) * self._rates("oracle_contingency_factor")[asset], 0.0
        )
        return np.asarray(rate * notional)

    def figures(self, block: Block) -> Figures:
        """Margins of a block of accounts: equity less the venue's net margins."""
        held = self.holdings(block)
        asset, owner = held.asset, held.owner
        spot = self.spot_usd[asset]
        size = np.abs(held.perpetual)
        notional, sure = size * self.perpetual_usd[asset], self.spot_confidence[asset]
        base = held.base * spot
        kept = base * self._rates("base_margin_factor")[asset]
        maintenance = notional * self._rates("perpetual_mm")[asset] + held.worth - kept
        initial = (
            notional * self._rates("perpetual_im")[asset] + held.worth - kept * self._rates("base_im_scale")[asset]
        )
        both = np.minimum(sure, self.perpetual_confidence[asset])
        initial += self._doubt(both, self._rates("perpetual_confidence_threshold")[asset], asset, size * spot)
        initial += self._doubt(sure, self._rates("base_confidence_threshold")[asset], asset, base)
        first, second = self._options(block, held)
        shorts = held.by_underlying(self.short_coins(block, held))
        initial += held.by_underlying(first) + self.depeg * spot * (shorts + size)
        maintenance += held.by_underlying(second)
        least = block.rows.total(np.abs(block.rows.lots * self.isolated_initial[block.rows.instrument]))
        return Figures(
            sums(owner, initial, block.size) + block.options,
            sums(owner, maintenance, block.size) + block.options,
            4.0 * (block.gross + least),
        )

    def _options(self, block: Block, held: Holdings) -> tuple[F64, F64]:
        """(B,) initial and maintenance requirement of each expiry: less the better of the two forms."""
        rows, i = block.rows, block.rows.instrument
        short = np.minimum(rows.lots, 0)
        worst, calls = self.worst_payoffs(block, held)
        naked = self.bucket_forward[held.bucket] * np.minimum(0.0, calls)
        asset = self.bucket_asset[held.bucket]
        options = [each.option for each in self.markets]
        found = []
        for table, name in (
            (self.isolated_initial, "unpaired_im_scale"),
            (self.isolated_maintenance, "unpaired_mm_scale"),
        ):
            scale = np.array([getattr(each, name) for each in options])[asset]
            isolated = held.expiries.sums(-short * table[i])
            found.append(-np.maximum(isolated, worst + scale * naked))
        sure = np.minimum(self.bucket_confidence[held.bucket], self.spot_confidence[asset])
        threshold = self._rates("option_confidence_threshold")[asset]
        shorts = self.short_coins(block, held) * self.spot_usd[asset]
        return found[0] + self._doubt(sure, threshold, asset, shorts), found[1]

    def addends(self, held: Held) -> Addends:
        """What each part of a market requires, long options giving nothing."""
        initial, maintenance = list[Addend](), list[Addend]()
        equity = self.value_addends(held)
        for term, id, amount in equity:
            if term == "option value":
                initial.append((term, id, amount))
                maintenance.append((term, id, amount))
        for asset in self.assets_of(held):
            name, params, holding = self.universe.assets[asset], self.markets[asset], self._holding(held, asset)
            profit = holding.unsettled_profit_usd
            perpetual, base = perpetual_margins(holding, params), base_margins(holding, params, self.stable_usd)
            worth, _ = self.worth_of(held, asset)
            parts = [("perpetual margin", perpetual, Fraction(profit)), ("base margin", base, worth)]
            parts += [("option margin", expiry_margins(x, holding, params), Fraction(0)) for x in holding.expiries]
            for term, margins, counted in parts:
                initial.append((term, name, counted - Fraction(margins.initial_margin)))
                maintenance.append((term, name, counted - Fraction(margins.maintenance_margin)))
            initial.append(("depeg contingency", name, depeg_charge(holding, self.stable_usd, self.params)))
        return Addends(equity, initial, maintenance)

    def _holding(self, held: Held, asset: int) -> Holding:
        perpetual, base, profit = self.held_of(held, asset)
        expiries = tuple(
            Expiry(
                float(self.bucket_years[bucket]) * YEAR_S,
                float(self.bucket_forward[bucket]),
                float(self.bucket_confidence[bucket]),
                options,
            )
            for bucket, options in self.options_of(held, asset).items()
        )
        return Holding(
            float(self.spot_usd[asset]),
            float(self.spot_confidence[asset]),
            perpetual,
            float(self.perpetual_usd[asset]),
            float(self.perpetual_confidence[asset]),
            profit,
            base,
            expiries,
        )


class SrmRule(VenueRule):
    """Derive standard manager; see the module."""

    name = "derive-srm"
    Params = Params
    needs = frozenset({"price", "vol"})
    margins = frozenset({"cash", "spot", "perpetual", "option"})
    prepared = PreparedSrm

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Requirements outside their bounds, maintenance above initial."""
        rows: list[tuple[str, object, bool, str]] = [
            ("depeg_threshold_usd", params.depeg_threshold_usd, 0 <= params.depeg_threshold_usd <= 1, "from 0 to 1"),
            ("depeg_factor", params.depeg_factor, params.depeg_factor >= 0, "0 or more"),
        ]
        for name, each in {"market": params.market, **params.markets}.items():
            where = name if name == "market" else f"markets.{name}"
            option = each.option
            rows += [
                (f"{where}.perpetual_mm", each.perpetual_mm, 0 <= each.perpetual_mm <= each.perpetual_im <= 1,
                 f"from 0 to perpetual_im = {each.perpetual_im}, itself at most 1"),
                *((f"{where}.{field}", getattr(each, field), 0 <= getattr(each, field) <= 1, "from 0 to 1")
                  for field in ("base_margin_factor", "base_im_scale")),
                (f"{where}.option.unpaired_mm_scale", option.unpaired_mm_scale,
                 0 <= option.unpaired_mm_scale <= option.unpaired_im_scale, "from 0 to unpaired_im_scale"),
                (f"{where}.option.mm_call_spot_requirement", option.mm_call_spot_requirement,
                 0 <= option.mm_call_spot_requirement <= option.min_spot_requirement <= option.max_spot_requirement,
                 "0 <= maintenance <= min_spot_requirement <= max_spot_requirement"),
                (f"{where}.option.mm_offset_scale", option.mm_offset_scale, option.mm_offset_scale >= 1, "1 or more"),
            ]  # fmt: skip
        return checked(rows)
