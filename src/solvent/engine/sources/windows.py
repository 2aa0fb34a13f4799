"""Named crashes: days that a market rule should have been tried on. UTC, both ends included."""

from datetime import UTC, datetime
from typing import NamedTuple

from solvent.errors import SolventError, problem


class Window(NamedTuple):
    """A span of days and what happened in it."""

    start: str
    end: str
    note: str


WINDOWS = {
    "black-thursday": Window("2020-03-08", "2020-03-16", "BTC and ETH lost half of their price in a day"),
    "may-2021": Window("2021-05-16", "2021-05-24", "China's ban; the largest day of liquidations until then"),
    "terra": Window("2022-05-05", "2022-05-14", "UST lost its peg, LUNA went to nothing"),
    "june-2022": Window("2022-06-10", "2022-06-20", "stETH's discount; Celsius and Three Arrows"),
    "ftx": Window("2022-11-05", "2022-11-12", "FTX failed, FTT fell nine tenths"),
    "usdc-depeg": Window("2023-03-09", "2023-03-14", "USDC at 0.88 over a weekend"),
    "aug-2024": Window("2024-08-02", "2024-08-08", "the yen carry unwound"),
    "dec-2024": Window("2024-12-08", "2024-12-11", "a leverage flush in the smaller coins"),
}


def window_ns(name: str) -> tuple[int, int]:
    """Start and end of a named window in nanoseconds. Raises SolventError naming the others."""
    if name not in WINDOWS:
        raise SolventError(problem("window", None, "name", name, f"one of {', '.join(WINDOWS)}"))
    return time_ns(WINDOWS[name].start), time_ns(WINDOWS[name].end)


def time_ns(text: str, field: str = "time") -> int:
    """UTC nanoseconds of an ISO 8601 date or time. Raises SolventError."""
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
    except (ValueError, OverflowError, OSError):
        seconds = -1.0
    if not 0 <= seconds < 2**63 / 1e9:
        raise SolventError(problem("argument", None, field, text, "a UTC date or time such as 2020-03-08T12:00"))
    return round(seconds * 1e6) * 1000
