"""Black-76: prices, greeks and implied volatility of European options on a forward.

With F the forward, K the strike, D the discount factor, w = vol sqrt(T) and d1,2 = ln(F/K) / w +- w / 2,
call = D (F Phi(d1) - K Phi(d2)), put = D (K Phi(-d2) - F Phi(-d1)).
Source: F. Black, "The pricing of commodity contracts", Journal of Financial Economics 3 (1976).

Edges are exact: where T <= 0 or vol = 0 an option is worth its discounted intrinsic value, and its delta is 0
or one discount factor, half of it at the money. Finite inputs never give NaN; a NaN input gives NaN.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvent.errors import problem, raise_if
from solvent.valuation import kernel_black76 as kernel

F64 = NDArray[np.float64]


class Greeks(NamedTuple):
    """Value and sensitivities of one option each; every array has the broadcast shape of the inputs."""

    price: F64
    """Discounted value, in the unit of the forward."""
    delta: F64
    """Derivative by the forward, D Phi(d1) for a call; D/2 at the money where vol sqrt(T) = 0."""
    gamma: F64
    """Second derivative by the forward; 0 where vol sqrt(T) = 0."""
    vega: F64
    """Derivative by volatility, for a change of 1.00."""
    theta: F64
    """Derivative by calendar time in years, forward and rate -ln(D)/T held; 0 at expiry. A day's is 1/365."""


def intrinsic(forward: ArrayLike, strike: ArrayLike, is_call: ArrayLike) -> F64:
    """Undiscounted exercise value max(F - K, 0) of calls, max(K - F, 0) of puts.

    Parameters
    ----------
    forward, strike : array_like of float
        In one unit; shapes broadcast.
    is_call : array_like of bool
        True for calls.
    """
    gain = np.asarray(forward, np.float64) - np.asarray(strike, np.float64)
    return np.asarray(np.maximum(np.where(is_call, gain, -gain), 0.0))


def price_grid(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    is_call: ArrayLike,
    vol: ArrayLike,
    forward_multiplier: ArrayLike = (1.0,),
    discount: ArrayLike = 1.0,
    out: F64 | None = None,
) -> F64:
    """Discounted values of I options in S scenarios, each with its own move of the forward and its own vol.

    Error against a 40-digit reference: at most 1e-14 max(forward, price); the same for put-call parity.

    Parameters
    ----------
    forward, strike, years, is_call, discount : array_like, shape (I,) or scalar
        Forward and strike > 0 in one unit, time to expiry in years, True for calls, discount factor > 0.
    vol : array_like, broadcast to (I, S)
        Annualised volatility >= 0 in each scenario, 0.5 = 50 %.
    forward_multiplier : array_like, shape (S,), (1, S) or (I, S)
        Scenario forward / forward, 0.9 = down 10 %.
    out : ndarray of float64, shape (I, S), C-contiguous, optional
        Where to write.

    Returns
    -------
    ndarray, shape (I, S)
        `out`, or a new array.
    """
    multiplier = np.ascontiguousarray(np.atleast_2d(np.asarray(forward_multiplier, np.float64)))
    columns = [np.asarray(each, np.float64) for each in (forward, strike, years, discount)]
    count = max(np.broadcast_shapes(*(each.shape for each in columns), np.shape(is_call), (1,)))
    f, k, t, d = (np.ascontiguousarray(np.broadcast_to(each, count)) for each in columns)
    if out is None:
        out = np.empty((count, multiplier.shape[1]))
    vols = np.ascontiguousarray(np.broadcast_to(np.asarray(vol, np.float64), out.shape))
    with np.errstate(divide="ignore"):  # a forward that falls to zero: ln 0 = -inf is what the kernel wants
        logs = np.log(multiplier)
    kernel.price_grid(f, k, t, _flags(is_call, count), d, multiplier, logs, vols, out)
    return out


def price(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    is_call: ArrayLike,
    vol: ArrayLike,
    discount: ArrayLike = 1.0,
) -> F64:
    """Discounted values at the present forward; all shapes broadcast. Units and error as `price_grid`."""
    shape, (f, k, t, v, d), flags = _columns(is_call, forward, strike, years, vol, discount)
    grid = price_grid(f, k, t, flags, v[:, None], discount=d)
    return grid.reshape(shape)


def greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    is_call: ArrayLike,
    vol: ArrayLike,
    discount: ArrayLike = 1.0,
) -> Greeks:
    """Price, delta, gamma, vega and theta; all shapes broadcast together. Units as `price_grid`.

    Error against a 40-digit reference: delta 1e-14; gamma, vega and theta 1e-13 of what they can be at any
    strike, that is of D / (F vol sqrt T), of D F sqrt T, and of D F vol / sqrt T + |r| max(F, price).
    """
    shape, (f, k, t, v, d), flags = _columns(is_call, forward, strike, years, vol, discount)
    out = np.empty((5, f.size))
    kernel.greeks(f, k, t, flags, d, v, out)
    return Greeks(*(row.reshape(shape) for row in out))


def implied_vol(
    option_price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    is_call: ArrayLike,
    discount: ArrayLike = 1.0,
    file: str = "option quotes",
) -> F64:
    """The volatility at which Black-76 gives each price; all shapes broadcast, units as `price_grid`.

    Bracketed Newton iteration, so it always ends; a price at its intrinsic value gives 0. How many digits are
    right is set by vega: repricing with the result returns the price within 1e-14 max(forward, price).

    Raises
    ------
    SolventError
        One problem for each price outside the no-arbitrage bounds: discounted intrinsic value <= price, and
        price < D F for a call, < D K for a put, each with years > 0. `file` names their origin.
    """
    shape, (p, f, k, t, d), flags = _columns(is_call, option_price, forward, strike, years, discount)
    out = np.empty(p.size)
    kernel.implied_vols(p, f, k, t, flags, d, out)
    low, high = d * intrinsic(f, k, flags), d * np.where(flags, f, k)
    problems = []
    for i in np.flatnonzero(np.isnan(out)).tolist():
        if not t[i] > 0.0:
            problems.append(problem(file, i + 1, "years", float(t[i]), "> 0"))
        else:
            bounds = f"at least {low[i]:.12g} and below {high[i]:.12g}"
            problems.append(problem(file, i + 1, "price", float(p[i]), bounds))
    raise_if(problems, "no volatility gives these prices")
    return out.reshape(shape)


def _columns(is_call: ArrayLike, *floats: ArrayLike) -> tuple[tuple[int, ...], list[F64], NDArray[np.bool_]]:
    """The broadcast shape, and all inputs as flat contiguous arrays of its size."""
    arrays = [np.asarray(each, np.float64) for each in floats]
    shape = np.broadcast_shapes(*(each.shape for each in arrays), np.shape(is_call))
    flat = [np.ascontiguousarray(np.broadcast_to(each, shape)).reshape(-1) for each in arrays]
    return shape, flat, _flags(is_call, shape).reshape(-1)


def _flags(is_call: ArrayLike, shape: int | tuple[int, ...]) -> NDArray[np.bool_]:
    return np.ascontiguousarray(np.broadcast_to(np.asarray(is_call, np.bool_), shape))
