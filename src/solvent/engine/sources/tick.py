"""What a source says at one moment: raw prices by asset or instrument, before any guard."""

from collections.abc import Iterator
from typing import Protocol

import msgspec


class SourcePrice(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One price of one source."""

    name: str
    """Asset (`BTC`) or instrument id; a derivative that nobody prices is marked from its asset."""
    source: str
    price: float
    """USD for assets and inverse contracts, settlement units for linear ones and options."""
    age_s: float = 0.0
    origin: str = ""
    """What the source is derived from, where it is not independent."""
    weight: float = 1.0
    confidence: float = 0.0
    """Relative half-width that the source states."""
    own_book: bool = False
    """Our own order book: bounded in marks of derivatives, nothing in prices of assets."""


class Tick(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that arrived for one moment."""

    ts_ns: int
    prices: tuple[SourcePrice, ...]
    volume_usd_daily: dict[str, float] = {}
    """By asset, scaled to a day."""
    vol_annual: dict[str, float] = {}
    """By option id, or by asset for all its options."""
    funding_rate: dict[str, float] = {}
    """By asset: fraction of notional paid by longs at the funding time that this tick is at."""
    last: bool = False
    """Whether this tick closes its candle or step (reports sample there)."""
    volume_by_source: dict[str, dict[str, float]] = {}
    """By asset and source, where the feed tells them apart; `volume_usd_daily` is their sum."""


class Source(Protocol):
    """Where ticks come from, in order of time."""

    name: str
    assets: tuple[str, ...]

    def __iter__(self) -> Iterator[Tick]:
        """Ticks in order of time."""
        ...
