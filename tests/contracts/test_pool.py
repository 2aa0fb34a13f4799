"""Pool: shares, interest, caps, insurance; what comes in is what is there."""

import boa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts.world import POOL_TERMS, USD, WAD, World, account_of, refused

YEAR_S = 31_536_000


def lent(world: World, borrower: str, amount: int) -> None:
    world.deposit(borrower, 0, 10_000 * WAD)
    world.clearing.borrow(account_of(borrower), amount, borrower, sender=borrower)


def test_a_deposit_comes_back_whole_and_never_more(world: World) -> None:
    lender = world.lender
    before = world.settlement.balanceOf(lender)
    world.settlement.mint(lender, 1_234_567)
    world.settlement.approve(world.pool, 1_234_567, sender=lender)
    shares = world.pool.deposit(1_234_567, lender, sender=lender)
    assert world.pool.redeem(shares, lender, lender, sender=lender) == 1_234_567
    assert world.settlement.balanceOf(lender) == before + 1_234_567


@given(assets=st.integers(1, 10**13), shares=st.integers(1, 10**19))
@settings(max_examples=25)
def test_previews_round_against_the_caller(assets: int, shares: int) -> None:
    """Without hands on the state: the world of this property is built once."""
    world = _own_world()
    with boa.swap_env(world[0]):
        pool = world[1].pool
        assert pool.previewDeposit(assets) <= pool.previewWithdraw(assets)
        assert pool.previewRedeem(shares) <= pool.previewMint(shares)
        assert pool.convertToAssets(pool.convertToShares(assets)) <= assets


_kept: list[tuple[boa.Env, World]] = []


def _own_world() -> tuple[boa.Env, World]:
    from tests.contracts.world import build

    if not _kept:
        env = boa.Env()
        with boa.swap_env(env):
            world = build()
            lent(world, boa.env.generate_address("borrower"), 7_777_777_777)
            boa.env.time_travel(seconds=1_234_567)
        _kept.append((env, world))
    return _kept[0]


def test_interest_accrues_on_the_kinked_rate(world: World, borrower: str) -> None:
    lent(world, borrower, 8 * 10**6 * USD)
    debt, _, idle, _, rate = world.pool.state()
    assert (debt, idle, rate) == (8 * 10**6 * USD, 2 * 10**6 * USD, POOL_TERMS[0] + POOL_TERMS[1])
    boa.env.time_travel(seconds=YEAR_S // 10)
    interest = -(-debt * rate * (YEAR_S // 10) // (10_000 * YEAR_S))
    assert world.debt(borrower) == debt + interest
    assert world.pool.totalAssets() == debt + idle + interest - interest * POOL_TERMS[4] // 10_000


def test_beyond_the_kink_the_rate_rises_fast(world: World, borrower: str) -> None:
    lent(world, borrower, 9 * 10**6 * USD)
    assert world.pool.state()[4] == 100 + 400 + 3_000


def test_the_reserve_goes_to_insurance(world: World, borrower: str) -> None:
    lent(world, borrower, 5 * 10**6 * USD)
    boa.env.time_travel(seconds=YEAR_S)
    world.later(1)
    world.settlement.mint(borrower, 10**6 * USD)
    world.settlement.approve(world.clearing, 10**6 * USD, sender=borrower)
    interest = world.debt(borrower) - 5 * 10**6 * USD
    world.clearing.repay(account_of(borrower), 10**5 * USD, sender=borrower)
    assert world.pool.state()[3] == interest // 10


def test_lenders_take_out_only_what_is_idle(world: World, borrower: str) -> None:
    lent(world, borrower, 8 * 10**6 * USD)
    assert world.pool.maxWithdraw(world.lender) == 2 * 10**6 * USD
    with refused("NotEnoughIdle"):
        world.pool.withdraw(2 * 10**6 * USD + 1, world.lender, world.lender, sender=world.lender)
    world.pool.withdraw(2 * 10**6 * USD, world.lender, world.lender, sender=world.lender)


def test_caps_hold(world: World, borrower: str) -> None:
    for parameter, cap in ((5, 10**6 * USD), (6, 10**7 * USD)):
        world.steward.set_up(world.pool, parameter, cap, sender=world.owner)
    world.settlement.mint(world.lender, 1)
    world.settlement.approve(world.pool, 1, sender=world.lender)
    with refused("SupplyCap"):
        world.pool.deposit(1, world.lender, sender=world.lender)
    assert world.pool.maxDeposit(world.lender) == 0 == world.pool.maxMint(world.lender)
    with refused("BorrowCap"):
        lent(world, borrower, 10**6 * USD + 1)


def test_a_donation_changes_nothing(world: World, stranger: str) -> None:
    before = world.pool.totalAssets(), world.pool.convertToAssets(10**12)
    world.settlement.mint(world.pool, 10**12)
    assert (world.pool.totalAssets(), world.pool.convertToAssets(10**12)) == before


def test_shares_are_a_token(world: World, stranger: str) -> None:
    lender = world.lender
    world.pool.transfer(stranger, 5, sender=lender)
    world.pool.approve(stranger, 7, sender=lender)
    world.pool.transferFrom(lender, stranger, 7, sender=stranger)
    assert world.pool.balanceOf(stranger) == 12
    assert world.pool.allowance(lender, stranger) == 0
    for call in (
        lambda: world.pool.transferFrom(lender, stranger, 1, sender=stranger),
        lambda: world.pool.transfer(lender, 13, sender=stranger),
        lambda: world.pool.withdraw(1, stranger, lender, sender=stranger),
    ):
        with refused():
            call()
    with refused("NoReceiver"):
        world.pool.transfer("0x" + "00" * 20, 1, sender=stranger)


def test_minting_costs_what_its_preview_says(world: World) -> None:
    cost = world.pool.previewMint(10**12 + 1)
    world.settlement.mint(world.lender, cost)
    world.settlement.approve(world.pool, cost, sender=world.lender)
    assert world.pool.mint(10**12 + 1, world.lender, sender=world.lender) == cost
    assert world.settlement.balanceOf(world.lender) == 0


def test_anyone_may_insure_and_nobody_takes_it_out(world: World, stranger: str) -> None:
    world.settlement.mint(stranger, 50 * USD)
    world.settlement.approve(world.pool, 50 * USD, sender=stranger)
    before = world.pool.totalAssets()
    world.pool.insure(50 * USD, sender=stranger)
    assert world.pool.state()[3] == 50 * USD
    assert world.pool.totalAssets() == before


def test_unsafe_parameters_are_refused(world: World) -> None:
    for parameter, setting in ((3, 0), (3, 10_000), (4, 10_001)):
        with refused("UnsafeParameter"):
            world.steward.set_up(world.pool, parameter, setting, sender=world.owner)
    with refused("NoSuchParameter"):
        world.pool.parameter(7)
    assert [world.pool.parameter(i) for i in range(7)] == POOL_TERMS
