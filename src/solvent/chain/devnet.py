"""A whole venue on a chain of its own: contracts, tokens, borrowers, traders, signers, a keeper, and a crash."""

import math
import random
from collections.abc import Iterator

import msgspec

from solvent.chain.abi import chain_extra, keccak
from solvent.chain.artifacts import Contract, artifact
from solvent.chain.deploy import Contracts, deploy
from solvent.chain.desk import Desk, block_at
from solvent.chain.keeper.amm import Pairs
from solvent.chain.keeper.keeper import ONE, Keeper, Settings
from solvent.chain.keeper.solvent_venue import SolventVenue
from solvent.chain.keeper.starter import Starter
from solvent.chain.limits import Limits, Meter
from solvent.chain.mirror import Mirror
from solvent.chain.plan import Collateral, PerpetualMarket, Plan
from solvent.chain.publish import Price, Push, push_prices, signed_by, updates_of
from solvent.chain.rpc import Rpc, number
from solvent.chain.signers import KeySigner
from solvent.chain.standing import liquidatable
from solvent.chain.transactions import Sender

ETH, BTC, USD = 10**18, 10**8, 10**6
WETH_USD, WBTC_USD = 2_000.0, 60_000.0
BLOCK_S = 12
NOISE = 0.0015
CRASH_FROM, CRASH_TO, CRASH = 0.3, 0.6, 0.20
"""Part of the ticks in which prices fall, and how far: inside the 30 % band around the slow price."""
BORROWERS = 6
LEVERAGE = 12
LTV_FIRST, LTV_STEP = 0.79, 0.03
KEEPER_CASH = 100_000


class Person(msgspec.Struct, frozen=True):
    """One account as a frame shows it; USD."""

    name: str
    equity: float
    margin: float
    price_state: int
    in_auction: bool

    @property
    def health(self) -> float:
        """Equity over maintenance margin; infinite where nothing is required."""
        return self.equity / self.margin if self.margin else math.inf


class Frame(msgspec.Struct, frozen=True):
    """One tick; USD."""

    tick: int
    block: int
    weth_usd: float
    liquidatable: int
    jobs: int
    liquidated: int
    keeper_profit: float
    debt: float
    insurance: float
    checked: int
    differences: int
    """Accounts of which mirror and contract said something else; 0 always."""
    people: tuple[Person, ...]


def key(name: str) -> KeySigner:
    """The key of a role: public, for devnets alone."""
    return KeySigner(chain_extra("eth_account").Account.from_key(keccak(f"solvent devnet {name}".encode())))


def prices(ticks: int, seed: int) -> Iterator[float]:
    """Factor on all prices at each tick: noise, and a crash in the middle."""
    generator, level = random.Random(seed), 0.0
    first, last = int(ticks * CRASH_FROM), max(int(ticks * CRASH_TO), int(ticks * CRASH_FROM) + 1)
    for tick in range(ticks):
        level += generator.gauss(0.0, NOISE)
        if first <= tick < last:
            level += math.log(1.0 - CRASH) / (last - first)
        yield math.exp(level)


