"""ISDA credit support annex: call and return of collateral, and schedule initial margin.

Numeraire: the annex's base currency. Sign: posted value and credit support amount are what the pledgor owes
the secured party, both at least 0. Unsettled profit: whole, as exposure (mark to market). Breach is not
strict: a call is made where delivery is at least the minimum transfer amount. Rounding: delivery up, return
down, to the agreed multiple. Amounts are exact fractions, since haircuts are.
Source: finos/common-domain-model, rosetta-source/src/main/rosetta: legaldocumentation-csa-func.rosetta,
margin-schedule-func.rosetta. There the item's value reads the FX haircut twice and the additional haircut
never; here are three haircuts, as documented.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import inf
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.quantities import MICRO, fraction_down, fraction_up
from solvent.domain.universe import OPTION, SPOT, Universe
from solvent.errors import Problem
from solvent.margin.rules.rows import KINDS, Held, found_in
from solvent.margin.rules.venue import (
    RELATIVE_ERROR,
    Addend,
    Addends,
    Block,
    Figures,
    PreparedVenue,
    VenueRule,
    checked,
)

F64 = NDArray[np.float64]

ZERO = Fraction(0)


class Posted(msgspec.Struct, frozen=True):
    """One item of posted credit support: value in base currency, haircuts as fractions of it."""

    value: Fraction
    haircut: Fraction = ZERO
    fx_haircut: Fraction = ZERO
    additional_haircut: Fraction = ZERO
    disputed: Fraction = ZERO


class Call(msgspec.Struct, frozen=True):
    """What is owed now, base currency; at most one of delivery and return is above 0."""

    credit_support_amount: Fraction
    posted_value: Fraction
    delivery: Fraction
    return_: Fraction


def item_value(item: Posted) -> Fraction:
    """value x (1 - haircut - FX haircut - additional haircut) - disputed."""
    return item.value * (1 - item.haircut - item.fx_haircut - item.additional_haircut) - item.disputed


def credit_support_amount(
    margin_amount: Fraction, threshold: Fraction, independent_amount: Fraction | None = None
) -> Fraction:
    """max(margin - threshold, 0); with an independent amount, at least that."""
    beyond = max(margin_amount - threshold, ZERO)
    return beyond if independent_amount is None else max(beyond, independent_amount)


def transfer(owed: Fraction, disputed: Fraction, minimum: Fraction, multiple: Fraction, up: bool) -> Fraction:
    """What moves of `owed`: less what is disputed, nothing below the minimum, rounded to the multiple."""
    undisputed = max(max(owed, ZERO) - disputed, ZERO)
    if undisputed < minimum or undisputed == 0:
        return ZERO
    if multiple == 0:
        return undisputed
    count = fraction_up(undisputed / multiple) if up else fraction_down(undisputed / multiple)
    return count * multiple


def margin_call(
    margin_amount: Fraction,
    threshold: Fraction,
    posted: Sequence[Posted],
    minimum_transfer_amount: Fraction,
    rounding_multiple: Fraction,
    independent_amount: Fraction | None = None,
    disputed_delivery: Fraction = ZERO,
    disputed_return: Fraction = ZERO,
) -> Call:
    """Delivery or return on one valuation date.

    Parameters
    ----------
    margin_amount : Fraction
        Exposure or initial margin amount of the secured party, base currency.
    posted : sequence of Posted
        Credit support held now, prior transfers included.
    disputed_delivery, disputed_return : Fraction
        Part of the transfer that is disputed and stays behind.
    """
    amount = credit_support_amount(margin_amount, threshold, independent_amount)
    held = sum((item_value(item) for item in posted), ZERO)
    minimum, multiple = minimum_transfer_amount, rounding_multiple
    return Call(
        amount,
        held,
        transfer(amount - held, disputed_delivery, minimum, multiple, up=True),
        transfer(held - amount, disputed_return, minimum, multiple, up=False),
    )


SCHEDULE_PERCENT: dict[str, tuple[int, int, int]] = {
    "InterestRates": (1, 2, 4),
    "Credit": (2, 5, 10),
    "ForeignExchange": (6, 6, 6),
    "Equity": (15, 15, 15),
    "Commodity": (15, 15, 15),
}
"""Percent of notional by asset class, for durations up to 2 years, up to 5, and longer."""
SCHEDULE_DEFAULT_PERCENT = 15
"""Any other asset class (BCBS-IOSCO, Margin requirements for non-centrally cleared derivatives, annex A)."""


def schedule_percent(asset_class: str, duration_years: Fraction) -> int:
    """Percent of notional; bounds of a bucket belong to the shorter one."""
    rates = SCHEDULE_PERCENT.get(asset_class, (SCHEDULE_DEFAULT_PERCENT,) * 3)
    return rates[0 if duration_years <= 2 else 1 if duration_years <= 5 else 2]


def gross_initial_margin(notional: Fraction, asset_class: str, duration_years: Fraction) -> Fraction:
    """Notional x percent of one trade."""
    return notional * schedule_percent(asset_class, duration_years) / 100


def net_initial_margin(gross: Sequence[Fraction], mark_to_market: Sequence[Fraction], floored: bool = True) -> Fraction:
    """0.4 gross + 0.6 gross x NGR over a netting set.

    Parameters
    ----------
    gross : sequence of Fraction
        Gross initial margin of each trade.
    mark_to_market : sequence of Fraction
        Value of each trade to the party that collects.
    floored : bool
        Whether net replacement cost is at least 0, as the regulation has it; the common domain model does
        not floor it.

    Notes
    -----
    NGR is net over gross replacement cost: sum of values over sum of the positive ones. Where no trade has a
    positive value it is 1, the most that netting may lack.
    """
    total = sum(gross, ZERO)
    net = sum(mark_to_market, ZERO)
    positive = sum((value for value in mark_to_market if value > 0), ZERO)
    ratio = Fraction(1) if positive == 0 else (max(net, ZERO) if floored else net) / positive
    return total * (Fraction(2, 5) + Fraction(3, 5) * ratio)


class Haircuts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one eligible asset, as fractions of its value; they add up."""

    haircut: float = 0.0
    fx: float = 0.0
    additional: float = 0.0

    @property
    def total(self) -> float:
        """What does not count."""
        return self.haircut + self.fx + self.additional


class IsdaParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One annex, amounts in USD; the account is the pledgor."""

    collateral: Mapping[str, Haircuts]
    """Eligible credit support by spot id or asset; what is not listed is not eligible."""
    threshold: float = 0.0
    minimum_transfer_amount: float = 0.0
    rounding_multiple: float = 0.0
    independent_amount: float | None = None
    schedule: bool = False
    """Whether initial margin by the schedule is owed beside the exposure."""
    asset_class: str = "Other"
    """Of `SCHEDULE_PERCENT`; crypto is any other class: 15 %."""
    floored: bool = True
    """Whether the schedule's net replacement cost is at least 0."""


class PreparedIsda(PreparedVenue):
    """The annex at one market; see `IsdaCsa`."""

    ratio_name: ClassVar[str] = "call"

    def build(self) -> None:
        """Schedule rate of each instrument, and the transfer amount from which a call is made."""
        params, years = self.params, self.market.years
        self.rate = np.array([schedule_percent(params.asset_class, Fraction(float(x))) / 100 for x in years])
        self.short_of_call = Fraction(params.minimum_transfer_amount)
        if params.minimum_transfer_amount:  # a call at exactly the minimum, said as a strict inequality
            self.short_of_call -= Fraction(1, MICRO)

    def weights(self) -> F64:
        """What counts of a balance."""
        found = [found_in(self.params.collateral, each) for each in self.universe]
        return np.array([0.0 if each is None else max(0.0, 1.0 - each.total) for each in found])

    def figures(self, block: Block) -> Figures:
        """Margins from credit support amount and posted value."""
        rows, params = block.rows, self.params
        i, lots = rows.instrument, rows.lots
        posted = (self.universe.terms.form[i] == SPOT) & (lots > 0)
        usd = self._values(block)
        value = rows.total(np.where(posted, usd * self.collateral_weight[i], 0.0))
        margin = -rows.total(np.where(posted, 0.0, usd))
        slack = np.zeros(block.size)
        if params.schedule:
            owed, slack = self._schedule(block, usd)
            margin += owed
        amount = np.maximum(margin - params.threshold, 0.0)
        if params.independent_amount is not None:
            amount = np.maximum(amount, params.independent_amount)
        initial = block.equity - value + amount
        fixed = params.threshold + params.minimum_transfer_amount + (params.independent_amount or 0.0)
        return Figures(
            initial=initial,
            maintenance=initial - float(self.short_of_call),
            gross=2 * block.gross + fixed,
            venue_ratio=self._transfer(amount - value),
            slack=slack,
        )

    def _values(self, block: Block) -> F64:
        """(N,) USD of each entry to the account."""
        rows = block.rows
        i = rows.instrument
        paid = self.profit_coins(rows) * self.price_usd[self.universe.terms.settlement[i]]
        return np.where(self.universe.terms.form[i] == OPTION, rows.lots * self.option_usd[i], paid)

    def _schedule(self, block: Block, usd: F64) -> tuple[F64, F64]:
        """(A,) `net_initial_margin` of the trades, and its error: a ratio of values near 0 can be anything."""
        rows = block.rows
        trade = self.universe.terms.form[rows.instrument] != SPOT
        notional = np.abs(rows.lots) * self.notional[rows.instrument] * self.rate[rows.instrument]
        gross = rows.total(np.where(trade, notional, 0.0))
        to_secured = np.where(trade, -usd, 0.0)
        net, positive = rows.total(to_secured), rows.total(np.maximum(to_secured, 0.0))
        if self.params.floored:
            net = np.maximum(net, 0.0)
        ratio = np.where(positive == 0.0, 1.0, net / np.where(positive == 0.0, 1.0, positive))
        error = RELATIVE_ERROR * block.gross
        near = rows.total(np.where(trade & (np.abs(usd) <= error[rows.owner]), 1.0, 0.0)) > 0
        doubt = np.where(positive > 0, error / np.where(positive > 0, positive, 1.0), np.where(near, np.inf, 0.0))
        return gross * (0.4 + 0.6 * ratio), np.where(gross > 0, gross, 1.0) * doubt

    def _transfer(self, owed: F64) -> F64:
        """Delivery (above 0) or return (below 0) after minimum and rounding."""
        size, multiple = np.abs(owed), self.params.rounding_multiple
        moved = size
        if multiple:
            moved = np.where(owed > 0, np.ceil(size / multiple), np.floor(size / multiple)) * multiple
        return np.where((size >= self.params.minimum_transfer_amount) & (size > 0), np.sign(owed) * moved, 0.0)

    def addends(self, held: Held) -> Addends:
        """Haircuts on what is posted, the account's claims, which secure nothing, and the credit support amount."""
        params = self.params
        equity = self.value_addends(held)
        posted = {id: usd for name, id, usd in equity if name == "balance" and usd > 0}
        claims = [(name, id, Fraction(usd)) for name, id, usd in equity if id not in posted]
        margin = -sum((usd for _, _, usd in claims), ZERO)
        if params.schedule:
            margin += self._schedule_exact(held, {id: usd for _, id, usd in claims})
        independent = None if params.independent_amount is None else Fraction(params.independent_amount)
        amount = credit_support_amount(margin, Fraction(params.threshold), independent)
        rows: list[Addend] = []
        for id, usd in posted.items():
            kept = Fraction(float(self.collateral_weight[self.universe.index(id)]))
            rows.append(("haircut", id, Fraction(usd) * (1 - kept)))
        rows += [("exposure, signed to the account", id, usd) for _, id, usd in claims]
        rows.append(("credit support amount", "", amount))
        return Addends(equity, rows, [*rows, ("minimum transfer amount", "", -self.short_of_call)])

    def _schedule_exact(self, held: Held, value: Mapping[str, Fraction]) -> Fraction:
        trades = {self.universe[i].id: (i, lots) for i, lots in held.lots.items()}
        gross = [
            abs(lots) * Fraction(float(self.notional[i])) * Fraction(float(self.rate[i])) for i, lots in trades.values()
        ]
        return net_initial_margin(gross, [-value[id] for id in trades], self.params.floored)


