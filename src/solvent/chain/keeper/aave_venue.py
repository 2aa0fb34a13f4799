"""Aave v3 as a venue: health of all accounts screened on arrays, jobs exact, liquidations through our executor."""

from collections.abc import Mapping, Sequence

import numpy as np

from solvent.chain.aave import Q_ACCOUNT, AaveBook, AaveReader
from solvent.chain.aave_math import SINCE_3_3, Account, Rates, Reserve, liquidation, price_of, terms_bps
from solvent.chain.abi import call_data, checksum, decode, selector, topic
from solvent.chain.keeper.amm import PAIR_GAS
from solvent.chain.keeper.kernel_price import aave_rows
from solvent.chain.keeper.venue import F64, Asset, Bounds, Exit, Job, Opportunities, Realised
from solvent.chain.rpc import Rpc, data, quantity
from solvent.chain.transactions import Receipt
from solvent.errors import SolventError, problem
from solvent.liquidation.close_factor import BEFORE_3_3, Params
from solvent.liquidation.reverted import RevertedError
from solvent.pools.fixed_point import BPS, RAY, WAD

BASE = 10**8
"""Oracle units in a dollar."""
LIQUIDATE = (
    "liquidate(address,address,address,address,uint256,address,uint256,uint256,uint256,uint256)"  # of Executor.vy
)
LIQUIDATED = "Liquidated(address,address,address,address,uint256,uint256,uint256)"
JOB_GAS = 480_000
"""A liquidation with three reserves, before it is estimated."""
GAS_FAR = 0.05
"""Relative distance of an estimate beyond which a block is filled anew."""
BAND = 1e-6
"""Around health 1 the integers decide."""
CHECKED = 8
"""Accounts whose health is compared with the pool's at the start."""
ENDLESS = 2**128
"""Atoms of each asset, where no executor limits what is spent."""
NO_ADDRESS = "0x" + "00" * 20


