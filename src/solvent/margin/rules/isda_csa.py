"""ISDA credit support annex: call and return of collateral, and schedule initial margin.

Numeraire: the annex's base currency. Sign: posted value and credit support amount are what the pledgor owes
the secured party, both at least 0. Unsettled profit: whole, as exposure (mark to market). Breach is not
strict: a call is made where delivery is at least the minimum transfer amount. Rounding: delivery up, return
down, to the agreed multiple. Amounts are exact fractions, since haircuts are.
Source: finos/common-domain-model, rosetta-source/src/main/rosetta: legaldocumentation-csa-func.rosetta,
margin-schedule-func.rosetta. There the item's value reads the FX haircut twice and the additional haircut
never; here are three haircuts, as documented.
"""

from collections.abc import Sequence
from fractions import Fraction

import msgspec

from solvent.domain.quantities import fraction_down, fraction_up

ZERO = Fraction(0)


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One annex, amounts in the base currency."""

    threshold: int = 0
    """Exposure that is not collateralised."""
    minimum_transfer_amount: int = 0
    rounding_multiple: int = 0
    """Deliveries are rounded up to it, returns down; 0 does not round."""
    independent_amount: int | None = None
    """Where given, the greater-of approach: the credit support amount is at least this."""


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
