"""The keeper on our own contracts: what it forecasts is what its account gains, in lending and in perpetuals."""

import pytest
from tests.chain.venue_desk import BTC, ETH, USD, Venue, key

from solvent.chain.desk import block_at
from solvent.chain.keeper.amm import Pairs
from solvent.chain.keeper.keeper import Keeper, Report, Settings
from solvent.chain.keeper.solvent_venue import SolventVenue
from solvent.chain.keeper.starter import Starter
from solvent.chain.limits import Limits, Meter
from solvent.chain.rpc import quantity
from solvent.chain.transactions import Sender
from solvent.errors import SolventError

SETTINGS = Settings(keep_collateral=True, profit_least=0.1, finality_blocks=1)


def keeper_of(venue: Venue, name: str = "keeper", cash: int = 50_000, settings: Settings = SETTINGS) -> Keeper:
    """A keeper with cash in its account, and gas."""
    venue.deposit(name, None, cash * USD)
    where = SolventVenue(venue.rpc, venue.at, venue.account(name), "WETH")
    limits = Limits(
        chain_id=venue.chain_id,
        calls=where.selectors(),
        gas_daily_wei=ETH,
        spend_daily=10**8 * 10**7,
        loss_daily=10**8 * 10**3,
        fee_most_wei=10**12,
    )
    sender = Sender(venue.rpc, key(name), venue.chain_id)
    return Keeper(where, Pairs(venue.rpc, []), sender, Meter(limits, lambda: 0.0), settings, wall_s=lambda: 0.0)


def where_of(keeper: Keeper) -> SolventVenue:
    assert isinstance(keeper.venue, SolventVenue)
    return keeper.venue


def equity(venue: Venue, name: str) -> int:
    return int(venue.found.clearing.view("standing", venue.account(name))[0])


def run(venue: Venue, keeper: Keeper, blocks: int = 4) -> Report:
    """Steps with a block after each; the first report."""
    first = keeper.step()
    assert first is not None
    for _ in range(blocks):
        venue.mine()
        keeper.step()
    return first


def test_slices_bring_what_was_forecast(venue: Venue) -> None:
    for number, usd in enumerate((15_900, 15_500, 15_000)):
        venue.borrow(f"borrower {number}", 10 * ETH, usd * USD)
    venue.push(weth=1_820 * USD)
    keeper = keeper_of(venue)
    before = equity(venue, "keeper")
    report = run(venue, keeper)
    assert (report.liquidatable, report.profitable, len(report.jobs)) == (2, 2, 2)
    assert keeper.counts["liquidated"] == 2
    gained = (equity(venue, "keeper") - before) / USD
    forecast = sum(each.gross_profit for each in report.jobs)
    assert gained == pytest.approx(forecast, rel=0.01)
    assert sum(each.profit for each in keeper.ledger.entries) == pytest.approx(gained, rel=0.01)
    for number in range(2):
        _, margin, _, start = venue.found.clearing.view("standing", venue.account(f"borrower {number}"))
        assert start == 0
        assert equity(venue, f"borrower {number}") >= margin
    assert keeper.venue.still_there(report.jobs, venue.rpc, "latest") == [False, False]


def test_an_insolvent_account_pays_its_taker(venue: Venue) -> None:
    venue.give("lender", venue.usdc, 10_000 * USD, venue.found.pool)
    venue.desk("lender").call(venue.found.pool, "insure", 10_000 * USD)
    venue.borrow("borrower 0", 10 * ETH, 15_900 * USD)
    venue.later(3_600, weth=1_400 * USD)
    venue.later(3_600, weth=1_400 * USD)
    assert equity(venue, "borrower 0") < 0
    keeper = keeper_of(venue)
    first = keeper.step()
    assert first is not None
    assert first.jobs == (), "its pay is the shortfall alone, until the auction runs"
    starter = Starter(keeper, where_of(keeper))
    assert starter.step() == 1
    assert starter.step() == 0, "it is on its way"
    venue.mine()
    venue.later(600)
    before = equity(venue, "keeper")
    report = run(venue, keeper)
    assert starter.step() == 0
    assert keeper.counts["liquidated"] == keeper.counts["auctions_begun"] == 1
    (job,) = report.jobs
    assert (equity(venue, "keeper") - before) / USD == pytest.approx(job.gross_profit, abs=1.0)
    assert venue.found.pool.view("state")[3] < 10_000 * USD, "insurance paid"


