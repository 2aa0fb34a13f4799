"""Tokens that misbehave are refused, or nobody but who chose them is the worse for it; liquidations need no token."""

from collections.abc import Callable
from typing import Any

import boa
import pytest
from boa.contracts.vyper.vyper_contract import VyperContract
from tests.contracts.world import (
    AUCTION_TERMS,
    GUARDS,
    POOL_TERMS,
    USD,
    WAD,
    World,
    account_of,
    contract,
    key,
    mock,
    refused,
)

NOTHING, SAYS_NO, KEEPS_FEE, TAKES_MORE, PAUSED, REENTERS = (1 << bit for bit in range(6))
ASSET = 8
"""Where the hostile token is listed, in a pair of its own."""
PRICE_E6 = 100 * USD
LATER = 2**255


def listed(world: World, decimals: int) -> VyperContract:
    """A hostile token of so many decimals, worth 100 USD a whole one."""
    token = mock("Hostile", decimals)
    settings = {4: decimals, 0: int(token.address, 16), 1: 10**6, 2: 10**5, 3: 10**6, 6: 8_500, 5: 8_000}
    for parameter, setting in settings.items():
        world.steward.set_up(world.clearing, key(parameter, ASSET), setting, sender=world.owner)
    world.tokens.append(token)
    price(world, PRICE_E6)
    return token


