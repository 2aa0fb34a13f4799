"""Clearing: collateral, cash, debt, caps, gates, operators; health to the last atom of the model."""

import boa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts import model
from tests.contracts.model import Quote
from tests.contracts.world import OK, PRICES_E6, USD, WAD, World, account_of, build, key, refused

WEIGHTS = 8_000, 8_500


def test_a_deposit_counts_and_comes_back(world: World, borrower: str) -> None:
    account = account_of(borrower)
    world.deposit(borrower, 1, 5 * WAD)
    assert world.clearing.balance_of(account, 1) == 5 * WAD == world.clearing.total(1)
    assert world.word(borrower)["assets"] == 0b10
    world.clearing.withdraw(account, 1, 5 * WAD, borrower, sender=borrower)
    assert world.tokens[1].balanceOf(borrower) == 5 * WAD
    assert world.clearing.account_word(account) == 0 == world.clearing.total(1)


def test_an_account_that_owes_nothing_needs_no_price(world: World, borrower: str) -> None:
    world.deposit(borrower, 0, WAD)
    world.deposit(borrower, None, 7 * USD)
    boa.env.time_travel(seconds=10**6)
    world.clearing.withdraw(account_of(borrower), 0, WAD, borrower, sender=borrower)
    world.clearing.withdraw_cash(account_of(borrower), 7 * USD, borrower, sender=borrower)
    assert world.settlement.balanceOf(borrower) == 7 * USD


def test_what_is_not_there_is_not_withdrawn(world: World, borrower: str) -> None:
    world.deposit(borrower, 0, WAD)
    for asset, amount in ((0, WAD + 1), (1, 1), (0, 2**200)):
        with refused():
            world.clearing.withdraw(account_of(borrower), asset, amount, borrower, sender=borrower)
    with refused():
        world.clearing.withdraw_cash(account_of(borrower), 1, borrower, sender=borrower)
    with refused("NothingOrNobody"):
        world.clearing.withdraw(account_of(borrower), 0, 0, borrower, sender=borrower)


def test_unlisted_assets_and_nothing_are_refused(world: World, borrower: str) -> None:
    for asset, amount in ((9, 1), (0, 0)):
        with refused("NotListed"):
            world.clearing.deposit(account_of(borrower), asset, amount, sender=borrower)


def test_caps_of_a_listing_hold(world: World, borrower: str, stranger: str) -> None:
    world.deposit(borrower, 0, WAD)
    for cap, units, name in ((2, 2, "AccountCap"), (3, 2, "DailyCap"), (1, 2, "TotalCap")):
        before = world.clearing.parameter(key(cap))
        world.steward.set_up(world.clearing, key(cap), units, sender=world.owner)
        with refused(name):
            world.deposit(borrower, 0, WAD + 1)
        world.steward.set_up(world.clearing, key(cap), before, sender=world.owner)
    world.steward.set_up(world.clearing, key(3), 2, sender=world.owner)
    boa.env.time_travel(seconds=86_400)
    world.deposit(stranger, 0, 2 * WAD)


def test_loans_stop_at_initial_margin(world: World, borrower: str) -> None:
    account = account_of(borrower)
    world.deposit(borrower, 0, WAD)
    with refused("BelowInitialMargin"):
        world.clearing.borrow(account, 1_600 * USD, borrower, sender=borrower)
    world.clearing.borrow(account, 1_600 * USD - 1, borrower, sender=borrower)
    assert world.settlement.balanceOf(borrower) == 1_600 * USD - 1 == world.debt(borrower)
    assert world.clearing.has_initial(account)
    with refused("BelowInitialMargin"):
        world.clearing.withdraw(account, 0, 10**10, borrower, sender=borrower)


def test_loans_and_withdrawals_stop_at_bad_prices_and_repaying_does_not(world: World, borrower: str) -> None:
    account = account_of(borrower)
    world.deposit(borrower, 0, WAD)
    world.clearing.borrow(account, 100 * USD, borrower, sender=borrower)
    boa.env.time_travel(seconds=61)
    with refused("PricesNotGood"):
        world.clearing.borrow(account, 1, borrower, sender=borrower)
    with refused("PricesNotGood"):
        world.clearing.withdraw(account, 0, 1, borrower, sender=borrower)
    world.fund(borrower, None, 110 * USD)
    world.clearing.repay(account, 2**256 - 1, sender=borrower)
    world.clearing.withdraw(account, 0, WAD, borrower, sender=borrower)
    assert world.word(borrower)["shares"] == 0


def test_the_worse_of_price_and_slow_price_gates(world: World, borrower: str) -> None:
    world.deposit(borrower, 0, WAD)
    world.move(1.2)
    with refused("BelowInitialMargin"):
        world.clearing.borrow(account_of(borrower), 1_601 * USD, borrower, sender=borrower)
    assert world.clearing.standing(account_of(borrower))[0] == 2_400 * USD


def test_confidence_is_charged_on_new_risk_only(world: World, borrower: str) -> None:
    world.deposit(borrower, 0, WAD)
    world.confidence = 100
    world.later(1)
    with refused("BelowInitialMargin"):
        world.clearing.borrow(account_of(borrower), 1_584 * USD, borrower, sender=borrower)
    world.clearing.borrow(account_of(borrower), 1_584 * USD - 1, borrower, sender=borrower)
    assert world.clearing.standing(account_of(borrower))[:2] == (416 * USD + 1, 300 * USD)


