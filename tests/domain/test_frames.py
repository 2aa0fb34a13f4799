"""Books and markets from frames: exact lots and quote legs, defaults from ids, every problem at once."""

import contextlib
from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.domain.book import Book
from solvent.domain.book_frame import quote_leg_lots
from solvent.domain.columns import PROBLEMS_A_CHECK
from solvent.domain.frames import market_frame
from solvent.domain.instruments import Future, Option, Spot, contract_lot
from solvent.domain.market import DEGRADED, Market
from solvent.domain.quantities import LOT_BOUND, whole
from solvent.errors import SolventError

TS = "2024-05-01T00:00:00Z"
OPTION = "BTC/USD:BTC-241227-60000-C"


class FlatSurface:
    """A surface of one volatility."""

    def vol(self, log_moneyness: np.ndarray, years: np.ndarray) -> np.ndarray:
        return np.full(np.shape(log_moneyness), 0.5)


def market(**changes: object) -> Market:
    columns: dict[str, object] = {
        "instrument": ["BTC", "ETH", "USDC", "BTC/USDC:USDC", "BTC/USD:BTC", OPTION],
        "price": ["50123.45", "3000.5", "0.9998", "50130.5", "50130.25", "0.0407"],
        "vol": [None, None, None, None, None, 0.6],
        "ts": [TS] * 6,
    }
    return Market.from_frame(pl.DataFrame(columns | changes))


MARKET = market()
UNIVERSE = MARKET.universe


def problems(frame: object, **more: object) -> list[tuple[int | None, str, str]]:
    with pytest.raises(SolventError) as caught:
        Book.from_frame(frame, UNIVERSE, MARKET, **more)
    return [(each.row, each.field, each.value) for each in caught.value.problems]


def market_problems(columns: dict[str, object], **more: object) -> list[tuple[int | None, str]]:
    with pytest.raises(SolventError) as caught:
        Market.from_frame(pl.DataFrame(columns), **more)
    return [(each.row, each.field) for each in caught.value.problems]


def book(rows: list[tuple[object, ...]], columns: str = "account,instrument,quantity") -> pl.DataFrame:
    return pl.DataFrame(rows, schema=columns.split(","), orient="row")


def row_of(made: Book, account: str) -> dict[str, tuple[int, int]]:
    instruments, lots, cost = made.row(made.index(account))
    return {
        made.universe[i].id: (q, c) for i, q, c in zip(instruments.tolist(), lots.tolist(), cost.tolist(), strict=True)
    }


