"""Orders, fills and settlement: signatures, limits, gates, who pays whom."""

from typing import Any

import boa
import pytest
from eth_account.signers.local import LocalAccount
from tests.contracts import model
from tests.contracts.conftest import role
from tests.contracts.model import Quote
from tests.contracts.world import MARK, USD, WAD, World, account_of, key, mock, refused

LOTS = 100


@pytest.fixture
def traders(world: World, buyer: LocalAccount, seller: LocalAccount) -> tuple[LocalAccount, LocalAccount]:
    """Two owners with 1,000 USD each: a notional of 10,000 USD is their limit."""
    for trader in (buyer, seller):
        world.deposit(trader.address, None, 1_000 * USD)
    return buyer, seller


def test_a_fill_opens_two_sides_that_cancel_out(world: World, traders: Any) -> None:
    buyer, seller = traders
    world.fill(buyer, seller, LOTS, MARK + 1_000)
    amount = LOTS * (MARK + 1_000)
    assert world.position(buyer.address) == (LOTS, -amount, 0)
    assert world.position(seller.address) == (-LOTS, amount, 0)
    assert world.clearing.market_state(0) == (LOTS, 2, 0, 0)
    equity, margin, _, _ = world.clearing.standing(account_of(buyer.address))
    profit, required = model.unsettled(LOTS, -amount, Quote(MARK, MARK), 1, (1_000, 500), initial=False)
    assert (equity, margin) == (1_000 * USD + profit, required)


def test_closing_leaves_only_the_profit(world: World, traders: Any) -> None:
    buyer, seller = traders
    world.fill(buyer, seller, LOTS)
    world.fill(seller, buyer, LOTS, MARK + 500, nonce=2)
    assert world.position(buyer.address)[:2] == (0, LOTS * 500)
    assert world.clearing.market_state(0)[:2] == (0, 2)
    world.clearing.settle(account_of(seller.address), 0)
    world.clearing.settle(account_of(buyer.address), 0)
    assert world.word(buyer.address)["cash"] == 1_000 * USD + LOTS * 500
    assert world.word(seller.address)["cash"] == 1_000 * USD - LOTS * 500
    assert world.clearing.market_state(0) == (0, 0, 0, 0)


def test_an_order_is_filled_no_further_than_it_says(world: World, traders: Any) -> None:
    buyer, seller = traders
    world.fill(buyer, seller, LOTS)
    with refused("OrderFilled"):
        world.fill(buyer, seller, LOTS)


def refused_fill(world: World, traders: Any, name: str | None, fees: tuple[int, int] = (0, 0), **changes: Any) -> None:
    """A fill that would pass but for one change of the buyer's order."""
    buyer, seller = traders
    price = changes.pop("at", MARK)
    bid = world.order(buyer.address, True, LOTS, changes.pop("limit", price)) | changes
    ask = world.order(seller.address, False, LOTS, price)
    signatures = world.sign(buyer, bid), world.sign(seller, ask)
    with refused(name):
        world.clearing.fill(
            tuple(bid.values()), signatures[0], tuple(ask.values()), signatures[1], LOTS, price, list(fees)
        )


def test_limits_of_an_order_bind_the_matcher(world: World, traders: Any, stranger: str) -> None:
    refused_fill(world, traders, "PriceBeyondLimit", limit=MARK - 1)
    refused_fill(world, traders, "OrderExpired", expiry=boa.env.timestamp - 1)
    refused_fill(world, traders, "NotAuthorised", operator=stranger)
    refused_fill(world, traders, "OrdersDoNotMatch", market=1)
    refused_fill(world, traders, "OrdersDoNotMatch", buy=False)
    refused_fill(world, traders, "OrderFilled", lots=LOTS - 1)
    refused_fill(world, traders, "FeeAboveLimit", fees=(11, 0))
    refused_fill(world, traders, "OneOwner", account=account_of(traders[1].address, 5))