def test_cash_repays(world: World, borrower: str) -> None:
    account = account_of(borrower)
    world.deposit(borrower, 0, WAD)
    world.deposit(borrower, None, 30 * USD)
    world.clearing.borrow(account, 100 * USD, borrower, sender=borrower)
    assert world.clearing.repay_from_cash(account, 2**256 - 1, sender=borrower) == 30 * USD
    assert (world.word(borrower)["cash"], world.debt(borrower)) == (0, 70 * USD)


def test_a_stranger_may_repay_but_no_more(world: World, borrower: str, stranger: str) -> None:
    account = account_of(borrower)
    world.deposit(borrower, 0, WAD)
    world.deposit(borrower, None, USD)
    world.clearing.borrow(account, 10 * USD, borrower, sender=borrower)
    world.fund(stranger, None, 3 * USD)
    world.clearing.repay(account, 3 * USD, sender=stranger)
    calls = [
        lambda: world.clearing.deposit(account, 0, 1, sender=stranger),
        lambda: world.clearing.deposit_cash(account, 1, sender=stranger),
        lambda: world.clearing.withdraw(account, 0, 1, stranger, sender=stranger),
        lambda: world.clearing.withdraw_cash(account, 1, stranger, sender=stranger),
        lambda: world.clearing.borrow(account, 1, stranger, sender=stranger),
        lambda: world.clearing.repay_from_cash(account, 1, sender=stranger),
    ]
    for call in calls:
        with refused("NotAuthorised"):
            call()
    assert world.debt(borrower) == 7 * USD


def test_operators_act_until_they_are_dismissed(world: World, borrower: str, stranger: str) -> None:
    account = account_of(borrower, 3)
    world.deposit(borrower, 0, WAD, number=3)
    world.clearing.set_operator(stranger, 2, sender=borrower)
    world.clearing.withdraw(account, 0, WAD // 2, stranger, sender=stranger)
    world.clearing.set_operator(stranger, 1, sender=borrower)
    with refused("NotAuthorised"):
        world.clearing.withdraw(account, 0, 1, stranger, sender=stranger)
    with refused("UnsafeParameter"):
        world.clearing.set_operator(stranger, 4, sender=borrower)


def test_sub_accounts_stand_alone(world: World, borrower: str) -> None:
    world.deposit(borrower, 0, WAD, number=1)
    with refused("BelowInitialMargin"):
        world.clearing.borrow(account_of(borrower, 2), USD, borrower, sender=borrower)
    world.clearing.borrow(account_of(borrower, 1), USD, borrower, sender=borrower)


def test_what_amounts_mean_is_set_once(world: World) -> None:
    for parameter in (0, 4, 7):
        with refused("SetOnce"):
            world.steward.set_up(world.clearing, key(parameter), 5, sender=world.owner)


def test_unsafe_weights_and_rates_are_refused(world: World) -> None:
    for parameter, setting in ((5, 8_501), (6, 7_999), (6, 10_000), (8, 1_001), (9, 499)):
        with refused("UnsafeParameter"):
            world.steward.set_up(world.clearing, key(parameter), setting, sender=world.owner)
    with refused("UnsafeParameter"):
        world.steward.set_up(world.clearing, key(0, 9), int(world.settlement.address, 16), sender=world.owner)
    with refused("NoSuchParameter"):
        world.clearing.parameter(13)
    assert [world.clearing.parameter(key(field, 2)) for field in (4, 5, 6)] == [18, 8_000, 8_500]


_kept: list[tuple[boa.Env, World, str]] = []


def _own_world() -> tuple[boa.Env, World, str]:
    if not _kept:
        env = boa.Env()
        with boa.swap_env(env):
            world = build()
            _kept.append((env, world, boa.env.generate_address("borrower")))
    return _kept[0]


@given(
    amounts=st.lists(st.integers(0, 10**5 * WAD), min_size=8, max_size=8),
    cash=st.integers(0, 10**9 * USD),
    part_bps=st.integers(0, 7_999),
    factor=st.floats(0.75, 1.25),
)
@settings(max_examples=20)
def test_health_is_the_models_to_the_last_atom(amounts: list[int], cash: int, part_bps: int, factor: float) -> None:
    env, world, borrower = _own_world()
    kept = list(world.asset_prices)
    with boa.swap_env(env), env.anchor():
        for asset, amount in enumerate(amounts):
            if amount:
                world.deposit(borrower, asset, amount)
        if cash:
            world.deposit(borrower, None, cash)
        worth = sum(amount * price // WAD for amount, price in zip(amounts, PRICES_E6, strict=True))
        debt = min(worth * part_bps // 10_000, 9 * 10**6 * USD)
        if debt:
            world.clearing.borrow(account_of(borrower), debt, borrower, sender=borrower)
        world.move(factor)
        terms = [
            model.collateral(amount, Quote(price, price), WEIGHTS, 18, initial=False)
            for amount, price in zip(amounts, world.asset_prices, strict=True)
        ]
        equity = cash - world.debt(borrower) + sum(value for value, _ in terms)
        margin = sum(value - weighted for value, weighted in terms)
        assert world.clearing.standing(account_of(borrower)) == (equity, margin, OK, 0)
    world.asset_prices = kept