class TestBook:
    def test_linear_and_inverse_quote_legs_by_hand(self) -> None:
        frame = book(
            [
                ("a", "BTC", "1.5", None),
                ("a", "BTC/USDC:USDC", "-2", "50000"),
                ("b", "BTC/USD:BTC", "1000", "50000"),
                ("b", "BTC-PERPETUAL", "-500", "25000"),
            ],
            "account,instrument,quantity,entry_price",
        )
        made = Book.from_frame(frame, UNIVERSE)
        assert row_of(made, "a") == {"BTC": (150_000_000, 0), "BTC/USDC:USDC": (-200_000, 100_000 * 10**6)}
        # 1000 USD / 50000 = 0.02 BTC, -500 / 25000 = -0.02 BTC: both rows of b are one position
        assert row_of(made, "b") == {"BTC/USD:BTC": (500, 0)}

    def test_a_quote_leg_is_rounded_against_the_account_on_both_sides(self) -> None:
        frame = book(
            [("long", "BTC/USD:BTC", "1", "30000"), ("short", "BTC/USD:BTC", "-1", "30000")],
            "account,instrument,quantity,entry_price",
        )
        made = Book.from_frame(frame, UNIVERSE)
        assert row_of(made, "long")["BTC/USD:BTC"] == (1, 3333)  # 3333.33 satoshi that the long owns
        assert row_of(made, "short")["BTC/USD:BTC"] == (-1, -3334)  # and that the short owes

    @pytest.mark.parametrize("empty", [None, "", float("nan")])
    def test_without_an_entry_a_position_is_at_the_mark(self, empty: object) -> None:
        entry = pl.Series(
            "entry_price", [empty, empty], dtype=pl.Float64 if empty == empty and not empty else None, strict=False
        )
        if empty == "":
            entry = pl.Series("entry_price", ["", " "])
        frame = book([("a", "BTC/USDC:USDC", "3"), ("b", "BTC/USD:BTC", "-7")]).with_columns(entry)
        made = Book.from_frame(frame, UNIVERSE, MARKET)
        assert row_of(made, "a")["BTC/USDC:USDC"][1] == -3 * 501305 * 10**5
        assert row_of(made, "b")["BTC/USD:BTC"][1] == int((Fraction(-7) * 10**8 / Fraction("50130.25")) // 1)

    def test_at_the_mark_needs_a_market_with_a_mark(self) -> None:
        frame = book([("a", "BTC/USDC:USDC", "3")])
        with pytest.raises(SolventError, match="no market was given"):
            Book.from_frame(frame, UNIVERSE)
        unmarked = Market(UNIVERSE, 0, np.zeros(len(UNIVERSE), np.int64))
        with pytest.raises(SolventError, match="the market has no mark"):
            Book.from_frame(frame, UNIVERSE, unmarked)

    def test_rows_of_one_account_and_instrument_add_up(self) -> None:
        made = Book.from_frame(book([("a", "BTC", "1"), ("b", "BTC", "2"), ("a", "BTC", "-0.25")]), UNIVERSE)
        assert made.names == ["a", "b"]
        assert row_of(made, "a") == {"BTC": (75_000_000, 0)}

    def test_owners(self) -> None:
        rows = [("a", "BTC", "1", "fund"), ("b", "BTC", "1", None), ("a", "ETH", "1", None)]
        made = Book.from_frame(book(rows, "account,instrument,quantity,owner"), UNIVERSE)
        assert made.owners == ["fund", "b"]
        two = [("a", "BTC", "1", "fund"), ("a", "ETH", "1", "other")]
        assert problems(book(two, "account,instrument,quantity,owner")) == [(2, "owner", "other")]

    @pytest.mark.parametrize(
        "quantity",
        [pl.Series(["1.5", "-2"]), pl.Series([Decimal("1.5"), Decimal(-2)]), pl.Series([1.5, -2.0])],
        ids=["text", "decimal", "float"],
    )
    def test_kinds_of_quantities_and_frames(self, quantity: pl.Series) -> None:
        frame = pl.DataFrame({"account": ["a", "b"], "instrument": ["BTC", "BTC"], "quantity": quantity})
        for each in (frame, frame.to_arrow(), frame.with_columns(pl.col("instrument").cast(pl.Categorical))):
            made = Book.from_frame(each, UNIVERSE)
            assert [row_of(made, name)["BTC"][0] for name in "ab"] == [150_000_000, -200_000_000]

    def test_integers_and_account_numbers(self) -> None:
        frame = pa.table({"account": [7, 8], "instrument": ["USDC", "USDC"], "quantity": pa.array([5, -6], pa.int32())})
        made = Book.from_frame(frame, UNIVERSE)
        assert made.names == ["7", "8"]
        assert row_of(made, "8") == {"USDC": (-6_000_000, 0)}

    def test_all_problems_at_once_with_row_and_value(self) -> None:
        rows = [
            ("a", "BTC", "1.000000001", None),
            ("a", "BTCX", "1", None),
            (None, "BTC", "1", None),
            ("a", "BTC", "1e5", None),
            ("a", "BTC", "nan", None),
            ("a", "BTC", None, None),
            ("a", "BTC/USDC:USDC", "1", "-5"),
            ("a", "BTC/USDC:USDC", "1", "inf"),
            ("a", "BTC", "123456789012345", None),
            ("a", "BTC", "1." + "1" * 40, None),
        ]
        found = problems(book(rows, "account,instrument,quantity,entry_price"))
        assert found == [
            (1, "quantity", "1.000000001"),
            (2, "instrument", "BTCX"),
            (3, "account", "missing"),
            (4, "quantity", "1e5"),
            (5, "quantity", "nan"),
            (6, "quantity", "missing"),
            (7, "entry_price", "-5"),
            (8, "entry_price", "inf"),
            (9, "quantity", "123456789012345"),
            (10, "quantity", "1." + "1" * 40),
        ]

    def test_an_unknown_symbol_names_near_ones(self) -> None:
        with pytest.raises(SolventError, match=r"row 1: instrument = BTC/USDT:USDT: one of BTC/USDC:USDC"):
            Book.from_frame(book([("a", "BTC/USDT:USDT", "1")]), UNIVERSE)

    def test_missing_columns_and_things_that_are_no_frame(self) -> None:
        found = problems(pl.DataFrame({"account": ["a"], "qty": ["1"]}))
        assert [field for _, field, _ in found] == ["instrument", "quantity"]
        assert problems([1, 2])[0][1] == "frame"
        nested = pl.DataFrame({"account": ["a"], "instrument": ["BTC"], "quantity": [[1, 2]]})
        assert problems(nested)[0][1] == "quantity"

    def test_floats_are_taken_within_a_part_in_a_billion_of_a_lot(self) -> None:
        frame = pl.DataFrame({"account": ["a"], "instrument": ["BTC"], "quantity": [0.1 + 0.2]})
        assert row_of(Book.from_frame(frame, UNIVERSE), "a") == {"BTC": (30_000_000, 0)}
        off = pl.DataFrame({"account": ["a"], "instrument": ["BTC"], "quantity": [0.100000005]})
        assert problems(off) == [(1, "quantity", "0.100000005")]

    def test_sums_must_fit_63_bits(self) -> None:
        almost = Fraction(LOT_BOUND - 1, 10**8)
        text = f"{almost.numerator * (10**8 // almost.denominator) // 10**8}"
        found = problems(book([("a", "BTC", text), ("a", "BTC", text), ("b", "BTC", text)]))
        assert found == [(2, "quantity", text)]

    def test_a_bad_file_of_many_rows_is_told_in_few_lines(self) -> None:
        frame = book([("a", "BTC", "x")] * 5000)
        found = problems(frame)
        assert len(found) == PROBLEMS_A_CHECK + 1
        assert found[-1] == (None, "quantity", "4900 more rows")

    def test_an_empty_book(self) -> None:
        made = Book.from_frame(book([]).cast(pl.String), UNIVERSE)
        assert len(made) == 0

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["BTC", "ETH", "USDC", "BTC/USDC:USDC", "BTC/USD:BTC", OPTION]),
                st.decimals(-(10**12), 10**12, places=9)
                | st.decimals(-100, 100, places=3)
                | st.integers(-(10**20), 10**20),
                st.decimals(Decimal("0.00001"), 10**7, places=5) | st.decimals(1, 10**30, places=10),
            ),
            min_size=1,
            max_size=20,
        )
    )
    def test_the_fast_form_agrees_with_fractions(self, rows: list[tuple[str, Decimal | int, Decimal]]) -> None:
        frame = book(
            [
                (f"a{i}", u, f"{q:f}" if isinstance(q, Decimal) else str(q), f"{p:f}")
                for i, (u, q, p) in enumerate(rows)
            ],
            "account,instrument,quantity,entry_price",
        )
        expected: list[tuple[int, int] | None] = []
        for u, q, p in rows:
            which = UNIVERSE.index(u)
            try:
                lots = whole(q, contract_lot(UNIVERSE[which]))
                cost = quote_leg_lots(UNIVERSE, which, lots, Fraction(p)) if ":" in u and u != OPTION else 0
                expected.append((lots, cost) if abs(lots) < LOT_BOUND else None)
            except ValueError:
                expected.append(None)
        if None in expected:
            bad = {each[0] for each in problems(frame)}
            assert bad == {i + 1 for i, each in enumerate(expected) if each is None}
            return
        made = Book.from_frame(frame, UNIVERSE)
        for i, (u, _, _) in enumerate(rows):
            got = row_of(made, f"a{i}") if made.length[i] else {}
            assert got.get(u, (0, 0)) == expected[i]

    @given(st.lists(st.text(max_size=12), min_size=1, max_size=5))
    def test_garbage_text_never_raises_anything_else(self, cells: list[str]) -> None:
        for name in ("account", "instrument", "quantity", "entry_price", "owner"):
            columns = {"account": "a", "instrument": "BTC/USDC:USDC", "quantity": "1", "entry_price": "1", "owner": "o"}
            frame = pl.DataFrame(
                {key: cells if key == name else [value] * len(cells) for key, value in columns.items()}
            )
            with contextlib.suppress(SolventError):
                assert len(Book.from_frame(frame, UNIVERSE)) >= 1


