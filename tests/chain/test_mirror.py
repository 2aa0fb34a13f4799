"""The mirror says of every account what the contract says, through any history, reorgs and feeds included."""

import random
from collections.abc import Callable

import pytest
from tests.chain.mocks import compiled
from tests.chain.nodes import ROOT, Deployer, local_rpc
from tests.chain.venue_desk import BTC, ETH, USD, WAD, Venue, key

from solvent.chain.abi import call_data
from solvent.chain.mirror import Mirror
from solvent.chain.offers import offer
from solvent.chain.plan import Guards
from solvent.chain.standing import DEGRADED, HALTED, OK, guarded, liquidatable
from solvent.errors import SolventError

PEOPLE = ("borrower 0", "borrower 1", "borrower 2", "taker")


@pytest.fixture
def mirror(venue: Venue) -> Mirror:
    return Mirror(venue.rpc, venue.at)


def same(mirror: Mirror) -> None:
    """The mirror at the newest block, held to the chain."""
    mirror.advance()
    assert mirror.check() == []
    ledger, pool, now = mirror.head, mirror.contracts.pool, mirror.block.timestamp
    for account in ledger.accounts:
        assert offer(ledger, account, now) == mirror.contracts.auction.view("offer", account)
    assert (ledger.debt, ledger.debt_shares, ledger.idle, ledger.insurance, ledger.rate_bps) == pool.view("state")


