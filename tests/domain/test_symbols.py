"""Ids: CCXT symbols and Deribit names mean the same instruments."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.domain.instruments import Future, Option, Perpetual, Spot
from solvent.domain.symbols import ccxt_id, deribit_alias, instrument, spot, tick_lot

PAIRS = [
    ("BTC-PERPETUAL", "BTC/USD:BTC"),
    ("BTC_USDC-PERPETUAL", "BTC/USDC:USDC"),
    ("BTC-27DEC24", "BTC/USD:BTC-241227"),
    ("BTC-27DEC24-60000-C", "BTC/USD:BTC-241227-60000-C"),
    ("ETH-3JAN25-2200-P", "ETH/USD:ETH-250103-2200-P"),
    ("XRP_USDC-27DEC24-0d625-C", "XRP/USDC:USDC-241227-0.625-C"),
]


@pytest.mark.parametrize(("deribit", "ccxt"), PAIRS)
def test_both_names_of_an_instrument(deribit: str, ccxt: str) -> None:
    assert ccxt_id(deribit) == ccxt
    assert deribit_alias(ccxt) == deribit


@given(st.text(max_size=40))
def test_other_ids_come_back_as_they_are(text: str) -> None:
    assert ccxt_id(ccxt_id(text)) == ccxt_id(text)


def test_terms_come_from_the_id() -> None:
    option = instrument("BTC-27DEC24-60000-C")
    assert isinstance(option, Option)
    assert (option.strike, option.call, option.inverse, option.settlement) == (Decimal(60000), True, True, "BTC")
    assert option.expiry_ns == int(datetime(2024, 12, 27, 8, tzinfo=UTC).timestamp()) * 10**9
    future = instrument("ETH/USDC:USDC-241227", 2_500.0)
    assert isinstance(future, Future)
    assert not future.inverse
    perpetual = instrument("BTC/USD:BTC")
    assert isinstance(perpetual, Perpetual)
    assert perpetual.inverse
    place = instrument("USDC@arbitrum")
    assert isinstance(place, Spot)
    assert (place.asset, place.location) == ("USDC", "arbitrum")


@pytest.mark.parametrize("bad", ["BTC/USDT:ETH", "BTC/USDC:USDC-241327", "a b", "BTC//", ""])
def test_ids_that_mean_nothing_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        instrument(bad)


@given(st.floats(1e-9, 1e7))
def test_default_tick_gives_six_digits_and_one_millionth_a_tick_lot(price: float) -> None:
    tick, lot = tick_lot(price)
    assert tick * lot == Decimal("0.000001")
    assert 10**5 <= Decimal(str(price)) / tick < 10**6


def test_fine_assets_have_lots_of_a_billionth() -> None:
    assert spot("ETH").lot_atoms == 10**9
    assert spot("BTC").lot_atoms == 1
