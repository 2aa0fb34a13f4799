"""Our own contracts as a venue: slices of accounts at a falling price, taken into the keeper's own account."""

from collections.abc import Mapping, Sequence

import numpy as np

from solvent.chain.abi import checksum
from solvent.chain.artifacts import Contract, artifact
from solvent.chain.keeper.venue import F64, Asset, Bounds, Exit, Job, Opportunities, Realised
from solvent.chain.logs import EventTable
from solvent.chain.mirror import Mirror
from solvent.chain.offers import WAD, Offer, capital, liabilities, offer
from solvent.chain.plan import Deployment
from solvent.chain.rpc import Rpc
from solvent.chain.standing import (
    BPS,
    FUNDING_SCALE,
    MULTIPLIER,
    OK,
    RATE_MAINTENANCE,
    UNIT_DECIMALS,
    WEIGHT_MAINTENANCE,
    Quote,
    cash_of,
    index_in,
    position_of,
    shares_of,
)
from solvent.chain.transactions import Receipt
from solvent.errors import SolventError, problem

SLOTS = 16
JOB_GAS = 260_000
GAS_FAR = 0.05
"""Relative distance of an estimate beyond which a block is filled anew."""
BAND = 1e-6
"""Around health 1, and of degraded prices around 0.9, the integers decide."""
SLACK = 100
"""A slice may be a hundredth larger than forecast: its price falls, so more is needed to restore the margin."""
FUNDS_MOST = 2**100


class SliceJob(Job, frozen=True):
    """A slice of one account: `repay` is what the taker takes over and pays, `received` all that the slice owns."""

    fraction_e18: int
    paid: int
    equity: int
    """Of the slice."""
    payout: int
    taken_over: int
    """Debt and losses of the slice."""