def test_collateral_debt_and_interest(venue: Venue, mirror: Mirror) -> None:
    venue.borrow("borrower 0", 10 * ETH + 12_345, 15_000 * USD + 1)
    venue.deposit("borrower 0", 1, BTC // 7)
    same(mirror)
    before = mirror.head.assess(venue.account("borrower 0"), mirror.block.timestamp)
    assert before.equity > before.margin > 0
    venue.rpc.call("evm_increaseTime", 55)
    venue.mine()
    same(mirror)
    after = mirror.head.assess(venue.account("borrower 0"), mirror.block.timestamp)
    assert after.equity < before.equity, "interest"
    assert after.margin == before.margin


def test_positions_funding_and_profit(venue: Venue, mirror: Mirror) -> None:
    for name in ("buyer", "seller"):
        venue.deposit(name, None, 10_000 * USD)
    venue.trade("buyer", "seller", 30_001)
    same(mirror)
    for factor, index in ((1.02, 7_000_003), (0.99, -5_000_011)):
        venue.later(1_200, mark=int(2_000_000 * factor), index=index)
        same(mirror)
    venue.deployer.call(venue.found.clearing, "settle", venue.account("seller"), 0)
    venue.deployer.call(venue.found.clearing, "settle", venue.account("buyer"), 0)
    same(mirror)


def test_unsettled_profit_carries_no_debt(venue: Venue, mirror: Mirror) -> None:
    venue.borrow("buyer", 10 * ETH, 13_000 * USD)
    venue.deposit("seller", None, 20_000 * USD)
    venue.trade("buyer", "seller", 10_000)
    for step in range(1, 5):
        venue.later(3_600, mark=2_000_000 + 100_000 * step)
    same(mirror)
    account, now = venue.account("buyer"), mirror.block.timestamp
    assert mirror.head.has_initial(account, now)
    venue.push(weth=1_600 * USD)
    same(mirror)
    now = mirror.block.timestamp
    assert mirror.head.profit(account, 0, now) > 3_000 * USD
    assert not mirror.head.has_initial(account, now)


@pytest.mark.parametrize(("age_s", "state"), [(0, OK), (100, DEGRADED), (700, HALTED)])
def test_prices_that_grow_old(venue: Venue, mirror: Mirror, age_s: int, state: int) -> None:
    venue.borrow("borrower 0", 10 * ETH, 15_000 * USD)
    venue.push()
    venue.rpc.call("evm_increaseTime", age_s)
    venue.mine()
    same(mirror)
    assert mirror.head.assess(venue.account("borrower 0"), mirror.block.timestamp).price_state == state


def test_a_price_outside_its_band_stands_at_the_edge(venue: Venue, mirror: Mirror) -> None:
    venue.borrow("borrower 0", 10 * ETH, 15_000 * USD)
    venue.push(weth=1_200 * USD)
    same(mirror)
    quote = mirror.head.quote(0, mirror.block.timestamp)
    assert quote.state == DEGRADED
    assert quote.price > 1_390 * USD


def test_auctions_bids_and_losses(venue: Venue, mirror: Mirror) -> None:
    for number, weth in enumerate((1_640, 1_450)):
        venue.borrow(f"borrower {number}", 10 * ETH, 15_900 * USD)
        venue.deposit("taker", None, 50_000 * USD)
        venue.push(weth=weth * USD)
        same(mirror)
        account = venue.account(f"borrower {number}")
        assert liquidatable(mirror.head.assess(account, mirror.block.timestamp))
        bid = (account, venue.account("taker"), WAD, 2**255, 0, 2**40)
        venue.desk("taker").call(venue.found.auction, "bid", *bid)
        same(mirror)
        assert not liquidatable(mirror.head.assess(account, mirror.block.timestamp))
        venue.later(86_400, weth=2_000 * USD)
        venue.later(86_400, weth=2_000 * USD)


def test_a_random_history(venue: Venue, mirror: Mirror) -> None:
    """Whatever the contracts take, in any order; what they refuse changes nothing."""
    generator = random.Random(7)
    for name in PEOPLE:
        venue.deposit(name, 0, 20 * ETH)
        venue.deposit(name, None, 20_000 * USD)
        venue.deposit(name, 1, BTC // 3)
    clearing, auction = venue.found.clearing, venue.found.auction

    def one() -> None:
        name = generator.choice(PEOPLE)
        desk, account = venue.desk(name), venue.account(name)
        actions: list[Callable[[], object]] = [
            lambda: desk.call(clearing, "borrow", account, generator.randrange(1, 20_000 * USD), desk.signer.address),
            lambda: desk.call(clearing, "repay_from_cash", account, generator.randrange(1, 9_000 * USD)),
            lambda: desk.call(clearing, "withdraw", account, 0, generator.randrange(1, 4 * ETH), desk.signer.address),
            lambda: desk.call(clearing, "withdraw_cash", account, generator.randrange(1, 5_000 * USD), name_of(desk)),
            lambda: venue.trade(name, generator.choice(PEOPLE), generator.randrange(1, 9_000)),
            lambda: venue.push(weth=venue.prices[0].price * generator.randrange(930, 1_060) // 1_000),
            lambda: venue.push(mark=venue.mark.price * generator.randrange(980, 1_020) // 1_000),
            lambda: venue.rpc.call("evm_increaseTime", generator.randrange(1, 50)),
            lambda: desk.call(auction, "bid", venue.account(PEOPLE[0]), account, WAD, 2**255, 0, 2**40),
            lambda: desk.call(auction, "bid", venue.account(PEOPLE[1]), account, WAD, 2**255, 0, 2**40),
        ]
        try:
            generator.choice(actions)()
        except SolventError:
            refused.append(name)

    def name_of(desk: object) -> str:
        return key("elsewhere").address

    refused: list[str] = []
    for step in range(40):
        one()
        if step % 6 == 0:
            same(mirror)
    same(mirror)
    assert len(refused) < 30
    assert mirror.counts["logs"] > 40


def test_feeds_price_a_pair() -> None:
    chain, rpc = local_rpc(block_time_s=1)
    venue = Venue(rpc, owner=key("owner").address)
    venue.borrow("borrower 0", 10 * ETH, 10_000 * USD)
    venue.deposit("borrower 0", 1, BTC // 10)
    bytecode, _ = compiled(ROOT / "tests" / "contracts" / "mocks" / "Feed.vy")
    deployer, owner = Deployer(rpc), venue.desk("owner")
    feeds = [deployer.deploy(bytecode, ("uint8",), (8,)) for _ in range(2)]

    def answer(feed: int, price: int) -> None:
        deployer.send(feeds[feed], call_data("set_answer(int256,uint256)", price, chain.head.environment.timestamp))

    for asset, feed in enumerate(feeds):
        answer(asset, (2_000, 60_000)[asset] * 10**8)
        for field, setting in {3: 1, 4: 2**48 - 1, 5: 60, 2: int(feed, 16)}.items():
            owner.call(venue.found.steward, "set_up", venue.at.prices, field + 256 * asset, setting)
    mirror = Mirror(rpc, venue.at)
    account = venue.account("borrower 0")
    states = []
    owner.call(venue.found.prices, "poke", 0)
    for weth in (2_000 * 10**8, 1_999_87654321, 1_200 * 10**8, 0):
        answer(0, weth)
        same(mirror)
        states.append(mirror.head.assess(account, mirror.block.timestamp).price_state)
    assert states == [OK, OK, DEGRADED, HALTED]


def test_a_reorg_within_finality_is_rolled_back(venue: Venue, mirror: Mirror) -> None:
    venue.borrow("borrower 0", 10 * ETH, 15_000 * USD)
    venue.mine()
    same(mirror)
    final = dict(mirror.final.accounts)
    venue.borrow("borrower 1", 10 * ETH, 14_000 * USD)
    same(mirror)
    assert venue.account("borrower 1") in mirror.head.accounts
    venue.rpc.call("anvil_reorg", 2, [])
    venue.mine()
    same(mirror)
    assert mirror.counts["reorgs"] == 1
    assert mirror.counts["reorgs_beyond_finality"] == 0
    assert mirror.final.accounts == final, "what is final did not move"
    assert mirror.head.debt < 30_000 * USD, "the second loan is gone"


def test_unfinal_state_is_held_apart(venue: Venue) -> None:
    mirror = Mirror(venue.rpc, venue.at, finality_blocks=3)
    venue.borrow("borrower 0", 10 * ETH, 15_000 * USD)
    mirror.advance()
    account = venue.account("borrower 0")
    assert mirror.head.accounts[account] != mirror.final.accounts.get(account)
    for _ in range(3):
        venue.mine()
    mirror.advance()
    assert mirror.final.accounts == mirror.head.accounts
    assert mirror.final.debt == mirror.head.debt == 15_000 * USD


def test_a_reorg_beyond_finality_starts_over(venue: Venue) -> None:
    mirror = Mirror(venue.rpc, venue.at, finality_blocks=2)
    venue.borrow("borrower 0", 10 * ETH, 15_000 * USD)
    for _ in range(3):
        venue.mine()
    same(mirror)
    venue.rpc.call("anvil_reorg", 6, [])
    venue.mine()
    same(mirror)
    assert mirror.counts["reorgs_beyond_finality"] == 1
    assert mirror.head.debt == 0


def test_a_difference_is_found(venue: Venue, mirror: Mirror) -> None:
    """The control: one atom too much is seen."""
    venue.borrow("borrower 0", 10 * ETH, 15_000 * USD)
    mirror.advance()
    account = venue.account("borrower 0")
    mirror.head.accounts[account] += 1
    found = mirror.check()
    assert [(each.account, each.field, each.ours - each.theirs) for each in found] == [(account, "equity", 1)]
    assert mirror.counts["differences"] == 1


def test_a_price_with_no_slow_price_is_halted() -> None:
    assert guarded(5, 0, Guards()).state == HALTED
    assert guarded(100 | 100 << 48, 0, Guards()).state == OK
    assert guarded(100 | 100 << 48 | 201 << 96, 0, Guards()).state == DEGRADED
