"""The files in `examples/` read, margin and replay, and say what their README says of them."""

import re
from pathlib import Path

import numpy as np
import pytest

from solvent.domain.market import Market
from solvent.engine.files import KINDS, read_book, read_candles, read_market, read_policy
from solvent.engine.sources.candles import Candles
from solvent.margin.rule import rule
from solvent.margin.statement import Statement

EXAMPLES = Path(__file__).parents[2] / "examples"
PAIRS = [
    ("book-spot-perp.csv", "market-spot-perp.csv"),
    ("ccxt-account.json", "market-spot-perp.csv"),
    ("book-options.csv", "market-options.json"),
    ("deribit-account.json", "market-options.json"),
]


def assessed(book: str, market: Market, policy: str) -> Statement:
    read = read_policy(policy)
    prepared = rule(read.rule).prepare(market.universe, market, read)
    return prepared.assess(read_book(EXAMPLES / book, market.universe, market).book)


def test_the_readme_names_every_file() -> None:
    named = set(re.findall(r"`([\w-]+\.(?:csv|json|toml))`", (EXAMPLES / "README.md").read_text().split("## Forms")[0]))
    assert named == {each.name for each in EXAMPLES.iterdir() if each.suffix in (*KINDS, ".toml")}


@pytest.mark.parametrize(("book", "market"), PAIRS)
def test_every_book_margins_and_the_cautious_policy_asks_for_more(book: str, market: str) -> None:
    read = read_market(EXAMPLES / market)
    usual = assessed(book, read, "portfolio")
    cautious = assessed(book, read, str(EXAMPLES / "policy-cautious.toml"))
    assert np.isfinite(usual.equity).all()
    np.testing.assert_allclose(usual.equity, cautious.equity)
    assert (cautious.initial_margin >= usual.initial_margin).all()
    assert cautious.initial_margin.sum() > 1.2 * usual.initial_margin.sum()
    if "account" not in book:
        assert (usual.equity > usual.initial_margin).any()


@pytest.mark.parametrize(("book", "market"), [PAIRS[0], PAIRS[2]])
def test_linear_perpetuals_have_both_sides_in_the_book(book: str, market: str) -> None:
    read = read_market(EXAMPLES / market)
    made = read_book(EXAMPLES / book, read.universe, read).book
    size = made.positions
    net = np.bincount(made.instrument[:size], made.lots[:size].astype(float), len(read.universe))
    assert [each.id for i, each in enumerate(read.universe) if each.kind == 1 and not each.inverse and net[i]] == []


def test_the_crash_replays() -> None:
    source = Candles(read_candles(EXAMPLES / "candles-crash.csv"))
    btc = [np.median([p.price for p in tick.prices if p.name == "BTC"]) for tick in source]
    assert len(source) == 4 * 24 * 4
    assert min(btc) < 0.55 * btc[0] * 1.03
    assert {p.source for tick in source for p in tick.prices} == {"alpha", "beta"}
