"""One leg of a shortfall: its bankruptcy price, the penalty on closing it, and who gets the penalty."""

from collections.abc import Sequence
from fractions import Fraction

import msgspec

from solvent.domain.quantities import fraction_down, fraction_up, mul_div_down, mul_div_up
from solvent.errors import Problem, problem
from solvent.pools.decimals import scaled
from solvent.pools.fixed_point import WAD


class PenaltySplit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who gets the penalty; the parts sum to 1."""

    liquidator: float = 0.5
    """To whoever closed the leg."""
    insurance: float = 0.4
    """To the insurance fund; the rounding too."""
    venue: float = 0.1
    """To fees."""

    def check(self, where: str = "liquidation") -> list[Problem]:
        """Parts outside [0, 1], or that do not sum to 1."""
        parts = msgspec.structs.asdict(self)
        found = [
            problem(where, None, field, part, "from 0 to 1") for field, part in parts.items() if not 0 <= part <= 1
        ]
        if not found and sum(map(scaled, parts.values())) != WAD:
            found.append(problem(where, None, "split", parts, "parts that sum to 1"))
        return found


def loss_shares(maintenance: Sequence[int]) -> tuple[Fraction, ...]:
    """Part w_i of an account's equity that each leg may use up: its part of the legs' stand-alone margins.

    Parameters: maintenance, the maintenance margin >= 0 of each leg taken alone. Where all are zero the legs
    share equally. The shares sum to 1, so closing every leg at its bankruptcy price leaves equity at zero.
    """
    total = sum(maintenance)
    if not total:
        return tuple(Fraction(1, len(maintenance)) for _ in maintenance)
    return tuple(Fraction(each, total) for each in maintenance)


def bankruptcy_price(
    mark: Fraction, lots: int, coins_per_lot: Fraction, equity_usd: Fraction, share: Fraction
) -> Fraction:
    """Price of a linear leg at which closing it uses up exactly its share of the equity, in USD.

    b = mark - sign(q) E w / (|q| M): below the mark for a long of a solvent account, above it for a short,
    and the other way round when equity is negative. It may be negative; no price is then too bad for a long.

    Parameters: lots != 0, signed; coins_per_lot, multiplier times lot size; equity_usd E, signed; share w.
    """
    return mark - equity_usd * share / (lots * coins_per_lot)


def bankruptcy_price_inverse(
    mark: Fraction, lots: int, usd_per_lot: Fraction, equity_usd: Fraction, share: Fraction, index: Fraction
) -> Fraction | None:
    """The same for an inverse leg, whose profit q M (1/mark - 1/price) is in coins worth `index` USD each.

    1/b = 1/mark + sign(q) E w / (|q| M index). None is a price without bound: a short survives every
    price, a long of an insolvent account is made whole by none.
    """
    reciprocal = 1 / mark + equity_usd * share / (lots * usd_per_lot * index)
    return 1 / reciprocal if reciprocal > 0 else None


def bankruptcy_ticks(price: Fraction, tick: Fraction, lots: int) -> int:
    """A bankruptcy price in whole ticks, rounded for the account that is closed: a long sells no lower (up),
    a short buys no higher (down); never below 0."""
    ticks = fraction_up(price / tick) if lots > 0 else fraction_down(price / tick)
    return max(ticks, 0)


def penalty(notional: int, rate: float, equity: int) -> int:
    """min(rate x closed notional rounded up, what leaves equity >= 0), all in one integer unit.

    Parameters: notional >= 0 closed; rate, 0.005 is 0.5 %; equity after the fill and before the penalty.
    """
    return min(mul_div_up(notional, scaled(rate), WAD), max(equity, 0))


def split_penalty(total: int, split: PenaltySplit) -> tuple[int, int, int]:
    """(liquidator, insurance, venue) of a penalty >= 0: sums to it exactly, insurance takes the rounding."""
    liquidator = mul_div_down(total, scaled(split.liquidator), WAD)
    venue = mul_div_down(total, scaled(split.venue), WAD)
    return liquidator, total - liquidator - venue, venue
