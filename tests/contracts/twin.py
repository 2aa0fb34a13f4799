"""The whole state of the contracts in plain Python: what each call must do, written from their page."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.contracts import model
from tests.contracts.model import BPS, WAD, Quote, ceil_div
from tests.contracts.world import DEGRADED, HALTED, OK

YEAR_S = 31_536_000
VIRTUAL_SHARES = 10**6
RESETS_MOST = 1


class Refused(Exception):
    """The contract must refuse the call too."""


def need(ok: bool, why: str) -> None:
    if not ok:
        raise Refused(why)


@dataclass
class Priced:
    """A price as it was last pushed; `index` is the funding index of a market."""

    price: int
    slow: int
    confidence_bps: int
    time: int
    index: int = 0

    def guarded(self, now: int, guards: list[int]) -> tuple[Quote, int]:
        """The price inside its band, and its state; guards as `Prices` takes them."""
        soft_s, hard_s, band_bps, confidence_most = guards[:4]
        age, band = max(now - self.time, 0), self.slow * band_bps // BPS
        inside = min(max(self.price, self.slow - band), self.slow + band)
        if age > hard_s:
            return Quote(self.price, self.slow, self.confidence_bps), HALTED
        doubtful = inside != self.price or age > soft_s or self.confidence_bps > confidence_most
        return Quote(inside, self.slow, self.confidence_bps), DEGRADED if doubtful else OK


@dataclass
class Position:
    lots: int = 0
    leg: int = 0
    index: int = 0


@dataclass
class Account:
    cash: int = 0
    shares: int = 0
    balances: dict[int, int] = field(default_factory=dict)
    positions: dict[int, Position] = field(default_factory=dict)
    start: int = 0
    resets: int = 0


@dataclass(frozen=True)
class Market:
    multiplier: int
    rates_bps: tuple[int, int]
    """Initial, maintenance."""
    band_bps: int
    fee_most_bps: int


@dataclass
class Pool:
    """The settlement asset: lenders' money, the fund, and the cash of accounts."""

    terms: list[int]
    """As `Pool` takes them."""
    now: int
    idle: int = 0
    insurance: int = 0
    custody: int = 0
    debt: int = 0
    shares: int = 0
    accrued_at: int = 0
    rate_bps: int = 0
    supply: int = 0

    def interest(self) -> int:
        return ceil_div(self.debt * self.rate_bps * (self.now - self.accrued_at), BPS * YEAR_S)

    def reserve(self) -> int:
        return min(self.interest() * self.terms[4] // BPS, self.idle)

    def total(self) -> int:
        """What the lenders' shares are worth."""
        return self.debt + self.interest() + self.idle - self.reserve()

    def owed(self, shares: int) -> int:
        return ceil_div(shares * (self.debt + self.interest()), self.shares) if self.shares else shares

    def lendable(self) -> int:
        debt = self.debt + self.interest()
        return min(self.idle - self.reserve(), max(self.terms[5] - debt, 0))

    def accrue(self) -> None:
        interest, reserve = self.interest(), self.reserve()
        self.debt, self.idle, self.insurance = self.debt + interest, self.idle - reserve, self.insurance + reserve
        self.accrued_at = self.now

    def rerate(self) -> None:
        """The rate of the utilisation that a change leaves."""
        base, low, high, kink = self.terms[:4]
        use = ceil_div(self.debt * BPS, self.debt + self.idle) if self.debt else 0
        rate = base + ceil_div(min(use, kink) * low, kink)
        self.rate_bps = rate + (ceil_div((use - kink) * high, BPS - kink) if use > kink else 0)

    @contextmanager
    def accrued(self) -> Iterator[None]:
        self.accrue()
        yield
        self.rerate()

    def lend(self, amount: int) -> int:
        with self.accrued():
            need(amount <= self.idle, "NotEnoughIdle")
            minted = ceil_div(amount * self.shares, self.debt) if self.debt else amount
            self.debt, self.shares, self.idle = self.debt + amount, self.shares + minted, self.idle - amount
            need(self.debt <= self.terms[5], "BorrowCap")
        return minted

    def repay(self, amount: int, shares: int) -> tuple[int, int]:
        """Paid, and debt shares ended."""
        with self.accrued():
            paid = min(amount, self.owed(shares))
            burned = self._end(paid, shares)
            self.idle += paid
        return paid, burned

    def lose(self, amount: int, shares: int) -> int:
        """Debt that nobody pays; the debt shares ended."""
        with self.accrued():
            return self._end(amount, shares)

    def _end(self, paid: int, shares: int) -> int:
        owed = self.owed(shares)
        burned = shares if paid == owed else paid * self.shares // self.debt
        self.debt, self.shares = self.debt - paid, self.shares - burned
        return burned

    def deposit(self, assets: int) -> int:
        minted = assets * (self.supply + VIRTUAL_SHARES) // (self.total() + 1)
        need(minted > 0, "NothingOrNobody")
        with self.accrued():
            self.idle, self.supply = self.idle + assets, self.supply + minted
        return minted

    def insure(self, amount: int) -> None:
        self.insurance += amount

    def redeem(self, shares: int) -> int:
        assets = shares * (self.total() + 1) // (self.supply + VIRTUAL_SHARES)
        need(assets > 0, "NothingOrNobody")
        with self.accrued():
            need(assets <= self.idle, "NotEnoughIdle")
            self.idle, self.supply = self.idle - assets, self.supply - shares
        return assets


@dataclass
class Twin:
    """All accounts, markets and the pool; every method is one call, with a time that only `now` moves."""

    pool: Pool
    guards: list[int]
    auction_terms: list[int]
    weights_bps: tuple[int, int]
    """Initial, maintenance; of every collateral, with a unit of 10**18 atoms."""
    markets: dict[int, Market]
    now: int = 0
    collaterals: dict[int, Priced] = field(default_factory=dict)
    marks: dict[int, Priced] = field(default_factory=dict)
    accounts: dict[int, Account] = field(default_factory=dict)
    pots: dict[int, int] = field(default_factory=dict)
    deficits: dict[int, int] = field(default_factory=dict)
    fees: dict[int, int] = field(default_factory=dict)
    insurance_owed: int = 0
    lost_by_lenders: int = 0

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A call that is refused changes nothing."""
        kept = copy.deepcopy(self.__dict__)
        try:
            yield
        except Refused:
            self.__dict__.update(kept)
            raise

    # Prices

    def at(self, now: int) -> None:
        self.now = self.pool.now = now

    def push(self, prices: dict[int, int], marks: dict[int, tuple[int, int]], confidence_bps: int) -> None:
        """Prices of collaterals, and of markets with their funding index, signed now."""
        for key, price in prices.items():
            self.collaterals[key] = self._moved(self.collaterals.get(key), price, confidence_bps, 0)
        for key, (price, index) in marks.items():
            self.marks[key] = self._moved(self.marks.get(key), price, confidence_bps, index)

    def _moved(self, old: Priced | None, price: int, confidence_bps: int, index: int) -> Priced:
        slow = price if old is None else model.slow_moved(old.slow, price, self.now - old.time)
        return Priced(price, slow, confidence_bps, self.now, index)

    # Health

    def profit(self, position: Position, market: int, *, initial: bool = False) -> tuple[int, int]:
        """Unsettled profit after funding, and the requirement."""
        quote, _ = self.marks[market].guarded(self.now, self.guards)
        terms, leg = self.markets[market], self.funded(position, market)
        return model.unsettled(position.lots, leg, quote, terms.multiplier, terms.rates_bps, initial=initial)

    def funded(self, position: Position, market: int) -> int:
        """The quote leg with funding up to now."""
        paid = self.marks[market].index - position.index if position.lots else 0
        return position.leg - model.funding_up(position.lots, paid, self.markets[market].multiplier)

    def carried(self, account: Account, *, initial: bool = False) -> tuple[int, int]:
        """Equity and margin of cash, debt and collateral alone."""
        equity, margin = account.cash - self.pool.owed(account.shares), 0
        for asset, amount in account.balances.items():
            quote, _ = self.collaterals[asset].guarded(self.now, self.guards)
            value, weighted = model.collateral(amount, quote, self.weights_bps, 18, initial=initial)
            equity, margin = equity + value, margin + value - weighted
        return equity, margin

    def risked(self, account: Account, *, initial: bool = False) -> tuple[int, int]:
        """Profit and requirement of all positions."""
        terms = [self.profit(position, market, initial=initial) for market, position in account.positions.items()]
        return sum(profit for profit, _ in terms), sum(required for _, required in terms)

    def state(self, account: Account, *, positions: bool = True) -> int:
        """The worst state of a price that the account depends on."""
        used = [self.collaterals[asset] for asset in account.balances]
        used += [self.marks[market] for market in account.positions] if positions else []
        return max((priced.guarded(self.now, self.guards)[1] for priced in used), default=OK)

    def standing(self, number: int) -> tuple[int, int, int, int]:
        """As the view of `Clearing` gives it."""
        account = self.accounts[number]
        equity, margin = self.carried(account)
        profit, required = self.risked(account)
        begun = account.start | account.resets << 32
        return equity + profit, margin + required, self.state(account), begun

    def spare_initial(self, account: Account, new_debt: int = 0) -> int:
        """Equity over initial margin; profit that is not settled carries positions and never a debt."""
        equity, margin = self.carried(account, initial=True)
        profit, required = self.risked(account, initial=True)
        spare = profit - required
        return equity - new_debt - margin + (min(spare, 0) if account.shares or new_debt else spare)

    def check_initial(self, number: int, new_debt: int = 0) -> None:
        account = self.accounts[number]
        need(not account.start, "UnderLiquidation")
        if not (new_debt or account.positions or account.shares):
            return
        if not account.positions and account.cash >= self.pool.owed(account.shares) + new_debt:
            return  # no price matters
        need(self.state(account) == OK, "PricesNotGood")
        need(self.spare_initial(account, new_debt) >= 0, "BelowInitialMargin")

    # Collateral, cash, debt

    def deposit(self, number: int, asset: int, amount: int) -> None:
        need(amount > 0, "NotListed")
        balances = self.accounts[number].balances
        balances[asset] = balances.get(asset, 0) + amount

    def withdraw(self, number: int, asset: int, amount: int) -> None:
        balances = self.accounts[number].balances
        need(0 < amount <= balances.get(asset, 0), "NothingOrNobody")
        balances[asset] -= amount
        if not balances[asset]:
            del balances[asset]
        self.check_initial(number)

    def deposit_cash(self, number: int, amount: int) -> None:
        self.accounts[number].cash += amount
        self.pool.custody += amount

    def withdraw_cash(self, number: int, amount: int) -> None:
        account = self.accounts[number]
        need(amount <= account.cash, "Overdrawn")
        account.cash -= amount
        self.check_initial(number)
        self.pool.custody -= amount

    def borrow(self, number: int, amount: int) -> None:
        need(amount > 0, "NothingOrNobody")
        # With one share more: they are rounded up, and one may owe more than an atom.
        self.accounts[number].shares += 1
        self.check_initial(number, amount)
        self.accounts[number].shares += self.pool.lend(amount) - 1

    def repay(self, number: int, amount: int) -> int:
        account = self.accounts[number]
        paid, burned = self.pool.repay(amount, account.shares)
        account.shares -= burned
        return paid

    def repay_from_cash(self, number: int, amount: int) -> int:
        account = self.accounts[number]
        paid = self.repay(number, min(amount, account.cash))
        account.cash, self.pool.custody = account.cash - paid, self.pool.custody - paid
        return paid

    # Positions

    def move(self, number: int, market: int, lots: int, amount: int) -> None:
        """Add to a position whose funding is paid."""
        positions = self.accounts[number].positions
        old = positions.get(market, Position())
        new = Position(old.lots + lots, self.funded(old, market) + amount, self.marks[market].index)
        positions.pop(market, None)
        if new.lots or new.leg:
            positions[market] = new

    def fill(self, buyer: int, seller: int, market: int, lots: int, price: int, fee_bps: int) -> None:
        terms, (quote, state) = self.markets[market], self.marks[market].guarded(self.now, self.guards)
        need(buyer >> 8 != seller >> 8, "OneOwner")
        need(state == OK, "PricesNotGood")
        need(abs(price - quote.price) * BPS <= quote.price * terms.band_bps, "OutsideBand")
        need(fee_bps <= terms.fee_most_bps, "FeeAboveLimit")
        notional = lots * price * terms.multiplier
        fee = ceil_div(notional * fee_bps, BPS)
        self._trade(buyer, market, lots, -notional - fee)
        self._trade(seller, market, -lots, notional - fee)
        self.fees[market] = self.fees.get(market, 0) + 2 * fee

    def _trade(self, number: int, market: int, lots: int, amount: int) -> None:
        """A side passes with initial margin, or where it lowers requirement and shortfall, of both margins."""
        account = self.accounts[number]
        old = account.positions.get(market, Position())
        before = [self.profit(old, market, initial=initial) for initial in (True, False)]
        self.move(number, market, lots, amount)
        need(not account.start, "UnderLiquidation")
        if self.state(account) == OK and self.spare_initial(account) >= 0:
            return
        new = account.positions.get(market, Position())
        after = [self.profit(new, market, initial=initial) for initial in (True, False)]
        for (profit, required), (new_profit, new_required) in zip(before, after, strict=True):
            need(new_required <= required, "BelowInitialMargin")
            need(new_profit - new_required >= profit - required, "BelowInitialMargin")

    def settle(self, number: int, market: int) -> None:
        account = self.accounts[number]
        need(market in account.positions, "NoPosition")
        need(self.marks[market].guarded(self.now, self.guards)[1] == OK, "PricesNotGood")
        profit, _ = self.profit(account.positions[market], market)
        if profit > 0:
            need(not self.deficits.get(market), "LossNotShared")
            moved = min(profit, self.pots.get(market, 0))
        else:
            moved = -self._collected(number, -profit)
        account.cash += moved
        self.pots[market] = self.pots.get(market, 0) - moved
        self.move(number, market, 0, -moved)

    def _collected(self, number: int, loss: int) -> int:
        """What of a loss comes from cash that no debt needs, then from a loan that collateral carries."""
        account = self.accounts[number]
        equity, margin = self.carried(account)
        is_known = self.state(account, positions=False) == OK
        spare = max(equity - margin, 0) if is_known else 0 if account.shares else account.cash
        free = min(account.cash, spare)
        amount = min(loss - account.cash, self.pool.lendable())
        if amount > 0 and is_known and not account.start and spare >= account.cash + amount + 1:
            account.shares += self.pool.lend(amount)
            account.cash, self.pool.custody = account.cash + amount, self.pool.custody + amount
            profit, required = self.risked(account)
            equity, margin = self.carried(account)
            need(equity + profit >= margin + required, "Unhealthy")
            return account.cash
        return min(loss, free)

    def sweep_insurance(self) -> None:
        self.pool.insurance += self.insurance_owed
        self.pool.custody -= self.insurance_owed
        self.insurance_owed = 0

    # Liquidation

    def offer(self, number: int) -> tuple[int, int, int, int, int, int]:
        """Fraction, price, equity, margin, pay and start, as the view of `Auction` gives them."""
        _, _, buffer, fee, full, _, _, _, rise, dust = self.auction_terms
        equity, margin, state, start = self.standing(number)
        nothing = (0, 0, equity, margin, 0, start)
        missing = model.missing_up(equity, margin, buffer)
        is_short = equity < margin if state == OK else 10 * equity < 9 * margin
        if missing <= 0 or state == HALTED or not ((start and state == OK) or is_short):
            return nothing
        start = start or self.now
        elapsed = self.now - start % 2**32
        price = model.price_e18(elapsed, self.auction_terms)
        if equity <= 0 or price == 0:
            shortfall, whole = max(-equity, 0), max(margin - equity, 0)
            payout = (shortfall * rise + (whole - shortfall) * min(elapsed, rise)) // rise
            return WAD, 0, equity, margin, payout, start
        fraction = model.slice_up(missing, equity, price * (BPS - fee) // BPS)
        if equity * BPS < margin * full or margin * (WAD - fraction) < dust * WAD:
            fraction = WAD
        return fraction, price, equity, margin, 0, start

    def begin(self, number: int, *, again: bool = False) -> None:
        """Start or reset an auction."""
        fraction, *_, start = self.offer(number)
        account = self.accounts[number]
        need(fraction > 0, "NotLiquidatable")
        if again:
            is_old = self.now - start % 2**32 > self.auction_terms[7]
            need(is_old and account.resets < RESETS_MOST, "AuctionRunning")
            account.resets += 1
        else:
            need(not account.start, "AuctionRunning")
        account.start = self.now

    def finish(self, number: int) -> None:
        equity, margin, state, start = self.standing(number)
        missing = model.missing_up(equity, margin, self.auction_terms[2])
        need(start != 0 and missing <= 0 and state == OK, "StillUnhealthy")
        self.accounts[number].start = self.accounts[number].resets = 0

    def bid(self, number: int, taker: int, fraction_most: int) -> tuple[int, int, int]:
        """Fraction, paid, pay."""
        fraction, price, equity, margin, payout, start = self.offer(number)
        need(fraction > 0, "NotLiquidatable")
        need(number >> 8 != taker >> 8, "OneOwner")
        if price == 0:
            need(fraction_most >= WAD, "Dust")
            payout = self._absorb(number, taker, equity, payout)
            self._take(number, taker, WAD, 0, 0, 0)
            return WAD, 0, payout
        part, dust = min(fraction, fraction_most), self.auction_terms[9] * WAD
        need(part == fraction or (margin * part >= dust and margin * (WAD - part) >= dust), "Dust")
        paid = ceil_div(equity * price * part, WAD * WAD)
        fee = paid * self.auction_terms[3] // BPS
        self._take(number, taker, part, paid, fee, 0 if part == fraction else start)
        return part, paid, 0

    def _take(self, number: int, taker: int, part: int, paid: int, fee: int, start: int) -> None:
        account, other = self.accounts[number], self.accounts[taker]
        self._take_positions(number, taker, part)
        for asset, amount in list(account.balances.items()):
            moved = amount * part // WAD
            account.balances[asset] -= moved
            other.balances[asset] = other.balances.get(asset, 0) + moved
        for each in (account, other):
            each.balances = {asset: amount for asset, amount in each.balances.items() if amount}
        cash, shares = account.cash * part // WAD, account.shares * part // WAD
        need(other.cash + cash >= paid, "Overdrawn")
        account.cash, other.cash = account.cash - cash + paid - fee, other.cash + cash - paid
        account.shares, other.shares = account.shares - shares, other.shares + shares
        account.start, account.resets = start % 2**32, start >> 32
        self.insurance_owed += fee
        self.check_initial(taker)

    def _take_positions(self, number: int, taker: int, part: int) -> None:
        """Lots rounded up; what is more than the part changes hands at the mark: profit moves by the part."""
        for market, position in list(self.accounts[number].positions.items()):
            quote, _ = self.marks[market].guarded(self.now, self.guards)
            worth = quote.price * self.markets[market].multiplier
            leg = self.funded(position, market)
            lots = ceil_div(abs(position.lots) * part, WAD) * (1 if position.lots >= 0 else -1)
            profit = (position.lots * worth + leg) * part
            moved = (profit // WAD if profit >= 0 else -(-profit // WAD)) - lots * worth
            self.move(number, market, -lots, -moved)
            self.move(taker, market, lots, moved)

    def _absorb(self, number: int, taker: int, equity: int, payout: int) -> int:
        """Pay for an account worth less than nothing: the fund, the lenders, the winners of its losing markets."""
        account = self.accounts[number]
        profits = {market: self.profit(position, market)[0] for market, position in account.positions.items()}
        lenders_most = max(sum(profits.values()) - equity, 0) if profits else payout
        insured = min(payout, self.pool.insurance)
        self.pool.insurance, self.pool.custody = self.pool.insurance - insured, self.pool.custody + insured
        self.accounts[taker].cash += insured
        lost = min(payout - insured, lenders_most, self.pool.owed(account.shares))
        if lost:
            account.shares -= self.pool.lose(lost, account.shares)
            self.lost_by_lenders += lost
        left = payout - insured - lost
        for market in sorted(profits):
            charged = min(left, max(-profits[market], 0))
            if charged:
                left -= charged
                self.deficits[market] = self.deficits.get(market, 0) + charged
                self.move(number, market, 0, charged)
        return payout - left

    def share_market_loss(self, market: int) -> dict[int, int]:
        """What each holder loses of his profit."""
        need(self.marks[market].guarded(self.now, self.guards)[1] == OK, "PricesNotGood")
        deficit = self.deficits.get(market, 0)
        need(deficit > 0, "NoLoss")
        holders = [number for number in sorted(self.accounts) if market in self.accounts[number].positions]
        profits = {each: max(self.profit(self.accounts[each].positions[market], market)[0], 0) for each in holders}
        total = sum(profits.values())
        left = shared = min(deficit, total)
        cuts = {}
        for each, profit in profits.items():
            cut = min(left, ceil_div(shared * profit, total)) if profit else 0
            if cut:
                left -= cut
                cuts[each] = cut
                self.move(each, market, 0, -cut)
        self.deficits[market] = deficit - shared
        return cuts
