"""A thousand steps of dust, back and forth, give nobody anything: each rounding is against who asks."""

from collections.abc import Callable
from typing import Any

import boa
import pytest
from eth_account.signers.local import LocalAccount
from tests.contracts.world import MARK, USD, WAD, World, account_of

STEPS = 1_000


def aged(world: World, who: str) -> int:
    """An account with collateral and debt, in a pool whose shares and debts are no round numbers."""
    world.deposit(who, 0, 1_000 * WAD)
    world.clearing.borrow(account_of(who), 333_333_333_337, who, sender=who)
    world.later(123_456_789)
    world.later(1)
    world.fund(who, None, 10**6 * USD)
    return account_of(who)


def wealth(world: World, who: str) -> int:
    """All that an owner has, in atoms: wallet, account, and shares of the pool, rounded up."""
    equity = world.clearing.standing(account_of(who))[0]
    pool = world.pool
    shares = pool.balanceOf(who)
    return int(
        world.settlement.balanceOf(who) + equity + -(-shares * (pool.totalAssets() + 1) // (pool.totalSupply() + 10**6))
    )


def steps(world: World, who: str, number: int, kind: str) -> list[Callable[[], Any]]:
    """What is done over and over."""
    clearing, pool = world.clearing, world.pool
    kinds: dict[str, list[Callable[[], Any]]] = {
        "loans": [
            lambda: clearing.borrow(number, 1, who, sender=who),
            lambda: clearing.repay(number, 1, sender=who),
        ],
        "loans repaid in parts": [
            lambda: clearing.borrow(number, 3, who, sender=who),
            lambda: clearing.repay(number, 2, sender=who),
            lambda: clearing.repay(number, 1, sender=who),
        ],
        "shares": [
            lambda: pool.deposit(7, who, sender=who),
            lambda: pool.withdraw(6, who, who, sender=who),
        ],
        "minted shares": [
            lambda: pool.mint(3_000_001, who, sender=who),
            lambda: pool.redeem(3_000_001, who, who, sender=who),
        ],
        "collateral": [
            lambda: clearing.deposit(number, 0, 1, sender=who),
            lambda: clearing.withdraw(number, 0, 1, who, sender=who),
        ],
    }
    return kinds[kind]


@pytest.mark.parametrize("kind", ["loans", "loans repaid in parts", "shares", "minted shares", "collateral"])
def test_a_thousand_steps_of_dust_give_nothing(world: World, borrower: str, kind: str) -> None:
    number = aged(world, borrower)
    assert world.pool.debt_of(10**6) > 10**6
    world.settlement.approve(world.pool, 10**6 * USD, sender=borrower)
    world.fund(borrower, 0, STEPS)
    before, lenders, others = wealth(world, borrower), world.pool.totalAssets(), world.pool.convertToAssets(10**18)
    done = steps(world, borrower, number, kind)
    for step in range(STEPS):
        done[step % len(done)]()
    assert wealth(world, borrower) <= before
    assert world.pool.convertToAssets(10**18) >= others
    assert kind in ("shares", "minted shares") or world.pool.totalAssets() >= lenders
    _, _, idle, insurance, _ = world.pool.state()
    assert world.settlement.balanceOf(world.pool) == idle + insurance + world.pool.custody()


def test_a_thousand_slices_of_dust_lower_no_health_and_make_no_money(
    world: World, borrower: str, liquidator: str
) -> None:
    """With no least size of a bid: what the debtor loses by a slice is never more than the slice and its discount."""
    world.steward.set_up(world.auction, 9, 0, sender=world.owner)
    number = account_of(borrower)
    world.deposit(borrower, 0, 100 * WAD)
    world.clearing.borrow(number, 158_000 * USD, borrower, sender=borrower)
    world.deposit(liquidator, None, 10**6 * USD)
    world.move(0.9)
    for _ in range(STEPS // 10):
        equity, margin, _, _ = world.clearing.standing(number)
        world.auction.bid(number, account_of(liquidator), 10**9, 2**255, 0, boa.env.timestamp, sender=liquidator)
        after, required, _, _ = world.clearing.standing(number)
        assert (after + 2) * margin >= equity * required
        assert after >= equity - equity * 10**9 // WAD - 2


def test_a_thousand_small_fills_and_settlements_give_nothing(
    world: World, buyer: LocalAccount, seller: LocalAccount
) -> None:
    """Funding that is no whole number is paid in small steps: what both have together never grows."""
    for trader in (buyer, seller):
        world.deposit(trader.address, None, 1_000 * USD)
    world.fill(buyer, seller, 333)
    numbers = [account_of(trader.address) for trader in (buyer, seller)]
    for step in range(STEPS // 10):
        world.funding_index += (-1) ** step * (step * 7_919 % 1_000 + 1)
        world.mark = MARK + step % 7 - 3
        world.later(1)
        for number in numbers:
            if world.clearing.position_word(number, 0):
                world.clearing.settle(number, 0)
        total = sum(world.clearing.standing(number)[0] for number in numbers)
        assert total <= 2_000 * USD
    assert world.clearing.market_state(0)[2] >= 0
