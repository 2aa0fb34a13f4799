"""What every rule with whole-book form must hold: one test a property, over all rules that have a world of books.

`WORLDS` says how to make books of a rule: a rule that is registered without a world fails here.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.margin.rules import lending_worlds, venue_worlds
from tests.margin.rules.venue_worlds import MARKET, UNIVERSE, at_threshold, market_of

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.engine.files import read_policy
from solvent.errors import SolventError
from solvent.margin.rule import BUILT_IN, Prepared, rule


class World(NamedTuple):
    """Books of one rule."""

    prepared: Callable[[str], Prepared]
    book: Callable[[str, int, int], Book]
    """Name, seed, accounts."""
    collateral: Callable[[str], list[int]]
    """Instruments that any account may be given more of."""


def _lending_book(name: str, seed: int, accounts: int) -> Book:
    return lending_worlds.random_book(lending_worlds.prepared_of(name), seed, accounts)


def _venue_collateral(name: str) -> list[int]:
    return [0, *venue_worlds.held_by(name, venue_worlds.prepared_of(name))[0]]


VENUE = World(venue_worlds.prepared_of, venue_worlds.random_book, _venue_collateral)
LENDING = World(lending_worlds.prepared_of, _lending_book, lambda name: [])
"""What an isolated market takes depends on the account: `test_lending_rules` gives more of it."""
WORLDS: dict[str, World] = {
    **dict.fromkeys(venue_worlds.RULES, VENUE),
    **dict.fromkeys(lending_worlds.RULES, LENDING),
    "portfolio": VENUE,
    "isda-csa": VENUE,
}
VENUES = [name for name in WORLDS if WORLDS[name] is VENUE and name not in ("portfolio", "isda-csa")]

every_rule = pytest.mark.parametrize("name", sorted(WORLDS))
every_venue = pytest.mark.parametrize("name", VENUES)
seeds = st.integers(0, 2**32 - 1)


def headroom(prepared: Prepared, book: Book, account: int) -> int:
    found = prepared.exact(book, account)
    return found.equity - found.maintenance_margin


def test_every_registered_rule_has_a_world() -> None:
    assert set(WORLDS) == set(BUILT_IN)


@every_rule
@settings(max_examples=5)
@given(seed=seeds)
def test_float_and_exact_form_agree_where_certain(name: str, seed: int) -> None:
    prepared, book = WORLDS[name].prepared(name), WORLDS[name].book(name, seed, 60)
    statement = prepared.assess(book)
    exact = [prepared.exact(book, account) for account in range(len(book))]
    sure = statement.certain
    assert (statement.liquidatable[sure] == np.array([x.liquidatable for x in exact])[sure]).all()
    below = statement.equity < statement.initial_margin
    assert (below[sure] == np.array([x.below_initial for x in exact])[sure]).all()
    if name in VENUES:  # lending has its own test of size
        size = np.abs(statement.equity) * (1 + np.minimum(statement.leverage, 1e6)) + statement.collateral_value
        for column in ("equity", "initial_margin", "maintenance_margin"):
            wanted = np.array([getattr(x, column) for x in exact]) / 1e6
            assert (np.abs(getattr(statement, column) - wanted) <= 2e-5 + 1e-10 * size).all(), column
        assert sure.mean() > 0.8


@every_venue
@settings(max_examples=4)
@given(seed=seeds)
def test_the_exact_form_decides_at_the_threshold(name: str, seed: int) -> None:
    prepared, book = WORLDS[name].prepared(name), WORLDS[name].book(name, seed, 25)
    at_threshold(prepared, book, np.random.default_rng(seed))
    statement = prepared.assess(book)
    near = 0
    for account in range(len(book)):
        found = prepared.exact(book, account)
        if statement.certain[account]:
            assert found.liquidatable == statement.liquidatable[account]
            assert found.below_initial == (statement.equity[account] < statement.initial_margin[account])
        near += not statement.certain[account]
    assert near >= 3  # the control: books at the threshold are where the float form may not decide


@every_rule
@settings(max_examples=4)
@given(seed=seeds, share=st.floats(0.001, 3.0))
def test_more_collateral_never_lowers_equity_less_maintenance_margin(name: str, seed: int, share: float) -> None:
    world = WORLDS[name]
    prepared, book = world.prepared(name), world.book(name, seed, 8)
    for i in world.collateral(name):
        for account in range(len(book)):
            before = headroom(prepared, book, account)
            lots = round(share * 1e4 / float(book.universe.terms.unit[i]) / MARKET.price[i])
            book.add(account, i, lots)
            assert headroom(prepared, book, account) >= before - 4, (book.universe[i].id, account)


@every_rule
@settings(max_examples=4)
@given(seed=seeds, times=st.integers(2, 7))
def test_a_multiple_of_a_healthy_account_is_healthy(name: str, seed: int, times: int) -> None:
    if not getattr(rule(name), "homogeneous", False):
        pytest.skip(f"{name} is not homogeneous: tiers, caps or flat amounts")
    prepared, book = WORLDS[name].prepared(name), WORLDS[name].book(name, seed, 12)
    for account in range(len(book)):
        if prepared.exact(book, account).liquidatable:
            continue
        i, lots, cost = book.row(account)
        grown = Book(book.universe, ["grown"])
        grown.set_row(0, i.tolist(), (times * lots).tolist(), (times * cost).tolist())
        found = prepared.exact(grown, 0)
        assert found.equity >= found.maintenance_margin - 4 * times


@every_rule
@settings(max_examples=4)
@given(seed=seeds)
def test_split_rows_and_pairs_change_nothing(name: str, seed: int) -> None:
    if name == "portfolio":
        pytest.skip("it reads a book's rows as they stand; `Book.add` and `Book.from_rows` merge them")
    prepared, book = WORLDS[name].prepared(name), WORLDS[name].book(name, seed, 20)
    split = Book(book.universe, book.names)
    for account in range(len(book)):
        i, lots, cost = (column.tolist() for column in book.row(account))
        rows = [(k, q // 3, c // 4) for k, q, c in zip(i, lots, cost, strict=True)]
        rows += [(k, q - q // 3, c - c // 4) for k, q, c in zip(i, lots, cost, strict=True)]
        pair = i[0] if i else 0
        rows += [(pair, 12_345, 77), (pair, -12_345, -77)]
        split.set_row(account, *(list(column) for column in zip(*rows, strict=True)))
        assert prepared.exact(split, account) == prepared.exact(book, account)
    one, two = prepared.assess(book), prepared.assess(split)
    for column in ("equity", "initial_margin", "maintenance_margin"):
        np.testing.assert_allclose(getattr(two, column), getattr(one, column), rtol=1e-9, atol=1e-6)
    if name in VENUES:
        assert (one.maintenance_margin == two.maintenance_margin).all()


@every_rule
@settings(max_examples=4)
@given(seed=seeds)
def test_terms_add_up_to_the_verdict(name: str, seed: int) -> None:
    prepared, book = WORLDS[name].prepared(name), WORLDS[name].book(name, seed, 15)
    for account in range(len(book)):
        found, exact = prepared.explain(book, account), prepared.exact(book, account)
        for total, amount in found.totals.items():
            assert amount == Decimal(getattr(exact, total)).scaleb(-6)
            assert sum((x.amount for x in found.terms if x.total == total), Decimal(0)) == amount
        assert all(abs(x.amount) <= Decimal("0.00001") for x in found.terms if x.name == "rounding" and name in VENUES)
        assert all(x.name and x.total in found.totals for x in found.terms)


@every_venue
@settings(max_examples=4)
@given(seed=seeds)
def test_initial_margin_is_the_larger(name: str, seed: int) -> None:
    prepared, book = WORLDS[name].prepared(name), WORLDS[name].book(name, seed, 60)
    for account in range(len(book)):
        found = prepared.exact(book, account)
        assert found.initial_margin >= found.maintenance_margin - 2


@every_rule
def test_a_subset_in_any_order_is_assessed_as_in_the_whole(name: str) -> None:
    prepared, book = WORLDS[name].prepared(name), WORLDS[name].book(name, 5, 50)
    which = np.array([40, 3, 17])
    part, whole = prepared.assess(book, which), prepared.assess(book)
    assert part.names == tuple(book.names[a] for a in which)
    assert (part.maintenance_margin == whole.maintenance_margin[which]).all()
    assert (part.initial_margin == whole.initial_margin[which]).all()
    assert len(prepared.assess(book, which[:0])) == 0
    assert len(prepared.assess(Book(book.universe))) == 0


@every_venue
def test_a_book_of_many_blocks_is_assessed_as_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, book = WORLDS[name].prepared(name), WORLDS[name].book(name, 6, 120)
    whole = prepared.assess(book)
    monkeypatch.setattr("solvent.margin.rules.venue.BLOCK_ROWS", 7)
    cut = prepared.assess(book)
    for column in ("equity", "initial_margin", "maintenance_margin", "worst_scenario", "certain", "leverage"):
        assert (getattr(cut, column) == getattr(whole, column)).all()
    assert cut.to_frame().height == 120


GRIDS = {  # a short position of one underlying, and what hurts it
    "derive-pmrm": "BTC +20% vol up", "derive-pmrm2": "BTC +18% vol up", "deribit-pme": "BTC_USDC +16% vol up",
    "okx-pm": "BTC +12% vol down", "paradex": "BTC +16% vol up", "span16": "BTC scenario 11",
}  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_the_worst_scenario_is_named_by_its_underlying(name: str) -> None:
    book = Book(UNIVERSE, ["short"])
    book.add(0, UNIVERSE.index("BTC/USDC:USDC"), -20_000, 72_000 * 10**6)
    statement = WORLDS[name].prepared(name).assess(book)
    assert statement.to_frame()["worst_scenario"].to_list() == [GRIDS[name]]


@every_venue
def test_accounts_of_nothing_need_nothing(name: str) -> None:
    prepared = WORLDS[name].prepared(name)
    statement = prepared.assess(Book(UNIVERSE, ["nobody", "no one"]))
    assert not statement.liquidatable.any()
    assert (statement.maintenance_margin <= 0).all()
    assert (statement.equity == 0).all()


@every_venue
def test_what_a_rule_cannot_margin_is_refused_with_the_rules_that_could(name: str) -> None:
    prepared: Any = WORLDS[name].prepared(name)
    book = Book(UNIVERSE, ["trader", "holder"])
    refused = [i for i, kind in enumerate(venue_worlds.KIND) if kind not in venue_worlds.kinds_of(name)]
    if not refused:
        assert "debt" in venue_worlds.kinds_of(name)
        return
    book.add(1, refused[0], 5)
    with pytest.raises(SolventError) as error:
        prepared.assess(book)
    text = str(error.value)
    assert UNIVERSE[refused[0]].id in text
    assert "holder" in text
    assert "portfolio" in text  # it margins everything
    with pytest.raises(SolventError, match="portfolio"):
        prepared.exact(book, 1)
    assert len(prepared.assess(book, np.array([0]))) == 1  # the others are not concerned
    book.add(1, refused[0], -5)
    assert len(prepared.assess(book)) == 2  # nor is a position of nothing


@every_venue
def test_debts_are_refused_where_the_venue_lends_none(name: str) -> None:
    prepared = WORLDS[name].prepared(name)
    kinds = venue_worlds.kinds_of(name)
    book = Book(UNIVERSE, ["debtor"])
    book.add(0, 0, -5)
    assert len(prepared.assess(book)) == 1  # cash may be owed everywhere
    book.add(0, UNIVERSE.index("BTC"), -5)
    if "debt" in kinds:
        assert prepared.assess(book).liabilities[0] > 0
        return
    with pytest.raises(SolventError, match="BTC"):
        prepared.assess(book)


def _without(field: str) -> Market:
    """The market with one number of the first derivative missing."""
    ticks, vol = MARKET.ticks.copy(), MARKET.vol_annual.copy()
    if field == "price":
        ticks[UNIVERSE.index("BTC/USDC:USDC")] = 0
    else:
        vol[UNIVERSE.index("BTC/USDC:USDC-20-36000-C")] = np.nan
    return Market(UNIVERSE, MARKET.ts_ns, ticks, vol_annual=vol)


@every_venue
def test_a_market_that_lacks_a_field_says_which(name: str) -> None:
    policy = read_policy(name)
    with pytest.raises(SolventError, match=r"BTC/USDC:USDC\.price"):
        rule(name).prepare(UNIVERSE, _without("price"), policy)
    if "vol" in rule(name).needs:
        with pytest.raises(SolventError, match=r"BTC/USDC:USDC-20-36000-C\.vol"):
            rule(name).prepare(UNIVERSE, _without("vol"), policy)
    else:
        assert rule(name).prepare(UNIVERSE, _without("vol"), policy) is not None


@every_venue
@settings(max_examples=3)
@given(seed=seeds)
def test_expired_instruments_are_worth_what_they_pay(name: str, seed: int) -> None:
    """Futures at their last mark, options at intrinsic value; a future that expired without a mark is refused."""
    ticks, dated = MARKET.ticks.copy(), UNIVERSE.index("BTC/USDC:USDC-75")
    ticks[dated] = 0
    later = Market(UNIVERSE, MARKET.ts_ns + 80 * venue_worlds.DAY_NS, ticks, vol_annual=MARKET.vol_annual)
    prepared = rule(name).prepare(UNIVERSE, later, read_policy(name))
    book = WORLDS[name].book(name, seed, 25)
    for account in range(len(book)):
        if dated in book.row(account)[0]:
            with pytest.raises(SolventError, match=r"expired|margins"):
                prepared.assess(book, np.array([account]))
            continue
        statement, found = prepared.assess(book, np.array([account])), prepared.exact(book, account)
        assert np.isfinite(statement.maintenance_margin[0])
        assert statement.maintenance_margin[0] == pytest.approx(found.maintenance_margin / 1e6, rel=1e-7, abs=0.01)


@every_venue
def test_unknown_keys_are_refused(name: str) -> None:
    policy = read_policy(name)
    wrong = Policy(policy.name, "1", policy.as_of, policy.source, {**policy.margin, "hair_cut": 1})
    with pytest.raises(SolventError, match="hair_cut"):
        rule(name).prepare(UNIVERSE, MARKET, wrong)


@every_venue
def test_the_digest_follows_prices_and_parameters(name: str) -> None:
    policy = read_policy(name)
    here = rule(name).prepare(UNIVERSE, MARKET, policy).digest()
    assert here == rule(name).prepare(UNIVERSE, MARKET, policy).digest()
    assert here != rule(name).prepare(UNIVERSE, market_of(factor=1.01), policy).digest()


@every_venue
@settings(max_examples=3)
@given(seed=seeds)
def test_odd_markets_keep_both_forms_together(name: str, seed: int) -> None:
    """Quoted options, doubtful oracles, a slow price below the mark."""
    market = market_of(factor=0.93, confidence=0.6, slow=0.97, quoted=True)
    prepared, book = rule(name).prepare(UNIVERSE, market, read_policy(name)), WORLDS[name].book(name, seed, 30)
    statement = prepared.assess(book)
    assume(len(statement) > 0)
    for account in range(len(book)):
        found = prepared.exact(book, account)
        if statement.certain[account]:
            assert found.liquidatable == statement.liquidatable[account]
        assert statement.maintenance_margin[account] == pytest.approx(
            found.maintenance_margin / 1e6, rel=1e-7, abs=0.01
        )
