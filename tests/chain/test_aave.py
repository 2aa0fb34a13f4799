"""Aave v3 from its own artifacts: our health factor equals the pool's to the last integer."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.chain.aave_market import AaveMarket
from tests.chain.nodes import Deployer, local_rpc

from solvent.chain.aave import AaveBook, AaveReader
from solvent.chain.aave_math import liquidation
from solvent.chain.local import LocalChain
from solvent.chain.rpc import Rpc, number
from solvent.liquidation.reverted import RevertedError


def market_on(rpc: Rpc, node_modules: Path) -> AaveMarket:
    """Three reserves with different decimals; account 0 lends, the others borrow."""
    market = AaveMarket(node_modules, Deployer(rpc))
    market.list("USDC", 6, 1.0, 8000, 8500, 10450)
    market.list("WETH", 18, 2000.0, 8050, 8300, 10500)
    market.list("WBTC", 8, 40_000.0, 7300, 7800, 10850)
    lender = market.deployer.sender
    for symbol, amount in (("USDC", 10_000_000.0), ("WETH", 5_000.0), ("WBTC", 300.0)):
        market.supply(lender, symbol, amount)
    return market


@pytest.fixture(scope="module")
def local(node_modules: Path) -> tuple[LocalChain, Rpc, AaveMarket]:
    chain, rpc = local_rpc()
    return chain, rpc, market_on(rpc, node_modules)


def assert_same(market: AaveMarket, users: list[str]) -> None:
    """At the head: ours against the pool's."""
    rpc = market.deployer.rpc
    reader = AaveReader(rpc, market.pool.address)
    tag = str(rpc.call("eth_blockNumber"))
    rates = reader.rates(tag)
    ours = [reader.data(each, rates) for each in reader.accounts(users, tag)]
    assert ours == reader.views(users, tag)
    assert any(each.debt_base for each in ours), "control: somebody owes something"


def test_health_equals_the_pools_on_both_nodes(node: Rpc, node_modules: Path) -> None:
    market = market_on(node, node_modules)
    first, second = [str(each) for each in node.call("eth_accounts")[1:3]]
    market.supply(first, "WETH", 3.7)
    market.borrow(first, "USDC", 4_123.456789)
    market.supply(second, "WBTC", 0.31)
    market.supply(second, "USDC", 12.5)
    market.borrow(second, "WETH", 2.2)
    market.borrow(second, "USDC", 100.0)
    node.call("evm_increaseTime", hex(40_000_000))
    market.price("WETH", 1_777.77777777)
    assert_same(market, [first, second, market.deployer.sender])


prices = st.floats(0.2, 5.0)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    borrows=st.lists(st.tuples(st.integers(0, 2), st.floats(0.01, 0.3)), min_size=1, max_size=3),
    supplies=st.lists(st.tuples(st.integers(0, 2), st.floats(0.01, 30.0)), min_size=1, max_size=3),
    moves=st.tuples(prices, prices, prices),
    wait_s=st.integers(1, 10**8),
)
def test_health_equals_the_pools_for_random_users_and_prices(
    local: tuple[LocalChain, Rpc, AaveMarket],
    borrows: list[tuple[int, float]],
    supplies: list[tuple[int, float]],
    moves: tuple[float, float, float],
    wait_s: int,
) -> None:
    chain, _, market = local
    market.deployer.mine = True
    user = chain.keys[1 + len(borrows) % 9].address
    symbols, base = ("USDC", "WETH", "WBTC"), (1.0, 2_000.0, 40_000.0)
    for symbol, price in zip(symbols, base, strict=True):
        market.price(symbol, price)
    for index, worth in supplies:
        market.supply(user, symbols[index], worth * 2_000 / base[index])
    free = market.account_data(user)[2] / 1e8
    for index, share in borrows:
        amount = free * share / base[index] * 0.9
        if amount * base[index] > 0.01:
            market.borrow(user, symbols[index], amount)
    chain.set_next_timestamp(chain.head.environment.timestamp + wait_s)
    for symbol, price, move in zip(symbols, base, moves, strict=True):
        market.price(symbol, price * move)
    assert_same(market, [user])


