"""Proofs over all numbers inside the stated bounds: rounding against the account, monotony, no overflow.

A quotient is a fresh integer between its bounds, so that z3 proves what any implementation with that rounding does.
That the contracts round so is held to the last integer by the twin and the unit tests.
"""

from collections.abc import Callable
from typing import Any

import pytest
from tests.contracts.model import BPS, WAD

z3 = pytest.importorskip("z3", reason="needs z3-solver")

TIMEOUT_MS = 60_000
YEAR_S = 31_536_000
FUNDING_SCALE = 10**6


class Claim:
    """What is assumed, and what must follow."""

    def __init__(self) -> None:
        self.solver = z3.Solver()
        self.solver.set("timeout", TIMEOUT_MS)

    def number(self, name: str, most: int | None = None, least: int = 0) -> Any:
        found = z3.Int(name)
        self.solver.add(found >= least)
        if most is not None:
            self.solver.add(found <= most)
        return found

    def floor(self, name: str, top: Any, bottom: Any) -> Any:
        """floor(top / bottom) of non-negative numbers."""
        found = z3.Int(name)
        self.solver.add(found >= 0, found * bottom <= top, top < (found + 1) * bottom)
        return found

    def ceil(self, name: str, top: Any, bottom: Any) -> Any:
        """ceil(top / bottom) of any number over a positive one."""
        found = z3.Int(name)
        self.solver.add(found * bottom >= top, top > (found - 1) * bottom)
        return found

    def given(self, *assumed: Any) -> None:
        self.solver.add(*assumed)

    def holds(self, claimed: Any) -> bool:
        """Whether there is no exception; raises where z3 does not know."""
        self.solver.push()
        self.solver.add(z3.Not(claimed))
        answer = self.solver.check()
        self.solver.pop()
        assert answer != z3.unknown, self.solver.reason_unknown()
        return bool(answer == z3.unsat)


@pytest.fixture
def claim() -> Claim:
    return Claim()


def loans(claim: Claim) -> tuple[Any, Any, Any]:
    """Debt and debt shares of the pool, debt at least the shares; and an amount."""
    debt, shares, amount = claim.number("debt", least=1), claim.number("shares", least=1), claim.number("amount")
    claim.given(debt >= shares)
    return debt, shares, amount


# Debt shares


def test_a_loan_raises_nobody_elses_debt(claim: Claim) -> None:
    debt, shares, amount = loans(claim)
    minted = claim.ceil("minted", amount * shares, debt)
    assert claim.holds((debt + amount) * shares <= debt * (shares + minted))


def test_with_minting_rounded_down_a_loan_would_raise_others_debts(claim: Claim) -> None:
    debt, shares, amount = loans(claim)
    minted = claim.floor("minted", amount * shares, debt)
    assert not claim.holds((debt + amount) * shares <= debt * (shares + minted))


def test_a_repayment_raises_nobody_elses_debt(claim: Claim) -> None:
    debt, shares, amount = loans(claim)
    claim.given(amount <= debt)
    burned = claim.floor("burned", amount * shares, debt)
    assert claim.holds((debt - amount) * shares <= debt * (shares - burned))


@pytest.mark.parametrize("kind", ["loan", "repayment", "all of an account"])
def test_a_share_never_owes_less_than_an_atom(claim: Claim, kind: str) -> None:
    debt, shares, amount = loans(claim)
    if kind == "loan":
        assert claim.holds(debt + amount >= shares + claim.ceil("minted", amount * shares, debt))
    elif kind == "repayment":
        claim.given(amount <= debt)
        assert claim.holds(debt - amount >= shares - claim.floor("burned", amount * shares, debt))
    else:
        own = claim.number("own")
        claim.given(own <= shares)
        assert claim.holds(debt - claim.ceil("owed", own * debt, shares) >= shares - own)


@pytest.mark.parametrize("counted", [1, 0])
def test_a_loan_adds_at_most_itself_where_one_share_more_is_counted(claim: Claim, counted: int) -> None:
    """The gate of `borrow` counts it. What is owed after is below (own + minted) * debt / shares + 1, as no loan raises
    debt / shares; cubes are hard, so that is given here and proved above."""
    debt, shares, amount = loans(claim)
    own, minted = claim.number("own"), claim.ceil("minted", amount * shares, debt)
    gate = amount + claim.ceil("gate", (own + counted) * debt, shares)
    after = claim.number("after")
    claim.given((after - 1) * shares < (own + minted) * debt)
    if not counted:
        claim.given(debt == 5, shares == 2)
    assert claim.holds(after <= gate) == (counted == 1)


# Lenders' shares


def vault(claim: Claim) -> tuple[Any, Any, Any]:
    """Worth and supply with the virtual ones, and an amount."""
    worth, supply, amount = claim.number("worth", least=1), claim.number("supply", least=10**6), claim.number("amount")
    return worth, supply, amount


