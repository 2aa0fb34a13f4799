"""Collateral weighted against debt, account by account, on netted rows in plain arrays."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

LENT_BY_NONE, LENT_BY_TWO, TWO_PLEDGED = 1, 2, 3
"""Why an account cannot be one position of the protocol: `Totals.fault`."""
ROUNDING = 2.0**-52
"""Relative error of one operation, twice over."""
OPERATIONS = 8
"""Roundings of one row's terms beside their sum."""


class Tables(NamedTuple):
    """What all accounts share; I instruments, M markets. A market lends some assets against some others."""

    collateral_usd: F64
    """(I,) of a lot held."""
    debt_usd: F64
    """(I,) of a lot owed."""
    lender: I64
    """(I,) market that lends the instrument, -1 for none."""
    alone: I64
    """(I,) market whose weight counts while nothing is owed, -1 for none."""
    maintenance: F64
    """(I, M) weights up to liquidation; 0 where the market does not take it."""
    initial: F64
    """(I, M) weights up to which more can be borrowed."""
    cap_usd: F64
    """(I, M) most that a weighted value counts."""
    grain_usd: F64
    """(M,) what the protocol's own rounding of one row can move."""
    isolated: bool
    """One collateral a position."""


class Totals(NamedTuple):
    """Sums in USD, one entry an account."""

    held: F64
    pledged: F64
    """Of `held` what counts as collateral."""
    owed: F64
    maintenance: F64
    """Collateral at maintenance weights."""
    initial: F64
    band: F64
    """What float and exact form can differ by."""
    market: I64
    """Market of the debt, -1 without."""
    asset: I64
    """An instrument pledged: the only one where positions are isolated, -1 without."""
    fault: I64


@njit(cache=True)
def totals(t: Tables, size: int, owner: I64, instrument: I64, lots: I64) -> Totals:
    """Sums of `size` accounts over rows that are netted and in the order of their owners."""
    held, pledged, owed, maintenance, initial, band = (
        np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size),
    )  # fmt: skip
    market, asset, fault = np.full(size, -1), np.full(size, -1), np.zeros(size, np.int64)
    row, rows = 0, len(owner)
    while row < rows:
        account, first = owner[row], row
        while row < rows and owner[row] == account:  # what is owed says which market weighs what is held
            if lots[row] < 0:
                i = instrument[row]
                owed[account] -= lots[row] * t.debt_usd[i]
                if t.lender[i] < 0:
                    fault[account] = LENT_BY_NONE
                elif market[account] < 0:
                    market[account] = t.lender[i]
                elif market[account] != t.lender[i]:
                    fault[account] = LENT_BY_TWO
            row += 1
        for k in range(first, row):
            if lots[k] <= 0:
                continue
            i = instrument[k]
            value = lots[k] * t.collateral_usd[i]
            held[account] += value
            m = market[account] if market[account] >= 0 else t.alone[i]
            if m < 0 or t.maintenance[i, m] == 0.0:
                continue
            if t.isolated and market[account] >= 0 and asset[account] >= 0:
                fault[account] = TWO_PLEDGED
            asset[account] = i
            pledged[account] += value
            maintenance[account] += min(value * t.maintenance[i, m], t.cap_usd[i, m])
            initial[account] += min(value * t.initial[i, m], t.cap_usd[i, m])
        count = row - first
        grain = t.grain_usd[market[account]] if market[account] >= 0 else 0.0
        band[account] = count * grain + (count + OPERATIONS) * ROUNDING * (held[account] + owed[account])
    return Totals(held, pledged, owed, maintenance, initial, band, market, asset, fault)