class SolventVenue:
    """See `Venue`. Accounts are screened on arrays; those near their margin are decided by the mirror's integers."""

    name = "solvent"

    def __init__(self, rpc: Rpc, at: Deployment, taker: int, native: str, mirror: Mirror | None = None) -> None:
        """taker: account that slices go to. native: collateral by whose price gas is valued. Raises SolventError."""
        if native not in at.collaterals:
            raise SolventError(problem(self.name, None, "native", native, f"one of {', '.join(at.collaterals)}"))
        self.mirror = mirror or Mirror(rpc, at)
        self.at, self.taker = at, taker
        self._native = at.collaterals.index(native)
        self._row: dict[int, int] = {}
        self._accounts: list[int] = []
        self._held = np.zeros((0, SLOTS))
        self._lots, self._legs, self._indices = (np.zeros((0, SLOTS)) for _ in range(3))
        self._cash, self._shares = np.zeros(0), np.zeros(0)
        self._offers: dict[int, Offer] = {}
        self._capital_share = 1.0
        self._job_gas = JOB_GAS
        self._is_checked = False
        self._events = EventTable(artifact("Clearing").abi, artifact("Auction").abi)

    @property
    def rpc(self) -> Rpc:
        """See `Venue`."""
        return self.mirror.rpc

    def refresh(self, block: int) -> None:
        """See `Venue`. The first time all accounts are compared with the contract's own view. Raises SolventError."""
        self.mirror.advance(block)
        if not self._is_checked and (found := self.mirror.check()):
            first = found[0]
            raise SolventError(
                problem(self.name, None, f"{first.field} of {first.account}", first.ours, f"{first.theirs}")
            )
        self._is_checked = True
        self._place()

    def _place(self) -> None:
        """Put changed accounts into the arrays."""
        ledger = self.mirror.head
        changed, self.mirror.touched = self.mirror.touched, set()
        for account in sorted(changed - self._row.keys()):
            self._row[account] = len(self._accounts)
            self._accounts.append(account)
        if (grown := len(self._accounts)) > len(self._held):
            rows = max(grown, 2 * len(self._held), 64)
            for name in ("_held", "_lots", "_legs", "_indices", "_cash", "_shares"):
                old = getattr(self, name)
                new = np.zeros((rows, *old.shape[1:]))
                new[: len(old)] = old
                setattr(self, name, new)
        for account in changed:
            row, word = self._row[account], ledger.accounts.get(account, 0)
            self._cash[row], self._shares[row] = cash_of(word), shares_of(word)
            self._held[row], self._lots[row], self._legs[row] = 0.0, 0.0, 0.0
            for asset, atoms in ledger.balances.get(account, {}).items():
                if asset < SLOTS:
                    self._held[row, asset] = atoms
            for market, position in ledger.positions.get(account, {}).items():
                parts = position_of(position)
                self._lots[row, market], self._legs[row, market], self._indices[row, market] = parts

    def assets(self) -> Sequence[Asset]:
        """See `Venue`: the settlement asset, in which jobs count; then collaterals and markets, whose prices move."""
        ledger, now, unit = self.mirror.head, self.mirror.block.timestamp, self._settlement_unit
        found = [Asset(checksum(self.at.settlement), unit, 1.0)]
        for index, symbol in enumerate(self.at.collaterals):
            listed = 10 ** ledger.clearing.get(UNIT_DECIMALS + 256 * index, 0)
            found.append(Asset(symbol, listed, ledger.quote(index, now).price / 1e6))
        for index, symbol in enumerate(self.at.markets):
            multiplier = ledger.clearing.get(MULTIPLIER + 256 * index, 0)
            found.append(Asset(symbol, 1, ledger.mark(index, now).price * multiplier / unit))
        return found

    @property
    def _settlement_unit(self) -> int:
        return self.mirror.head.price_unit * 10**6

    def native_price(self) -> float:
        """See `Venue`."""
        return self.mirror.head.quote(self._native, self.mirror.block.timestamp).price / 1e6

    def opportunities(self, moves: Mapping[str, float] | None = None) -> Opportunities:
        """See `Venue`. moves: by symbol."""
        moves = moves or {}
        health = self._screened(moves)
        near = np.flatnonzero(health < 1.0 + BAND).tolist()
        if moves:
            kept = [(row, min(health[row], 1.0), 1.0, 1.0) for row in near if health[row] < 1.0]
            return self._rows(kept)
        now = self.mirror.block.timestamp
        self._offers, self._capital_share = {}, 0.0
        kept = []
        for row in sorted({*near, *self._running()}):
            account = self._accounts[row]
            found = offer(self.mirror.head, account, now)
            if found.fraction_e18 == 0 or account >> 8 == self.taker >> 8:
                continue
            self._offers[account] = found
            job = self._slice(account, found, found.fraction_e18, 0)
            share = capital(self.mirror.head, account, found, now) / job.repay
            self._capital_share = max(self._capital_share, share)
            exact = found.equity / found.margin if found.margin else 0.0
            kept.append((row, exact, job.repay / self._settlement_unit, job.received / job.repay))
        return self._rows(kept)

    def _running(self) -> list[int]:
        """Rows under auction: they stay for sale until margin and buffer are back."""
        accounts = self.mirror.head.accounts
        return [row for row, account in enumerate(self._accounts) if accounts.get(account, 0) >> 216]

    def _screened(self, moves: Mapping[str, float]) -> F64:
        """Equity over maintenance margin of every row, in floats; +inf where nothing is required."""
        ledger, now, rows = self.mirror.head, self.mirror.block.timestamp, len(self._accounts)
        collateral, weight, mark, rate, index_of, scale = (np.zeros(SLOTS) for _ in range(6))
        for index, symbol in enumerate(self.at.collaterals):
            quote: Quote = ledger.quote(index, now)
            one = ledger.price_unit / 10 ** ledger.clearing.get(UNIT_DECIMALS + 256 * index, 0)
            collateral[index] = quote.price * moves.get(symbol, 1.0) * one
            weight[index] = ledger.clearing.get(WEIGHT_MAINTENANCE + 256 * index, 0) / BPS
        for index, symbol in enumerate(self.at.markets):
            multiplier = ledger.clearing.get(MULTIPLIER + 256 * index, 0)
            mark[index] = ledger.mark(index, now).price * multiplier * moves.get(symbol, 1.0)
            index_of[index], scale[index] = index_in(ledger.marks.get(index, 0)), multiplier / FUNDING_SCALE
            rate[index] = ledger.clearing.get(RATE_MAINTENANCE + 256 * index, 0) / BPS
        per_share = (ledger.debt + ledger.interest(now)) / ledger.debt_shares if ledger.debt_shares else 0.0
        held, lots = self._held[:rows], self._lots[:rows]
        equity = self._cash[:rows] - self._shares[:rows] * per_share + held @ collateral
        funding = lots * (index_of - self._indices[:rows]) @ scale
        equity += lots @ mark + self._legs[:rows].sum(axis=1) - funding
        margin = held @ (collateral * (1.0 - weight)) + np.abs(lots) @ (mark * rate)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(margin > 0, equity / margin, np.where(equity < 0, -np.inf, np.inf))

    def _rows(self, kept: Sequence[tuple[int, float, float, float]]) -> Opportunities:
        """kept: row, health, most to repay (USD), received for 1."""
        count = len(kept)
        columns = np.array([each[1:] for each in kept], float).reshape(count, 3)
        return Opportunities(
            account=np.arange(count),
            accounts=[str(self._accounts[each[0]]) for each in kept],
            health=columns[:, 0],
            last_health=np.zeros(count),
            collateral=np.zeros(count, np.int64),
            debt=np.zeros(count, np.int64),
            repay_most=columns[:, 1],
            received=columns[:, 2],
            gas=np.full(count, self._job_gas, np.int64),
        )

    def job(self, found: Opportunities, row: int, repay_value: float, reserves: Exit | None) -> SliceJob | None:
        """See `Venue`. A smaller slice leaves the auction running; neither part may be dust."""
        account = int(found.accounts[int(found.account[row])])
        offered = self._offers[account]
        share = min(repay_value / float(found.repay_most[row]), 1.0)
        if share > 1.0 - 1e-9:
            return self._slice(account, offered, offered.fraction_e18, int(found.gas[row]))
        part, dust = int(offered.fraction_e18 * share), self.mirror.head.auction[9] * WAD
        is_dust = offered.margin * part < dust or offered.margin * (WAD - part) < dust
        return None if offered.price_e18 == 0 or is_dust else self._slice(account, offered, part, int(found.gas[row]))

    def _slice(self, account: int, offered: Offer, part: int, gas: int) -> SliceJob:
        ledger, now = self.mirror.head, self.mirror.block.timestamp
        owed = -(-liabilities(ledger, account, now) * part // WAD)
        paid, equity = offered.paid(part), offered.equity * part // WAD
        settlement = Asset(checksum(self.at.settlement), self._settlement_unit, 1.0)
        repay = max(owed + paid, 1)
        health = offered.equity / offered.margin if offered.margin else 0.0
        return SliceJob(
            account=str(account),
            collateral=settlement,
            debt=settlement,
            repay=repay,
            received=repay - paid + equity + self._payable(offered),
            proceeds=0,
            pair="",
            health=health,
            urgency=min(max(1.0 - health, 0.0), 1.0),
            gas=gas,
            fraction_e18=part,
            paid=paid,
            equity=equity,
            payout=self._payable(offered),
            taken_over=owed,
        )

    def _payable(self, offered: Offer) -> int:
        """Of a payout, what the shortfall and the insurance fund can bring; lenders and winners bear the shortfall."""
        return min(offered.payout, max(-offered.equity, 0) + self.mirror.head.insurance)

    def learn_gas(self, gas: int) -> bool:
        """See `Venue`."""
        is_far = abs(gas - self._job_gas) > GAS_FAR * self._job_gas
        if is_far:
            self._job_gas = gas
        return is_far

    def call(self, job: Job, bounds: Bounds) -> tuple[str, bytes]:
        """See `Venue`: the contract holds the bid to what is paid, what is received, and the deadline."""
        assert isinstance(job, SliceJob)
        account, slack = int(job.account), job.received - bounds.minimum_received
        whole = job.fraction_e18 == self._offers[account].fraction_e18
        most = min(job.fraction_e18 + (job.fraction_e18 // SLACK if whole else 0), WAD)
        paid_most = job.paid + max(bounds.maximum_paid - job.repay, 0)
        least = job.payout if job.payout else job.equity
        auction = Contract(self.rpc, "Auction", self.at.auction)
        received_least = max(least - slack, 0)
        payload = auction.payload("bid", account, self.taker, most, paid_most, received_least, bounds.deadline_s)
        return auction.address, payload

    def realised(self, job: Job, receipt: Receipt) -> Realised | None:
        """See `Venue`. Fraction and payments are of the logs, the worth of a slice is at the forecast's prices."""
        assert isinstance(job, SliceJob)
        fraction = paid = payout = 0
        for log in receipt.logs:
            spec = self._events.events.get(str(log["topics"][0]))
            words = [
                int(str(log["data"])[2 + 64 * i : 66 + 64 * i], 16) for i in range((len(str(log["data"])) - 2) // 64)
            ]
            if spec is None:
                continue
            if spec.name == "Sliced" and int(str(log["topics"][1]), 16) == int(job.account):
                fraction, paid = words[0], words[1]
            elif spec.name == "LossTaken":
                payout += words[0] + words[1]
            elif spec.name == "MarketCharged":
                payout += words[0]
        if fraction == 0:
            return None
        owed = job.taken_over * fraction // job.fraction_e18
        equity = job.equity * fraction // job.fraction_e18
        return Realised(owed + paid, owed + equity + payout, 0)

    def still_there(self, jobs: Sequence[Job], rpc: Rpc, tag: str) -> list[bool]:
        """See `Venue`."""
        auction = Contract(rpc, "Auction", self.at.auction)
        return [found[0] != 0 for found in auction.views("offer", [(int(job.account),) for job in jobs], tag)]

    def funds(self) -> Mapping[str, int]:
        """See `Venue`: as much as the taker's account has initial margin for, at the dearest of the slices."""
        found = self.mirror.head.assess(self.taker, self.mirror.block.timestamp, initial=True)
        is_free = found.price_state == OK and found.start == 0
        spare = max(found.equity - found.margin, 0) * (SLACK - 1) // SLACK if is_free else 0
        share = self._capital_share
        most = int(spare / share) if share > spare / FUNDS_MOST else FUNDS_MOST
        return {checksum(self.at.settlement): most if spare else 0}

    def unstarted(self, value_least: float) -> list[int]:
        """Accounts for sale whose price does not fall yet because nobody began their auction, dearest first.

        value_least: USD that a taker could come to earn: the slice's equity, or the pay for an insolvent account.
        """
        worth = {
            account: (found.margin if found.equity <= 0 else found.equity * found.fraction_e18 // WAD)
            for account, found in self._offers.items()
            if self.mirror.head.accounts[account] >> 216 == 0
        }
        least = int(value_least * self._settlement_unit)
        return [each for each in sorted(worth, key=lambda each: -worth[each]) if worth[each] >= least]

    def selectors(self) -> Mapping[str, tuple[str, ...]]:
        """See `Venue`."""
        auction = Contract(self.rpc, "Auction", self.at.auction)
        return {auction.address: (auction.selector("bid"), auction.selector("start"))}