def test_a_deposit_never_lowers_what_a_share_is_worth(claim: Claim) -> None:
    worth, supply, amount = vault(claim)
    minted = claim.floor("minted", amount * supply, worth)
    assert claim.holds((worth + amount) * supply >= worth * (supply + minted))


def test_a_withdrawal_never_lowers_what_a_share_is_worth(claim: Claim) -> None:
    worth, supply, amount = vault(claim)
    burned = claim.ceil("burned", amount * supply, worth)
    claim.given(amount <= worth, burned <= supply)
    assert claim.holds((worth - amount) * supply >= worth * (supply - burned))


@pytest.mark.parametrize("rounding", ["floor", "ceil"])
def test_a_deposit_redeemed_brings_no_more_only_where_shares_are_rounded_down(claim: Claim, rounding: str) -> None:
    worth, supply, amount = vault(claim)
    minted = getattr(claim, rounding)("minted", amount * supply, worth)
    back = claim.floor("back", minted * (worth + amount), supply + minted)
    if rounding == "ceil":
        claim.given(worth == 3 * 10**6, supply == 10**6)
    assert claim.holds(back <= amount) == (rounding == "floor")


# Health


def test_a_collateral_is_worth_no_less_for_more_of_it_or_a_higher_price(claim: Claim) -> None:
    raw, more, unit = claim.number("raw"), claim.number("more"), claim.number("unit", least=1)
    claim.given(more >= raw)
    value, greater = claim.floor("value", raw, unit), claim.floor("greater", more, unit)
    weight = claim.number("weight", BPS)
    assert claim.holds(value <= greater)
    weighted, heavier = claim.floor("weighted", value * weight, BPS), claim.floor("heavier", greater * weight, BPS)
    claim.given(value <= greater)
    assert claim.holds(z3.And(weighted <= heavier, weighted <= value))


def test_an_early_end_of_the_walk_changes_no_verdict(claim: Claim) -> None:
    """A further collateral adds no less to equity than to the margin."""
    value, weight = claim.number("value"), claim.number("weight", BPS)
    weighted = claim.floor("weighted", value * weight, BPS)
    equity, margin = z3.Int("equity"), claim.number("margin")
    claim.given(equity >= margin)
    assert claim.holds(equity + value >= margin + (value - weighted))


@pytest.mark.parametrize("rate_most", [BPS, 3 * BPS])
def test_a_long_with_initial_margin_has_maintenance_margin_where_rates_are_at_most_one(
    claim: Claim, rate_most: int
) -> None:
    """Terms by notional: lower for the initial margin, whose rate is higher. Above a rate of one it would not hold."""
    notional, lower = claim.number("notional"), claim.number("lower")
    rate, initial = claim.number("rate", rate_most), claim.number("initial", rate_most)
    claim.given(lower <= notional, initial >= rate)
    required = claim.ceil("required", notional * rate, BPS)
    required_initial = claim.ceil("required_initial", lower * initial, BPS)
    claim.given(lower * initial >= lower * rate)
    if rate_most > BPS:
        claim.given(rate == rate_most, initial == rate_most, lower == 0)
    assert claim.holds(lower - required_initial <= notional - required) == (rate_most == BPS)


def test_a_short_with_initial_margin_has_maintenance_margin(claim: Claim) -> None:
    notional, higher = claim.number("notional"), claim.number("higher")
    rate, initial = claim.number("rate", BPS), claim.number("initial", BPS)
    claim.given(higher >= notional, initial >= rate, higher * initial >= notional * rate)
    required = claim.ceil("required", notional * rate, BPS)
    required_initial = claim.ceil("required_initial", higher * initial, BPS)
    assert claim.holds(-higher - required_initial <= -notional - required)


def test_funding_is_rounded_up_on_both_sides(claim: Claim) -> None:
    owed = z3.Int("owed")

    def rounded(x: Any) -> Any:
        """The contract's expression, with division toward zero."""
        return z3.If(x <= 0, -((-x) / FUNDING_SCALE), (x + FUNDING_SCALE - 1) / FUNDING_SCALE)

    assert claim.holds(z3.And(rounded(owed) * FUNDING_SCALE >= owed, (rounded(owed) - 1) * FUNDING_SCALE < owed))
    assert claim.holds(rounded(owed) + rounded(-owed) >= 0)


# Both halves of a pair's word at once