def test_fills_outside_the_band_are_refused(world: World, traders: Any) -> None:
    edge = MARK * 300 // 10_000
    refused_fill(world, traders, "OutsideBand", at=MARK + edge + 1)
    refused_fill(world, traders, "OutsideBand", at=MARK - edge - 1)
    world.fill(*traders, 10, MARK + edge)


def test_a_signature_of_another_is_refused(world: World, traders: Any) -> None:
    buyer, seller = traders
    bid, ask = world.order(buyer.address, True, LOTS, MARK), world.order(seller.address, False, LOTS, MARK)
    with refused("NotAuthorised"):
        world.clearing.fill(
            tuple(bid.values()),
            world.sign(seller, bid),
            tuple(ask.values()),
            world.sign(seller, ask),
            LOTS,
            MARK,
            [0, 0],
        )


def test_an_operator_for_trading_signs_for_the_owner(world: World, traders: Any, stranger: str) -> None:
    buyer, seller = traders
    world.clearing.set_operator(stranger, 1, sender=buyer.address)
    bid, ask = world.order(buyer.address, True, LOTS, MARK), world.order(seller.address, False, LOTS, MARK)
    signatures = world.sign(role("stranger"), bid), world.sign(seller, ask)
    world.clearing.fill(tuple(bid.values()), signatures[0], tuple(ask.values()), signatures[1], LOTS, MARK, [0, 0])
    assert world.position(buyer.address)[0] == LOTS


def test_contract_wallets_sign_by_erc1271(world: World, traders: Any) -> None:
    _, seller = traders
    wallet = mock("Wallet")
    world.settlement.mint(wallet, 1_000 * USD)
    for target, data in (
        (world.settlement, world.settlement.approve.prepare_calldata(world.clearing, 1_000 * USD)),
        (world.clearing, world.clearing.deposit_cash.prepare_calldata(account_of(wallet.address), 1_000 * USD)),
    ):
        wallet.call(target, data)
    bid, ask = world.order(wallet.address, True, LOTS, MARK), world.order(seller.address, False, LOTS, MARK)
    arguments = tuple(bid.values()), b"", tuple(ask.values()), world.sign(seller, ask), LOTS, MARK, [0, 0]
    with refused("BadSignature"):
        world.clearing.fill(*arguments)
    wallet.agree(world.clearing.order_digest(tuple(bid.values()))[1])
    world.clearing.fill(*arguments)
    assert world.position(wallet.address)[0] == LOTS


def test_a_user_cancels_without_the_matcher_and_for_any_signature(world: World, traders: Any, stranger: str) -> None:
    buyer, seller = traders
    bid = world.order(buyer.address, True, LOTS, MARK)
    with refused("NotAuthorised"):
        world.clearing.cancel(tuple(bid.values()), sender=stranger)
    world.clearing.cancel(tuple(bid.values()), sender=buyer.address)
    with refused("OrderFilled"):
        world.fill(buyer, seller, LOTS)
    world.fill(buyer, seller, LOTS, nonce=2)


def test_fees_are_paid_in_the_quote_leg(world: World, traders: Any) -> None:
    buyer, seller = traders
    bid, ask = world.order(buyer.address, True, LOTS, MARK), world.order(seller.address, False, LOTS, MARK)
    signatures = world.sign(buyer, bid), world.sign(seller, ask)
    world.clearing.fill(tuple(bid.values()), signatures[0], tuple(ask.values()), signatures[1], LOTS, MARK, [10, 3])
    notional = LOTS * MARK
    assert world.position(buyer.address)[1] == -notional - notional * 10 // 10_000
    assert world.position(seller.address)[1] == notional - notional * 3 // 10_000


def test_the_gate_stops_new_risk_and_lets_risk_be_reduced(world: World, traders: Any) -> None:
    buyer, seller = traders
    with refused("BelowInitialMargin"):
        world.fill(buyer, seller, 5_001)
    world.fill(buyer, seller, 5_000)
    world.mark = MARK * 96 // 100
    world.later(60)
    with refused("BelowInitialMargin"):
        world.fill(buyer, seller, 1, nonce=2)
    world.fill(seller, buyer, 100, nonce=3)
    assert world.position(buyer.address)[0] == 4_900


