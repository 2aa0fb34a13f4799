"""Dutch auctions: price curves, resets, the slice of an account that is for sale, what a bid takes."""

from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.quantities import mul_div_down, mul_div_up
from solvent.errors import Problem, problem
from solvent.liquidation.legs import penalty
from solvent.pools.decimals import scaled
from solvent.pools.fixed_point import RAY, WAD, power_half_up


class Linear(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="linear"):
    """From the start price to zero in a straight line (MakerDAO LinearDecrease)."""

    duration_s: int = 3600

    def factor(self, elapsed_s: int, one: int) -> int:
        """Price over start price, in units of `one`, rounded down."""
        return max(self.duration_s - elapsed_s, 0) * one // self.duration_s


class Stairstep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="stairstep"):
    """A cut by a constant factor after each step (MakerDAO StairstepExponentialDecrease)."""

    cut: float = 0.99
    """Factor of one step; in (0, 1)."""
    step_s: int = 90

    def factor(self, elapsed_s: int, one: int) -> int:
        """Price over start price, in units of `one`; powers round as the protocol's do."""
        return power_half_up(scaled(self.cut, one), elapsed_s // self.step_s, one)


class Exponential(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="exponential"):
    """A cut by a constant factor each second (MakerDAO ExponentialDecrease)."""

    cut_per_second: float = 0.999230132966
    """Factor of one second; in (0, 1). The default halves the price in 900 s."""

    def factor(self, elapsed_s: int, one: int) -> int:
        """Price over start price, in units of `one`; powers round as the protocol's do."""
        return power_half_up(scaled(self.cut_per_second, one), elapsed_s, one)


class TwoSlope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="method", tag="two_slope"):
    """Fast to a knee, then slowly to zero (the discount of Derive's DutchAuction)."""

    knee: float = 0.8
    """Part of the start price that is left after the fast leg; in (0, 1)."""
    fast_s: int = 900
    slow_s: int = 43_200

    def factor(self, elapsed_s: int, one: int) -> int:
        """Price over start price, in units of `one`, rounded down."""
        knee, late = scaled(self.knee, one), elapsed_s - self.fast_s
        if late <= 0:
            return one - mul_div_up(one - knee, elapsed_s, self.fast_s)
        return mul_div_down(knee, max(self.slow_s - late, 0), self.slow_s)


Curve: TypeAlias = Linear | Stairstep | Exponential | TwoSlope
METHODS: dict[str, type[Curve]] = {
    "linear": Linear,
    "stairstep": Stairstep,
    "exponential": Exponential,
    "two_slope": TwoSlope,
}
"""Price curves that a policy can name, as `method` in the curve's table."""

AuctionLeg: TypeAlias = Literal["solvent", "insolvent"]


class AuctionParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an account's slice is sold. Money is in whole USD, prices are parts of the current mark."""

    curve: Curve = TwoSlope()
    start: float = 0.98
    """First price as a part of the slice's value at the mark; in (0, 2]."""
    tail_s: int = 14_400
    """Age after which an auction is reset."""
    cusp: float = 0.3
    """Part of the start price below which an auction is reset; in [0, 1)."""
    resets_most: int = 1
    """Resets of one auction; the last run goes on to zero, and then to the insolvent leg."""
    insolvent_s: int = 3600
    """Time in which the fund's offer rises from the shortfall to the full requirement."""
    minimum_bid_usd: int = 10
    """Smaller bids are refused, unless they take all that is left."""
    dust_usd: int = 100
    """A bid leaves nothing for sale, or at least this."""
    fee_rate: float = 0.01
    """Part of the slice's value that goes to insurance when the auction starts."""

    def check(self, where: str = "liquidation") -> list[Problem]:
        """Every field with which an auction would never start, never fall or never end."""
        found = _check_curve(self.curve, where)
        rows: list[tuple[str, bool, str]] = [
            ("start", 0 < self.start <= 2, "above 0, at most 2 (0.98 is 98 % of the mark)"),
            ("tail_s", self.tail_s > 0, "seconds above 0"),
            ("cusp", 0 <= self.cusp < 1, "from 0 and below 1"),
            ("resets_most", self.resets_most >= 0, "a count from 0"),
            ("insolvent_s", self.insolvent_s > 0, "seconds above 0"),
            ("minimum_bid_usd", self.minimum_bid_usd >= 0, "whole USD from 0"),
            ("dust_usd", self.dust_usd >= self.minimum_bid_usd, "at least minimum_bid_usd"),
            ("fee_rate", 0 <= self.fee_rate < 1, "from 0 and below 1"),
        ]
        found += [problem(where, None, field, getattr(self, field), accepted) for field, ok, accepted in rows if not ok]
        return found


