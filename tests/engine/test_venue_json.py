"""Positions and balances as ccxt and Deribit return them: quantities, entries, cash, the venue's own margins."""

import contextlib
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.domain.market import Market
from solvent.engine.files import BookFile, read_book, read_market
from solvent.engine.read import json_of
from solvent.engine.venue_json import is_venue, venue_book
from solvent.errors import SolventError

EXAMPLES = Path(__file__).parents[2] / "examples"
OPTION = "BTC/USD:BTC-241227-60000-C"
MARKET = Market.from_frame(
    pl.DataFrame(
        {
            "instrument": [
                "BTC",
                "USDC",
                "USDT",
                "BTC/USDC:USDC",
                "BTC/USDT:USDT",
                "BTC/USD:BTC",
                "BTC/USD:BTC-241227-60000-C",
            ],
            "price": ["60000", "1", "1", "60030", "60030", "60030", "0.05"],
            "vol": [None] * 6 + [0.6],
            "ts": ["2024-06-01"] * 7,
        }
    )
)
POSITION = {"instrument_name": "BTC-PERPETUAL", "direction": "buy", "size": 6000.0, "average_price": 50000.0}
UNIFIED = {"symbol": "BTC/USDT:USDT", "side": "short", "contracts": 30.0, "contractSize": 0.1, "entryPrice": 61000.0}
KEYS = [
    *("positions", "balance", "summary", "summaries", "accounts", "account", "result", "error", "info"),
    *("total", "debt", "currency", "equity", "instrument_name", "symbol", "size", "contracts", "contractSize"),
    *("data", "details", "direction", "side", "mark_price", "settlement_price", "floating_profit_loss"),
    *("average_price", "session_upl", "totalMarginBalance"),
]
FIGURES = ("equity", "initial_margin", "maintenance_margin")
VALUES = ["BTC", "BTC-PERPETUAL", "BTC/USD:BTC", "long", "1e9", "0.5", "", "x"]


def read(tmp_path: Path, document: Any, market: Market = MARKET) -> BookFile:
    path = tmp_path / "account.json"
    path.write_text(json.dumps(document))
    return read_book(path, market.universe, market)


def held(found: BookFile, account: str = "main") -> dict[str, tuple[int, int]]:
    book = found.book
    rows = zip(*(each.tolist() for each in book.row(book.index(account))), strict=True)
    return {book.universe[i].id: (q, c) for i, q, c in rows}


def fields(tmp_path: Path, document: Any) -> list[str]:
    with pytest.raises(SolventError) as caught:
        read(tmp_path, document)
    return [each.field for each in caught.value.problems]


