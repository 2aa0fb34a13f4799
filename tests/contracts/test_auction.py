"""Auction: slices, prices, dust, resets, losses; the figures of the model and of the engine's own auctions."""

import boa
import pytest
from eth_account.signers.local import LocalAccount
from tests.contracts import model
from tests.contracts.world import AUCTION_TERMS, MARK, USD, WAD, World, account_of, refused

from solvent.liquidation import auctions

LATER = 2**255
FEE_BPS = AUCTION_TERMS[3]


def indebted(world: World, who: str, part_bps: int = 7_900) -> int:
    """100 of the first and of the second collateral, and a loan of so much of their worth."""
    world.deposit(who, 0, 100 * WAD)
    world.deposit(who, 1, 100 * WAD)
    worth = 100 * (world.asset_prices[0] + world.asset_prices[1])
    world.clearing.borrow(account_of(who), worth * part_bps // 10_000, who, sender=who)
    return account_of(who)


def bid(world: World, account: int, liquidator: str, fraction: int = WAD, paid: int = LATER, least: int = 0) -> tuple:
    return world.auction.bid(account, account_of(liquidator), fraction, paid, least, LATER, sender=liquidator)


@pytest.fixture
def account(world: World, borrower: str, liquidator: str) -> int:
    """An account below its margin, and a liquidator with cash."""
    number = indebted(world, borrower)
    world.deposit(liquidator, None, 10**6 * USD)
    world.move(0.92)
    return number


def test_a_healthy_account_is_left_alone(world: World, borrower: str, liquidator: str) -> None:
    number = indebted(world, borrower)
    world.deposit(liquidator, None, 10**6 * USD)
    for call in (
        lambda: bid(world, number, liquidator),
        lambda: world.auction.start(number),
        lambda: world.auction.reset(number),
    ):
        with refused("NotLiquidatable"):
            call()
    assert world.auction.offer(number)[0] == 0


def test_a_bid_takes_the_closed_form_and_restores_the_buffer(
    world: World, account: int, borrower: str, liquidator: str
) -> None:
    equity, margin, _, _ = world.clearing.standing(account)
    price = model.price_e18(0, AUCTION_TERMS)
    fraction = model.slice_up(model.missing_up(equity, margin, 1_500), equity, price * (10_000 - FEE_BPS) // 10_000)
    assert fraction == auctions.slice_fraction_e18(equity, margin, 0.15, price * (10_000 - FEE_BPS) // 10_000)
    paid = auctions.cash_up(fraction, equity, price)
    assert bid(world, account, liquidator) == (fraction, paid, 0)
    after, required, _, start = world.clearing.standing(account)
    assert start == 0
    assert abs(model.missing_up(after, required, 1_500)) <= 5
    assert world.clearing.balance_of(account_of(liquidator), 0) == 100 * WAD * fraction // WAD
    assert world.clearing.insurance_owed() == paid * FEE_BPS // 10_000
    assert world.word(borrower)["cash"] == paid - paid * FEE_BPS // 10_000


def test_no_token_moves_in_a_liquidation(world: World, account: int, liquidator: str) -> None:
    before = [token.balanceOf(world.clearing) for token in world.tokens] + [world.settlement.balanceOf(world.pool)]
    bid(world, account, liquidator)
    assert [token.balanceOf(world.clearing) for token in world.tokens] + [
        world.settlement.balanceOf(world.pool)
    ] == before


def test_a_slice_never_lowers_health(world: World, account: int, liquidator: str) -> None:
    for part in (WAD // 100, WAD // 10):
        equity, margin, _, _ = world.clearing.standing(account)
        bid(world, account, liquidator, part)
        after, required, _, _ = world.clearing.standing(account)
        assert after * margin >= equity * required


def test_the_price_falls_as_the_engines_curve(world: World, account: int) -> None:
    world.auction.start(account)
    curve = auctions.TwoSlope(knee=0.8, fast_s=900, slow_s=43_200)
    for seconds in (0, 1, 899, 1, 1, 10_000):
        world.later(seconds) if seconds else None
        elapsed = boa.env.timestamp - (world.clearing.standing(account)[3] % 2**32)
        expected = auctions.price_e18(curve, 98 * WAD // 100, elapsed)
        assert world.auction.offer(account)[1] == expected == model.price_e18(elapsed, AUCTION_TERMS)


def test_bounds_of_a_bidder_hold(world: World, account: int, liquidator: str) -> None:
    with refused("TooMuchPaid"):
        bid(world, account, liquidator, paid=1)
    with refused("TooLittleReceived"):
        bid(world, account, liquidator, least=10**15)
    with refused("DeadlinePassed"):
        world.auction.bid(account, account_of(liquidator), WAD, LATER, 0, boa.env.timestamp - 1, sender=liquidator)
    with refused("Dust"):
        bid(world, account, liquidator, WAD // 10**6)


def test_only_the_takers_owner_bids_and_never_the_debtor(
    world: World, account: int, borrower: str, liquidator: str, stranger: str
) -> None:
    with refused("NotAuthorised"):
        world.auction.bid(account, account_of(liquidator), WAD, LATER, 0, LATER, sender=stranger)
    world.deposit(borrower, None, 10**5 * USD, number=1)
    with refused("OneOwner"):
        world.auction.bid(account, account_of(borrower, 1), WAD, LATER, 0, LATER, sender=borrower)


def test_a_taker_needs_initial_margin(world: World, account: int, stranger: str) -> None:
    world.deposit(stranger, None, 6_000 * USD)
    with refused("BelowInitialMargin"):
        bid(world, account, stranger)


def test_an_account_under_liquidation_is_frozen_but_for_deposits(world: World, account: int, borrower: str) -> None:
    world.auction.start(account)
    with refused("UnderLiquidation"):
        world.clearing.withdraw(account, 0, 1, borrower, sender=borrower)
    with refused("UnderLiquidation"):
        world.clearing.borrow(account, 1, borrower, sender=borrower)
    with refused("AuctionRunning"):
        world.auction.start(account)
    with refused("StillUnhealthy"):
        world.auction.finish(account)
    world.deposit(borrower, None, 50_000 * USD)
    world.auction.finish(account)
    assert world.word(borrower)["start"] == 0
    world.clearing.withdraw(account, 0, 1, borrower, sender=borrower)


def test_an_auction_resets_once_when_it_is_too_old(world: World, account: int) -> None:
    world.auction.start(account)
    with refused("AuctionRunning"):
        world.auction.reset(account)
    world.later(14_401)
    world.auction.reset(account)
    assert world.clearing.standing(account)[3] == boa.env.timestamp | 1 << 32
    world.later(14_401)
    with refused("AuctionRunning"):
        world.auction.reset(account)


def test_little_equity_closes_in_full(world: World, borrower: str, liquidator: str) -> None:
    number = indebted(world, borrower)
    world.deposit(liquidator, None, 10**6 * USD)
    world.move(0.8)
    equity, margin, _, _ = world.clearing.standing(number)
    assert 0 < equity * 4 < margin
    bid(world, number, liquidator)
    word = world.word(borrower)
    assert (word["shares"], word["assets"]) == (0, 0)
    assert word["cash"] > 0
    assert world.clearing.balance_of(number, 0) == 0 == world.clearing.balance_of(number, 1)


def test_degraded_prices_liquidate_only_severe_cases(world: World, account: int, liquidator: str) -> None:
    boa.env.time_travel(seconds=61)
    equity, margin, state, _ = world.clearing.standing(account)
    assert state == 1
    assert equity < margin
    assert 10 * equity >= 9 * margin
    with refused("NotLiquidatable"):
        bid(world, account, liquidator)
    boa.env.time_travel(seconds=540)
    with refused("NotLiquidatable"):
        bid(world, account, liquidator)


def test_severe_cases_are_liquidated_at_the_edge_of_the_band(world: World, borrower: str, liquidator: str) -> None:
    number = indebted(world, borrower)
    world.deposit(liquidator, None, 10**7 * USD)
    world.move(0.5)
    assert world.clearing.standing(number)[2] == 1
    assert world.auction.offer(number)[0] == WAD


def insured(world: World, amount: int) -> None:
    world.settlement.mint(world.owner, amount)
    world.settlement.approve(world.pool, amount, sender=world.owner)
    world.pool.insure(amount, sender=world.owner)


@pytest.mark.parametrize("insurance", [0, 5_000, 10**6])
def test_a_lending_loss_goes_to_insurance_and_then_to_lenders_once(
    world: World, borrower: str, liquidator: str, insurance: int
) -> None:
    number = indebted(world, borrower)
    world.deposit(liquidator, None, 10**6 * USD)
    insured(world, insurance * USD) if insurance else None
    world.move(0.75)
    equity, _margin, _, _ = world.clearing.standing(number)
    assert equity < 0
    before = world.pool.totalAssets()
    shortfall = -equity
    fraction, paid, payout = bid(world, number, liquidator)
    assert (fraction, paid, payout) == (WAD, 0, shortfall)
    by_fund = min(insurance * USD, shortfall)
    assert 0 <= world.pool.state()[3] - (insurance * USD - by_fund) <= 10  # the reserve of a second's interest
    assert abs(before - world.pool.totalAssets() - (shortfall - by_fund)) <= 100
    assert world.clearing.account_word(number) == 0
    with refused("NotLiquidatable"):
        bid(world, number, liquidator)


def test_the_pay_rises_up_to_the_margin(world: World, borrower: str, liquidator: str) -> None:
    number = indebted(world, borrower)
    world.deposit(liquidator, None, 10**6 * USD)
    insured(world, 10**6 * USD)
    world.move(0.75)
    world.auction.start(number)
    world.later(1_800)
    equity, margin, _, _ = world.clearing.standing(number)
    assert bid(world, number, liquidator, least=-equity)[2] == auctions.payout_down(WAD, equity, margin, 1_800, 3_600)


def bankrupt_long(world: World, buyer: LocalAccount, seller: LocalAccount) -> int:
    """A long of 100 USD and 1,000 lots whose mark falls by a tenth, against a well-funded short."""
    world.deposit(buyer.address, None, 200 * USD)
    world.deposit(seller.address, None, 10_000 * USD)
    world.fill(buyer, seller, 1_000)
    world.mark = MARK * 85 // 100
    world.later(60)
    return account_of(buyer.address)


def test_a_loss_of_a_market_reaches_its_winners_and_never_the_lenders(
    world: World, buyer: LocalAccount, seller: LocalAccount, liquidator: str
) -> None:
    number = bankrupt_long(world, buyer, seller)
    world.deposit(liquidator, None, 10_000 * USD)
    before = world.pool.totalAssets()
    loss = 1_000 * MARK * 15 // 100 - 200 * USD
    assert world.clearing.standing(number)[0] == -loss
    assert bid(world, number, liquidator) == (WAD, 0, loss)
    assert world.pool.totalAssets() == before
    assert world.clearing.market_state(0)[3] == loss
    with refused("LossNotShared"):
        world.clearing.settle(account_of(seller.address), 0)
    holders = sorted([account_of(seller.address), account_of(liquidator)])
    for wrong in (holders[:1], holders[::-1], [*holders[:1], *holders[:1]]):
        with refused("NotAllHolders"):
            world.auction.share_market_loss(0, wrong)
    world.auction.share_market_loss(0, holders)
    assert world.clearing.market_state(0)[3] == 0
    assert world.clearing.standing(account_of(seller.address))[0] == 10_000 * USD + 1_000 * MARK * 15 // 100 - loss
    with refused("NoLoss"):
        world.auction.share_market_loss(0, holders)


def test_insurance_pays_for_a_market_first(
    world: World, buyer: LocalAccount, seller: LocalAccount, liquidator: str
) -> None:
    number = bankrupt_long(world, buyer, seller)
    world.deposit(liquidator, None, 10_000 * USD)
    insured(world, 1_000 * USD)
    bid(world, number, liquidator)
    assert world.clearing.market_state(0)[3] == 0
    assert world.pool.state()[3] == 1_000 * USD - (1_000 * MARK * 15 // 100 - 200 * USD)


def test_positions_move_with_their_slice(
    world: World, buyer: LocalAccount, seller: LocalAccount, liquidator: str
) -> None:
    for trader in (buyer, seller):
        world.deposit(trader.address, None, 1_000 * USD)
    world.deposit(liquidator, None, 10_000 * USD)
    world.fill(buyer, seller, 4_000)
    world.mark = MARK * 92 // 100
    world.later(60)
    number = account_of(buyer.address)
    fraction, _, _ = bid(world, number, liquidator)
    moved = -(-4_000 * fraction // WAD)
    assert world.position(buyer.address)[0] == 4_000 - moved
    assert world.position(liquidator)[0] == moved
    assert world.position(buyer.address)[1] + world.position(liquidator)[1] == -4_000 * MARK
    equity, margin, _, _ = world.clearing.standing(number)
    assert equity >= margin + margin * 1_500 // 10_000 - 5


def test_penalties_are_swept_into_insurance(world: World, account: int, liquidator: str) -> None:
    bid(world, account, liquidator)
    owed = world.clearing.insurance_owed()
    before = world.pool.state()[3]
    world.clearing.sweep_insurance()
    assert owed > 0
    assert world.pool.state()[3] == before + owed
    assert world.clearing.insurance_owed() == 0


def test_unsafe_terms_are_refused(world: World) -> None:
    for parameter, setting in ((0, 10_001), (5, 0), (8, 0)):
        with refused("UnsafeParameter"):
            world.steward.set_up(world.auction, parameter, setting, sender=world.owner)
    assert [world.auction.parameter(i) for i in range(10)] == AUCTION_TERMS