class TestMarket:
    def test_terms_come_from_ids_and_defaults(self) -> None:
        by_id = {each.id: each for each in UNIVERSE}
        assert isinstance(by_id["BTC"], Spot)
        option = by_id[OPTION]
        assert isinstance(option, Option)
        assert (option.strike, option.call, option.inverse) == (60000, True, True)
        assert "USD" in by_id  # always there
        assert MARKET.price[UNIVERSE.index("USD")] == 1.0
        assert MARKET.ts_ns == 1_714_521_600 * 10**9

    def test_marks_are_exact(self) -> None:
        for id, text in (("BTC", "50123.45"), ("BTC/USDC:USDC", "50130.5"), (OPTION, "0.0407")):
            i = UNIVERSE.index(id)
            assert int(MARKET.ticks[i]) * Fraction(UNIVERSE[i].tick) == Fraction(text)

    def test_given_terms_win(self) -> None:
        made = Market.from_frame(
            pl.DataFrame(
                {
                    "instrument": ["BTC", "BTC/USDC:USDC", "BTC/USDC:USDC-240628", "XYZ"],
                    "price": ["50000", "50000.5", "51000", "0.00001234"],
                    "tick": [None, "0.5", "0.1", None],
                    "lot": ["0.00001", "0.001", "0.01", None],
                    "multiplier": [None, "1", "0.1", None],
                    "expiry": [None, None, "2024-06-28T09:30:00Z", None],
                    "decimals": [8, None, None, 12],
                    "ts": [TS] * 4,
                }
            )
        )
        btc, perpetual, future, coin = made.universe[0], made.universe[1], made.universe[2], made.universe[3]
        assert isinstance(btc, Spot)
        assert btc.lot_atoms == 1000
        assert (perpetual.tick, contract_lot(perpetual)) == (Decimal("0.5"), Fraction(1, 1000))
        assert isinstance(future, Future)
        assert future.expiry_ns == 1_719_567_000 * 10**9
        assert future.multiplier == Decimal("0.1")
        assert isinstance(coin, Spot)
        assert coin.decimals == 12
        assert made.ticks[3] * Fraction(coin.tick) == Fraction("0.00001234")

    def test_a_price_off_its_given_tick_is_refused_and_without_a_tick_it_is_made_finer(self) -> None:
        rows = {"instrument": ["BTC/USDC:USDC"], "price": ["50000.25"]}
        assert market_problems(rows | {"tick": ["0.5"]}) == [(1, "price")]
        made = Market.from_frame(pl.DataFrame(rows))
        assert made.universe[0].tick == Decimal("0.01")
        assert made.price[0] == 50000.25

    def test_numbers_states_and_ages(self) -> None:
        made = Market.from_frame(
            pl.DataFrame(
                {
                    "instrument": ["BTC", "ETH"],
                    "price": [50000.0, 3000.0],
                    "confidence": ["0.001", ""],
                    "volume_usd_daily": [1e9, None],
                    "slow_price": [49000.0, None],
                    "rate": [0.05, None],
                    "state": ["degraded", None],
                    "ts": ["2024-05-01 00:00:05", "2024-05-01T00:00:00+00:00"],
                }
            )
        )
        assert made.confidence[:2].tolist() == [0.001, 0.0]
        assert made.age_s[:2].tolist() == [0.0, 5.0]
        assert made.state[:2].tolist() == [DEGRADED, 0]
        assert made.slow_price[:2].tolist() == [49000.0, 3000.0]
        assert np.isnan(made.volume_usd_daily[1])
        assert made.rate_annual[0] == 0.05

    def test_settlement_assets_without_a_row(self) -> None:
        made = Market.from_frame(
            pl.DataFrame({"instrument": ["BTC/USD:BTC", "ETH/USDT:USDT"], "price": [50000.5, 3000.0]})
        )
        assert made.price[made.universe.index("BTC")] == 50000.5
        assert made.price[made.universe.index("USDT")] == 1.0
        lonely = {"instrument": [OPTION], "price": [0.1], "vol": [0.5], "ts": [TS]}
        assert market_problems(lonely) == [(None, "instrument")]

    def test_options_need_a_volatility_or_a_surface(self) -> None:
        rows = {"instrument": ["BTC", OPTION], "price": [50000.0, None], "ts": [TS] * 2}
        assert market_problems(rows) == [(2, "vol")]
        made = Market.from_frame(pl.DataFrame(rows), surfaces={"BTC": FlatSurface()})
        assert made.vol()[1] == 0.5
        assert made.ticks[1] == 0

    def test_what_expires_needs_a_time(self) -> None:
        rows = {"instrument": ["BTC", OPTION], "price": [50000.0, 0.1], "vol": [None, 0.5]}
        assert market_problems(rows) == [(None, "ts")]
        assert Market.from_frame(pl.DataFrame(rows), ts_ns=10**18).ts_ns == 10**18

    def test_all_problems_at_once(self) -> None:
        found = market_problems(
            {
                "instrument": ["BTC", "ETH", "SOL", "XX/YY:ZZ", "BTC", OPTION, "LTC", "XRP", "USD", None],
                "price": ["nan", "-1", "0", "1", "2", "0.1", "", "1", "1.5", "1"],
                "vol": [None, None, None, None, None, 80.0, None, None, None, None],
                "half_spread": [None, None, None, None, None, None, None, "wide", None, None],
                "state": ["ok", "odd", None, None, None, None, None, None, None, None],
                "ts": [TS] * 9 + ["yesterday"],
            }
        )
        assert found == [
            (1, "price"),
            (2, "price"),
            (2, "state"),
            (3, "price"),
            (4, "instrument"),
            (5, "instrument"),
            (6, "vol"),
            (7, "price"),
            (8, "half_spread"),
            (9, "price"),
            (10, "ts"),
            (10, "instrument"),
        ]

    @pytest.mark.parametrize(
        ("field", "value", "id"),
        [
            ("tick", "0", "BTC"),
            ("tick", "tiny", "BTC/USDC:USDC"),
            ("lot", "x", "BTC/USDC:USDC"),
            ("lot", "0.000000001", "BTC"),
            ("strike", "5", "BTC/USDC:USDC"),
            ("multiplier", "2", "BTC"),
            ("decimals", "8", "BTC/USDC:USDC"),
            ("decimals", "99", "BTC"),
            ("expiry", "2024-06-28", "BTC"),
            ("expiry", "soon", "BTC/USDC:USDC-240628"),
            ("strike", "-1", OPTION),
        ],
    )
    def test_a_wrong_term_names_its_field(self, field: str, value: str, id: str) -> None:
        rows = {
            "instrument": ["ETH", id],
            "price": ["3000", "0.5"],
            "vol": ["", "0.5"],
            "ts": [TS] * 2,
            field: [None, value],
        }
        assert (2, field) in market_problems(rows)

    def test_a_market_survives_its_own_frame(self) -> None:
        rich = Market.from_frame(
            market_frame(MARKET).with_columns(confidence=pl.Series([0.001 * i for i in range(7)])),
        )
        again = Market.from_frame(market_frame(rich).to_arrow())
        assert list(again.universe) == list(rich.universe) == list(UNIVERSE)
        assert again.ts_ns == rich.ts_ns
        for name in ("ticks", "price", "confidence", "vol_annual", "slow_price", "state", "volume_usd_daily"):
            np.testing.assert_array_equal(getattr(again, name), getattr(rich, name))

    @given(
        st.lists(st.text(max_size=15), min_size=1, max_size=4),
        st.sampled_from(["price", "tick", "expiry", "ts", "vol", "instrument"]),
    )
    def test_garbage_text_never_raises_anything_else(self, cells: list[str], name: str) -> None:
        columns = {"instrument": [f"A{i}/USDC:USDC" for i in range(len(cells))], "price": ["1"] * len(cells)}
        with contextlib.suppress(SolventError):
            assert (Market.from_frame(pl.DataFrame(columns | {name: cells})).price > 0).all()

    @given(
        st.decimals(Decimal("0.00000001"), 10**8, allow_nan=False, allow_infinity=False).filter(lambda x: x > 0),
        st.sampled_from(["BTC", "BTC/USDC:USDC", "BTC/USD:BTC"]),
    )
    def test_marks_hold_six_significant_digits_at_least(self, price: Decimal, id: str) -> None:
        made = Market.from_frame(pl.DataFrame({"instrument": [id], "price": [f"{price:f}"[:38]]}))
        assert made.price[0] == pytest.approx(float(price), rel=5.1e-6)