def test_a_position_is_taken(venue: Venue) -> None:
    for name in ("buyer", "seller"):
        venue.deposit(name, None, 5_000 * USD)
    venue.trade("buyer", "seller", 20_000)
    venue.push(mark=1_830_000)
    keeper = keeper_of(venue)
    report = run(venue, keeper)
    assert len(report.jobs) == 1
    assert keeper.counts["liquidated"] == 1
    assert keeper.ledger.entries[0].profit == pytest.approx(report.jobs[0].gross_profit, rel=0.01)


def test_jobs_stay_within_the_takers_margin(venue: Venue) -> None:
    for number in range(4):
        venue.borrow(f"borrower {number}", 10 * ETH, 15_900 * USD)
    venue.push(weth=1_850 * USD)
    poor = keeper_of(venue, "poor", cash=900)
    report = run(venue, poor)
    assert 0 < len(report.jobs) < 4
    assert poor.counts["simulated_revert"] == 0
    assert poor.counts["liquidated"] == len(report.jobs)


def test_two_keepers_and_one_account(venue: Venue) -> None:
    venue.borrow("borrower 0", 10 * ETH, 15_900 * USD)
    venue.push(weth=1_850 * USD)
    keepers = [keeper_of(venue, name) for name in ("keeper", "rival")]
    for each in keepers:
        each.step()
    for _ in range(5):
        venue.mine()
        for each in keepers:
            each.step()
    assert sum(each.counts["liquidated"] for each in keepers) == 1
    assert all(not each.flights for each in keepers)


def test_the_lookahead_moves_collateral_prices(venue: Venue) -> None:
    venue.borrow("borrower 0", 10 * ETH, 15_900 * USD)
    venue.deposit("borrower 1", 1, BTC)
    found = []
    for fall in (0.05, 0.08):
        settings = Settings(keep_collateral=True, lookahead=fall, dry_run=True)
        report = keeper_of(venue, settings=settings).step()
        assert report is not None
        found.append((report.liquidatable, report.next))
    assert found == [(0, 0), (0, 1)]


def test_the_screen_misses_nobody_that_the_integers_name(venue: Venue) -> None:
    for number in range(4):
        venue.borrow(f"borrower {number}", 10 * ETH + number, (15_000 + 300 * number) * USD)
    for name in ("buyer", "seller"):
        venue.deposit(name, None, 5_000 * USD)
    venue.trade("buyer", "seller", 20_000)
    where = SolventVenue(venue.rpc, venue.at, venue.account("keeper"), "WETH")
    for weth, mark, index in ((1_860, 1_950_000, 900_000), (1_800, 1_830_000, -900_000), (1_790, 2_170_000, 0)):
        venue.later(1_000, weth=weth * USD, mark=mark, index=index)
        where.refresh(block_at(venue.rpc).number)
        names = set(where.opportunities().accounts)
        ledger, now = where.mirror.head, where.mirror.block.timestamp
        exact = {str(each) for each in ledger.accounts if (found := ledger.assess(each, now)).equity < found.margin}
        assert names == exact
        assert names


def test_a_venue_whose_health_is_not_ours_is_refused(venue: Venue) -> None:
    venue.borrow("borrower 0", 10 * ETH, 15_900 * USD)
    where = SolventVenue(venue.rpc, venue.at, venue.account("keeper"), "WETH")
    where.mirror.advance()
    where.mirror.head.debt += 10**6
    with pytest.raises(SolventError, match="equity of"):
        where.refresh(block_at(venue.rpc).number)
    with pytest.raises(SolventError, match="one of WETH, WBTC"):
        SolventVenue(venue.rpc, venue.at, 0, "DOGE")
    assert quantity(0) == "0x0"
