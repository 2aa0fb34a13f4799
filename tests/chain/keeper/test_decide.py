"""Sizes, bids, exits and the ledger: each held to brute force or to its own definition."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvent.chain.keeper.amm import FEE_LEFT, FEE_ONE, Reserves
from solvent.chain.keeper.bid import ceiling_wei, first_bid, raised_bid
from solvent.chain.keeper.decide import Prices, choose
from solvent.chain.keeper.ledger import Entry, ProfitLedger
from solvent.chain.keeper.venue import Asset, Opportunities
from solvent.chain.limits import Limits, Meter
from solvent.errors import SolventError

WETH = Asset("0x" + "01" * 20, 10**18, 2_000.0)
USDC = Asset("0x" + "02" * 20, 10**6, 1.0)
PRICES = Prices(gas_price=0.0, profit_least=0.0, keep_collateral=False)


def opportunity(repay_most: float, received: float = 1.05, accounts: int = 1) -> Opportunities:
    """WETH seized for a debt in USDC, the same for each account."""
    one = np.ones(accounts)
    row = np.arange(accounts)
    return Opportunities(
        account=row,
        accounts=[f"0x{each:040x}" for each in row],
        health=0.95 * one,
        last_health=0.87 * one,
        collateral=np.zeros(accounts, np.int64),
        debt=np.ones(accounts, np.int64),
        repay_most=repay_most * one,
        received=received * one,
        gas=np.full(accounts, 500_000),
    )


@given(st.floats(1e3, 1e8), st.floats(1.01, 1.2), st.floats(1.0, 1e8))
def test_the_size_is_the_best_of_all_sizes(depth: float, received: float, most: float) -> None:
    pair = Reserves("0x", int(depth / 2_000 * 10**18), int(depth * 10**6))
    found = opportunity(most, received)
    exits = {(WETH.address, USDC.address): pair}
    choice = choose(found, [WETH, USDC], exits, {USDC.address: 10**20}, PRICES, 10**7)
    sizes = np.linspace(0.0, most, 2_001)
    sold = FEE_LEFT / FEE_ONE * received * sizes
    brute = float((depth * sold / (depth + sold) - sizes).max())
    assert choice.profit[0] >= brute - 1e-6 * max(brute, 1.0)
    assert 0.0 <= choice.repay[0] <= most


def test_without_an_exit_collateral_is_kept_only_where_allowed() -> None:
    found, funds = opportunity(1_000.0), {USDC.address: 10**12}
    assert len(choose(found, [WETH, USDC], {}, funds, PRICES, 10**7).rows) == 0
    keeping = Prices(gas_price=0.0, profit_least=0.0, keep_collateral=True)
    choice = choose(found, [WETH, USDC], {}, funds, keeping, 10**7)
    assert choice.profit[0] == pytest.approx(50.0)
    dear = Prices(gas_price=60.0 / 500_000, profit_least=0.0, keep_collateral=True)
    assert len(choose(found, [WETH, USDC], {}, funds, dear, 10**7).rows) == 0


def test_no_more_is_repaid_than_there_is_and_nobody_busy_is_touched() -> None:
    keeping = Prices(gas_price=0.0, profit_least=0.0, keep_collateral=True)
    found = opportunity(1_000.0, accounts=3)
    choice = choose(found, [WETH, USDC], {}, {USDC.address: 400 * 10**6}, keeping, 10**7, [found.accounts[1]])
    assert choice.rows.tolist() == [0, 2]
    assert choice.repay[0] == pytest.approx(400.0)


def test_a_pair_far_from_the_venues_price_is_not_believed() -> None:
    from solvent.chain.keeper.amm import Pairs

    pairs = Pairs.__new__(Pairs)
    for price, is_kept in ((2_000, True), (2_050, True), (1_950, True), (2_100, False), (1_900, False)):
        pairs.reserves = {(WETH.address, USDC.address): Reserves("0x", 10**21, 1_000 * price * 10**6)}
        assert bool(pairs.believed([WETH, USDC], 0.03)) == is_kept


def test_output_of_a_pair() -> None:
    # UniswapV2Library.getAmountOut, from the protocol's own tests: 1 of 5 into 10, 2 of 5 into 10 (1e18 units).
    ether = 10**18
    assert Reserves("0x", 5 * ether, 10 * ether).out(ether) == 1662497915624478906
    assert Reserves("0x", 10 * ether, 5 * ether).out(ether) == 453305446940074565


@given(st.floats(0.1, 1e6), st.integers(1, 10**12), st.integers(0, 10**12), st.floats(0.0, 1.0))
def test_a_bid_never_costs_more_than_the_job_brings(profit: float, base: int, tip: int, share: float) -> None:
    gas = 500_000
    ceiling = ceiling_wei(profit, 2_000.0, gas)
    fees = first_bid(ceiling, base, tip, share)
    steps = 0
    while fees is not None:
        assert fees.most * gas <= profit / 2_000.0 * 1e18 + gas
        assert fees.tip <= fees.most
        raised = raised_bid(fees, ceiling, base, tip, share)
        assert raised is None or raised.tip * 8 >= fees.tip * 9
        fees, steps = raised, steps + 1
        assert steps < 400


def entry(time_s: float, profit: float) -> Entry:
    return Entry(time_s, 1, "0x", "k", True, profit, profit, 10**15, 2.0, 100.0)


def test_the_ledger_outlives_the_process_and_so_do_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "profit.jsonl"
    first = ProfitLedger(path)
    for each in (entry(10.0, 5.0), entry(90_000.0, -7.0), entry(90_001.0, 50.0)):
        first.append(each)
    again = ProfitLedger(path)
    assert again.entries == first.entries
    assert again.net == pytest.approx(48.0 - 6.0)
    limits = Limits(chain_id=1, calls={}, gas_daily_wei=10**18, spend_daily=10**12, loss_daily=10**12, fee_most_wei=1)
    meter = Meter(limits, lambda: 90_002.0)
    again.restore(meter, lambda: 90_002.0, 10**8)
    assert (meter.gas_wei, meter.spent, meter.lost) == (2 * 10**15, 200 * 10**8, 9 * 10**8)


def test_a_broken_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "profit.jsonl"
    path.write_text('{"time_s":1}\n')
    with pytest.raises(SolventError, match="a line of this ledger"):
        ProfitLedger(path)