class Devnet:
    """Deployed and funded when made; each `step` is one block."""

    def __init__(self, rpc: Rpc) -> None:
        """rpc: a fresh chain that makes blocks on `anvil_mine`. Raises SolventError."""
        self.rpc = rpc
        self.chain_id = number(rpc.call("eth_chainId"))
        self._desks: dict[str, Desk] = {}
        self.signers = [key(f"signer {each}") for each in range(3)]
        self.names: dict[int, str] = {}
        self._tick = 0
        self._deploy()
        self._push(1.0)
        self._fund()
        self.mirror = Mirror(rpc, self.at, finality_blocks=2)
        self._hire_keeper()

    def _mine(self) -> None:
        self.rpc.call("anvil_mine", "0x1")

    def _desk(self, name: str) -> Desk:
        if name not in self._desks:
            signer = key(name)
            self.rpc.call("anvil_setBalance", signer.address, hex(1_000 * ETH))
            self._desks[name] = Desk(self.rpc, signer, self.chain_id, self._mine)
        return self._desks[name]

    def _account(self, name: str) -> int:
        account = int(key(name).address, 16) << 8
        self.names[account] = name
        return account

    def _deploy(self) -> None:
        desk = self._desk("deployer")
        tokens = {
            symbol: Contract(self.rpc, "DevToken", desk.deploy(artifact("DevToken"), symbol, decimals))
            for symbol, decimals in (("USDC", 6), ("WETH", 18), ("WBTC", 8))
        }
        self.tokens = tokens
        shared = {
            "weight_initial_bps": 8_000, "weight_maintenance_bps": 8_500,
            "cap_total": 10**6, "cap_account": 10**5, "cap_daily": 10**6,
        }  # fmt: skip
        plan = Plan(
            settlement=tokens["USDC"].address,
            signers=tuple(each.address for each in self.signers),
            threshold=2,
            collaterals=tuple(
                Collateral(symbol=each, token=tokens[each].address, **shared) for each in ("WETH", "WBTC")
            ),
            markets=(
                PerpetualMarket(symbol="ETH-PERP", multiplier=1, lot="0.001", maintenance_bps=500, initial_bps=800),
            ),
        )
        self.at = deploy(desk, plan, lambda _: None)
        self.contracts = Contracts(self.rpc, self.at)

    def _push(self, factor: float) -> None:
        """Sign prices of the next block's time and bring them; the block holds what else waits."""
        now = block_at(self.rpc).timestamp + BLOCK_S
        self.rpc.call("evm_setNextBlockTimestamp", now)
        collaterals = [Price(int(each * factor * USD), 5) for each in (WETH_USD, WBTC_USD)]
        push = Push(now, updates_of(collaterals, [Price(int(WETH_USD * factor * 1_000), 5)]))
        push_prices(self._desk("deployer"), self.contracts, push, signed_by(self.signers[:2], push, self.contracts))

    def _give(self, name: str, symbol: str, atoms: int, spender: Contract) -> Desk:
        desk = self._desk(name)
        desk.call(self.tokens[symbol], "mint", desk.signer.address, atoms)
        desk.call(self.tokens[symbol], "approve", spender.address, 2**256 - 1)
        return desk

    def _fund(self) -> None:
        """Lenders, insurance, borrowers of falling caution, and two traders against each other."""
        clearing, pool = self.contracts.clearing, self.contracts.pool
        lender = self._give("lender", "USDC", 10_100_000 * USD, pool)
        lender.call(pool, "deposit", 10**7 * USD, lender.signer.address)
        lender.call(pool, "insure", 100_000 * USD)
        for each in range(BORROWERS):
            name = f"borrower {each}"
            desk = self._give(name, "WETH", (10 + 5 * each) * ETH, clearing)
            desk.call(clearing, "deposit", self._account(name), 0, (10 + 5 * each) * ETH)
            value = (10 + 5 * each) * WETH_USD
            if each % 2:
                self._give(name, "WBTC", BTC, clearing)
                desk.call(clearing, "deposit", self._account(name), 1, BTC)
                value += WBTC_USD
            debt = int(value * (LTV_FIRST - LTV_STEP * each) * USD)
            desk.call(clearing, "borrow", self._account(name), debt, desk.signer.address)
        for name in ("long", "short"):
            desk = self._give(name, "USDC", 10_000 * USD, clearing)
            desk.call(clearing, "deposit_cash", self._account(name), 10_000 * USD)
            self._push(1.0)
        self._trade("long", "short", int(10_000 * LEVERAGE / WETH_USD * 1_000))

    def _trade(self, buyer: str, seller: str, lots: int) -> None:
        clearing, price = self.contracts.clearing, int(WETH_USD * 1_000)
        expiry = block_at(self.rpc).timestamp + 3_600
        orders = [
            (self._account(name), 0, buy, lots, price, 10, 1, expiry, "0x" + "00" * 20)
            for name, buy in ((buyer, True), (seller, False))
        ]
        signed = [
            key(name).sign_digest(clearing.view("order_digest", order)[1])
            for name, order in zip((buyer, seller), orders, strict=True)
        ]
        self._desk("deployer").call(clearing, "fill", orders[0], signed[0], orders[1], signed[1], lots, price, [0, 0])

    def _hire_keeper(self) -> None:
        account = self._account("keeper")
        desk = self._give("keeper", "USDC", KEEPER_CASH * USD, self.contracts.clearing)
        desk.call(self.contracts.clearing, "deposit_cash", account, KEEPER_CASH * USD)
        venue = SolventVenue(self.rpc, self.at, account, "WETH", self.mirror)
        limits = Limits(self.chain_id, venue.selectors(), 10 * ETH, 10**9 * ONE, 10**5 * ONE, 10**12)
        settings = Settings(keep_collateral=True, finality_blocks=1, profit_least=0.5)
        sender = Sender(self.rpc, key("keeper"), self.chain_id)

        def clock() -> float:
            return float(self.mirror.block.timestamp)

        self.keeper = Keeper(venue, Pairs(self.rpc, []), sender, Meter(limits, clock), settings, wall_s=clock)
        self.starter = Starter(self.keeper, venue)

    def step(self, factor: float) -> Frame:
        """One block at prices times a factor: signed prices and waiting bids go in, mirror and keeper look at it."""
        self._push(factor)
        self._tick += 1
        report = self.keeper.step()
        self.starter.step()
        found = self.mirror.check()
        ledger, now = self.mirror.head, self.mirror.block.timestamp
        standings = {each: ledger.assess(each, now) for each in sorted(ledger.accounts, key=self._order)}
        return Frame(
            tick=self._tick,
            block=self.mirror.block.number,
            weth_usd=WETH_USD * factor,
            liquidatable=sum(liquidatable(each) for each in standings.values()),
            jobs=len(report.jobs) if report else 0,
            liquidated=self.keeper.counts["liquidated"],
            keeper_profit=self.keeper.ledger.net,
            debt=(ledger.debt + ledger.interest(now)) / USD,
            insurance=ledger.insurance / USD,
            checked=self.mirror.counts["checked"],
            differences=len(found),
            people=tuple(
                Person(self.names[each], at.equity / USD, at.margin / USD, at.price_state, at.start != 0)
                for each, at in standings.items()
            ),
        )

    def _order(self, account: int) -> str:
        return self.names[account]
