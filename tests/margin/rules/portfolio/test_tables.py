"""Markets that cannot be margined on are refused by instrument and field; what expired is settled, not guessed."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from tests.margin.rules.portfolio.worlds import DAY_NS, NOW_NS, UNIVERSE, World, book_of, market, policy

from solvent.domain.book import Book
from solvent.domain.instruments import Future, Option, Perpetual, Spot
from solvent.domain.market import Market
from solvent.domain.universe import Universe
from solvent.errors import SolventError
from solvent.margin.rules.portfolio import Portfolio, PreparedPortfolio
from solvent.margin.rules.portfolio.fixed import RATE, rate_up
from solvent.margin.rules.portfolio.tables import MODEL, index_exact, rate_down

BTC, CALL = UNIVERSE.index("BTC"), UNIVERSE.index("BTC/USDC:USDC-250112-60000-C")


def replaced(column: str, position: int, value: float) -> Market:
    values = np.array(getattr(market(), column))
    values[position] = value
    return market(**{column: values})


@pytest.mark.parametrize(
    ("column", "position", "value"),
    [
        ("confidence", BTC, np.nan),
        ("confidence", BTC, -0.1),
        ("age_s", BTC, np.nan),
        ("age_s", BTC, np.inf),
        ("half_spread", BTC, np.nan),
        ("half_spread", BTC, 1.5),
        ("volume_usd_daily", BTC, -1.0),
        ("volume_usd_daily", BTC, np.inf),
        ("slow_price", BTC, np.nan),
        ("slow_price", BTC, 0.0),
        ("vol_annual", CALL, np.nan),
        ("vol_annual", CALL, -0.2),
        ("vol_annual", CALL, np.inf),
        ("rate_annual", CALL, np.nan),
        ("forward", CALL, -1.0),
        ("forward", CALL, np.inf),
    ],
)
def test_numbers_that_cannot_be_are_refused(column: str, position: int, value: float) -> None:
    name = {"vol_annual": "vol", "rate_annual": "rate"}.get(column, column)
    with pytest.raises(SolventError) as caught:
        Portfolio().prepare(UNIVERSE, replaced(column, position, value), policy())
    fields = {each.field for each in caught.value.problems}
    assert f"{UNIVERSE[position].id}.{name}" in fields
    assert all(UNIVERSE[position].id in str(each) for each in caught.value.problems)


def test_every_instrument_needs_a_mark_and_all_that_have_none_are_named() -> None:
    ticks = np.array(market().ticks)
    ticks[[BTC, 7]] = 0, -5
    with pytest.raises(SolventError) as caught:
        Portfolio().prepare(UNIVERSE, Market(UNIVERSE, NOW_NS, ticks, vol_annual=0.5), policy())
    named = {each.field for each in caught.value.problems}
    assert {f"{UNIVERSE[i].id}.price" for i in (BTC, 7)} <= named


def test_a_market_of_other_instruments_is_refused() -> None:
    with pytest.raises(SolventError, match="universe"):
        Portfolio().prepare(UNIVERSE.listed(Spot("NEW", "NEW")), market(), policy())


def test_an_option_whose_lot_does_not_fit_is_refused() -> None:
    big = Option("BIG", "BTC", "USDC", NOW_NS + DAY_NS, Decimal(1), True, lot=Decimal(10**6), tick=Decimal("0.01"))
    universe = UNIVERSE.listed(big)
    given: dict[str, Any] = {"vol_annual": 0.6}
    with pytest.raises(SolventError, match="BIG"):
        Portfolio().prepare(universe, Market(universe, NOW_NS, np.append(market().ticks, 0), **given), policy())


EXPIRED = Universe([
    Spot("USDC", "USDC", decimals=6),
    Spot("BTC", "BTC", tick=Decimal("0.01")),
    Perpetual("BTC/USDC:USDC", "BTC", "USDC", lot=Decimal("0.001"), tick=Decimal("0.1")),
    Future("BTC/USDC:USDC-241231", "BTC", "USDC", NOW_NS - 1, lot=Decimal("0.001"), tick=Decimal("0.1")),
    Option("CALL", "BTC", "USDC", NOW_NS, Decimal(50_000), True, tick=Decimal("0.01")),
    Option("PUT", "BTC", "USDC", NOW_NS, Decimal(50_000), False, tick=Decimal("0.01")),
])  # fmt: skip


def expired(ticks: list[int]) -> PreparedPortfolio:
    return Portfolio().prepare(EXPIRED, Market(EXPIRED, NOW_NS, np.array(ticks)), policy())


def test_an_expired_option_is_worth_what_it_pays_and_needs_no_volatility() -> None:
    prepared = expired([10**6, 6_000_000, 600_000, 0, 0, 0])
    book = Book(EXPIRED, ["long", "short", "put"])
    for account, instrument, lots in ((0, 4, 100), (1, 4, -100), (2, 5, 100)):
        book.add(account, instrument, lots)
    assert prepared.assess(book).equity.tolist() == [10_000.0, -10_000.0, 0.0]
    assert [prepared.exact(book, a).equity for a in range(3)] == [10**10, -(10**10), 0]


def test_an_expired_future_without_a_mark_may_not_be_held() -> None:
    prepared = expired([10**6, 6_000_000, 600_000, 0, 0, 0])
    book = Book(EXPIRED, ["holder", "other"])
    book.add(0, 3, 5)
    book.add(1, 2, 5)
    for ask in (lambda: prepared.assess(book), lambda: prepared.exact(book, 0), lambda: prepared.explain(book, 0)):
        with pytest.raises(SolventError, match="BTC/USDC:USDC-241231"):
            ask()
    assert prepared.assess(book, np.array([1])).equity.shape == (1,)
    assert expired([10**6, 6_000_000, 600_000, 601_000, 0, 0]).exact(book, 0).equity == 300_500_000


def test_an_option_without_any_price_of_its_underlying_is_refused() -> None:
    universe = Universe([
        Spot("USDC", "USDC", decimals=6),
        Option("CALL", "BTC", "USDC", NOW_NS + DAY_NS, Decimal(50_000), True, tick=Decimal("0.01")),
    ])  # fmt: skip
    with pytest.raises(SolventError, match="index price"):
        Portfolio().prepare(universe, Market(universe, NOW_NS, np.array([10**6, 5]), vol_annual=0.5), policy())


def test_unknown_volume_is_free_and_none_at_all_is_dearest() -> None:
    rows = {UNIVERSE.index("DUST/USDC:USDC"): (10**6, 0)}

    def close_out(volume: float, rates: list[float]) -> float:
        world = World(market(volume_usd_daily=volume), policy(participation_rates=rates))
        book = book_of(rows)
        exact = world.prepared.exact(book, 0)
        assert world.prepared.assess(book).maintenance_margin[0] == pytest.approx(exact.maintenance_margin / 1e6)
        terms = world.prepared.explain(book, 0).terms
        return sum(float(t.amount) for t in terms if (t.total, t.name) == ("initial_margin", "close-out"))

    notional = 10**9 * 0.000012345  # at the index
    plain = 0.0045 * notional
    assert close_out(np.nan, [0.3, 0.5, 1.0, 2.0]) == pytest.approx(plain)
    assert close_out(0.0, [0.3, 0.5, 1.0, 2.0]) == pytest.approx(plain + 2 * 0.25 * notional)
    assert close_out(1e12, [0.3, 0.5, 1.0, 2.0]) == pytest.approx(plain + 0.3 * 0.25 * notional)


def test_roll_and_close_out_are_charged_at_the_index_and_the_scan_at_the_mark() -> None:
    """The mark of a future may stand off the index: what it would cost to close or roll it follows the index."""
    future = UNIVERSE.index("BTC/USDC:USDC-250331")
    off = np.array(market().ticks)
    off[future] = off[future] * 11 // 10

    def terms(given: Market) -> dict[str, float]:
        prepared = World(given, policy()).prepared
        book = book_of({future: (1000, -(10**9))})
        exact = prepared.exact(book, 0)
        assert prepared.assess(book).initial_margin[0] == pytest.approx(exact.initial_margin / 1e6)
        return {t.name: float(t.amount) for t in prepared.explain(book, 0).terms if t.total == "initial_margin"}

    at_mark, above = terms(market(volume_usd_daily=np.nan)), terms(market(volume_usd_daily=np.nan).replaced(ticks=off))
    assert at_mark["close-out"] == above["close-out"] == pytest.approx(0.0045 * 59_876.54)
    assert at_mark["roll"] == above["roll"] == pytest.approx(0.05 * 90 / 365 * 59_876.54)
    assert above["scan"] == pytest.approx(1.1 * at_mark["scan"], rel=1e-4)


def test_the_index_is_exact_and_that_of_the_market() -> None:
    given = market()
    found = index_exact(World(given, policy()).prepared.shared.fixed, given)
    assert [float(x) for x in found] == pytest.approx(given.index_usd.tolist(), rel=1e-15)
    assert found[UNIVERSE.asset_index["BTC"]] == Fraction("59876.54")


def test_shared_values_are_rounded_against_the_account() -> None:
    shared = World(market(), policy()).prepared.shared
    assert (shared.long_value <= shared.short_value).all()
    assert (np.asarray(shared.money.short) >= np.asarray(shared.money.long)).all()
    assert rate_up(1 / 3) == 333_333_334
    assert rate_down(1 / 3) == 333_333_333
    assert rate_up(0.16) == rate_down(0.16) == 160_000_000
    assert (np.abs(shared.fixed.moves_e9) >= np.abs(shared.fixed.scenarios.moves * shared.fixed.scenarios.damp) * RATE
            - 1e-3).all()  # fmt: skip
    assert MODEL == RATE
