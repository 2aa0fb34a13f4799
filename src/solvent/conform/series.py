"""Return series that published estimates are made on, by the words with which vectors name them."""

import re
from importlib import import_module, resources
from typing import Any

import numpy as np

F64 = np.ndarray[Any, np.dtype[np.float64]]

DEM_GBP = "dem_gbp_1984_1991.csv"
"""1,974 daily percent returns of the German mark against the pound (Bollerslev and Ghysels 1996, JBES data archive),
the series of the GARCH benchmark of Fiorentini, Calzolari and Panattoni (1996)."""
SAME = "same series"
"""How one vector of a file refers to the benchmark's data."""
_ARCH = re.compile(
    r"arch\.data\.(?P<name>[a-z0-9]+)\s+(?P<column>[A-Za-z ]+?)"
    r"(?:\s+(?P<start>\d{4}-\d{2}-\d{2})\.\.(?P<end>\d{4}-\d{2}-\d{2}))?\s*(?:,|$)(?P<rest>.*)"
)


def percent_returns(data: Any) -> F64:
    """The series in percent: numbers as they stand, the DEM/GBP benchmark, or a series that arch ships.

    data: a list; words with "DEM/GBP" or "same series"; or "arch.data.NAME COLUMN FIRST..LAST, 100*pct_change"
    ("log" in it takes log returns). Raises ValueError for other words.
    """
    if isinstance(data, list):
        return np.asarray(data, np.float64)
    text = str(data).strip()
    if "DEM/GBP" in text.upper() or text.lower().startswith(SAME):
        return dem_gbp()
    match = _ARCH.match(text)
    if match is None:
        raise ValueError(f"{text!r}: a list of returns, DEM/GBP, or arch.data.NAME COLUMN FIRST..LAST")
    prices = import_module(f"arch.data.{match['name']}").load()[match["column"].strip()].dropna()
    if match["start"]:
        prices = prices.loc[match["start"] : match["end"]]
    values = prices.to_numpy(dtype=np.float64)
    returns = np.diff(np.log(values)) if "log" in match["rest"] else values[1:] / values[:-1] - 1.0
    return np.asarray(100.0 * returns)


def dem_gbp() -> F64:
    """The benchmark's returns, 1984-01-03 to 1991-12-31."""
    text = resources.files("solvent.conform").joinpath("data", DEM_GBP).read_text("utf-8")
    return np.array([float(line) for line in text.split()[1:]])