def test_the_open_interest_cap_holds(world: World, traders: Any) -> None:
    world.steward.set_up(world.clearing, key(12), LOTS, sender=world.owner)
    with refused("OpenInterestCap"):
        world.fill(*traders, LOTS + 1)
    world.fill(*traders, LOTS, nonce=2)


def test_no_fills_at_bad_prices(world: World, traders: Any) -> None:
    boa.env.time_travel(seconds=61)
    with refused("PricesNotGood"):
        world.fill(*traders, 1)


def test_funding_is_paid_by_longs_and_rounded_against_both(world: World, traders: Any) -> None:
    buyer, seller = traders
    world.fill(buyer, seller, 3)
    world.funding_index = 10_000_001  # 1e-6 ticks a lot
    world.later(3_600)
    world.fill(buyer, seller, 1, nonce=2)
    assert world.position(buyer.address)[:2] == (4, -4 * MARK - model.funding_up(3, 10_000_001, 1))
    assert world.position(seller.address)[:2] == (-4, 4 * MARK - model.funding_up(-3, 10_000_001, 1))
    assert model.funding_up(3, 10_000_001, 1) + model.funding_up(-3, 10_000_001, 1) == 1


def test_unsettled_profit_is_not_withdrawn(world: World, traders: Any) -> None:
    buyer, seller = traders
    world.fill(buyer, seller, LOTS)
    world.mark = MARK * 11 // 10
    world.later(60)
    with refused():
        world.clearing.withdraw_cash(account_of(buyer.address), 1_000 * USD + 1, buyer.address, sender=buyer.address)
    world.clearing.settle(account_of(buyer.address), 0)
    assert world.word(buyer.address)["cash"] == 1_000 * USD  # no loser has paid in


def test_a_loss_beyond_cash_is_lent_against_collateral_alone(world: World, traders: Any) -> None:
    buyer, seller = traders
    world.deposit(buyer.address, 0, 10 * WAD)
    world.fill(buyer, seller, 5_000)
    world.mark = MARK * 85 // 100
    world.later(60)
    loss = 5_000 * MARK * 15 // 100
    before = world.clearing.standing(account_of(buyer.address))
    world.clearing.settle(account_of(buyer.address), 0)
    assert world.debt(buyer.address) == loss - 1_000 * USD
    assert world.word(buyer.address)["cash"] == 0
    assert world.clearing.standing(account_of(buyer.address)) == before
    assert world.clearing.market_state(0)[2] == loss


def test_without_collateral_nothing_is_lent(world: World, traders: Any) -> None:
    buyer, seller = traders
    world.fill(buyer, seller, 5_000)
    world.mark = MARK * 85 // 100
    world.later(60)
    world.clearing.settle(account_of(buyer.address), 0)
    assert (world.debt(buyer.address), world.word(buyer.address)["cash"]) == (0, 0)
    assert world.clearing.market_state(0)[2] == 1_000 * USD
    with refused("NoPosition"):
        world.clearing.settle(account_of(buyer.address), 1)


def test_a_forced_loan_is_no_more_than_the_pool_can_lend(world: World, traders: Any) -> None:
    buyer, seller = traders
    world.deposit(buyer.address, 0, 10 * WAD)
    world.steward.set_up(world.pool, 5, 7 * USD, sender=world.owner)
    world.fill(buyer, seller, 5_000)
    world.mark = MARK * 85 // 100
    world.later(60)
    assert world.pool.lendable() == 7 * USD
    world.clearing.settle(account_of(buyer.address), 0)
    assert (world.debt(buyer.address), world.word(buyer.address)["cash"]) == (7 * USD, 0)
    assert world.clearing.market_state(0)[2] == 1_007 * USD
    assert world.pool.lendable() == 0
