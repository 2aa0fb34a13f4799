"""Random runs: a venue with little depth, small pools and a small fund, and what its users, keepers and markets do."""

from random import Random
from typing import Any

import msgspec
from tests.engine.desk import INSTRUMENTS, policy_with
from tests.reference.compare import Pair

from solvent.domain import commands as c
from solvent.domain.owners import INSURANCE, MARKET
from solvent.domain.symbols import expiry_ns_of, instrument

HOUR_NS = 3_600 * 10**9
START_NS = expiry_ns_of("240603") + HOUR_NS
USDC, BTC, ETH, PERP, ETH_PERP, INVERSE, FUTURE, CALL, PUT, COIN_CALL = range(10)
DERIVATIVES = (PERP, ETH_PERP, INVERSE, FUTURE, CALL, PUT, COIN_CALL)
ASSETS = (USDC, BTC, ETH)
UNITS = {
    USDC: 10**6, BTC: 10**8 // 60_000, ETH: 10**18 // 3_000,
    PERP: 100_000, ETH_PERP: 200_000, INVERSE: 60_000, FUTURE: 100_000, CALL: 100, PUT: 100, COIN_CALL: 100,
}  # fmt: skip
"""A USD of each asset in atoms; about 60,000 USD of each derivative in lots."""
NAMES = ("north", "north-2", "south", "south-2", "east", "west", "lender", "alone", "maker")
LENDER, ALONE, MAKER = 6, 7, 8
POLICIES = (
    policy_with(),
    policy_with(liquidation={"insurance": {"owner_cap_usd_daily": 3_000}}, margin={"expected_shortfall_count": 3}),
    policy_with(liquidation={"deleveraging": "pro_rata"}, margin={"margin_scale": 1.5}),
    policy_with(limits={"BTC/USDC:USDC": {"owner_usd": 200_000, "total_usd": 500_000}, "ETH": {"daily_usd": 50_000}}),
    policy_with(margin={"groups": [{"assets": ["BTC", "ETH"], "correlation": 0.55}]},
                liquidation={"insurance": {"cap_usd_daily": 5_000, "instrument_cap_usd_daily": 2_000}}),
)  # fmt: skip

NONSENSE: tuple[c.Command, ...] = (
    c.Deposit(99, USDC, 1), c.Deposit(0, PERP, 1), c.Deposit(0, USDC, 0), c.Withdraw(0, USDC, 2**127),
    c.Fill(PERP, 0, 0, 1, 600_000), c.Fill(PERP, 0, MAKER, 0, 600_000), c.Fill(77, 0, MAKER, 1, 1),
    c.OpenOrder(0, PERP, 0, 1), c.Settle(USDC), c.Fund(USDC, 1, 1), c.Freeze(), c.OpenAccount(""),
    c.OpenAccount("north"), c.Mark((c.Quote(PERP, 0),)), c.Mark((), (), 1), c.Accrue(PERP, 1),
    c.Redeem(0, USDC, 0), c.Transfer(0, 4, USDC, 1), c.Expire(PERP, 1), c.Socialise(0), c.Bid(0, 1, 1),
)  # fmt: skip


