"""Prices as they come from one or more exchanges."""

import time
from collections.abc import Callable, Iterator, Sequence

from solvent.engine.sources.exchange import PREFIX, ask, connect, mark_of, positive, spot_symbol
from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.errors import SolventError

PERIOD_S = 2.0


class Live:
    """A source of live prices from one or more exchanges (`ccxt:bitstamp,kraken`), polled every `period_s`.

    An exchange that does not answer keeps its last prices, whose age grows until the guards reject them.
    """

    def __init__(
        self,
        spec: str,
        assets: Sequence[str] = ("BTC", "ETH"),
        *,
        endpoint: str | None = None,
        period_s: float = PERIOD_S,
        clock: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises SolventError where an exchange cannot be reached or does not quote an asset."""
        self.name = spec
        self.assets: tuple[str, ...] = tuple(assets)
        self.period_s, self._clock, self._sleep = period_s, clock, sleep
        exchanges = [connect(each, endpoint) for each in spec.removeprefix(PREFIX).split(",")]
        self._symbols = [(each, {spot_symbol(each, asset): asset for asset in assets}) for each in exchanges]
        self._last: dict[tuple[str, str], tuple[float, int]] = {}
        self._volume: dict[tuple[str, str], float] = {}

    def __iter__(self) -> Iterator[Tick]:
        """Ticks for ever, one a poll. Raises SolventError if no exchange ever answered."""
        while True:
            error = self._poll()
            if not self._last and error is not None:
                raise error
            now = self._clock()
            prices = tuple(
                SourcePrice(asset, source, price, (now - stamp) / 1e9)
                for (asset, source), (price, stamp) in sorted(self._last.items())
            )
            volumes: dict[str, dict[str, float]] = {}
            for (asset, source), volume in self._volume.items():
                volumes.setdefault(asset, {})[source] = volume
            sums = {asset: sum(rows.values()) for asset, rows in volumes.items()}
            yield Tick(now, prices, sums, {}, {}, True, volumes)
            self._sleep(self.period_s)

    def _poll(self) -> SolventError | None:
        """Ask every exchange once; the last error, if any."""
        failed = None
        for exchange, symbols in self._symbols:
            try:
                many = exchange.has.get("fetchTickers")
                tickers = (
                    ask(exchange, "fetch_tickers", list(symbols))
                    if many
                    else {symbol: ask(exchange, "fetch_ticker", symbol) for symbol in symbols}
                )
            except SolventError as error:
                failed = error
                continue
            now = self._clock()
            for symbol, asset in symbols.items():
                ticker = tickers.get(symbol) or {}
                price, _ = mark_of(ticker)
                if price:
                    stamp = positive(ticker.get("timestamp"))
                    self._last[asset, exchange.id] = (price, round(stamp * 1e6) if stamp else now)
                    self._volume[asset, exchange.id] = positive(ticker.get("quoteVolume"))
        return failed