class IsdaCsa(VenueRule):
    """The rule: an account is one netting set with credit support, and is short where a call would be made.

    Its balances above 0 are posted credit support; everything else (trades at their marks, balances below 0) is
    exposure, of either sign. IM = equity - posted value + credit support amount, MM = IM - minimum transfer
    amount: so equity < MM exactly where delivery is due. A threshold is unsecured credit: it can make both margins
    negative. `venue_ratio` is the call: delivery above 0, return below, after minimum and rounding.
    """

    name: ClassVar[str] = "isda-csa"
    Params: ClassVar[type[msgspec.Struct]] = IsdaParams
    margins: ClassVar[frozenset[str]] = KINDS
    homogeneous: ClassVar[bool] = False
    prepared: ClassVar[type[PreparedVenue]] = PreparedIsda

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Amounts below 0, haircuts that are none."""
        amounts = ("threshold", "minimum_transfer_amount", "rounding_multiple")
        rows = [(name, getattr(params, name), 0 <= getattr(params, name) < inf, "USD, at least 0") for name in amounts]
        least = params.independent_amount
        rows.append(("independent_amount", least, least is None or 0 <= least < inf, "USD, at least 0"))
        for id, each in params.collateral.items():
            good = min(each.haircut, each.fx, each.additional) >= 0 and 0 <= each.total <= 1
            rows.append((f"collateral.{id}", each.total, good, "haircuts from 0, of at most 1 in all"))
        return checked(rows)
