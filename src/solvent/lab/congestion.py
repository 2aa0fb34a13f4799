"""Auctions on a full chain: the same keepers, caps and gas prices under an English auction and under ours."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from solvent.chain.mempool import Mempool, PoolRefused
from solvent.chain.offers import WAD, price_e18
from solvent.chain.plan import Auctions
from solvent.errors import SolventError, problem

F64 = NDArray[np.float64]
Kind: TypeAlias = Literal["english", "dutch"]

GWEI = 10**9
BIDDER = b"bidder"
BACKGROUND = 10
"""Transactions that stand for all others of a block; each takes a tenth of it."""
SMALL = 6
"""Further ones of a bid's size at the least price: what large ones leave of a block is not free either."""
ZERO_DAI_PER_ETH = 1.0
"""A win below this counts as one for nothing, as in the published counts."""
GAS_COLUMNS = ("ts", "gas_price_p30_gwei", "gas_price_p60_gwei", "gas_price_p90_gwei")
AUCTION_COLUMNS = ("last_bid_ts", "lot_eth", "best_price_dai_per_eth", "market_price_eth_usd")


class Setting(msgspec.Struct, frozen=True):
    """What is not in the records. Times in seconds, gas prices in gwei."""

    caps: tuple[tuple[int, float], ...] = ((0, 101.0), (14, 150.0))
    """(hour of the day, most that keepers pay for gas). The default is what settlements of the day paid: 101 gwei
    until noon, 150 at two o'clock, when operators had changed their settings by hand."""
    keepers: int = 3
    waiting_for_nothing: int = 4
    """Bidders with any gas price who bid only where it costs nothing: four were counted that day."""
    block_s: float = 13.2
    block_gas: int = 10_000_000
    bid_gas: int = 180_000
    bid_ttl_s: float = 600.0
    """English: an auction ends so long after its last bid."""
    discount: float = 0.05
    """Below the market at which keepers bid or think a price good."""
    collateral_ratio: float = 1.45
    """Of a vault when its auction begins: what is beyond the debt is equity, and ours sells equity."""
    dust_usd: float = 100.0
    """Lots worth less are left out: their gas is a good part of them, and our contract sells them with the rest."""
    auctions: Auctions = Auctions()


class Result(msgspec.Struct, frozen=True):
    """One row an auction, in order of beginning."""

    start_s: F64
    """Of the day."""
    taken_s: F64
    """When the winning bid came; NaN where nobody bid."""
    paid_share: F64
    """Of what the lot is worth at the market."""
    for_nothing: NDArray[np.bool_]


class Replay(msgspec.Struct, frozen=True):
    """Both auctions beside the record."""

    hours: pl.DataFrame
    """hour, gas price (p30), auctions, for_nothing of: recorded, english, dutch; mean paid share of both."""
    english: Result
    dutch: Result
    recorded_for_nothing: int
    recorded_eth_for_nothing: float


class _Transaction(NamedTuple):
    """As the pool reads one: legacy gas prices are a fee and a tip of the same size at a base fee of 0."""

    hash: bytes
    sender: bytes
    nonce: int
    gas: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int


class _Chain:
    """A pool and a clock: blocks are filled by price, dearest first, as builders do."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.pool = Mempool()
        self.nonces: dict[bytes, int] = {}
        self.next: dict[bytes, int] = {}
        self.made = 0

    def send(self, sender: bytes, gas: int, gwei: float, replaces: int | None = None) -> bytes | None:
        """Hash of a transaction that the pool took. replaces: nonce of the one it replaces."""
        self.made += 1
        price = int(gwei * GWEI)
        nonce = self.next.get(sender, 0) if replaces is None else replaces
        each = _Transaction(self.made.to_bytes(32, "big"), sender, nonce, gas, price, price)
        try:
            self.pool.add(each, b"", self.nonces.get(sender, 0), 0)
        except PoolRefused:
            return None
        if replaces is None:
            self.next[sender] = nonce + 1
        return each.hash

    def send_others(self, prices: Sequence[float]) -> None:
        """A block's worth of others, and a little more."""
        large, least = self.setting.block_gas // BACKGROUND, prices[0]
        wanted = [(large, gwei) for gwei in _background(prices)] + [(self.setting.bid_gas, least)] * SMALL
        for gas, gwei in wanted:
            self.send(b"other" + self.made.to_bytes(8, "big"), gas, gwei)

    def drop_others(self) -> None:
        """What the others bid is drawn anew each block from what was paid, so what is left of it goes."""
        for each in self.pool:
            if not each.sender.startswith(BIDDER):
                self.pool.drop(each.hash)

    def block(self) -> list[bytes]:
        """Hashes of what the next block holds, in its order."""
        order, room, taken = self.pool.ordered(0, lambda sender: self.nonces.get(sender, 0)), self.setting.block_gas, []
        while (best := order.peek()) is not None:
            if best.gas > room:
                order.skip()
                continue
            room -= best.gas
            taken.append(best)
            order.advance()
        for each in taken:
            self.nonces[each.sender] = each.nonce + 1
            self.pool.drop(each.hash)
        return [each.hash for each in taken]


