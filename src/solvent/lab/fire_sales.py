"""Fire sales: losses force leveraged holders to sell what others hold too, and the prices hit them all."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvent.errors import Problem, SolventError, problem, raise_if
from solvent.lab.contagion import Network, clear

F64 = NDArray[np.float64]

ROUNDS_MOST = 100_000
TOLERANCE = 1e-13


class Vulnerability(NamedTuple):
    """One round of sales after a shock; n holders, k assets."""

    sales_usd: F64
    """(n,) what each holder sells, at least 0."""
    asset_sales_usd: F64
    """(k,) by asset."""
    price_move: F64
    """(k,) returns that the sales cause, at most 0, at least -1."""
    second_loss_usd: F64
    """(n,) what those returns cost each holder."""
    aggregate: float
    """AV: second losses of all over equity of all."""


def vulnerability(
    assets: ArrayLike, weights: ArrayLike, leverage: ArrayLike, impact: ArrayLike, shock: ArrayLike
) -> Vulnerability:
    """AV = 1'A M L M' B A M F / E: who sells what to get back to the leverage it had, and what that costs all.

    Parameters
    ----------
    assets : array_like, shape (n,)
        A: what each holder owns, USD.
    weights : array_like, shape (n, k)
        M: parts of it by asset; rows sum to at most 1, the rest is cash.
    leverage : array_like, shape (n,)
        B: debt over equity.
    impact : array_like, shape (k,)
        L: return per USD sold.
    shock : array_like, shape (k,)
        F: first returns; a loss is negative.

    Returns
    -------
    Vulnerability
        Each holder sells in proportion to what it owns, and no more than the shock left of it.

    Raises
    ------
    SolventError
        For other shapes, and amounts below 0.

    Notes
    -----
    R. Greenwood, A. Landier, D. Thesmar, "Vulnerable banks", Journal of Financial Economics 115 (2015).
    """
    A, M, B, L, F = (np.asarray(each, np.float64) for each in (assets, weights, leverage, impact, shock))
    _check(A, M, B, L, F)
    held = A[:, None] * M
    invested = held.sum(axis=1, keepdims=True)
    wanted = B * np.maximum(-held @ F, 0.0)  # what brings debt over equity back to B
    sales = wanted[:, None] * np.divide(held, invested, out=np.zeros_like(held), where=invested > 0)
    sales = np.minimum(sales, held * (1 + F))
    by_asset = sales.sum(axis=0)
    move = -np.minimum(L * by_asset, 1.0)
    second = -(A * (M @ move))
    equity = float((A / (1 + B)).sum())
    return Vulnerability(sales.sum(axis=1), by_asset, move, second, float(second.sum()) / equity if equity else 0.0)


def _check(A: F64, M: F64, B: F64, L: F64, F: F64) -> None:
    n, k = len(A), len(L)
    shapes = (("assets", A, (n,)), ("weights", M, (n, k)), ("leverage", B, (n,)), ("impact", L, (k,)))
    found: list[Problem] = []
    for name, values, shape in shapes:
        if values.shape != shape:
            found.append(problem("fire sales", None, name, f"shape {values.shape}", f"shape {shape}"))
        elif not (np.isfinite(values) & (values >= 0)).all():
            found.append(problem("fire sales", None, name, "an entry below 0 or not finite", "finite, 0 or more"))
    if F.shape != (k,) or not (np.isfinite(F) & (F >= -1)).all():
        found.append(problem("fire sales", None, "shock", str(F), f"{k} returns of -1 or more"))
    raise_if(found)


class Equilibrium(NamedTuple):
    """Where sales, price and payments agree; n institutions."""

    price: float
    """Of the illiquid asset, over its price before; the greatest that holds."""
    sold: F64
    """(n,) units of it that each sells."""
    payments: F64
    """(n,) of mutual and outside debts, as in clearing."""
    defaulted: NDArray[np.bool_]
    rounds: int


def fire_sale_equilibrium(net: Network, illiquid: ArrayLike, capital_ratio: float, price_impact: float) -> Equilibrium:
    """Prices, sales and clearing payments that agree when everyone must keep a ratio of capital to risky assets.

    Each round clears all debts at the present price, finds the least that each must sell so that capital over
    (illiquid assets kept + claims on others) is at least the ratio, and prices the asset at exp(-a x units sold). The
    price falls from 1 to the greatest fixed point.

    Parameters
    ----------
    net : Network
        `external_assets` are liquid: they keep their value and weigh nothing in the ratio.
    illiquid : array_like, shape (n,)
        Units of the illiquid asset that each holds, worth 1 each before.
    capital_ratio : float
        Least capital over risky assets, in (0, 1].
    price_impact : float
        a >= 0.

    Raises
    ------
    SolventError
        For other shapes and values outside their ranges.

    Notes
    -----
    R. Cifuentes, G. Ferrucci, H. S. Shin, "Liquidity risk and contagion", J. European Economic Association 3 (2005).
    """
    units = np.asarray(illiquid, np.float64)
    if units.shape != net.external_assets.shape or not (np.isfinite(units) & (units >= 0)).all():
        raise SolventError(problem("fire sales", None, "illiquid", str(units), "0 or more for each institution"))
    rows = (
        ("capital_ratio", capital_ratio, 0 < capital_ratio <= 1, "above 0, at most 1"),
        ("price_impact", price_impact, 0 <= price_impact < math.inf, "0 or more"),
    )
    raise_if([problem("fire sales", None, name, value, wanted) for name, value, ok, wanted in rows if not ok])
    price = 1.0
    for rounds in range(1, ROUNDS_MOST + 1):  # noqa: B007 - told to the caller
        worth = Network(net.liabilities, net.external_assets + price * units, net.external_liabilities)
        cleared = clear(worth)
        claims = cleared.payments @ net.relative
        capital = worth.external_assets + claims - net.obligations
        kept = (np.maximum(capital, 0.0) / capital_ratio - claims) / price
        sold = np.clip(units - kept, 0.0, units)
        lower = min(price, math.exp(-price_impact * float(sold.sum())))
        if price - lower <= TOLERANCE:
            break
        price = lower
    return Equilibrium(price, sold, cleared.payments, cleared.defaulted, rounds)
