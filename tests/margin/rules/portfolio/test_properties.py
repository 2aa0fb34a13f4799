"""What must hold of any account under the `portfolio` rule, and one account worked out by hand."""

from collections.abc import Mapping

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.margin.rules.portfolio.worlds import (
    PRICES,
    UNIVERSE,
    WORLDS,
    Rows,
    World,
    book_of,
    lots_worth,
    market,
    orders_of,
    policy,
    positions,
    ticks_of,
    worlds,
)

from solvent.domain.book import Book, Order
from solvent.domain.instruments import Spot
from solvent.domain.universe import INVERSE, OPTION
from solvent.errors import SolventError
from solvent.margin.rules.portfolio import PreparedPortfolio
from solvent.margin.rules.portfolio.tables import shared_tables
from solvent.margin.statement import ExactStatement

SPOTS = [i for i, each in enumerate(UNIVERSE) if isinstance(each, Spot)]
PERPETUAL, OPTION_CALL = UNIVERSE.index("BTC/USDC:USDC"), UNIVERSE.index("BTC/USDC:USDC-250112-60000-C")
USDC, BTC, ETH = (UNIVERSE.index(id) for id in ("USDC", "BTC", "ETH"))


def exact(world: World, rows: Rows, orders: list[Order] | None = None) -> ExactStatement:
    return world.prepared.exact(book_of(rows, orders={0: orders or []}), 0)


def atoms_micro(world: World, rows: Rows) -> int:
    """What the roundings of inverse positions to atoms can come to, in 1e-6 USD."""
    return sum(2000 for i in rows if UNIVERSE.terms.form[i] == INVERSE)


def test_one_account_by_hand() -> None:
    """Long 1 BTC at 60,000 entered there, 10,000 USDC; no volume, no spread beyond the least."""
    prices = {**PRICES, "USDC": 1.0, "BTC": 60_000.0, "BTC/USDC:USDC": 60_000.0}
    given = {"volume_usd_daily": np.nan, "half_spread": 0.0}
    at = market(**given)
    world = World(type(at)(UNIVERSE, at.ts_ns, ticks_of(prices), vol_annual=0.65), policy())
    rows = {USDC: (10_000 * 10**6, 0), PERPETUAL: (1000, -60_000 * 10**6)}
    found = exact(world, rows)
    scan, roll, close = 0.16 * 60_000, 0.002 * 60_000, (0.0005 + 0.004) * 60_000
    assert found.equity == 10_000_000_000
    assert found.maintenance_margin == round((0.8 * (scan + roll) + close) * 1e6)
    assert found.initial_margin == round((scan + roll + close) * 1e6)
    fallen = {**rows, PERPETUAL: (1000, -62_000 * 10**6)}  # entered 2,000 higher: the loss nets against the cash
    assert exact(world, fallen).equity == 8_000_000_000
    assert exact(world, fallen).liquidatable
    assert not found.liquidatable


@given(worlds, positions(1e9))
def test_maintenance_margin_is_never_above_initial(world: World, rows: Rows) -> None:
    statement, found = world.prepared.assess(book_of(rows)), exact(world, rows)
    assert statement.maintenance_margin[0] <= statement.initial_margin[0]
    assert 0 <= found.maintenance_margin <= found.initial_margin


@given(worlds, positions(), st.sampled_from(SPOTS), st.floats(-2, 8))
def test_more_collateral_never_hurts(world: World, rows: Rows, spot: int, usd: float) -> None:
    """Equity less maintenance margin, whatever is deposited: beyond its cap a balance carries no price risk."""
    before = exact(world, rows)
    lots, cost = rows.get(spot, (0, 0))
    after = exact(world, {**rows, spot: (lots + lots_worth(spot, 10**usd), cost)})
    gained = after.equity - after.maintenance_margin - (before.equity - before.maintenance_margin)
    assert gained >= -2


