"""The mirrored contracts as the engine sees any venue: a universe, a book and a market, for `assess`."""

from decimal import Decimal

import numpy as np

from solvent.chain.abi import call_data, decode
from solvent.chain.deploy import decimals_of
from solvent.chain.mirror import Mirror
from solvent.chain.plan import Deployment
from solvent.chain.rpc import Rpc, data
from solvent.chain.standing import UNIT_DECIMALS, Ledger, bits, cash_of, shares_of
from solvent.domain.book import Book
from solvent.domain.instruments import Instrument, Perpetual, Spot
from solvent.domain.market import Market
from solvent.domain.universe import Universe

NS = 10**9
LOT_DIGITS = 9
"""A lot of a token of 18 decimals is 1e9 atoms: 63 bits hold nine thousand million coins."""
PRICE_SCALE = 10**6
WRAPPED = {"WETH": "ETH", "WBTC": "BTC"}
"""Underlying of tokens that are named otherwise."""


def universe_of(rpc: Rpc, at: Deployment) -> Universe:
    """Settlement asset, collaterals, markets: in this order. Raises SolventError.

    Balances are at the location `chain-ID`; a perpetual's lot is in coins where the plan says how many.
    """
    place = f"chain-{at.chain_id}"
    symbol = str(decode(("string",), data(_read(rpc, at.settlement, "symbol()")))[0])
    tokens = [(symbol, at.settlement)]
    found: list[Instrument] = []
    for index, name in enumerate(at.collaterals):
        tokens.append((name, "0x" + _parameter(rpc, at, 256 * index)[-40:]))
    for name, token in tokens:
        decimals = decimals_of(rpc, token)
        lot_atoms = 10 ** max(decimals - LOT_DIGITS, 0)
        asset = WRAPPED.get(name, name)
        found.append(Spot(f"{name}@{place}", asset, decimals=decimals, lot_atoms=lot_atoms, location=place))
    cash = found[0]
    assert isinstance(cash, Spot)
    for index, name in enumerate(at.markets):
        lot = Decimal(at.lots[index]) if index < len(at.lots) else Decimal(1)
        multiplier = int(decode(("uint256",), data(_parameter(rpc, at, 7 + 256 * index)))[0])
        tick = Decimal(multiplier) / 10**cash.decimals / lot
        underlying = name.partition("-")[0]
        found.append(Perpetual(f"{name}@{place}", underlying, cash.id, lot=lot, tick=tick))
    return Universe(tuple(found))


def _read(rpc: Rpc, to: str, function: str) -> str:
    return str(rpc.call("eth_call", {"to": to, "data": "0x" + call_data(function).hex()}, "latest"))


def _parameter(rpc: Rpc, at: Deployment, key: int) -> str:
    payload = call_data("parameter(uint256)", key)
    return str(rpc.call("eth_call", {"to": at.clearing, "data": "0x" + payload.hex()}, "latest"))


def name_of(account: int) -> str:
    """An account as text: its owner, and its number where that is not 0."""
    owner = f"0x{account >> 8:040x}"
    return owner if account & 255 == 0 else f"{owner}/{account & 255}"


def book_of(mirror: Mirror, universe: Universe, final: bool = False) -> Book:
    """All accounts as rows of whole lots, rounded against the account.

    final: the state that no reorg within finality reaches, in place of the newest.
    """
    ledger, now = mirror.final if final else mirror.head, mirror.block.timestamp
    accounts = sorted(ledger.accounts)
    book = Book(universe, [name_of(each) for each in accounts], [f"0x{each >> 8:040x}" for each in accounts])
    for row, account in enumerate(accounts):
        held = _row(ledger, account, now, universe, len(mirror.at.collaterals))
        book.set_row(row, [each[0] for each in held], [each[1] for each in held], [each[2] for each in held])
    return book


def _row(ledger: Ledger, account: int, now: int, universe: Universe, collaterals: int) -> list[tuple[int, int, int]]:
    """(instrument, lots, quote leg in lots of the settlement asset)."""
    word = ledger.accounts[account]
    cash_lot = universe.lot_atoms[0]
    net = (cash_of(word) - ledger.debt_of(shares_of(word), now)) // cash_lot
    held = [(0, net, 0)] if net else []
    for asset in bits(word >> 184 & 0xFFFF):
        lots = ledger.balances[account].get(asset, 0) // universe.lot_atoms[1 + asset]
        held += [(1 + asset, lots, 0)] if lots else []
    for market in bits(word >> 200 & 0xFFFF):
        lots, leg = ledger.funded(account, market)
        held.append((1 + collaterals + market, lots, leg // cash_lot))
    return held


def market_of(mirror: Mirror, universe: Universe) -> Market:
    """Guarded prices at the block last read; a unit of the settlement asset counts as a dollar."""
    ledger, now, at = mirror.head, mirror.block.timestamp, mirror.at
    ticks, slow, confidence, age, state = [PRICE_SCALE], [1.0], [0.0], [0.0], [0]
    for index in range(len(at.collaterals)):
        quote = ledger.quote(index, now)
        spot = universe.instruments[1 + index]
        assert isinstance(spot, Spot)
        unit, coin = 10 ** ledger.clearing.get(UNIT_DECIMALS + 256 * index, 0), 10**spot.decimals
        ticks.append(quote.price * coin // unit)
        slow.append(quote.slow * coin / unit / PRICE_SCALE)
        confidence.append(quote.confidence_bps / 1e4)
        age.append(float(max(now - (ledger.pairs.get(index >> 1, 0) >> 216 & 2**39 - 1), 0)))
        state.append(quote.state)
    for index in range(len(at.markets)):
        quote = ledger.mark(index, now)
        perpetual = universe.instruments[1 + len(at.collaterals) + index]
        ticks.append(quote.price)
        slow.append(quote.slow * float(perpetual.tick))
        confidence.append(quote.confidence_bps / 1e4)
        age.append(float(max(now - (ledger.marks.get(index, 0) >> 108 & 2**40 - 1), 0)))
        state.append(quote.state)
    return Market(
        universe,
        now * NS,
        np.array(ticks, np.int64),
        confidence=np.array(confidence),
        age_s=np.array(age),
        slow_price=np.array(slow),
        state=np.array(state, np.int64),
    )
