"""Marks: from what sources say to the quotes that enter the journal."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.desk import (
    BTC,
    CALL,
    COIN_CALL,
    EXPIRY_NS,
    FUTURE,
    INSTRUMENTS,
    INVERSE,
    PERP,
    START_NS,
    USDC,
    Desk,
    policy_with,
)

from solvent.domain import commands as c
from solvent.domain.market import DEGRADED, GONE, HALTED, OK, SECONDS_A_YEAR
from solvent.domain.symbols import instrument
from solvent.domain.universe import Universe
from solvent.engine.marks import SETTLEMENT_WINDOW_NS, Marker
from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.ledger.state import State
from solvent.valuation import black76
from solvent.valuation.guards import OracleParams

MINUTE_NS = 60 * 10**9
PARAMS = OracleParams(minimum_sources=1)


def tick(ts_ns: int = START_NS, *sources: SourcePrice, **prices: float) -> Tick:
    rows = tuple(SourcePrice(name, "venue", price) for name, price in {"USDC": 1.0, **prices}.items())
    return Tick(ts_ns, (*rows, *sources), {"BTC": 1e9}, {"BTC": 0.6})


class Book:
    """A state without accounts that takes marks, and the marker that makes them."""

    def __init__(self, params: OracleParams = PARAMS) -> None:
        self.state = State(universe=Universe(INSTRUMENTS))
        self.marker, self.params = Marker(), params

    def mark(self, tick: Tick) -> dict[int, c.Quote]:
        """Quotes that changed."""
        command = self.marker.mark(self.state, tick, self.params)
        assert command.ts_ns == tick.ts_ns
        self.last = command
        for quote in command.quotes:
            self.state.quotes[quote.instrument] = quote
            self.state.quoted_ns[quote.instrument] = tick.ts_ns
        self.state.marked_ns = tick.ts_ns
        return {quote.instrument: quote for quote in command.quotes}


def test_every_instrument_of_an_asset_is_marked_from_it() -> None:
    quotes = Book().mark(tick(BTC=60_000.0))
    assert quotes[USDC].ticks == 1_000_000
    assert quotes[BTC].ticks == 60_000_000_000
    assert quotes[PERP].ticks == quotes[FUTURE].ticks == 600_000
    assert quotes[INVERSE].ticks == 6_000_000
    assert {quote.state for quote in quotes.values()} == {OK}
    assert (quotes[BTC].volume_usd_daily, quotes[PERP].volume_usd_daily) == (10**9, -1)


def test_only_what_changed_is_marked_again() -> None:
    book = Book()
    book.mark(tick(BTC=60_000.0))
    assert USDC not in book.mark(tick(START_NS + 1, BTC=60_001.0))
    assert PERP in book.mark(tick(START_NS + 2, BTC=60_002.0))


def test_a_derivative_with_a_source_of_its_own_is_marked_by_it() -> None:
    own = SourcePrice("BTC/USDC:USDC", "venue", 60_100.0)
    quotes = Book().mark(tick(START_NS, own, BTC=60_000.0))
    assert (quotes[PERP].ticks, quotes[FUTURE].ticks) == (601_000, 600_000)


def test_an_option_is_marked_from_volatility_at_the_index() -> None:
    quotes = Book().mark(tick(BTC=60_000.0))
    years = (EXPIRY_NS - START_NS) / 1e9 / SECONDS_A_YEAR
    usd = float(black76.price(60_000.0, 60_000.0, years, True, 0.6))
    assert quotes[CALL].ticks == int(usd / 0.01)
    assert quotes[COIN_CALL].ticks == int(usd / 60_000 / 0.0001)
    assert (quotes[CALL].vol_e9, quotes[CALL].forward_ticks) == (600_000_000, 60_000_000_000)


def test_an_option_keeps_its_last_volatility_and_has_no_mark_without_any() -> None:
    book = Book()
    silent = msgspec.structs.replace(tick(BTC=60_000.0), vol_annual={})
    assert CALL not in book.mark(silent)
    book.mark(tick(START_NS + 1, BTC=60_000.0))
    later = book.mark(msgspec.structs.replace(silent, ts_ns=START_NS + MINUTE_NS))
    assert later[CALL].vol_e9 == 600_000_000  # it decays, at the volatility it had


def test_one_source_of_two_that_errs_is_rejected_by_name_and_reason() -> None:
    book = Book()
    sources = (SourcePrice("BTC", "b", 60_050.0), SourcePrice("BTC", "c", 90_000.0))
    quotes = book.mark(tick(START_NS, *sources, BTC=60_000.0))
    assert quotes[BTC].ticks == 60_025_000_000
    verdicts = {(each.instrument, each.source): (each.ticks, each.rejected) for each in book.last.sources}
    assert verdicts == {
        (USDC, "venue"): (1_000_000, ""),
        (BTC, "venue"): (60_000_000_000, ""),
        (BTC, "b"): (60_050_000_000, ""),
        (BTC, "c"): (90_000_000_000, "outside_band"),
    }


@pytest.mark.parametrize("price", [math.nan, -5.0, 0.0, math.inf])
def test_what_is_not_a_price_is_rejected_and_halts(price: float) -> None:
    book = Book()
    book.mark(tick(BTC=60_000.0))
    quotes = book.mark(tick(START_NS + MINUTE_NS, BTC=price))
    assert quotes[BTC].state == HALTED
    assert quotes[BTC].ticks == 60_000_000_000
    assert [each.rejected for each in book.last.sources if each.instrument == BTC] == ["not_a_price"]


def test_a_price_in_doubt_stands_at_the_edge_of_its_band_never_at_the_suspect_price() -> None:
    book = Book(msgspec.structs.replace(PARAMS, slow_band=0.1))
    book.mark(tick(BTC=60_000.0))
    quotes = book.mark(tick(START_NS + MINUTE_NS, BTC=30_000.0))  # far outside the band of the slow price
    assert quotes[BTC].state == quotes[PERP].state == quotes[CALL].state == DEGRADED
    assert quotes[BTC].ticks == pytest.approx(60_000e6 / (1 + PARAMS.band))


def test_a_halted_price_stands_for_ten_minutes_and_then_is_gone() -> None:
    book = Book()
    book.mark(tick(BTC=60_000.0))
    stale = SourcePrice("BTC", "venue", 60_000.0, age_s=3_600.0)
    quotes = book.mark(tick(START_NS + 9 * MINUTE_NS, stale))
    assert (quotes[BTC].state, quotes[BTC].age_ms) == (HALTED, 9 * 60_000)
    quotes = book.mark(tick(START_NS + 11 * MINUTE_NS, stale))
    assert quotes[BTC].state == quotes[PERP].state == GONE
    assert quotes[BTC].ticks == 60_000_000_000
    assert book.mark(tick(START_NS + 12 * MINUTE_NS, stale)) == {}
    assert book.mark(tick(START_NS + 13 * MINUTE_NS, BTC=61_000.0))[BTC].state == OK


def test_an_asset_that_no_source_names_any_more_is_halted() -> None:
    book = Book()
    book.mark(tick(BTC=60_000.0))
    quotes = book.mark(tick(START_NS + MINUTE_NS))
    assert quotes[BTC].state == quotes[PERP].state == HALTED
    assert book.marker.states == {"BTC": "halted", "USDC": "ok"}


def test_also_after_a_restart() -> None:
    book = Book()
    book.mark(tick(BTC=60_000.0))
    book.marker = Marker()
    book.marker.restore(book.state)
    quotes = book.mark(tick(START_NS + MINUTE_NS))
    assert quotes[BTC].state == HALTED
    assert quotes[BTC].ticks == 60_000_000_000


def test_what_was_never_priced_has_no_quote() -> None:
    assert set(Book().mark(tick())) == {USDC}


def test_confidence_stays_a_fraction_however_far_sources_are_apart() -> None:
    book = Book()
    book.mark(tick(BTC=60_000.0))
    quotes = book.mark(tick(START_NS + 1, SourcePrice("BTC", "b", 600_000.0), BTC=60_000.0))
    assert quotes[BTC].confidence_e9 == 10**9
    assert quotes[BTC].state == DEGRADED
    desk = Desk()
    rows = tuple(SourcePrice(name, "venue", price) for name, price in desk.prices.items())
    report = desk.tick(1, sources=(*rows, SourcePrice("BTC", "b", 600_000.0)))
    assert type(report.entries[0].events[0]).__name__ == "Marked"


@given(st.floats(1e-3, 1e7), st.integers(0, 86_400))
def test_the_slow_price_moves_at_most_six_percent_an_hour(price: float, seconds: int) -> None:
    book = Book()
    book.mark(tick(BTC=60_000.0))
    book.mark(tick(START_NS + seconds * 10**9, BTC=price))
    slow = book.state.quotes[BTC].slow_ticks / 1e6
    most = 1.06 ** (seconds / 3_600)
    assert 60_000 / most * (1 - 1e-9) - 1e-6 <= slow <= 60_000 * most * (1 + 1e-9) + 1e-6


def test_a_restarted_marker_goes_on_where_the_other_stood() -> None:
    first = Book()
    for k in range(5):
        first.mark(tick(START_NS + k * MINUTE_NS, BTC=60_000.0 * 1.01**k))
    second = Book()
    second.state = first.state
    second.marker.restore(first.state)
    later = tick(START_NS + 6 * MINUTE_NS, BTC=63_000.0)
    one = first.marker.mark(first.state, later, PARAMS)
    two = second.marker.mark(second.state, later, PARAMS)
    for a, b in zip(one.quotes, two.quotes, strict=True):
        assert abs(a.slow_ticks - b.slow_ticks) <= 2  # the journal keeps the slow price in ticks
        assert msgspec.structs.replace(a, slow_ticks=0) == msgspec.structs.replace(b, slow_ticks=0)


def test_expired_instruments_are_marked_no_more() -> None:
    book = Book()
    book.mark(tick(BTC=60_000.0))
    book.state.expired.add(FUTURE)
    assert FUTURE not in book.mark(tick(START_NS + MINUTE_NS, BTC=70_000.0))


def test_settlement_is_the_mean_of_the_last_half_hour_and_of_nothing_older() -> None:
    marker = Book().marker
    state = State(universe=Universe(INSTRUMENTS))
    assert marker.settlement_micro("BTC", START_NS) == 0
    for minutes, price in ((0, 50_000.0), (20, 60_000.0), (45, 61_000.0)):
        marker.mark(state, tick(START_NS + minutes * MINUTE_NS, BTC=price), PARAMS)
    assert marker.settlement_micro("BTC", START_NS + 45 * MINUTE_NS) == 60_500 * 10**6
    assert marker.settlement_micro("BTC", START_NS + 45 * MINUTE_NS + SETTLEMENT_WINDOW_NS) == 61_000 * 10**6
    assert marker.settlement_micro("BTC", START_NS + 46 * MINUTE_NS + SETTLEMENT_WINDOW_NS) == 0


def test_the_numeraire_is_worth_one_without_any_source() -> None:
    state = State(universe=Universe((instrument("USD"), *INSTRUMENTS)))
    quotes = {quote.instrument: quote for quote in Marker().mark(state, tick(), PARAMS).quotes}
    assert quotes[0].ticks == 1_000_000


def test_an_unlisted_name_in_a_tick_is_nobodys_business() -> None:
    book = Book()
    strange = SourcePrice("DOGE", "venue", math.nan)
    assert BTC in book.mark(tick(START_NS, strange, BTC=60_000.0))
    assert {each.instrument for each in book.last.sources} == {USDC, BTC}


def test_minimum_sources_is_the_policys() -> None:
    desk = Desk(policy_with(oracle={"minimum_sources": 2}), marked=False)
    desk.tick()
    assert desk.state.quotes[BTC].state == GONE  # shown, but no good price ever came before it
    two = tuple(SourcePrice(name, venue, price) for name, price in desk.prices.items() for venue in ("a", "b"))
    desk.tick(1, sources=two)
    assert desk.state.quotes[BTC].state == OK
    desk.tick(1)
    assert desk.state.quotes[BTC].state == DEGRADED


def test_a_listing_names_whose_prices_count() -> None:
    desk = Desk(policy_with(limits={"BTC": {"sources": ["north", "south"]}}))
    said = tuple(SourcePrice(name, "north", price) for name, price in desk.prices.items())
    forged = tuple(SourcePrice("BTC", name, 90_000.0) for name in ("one", "two", "three"))
    report = desk.tick(1, sources=(*said, *forged))
    assert desk.state.quotes[BTC].ticks == round(60_000 / float(desk.state.universe[BTC].tick))
    verdicts = {each.source: each.rejected for each in report.entries[0].command.sources if each.instrument == BTC}
    assert verdicts == {"north": "", "one": "not_listed", "two": "not_listed", "three": "not_listed"}
    desk.tick(1, sources=(*(each for each in said if each.name != "BTC"), *forged))
    assert desk.state.quotes[BTC].state == 2  # nobody who counts has said anything: halted

    control = Desk()
    control.tick(1, sources=(*said, *forged))
    assert control.state.quotes[BTC].ticks != desk.state.quotes[BTC].ticks


def test_the_own_book_counts_in_perpetuals_within_bounds_and_not_in_assets() -> None:
    desk = Desk()
    said = tuple(SourcePrice(name, "north", price) for name, price in desk.prices.items())
    own = SourcePrice("BTC", "own book", 61_000.0, own_book=True)
    report = desk.tick(1, sources=(*said, own))
    (verdict,) = [each for each in report.entries[0].command.sources if each.source == "own book"]
    assert verdict.rejected == "own_book"
    assert desk.state.quotes[BTC].ticks == round(60_000 / float(desk.state.universe[BTC].tick))
    perp = (SourcePrice("BTC/USDC:USDC", "north", 60_000.0), SourcePrice("BTC/USDC:USDC", "x", 61_000.0, own_book=True))
    desk.tick(1, sources=(*said, *perp))
    assert desk.state.quotes[PERP].ticks == 600_000
    named = desk.tick(1, sources=(*said, *perp)).entries[0].command.sources
    assert [each.rejected for each in named if each.source == "x"] == [""]