def test_control_a_balance_scanned_beyond_its_cap_would_hurt() -> None:
    fixed, market = WORLDS[0].prepared.shared.fixed, WORLDS[0].market
    schedules = {**fixed.schedules, BTC: fixed.schedules[BTC]._replace(scan_cap=None)}
    scanned = PreparedPortfolio(shared_tables(msgspec.structs.replace(fixed, schedules=schedules), market))
    for prepared, least, most in ((WORLDS[0].prepared, -2, 2), (scanned, -10_000_000_000, -1_000_000_000)):
        one, more = (prepared.exact(book_of({BTC: (coins * 10**8, 0)}), 0) for coins in (100, 101))
        gained = more.equity - more.maintenance_margin - (one.equity - one.maintenance_margin)
        assert least <= gained <= most


@given(positions(1e6), st.integers(2, 1000), st.sampled_from((1, -1)))
def test_margins_are_homogeneous_without_tiers(rows: Rows, factor: int, sign: int) -> None:
    world = FLAT
    one, many = exact(world, rows), exact(world, {i: (factor * q, factor * c) for i, (q, c) in rows.items()})
    slack = factor * (2 + atoms_micro(world, rows))
    for name in ExactStatement._fields[:3]:
        assert abs(getattr(many, name) - factor * getattr(one, name)) <= slack, name


def flat_policy() -> Mapping[str, object]:
    terms = {"scanned": True, "haircut_initial": 0.03, "haircut_maintenance": 0.02}
    return {"collateral": {"BTC": terms, "ETH": terms}}


FLAT = World(market(volume_usd_daily=np.nan), policy(**flat_policy()), "no tiers")


@given(worlds, positions(1e8), positions(1e8))
def test_surplus_is_concave(world: World, one: Rows, other: Rows) -> None:
    """Half of two accounts together has at least half of their surplus: what sizing and proofs rest on."""
    both = {*one, *other}
    ends = [{i: tuple(2 * x for x in rows.get(i, (0, 0))) for i in both} for rows in (one, other)]
    middle = {i: tuple(sum(rows.get(i, (0, 0))[k] for rows in (one, other)) for k in (0, 1)) for i in both}
    surplus = [found.equity - found.maintenance_margin for found in (exact(world, rows) for rows in (*ends, middle))]
    assert 2 * surplus[2] >= surplus[0] + surplus[1] - 8 - 4 * atoms_micro(world, middle) - concave_slack(middle)


