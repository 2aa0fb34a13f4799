"""A state machine that calls the contracts and their twin together: same verdicts, same state, and the laws hold."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache
from typing import Any, ClassVar

import boa
from boa.environment import Env
from eth_account.signers.local import LocalAccount
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.contracts.conftest import role
from tests.contracts.twin import Account, Market, Pool, Refused, Twin
from tests.contracts.world import (
    AUCTION_TERMS,
    GUARDS,
    MARK,
    POOL_TERMS,
    PRICES_E6,
    USD,
    WAD,
    World,
    build,
    key,
    refused,
)

OWNERS = ("borrower", "buyer", "seller", "liquidator")
LATER = 2**255
ASSETS = (0, 1, 2)
MARKETS = (0, 1)
MARKS = (MARK, 3_000)
COARSE = {7: 10_000, 9: 2_000, 8: 1_000, 10: 300, 11: 50, 12: 10**9}
"""A second market, of lots that are worth 30 USD."""
LOTS_MOST = (20_000, 1_000)

accounts = st.integers(0, len(OWNERS))
parts = st.one_of(st.sampled_from([0.1, 0.5, 0.98, 1.0, 1.01]), st.floats(0.001, 1.1))
"""Of what an account could do; above 1 it must be refused."""
usd = st.one_of(st.sampled_from([1, 1_000 * USD, 20_000 * USD]), st.integers(1, 50_000 * USD))
moves = st.one_of(st.sampled_from([0.75, 0.9, 0.97, 1.0, 1.03, 1.2]), st.floats(0.7, 1.3))
seconds = st.sampled_from([1, 12, 12, 50, 600, 1_800, 14_401, 45_000])
slices = st.one_of(st.just(WAD), st.integers(WAD // 100, WAD))


@lru_cache
def deployed() -> tuple[Env, World]:
    """One deployment a process, with a second market."""
    env = Env()
    with boa.swap_env(env):
        world = build()
        for parameter, setting in COARSE.items():
            world.steward.set_up(world.clearing, key(parameter, 1), setting, sender=world.owner)
    return env, world


class Contracts(RuleBasedStateMachine):
    """Four owners, one with two accounts, three collaterals, two markets, and lenders."""

    reached: ClassVar[Counter[str]] = Counter()
    """How often each call passed and each was refused, over all runs of this process."""

    def __init__(self) -> None:
        super().__init__()
        self.env, self.world = deployed()
        self.stack = ExitStack()
        self.stack.enter_context(boa.swap_env(self.env))
        self.stack.callback(setattr, self.env.evm.patch, "timestamp", self.env.evm.patch.timestamp)
        self.stack.enter_context(self.env.anchor())
        self.owners: list[LocalAccount] = [role(name) for name in OWNERS]
        self.numbers = [int(owner.address, 16) * 256 for owner in self.owners]
        self.numbers.append(self.numbers[0] + 1)
        self.prices = [PRICES_E6[asset] for asset in ASSETS]
        self.marks, self.indices, self.confidence = list(MARKS), [0, 0], 0
        self.nonce = 0
        pool = Pool(POOL_TERMS, boa.env.timestamp, rate_bps=POOL_TERMS[0], accrued_at=boa.env.timestamp)
        pool.idle = 10**7 * USD
        pool.supply = self.world.pool.totalSupply()
        markets = {0: Market(1, (1_000, 500), 300, 50), 1: Market(10_000, (2_000, 1_000), 300, 50)}
        self.twin = Twin(pool, GUARDS, AUCTION_TERMS, (8_000, 8_500), markets)
        self.twin.accounts = {number: Account() for number in self.numbers}
        first = boa.env.timestamp
        self.twin.at(first)
        self.twin.push(dict(enumerate(self.prices)), {0: (MARK, 0)}, 0)

    def teardown(self) -> None:
        self.stack.close()

    # How a step is made

    def owner_of(self, number: int) -> str:
        return str(self.owners[self.numbers.index(number) % len(OWNERS)].address)

    def both(self, contract: Callable[[], Any], twin: Callable[[], Any], name: str) -> Any:
        """Call both; they agree on the verdict, and healthy accounts stay healthy. What the twin answers, or None."""
        before = {number: self.twin.standing(number) for number in self.numbers}
        try:
            with self.twin.attempt():
                answer = twin()
        except Refused as reason:
            self.reached[f"{name} refused: {reason}"] += 1
            with refused():
                contract()
            return None
        contract()
        self.reached[name] += 1
        cuts = answer if name == "share_market_loss" else {}
        for number, (equity, margin, *_) in before.items():
            after, required, *_ = self.twin.standing(number)
            if equity >= margin:
                assert after + cuts.get(number, 0) >= required, f"{name} left a healthy account unhealthy"
        return answer if answer is not None else True

    def push(self) -> None:
        """Sign and push everything at the block's time."""
        words = []
        for pair in range(2):
            halves = [price | self.confidence << 48 for price in (*self.prices, PRICES_E6[3])[2 * pair : 2 * pair + 2]]
            words.append(pair | halves[0] << 8 | halves[1] << 68)
        for market in MARKETS:
            mark, index = self.marks[market], self.indices[market] % 2**96
            words.append(128 + market | mark << 8 | self.confidence << 56 | index << 68)
        now = boa.env.timestamp
        self.world.prices.push(now, words, self.world.signatures(now, words))
        self.twin.at(now)
        marks = {market: (self.marks[market], self.indices[market]) for market in MARKETS}
        self.twin.push(dict(enumerate(self.prices)), marks, self.confidence)

    def travel(self, elapsed: int) -> None:
        boa.env.time_travel(seconds=elapsed)
        self.twin.at(boa.env.timestamp)

    # Prices and time: the only steps that may hurt anybody

    @initialize(
        asset=st.sampled_from(ASSETS),
        part=st.floats(0.5, 1.0),
        market=st.sampled_from(MARKETS),
        lots=st.floats(0.05, 1),
    )
    def open_markets(self, asset: int, part: float, market: int, lots: float) -> None:
        """A book to begin with: loans, a position, and a liquidator who can pay."""
        self.travel(1)
        self.push()
        for at in (0, 1, 4):
            self.deposit(at, asset, 20_000 * USD)
            self.borrow(at, part)
        for at, worth in ((1, 5_000), (2, 10_000), (3, 10**6)):
            self.deposit(at, None, worth * USD)
        self._fill(1, 2, market, int(LOTS_MOST[market] * lots), 0, 0)

    @rule(elapsed=seconds, asset=st.sampled_from(ASSETS), factor=moves, confidence=st.sampled_from([0, 0, 0, 50, 300]))
    def move_price(self, elapsed: int, asset: int, factor: float, confidence: int) -> None:
        self.travel(elapsed)
        self.prices[asset] = min(max(int(self.prices[asset] * factor), 1), 2**40)
        self.confidence = confidence
        self.push()

    @rule(elapsed=seconds, market=st.sampled_from(MARKETS), factor=moves, funding=st.integers(-100, 100))
    def move_mark(self, elapsed: int, market: int, factor: float, funding: int) -> None:
        self.travel(elapsed)
        mark = min(max(int(self.marks[market] * factor), 100), 2**40)
        self.marks[market] = mark
        # Toward zero: a step that is rounded up is above the limit.
        step = mark * 10**6 * abs(funding) * min(elapsed, 3_600) // (10_000 * 3_600)
        self.indices[market] += step if funding > 0 else -step
        self.confidence = 0
        self.push()

    @rule(elapsed=seconds, is_pushed=st.booleans())
    def wait(self, elapsed: int, is_pushed: bool) -> None:
        """Prices grow old, or are pushed again."""
        self.travel(elapsed)
        if is_pushed:
            self.push()

    # Accounts

    @rule(at=accounts, asset=st.sampled_from([None, *ASSETS]), worth=usd)
    def deposit(self, at: int, asset: int | None, worth: int) -> None:
        """Collateral of so much worth, or cash."""
        number, who = self.numbers[at], self.owner_of(self.numbers[at])
        amount = worth if asset is None else worth * WAD // self.prices[asset]
        self.world.fund(who, asset, amount)
        if asset is None:
            self.both(
                lambda: self.world.clearing.deposit_cash(number, amount, sender=who),
                lambda: self.twin.deposit_cash(number, amount),
                "deposit_cash",
            )
        else:
            self.both(
                lambda: self.world.clearing.deposit(number, asset, amount, sender=who),
                lambda: self.twin.deposit(number, asset, amount),
                "deposit",
            )

    @rule(at=accounts, asset=st.sampled_from([None, *ASSETS]), part=parts)
    def withdraw(self, at: int, asset: int | None, part: float) -> None:
        number, who = self.numbers[at], self.owner_of(self.numbers[at])
        account = self.twin.accounts[number]
        amount = int((account.cash if asset is None else account.balances.get(asset, 0)) * part)
        if asset is None:
            self.both(
                lambda: self.world.clearing.withdraw_cash(number, amount, who, sender=who),
                lambda: self.twin.withdraw_cash(number, amount),
                "withdraw_cash",
            )
        elif amount:
            self.both(
                lambda: self.world.clearing.withdraw(number, asset, amount, who, sender=who),
                lambda: self.twin.withdraw(number, asset, amount),
                "withdraw",
            )

    @rule(at=accounts, part=parts)
    def borrow(self, at: int, part: float) -> None:
        number, who = self.numbers[at], self.owner_of(self.numbers[at])
        amount = int(self.twin.spare_initial(self.twin.accounts[number], 1) * part)
        if amount > 0:
            self.both(
                lambda: self.world.clearing.borrow(number, amount, who, sender=who),
                lambda: self.twin.borrow(number, amount),
                "borrow",
            )

    @rule(at=accounts, part=parts, from_cash=st.booleans())
    def repay(self, at: int, part: float, from_cash: bool) -> None:
        number, who = self.numbers[at], self.owner_of(self.numbers[at])
        amount = int(self.twin.pool.owed(self.twin.accounts[number].shares) * part)
        if from_cash:
            self.both(
                lambda: self.world.clearing.repay_from_cash(number, amount, sender=who),
                lambda: self.twin.repay_from_cash(number, amount),
                "repay_from_cash",
            )
        elif amount:
            self.world.fund(self.world.owner, None, amount)
            self.both(
                lambda: self.world.clearing.repay(number, amount, sender=self.world.owner),
                lambda: self.twin.repay(number, amount),
                "repay",
            )

    # Positions

    @rule(
        buy=accounts,
        sell=accounts,
        market=st.sampled_from(MARKETS),
        part=st.floats(0.0001, 1.0),
        off_bps=st.one_of(st.just(0), st.integers(-310, 310)),
        fee_bps=st.sampled_from([0, 0, 7, 51]),
    )
    def fill(self, buy: int, sell: int, market: int, part: float, off_bps: int, fee_bps: int) -> None:
        lots = max(int(LOTS_MOST[market] * part**2), 1)
        self._fill(buy, sell, market, lots, off_bps, fee_bps)

    @rule(at=accounts, other=accounts, market=st.sampled_from(MARKETS), part=parts, off_bps=st.integers(-300, 300))
    def reduce(self, at: int, other: int, market: int, part: float, off_bps: int) -> None:
        """Close or turn a position."""
        position = self.twin.accounts[self.numbers[at]].positions.get(market)
        if position is not None and position.lots:
            lots = max(int(abs(position.lots) * part * 1.5), 1)
            self._fill(*((other, at) if position.lots > 0 else (at, other)), market, lots, off_bps, 0)

    def _fill(self, buy: int, sell: int, market: int, lots: int, off_bps: int, fee_bps: int) -> None:
        buyer, seller = self.numbers[buy], self.numbers[sell]
        price = self.marks[market] * (10_000 + off_bps) // 10_000
        self.nonce += 1
        signed: list[Any] = []
        for number, is_buyer in ((buyer, True), (seller, False)):
            changes = {"account": number, "market": market, "fee_most_bps": 100, "nonce": self.nonce}
            order = self.world.order(self.owner_of(number), is_buyer, lots, price, **changes)
            owner = self.owners[self.numbers.index(number) % len(OWNERS)]
            signed += [tuple(order.values()), self.world.sign(owner, order)]
        self.both(
            lambda: self.world.clearing.fill(*signed, lots, price, [fee_bps, fee_bps]),
            lambda: self.twin.fill(buyer, seller, market, lots, price, fee_bps),
            "fill",
        )

    @rule(at=accounts, market=st.sampled_from(MARKETS))
    def settle(self, at: int, market: int) -> None:
        number = self.numbers[at]
        if market in self.twin.accounts[number].positions:
            self.both(
                lambda: self.world.clearing.settle(number, market), lambda: self.twin.settle(number, market), "settle"
            )

    # Liquidation

    def short(self) -> list[int]:
        return [number for number in self.numbers if self.twin.offer(number)[0]]

    def begun(self) -> list[int]:
        return [number for number, account in self.twin.accounts.items() if account.start]

    @precondition(lambda self: self.short() or self.begun())
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        """Start, reset or finish an auction."""
        number = data.draw(st.sampled_from(sorted({*self.short(), *self.begun()})))
        auction, twin = self.world.auction, self.twin
        if not twin.accounts[number].start:
            self.both(lambda: auction.start(number), lambda: twin.begin(number), "start")
        elif twin.offer(number)[0]:
            self.both(lambda: auction.reset(number), lambda: twin.begin(number, again=True), "reset")
        else:
            self.both(lambda: auction.finish(number), lambda: twin.finish(number), "finish")

    @rule(at=accounts, factor=st.floats(0.8, 0.99), elapsed=seconds, by=st.sampled_from([3, 3, 0, 2]), most=slices)
    def crash(self, at: int, factor: float, elapsed: int, by: int, most: int) -> None:
        """All that an account depends on moves against it, and somebody bids."""
        self._shift(self.twin.accounts[self.numbers[at]], factor, elapsed)
        if self.twin.offer(self.numbers[at])[0]:
            self._bid(self.numbers[at], by, most)

    @precondition(lambda self: self.begun())
    @rule(data=st.data(), factor=st.floats(1.0, 1.5), elapsed=seconds)
    def recover(self, data: st.DataObject, factor: float, elapsed: int) -> None:
        """All moves in favour of an account that is for sale, and somebody ends its auction."""
        number = data.draw(st.sampled_from(self.begun()))
        self._shift(self.twin.accounts[number], factor, elapsed)
        self.both(lambda: self.world.auction.finish(number), lambda: self.twin.finish(number), "finish")

    def _shift(self, account: Account, factor: float, elapsed: int) -> None:
        """Move all prices that an account depends on, against it where the factor is below one, and push them."""
        self.travel(elapsed)
        self.confidence = 0
        for asset in account.balances:
            self.prices[asset] = min(max(int(self.prices[asset] * factor), 1), 2**40)
        for market, position in account.positions.items():
            moved = self.marks[market] * (factor if position.lots > 0 else 2 - factor)
            self.marks[market] = min(max(int(moved), 100), 2**40)
        self.push()

    @precondition(lambda self: self.short())
    @rule(data=st.data(), by=accounts, most=slices)
    def bid(self, data: st.DataObject, by: int, most: int) -> None:
        self._bid(data.draw(st.sampled_from(self.short())), by, most)

    def _bid(self, number: int, by: int, most: int) -> None:
        taker, who = self.numbers[by], self.owner_of(self.numbers[by])
        fraction, price, equity, margin, _, _ = self.twin.offer(number)
        tokens = self._tokens()
        lost = self.twin.lost_by_lenders
        lending = self.twin.carried(self.twin.accounts[number])[0]
        is_lending_alone = not self.twin.accounts[number].positions
        done = self.both(
            lambda: self.world.auction.bid(number, taker, most, LATER, 0, LATER, sender=who),
            lambda: self.twin.bid(number, taker, most),
            "bid" if price else "absorb",
        )
        if done is None:
            return
        assert self._tokens() == tokens, "a liquidation moved tokens"
        if not is_lending_alone:
            lost_now = self.twin.lost_by_lenders - lost
            assert lost_now <= max(-lending, 0), "lenders lost more than cash and collateral leave of the debt"
        after, required, *_ = self.twin.standing(number)
        if fraction == WAD and done[0] == WAD:
            account = self.twin.accounts[number]
            assert account == Account(cash=account.cash), "not closed in full"
        elif equity >= 0:
            # Each term is rounded by less than an atom.
            assert (after + 2 * len(ASSETS) + 3 * len(MARKETS)) * margin >= equity * required, "health fell"

    def _tokens(self) -> list[int]:
        held = [self.world.tokens[asset].balanceOf(self.world.clearing) for asset in ASSETS]
        return [*held, self.world.settlement.balanceOf(self.world.pool)]

    @precondition(lambda self: any(self.twin.deficits.values()))
    @rule()
    def share_market_loss(self) -> None:
        market = next(market for market in MARKETS if self.twin.deficits.get(market))
        holders = sorted(each for each in self.numbers if market in self.twin.accounts[each].positions)
        self.both(
            lambda: self.world.auction.share_market_loss(market, holders),
            lambda: self.twin.share_market_loss(market),
            "share_market_loss",
        )

    # The pool

    @rule(amount=usd, part=st.floats(0, 0.5), kind=st.sampled_from(["supply", "redeem", "insure", "sweep"]))
    def lend(self, amount: int, part: float, kind: str) -> None:
        """What lenders and friends of the fund do."""
        world, pool, who = self.world, self.twin.pool, self.world.lender
        if kind == "insure":
            amount = amount // 1_000 + 1  # a full fund would leave winners nothing to share
        world.settlement.mint(who, amount)
        world.settlement.approve(world.pool, amount, sender=who)
        shares = int(world.pool.balanceOf(who) * part)
        calls: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
            "supply": (lambda: world.pool.deposit(amount, who, sender=who), lambda: pool.deposit(amount)),
            "redeem": (lambda: world.pool.redeem(shares, who, who, sender=who), lambda: pool.redeem(shares)),
            "insure": (lambda: world.pool.insure(amount, sender=who), lambda: pool.insure(amount)),
            "sweep": (world.clearing.sweep_insurance, self.twin.sweep_insurance),
        }
        self.both(*calls[kind], kind)

    # What always holds

    @invariant()
    def accounts_are_the_twins(self) -> None:
        clearing = self.world.clearing
        for number, account in self.twin.accounts.items():
            assert clearing.account_word(number) == packed(account)
            for asset in ASSETS:
                assert clearing.balance_of(number, asset) == account.balances.get(asset, 0)
            for market in account.positions:
                position = account.positions[market]
                word = position.lots % 2**64 | position.leg % 2**96 << 64 | position.index % 2**96 << 160
                assert clearing.position_word(number, market) == word

    @invariant()
    def health_and_offers_are_the_twins(self) -> None:
        number = self.numbers[boa.env.timestamp % len(self.numbers)]
        assert self.world.clearing.standing(number) == self.twin.standing(number)
        assert tuple(self.world.auction.offer(number)) == self.twin.offer(number)

    @invariant()
    def the_pool_is_the_twins_and_solvent(self) -> None:
        pool, twin = self.world.pool, self.twin.pool
        assert pool.state() == (twin.debt, twin.shares, twin.idle, twin.insurance, twin.rate_bps)
        assert (pool.custody(), pool.totalAssets(), pool.totalSupply()) == (twin.custody, twin.total(), twin.supply)
        assert self.world.settlement.balanceOf(pool) == twin.idle + twin.insurance + twin.custody

    @invariant()
    def money_is_somebodys(self) -> None:
        twin, clearing = self.twin, self.world.clearing
        for asset in ASSETS:
            held = sum(account.balances.get(asset, 0) for account in twin.accounts.values())
            assert clearing.total(asset) == held == self.world.tokens[asset].balanceOf(clearing)
        cash = sum(account.cash for account in twin.accounts.values())
        assert twin.pool.custody == cash + sum(twin.pots.values()) + twin.insurance_owed
        assert clearing.insurance_owed() == twin.insurance_owed

    @invariant()
    def debts_are_covered_by_shares(self) -> None:
        twin = self.twin
        shares = [account.shares for account in twin.accounts.values()]
        assert sum(shares) == twin.pool.shares <= twin.pool.debt
        assert sum(twin.pool.owed(each) for each in shares) >= twin.pool.debt + twin.pool.interest()

    @invariant()
    def markets_cancel_out(self) -> None:
        twin = self.twin
        for market in MARKETS:
            held = [account.positions[market] for account in twin.accounts.values() if market in account.positions]
            pot, deficit = twin.pots.get(market, 0), twin.deficits.get(market, 0)
            assert sum(position.lots for position in held) == 0
            left = pot + deficit - sum(twin.funded(position, market) for position in held)
            assert left >= twin.fees.get(market, 0), "profits were made from nothing"
            longs = sum(max(position.lots, 0) for position in held)
            assert self.world.clearing.market_state(market) == (longs, len(held), pot, deficit)


def packed(account: Account) -> int:
    """An account as its word."""
    assets = sum(1 << asset for asset in account.balances)
    markets = sum(1 << market for market in account.positions)
    begun = account.start | account.resets << 32
    return account.cash | account.shares << 88 | assets << 184 | markets << 200 | begun << 216