@pytest.mark.parametrize("edge", ["lower", "upper"])
def test_a_price_is_inside_its_band_exactly_where_the_products_say_so(claim: Claim, edge: str) -> None:
    price, slow, band = claim.number("price", 2**48 - 1), claim.number("slow", 2**48 - 1), claim.number("band", BPS - 1)
    product = claim.number("product")
    claim.given(product == slow * band)
    width = claim.floor("width", product, z3.IntVal(BPS))
    if edge == "lower":
        assert claim.holds((price >= slow - width) == (price * BPS >= slow * BPS - product))
    else:
        assert claim.holds((price <= slow + width) == (price * BPS <= slow * BPS + product))


@pytest.mark.parametrize("width", [63, 65])
def test_differences_of_two_halves_keep_their_signs_apart(width: int) -> None:
    """Below 2**63 and below the bit over it; with numbers beyond it they would not."""
    solver = z3.Solver()
    above = z3.BitVecVal((1 | 1 << 108) << 63, 256)
    halves = [z3.BitVec(name, 256) for name in ("low", "other_low", "high", "other_high")]
    low, other_low, high, other_high = halves
    solver.add(*(z3.ULT(each, z3.BitVecVal(1 << width, 256)) for each in halves))
    found = ((low | high << 108) | above) - (other_low | other_high << 108)
    bits = z3.And(
        (z3.Extract(63, 63, found) == 1) == z3.UGE(low, other_low),
        (z3.Extract(171, 171, found) == 1) == z3.UGE(high, other_high),
    )
    solver.add(z3.Not(bits))
    assert (solver.check() == z3.unsat) == (width == 63)


# Slices


def test_a_slice_is_a_part_and_restores_margin_and_buffer(claim: Claim) -> None:
    missing, equity = claim.number("missing", least=1), claim.number("equity")
    price = claim.number("price", WAD)
    gain = z3.Int("gain")
    claim.given(gain == equity * price)
    part = claim.ceil("part", missing * WAD * WAD, missing * WAD + gain)
    claim.given(gain >= 0)
    assert claim.holds(part <= WAD)
    # After it, missing falls by its part and by what is paid: part * (missing + equity * price).
    assert claim.holds(part * (missing * WAD + gain) >= missing * WAD * WAD)


def test_selling_a_part_at_any_price_lowers_no_health(claim: Claim) -> None:
    equity, margin, paid = claim.number("equity"), claim.number("margin"), claim.number("paid")
    part = claim.number("part", WAD)
    assert claim.holds(((WAD - part) * equity + WAD * paid) * margin >= equity * (WAD - part) * margin)


# Bounds


def fits(claim: Claim, bounds: list[int], width: int) -> bool:
    """Whether a product of numbers below bounds fits the width, multiplied one after the other."""
    product: Any = z3.IntVal(1)
    most = 1
    for at, bound in enumerate(bounds):
        factor = claim.number(f"factor_{at}", bound - 1)
        step = claim.number(f"step_{at}")
        claim.given(step == product * factor, product <= most)
        most *= bound
        if not claim.holds(step < most):
            return False
        claim.given(step < most)
        product = step
    return bool(claim.holds(product < 2**width))


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("collateral value times weight", [2**128, 2**48, 10**12 + 1, 2**14]),
        ("notional times rate", [2**63, 2**48, 2**64, 2**17]),
        ("funding", [2**63, 2**97, 2**64]),
        ("interest", [2**104, 2**16, 2**32]),
        ("what shares owe", [2**104, 2**104]),
        ("minting of loans", [2**104, 2**104]),
        ("slow price times the band", [2**48, 2 * 10**4]),
        ("slow price", [2**48, 600 + 1, 2**40]),
        ("weighted slice of a balance", [2**128, WAD + 1]),
    ],
)
def test_products_fit_a_word(claim: Claim, name: str, bounds: list[int]) -> None:
    assert fits(claim, bounds, 63 if "band" in name else 255), name


def test_a_product_that_does_not_fit_is_found(claim: Claim) -> None:
    assert not fits(claim, [2**128, 2**128, 2**16], 255)


def both_rates(claim: Claim) -> Callable[[Any], Any]:
    """The kinked rate by utilisation, as the pool rounds it."""
    low, high, kink = claim.number("low", 2**16 - 1), claim.number("high", 2**16 - 1), claim.number("kink", BPS - 1, 1)

    def rate(use: Any) -> Any:
        below = z3.If(use <= kink, use, kink)
        first = (below * low + kink - 1) / kink
        return first + z3.If(use > kink, ((use - kink) * high + BPS - kink - 1) / (BPS - kink), 0)

    return rate


def test_the_rate_never_falls_as_use_rises() -> None:
    for kink in (1, 5_000, 8_000, BPS - 1):
        claim = Claim()
        rate = both_rates(claim)
        use, more = claim.number("use", BPS), claim.number("more", BPS)
        claim.given(z3.Int("kink") == kink, z3.Int("low") == 400, z3.Int("high") == 6_000, use <= more)
        assert claim.holds(rate(use) <= rate(more))