def replay(gas: pl.DataFrame, auctions: pl.DataFrame, setting: Setting | None = None) -> Replay:
    """Run a recorded day's auctions, at its gas prices, as English ones and as ours.

    Parameters
    ----------
    gas : frame
        `ts` and percentiles of paid gas prices (gwei) of a day, one row a bin.
    auctions : frame
        `last_bid_ts`, `lot_eth`, `best_price_dai_per_eth`, `market_price_eth_usd` of the same day.

    Raises
    ------
    SolventError
        For a missing column or a day without both.

    Notes
    -----
    The 30th percentile of what was paid is taken as the least that gets in promptly: below it are miners' own
    transactions and those that had waited. An auction begins where the record has its last bid. In both kinds the
    keepers that want to pay are capped, and those without a cap wait for a price of nothing.
    """
    setting = setting or Setting()
    prices, starts, lots, values, paid = _checked(gas, auctions, setting.dust_usd)
    english = _run("english", setting, prices, starts, lots, values)
    dutch = _run("dutch", setting, prices, starts, lots, values)
    recorded = paid < ZERO_DAI_PER_ETH
    hours = _hours(prices, starts, recorded, english, dutch)
    return Replay(hours, english, dutch, int(recorded.sum()), float(lots[recorded].sum()))


def _checked(gas: pl.DataFrame, auctions: pl.DataFrame, dust_usd: float) -> tuple[F64, F64, F64, F64, F64]:
    """Gas prices (bins, 4: second of the day and three percentiles), starts, lots, market prices, prices paid."""
    for name, frame, columns in (("gas", gas, GAS_COLUMNS), ("auctions", auctions, AUCTION_COLUMNS)):
        if missing := [each for each in columns if each not in frame.columns]:
            raise SolventError(problem(name, None, "columns", ", ".join(missing), ", ".join(columns)))
    days = gas["ts"].dt.date().unique().sort()
    if len(days) != 1:
        raise SolventError(problem("gas", None, "ts", f"{len(days)} days", "one day"))
    day = auctions.filter(pl.col("last_bid_ts").dt.date() == days[0]).drop_nulls(AUCTION_COLUMNS)
    day = day.filter(pl.col("lot_eth") * pl.col("market_price_eth_usd") >= dust_usd).sort("last_bid_ts")
    if not len(day):
        raise SolventError(problem("auctions", None, "last_bid_ts", "none", f"auctions of {days[0]}"))
    prices = np.column_stack([_second(gas["ts"]), *(gas[each].to_numpy() for each in GAS_COLUMNS[1:])])
    found = [day[each].to_numpy().astype(float) for each in AUCTION_COLUMNS[1:]]
    return prices[np.argsort(prices[:, 0])], _second(day["last_bid_ts"]), found[0], found[2], found[1]


def _second(times: pl.Series) -> F64:
    return (times.dt.epoch("ms").to_numpy() / 1e3) % 86_400.0


def _background(prices: Sequence[float]) -> Iterator[float]:
    """Gas prices of the others in a block: spread over what was paid from the 30th percentile up."""
    low, middle, high = prices
    for slot in range(BACKGROUND):
        at = 0.3 + 0.7 * slot / BACKGROUND
        yield float(np.interp(at, (0.3, 0.6, 0.9), (low, middle, high)))


def cap_at(caps: Sequence[tuple[int, float]], second: float) -> float:
    """What keepers pay for gas at most at a second of the day."""
    return next(cap for hour, cap in sorted(caps, reverse=True) if hour * 3_600 <= second)