class AaveVenue:
    """See `Venue`."""

    name = "aave-v3"

    def __init__(self, rpc: Rpc, pool: str, executor: str | None, native: str, from_block: int = 0) -> None:
        """executor: address of our contract; None: jobs are decided as if funds had no end, and cannot be called.

        native: asset of the pool by whose price gas is valued, its address or symbol. from_block: before which nobody
        borrowed. Raises SolventError.
        """
        self.reader = AaveReader(rpc, pool)
        self.book = AaveBook(self.reader, from_block)
        self.executor = None if executor is None else checksum(executor)
        self._native = self.reader.index(native)
        self._row: dict[str, int] = {}
        self._users: list[str] = []
        self._supplied = np.zeros((0, len(self.reader.reserves)))
        self._owed = np.zeros((0, len(self.reader.reserves)))
        self._special: set[int] = set()
        """Rows of accounts in an e-mode or with stable debt: screened one by one."""
        self._rates = Rates([], [], [], {})
        self._block = -1
        self._job_gas = JOB_GAS + PAIR_GAS
        self.unknown = 0
        """Accounts left out because their e-mode is of a release whose arithmetic is not here."""

    @property
    def rpc(self) -> Rpc:
        """See `Venue`."""
        return self.reader.rpc

    def refresh(self, block: int) -> None:
        """See `Venue`. The first time it also compares our health with the pool's own. Raises SolventError."""
        self.reader.load(quantity(block))
        changed = self.book.advance(block)
        self._rates = self.reader.rates(quantity(block))
        self._place(changed)
        if self._block < 0:
            self._require_same(block)
        self._block = block

    def _require_same(self, block: int) -> None:
        known = [each for each in self.book.accounts.values() if self.reader.knows(each)][:CHECKED]
        views = self.reader.views([each.user for each in known], quantity(block))
        for account, view in zip(known, views, strict=True):
            ours = self.reader.data(account, self._rates)
            if ours != view:
                accepted = f"{view.health_e18}, as the pool of revision {self.reader.revision} says"
                raise SolventError(problem(self.name, None, f"health of {account.user}", ours.health_e18, accepted))

    def _place(self, changed: set[str]) -> None:
        """Put changed accounts into the arrays."""
        reserves = self.reader.reserves
        for user in changed - self._row.keys():
            self._row[user] = len(self._users)
            self._users.append(user)
        if (missing := len(self._users) - len(self._supplied)) > 0 or self._supplied.shape[1] != len(reserves):
            shape = (len(self._supplied) + max(missing, len(self._supplied), 64), len(reserves))
            old = self._supplied, self._owed
            self._supplied, self._owed = np.zeros(shape), np.zeros(shape)
            for new, each in zip((self._supplied, self._owed), old, strict=True):
                new[: each.shape[0], : each.shape[1]] = each
        for user in changed:
            row, account = self._row[user], self.book.accounts.get(user)
            self._supplied[row], self._owed[row] = 0.0, 0.0
            self._special.discard(row)
            if account is None:
                continue
            for index, scaled in account.supplied.items():
                self._supplied[row, index] = scaled
            for index, scaled in account.borrowed.items():
                self._owed[row, index] = scaled
            if account.e_mode or account.borrowed_stable:
                self._special.add(row)

    def assets(self) -> Sequence[Asset]:
        """See `Venue`."""
        prices = self._rates.price
        return [Asset(each.asset, each.unit, prices[each.index] / BASE) for each in self.reader.reserves]

    def native_price(self) -> float:
        """See `Venue`."""
        return self._rates.price[self._native] / BASE

    def opportunities(self, moves: Mapping[str, float] | None = None) -> Opportunities:
        """See `Venue`."""
        reserves, rates = self.reader.reserves, _moved(self.reader.reserves, self._rates, moves or {})
        users = len(self._users)
        unit = np.array([float(each.unit) for each in reserves])
        price = np.array(rates.price, float) / BASE / unit / RAY
        held = self._supplied[:users] * (price * np.array(rates.income_ray, float))
        owed = self._owed[:users] * (price * np.array(rates.debt_ray, float))
        weight = np.array([each.threshold_bps for each in reserves], float) / BPS
        held[:, weight == 0] = 0.0
        debt = owed.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            health = np.where(debt > 0, held @ weight / debt, np.inf)
        self._decide_exactly(health, held, owed, rates)
        return self._rows(health, held, owed)

    def _decide_exactly(self, health: F64, held: F64, owed: F64, rates: Rates) -> None:
        """Health in integers near 1, and of accounts whose terms differ from the reserves' own."""
        self.unknown = 0
        near = set(np.flatnonzero(np.abs(health - 1.0) < BAND).tolist())
        for row in sorted(near | self._special):
            account = self.book.accounts.get(self._users[row])
            if account is None:
                continue
            if not self.reader.knows(account):
                health[row] = np.inf
                self.unknown += 1
                continue
            exact = self.reader.data(account, rates).health_e18
            # The quotient of two integers is below 1 exactly if the first is below the second.
            health[row] = exact / WAD if exact >= WAD else min(exact / WAD, np.nextafter(1.0, 0.0))
            if row in self._special:
                self._values(account, row, held, owed, rates)

    def _values(self, account: Account, row: int, held: F64, owed: F64, rates: Rates) -> None:
        for each in self.reader.reserves:
            one = price_of(each, rates, account) / BASE / each.unit
            held[row, each.index] = account.supplied.get(each.index, 0) * rates.income_ray[each.index] / RAY * one
            variable = account.borrowed.get(each.index, 0) * rates.debt_ray[each.index] / RAY
            owed[row, each.index] = (variable + account.borrowed_stable.get(each.index, 0)) * one

    def _rows(self, health: F64, held: F64, owed: F64) -> Opportunities:
        reserves = self.reader.reserves
        below = np.flatnonzero(health < 1.0)
        usable = np.array([each.active and not each.paused for each in reserves])
        held, owed, health = held[below] * usable, owed[below] * usable, health[below]
        most = int(((held > 0).sum(axis=1) * (owed > 0).sum(axis=1)).sum())
        bonus = np.array([max(each.bonus_bps, BPS) for each in reserves], float) / BPS
        fee = np.array([each.protocol_fee_bps for each in reserves], float) / BPS
        account, collateral, debt = (np.zeros(most, np.int64) for _ in range(3))
        repay_most, received = np.zeros(most), np.zeros(most)
        params = Params() if self.reader.revision >= SINCE_3_3 else BEFORE_3_3
        count = aave_rows(
            held, owed, health, bonus, bonus - (bonus - 1.0) * fee, params.full_close_health_e18 / WAD,
            params.full_close_below_base / BASE, account, collateral, debt, repay_most, received,
        )  # fmt: skip
        account, collateral, debt = account[:count], collateral[:count], debt[:count]
        threshold = np.array([each.threshold_bps for each in reserves], float) / BPS
        return Opportunities(
            account=account,
            accounts=[self._users[row] for row in below.tolist()],
            health=health[account],
            last_health=(threshold * bonus)[collateral],
            collateral=collateral,
            debt=debt,
            repay_most=repay_most[:count],
            received=received[:count],
            gas=np.full(count, self._job_gas, np.int64),
        )

    def job(self, found: Opportunities, row: int, repay_value: float, reserves: Exit | None) -> Job | None:
        """See `Venue`."""
        user = found.accounts[int(found.account[row])]
        collateral, debt = int(found.collateral[row]), int(found.debt[row])
        assets, account = self.assets(), self.book.accounts[user]
        whole = repay_value >= found.repay_most[row] * (1.0 - 1e-9)
        cover = None if whole else assets[debt].atoms(repay_value)
        try:
            seizure = liquidation(
                self.reader.reserves, self._rates, account, collateral, debt, cover, self.reader.revision
            ).seizure
        except RevertedError:
            return None
        health = float(found.health[row])
        received = seizure.collateral_to_liquidator
        return Job(
            account=user,
            collateral=assets[collateral],
            debt=assets[debt],
            repay=seizure.debt_repaid,
            received=received,
            proceeds=0 if reserves is None else reserves.out(received),
            pair="" if reserves is None else reserves.address,
            health=health,
            urgency=urgency(health, self._last_health(account, collateral)),
            gas=int(found.gas[row]),
        )

    def _last_health(self, account: Account, collateral: int) -> float:
        threshold, bonus = terms_bps(self.reader.reserves[collateral], self._rates, account)
        return threshold * bonus / BPS**2

    def learn_gas(self, gas: int) -> bool:
        """See `Venue`."""
        is_far = abs(gas - self._job_gas) > GAS_FAR * self._job_gas
        if is_far:
            self._job_gas = gas
        return is_far

    def call(self, job: Job, bounds: Bounds) -> tuple[str, bytes]:
        """See `Venue`. Raises SolventError without an executor."""
        if self.executor is None:
            raise SolventError(problem(self.name, None, "executor", "none", "the address of an executor contract"))
        payload = call_data(
            LIQUIDATE, self.reader.pool, job.collateral.address, job.debt.address, checksum(job.account),
            bounds.maximum_paid, job.pair or NO_ADDRESS, bounds.maximum_paid, bounds.minimum_received,
            bounds.minimum_profit, bounds.deadline_s,
        )  # fmt: skip
        return self.executor, payload

    def realised(self, job: Job, receipt: Receipt) -> Realised | None:
        """See `Venue`."""
        wanted = "0x" + topic(LIQUIDATED).hex()
        for log in receipt.logs:
            is_ours = checksum(str(log["address"])) == self.executor and log["topics"][0] == wanted
            if is_ours and log["topics"][2][26:] == job.account[2:].lower():
                values = decode(("address", "address", "uint256", "uint256", "uint256"), data(log["data"]))
                return Realised(*(int(each) for each in values[2:]))
        return None

    def still_there(self, jobs: Sequence[Job], rpc: Rpc, tag: str) -> list[bool]:
        """See `Venue`."""
        payloads = [call_data(Q_ACCOUNT, job.account) for job in jobs]
        calls = [("eth_call", [{"to": self.reader.pool, "data": "0x" + each.hex()}, tag]) for each in payloads]
        return [int(decode(("uint256",) * 6, data(each))[5]) < WAD for each in rpc.results(calls)]

    def funds(self) -> Mapping[str, int]:
        """See `Venue`."""
        if self.executor is None:
            return {each.asset: ENDLESS for each in self.reader.reserves}
        payload = "0x" + call_data("balanceOf(address)", self.executor).hex()
        calls = [("eth_call", [{"to": each.asset, "data": payload}, "latest"]) for each in self.reader.reserves]
        found = self.rpc.results(calls)
        return {
            each.asset: int(decode(("uint256",), data(one))[0])
            for each, one in zip(self.reader.reserves, found, strict=True)
        }

    def selectors(self) -> Mapping[str, tuple[str, ...]]:
        """See `Venue`."""
        return {} if self.executor is None else {self.executor: ("0x" + selector(LIQUIDATE).hex(),)}


def urgency(health: float, last_health: float) -> float:
    """0 at health 1, 1 at and below the health where its collateral no longer pays the bonus."""
    return min(max((1.0 - health) / max(1.0 - last_health, 1e-9), 0.0), 1.0)


def _moved(reserves: Sequence[Reserve], rates: Rates, moves: Mapping[str, float]) -> Rates:
    """Rates at other prices."""
    if not moves:
        return rates
    prices = [int(rates.price[each.index] * moves.get(each.asset, 1.0)) for each in reserves]
    return Rates(prices, rates.income_ray, rates.debt_ray, rates.e_modes)
