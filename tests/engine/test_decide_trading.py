"""Fills and orders: what a trade moves, the gates on both sides, and which trades always pass."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.desk import (
    BTC,
    CALL,
    COIN_CALL,
    E8,
    ETH,
    EXPIRY_NS,
    FUTURE,
    INSTRUMENTS,
    INVERSE,
    MARKET,
    PERP,
    USDC,
    Desk,
    btc,
    lots,
    policy_with,
    ticks,
    usdc,
)

from solvent.domain import commands as c
from solvent.domain.book import Order
from solvent.domain.owners import FEES
from solvent.domain.universe import Universe
from solvent.engine.decide.moves import Moves
from solvent.engine.decide.trading import ORDERS_MOST
from solvent.engine.risk import trade_quote

UNIVERSE = Universe(INSTRUMENTS)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def two_sides(desk: Desk, usd: float = 100_000.0) -> tuple[int, int]:
    return desk.open("buyer", usd), desk.open("seller", usd)


# ---- what moves


def test_a_linear_fill_moves_lots_and_quote_legs_that_sum_to_zero(desk: Desk) -> None:
    buyer, seller = two_sides(desk)
    (event,) = desk.ok(desk.trade(PERP, buyer, seller, 3, ticks(60_100)))
    quote = 3 * ticks(60_100)  # an atom of USDC per tick and lot
    assert event.legs == ((seller, PERP, -3, quote), (buyer, PERP, 3, -quote))
    assert event.postings == ()
    assert [verdict.account for verdict in event.verdicts] == [buyer, seller]
    assert event.verdicts[0].equity == usdc(100_000) - 3 * 100 * 10
    assert event.verdicts[1].equity == usdc(100_000) + 3 * 100 * 10


@given(st.integers(1, 10**6), st.integers(5_900_000, 6_100_000))
def test_an_inverse_fill_rounds_once_and_for_the_seller(size: int, price: int) -> None:
    quote = trade_quote(UNIVERSE, INVERSE, size, price)
    exact = size * E8 * 100 / price  # contracts of 1 USD at price / 100 USD, in atoms
    assert exact - 1 < quote <= exact


def test_an_inverse_fill_gives_the_buyer_a_positive_quote_leg(desk: Desk) -> None:
    buyer, seller = desk.open("buyer", BTC=1.0), desk.open("seller", BTC=1.0)
    (event,) = desk.ok(desk.trade(INVERSE, buyer, seller, 60_000))
    assert event.legs == ((seller, INVERSE, -60_000, -E8), (buyer, INVERSE, 60_000, E8))


def test_an_options_premium_is_cash_and_leaves_no_quote_leg(desk: Desk) -> None:
    buyer, seller = two_sides(desk)
    price = desk.state.quotes[CALL].ticks
    (event,) = desk.ok(desk.trade(CALL, buyer, seller, 10))
    premium = 10 * price * 100  # 0.01 contracts x 0.01 USD = 100 atoms
    assert event.postings == ((buyer, USDC, -premium), (seller, USDC, premium))
    assert event.legs == ((seller, CALL, -10, 0), (buyer, CALL, 10, 0))


def test_the_premium_of_a_coin_option_is_coins(desk: Desk) -> None:
    buyer, seller = desk.open("buyer", BTC=1.0), desk.open("seller", BTC=1.0)
    price = desk.state.quotes[COIN_CALL].ticks
    (event,) = desk.ok(desk.trade(COIN_CALL, buyer, seller, 10))
    assert event.postings == ((buyer, BTC, -10 * price * 100), (seller, BTC, 10 * price * 100))


def test_spot_swaps_two_balances_rounded_for_the_buyer(desk: Desk) -> None:
    buyer, seller = desk.open("buyer", 100_000.0), desk.open("seller", BTC=1.0)
    (event,) = desk.ok(desk.trade(BTC, buyer, seller, 3, 60_000_000_001))
    paid = 3 * 60_000_000_001 // 10**8
    assert event.postings == ((seller, BTC, -3), (buyer, BTC, 3), (buyer, USDC, -paid), (seller, USDC, paid))


def test_spot_can_be_paid_in_another_coin_at_a_price_in_it(desk: Desk) -> None:
    buyer, seller = desk.open("buyer", BTC=1.0), desk.open("seller", ETH=10.0)
    (event,) = desk.ok(desk.trade(ETH, buyer, seller, 10**9, 50_000, payment=BTC))  # 1 ETH at 0.05 BTC
    assert (seller, BTC, 5_000_000) in event.postings
    assert "within" in desk.refused(desk.trade(ETH, buyer, seller, 1, 52_000, payment=BTC))
    assert "another asset" in desk.refused(desk.trade(ETH, buyer, seller, 1, 50_000, payment=ETH))
    assert "a spot instrument" in desk.refused(desk.trade(ETH, buyer, seller, 1, 50_000, payment=PERP))


def test_fees_go_to_the_venue_and_count_against_the_payer(desk: Desk) -> None:
    buyer, seller = two_sides(desk)
    (event,) = desk.ok(desk.trade(PERP, buyer, seller, 1, buyer_fee_atoms=7, seller_fee_atoms=3))
    assert (buyer, USDC, -7) in event.postings
    assert desk.atoms(FEES) == 10
    assert event.verdicts[0].equity == usdc(100_000) - 7
    assert "fees of at least 0" in desk.refused(desk.trade(PERP, buyer, seller, 1, seller_fee_atoms=-1))


def test_fees_on_credit_stay_within_the_pool_for_both_sides_together(desk: Desk) -> None:
    desk.lend(USDC, 10)
    buyer, seller = desk.open("buyer", BTC=1.0), desk.open("seller", BTC=1.0)
    fees = {"buyer_fee_atoms": 6, "seller_fee_atoms": 6}
    assert "its pool's cash" in desk.refused(desk.trade(PERP, buyer, seller, 1, **fees))
    desk.ok(desk.trade(PERP, buyer, seller, 1, buyer_fee_atoms=6, seller_fee_atoms=4))
    assert desk.state.pool_cash(USDC) == 0


# ---- who may trade what


def test_sides_are_known_differ_in_owner_and_are_not_frozen(desk: Desk) -> None:
    buyer, seller = two_sides(desk)
    sub = desk.open("sub", 1_000.0, owner="buyer")
    assert "different owners" in desk.refused(desk.trade(PERP, buyer, sub, 1))
    assert "different owners" in desk.refused(desk.trade(PERP, buyer, buyer, 1))
    assert "an account from" in desk.refused(desk.trade(PERP, buyer, 99, 1))
    assert "an account from" in desk.refused(desk.trade(PERP, -3, seller, 1))
    desk.ok(c.Freeze(account=seller))
    assert "is frozen" in desk.refused(desk.trade(PERP, buyer, seller, 1))


@pytest.mark.parametrize("size", [0, -1, 2**63])
def test_lots_are_above_zero_and_fit(desk: Desk, size: int) -> None:
    buyer, seller = two_sides(desk)
    assert "whole lots above 0" in desk.refused(desk.trade(PERP, buyer, seller, size))


def test_a_position_that_the_ledger_could_not_hold_is_refused(desk: Desk) -> None:
    buyer, seller = two_sides(desk)
    assert "2**63" in desk.refused(desk.trade(PERP, buyer, seller, 2**62))  # its quote leg does not fit


def test_the_price_band_is_refused_for_everyone(desk: Desk) -> None:
    buyer, seller = two_sides(desk)
    inside, outside = ticks(61_800), ticks(61_800) + 1
    assert "within 18000 ticks of the mark 600000" in desk.refused(desk.trade(PERP, buyer, seller, 1, outside))
    assert "within" in desk.refused(desk.trade(PERP, MARKET, seller, 1, outside))
    assert "within" in desk.refused(desk.trade(PERP, buyer, MARKET, 1, ticks(58_200) - 1))
    assert "above 0" in desk.refused(desk.trade(PERP, buyer, seller, 1, 0))
    desk.ok(desk.trade(PERP, buyer, seller, 1, inside))
    desk.ok(desk.trade(PERP, buyer, seller, 1, ticks(58_200)))


def test_an_options_band_is_of_its_underlyings_price(desk: Desk) -> None:
    buyer, seller = two_sides(desk)
    mark = desk.state.quotes[CALL].ticks
    desk.ok(desk.trade(CALL, buyer, seller, 1, mark + 180_000))  # 3 % of 60,000 USD in ticks of 0.01
    assert "within" in desk.refused(desk.trade(CALL, buyer, seller, 1, mark + 180_001))
    rich, coins = desk.open("rich", BTC=5.0), desk.open("coins", BTC=5.0)
    mark = desk.state.quotes[COIN_CALL].ticks
    desk.ok(desk.trade(COIN_CALL, rich, coins, 1, mark + 300))
    assert "within" in desk.refused(desk.trade(COIN_CALL, rich, coins, 1, mark + 301))


def test_frozen_expired_and_unmarked_instruments_do_not_trade(desk: Desk) -> None:
    buyer, seller = two_sides(desk)
    desk.ok(c.Freeze(instrument=PERP))
    assert "is frozen" in desk.refused(desk.trade(PERP, buyer, seller, 1))
    desk.ok(c.Freeze(instrument=PERP, on=False))
    desk.ok(desk.trade(PERP, buyer, seller, 1))
    desk.now_ns = EXPIRY_NS  # before anybody settled it
    desk.mark()
    assert "has expired" in desk.refused(desk.trade(FUTURE, buyer, seller, 1))
    desk.tick()
    assert FUTURE in desk.state.expired
    assert "has expired" in desk.refused(desk.trade(FUTURE, buyer, seller, 1))
    assert "an instrument from" in desk.refused(c.Fill(99, buyer, seller, 1, 1))


def test_delisted_instruments_can_only_be_closed(desk: Desk) -> None:
    buyer, seller = two_sides(desk)
    holder = desk.open("holder", BTC=1.0)
    desk.ok(desk.trade(PERP, buyer, seller, 5))
    for instrument in (PERP, BTC):
        desk.ok(c.DelistInstrument(instrument))
    assert "only closing" in desk.refused(desk.trade(PERP, buyer, seller, 1))
    assert "only closing" in desk.refused(desk.trade(PERP, seller, buyer, 6))
    desk.ok(desk.trade(PERP, seller, buyer, 5))
    assert "only closing" in desk.refused(desk.trade(BTC, buyer, holder, 1))
    desk.ok(desk.trade(BTC, MARKET, holder, 1))
    assert "not delisted" in desk.refused(c.OpenOrder(buyer, PERP, 1, ticks(60_000)))


def test_isolated_accounts_trade_what_settles_in_their_asset(desk: Desk) -> None:
    isolated, other = desk.open("isolated", 10_000.0, isolated=USDC), desk.open("other", 10_000.0, BTC=1.0)
    desk.ok(desk.trade(PERP, isolated, other, 1))
    assert "isolated in another asset" in desk.refused(desk.trade(INVERSE, isolated, other, 1))
    assert "isolated in another asset" in desk.refused(desk.trade(BTC, isolated, other, 1))
    assert "isolated in another asset" in desk.refused(c.OpenOrder(isolated, INVERSE, 1, 6_000_000))
    assert "isolated in another asset" in desk.refused(c.OpenOrder(isolated, BTC, 1, 60_000_000_000))


# ---- the margin gate


def capacity(desk: Desk, account: int, instrument: int) -> int:
    """Most lots that an account without positions can buy at the mark: initial margin is linear in them."""
    probe = 1_000
    quote = desk.state.quotes[instrument].ticks
    moves = Moves(desk.state)
    moves.trade(account, MARKET, instrument, probe, quote)
    margin = desk.engine.risk.exact_after(desk.state, account, moves.row(account)).initial_margin
    return desk.exact(account).equity * probe // margin


@pytest.mark.parametrize("buys", [True, False])
def test_a_fill_passes_at_initial_margin_and_no_further_on_either_side(desk: Desk, buys: bool) -> None:
    account = desk.open("trader", 1_005.0)
    other = desk.open("other", 1_000_000.0)
    most = capacity(desk, account, PERP)
    assert most == lots(0.1)
    sides = (account, other) if buys else (other, account)
    assert "account trader: equity 1005.00" in desk.refused(desk.trade(PERP, *sides, most + 1))
    (event,) = desk.ok(desk.trade(PERP, *sides, most))
    verdict = next(each for each in event.verdicts if each.account == account)
    assert verdict.equity == verdict.initial_margin == usdc(1_005)


def short_of_initial_margin(desk: Desk) -> tuple[int, int]:
    """A long of 0.1 BTC below its initial margin, above maintenance margin; and a rich account."""
    account = desk.load("short of margin", {USDC: usdc(1_000)}, {PERP: lots(0.1)})
    exact = desk.exact(account)
    assert exact.maintenance_margin < exact.equity < exact.initial_margin
    return account, desk.open("rich", 1_000_000.0)


def test_below_initial_margin_only_what_reduces_risk_passes(desk: Desk) -> None:
    account, rich = short_of_initial_margin(desk)
    assert "reduces risk" in desk.refused(desk.trade(PERP, account, rich, 1))
    desk.ok(desk.trade(PERP, rich, account, 1))
    hedged = lots(0.1) - 1
    desk.ok(desk.trade(FUTURE, rich, account, hedged))  # a hedge of what is left frees margin, too
    assert desk.exact(account).initial_margin < usdc(500)


def test_a_price_so_bad_that_it_costs_more_than_it_frees_does_not_pass(desk: Desk) -> None:
    account, rich = short_of_initial_margin(desk)
    before = desk.exact(account)
    assert "reduces risk" in desk.refused(
        desk.trade(PERP, rich, account, lots(0.1), ticks(58_200), seller_fee_atoms=usdc(900))
    )
    desk.ok(desk.trade(PERP, rich, account, lots(0.05), ticks(58_200)))
    after = desk.exact(account)
    assert after.initial_margin <= before.initial_margin
    assert after.equity - after.initial_margin >= before.equity - before.initial_margin


def test_both_sides_are_checked(desk: Desk) -> None:
    account, rich = short_of_initial_margin(desk)
    poor = desk.open("poor", 1.0)
    assert "account poor" in desk.refused(desk.trade(PERP, poor, account, lots(0.1)))
    assert "account poor" in desk.refused(desk.trade(PERP, MARKET, poor, lots(0.1)))
    desk.ok(desk.trade(PERP, MARKET, account, lots(0.1)))
    assert desk.position(MARKET, PERP) == (0, 0)
    assert rich


def test_where_a_price_is_in_doubt_only_what_reduces_risk_passes(desk: Desk) -> None:
    buyer, seller = two_sides(desk)
    desk.ok(desk.trade(PERP, buyer, seller, lots(0.1)))
    degraded = msgspec.structs.replace(desk.state.quotes[BTC], state=1)
    desk.ok(c.Mark((degraded,), (), desk.now_ns))
    assert "is degraded" in desk.refused(desk.trade(PERP, buyer, seller, 1))
    assert "is degraded" in desk.refused(c.OpenOrder(buyer, PERP, 1, ticks(60_000)))
    assert "is degraded" in desk.refused(desk.trade(BTC, buyer, MARKET, 1))  # bought, not held before
    desk.ok(desk.trade(PERP, seller, buyer, lots(0.1)))


def test_a_clock_ahead_of_the_marks_stops_new_risk(desk: Desk) -> None:
    buyer, seller = two_sides(desk)
    desk.ok(desk.trade(PERP, buyer, seller, 5))
    desk.now_ns += 3_600 * 10**9
    assert "the clock is 3600 s ahead" in desk.refused(desk.trade(PERP, buyer, seller, 1))
    assert "the clock is" in desk.refused(c.OpenOrder(buyer, PERP, 1, ticks(60_000)))
    desk.ok(desk.trade(PERP, seller, buyer, 5))
    desk.tick()
    desk.ok(desk.trade(PERP, buyer, seller, 1))


# ---- caps


LIMITS: dict[str, dict[str, int]] = {
    "BTC/USDC:USDC": {"owner_usd": 12_000, "total_usd": 18_000},
    "BTC/USD:BTC": {"owner_units": 100},
    "BTC": {"owner_units": 1},
}


def test_an_owners_cap_holds_for_all_its_accounts() -> None:
    desk = Desk(policy_with(limits=LIMITS))
    one, two = desk.open("one", 50_000.0, owner="owner"), desk.open("two", 50_000.0, owner="owner")
    other = desk.open("other", 50_000.0)
    desk.ok(desk.trade(PERP, one, other, lots(0.15)))
    assert "owner cap of 12000 USD" in desk.refused(desk.trade(PERP, two, MARKET, lots(0.05) + 1))
    desk.ok(desk.trade(PERP, two, MARKET, lots(0.05)))
    desk.ok(desk.trade(PERP, MARKET, one, lots(0.15)))  # closing is free


def test_open_interest_is_capped_and_closing_is_free() -> None:
    desk = Desk(policy_with(limits=LIMITS))
    names = [desk.open(name, 50_000.0) for name in ("a", "b", "c", "d")]
    desk.ok(desk.trade(PERP, names[0], names[1], lots(0.2)))
    assert "open-interest cap of 18000 USD" in desk.refused(desk.trade(PERP, names[2], names[3], lots(0.1) + 1))
    desk.ok(desk.trade(PERP, names[2], names[3], lots(0.1)))
    desk.ok(desk.trade(PERP, names[1], names[0], lots(0.2)))  # at the cap, closed again
    assert desk.position(names[0], PERP) == (0, 0)


def test_caps_in_contracts_and_coins() -> None:
    desk = Desk(policy_with(limits=LIMITS))
    buyer = desk.open("buyer", 500_000.0, BTC=0.5)
    assert "owner cap of 100 coins or contracts" in desk.refused(desk.trade(INVERSE, buyer, MARKET, 101))
    desk.ok(desk.trade(INVERSE, buyer, MARKET, 100))
    assert "owner cap of 1 coins" in desk.refused(desk.trade(BTC, buyer, MARKET, btc(0.5) + 1))
    desk.ok(desk.trade(BTC, buyer, MARKET, btc(0.5)))


# ---- orders


def test_an_order_is_known_for_margin_only(desk: Desk) -> None:
    account = desk.open("trader", 10_000.0)
    free = desk.exact(account).initial_margin
    (event,) = desk.ok(c.OpenOrder(account, PERP, lots(0.1), ticks(60_000)))
    assert event.order == Order(0, PERP, lots(0.1), ticks(60_000))
    held = desk.exact(account)
    assert (held.equity, free) == (usdc(10_000), 0)
    assert held.initial_margin == usdc(993) == event.verdicts[0].initial_margin  # scan and close-out
    (event,) = desk.ok(c.CancelOrder(account, 0))
    assert event.orders == (0,)
    assert desk.exact(account).initial_margin == 0
    assert "an open order" in desk.refused(c.CancelOrder(account, 0))


def test_an_order_needs_equity_at_initial_margin_with_it(desk: Desk) -> None:
    account = desk.open("trader", 993.0)
    assert "with the order" in desk.refused(c.OpenOrder(account, PERP, lots(0.1) + 1, ticks(60_000)))
    desk.ok(c.OpenOrder(account, PERP, lots(0.1), ticks(60_000)))
    assert "with the order" in desk.refused(c.OpenOrder(account, PERP, lots(0.1), ticks(60_000)))


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (c.OpenOrder(0, PERP, 0, 1), "lots other than 0"),
        (c.OpenOrder(0, PERP, 2**63, 1), "lots other than 0"),
        (c.OpenOrder(0, PERP, 1, 0), "a price above 0"),
        (c.OpenOrder(7, PERP, 1, 1), "an account from"),
        (c.OpenOrder(0, 99, 1, 1), "an instrument from"),
    ],
)
def test_orders_that_cannot_be(desk: Desk, order: c.OpenOrder, reason: str) -> None:
    desk.open("trader", 100.0)
    assert reason in desk.refused(order)


def test_there_is_a_limit_on_open_orders(desk: Desk) -> None:
    account = desk.open("trader", 1e9)
    for _ in range(ORDERS_MOST):
        desk.ok(c.OpenOrder(account, PERP, 1, ticks(60_000)))
    assert f"at most {ORDERS_MOST} open orders" in desk.refused(c.OpenOrder(account, PERP, 1, ticks(60_000)))
