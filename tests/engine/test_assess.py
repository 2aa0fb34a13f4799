"""`solvent.assess` and `explain`: the same answer from domain objects and from any frame that speaks Arrow."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import solvent as sv
from solvent.domain.instruments import Spot
from solvent.engine import assess as module
from solvent.engine.assess import decided
from solvent.engine.files import read_policy
from solvent.margin.rule import rule
from solvent.margin.statement import ExactStatement

NOW = datetime(2024, 6, 1, tzinfo=UTC)
MARKET = {
    "instrument": ["BTC", "USDC", "BTC/USDC:USDC", "BTC/USD:BTC-240628-65000-C"],
    "price": ["60000", "1", "60030", "0.031"],
    "vol": [None, None, None, 0.55],
    "half_spread": [0.0001, 0.0001, 0.0001, None],
    "ts": [NOW] * 4,
}
BOOK = {
    "account": ["carry", "carry", "writer", "writer", "writer"],
    "instrument": ["BTC", "BTC/USDC:USDC", "USDC", "BTC-28JUN24-65000-C", "BTC/USDC:USDC"],
    "quantity": ["10", "-10", "50000", "-1", "0.5"],
    "entry_price": [None, "60030", None, None, "59000"],
}
FRAMES: dict[str, Callable[[dict[str, list[Any]]], Any]] = {"polars": pl.DataFrame, "pyarrow": pa.table}


class Bare:
    """A frame that can nothing but hand over its Arrow stream."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._table = pa.table(columns)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def objects() -> tuple[sv.Book, sv.Market]:
    market = sv.Market.from_frame(pl.DataFrame(MARKET))
    return sv.Book.from_frame(pl.DataFrame(BOOK), market.universe, market), market


@pytest.mark.parametrize("frame", [*FRAMES.values(), Bare], ids=[*FRAMES, "bare"])
def test_frames_and_objects_give_one_answer(frame: Callable[[dict[str, list[Any]]], Any]) -> None:
    expected = sv.assess(*objects()).to_frame()
    assert sv.assess(frame(BOOK), frame(MARKET)).to_frame().equals(expected)
    assert sv.assess(frame(BOOK), objects()[1], read_policy("portfolio")).to_frame().equals(expected)
    assert expected["account"].to_list() == ["carry", "writer"]
    carry, writer = expected["equity"].to_list()
    assert carry == pytest.approx(600_000)
    assert writer == pytest.approx(50_000 - 0.031 * 60_000 + 0.5 * 1030)


def test_inputs_are_left_as_they_were() -> None:
    book, market = objects()
    before = [array.copy() for array in (book.instrument, book.lots, book.cost, market.ticks, market.price)]
    sv.assess(book, market)
    sv.explain(book, market, account="carry")
    after = (book.instrument, book.lots, book.cost, market.ticks, market.price)
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_explanations_add_up_to_the_statement() -> None:
    book, market = objects()
    found = sv.explain(BOOK_FRAME, market, account="writer")
    row = sv.assess(book, market).to_frame().row(1, named=True)
    for total in ("equity", "initial_margin", "maintenance_margin"):
        assert float(sum(term.amount for term in found.terms if term.total == total)) == pytest.approx(row[total])
    assert found.account == "writer"


BOOK_FRAME = pl.DataFrame(BOOK)


def test_the_account_may_be_left_out_where_there_is_one() -> None:
    book, market = objects()
    one = BOOK_FRAME.filter(pl.col("account") == "carry")
    assert sv.explain(one, market).account == "carry"
    with pytest.raises(sv.SolventError, match="one of carry, writer"):
        sv.explain(book, market)
    with pytest.raises(sv.SolventError, match="one of carry, writer"):
        sv.explain(book, market, account="nobody")


def test_all_problems_of_a_frame_come_at_once() -> None:
    bad = {**BOOK, "instrument": ["BTC", "BTX", "USDC", "ETH/USDC:USDC", "BTC"], "quantity": ["x", "1", "1", "1", "1"]}
    with pytest.raises(sv.SolventError) as caught:
        sv.assess(pl.DataFrame(bad), pl.DataFrame(MARKET))
    assert {each.value for each in caught.value.problems} >= {"x", "BTX", "ETH/USDC:USDC"}


@pytest.mark.parametrize("given", [None, {"BTC": 1}, "book.csv"])
def test_what_is_no_frame_is_refused_by_name(given: Any) -> None:
    book, market = objects()
    with pytest.raises(sv.SolventError, match="a Book, or a frame"):
        sv.assess(given, market)
    with pytest.raises(sv.SolventError, match="a Market, or a frame"):
        sv.assess(book, given)


def test_an_unknown_policy_names_the_ready_made_ones() -> None:
    with pytest.raises(sv.SolventError, match="portfolio"):
        sv.assess(*objects(), "no-such-policy")


def test_a_book_of_other_instruments_is_refused_and_an_older_listing_is_not() -> None:
    book, market = objects()
    other = sv.Book(sv.Universe([Spot("ETH", "ETH")]), ["one"])
    with pytest.raises(sv.SolventError, match="ETH"):
        sv.assess(other, market)
    longer = sv.Book(market.universe.listed(Spot("NEW", "NEW")), ["one"])
    with pytest.raises(sv.SolventError, match="NEW"):
        sv.assess(longer, market)
    older = sv.Book(sv.Universe(market.universe.instruments[:2]), ["one"])
    older.add(0, 0, 10**8)
    assert sv.assess(older, market).equity.tolist() == pytest.approx([60_000.0])
    assert sv.assess(book, market).equity.shape == (2,)


def test_figures_too_close_to_tell_are_the_exact_ones() -> None:
    book, market = objects()
    prepared = rule("portfolio").prepare(market.universe, market, read_policy("portfolio"))
    exact = prepared.exact(book, 0)
    usdc = market.universe.index("USDC")
    book.add(0, usdc, exact.maintenance_margin - exact.equity)  # equity is the maintenance margin, to the atom
    statement = prepared.assess(book)
    assert not statement.certain[0]
    settled = decided(prepared, book, statement)
    assert (settled.equity[0], settled.liquidatable[0]) == (settled.maintenance_margin[0], False)
    assert sv.assess(book, market).equity[0] == settled.equity[0]
    assert ExactStatement(*prepared.exact(book, 0)[:3]).equity == round(settled.equity[0] * 1e6)
    assert module.POLICY_DEFAULT == "portfolio"
