"""The annex on whole books: against the margin call of each netting set, properties, refusals."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvent.domain.book import Book
from solvent.domain.instruments import Future, Option, Perpetual
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.domain.symbols import spot
from solvent.domain.universe import Universe
from solvent.engine.files import read_policy
from solvent.errors import SolventError
from solvent.margin.rule import rule
from solvent.margin.rules.isda_csa import Posted, gross_initial_margin, margin_call, net_initial_margin

NOW_NS = 1_800_000_000 * 10**9
YEAR_NS = 31_536_000 * 10**9
UNIVERSE = Universe(
    [
        spot("USDC"), spot("BTC"), spot("XYZ"),
        Perpetual("BTC/USDC:USDC", "BTC", "USDC", lot=Decimal("0.0001"), tick=Decimal("0.01")),
        Perpetual("BTC/USD:BTC", "BTC", "BTC", lot=Decimal(1), tick=Decimal("0.01"), inverse=True),
        Future("BTC/USDC:USDC-280101", "BTC", "USDC", NOW_NS + YEAR_NS, lot=Decimal("0.0001"), tick=Decimal("0.01")),
        Option("BTC/USDC:USDC-280101-60000-C", "BTC", "USDC", NOW_NS + YEAR_NS, Decimal(60000), True),
    ]
)  # fmt: skip
PRICES = (Fraction("0.9997"), Fraction(60_000), Fraction("0.5"), Fraction("60010.5"), Fraction("59990.25"),
          Fraction("61234.56"), Fraction("7654.32"))  # fmt: skip
MARKET = Market(
    UNIVERSE, NOW_NS, np.array([int(p / Fraction(each.tick)) for p, each in zip(PRICES, UNIVERSE, strict=True)])
)
TABLE: dict[str, Any] = {
    "rule": "isda-csa",
    "collateral": {"USDC": {"haircut": 0.015625}, "BTC": {"haircut": 0.25, "fx": 0.0625, "additional": 0.03125}},
}
annexes = st.fixed_dictionaries(
    {
        "threshold": st.sampled_from([0, 50_000]),
        "minimum_transfer_amount": st.sampled_from([0, 10_000]),
        "rounding_multiple": st.sampled_from([0, 1_000]),
        "schedule": st.booleans(),
        "floored": st.booleans(),
    },
    optional={"independent_amount": st.sampled_from([0, 75_000])},
)
rows = st.dictionaries(st.integers(0, 6), st.integers(-20, 20).filter(bool), max_size=5)
LOTS = (5_000 * 10**6, 10**7, 10**10, 5_000, 10_000, 5_000, 100)
"""Lots of each instrument that are worth some thousands of USD."""


def policy(**changed: Any) -> Policy:
    ready = read_policy("isda-csa")
    return msgspec.structs.replace(ready, margin={**TABLE, **changed})


def book_of(holdings: list[dict[int, int]], cost: int = 0) -> Book:
    book = Book(UNIVERSE, [f"party {k}" for k in range(len(holdings))])
    for account, row in enumerate(holdings):
        for i, count in row.items():
            # quote legs at the mark give no profit; `cost` shifts it
            leg = 0
            if 3 <= i <= 5:
                leg = round(-value_coins(i, count * LOTS[i]) / Fraction(spot_of(i).lot_coins)) + cost
            book.add(account, i, count * LOTS[i], leg)
    return book


def spot_of(i: int) -> Any:
    return UNIVERSE.spot_of(i)


def value_coins(i: int, lots: int) -> Fraction:
    """Coins of settlement that a perpetual or future is worth before its quote leg."""
    numerator, denominator = UNIVERSE.value_atoms[i]
    ticks, one = int(MARKET.ticks[i]), 10 ** spot_of(i).decimals
    if i == 4:
        return Fraction(-lots * numerator, denominator * ticks * one)
    return Fraction(lots * numerator * ticks, one)


def reference(book: Book, account: int, annex: dict[str, Any]) -> tuple[Any, Fraction]:
    """The call by `margin_call`, and how much more credit support than now would be too little for none."""
    posted, exposure, gross, values = [], Fraction(0), [], []
    for i, lots, cost in zip(*(x.tolist() for x in book.row(account)), strict=True):
        paid = PRICES[int(UNIVERSE.terms.settlement[i])]
        if i < 3:
            usd = lots * spot_of(i).lot_coins * paid
            if lots > 0:
                terms = TABLE["collateral"].get(UNIVERSE[i].id, {"haircut": 1.0})
                cuts = [Fraction(terms.get(key, 0.0)) for key in ("haircut", "fx", "additional")]
                posted.append(Posted(usd, *cuts))
            else:
                exposure -= usd
            continue
        coins = Fraction(UNIVERSE.terms.unit[i]) if i == 4 else Fraction(str(UNIVERSE.terms.unit[i]))
        if i == 6:
            value = lots * coins * PRICES[i] * paid
            notional = abs(lots) * coins * PRICES[1]
        else:
            value = (value_coins(i, lots) + cost * spot_of(i).lot_coins) * paid
            notional = abs(lots) * coins * (1 if i == 4 else PRICES[i] * paid)
        exposure -= value
        values.append(-value)
        gross.append(gross_initial_margin(notional, "Other", Fraction(1)))
    if annex["schedule"]:
        exposure += net_initial_margin(gross, values, annex["floored"])
    least = annex.get("independent_amount")
    call = margin_call(
        exposure, Fraction(annex["threshold"]), posted, Fraction(annex["minimum_transfer_amount"]),
        Fraction(annex["rounding_multiple"]), None if least is None else Fraction(least),
    )  # fmt: skip
    return call, call.credit_support_amount - call.posted_value


@settings(max_examples=60)
@given(annex=annexes, holdings=st.lists(rows, min_size=1, max_size=6), cost=st.sampled_from([0, 3_000, -7_000_000]))
def test_short_exactly_where_a_call_is_made(annex: dict[str, Any], holdings: list[dict[int, int]], cost: int) -> None:
    book = book_of(holdings, cost)
    prepared = rule("isda-csa").prepare(UNIVERSE, MARKET, policy(**annex))
    statement = prepared.assess(book)
    assert statement.venue_ratio is not None
    for account in range(len(book)):
        call, lacking = reference(book, account, annex)
        exact = prepared.exact(book, account)
        if abs(lacking - annex["minimum_transfer_amount"]) > Fraction(1, 10**4):
            assert exact.liquidatable == (call.delivery > 0)
            assert not statement.certain[account] or statement.liquidatable[account] == (call.delivery > 0)
            assert float(exact.equity - exact.initial_margin) / 1e6 == pytest.approx(-float(lacking), abs=1e-4)
        if not statement.certain[account]:
            continue
        near = [annex["minimum_transfer_amount"], *([0] if annex["rounding_multiple"] else [])]
        multiple = annex["rounding_multiple"] or 1
        if all(abs(abs(lacking) - x) > 1e-3 for x in near) and 1e-3 < abs(lacking) % multiple < multiple - 1e-3:
            moved = call.delivery - call.return_
            assert statement.venue_ratio[account] == pytest.approx(float(moved), rel=1e-6, abs=1e-4)


def test_a_call_at_exactly_the_minimum_is_made() -> None:
    book = Book(UNIVERSE, ["at", "below", "none"])
    for account, lots in ((0, -10_000 * 10**6), (1, -9_999_999_999), (2, 1)):
        book.add(account, 0, lots)
    market = Market(UNIVERSE, NOW_NS, np.concatenate([[10**6], MARKET.ticks[1:]]))
    prepared = rule("isda-csa").prepare(UNIVERSE, market, policy(minimum_transfer_amount=10_000))
    assert [prepared.exact(book, a).liquidatable for a in range(3)] == [True, False, False]
    assert not prepared.assess(book).certain[:2].any()


@settings(max_examples=30)
@given(annex=annexes, row=rows, more=st.integers(1, 10**9), which=st.sampled_from([0, 1]))
def test_more_credit_support_never_lowers_what_is_left(
    annex: dict[str, Any], row: dict[int, int], more: int, which: int
) -> None:
    book = book_of([row])
    prepared = rule("isda-csa").prepare(UNIVERSE, MARKET, policy(**annex))
    before = prepared.exact(book, 0)
    book.add(0, which, more)
    after = prepared.exact(book, 0)
    assert after.equity - after.maintenance_margin >= before.equity - before.maintenance_margin - 3


@settings(max_examples=30)
@given(annex=annexes, row=rows)
def test_terms_add_up(annex: dict[str, Any], row: dict[int, int]) -> None:
    book = book_of([row])
    prepared = rule("isda-csa").prepare(UNIVERSE, MARKET, policy(**annex))
    found = prepared.explain(book, 0)
    for total, amount in found.totals.items():
        assert sum((x.amount for x in found.terms if x.total == total), Decimal(0)) == amount


def test_unsafe_annexes_are_refused_at_once() -> None:
    unsafe = policy(threshold=-1, rounding_multiple=float("nan"), collateral={"BTC": {"haircut": 0.9, "fx": 0.2}})
    with pytest.raises(SolventError) as refused:
        rule("isda-csa").prepare(UNIVERSE, MARKET, unsafe)
    fields = {each.field for each in refused.value.problems}
    assert fields == {"threshold", "rounding_multiple", "collateral.BTC"}