def concave_slack(rows: Rows) -> int:
    """Marks of options by the model are rounded to 1e-9 USD a lot, against either side."""
    return sum(1 + abs(lots) // 250 for i, (lots, _) in rows.items() if UNIVERSE.terms.form[i] == OPTION)


@given(worlds, positions(), st.integers(0, len(UNIVERSE) - 1), st.integers(1, 10**6), st.integers(-(10**9), 10**9))
def test_opposite_fills_change_nothing(world: World, rows: Rows, which: int, lots: int, cost: int) -> None:
    if UNIVERSE.terms.form[which] in (0, OPTION):
        cost = 0
    plain, traded = book_of(rows), book_of(rows)
    traded.add(0, which, lots, cost)
    traded.add(0, which, -lots, -cost)
    assert exact(world, rows) == world.prepared.exact(traded, 0)
    one, other = world.prepared.assess(plain), world.prepared.assess(traded)
    band = 1e-12 * world.reference.account(rows).gross + 1e-9  # the order of rows may have changed
    for name in ("equity", "initial_margin", "maintenance_margin"):
        assert abs(getattr(one, name)[0] - getattr(other, name)[0]) <= band


@given(worlds, positions(), st.integers(1, 99))
def test_two_rows_are_one(world: World, rows: Rows, share: int) -> None:
    whole = list(rows.items())
    parts = [(i, (q * share // 100, c * share // 100)) for i, (q, c) in whole]
    rest = [(i, (q - p, c - d)) for (i, (q, c)), (_, (p, d)) in zip(whole, parts, strict=True)]
    split = [*parts, *rest]

    def of(pairs: list[tuple[int, tuple[int, int]]]) -> Book:
        columns = np.array([(0, i, q, c) for i, (q, c) in pairs], dtype=np.int64).reshape(-1, 4)
        return Book.from_rows(UNIVERSE, ["one"], *columns.T)

    one, other = world.prepared.assess(of(whole)), world.prepared.assess(of(split))
    assert one.to_frame().equals(other.to_frame())
    assert world.prepared.exact(of(whole), 0) == world.prepared.exact(of(split), 0)


@given(worlds, positions(1e6), orders_of())
def test_open_orders_never_lower_initial_margin(world: World, rows: Rows, orders: list[Order]) -> None:
    before, after = exact(world, rows), exact(world, rows, orders)
    assert after.initial_margin >= before.initial_margin
    assert (after.equity, after.maintenance_margin) == (before.equity, before.maintenance_margin)


def test_orders_that_close_a_position_cost_only_their_close_out() -> None:
    rows, world = {PERPETUAL: (1000, 0)}, FLAT
    opening, closing = Order(1, PERPETUAL, 1000, 599_123), Order(2, PERPETUAL, -1000, 599_123)
    before = exact(world, rows).initial_margin
    notional = 59_912.3 * 0.9985
    close = (0.0005 + 0.004) * 59_876.54 * 1e6  # at the index
    assert exact(world, rows, [closing]).initial_margin - before == pytest.approx(close, abs=1000)
    more = exact(world, rows, [opening]).initial_margin - before
    assert more == pytest.approx(close + 0.16 * notional * 1e6, rel=0.01)


def test_an_order_for_what_counts_nothing_is_charged_in_full() -> None:
    dust = UNIVERSE.index("DUST")
    order = Order(1, dust, 10**9, 12_345)
    assert exact(FLAT, {}, [order]).initial_margin == 1_234_500


def test_a_statement_with_orders_comes_from_the_exact_form() -> None:
    rows = {PERPETUAL: (1000, 0)}
    book = book_of(rows, rows, orders={1: [Order(1, PERPETUAL, 5, 599_123), Order(2, OPTION_CALL, -5, 210_000)]})
    statement = FLAT.prepared.assess(book)
    assert statement.initial_margin[1] == FLAT.prepared.exact(book, 1).initial_margin / 1e6
    assert statement.initial_margin[1] > statement.initial_margin[0]
    assert statement.certain.all()


def test_a_long_option_can_lose_no_more_than_it_is_worth() -> None:
    rows = {OPTION_CALL: (100, 0)}
    found = exact(FLAT, rows)
    assert found.equity == pytest.approx(2100.25 * 0.9985 * 1e6, abs=1)
    model = FLAT.reference.option_usd(OPTION_CALL)
    delta = FLAT.reference.option_usd(OPTION_CALL, of="delta")
    most = 0.8 * (model + 0.002 * delta) + 0.0045 * delta
    assert found.maintenance_margin / 1e6 <= most + 0.01


def test_short_option_minimum_binds_far_from_the_money() -> None:
    world = World(market(vol_annual=0.01), policy(scan_range={"BTC": 0.01}))
    put = UNIVERSE.index("BTC/USDC:USDC-250331-55000-P")
    found = world.prepared.explain(book_of({put: (-100, 0)}), 0)
    assert "short-option minimum" in [term.name for term in found.terms]
    maintenance = [t.amount for t in found.terms if (t.total, t.name) == ("maintenance_margin", "short-option minimum")]
    assert float(maintenance[0]) == pytest.approx(0.8 * 0.003 * PRICES["BTC"], rel=1e-6)


def test_an_inverse_contract_is_delta_in_usd_and_cash_in_coins() -> None:
    """Coins hedged by as many USD of short inverse contracts: no price risk is left, whatever the price does."""
    inverse = UNIVERSE.index("BTC/USD:BTC")
    unhedged = {BTC: (10**8, 0)}
    contracts = -round(PRICES["BTC"] / 10)
    hedged = {**unhedged, inverse: (contracts, round(contracts * 10 / PRICES["BTC/USD:BTC"] * 1e8))}
    scan = {
        name: sum(float(t.amount) for t in FLAT.prepared.explain(book_of(rows), 0).terms if t.name == "scan")
        for name, rows in (("unhedged", unhedged), ("hedged", hedged))
    }
    assert scan["hedged"] < 0.002 * scan["unhedged"]


def test_a_coin_that_is_not_scanned_still_scans_its_inverse_contracts() -> None:
    world = World(market(volume_usd_daily=np.nan), policy(collateral={}), "nothing listed")
    inverse = UNIVERSE.index("BTC/USD:BTC")
    found = exact(world, {inverse: (100, round(100 * 10 / PRICES["BTC/USD:BTC"] * 1e8))})
    assert found.initial_margin / 1e6 == pytest.approx(1000 * (0.16 + 0.002 + 0.0045), rel=0.01)


def test_unlisted_collateral_counts_for_nothing_and_unlisted_debt_twice() -> None:
    world = World(market(), policy(collateral={}), "nothing listed")
    for lots in (10**8, -(10**8)):
        found = exact(world, {BTC: (lots, 0)})
        assert found.maintenance_margin == abs(found.equity)
    cash = exact(world, {UNIVERSE.index("USD"): (10**6, 0)})
    assert (cash.equity, cash.maintenance_margin) == (10**6, 0)


def test_depeg_falls_on_who_settles_in_the_stablecoin_even_at_a_balance_of_zero() -> None:
    eth_usdt = UNIVERSE.index("ETH/USDT:USDT")
    ticks = int(FLAT.market.ticks[eth_usdt])
    rows = {eth_usdt: (1000, -1000 * ticks * 10)}  # entered at the mark: no balance is left
    statement = FLAT.prepared.assess(book_of(rows))
    assert statement.equity[0] == 0
    terms = FLAT.prepared.explain(book_of(rows), 0).terms
    depeg = sum(float(t.amount) for t in terms if t.name == "depeg")
    risk = sum(float(t.amount) for t in terms if t.name in ("scan", "roll") and t.total == "initial_margin")
    assert depeg == pytest.approx(4 * (0.99 - PRICES["USDT"]) * risk, rel=1e-6)


def test_assess_of_some_accounts_is_the_rows_of_all() -> None:
    rng = np.random.default_rng(3)
    rows = [{int(i): (int(rng.integers(1, 10**6)), 0) for i in rng.choice(len(UNIVERSE), 4)} for _ in range(30)]
    book = book_of(*rows)
    some = np.array([29, 3, 3, 11])
    whole, part = (WORLDS[3].prepared.assess(book, which).to_frame() for which in (None, some))
    assert part.equals(whole[some.tolist()])
    assert len(WORLDS[3].prepared.assess(book, np.zeros(0, np.int64))) == 0


def test_worst_scenario_is_named_and_none_without_risk() -> None:
    book = book_of({PERPETUAL: (1000, 0)}, {PERPETUAL: (-1000, 0)}, {USDC: (10**6, 0)}, {})
    names = WORLDS[0].prepared.assess(book).to_frame()["worst_scenario"].to_list()
    assert names == ["-1.00R vol up", "+1.00R vol up", "", ""]


def test_an_empty_book_has_an_empty_statement() -> None:
    assert WORLDS[0].prepared.assess(Book(UNIVERSE)).to_frame().height == 0


@pytest.mark.parametrize("accounts", [[-1], [0, 5]])
def test_accounts_that_are_not_in_the_book_are_refused(accounts: list[int]) -> None:
    with pytest.raises(SolventError, match="accounts"):
        WORLDS[0].prepared.assess(book_of({}, {}), np.array(accounts))


def test_a_book_with_instruments_that_the_market_does_not_know_is_refused() -> None:
    book = Book(UNIVERSE.listed(Spot("NEW", "NEW")), ["one"])
    book.add(0, len(UNIVERSE), 1)
    with pytest.raises(SolventError, match="universe"):
        WORLDS[0].prepared.assess(book)
