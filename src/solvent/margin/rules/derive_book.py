"""Derive's managers over whole books: what an account holds of each underlying and expiry, and the prices of both.

Cash counts at par. A market's perpetuals are one position at the price of the first that is listed; a perpetual
whose lots are zero is cash. An account with several underlyings is margined as one account of each manager that
share their cash: the venue itself would have it in subaccounts. Confidence is 1 - the market's relative half-width.
"""

from fractions import Fraction
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.instruments import STABLECOINS, Spot
from solvent.domain.universe import LINEAR, OPTION, SPOT, Universe
from solvent.errors import Problem
from solvent.margin.rules import kernel_payoff
from solvent.margin.rules.derive import YEAR_S, OptionHolding
from solvent.margin.rules.grid import Chain, padded, scenario_names
from solvent.margin.rules.rows import Groups, Held, sums
from solvent.margin.rules.venue import Block, Check, PreparedVenue, VenueRule, checked, unlisted

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Holdings(NamedTuple):
    """What A accounts hold: G pairs of account and underlying, B of account and expiry."""

    owner: I64
    """(G,) rising."""
    asset: I64
    perpetual: F64
    """(G,) coins."""
    base: F64
    """(G,) coins of spot."""
    worth: F64
    """(G,) USD of it at its own marks."""
    expiries: Groups
    """Of the options' entries; B groups."""
    bucket: I64
    """(B,) number of the expiry."""
    place: I64
    """(B,) the pair of account and underlying that it belongs to."""

    def by_underlying(self, amounts: F64) -> F64:
        """(G,) or (G, S) sums of amounts by expiry."""
        if amounts.ndim == 1:
            return sums(self.place, amounts, len(self.owner))
        found = np.zeros((len(self.owner), amounts.shape[1]))
        if len(self.place):
            rows = Groups.of(self.place)
            found[rows.key] = rows.sums(amounts)
        return found