def _check_curve(curve: Curve, where: str) -> list[Problem]:
    """Factors lie strictly between 0 and 1, durations are positive."""
    return [
        problem(where, None, f"curve.{field}", value, "above 0" if field.endswith("_s") else "above 0, below 1")
        for field, value in msgspec.structs.asdict(curve).items()
        if not (value > 0 if field.endswith("_s") else 0 < value < 1)
    ]


def price_e18(curve: Curve, start_e18: int, elapsed_s: int) -> int:
    """Price in 1e-18 after `elapsed_s` >= 0 whole seconds, rounded down; `start_e18` is the price at 0."""
    return start_e18 * curve.factor(elapsed_s, WAD) // WAD


def price_ray(curve: Curve, start_ray: int, elapsed_s: int) -> int:
    """The same in 1e-27, digit for digit what MakerDAO's abaci give for their three curves."""
    return start_ray * curve.factor(elapsed_s, RAY) // RAY


def needs_reset(params: AuctionParams, elapsed_s: int, resets: int) -> bool:
    """Whether an auction is to start again at the start price: it is too old, or has fallen too far.

    Strict on both sides, as in MakerDAO's clip.sol. Parameters: resets, how often it has been reset.
    """
    if resets >= params.resets_most:
        return False
    return elapsed_s > params.tail_s or params.curve.factor(elapsed_s, WAD) < scaled(params.cusp)


def take(wanted: int, available: int, *, minimum: int, dust: int) -> int:
    """How much of `available` a bid for `wanted` gets, in any one unit: 0 is a refusal.

    A bid for everything gets everything. A bid that would leave less than `dust` is cut so that `dust` is
    left; what then is below `minimum` is refused: such a bidder takes all or nothing.
    """
    if wanted >= available:
        return available
    amount = min(wanted, available - dust)
    return amount if amount > 0 and amount >= minimum else 0


def buffer_margin(equity: int, maintenance: int, buffer: float) -> int:
    """E - MM - buffer x MM, the last rounded up: negative while there is something to sell."""
    return equity - maintenance - mul_div_up(maintenance, scaled(buffer), WAD)


def leg(equity: int, discount_e18: int) -> AuctionLeg:
    """`solvent`: the bidder pays; `insolvent` (equity below 0, or price zero): the fund pays the bidder."""
    return "insolvent" if equity < 0 or discount_e18 == 0 else "solvent"


def slice_fraction_e18(equity: int, maintenance: int, buffer: float, discount_e18: int, reserved: int = 0) -> int:
    """Part of an account that must be sold to restore the buffer, in 1e-18, rounded up; at most 1.

    Derive's f_max = B / (B + (E - R) d + R) with B = -(buffer margin): a slice f takes f (B + R) off what is
    missing and brings f (E - R) d. All of it where nothing that is for sale has a price.

    Parameters: equity E and maintenance >= 0 in one integer unit; discount_e18 d, the auction's price as a
    part of value; reserved R >= 0, cash that earlier bidders paid in and that is not for sale.
    """
    missing = -buffer_margin(equity, maintenance, buffer)
    if missing <= 0:
        return 0
    if leg(equity - reserved, discount_e18) == "insolvent":
        return WAD
    brought = (equity - reserved) * discount_e18 + reserved * WAD
    return mul_div_up(missing * WAD, WAD, missing * WAD + brought)


def cash_up(fraction_e18: int, equity: int, discount_e18: int, reserved: int = 0) -> int:
    """What the bidder pays for a slice in the solvent leg: f (E - R) d, rounded up."""
    return mul_div_up((equity - reserved) * discount_e18, fraction_e18, WAD * WAD)


def payout_down(fraction_e18: int, equity: int, maintenance: int, elapsed_s: int, insolvent_s: int) -> int:
    """What the fund pays the bidder for a slice in the insolvent leg, rounded down.

    For the whole account it rises in a straight line, within `insolvent_s`, from the shortfall (-E)+ to what
    makes the account whole with its requirement, (MM - E)+.
    """
    shortfall, whole = max(-equity, 0), max(maintenance - equity, 0)
    risen = shortfall * insolvent_s + (whole - shortfall) * min(elapsed_s, insolvent_s)
    return mul_div_down(risen, fraction_e18, insolvent_s * WAD)


def start_fee(equity: int, maintenance: int, buffer: float, fee_rate: float) -> int:
    """Fee to insurance at the start: rate x |E| x the slice at the undiscounted price; E stays >= 0."""
    fraction = slice_fraction_e18(equity, maintenance, buffer, WAD)
    return penalty(mul_div_up(abs(equity), fraction, WAD), fee_rate, equity)


def slice_lots(lots: NDArray[np.int64], fraction_e18: int) -> NDArray[np.int64]:
    """Whole lots of each leg that go with a slice: |q| f rounded up, with the sign of q; int64 [legs]."""
    cut = [mul_div_up(abs(int(q)), fraction_e18, WAD) for q in lots]
    return np.sign(lots) * np.array(cut, dtype=np.int64)