def test_an_e_mode_counts(node_modules: Path) -> None:
    _, rpc = local_rpc()
    market = market_on(rpc, node_modules)
    zero = "0x" + "00" * 20
    market.configurator.send("setEModeCategory", 1, 9000, 9300, 10200, zero, "coins")
    for symbol in ("WETH", "WBTC"):
        market.configurator.send("setAssetEModeCategory", market.assets[symbol].address, 1)
    user = str(rpc.call("eth_accounts")[1])
    market.supply(user, "WETH", 10.0)
    market.borrow(user, "WBTC", 0.3)
    plain = market.account_data(user)[5]
    market.pool.send("setUserEMode", 1, sender=user)
    assert market.account_data(user)[5] > plain, "control: the mode changes the figure"
    assert_same(market, [user])
    # With a price of its own, both sides are valued by it.
    special = "0x00000000000000000000000000000000000000ee"
    market.oracle.send("set", special, 3 * 10**8)
    market.configurator.send("setEModeCategory", 1, 9000, 9300, 10200, special, "coins")
    assert_same(market, [user])


def test_a_liquidation_moves_what_was_forecast(node: Rpc, node_modules: Path) -> None:
    market = market_on(node, node_modules)
    borrower, liquidator = [str(each) for each in node.call("eth_accounts")[1:3]]
    market.supply(borrower, "WETH", 10.0)
    market.borrow(borrower, "USDC", 16_000.0)
    market.price("WETH", 1_850.0)
    reader = AaveReader(node, market.pool.address)
    tag = str(node.call("eth_blockNumber"))
    account, rates = reader.accounts([borrower], tag)[0], reader.rates(tag)
    usdc, weth = (market.assets[each] for each in ("USDC", "WETH"))
    collateral, debt = reader.index(weth.address), reader.index(usdc.address)
    forecast = liquidation(reader.reserves, rates, account, collateral, debt, 5_000_000_000, reader.revision).seizure
    usdc.send("mint", liquidator, 5_000_000_000)
    usdc.send("approve", market.pool.address, 5_000_000_000, sender=liquidator)
    market.pool.send("liquidationCall", weth.address, usdc.address, borrower, 5_000_000_000, False, sender=liquidator)
    assert usdc.view("balanceOf", liquidator) == 5_000_000_000 - forecast.debt_repaid
    assert abs(weth.view("balanceOf", liquidator) - forecast.collateral_to_liquidator) <= 10**18 // 10**14


def test_a_healthy_account_is_not_forecast(local: tuple[LocalChain, Rpc, AaveMarket]) -> None:
    chain, rpc, market = local
    for symbol, price in (("USDC", 1.0), ("WETH", 2_000.0), ("WBTC", 40_000.0)):
        market.price(symbol, price)
    user = chain.keys[9].address
    market.supply(user, "WETH", 50.0)
    market.borrow(user, "USDC", 10.0)
    reader = AaveReader(rpc, market.pool.address)
    tag = str(rpc.call("eth_blockNumber"))
    account = reader.accounts([user], tag)[0]
    with pytest.raises(RevertedError, match="HealthFactorNotBelowThreshold"):
        liquidation(reader.reserves, reader.rates(tag), account, 1, 0, None, reader.revision)


def test_the_book_follows_events_and_reorgs(node_modules: Path) -> None:
    chain, rpc = local_rpc()
    market = market_on(rpc, node_modules)
    reader = AaveReader(rpc, market.pool.address)
    book = AaveBook(reader)
    book.advance(chain.head.number)
    assert book.accounts == {}
    user = chain.keys[1].address
    market.supply(user, "WETH", 10.0)
    market.borrow(user, "USDC", 1_000.0)
    head = chain.head.number
    assert book.advance(head) == {user.lower()}
    assert book.accounts[user.lower()].borrowed
    assert book.advance(head) == set(), "nothing twice"
    chain.reorg(1, keep=False)
    book.advance(chain.head.number)
    assert book.accounts == {}
    assert book.reorgs == 1
    assert number(rpc.call("eth_blockNumber")) == head