class PreparedDerive(PreparedVenue):
    """What the managers share at one market."""

    cash_at_par = True

    def build(self) -> None:
        """Prices and confidences by underlying and expiry."""
        terms, market = self.universe.terms, self.market
        assets = len(self.universe.assets)
        self.chain = Chain.of(market)
        self.spot_usd = np.nan_to_num(self.index_usd)
        sure = np.clip(1.0 - market.confidence, 0.0, 1.0)
        self.spot_confidence, self.perpetual_confidence = np.ones(assets), np.ones(assets)
        np.minimum.at(self.spot_confidence, terms.underlying[terms.form == SPOT], sure[terms.form == SPOT])
        np.minimum.at(self.perpetual_confidence, terms.underlying[terms.form == LINEAR], sure[terms.form == LINEAR])
        self.perpetual_usd = np.zeros(assets)
        for i in np.flatnonzero((terms.form == LINEAR) & (market.ticks > 0))[::-1].tolist():
            self.perpetual_usd[terms.underlying[i]] = market.price[i]
        keys, bucket = np.unique(np.stack([terms.underlying, terms.expiry_ns]), axis=1, return_inverse=True)
        self.bucket, self.bucket_asset = bucket.ravel(), keys[0]
        self.bucket_years = np.maximum(keys[1] - market.ts_ns, 0) / 1e9 / YEAR_S
        self.bucket_confidence, self.bucket_forward = np.ones(len(keys[0])), np.zeros(len(keys[0]))
        self.bucket_rate = np.zeros(len(keys[0]))
        options = self.chain.rows
        np.minimum.at(self.bucket_confidence, self.bucket[options], sure[options])
        self.bucket_forward[self.bucket[options]] = self.chain.forward
        self.bucket_rate[self.bucket[options]] = market.rate_annual[options]
        strikes, strike = np.unique(np.stack([self.bucket, terms.strike]), axis=1, return_inverse=True)
        self.strike_bucket, self.strike = strikes[0].astype(np.int64), strike.ravel()
        self.stable_usd = self._stable_usd()

    def _stable_usd(self) -> float:
        """Price of the stablecoin that derivatives settle in, else of the first; 1 where there is none."""
        settled = {int(x) for x in self.universe.terms.settlement[self.universe.terms.form != SPOT]}
        stable = [i for i, x in enumerate(self.universe) if isinstance(x, Spot) and x.asset in STABLECOINS]
        first = next((i for i in stable if i in settled), stable[0] if stable else None)
        return float(self.market.price[first]) if first is not None and self.market.ticks[first] > 0 else 1.0

    def holdings(self, block: Block) -> Holdings:
        """Group a block's entries."""
        rows, terms = block.rows, self.universe.terms
        i, form = rows.instrument, terms.form[rows.instrument]
        assets, buckets = max(1, len(self.universe.assets)), max(1, len(self.bucket_asset))
        coins = rows.lots * terms.unit[i]
        groups = Groups.of(rows.owner * assets + terms.underlying[i], ~self.at_par[i])
        expiries = Groups.of(rows.owner * buckets + self.bucket[i], form == OPTION)
        bucket = expiries.key % buckets
        place = np.searchsorted(groups.key, expiries.key // buckets * assets + self.bucket_asset[bucket])
        return Holdings(
            groups.key // assets,
            groups.key % assets,
            groups.sums(np.where(form == LINEAR, coins, 0.0)),
            groups.sums(np.where(form == SPOT, coins, 0.0)),
            groups.sums(np.where(form == SPOT, coins * self.price_usd[i], 0.0)),
            expiries,
            bucket,
            place,
        )

    def short_coins(self, block: Block, held: Holdings) -> F64:
        """(B,) coins of short options."""
        rows = block.rows
        return np.asarray(held.expiries.sums(np.maximum(0.0, -rows.lots * self.universe.terms.unit[rows.instrument])))

    def naked_coins(self, block: Block, held: Holdings) -> F64:
        """(B,) coins of short options that no long of the same strike covers."""
        rows, count = block.rows, max(1, len(self.strike_bucket))
        coins = rows.lots * self.universe.terms.unit[rows.instrument]
        is_option = self.universe.terms.form[rows.instrument] == OPTION
        strikes = Groups.of(rows.owner * count + self.strike[rows.instrument], is_option)
        naked = np.maximum(0.0, strikes.sums(np.maximum(-coins, 0.0)) - strikes.sums(np.maximum(coins, 0.0)))
        bucket = self.strike_bucket[strikes.key % count]
        buckets = max(1, len(self.bucket_asset))
        place = np.searchsorted(held.expiries.key, strikes.key // count * buckets + bucket)
        return sums(place, naked, len(held.bucket))

    def worst_payoffs(self, block: Block, held: Holdings) -> tuple[F64, F64]:
        """(B,) lowest payoff over settlement at zero and every strike held, at most 0; (B,) net calls in coins."""
        i = block.rows.instrument[held.expiries.order]
        terms = self.universe.terms
        coins = block.rows.lots[held.expiries.order] * terms.unit[i]
        ends = np.append(held.expiries.start[1:], len(i)).astype(np.int64)
        worst = kernel_payoff.worst_payoffs(held.expiries.start, ends, coins, terms.strike[i], terms.call[i])
        calls = np.zeros(len(block.rows.owner))
        calls[held.expiries.order] = np.where(terms.call[i], coins, 0.0)
        return worst, held.expiries.sums(calls)

    def held_of(self, held: Held, asset: int) -> tuple[float, float, float]:
        """(perpetual coins, base coins, unsettled profit of the perpetual in USD) of one account."""
        terms = self.universe.terms
        mine = [i for i in held.profit if terms.underlying[i] == asset]
        perpetual = sum(self.coins_of(i, held.lots[i]) for i in mine)
        base = sum(float(coins) for i, coins in held.coins.items() if terms.underlying[i] == asset)
        return perpetual, base, float(sum(held.profit[i] for i in mine)) if perpetual else 0.0

    def worth_of(self, held: Held, asset: int) -> tuple[Fraction, Fraction]:
        """(spot at its marks, options at theirs) of one account and underlying, USD."""
        terms = self.universe.terms
        spot = sum(
            (x * self.exact_price_usd(i) for i, x in held.coins.items() if terms.underlying[i] == asset), Fraction(0)
        )
        options = sum(
            (lots * Fraction(float(self.option_usd[i])) for i, lots in held.lots.items()
             if terms.form[i] == OPTION and terms.underlying[i] == asset), Fraction(0)
        )  # fmt: skip
        return spot, options

    def assets_of(self, held: Held) -> list[int]:
        """Underlyings of an account, cash left out."""
        found = {int(self.universe.terms.underlying[i]) for i in (*held.coins, *held.lots) if not self.at_par[i]}
        return sorted(found)

    def options_of(self, held: Held, asset: int) -> dict[int, tuple[OptionHolding, ...]]:
        """Options of one account and underlying, by number of the expiry."""
        terms, found = self.universe.terms, dict[int, list[OptionHolding]]()
        row = {int(i): o for o, i in enumerate(self.chain.rows)}
        for i, lots in held.lots.items():
            if terms.form[i] == OPTION and terms.underlying[i] == asset and lots:
                option = OptionHolding(
                    float(terms.strike[i]),
                    bool(terms.call[i]),
                    self.coins_of(i, lots),
                    float(self.chain.vol[row[i]]),
                )
                found.setdefault(int(self.bucket[i]), []).append(option)
        return {bucket: tuple(options) for bucket, options in sorted(found.items())}


class Reduced(NamedTuple):
    """What scenarios make of pairs of account and underlying, USD."""

    pnl: F64
    """(G, S)."""
    basis: F64
    """(G,) basis contingency, at most 0."""
    mark: F64
    """(G,) model value of the options."""


class PreparedPmrm(PreparedDerive):
    """What both portfolio managers share: scenario values of options by expiry, naked shorts, the worst loss."""

    managers: list[Any]
    """Parameters by underlying; None where there is no manager (nobody may hold that)."""

    def field(self, name: str) -> F64:
        """(U,) one parameter of every manager; 0 where there is none."""
        return np.array([0.0 if each is None else getattr(each, name) for each in self.managers])

    def prepare_scenarios(self) -> None:
        """(U, S) spot multipliers (1 where there is no further scenario) and their names."""
        sets = [() if each is None else each.scenarios for each in self.managers]
        self.width = max(map(len, sets), default=1) or 1
        self.multiplier = 1.0 + padded([np.array([x.spot_multiplier for x in each]) - 1.0 for each in sets], self.width)
        self.vols = [[x.vol for x in each] + ["none"] * (self.width - len(each)) for each in sets]
        names = [[f"{x.spot_multiplier - 1:+.0%} vol {x.vol}" for x in each] for each in sets]
        self.scenarios = scenario_names(self.universe.assets, names)

    def doubt_rate(self, confidence: F64, asset: I64) -> F64:
        """Charge on notional for the oracles' doubt."""
        threshold, margin = self.field("confidence_threshold")[asset], self.field("confidence_margin")[asset]
        return np.where(confidence < threshold, (1.0 - confidence) * margin, 0.0)

    def confidence(self, held: Holdings) -> F64:
        """(G,) of spot, and of the perpetual where one is held."""
        spot, perpetual = self.spot_confidence[held.asset], self.perpetual_confidence[held.asset]
        return np.where(held.perpetual != 0, np.minimum(spot, perpetual), spot)

    def option_doubt(self, block: Block, held: Holdings) -> F64:
        """(G,) the oracles' charge on all options."""
        coins = np.abs(block.rows.lots) * self.universe.terms.unit[block.rows.instrument]
        asset = self.bucket_asset[held.bucket]
        sure = np.minimum(self.bucket_confidence[held.bucket], self.confidence(held)[held.place])
        gross = held.expiries.sums(coins) * self.spot_usd[asset]
        return held.by_underlying(self.doubt_rate(sure, asset) * gross)

    def worst_loss(self, found: Reduced) -> F64:
        """(G,) the lesser of the basis contingency and the worst scenario, at most 0."""
        return np.asarray(np.minimum(found.basis, found.pnl.min(axis=1, initial=0.0)))

    def basis_of(self, values: F64, held: Holdings) -> F64:
        """(G,) from (B, 3) values as they are, at the basis up and down."""
        change = np.minimum(np.minimum(values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]), 0.0)
        asset = self.bucket_asset[held.bucket]
        years = self.bucket_years[held.bucket]
        factor = self.field("basis_add_factor")[asset] + self.field("basis_mult_factor")[asset] * years
        return held.by_underlying(change * factor)

    def initial_factors(self) -> F64:
        """(U,) of initial margin, raised while the stablecoin is below its threshold."""
        below = np.maximum(0.0, self.field("peg_threshold_usd") - self.stable_usd)
        return self.field("im_factor") + below * self.field("peg_factor")

    def vol_shocks(self) -> F64:
        """(2, O) factors on each option's vol, up and down."""
        found = np.ones((2, len(self.chain.rows)))
        for o, (asset, years) in enumerate(zip(self.chain.asset.tolist(), self.chain.years.tolist(), strict=True)):
            if self.managers[asset] is not None:
                found[:, o] = self.managers[asset].vol_shock.multipliers(years * YEAR_S)
        return found


class PmrmRule(VenueRule):
    """What both portfolio managers' rules share."""

    needs = frozenset({"price", "vol"})
    margins = frozenset({"cash", "spot", "perpetual", "option"})

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Factors and scenarios outside their bounds."""
        rows: list[Check] = []
        for name, each in params.managers.items():
            where = f"managers.{name}"
            fields = [x for x in msgspec.structs.fields(each) if x.type is float]
            rows += [
                (f"{where}.{x.name}", getattr(each, x.name), getattr(each, x.name) >= 0, "0 or more") for x in fields
            ]
            rows.append((f"{where}.im_factor", each.im_factor, each.im_factor >= getattr(each, "mm_factor", 1.0),
                         "at least the factor of maintenance margin"))  # fmt: skip
            rows.append((f"{where}.scenarios", len(each.scenarios), len(each.scenarios) > 0, "at least one"))
            for x in each.scenarios:
                good = 0 < x.spot_multiplier <= 100 and 0 < getattr(x, "dampening", 1.0) <= 1
                rows.append((f"{where}.scenarios", x, good, "a multiplier above 0, a dampening to 1"))
        return checked(rows)

    def missing(self, params: Any, universe: Universe) -> dict[int, str]:
        """Whatever is no cash and has no manager."""
        cash = {i for i, each in enumerate(universe) if isinstance(each, Spot) and each.asset in STABLECOINS}
        found = unlisted(universe, params.managers, "managers", (SPOT, LINEAR, OPTION))
        return {i: why for i, why in found.items() if i not in cash}