class _Sale:
    """All auctions of one kind as they run."""

    def __init__(self, kind: Kind, setting: Setting, starts: F64, values: F64) -> None:
        self.kind, self.setting, self.starts, self.values = kind, setting, starts, values
        self.chain = _Chain(setting)
        self.terms = dict(enumerate(msgspec.structs.astuple(setting.auctions)))
        self.taken, self.paid = np.full(len(starts), np.nan), np.zeros(len(starts))
        self.live: set[int] = set()
        self._asked: set[tuple[int, int]] = set()
        self._bids: dict[bytes, tuple[int, bool]] = {}
        self._cap = 0.0

    def bid(self, now: float, p90: float, usd_per_eth: float) -> None:
        """Who wants to bid sends it, once an auction: keepers at their cap, the others above what most pay."""
        setting, cap = self.setting, cap_at(self.setting.caps, now % 86_400.0)
        if cap > self._cap:
            self._reprice(cap)
        self._cap = cap
        cost = setting.bid_gas * cap / GWEI * usd_per_eth
        last_keeper = setting.keepers - 1
        for each in sorted(self.live):
            waited = int(now - self.starts[each])
            if (each, last_keeper) not in self._asked and self._gain(each, waited) > cost:
                for keeper in range(setting.keepers):
                    self._send(each, keeper, cap, True)
            is_free = self.kind == "english" or waited >= setting.auctions.fast_s + setting.auctions.slow_s
            for other in range(setting.waiting_for_nothing if is_free else 0):
                self._send(each, setting.keepers + other, 1.1 * p90, False)

    def _gain(self, auction: int, waited: int) -> float:
        """What a keeper would earn now, USD, before gas."""
        if self.kind == "english":
            return float(self.values[auction]) * self.setting.discount
        equity = float(self.values[auction]) * (1.0 - 1.0 / self.setting.collateral_ratio)
        return equity * (1.0 - price_e18(self.terms, waited) / WAD)

    def _send(self, auction: int, bidder: int, gwei: float, is_keeper: bool) -> None:
        if (auction, bidder) in self._asked:
            return
        found = self.chain.send(BIDDER + bytes([bidder]), self.setting.bid_gas, gwei)
        if found is not None:  # a pool that is full of one's own transactions takes no more: the next block, perhaps
            self._asked.add((auction, bidder))
            self._bids[found] = (auction, is_keeper)

    def _reprice(self, cap: float) -> None:
        """Keepers that pay more now replace what they have waiting."""
        for each in self.chain.pool:
            if each.hash in self._bids and self._bids[each.hash][1]:
                found = self.chain.send(each.sender, each.gas, cap, replaces=each.nonce)
                if found is not None:
                    self._bids[found] = self._bids.pop(each.hash)

    def settle(self, now: float, block: Sequence[bytes]) -> None:
        """Bids of a block count in its order; an English auction ends so long after its last bid."""
        for found in block:
            auction, is_keeper = self._bids.pop(found, (-1, False))
            if auction in self.live:
                self._take(auction, is_keeper, now)
        if self.kind == "english":
            self.live -= {each for each in self.live if now >= self.taken[each] + self.setting.bid_ttl_s}

    def _take(self, auction: int, is_keeper: bool, now: float) -> None:
        if self.kind == "dutch":
            owed = 1.0 / self.setting.collateral_ratio
            share = price_e18(self.terms, int(now - self.starts[auction])) / WAD
            self.taken[auction] = now
            # The taker takes the debt over and pays for the equity.
            self.paid[auction] = owed + (1.0 - owed) * share if share > 0.0 else 0.0
            self.live.discard(auction)
        elif self.paid[auction] == 0.0 and (is_keeper or np.isnan(self.taken[auction])):
            self.taken[auction] = now
            self.paid[auction] = 1.0 - self.setting.discount if is_keeper else 0.0


def _run(kind: Kind, setting: Setting, prices: F64, starts: F64, lots: F64, usd_per_eth: F64) -> Result:
    """Blocks from the first auction until each has a winner, at most to the end of the next day."""
    sale, following, now = _Sale(kind, setting, starts, lots * usd_per_eth), 0, float(starts[0])
    while (sale.live or following < len(starts)) and now < 2 * 86_400.0:
        # After the day its last prices are those that are known.
        at = min(int(np.searchsorted(prices[:, 0], now, "right")) - 1, len(prices) - 1)
        sale.chain.send_others(prices[at, 1:].tolist())
        while following < len(starts) and starts[following] <= now:
            sale.live.add(following)
            following += 1
        sale.bid(now, float(prices[at, 3]), float(usd_per_eth[max(following - 1, 0)]))
        sale.settle(now, sale.chain.block())
        sale.chain.drop_others()
        now += setting.block_s
    return Result(starts, sale.taken, sale.paid, ~(sale.paid > 0.0))


def _hours(prices: F64, starts: F64, recorded: NDArray[np.bool_], english: Result, dutch: Result) -> pl.DataFrame:
    """A row for each hour with auctions."""
    frame = pl.DataFrame(
        {
            "hour": (starts // 3_600).astype(np.int64),
            "recorded": recorded,
            "english": english.for_nothing,
            "dutch": dutch.for_nothing,
            "english_paid_share": english.paid_share,
            "dutch_paid_share": dutch.paid_share,
            "dutch_wait_s": dutch.taken_s - starts,
        }
    )
    gas = pl.DataFrame({"hour": (prices[:, 0] // 3_600).astype(np.int64), "gas_price_p30_gwei": prices[:, 1]})
    counts = frame.group_by("hour").agg(
        pl.len().alias("auctions"),
        pl.col("recorded", "english", "dutch").sum(),
        pl.col("english_paid_share", "dutch_paid_share").mean(),
        pl.col("dutch_wait_s").median(),
    )
    return counts.join(gas.group_by("hour").agg(pl.col("gas_price_p30_gwei").median()), "hour", "left").sort("hour")