class Run:
    """One seeded run against a pair."""

    def __init__(self, seed: int, pair: Pair | None = None) -> None:
        self.random = Random(seed)
        self.pair = pair or Pair()
        self.pair.now_ns = START_NS
        self.price = {"USDC": 1.0, "BTC": 60_000.0, "ETH": 3_000.0}
        self._open()

    # ---- how it begins

    def _open(self) -> None:
        send, random = self.pair.send, self.random
        for each in INSTRUMENTS:
            send(c.ListInstrument(each))
        send(c.SetPolicy(random.choice(POLICIES)))
        self.mark()
        for name in NAMES:
            send(c.OpenAccount(name, name.partition("-")[0], BTC if name == "alone" else -1))
        for account in range(6):
            send(c.Deposit(account, USDC, 20_000 * UNITS[USDC]))
        for account in (1, 3, ALONE):
            send(c.Deposit(account, BTC, 5 * 10**7))
        send(c.Deposit(2, ETH, 3 * 10**18))
        for asset, usd in ((USDC, 3_000_000), (BTC, 2_000_000)):
            send(c.Deposit(MAKER, asset, usd * UNITS[asset]))
        for asset, usd in ((USDC, 30_000), (BTC, 60_000)):
            send(c.Deposit(LENDER, asset, usd * UNITS[asset]))
            send(c.Supply(LENDER, asset, usd * UNITS[asset]))
        fund = random.choice((0, 1_000, 20_000))
        if fund:
            send(c.Deposit(INSURANCE, USDC, fund * UNITS[USDC]))
        for _ in range(8):
            self.trade()

    # ---- prices

    def mark(self) -> None:
        """Marks of everything; forwards, volatility, states, slow prices and sources' widths as they come."""
        random, rows = self.random, []
        for i, each in enumerate(self.pair.state.universe):
            if i in self.pair.state.expired:
                continue
            rows.append(self._quote(i, each, random))
        self.pair.send(c.Mark(tuple(rows), (), self.pair.now_ns))

    def _quote(self, i: int, each: Any, random: Random) -> c.Quote:
        asset = each.underlying
        price = self.price.get(asset, 1.0)
        volume = random.choice((-1, 150_000_017, 2_000_000_033)) if each.kind == 0 else -1
        ticks, vol, forward = max(1, round(price / float(each.tick))), 0, 0
        if each.kind in (1, 2):
            ticks = max(1, round(ticks * random.uniform(0.998, 1.002)))
        elif each.kind == 3:
            vol = random.randrange(200_000_000, 1_200_000_000)
            coin = price if each.inverse else 1.0
            ticks = random.choice((0, max(1, round(price * random.uniform(0.001, 0.05) / coin / float(each.tick)))))
            forward = random.choice((0, round(price * 1.001 * 1e6)))
        calm = random.random() < 0.7
        return c.Quote(
            i,
            ticks,
            slow_ticks=0 if calm or each.kind == 3 else max(1, round(ticks * random.uniform(0.97, 1.03))),
            state=random.choices((0, 1, 2, 3), (97, 1, 1, 1))[0],
            confidence_e9=0 if calm else random.randrange(0, 3_000_000),
            forward_ticks=forward,
            vol_e9=vol,
            volume_usd_daily=volume,
            spread_e9=random.choice((0, 0, 700_000, 2_000_000)),
        )

    # ---- what happens

    def step(self) -> None:
        """One thing, or a crash and its waterfall."""
        kinds = (
            (self.trade, 14), (self.fill, 8), (self.swap, 5), (self.order, 6), (self.cancel, 2), (self.money, 10),
            (self.pool, 5), (self.tick, 9), (self.crash, 9), (self.clock, 4), (self.waterfall, 8), (self.by_hand, 5),
            (self.operate, 3), (self.nonsense, 2),
        )  # fmt: skip
        self.random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]()

    def _account(self) -> int:
        return self.random.randrange(len(NAMES))

    def _lots(self, i: int, scale: float = 1.0) -> int:
        return max(1, int(UNITS[i] * scale * self.random.choice((1e-5, 0.01, 0.1, 0.3, 1.0)) * self.random.random()))

    def _near(self, i: int, width: float = 0.033) -> int:
        """A price around the mark."""
        quote = self.pair.state.quotes[i].ticks
        return max(1, round(quote * self.random.uniform(1 - width, 1 + width)))

    def trade(self) -> None:
        """Somebody and the maker, at the mark, for a good part of what the equity allows."""
        account, i = self.random.randrange(6), self.random.choice(DERIVATIVES)
        if self.random.random() < 0.1:
            account = ALONE
        exact = self.pair.engine.risk.exact(account)
        free = max(0, exact.equity - exact.initial_margin) / 1e6
        part = self.random.choice((0.3, 0.9, 0.97, self.random.random()))
        size = max(1, int(part * free / 0.17 / 60_000 * UNITS[i]))
        sides = (MAKER, account) if self.random.random() < 0.5 else (account, MAKER)
        self.pair.send(c.Fill(i, *sides, size, max(1, self.pair.state.quotes[i].ticks)))

    def fill(self) -> None:
        i = self.random.choice(DERIVATIVES)
        sides = [self.random.choice((MARKET, *range(len(NAMES)))) for _ in range(2)]
        fees = self.random.choice((0, 7))
        self.pair.send(c.Fill(i, *sides, self._lots(i), self._near(i), -1, fees, fees))

    def swap(self) -> None:
        i, payment = self.random.choice(((BTC, -1), (ETH, -1), (ETH, BTC), (BTC, USDC)))
        sides = [self.random.choice((MARKET, *range(len(NAMES)))) for _ in range(2)]
        lots = max(
            1, int(UNITS[i] * self.random.choice((1.0, 500.0, 20_000.0))) // self.pair.state.universe.lot_atoms[i]
        )
        ticks = self._near(i)
        if payment == BTC:
            ticks = max(1, round(ticks / self.price["BTC"]))
        self.pair.send(c.Fill(i, *sides, lots, ticks, payment, self.random.choice((0, 3))))

    def order(self) -> None:
        i = self.random.choice((*DERIVATIVES, BTC, ETH))
        spot = i in ASSETS
        lots = self._lots(i, 60_000.0 if spot else 1.0)
        lots = max(1, lots // self.pair.state.universe.lot_atoms[i]) if spot else lots
        side = self.random.choice((1, -1))
        self.pair.send(c.OpenOrder(self._account(), i, side * lots, self._near(i, 0.05)))

    def cancel(self) -> None:
        rows = [(a, id) for a, row in self.pair.state.orders.items() for id in row]
        self.pair.send(c.CancelOrder(*(self.random.choice(sorted(rows)) if rows else (0, 9))))

    def money(self) -> None:
        random, account, asset = self.random, self._account(), self.random.choice(ASSETS)
        atoms = max(1, int(UNITS[asset] * random.choice((1e-6, 1.0, 500.0, 5_000.0, 40_000.0)) * random.random()))
        kind = random.choice(("deposit", "withdraw", "withdraw", "all", "borrow", "transfer", "insure"))
        if kind == "deposit":
            self.pair.send(c.Deposit(account, asset, atoms))
        elif kind == "insure":
            self.pair.send(c.Deposit(INSURANCE, asset, max(1, atoms // 20)))
        elif kind == "transfer":
            self.pair.send(c.Transfer(account, account ^ 1 if account < 4 else self._account(), asset, atoms))
        else:
            own = max(0, self.pair.state.balance(account, asset))
            self.pair.send(c.Withdraw(account, asset, max(1, {"all": own, "borrow": own + atoms}.get(kind, atoms))))

    def pool(self) -> None:
        random, asset = self.random, self.random.choice(ASSETS)
        account = random.choice((LENDER, MAKER, self._account()))
        if random.random() < 0.5:
            self.pair.send(c.Supply(account, asset, max(1, int(UNITS[asset] * 5_000 * random.random()))))
        else:
            held = self.pair.state.pool_shares(asset, account)
            self.pair.send(c.Redeem(account, asset, int(held * random.choice((0.1, 0.5, 1.0)))))

    def tick(self, *, most: float = 0.03) -> None:
        """Time passes, prices move."""
        self.pair.now_ns += round(self.random.choice((0.0, 1.0, 5.0, 60.0, 480.0)) * 60e9)
        for asset in ("BTC", "ETH"):
            self.price[asset] = min(1e6, max(500.0, self.price[asset] * (1 + self.random.uniform(-most, most))))
        self.price["USDC"] = self.random.choices((1.0, 0.999, 0.96), (8, 1, 1))[0]
        self.mark()

    def crash(self) -> None:
        for _ in range(2):
            self.trade()
        self.tick(most=self.random.choice((0.1, 0.2, 0.35, 0.5)))
        self.waterfall()

    def clock(self) -> None:
        """What engines do on the hour: funding, settlement, interest, expiry, sweeps."""
        pair, random = self.pair, self.random
        now = pair.now_ns
        kind = random.choice(("settle", "settle", "fund", "accrue", "expire", "sweep"))
        if kind == "settle":
            pair.send(c.Settle(random.choice(DERIVATIVES)))
        elif kind == "fund":
            i = random.choice((PERP, ETH_PERP, INVERSE, FUTURE))
            pair.send(c.Fund(i, now // (8 * HOUR_NS) + random.choice((0, 0, 1)), random.randrange(-(10**10), 10**10)))
            pair.send(c.Settle(i))
        elif kind == "accrue":
            for asset in ASSETS:
                pair.send(c.Accrue(asset, now // HOUR_NS + random.choice((0, 0, 1))))
        elif kind == "expire":
            if random.random() < 0.3:
                pair.now_ns = max(now, expiry_ns_of("240607"))
                self.mark()
            pair.send(
                c.Expire(
                    random.choice((FUTURE, CALL, PUT, COIN_CALL)), round(self.price["BTC"] * 1e6) + random.randrange(99)
                )
            )
        else:
            pair.send(c.Sweep(random.choice(ASSETS)))

    def waterfall(self) -> None:
        """What follows a mark: calls, partial steps, auctions, insurance, deleveraging, sharing."""
        send, state = self.pair.send, self.pair.state
        for account in range(len(NAMES)):
            send(c.MarginCall(account))
            for _ in range(2):
                if state.accounts[account].stage == "liquidating":
                    send(c.Liquidate(account))
            if state.accounts[account].stage == "auction":
                self._auction(account)
            if self.pair.engine.risk.exact(account).equity < 0 and self.random.random() < 0.9:
                send(c.Insure(account))
                for i in sorted(state.positions.get(account, {})):
                    send(c.Deleverage(account, i))
                send(c.Socialise(account))

    def _auction(self, account: int) -> None:
        self.pair.now_ns += round(self.random.choice((0.0, 10.0, 60.0, 500.0)) * 1e9)
        kind = self.random.choice((c.CloseAuction, c.ResetAuction, c.Bid))
        if kind is c.Bid:
            share = self.random.choice((10**8, 5 * 10**8, 10**9, 1))
            self.pair.send(c.Bid(account, self.random.choice((MARKET, MAKER, self._account())), share))
        else:
            self.pair.send(kind(account))

    def by_hand(self) -> None:
        """Steps that nobody needs now."""
        kinds = (c.MarginCall, c.Liquidate, c.StartAuction, c.ResetAuction, c.CloseAuction, c.Insure, c.Socialise)
        if self.random.random() < 0.2:
            self.pair.send(c.Deleverage(self._account(), self.random.choice(DERIVATIVES)))
        else:
            self.pair.send(self.random.choice(kinds)(self._account()))

    def operate(self) -> None:
        random = self.random
        kind = random.choice(("freeze", "lift", "instrument", "policy", "delist", "list", "load"))
        if kind in ("freeze", "lift"):
            self.pair.send(c.Freeze(account=self._account(), on=kind == "freeze"))
        elif kind == "instrument":
            self.pair.send(c.Freeze(instrument=random.choice((PERP, ETH_PERP, ETH)), on=random.random() < 0.4))
        elif kind == "policy":
            self.pair.send(c.SetPolicy(random.choice(POLICIES)))
        elif kind == "delist":
            self.pair.send(c.DelistInstrument(random.choice((ETH_PERP, PUT))))
        elif kind == "list":
            self.pair.send(c.ListInstrument(instrument(random.choice(("USDT", "BTC")))))
        else:
            quote = -UNITS[PERP] * self.pair.state.quotes[PERP].ticks
            self.pair.send(c.Load(self._account(), ((USDC, 10**9),), ((PERP, UNITS[PERP], quote),)))

    def nonsense(self) -> None:
        """Commands that nobody could mean."""
        self.pair.send(self.random.choice(NONSENSE))


def run(seed: int, steps: int = 60, pair: Pair | None = None) -> Pair:
    """A whole run. Raises Differ with the seed and the number of commands where the two do not agree."""
    pair = pair or Pair()
    try:
        made = Run(seed, pair)
        for _ in range(steps):
            made.step()
    except AssertionError as wrong:
        last = msgspec.json.encode(pair.done[-1]).decode() if pair.done else ""
        wrong.add_note(f"seed {seed}, command {len(pair.done)}: {last[:400]}")
        raise
    return pair
