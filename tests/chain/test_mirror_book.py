"""The mirrored venue as a book: what the engine says of an account's equity is what the contract says."""

import pytest
from tests.chain.venue_desk import BTC, ETH, USD, Venue

from solvent import assess
from solvent.chain.mirror import Mirror
from solvent.chain.mirror_book import book_of, market_of, name_of, universe_of

MICRO = 1e-6


def test_the_engine_sees_the_contracts_equity(venue: Venue) -> None:
    venue.borrow("borrower", 10 * ETH + 1, 15_000 * USD)
    venue.deposit("borrower", 1, BTC // 7)
    for name in ("buyer", "seller"):
        venue.deposit(name, None, 10_000 * USD)
    venue.trade("buyer", "seller", 20_001)
    venue.push(mark=2_010_000, index=3)
    mirror = Mirror(venue.rpc, venue.at)
    mirror.advance()
    universe = universe_of(venue.rpc, venue.at)
    book, market = book_of(mirror, universe), market_of(mirror, universe)
    statement = assess(book, market, "portfolio")
    assert len(book) == len(mirror.head.accounts) == 3
    for row, account in enumerate(sorted(mirror.head.accounts)):
        exact = mirror.head.assess(account, mirror.block.timestamp)
        assert book.names[row] == name_of(account)
        assert statement.equity[row] == pytest.approx(exact.equity * MICRO, abs=4 * MICRO)
        assert statement.equity[row] <= exact.equity * MICRO + 1e-9, "rounded against the account"
    assert market.price[3] == pytest.approx(2_010.0)


def test_a_book_of_final_state_lags(venue: Venue) -> None:
    mirror = Mirror(venue.rpc, venue.at, finality_blocks=3)
    venue.borrow("borrower", 10 * ETH, 15_000 * USD)
    mirror.advance()
    universe = universe_of(venue.rpc, venue.at)
    assert len(book_of(mirror, universe)) == 1
    assert book_of(mirror, universe, final=True).row(0)[1].tolist() != book_of(mirror, universe).row(0)[1].tolist()


def test_sub_accounts_have_names_of_their_own() -> None:
    assert name_of(5 * 256) == f"0x{5:040x}"
    assert name_of(5 * 256 + 3) == f"0x{5:040x}/3"