class TestDeribit:
    def test_an_inverse_position_with_and_without_the_envelope(self, tmp_path: Path) -> None:
        expected = {"BTC/USD:BTC": (6000, 12_000_000)}  # 6000 / 50000 = 0.12 BTC
        assert held(read(tmp_path, [POSITION])) == expected
        assert held(read(tmp_path, {"jsonrpc": "2.0", "id": 1, "result": [POSITION]})) == expected
        assert held(read(tmp_path, {"positions": {"result": [POSITION]}})) == expected

    def test_the_direction_signs_the_size_whichever_sign_it_has(self, tmp_path: Path) -> None:
        for size in (6000, -6000):
            found = read(tmp_path, [POSITION | {"direction": "sell", "size": size}])
            assert held(found) == {"BTC/USD:BTC": (-6000, -12_000_000)}
        assert held(
            read(
                tmp_path,
                [POSITION, POSITION | {"instrument_name": "BTC_USDC-PERPETUAL", "direction": "zero", "size": 0}],
            )
        ) == {"BTC/USD:BTC": (6000, 12_000_000)}

    def test_profit_that_was_paid_out_is_not_counted_again(self, tmp_path: Path) -> None:
        """Settled at 59,500 this morning: the profit still unpaid is since then, not since the average price."""
        unpaid = round(6000 / 59500 - 6000 / 60030, 8)
        position = POSITION | {"mark_price": 60030.0, "settlement_price": 59500.0, "floating_profit_loss": unpaid}
        (lots, cost) = held(read(tmp_path, [position]))["BTC/USD:BTC"]
        assert (cost - lots * 10**8 / 60030) / 10**8 == pytest.approx(unpaid, abs=2e-8)
        linear = {
            "instrument_name": "BTC_USDC-PERPETUAL", "direction": "sell", "size": -0.5, "average_price": 1.0,
            "mark_price": 60030.0, "settlement_price": 60130.0, "floating_profit_loss": 50.0,
        }  # fmt: skip
        assert held(read(tmp_path, [linear]))["BTC/USDC:USDC"] == (-50_000, 30_065 * 10**6)

    def test_cash_is_equity_less_unpaid_profit_and_options(self, tmp_path: Path) -> None:
        summary = {
            "currency": "BTC", "balance": 3.0, "equity": 2.9, "futures_session_upl": 0.05, "options_value": -0.25,
            "initial_margin": 0.5, "maintenance_margin": 0.4,
        }  # fmt: skip
        found = read(tmp_path, {"positions": [], "summary": {"result": summary}})
        assert held(found) == {"BTC": (310_000_000, 0)}
        assert found.reported is not None
        assert found.reported.rows() == [("main", 2.9 * 60000, 0.5 * 60000, 0.4 * 60000)]

    def test_several_currencies_add_up_and_cross_collateral_is_not_counted_twice(self, tmp_path: Path) -> None:
        def summary(currency: str, equity: float, **more: float) -> dict[str, Any]:
            figures = {"balance": equity, "equity": equity, "session_upl": 0.0}
            return {
                "currency": currency,
                **figures,
                "initial_margin": 0.1 * equity,
                "maintenance_margin": 0.05 * equity,
                **more,
            }

        apart = read(tmp_path, {"summaries": [summary("BTC", 1.0), summary("USDC", 5000.0)]})
        assert held(apart) == {"BTC": (10**8, 0), "USDC": (5 * 10**9, 0)}
        assert apart.reported is not None
        assert apart.reported.rows() == [("main", 65_000.0, 6_500.0, 3_250.0)]
        totals = {
            "total_equity_usd": 65_000.0,
            "total_initial_margin_usd": 7_000.0,
            "total_maintenance_margin_usd": 3_000.0,
        }
        cross = read(
            tmp_path, {"summaries": {"summaries": [summary("BTC", 1.0, **totals), summary("USDC", 5000.0, **totals)]}}
        )
        assert cross.reported is not None
        assert cross.reported.rows() == [("main", 65_000.0, 7_000.0, 3_000.0)]
        assert held(cross) == held(apart)

    def test_a_currency_without_a_price_gives_no_usd_figure(self, tmp_path: Path) -> None:
        path = tmp_path / "account.json"
        path.write_text(
            json.dumps(
                [{"currency": "BTC", "balance": 1.0, "equity": 1.0, "initial_margin": 0.1, "maintenance_margin": 0.1}]
            )
        )
        found = read_book(path, MARKET.universe)
        assert found.reported is not None
        assert found.reported.rows() == [("main", None, None, None)]

    def test_the_example_has_the_equity_that_its_venue_reports(self) -> None:
        market = read_market(EXAMPLES / "market-options.json")
        found = read_book(EXAMPLES / "deribit-account.json", market.universe, market)
        instruments, lots, cost = found.book.row(0)
        terms = market.universe.terms
        coins = usd = 0.0
        for i, q, c in zip(instruments.tolist(), lots.tolist(), cost.tolist(), strict=True):
            each = market.universe[i]
            if each.id == "USDC":
                usd += q * terms.unit[i] * market.price[i]
            elif each.kind == 0:
                coins += q * terms.unit[i]
            elif each.kind == 3:
                coins += q * terms.unit[i] * market.price[i]
            else:
                coins += c * 1e-8 - q * terms.unit[i] / market.price[i]
        assert found.reported is not None
        assert coins * 60_000 + usd == pytest.approx(found.reported["equity"][0], abs=0.01)


