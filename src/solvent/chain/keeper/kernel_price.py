"""Hot loops of the keeper's decision: the best size of each opportunity and its profit, on plain arrays."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@njit(cache=True)
def price_rows(
    repay_most: F64,
    received: F64,
    collateral: I64,
    debt: I64,
    gas: I64,
    depth_sold: F64,
    depth_bought: F64,
    fee_left: float,
    funds: F64,
    gas_price: float,
    keep: bool,
    repay: F64,
    profit: F64,
) -> None:
    """Size and profit of every row, in base currency.

    Parameters
    ----------
    repay_most, received : (m,) arrays
        Most value to repay, and value received for a value of 1.
    collateral, debt, gas : (m,) arrays of int64
    depth_sold, depth_bought : (k, k) arrays
        Reserves of the pair by [collateral, debt], as values at the venue's prices; 0 where there is none.
    fee_left : float
        Of what is sold, behind the pair's fee.
    funds : (k,) array
        Value that can be paid with, by debt asset.
    gas_price : float
        Base currency of one unit of gas.
    keep : bool
        Whether collateral without a pair may be kept, at the venue's price.
    repay, profit : (m,) arrays
        Filled; profit is -inf where there is no exit.

    Notes
    -----
    Maximises out(r R) - R, out(s) = B f s / (A + f s): R* = (sqrt(A B f r) - A) / (f r), the liquidator's optimum on
    a constant product.
    """
    for row in range(len(repay_most)):
        most = min(repay_most[row], funds[debt[row]])
        a, b = depth_sold[collateral[row], debt[row]], depth_bought[collateral[row], debt[row]]
        rate = received[row]
        if most <= 0.0:
            repay[row], profit[row] = 0.0, -math.inf
        elif a > 0.0 and b > 0.0:
            best = (math.sqrt(a * b * fee_left * rate) - a) / (fee_left * rate)
            size = min(max(best, 0.0), most)
            sold = fee_left * rate * size
            repay[row] = size
            profit[row] = b * sold / (a + sold) - size - gas[row] * gas_price
        elif keep:
            repay[row] = most
            profit[row] = most * (rate - 1.0) - gas[row] * gas_price
        else:
            repay[row], profit[row] = 0.0, -math.inf


@njit(cache=True)
def best_rows(account: I64, profit: F64, accounts: int) -> I64:
    """Row of the highest profit of each account, -1 where none is above zero."""
    best = np.full(accounts, -1, np.int64)
    for row in range(len(account)):
        if profit[row] > 0.0 and (best[account[row]] < 0 or profit[row] > profit[best[account[row]]]):
            best[account[row]] = row
    return best


@njit(cache=True)
def aave_rows(
    collateral_value: F64,
    debt_value: F64,
    health: F64,
    bonus: F64,
    net_bonus: F64,
    full_close_health: float,
    full_close_below: float,
    account: I64,
    collateral: I64,
    debt: I64,
    repay_most: F64,
    received: F64,
) -> int:
    """Pairs of collateral and debt of accounts with health below 1; how many.

    Parameters
    ----------
    collateral_value, debt_value : (n, k) arrays
        In base currency.
    health : (n,) array
    bonus, net_bonus : (k,) arrays
        1.05 of the collateral, and what of it is left behind the protocol's fee.
    full_close_health, full_close_below : float
        At or below this health, or with less value on a side, all may be repaid; else half.
    account, collateral, debt, repay_most, received : (m,) arrays
        Filled; m is large enough for all pairs.
    """
    count = 0
    for n in range(len(health)):
        if health[n] >= 1.0:
            continue
        for d in range(debt_value.shape[1]):
            owed = debt_value[n, d]
            if owed <= 0.0:
                continue
            for c in range(collateral_value.shape[1]):
                held = collateral_value[n, c]
                if held <= 0.0 or c == d:
                    continue
                whole = health[n] <= full_close_health or min(held, owed) < full_close_below
                account[count], collateral[count], debt[count] = n, c, d
                repay_most[count] = min(owed if whole else 0.5 * owed, held / bonus[c])
                received[count] = net_bonus[c]
                count += 1
    return count