def price(world: World, price_e6: int) -> None:
    boa.env.time_travel(seconds=1)
    now = boa.env.timestamp
    updates = [*world.updates(), ASSET // 2 | price_e6 << 8]
    world.prices.push(now, updates, world.signatures(now, updates))


@pytest.fixture
def hostile(world: World) -> Any:
    tokens = list(world.tokens)
    yield listed(world, 18)
    world.tokens[:] = tokens


def held_is_owed(world: World, token: VyperContract) -> bool:
    return bool(token.balanceOf(world.clearing) >= world.clearing.total(ASSET))


def indebted(world: World, who: str, liquidator: str) -> int:
    """100 hostile tokens, a loan of 7,900 USD, a liquidator with cash, and a price that fell by 8 %."""
    world.deposit(who, ASSET, 100 * WAD)
    world.clearing.borrow(account_of(who), 7_900 * USD, who, sender=who)
    world.deposit(liquidator, None, 10**6 * USD)
    price(world, PRICE_E6 * 92 // 100)
    return account_of(who)


@pytest.mark.parametrize("decimals", [0, 6, 18, 24, 27])
def test_tokens_of_any_decimals_are_worth_what_they_are(
    world: World, borrower: str, stranger: str, decimals: int
) -> None:
    tokens = list(world.tokens)
    token = listed(world, decimals)
    world.deposit(borrower, ASSET, 3 * 10**decimals)
    assert world.clearing.standing(account_of(borrower)) == (300 * USD, 45 * USD, 0, 0)
    world.clearing.withdraw(account_of(borrower), ASSET, 10**decimals, stranger, sender=borrower)
    assert token.balanceOf(stranger) == 10**decimals
    world.tokens[:] = tokens


@pytest.mark.parametrize("decimals", [28, 77, 255])
def test_units_that_leave_no_room_for_amounts_are_refused(world: World, decimals: int) -> None:
    with refused("UnsafeParameter"):
        world.steward.set_up(world.clearing, key(4, ASSET), decimals, sender=world.owner)


def test_a_unit_of_no_decimals_is_set_once_too(world: World) -> None:
    tokens = list(world.tokens)
    listed(world, 0)
    with refused("SetOnce"):
        world.steward.set_up(world.clearing, key(4, ASSET), 18, sender=world.owner)
    world.tokens[:] = tokens


@pytest.mark.parametrize("decimals", [0, 5, 19, 24])
def test_settlement_assets_of_other_decimals_are_refused(world: World, decimals: int) -> None:
    with refused("UnsafeParameter"):
        contract("Pool", mock("Hostile", decimals), world.steward, POOL_TERMS)


def test_a_token_that_answers_nothing_works(world: World, hostile: VyperContract, borrower: str) -> None:
    hostile.set_vices(NOTHING)
    world.deposit(borrower, ASSET, WAD)
    world.clearing.withdraw(account_of(borrower), ASSET, WAD, borrower, sender=borrower)
    assert hostile.balanceOf(borrower) == WAD


@pytest.mark.parametrize(("vice", "name"), [(SAYS_NO, "TransferFailed"), (KEEPS_FEE, "MoneyMissing"), (PAUSED, None)])
def test_a_deposit_that_does_not_arrive_whole_is_refused(
    world: World, hostile: VyperContract, borrower: str, vice: int, name: str | None
) -> None:
    world.fund(borrower, ASSET, WAD)
    hostile.set_vices(vice)
    with refused(name):
        world.clearing.deposit(account_of(borrower), ASSET, WAD, sender=borrower)
    assert world.clearing.total(ASSET) == 0


@pytest.mark.parametrize(("vice", "name"), [(SAYS_NO, "TransferFailed"), (TAKES_MORE, "MoneyMissing"), (PAUSED, None)])
def test_a_withdrawal_that_would_cost_others_is_refused_and_changes_nothing(
    world: World, hostile: VyperContract, borrower: str, stranger: str, vice: int, name: str | None
) -> None:
    world.deposit(borrower, ASSET, WAD)
    world.deposit(stranger, ASSET, 9 * WAD)
    hostile.set_vices(vice)
    with refused(name):
        world.clearing.withdraw(account_of(borrower), ASSET, WAD, borrower, sender=borrower)
    assert world.clearing.balance_of(account_of(borrower), ASSET) == WAD
    assert held_is_owed(world, hostile)


def test_a_blocked_owner_withdraws_to_another_address(
    world: World, hostile: VyperContract, borrower: str, stranger: str
) -> None:
    world.deposit(borrower, ASSET, WAD)
    hostile.block_address(borrower)
    with refused():
        world.clearing.withdraw(account_of(borrower), ASSET, WAD, borrower, sender=borrower)
    world.clearing.withdraw(account_of(borrower), ASSET, WAD, stranger, sender=borrower)
    assert hostile.balanceOf(stranger) == WAD


def test_a_token_that_rebases_down_takes_no_more_deposits_and_touches_no_other(
    world: World, hostile: VyperContract, borrower: str, stranger: str
) -> None:
    world.deposit(borrower, ASSET, 10 * WAD)
    world.deposit(borrower, 0, WAD)
    hostile.rebase(9_000)
    world.fund(stranger, ASSET, 10 * WAD)
    with refused("MoneyMissing"):
        world.clearing.deposit(account_of(stranger), ASSET, WAD // 10, sender=stranger)
    world.clearing.withdraw(account_of(borrower), ASSET, 9 * WAD, borrower, sender=borrower)
    world.clearing.withdraw(account_of(borrower), 0, WAD, borrower, sender=borrower)
    with refused():
        world.clearing.withdraw(account_of(borrower), ASSET, WAD, borrower, sender=borrower)


def test_a_token_that_rebases_up_and_donations_give_nobody_anything(
    world: World, hostile: VyperContract, borrower: str
) -> None:
    world.deposit(borrower, ASSET, 10 * WAD)
    before = world.clearing.standing(account_of(borrower)), world.pool.totalAssets(), world.pool.state()
    hostile.rebase(11_000)
    hostile.mint(world.clearing, 5 * WAD)
    world.settlement.mint(world.pool, 10**6 * USD)
    world.settlement.mint(world.clearing, 10**6 * USD)
    assert (world.clearing.standing(account_of(borrower)), world.pool.totalAssets(), world.pool.state()) == before
    with refused():
        world.clearing.withdraw(account_of(borrower), ASSET, 10 * WAD + 1, borrower, sender=borrower)


@pytest.mark.parametrize("vice", [SAYS_NO, PAUSED, TAKES_MORE, KEEPS_FEE])
def test_no_liquidation_needs_a_token_to_move(
    world: World, hostile: VyperContract, borrower: str, liquidator: str, vice: int
) -> None:
    number = indebted(world, borrower, liquidator)
    hostile.set_vices(vice)
    for who in (borrower, liquidator, world.clearing.address):
        hostile.block_address(who)
    cash = world.word(borrower)["cash"]
    fraction, paid, _ = world.auction.bid(number, account_of(liquidator), WAD, LATER, 0, LATER, sender=liquidator)
    assert 0 < fraction < WAD
    # What the debtor is owed is credited, for him to take.
    assert world.word(borrower)["cash"] == cash + paid - paid * AUCTION_TERMS[3] // 10_000 > cash
    assert world.clearing.balance_of(account_of(liquidator), ASSET) == 100 * WAD * fraction // WAD


def test_a_token_that_calls_back_gets_nowhere(
    world: World, hostile: VyperContract, borrower: str, stranger: str
) -> None:
    world.deposit(borrower, ASSET, 10 * WAD)
    world.deposit(stranger, ASSET, 10 * WAD)
    world.clearing.set_operator(hostile, 3, sender=borrower)
    clearing, account = world.clearing, account_of(borrower)
    calls: list[tuple[VyperContract, Callable[..., bytes], tuple[Any, ...]]] = [
        (clearing, clearing.withdraw.prepare_calldata, (account, ASSET, WAD, stranger)),
        (clearing, clearing.borrow.prepare_calldata, (account, USD, stranger)),
        (clearing, clearing.deposit.prepare_calldata, (account, ASSET, 1)),
        (clearing, clearing.withdraw_cash.prepare_calldata, (account, 0, stranger)),
        (clearing, clearing.standing.prepare_calldata, (account,)),
        (clearing, clearing.sweep_insurance.prepare_calldata, ()),
        (world.auction, world.auction.start.prepare_calldata, (account,)),
        (world.auction, world.auction.offer.prepare_calldata, (account,)),
        (world.pool, world.pool.lend.prepare_calldata, (USD, stranger)),
    ]
    hostile.set_vices(REENTERS)
    for target, prepared, args in calls:
        hostile.set_call(target, prepared(*args))
        clearing.withdraw(account, ASSET, WAD // 10, borrower, sender=borrower)
        assert not hostile.entered()
    # The control: a call that is no entry goes through.
    hostile.set_call(clearing, clearing.account_word.prepare_calldata(account))
    clearing.withdraw(account, ASSET, WAD // 10, borrower, sender=borrower)
    assert hostile.entered()
    assert held_is_owed(world, hostile)


@pytest.fixture
def hostile_pool(world: World) -> tuple[VyperContract, VyperContract]:
    """A pool of its own, of a hostile settlement asset, with 100 lent by a lender."""
    token = mock("Hostile", 6)
    prices = contract("Prices", world.steward, [signer.address for signer in world.signers], 2, GUARDS)
    pool = contract("Pool", token, world.steward, POOL_TERMS)
    clearing = contract("Clearing", world.steward, pool, prices)
    pool.wire(clearing)
    token.mint(world.lender, 200 * USD)
    token.approve(pool, 200 * USD, sender=world.lender)
    token.approve(clearing, 200 * USD, sender=world.lender)
    pool.deposit(100 * USD, world.lender, sender=world.lender)
    return token, pool


@pytest.mark.parametrize(
    ("vice", "into", "out"),
    [
        (SAYS_NO, "TransferFailed", "TransferFailed"),
        (KEEPS_FEE, "MoneyMissing", None),
        (TAKES_MORE, None, "MoneyMissing"),
        (NOTHING, None, None),
    ],
)
def test_a_settlement_asset_that_misbehaves_never_leaves_the_pool_short(
    world: World, hostile_pool: Any, vice: int, into: str | None, out: str | None
) -> None:
    token, pool = hostile_pool
    token.set_vices(vice)
    for name, call in (
        (into, lambda: pool.deposit(10 * USD, world.lender, sender=world.lender)),
        (out, lambda: pool.withdraw(10 * USD, world.lender, world.lender, sender=world.lender)),
    ):
        if name is None:
            call()
        else:
            with refused(name):
                call()
        _, _, idle, insurance, _ = pool.state()
        assert token.balanceOf(pool) >= idle + insurance + pool.custody()


def test_a_settlement_asset_that_calls_back_gets_nowhere(world: World, hostile_pool: Any) -> None:
    token, pool = hostile_pool
    token.set_vices(REENTERS)
    pool.approve(token, 2**255, sender=world.lender)
    for payload in (
        pool.redeem.prepare_calldata(USD, token.address, world.lender),
        pool.deposit.prepare_calldata(1, token.address),
        pool.insure.prepare_calldata(0),
    ):
        token.set_call(pool, payload)
        pool.withdraw(USD, world.lender, world.lender, sender=world.lender)
        assert not token.entered()