class TestCcxt:
    def test_contracts_become_coins_and_the_side_signs_them(self, tmp_path: Path) -> None:
        position = UNIFIED | {"initialMargin": 100, "maintenanceMargin": "50.5"}
        balance = {"total": {"USDT": 1000.1234567, "BTC": 0}}
        found = read(tmp_path, {"account": "desk", "positions": [position], "balance": balance})
        assert held(found, "desk") == {"BTC/USDT:USDT": (-300_000, 183_000 * 10**6), "USDT": (1_000_123_456, 0)}
        assert found.reported is not None
        assert found.reported.rows() == [("desk", None, 100.0, 50.5)]

    def test_inverse_contracts_become_usd(self, tmp_path: Path) -> None:
        inverse = {"symbol": "BTC/USD:BTC", "side": "long", "contracts": 10, "contractSize": 100, "entryPrice": 50000}
        assert held(read(tmp_path, [inverse])) == {"BTC/USD:BTC": (1000, 2_000_000)}

    def test_without_an_entry_a_position_is_at_the_mark(self, tmp_path: Path) -> None:
        found = read(tmp_path, [{key: value for key, value in UNIFIED.items() if key != "entryPrice"}])
        assert held(found)["BTC/USDT:USDT"] == (-300_000, 3 * 60_030 * 10**6)

    def test_options_carry_no_quote_leg_and_empty_positions_are_left_out(self, tmp_path: Path) -> None:
        option = {"symbol": "BTC/USD:BTC-241227-60000-C", "side": "short", "contracts": 2.0, "entryPrice": 0.04}
        assert held(read(tmp_path, [option, UNIFIED | {"contracts": 0}])) == {"BTC/USD:BTC-241227-60000-C": (-200, 0)}

    def test_debt_counts_and_cash_is_rounded_down(self, tmp_path: Path) -> None:
        balance = {"total": {"BTC": 0.0, "USDC": 10.0000009}, "debt": {"BTC": 0.123456781}}
        assert held(read(tmp_path, balance)) == {"BTC": (-12_345_679, 0), "USDC": (10_000_000, 0)}

    def test_deribits_answer_inside_is_read_rather_than_the_equity_that_total_is(self, tmp_path: Path) -> None:
        info = {
            "summaries": [
                {
                    "currency": "BTC",
                    "balance": 1.0,
                    "equity": 1.2,
                    "session_upl": 0.2,
                    "initial_margin": 0.1,
                    "maintenance_margin": 0.05,
                }
            ]
        }
        position = {
            "symbol": "BTC/USD:BTC",
            "side": "long",
            "contracts": 6000.0,
            "contractSize": None,
            "info": POSITION,
        }
        found = read(tmp_path, {"positions": [position], "balance": {"info": info, "total": {"BTC": 1.2}}})
        assert held(found) == {"BTC": (10**8, 0), "BTC/USD:BTC": (6000, 12_000_000)}
        assert found.reported is not None
        assert found.reported["equity"].to_list() == [72_000.0]

    def test_okx_cash_and_totals(self, tmp_path: Path) -> None:
        details = [{"ccy": "USDT", "eq": "1500", "cashBal": "1000"}, {"ccy": "BTC", "eq": "0", "cashBal": ""}]
        info = {"code": "0", "data": [{"totalEq": "1500", "imr": "150", "mmr": "75", "details": details}]}
        found = read(tmp_path, {"positions": [UNIFIED], "balance": {"info": info, "total": {"USDT": 1500}}})
        assert held(found)["USDT"] == (1000 * 10**6, 0)
        assert found.reported is not None
        assert found.reported.rows() == [("main", 1500.0, 150.0, 75.0)]

    def test_binance_totals(self, tmp_path: Path) -> None:
        info = {"totalMarginBalance": "900", "totalInitialMargin": "100", "totalMaintMargin": "40"}
        found = read(tmp_path, {"positions": [UNIFIED], "balance": {"info": info, "total": {"USDT": 1000}}})
        assert found.reported is not None
        assert found.reported.rows() == [("main", 900.0, 100.0, 40.0)]


class TestSeveral:
    def test_accounts_in_a_list_or_by_name(self, tmp_path: Path) -> None:
        listed = [{"account": name, "positions": [UNIFIED]} for name in ("x", "y")]
        named = {"accounts": {name: {"positions": [UNIFIED]} for name in ("x", "y")}}
        for document in (listed, named, {"accounts": listed}):
            found = read(tmp_path, document)
            assert found.book.names == ["x", "y"]

    def test_duplicate_accounts_are_refused(self, tmp_path: Path) -> None:
        assert fields(tmp_path, [{"account": "x", "positions": [UNIFIED]}] * 2) == ["account"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("document", "field"),
        [
            ([POSITION | {"size": "many"}], "main.size"),
            ([{**POSITION, "size": None}], "main.size"),
            ([UNIFIED | {"side": "both"}], "main.side"),
            ([UNIFIED | {"contracts": None}], "main.contracts"),
            ([UNIFIED | {"contracts": 0.33333}], "quantity"),
            ([UNIFIED | {"symbol": "BTC/USDT"}], "instrument"),
            ({"positions": [5]}, "main.position"),
            ({"positions": [{"x": 1}]}, "main.position"),
            ({"positions": [], "balance": 5}, "main.balance"),
            ({"positions": [], "balance": {"free": {}}}, "main.balance.total"),
            ({"balance": {"total": {"BTC": "lots"}}}, "main.BTC"),
            ({"balance": {"total": {"DOGE": 5}}}, "instrument"),
            ({"summary": {"currency": "BTC"}}, "main.balance"),
            ({"summaries": [{"equity": 1.0}]}, "main.currency"),
            ({"error": {"message": "unauthorized", "code": 13009}}, "error"),
        ],
    )
    def test_one_field_is_named(self, tmp_path: Path, document: Any, field: str) -> None:
        assert fields(tmp_path, document) == [field]

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(-1e20, 1e20) | st.sampled_from(VALUES),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
            max_leaves=12,
        )
    )
    def test_garbage_of_the_right_words(self, document: Any) -> None:
        with contextlib.suppress(SolventError):
            parsed = json_of(json.dumps(document).encode(), "x")
            if is_venue(parsed):
                assert isinstance(venue_book(parsed, MARKET.universe, "x").rows, list)
