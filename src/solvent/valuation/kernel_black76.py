"""Numba kernels of Black-76 on plain arrays: grids of instruments x scenarios, greeks, implied volatility.

With lo = min(F, K), hi = max(F, K), x = ln(lo/hi) <= 0, w = vol * sqrt(T), d1,2 = x/w +- w/2 and the Mills
ratio R(z) = (1 - Phi(z)) / phi(z), the out-of-the-money option is worth, because lo phi(d1) = hi phi(d2),

    d1 <= 0:  lo phi(d1) (R(-d1) - R(-d2))          d1 > 0:  lo - lo phi(d1) (R(d1) + R(-d2))

and the in-the-money one that plus |F - K|. So one exponential and two Mills ratios price an option, small
prices keep their relative precision, put-call parity holds by construction, and a rounding error of x only
changes the price by the same relative amount of the strike. phi and R are polynomials fitted here (Chebyshev,
60 digits), free of branches and of calls, so that LLVM turns the scenario loop into SIMD.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

Z_MAX = 37.0
"""Beyond this many deviations phi < 1e-297: clamped there, so that the table of powers stays in reach."""

INVERSE_LN2 = 1.4426950408889634
LN2_HIGH = 0.6931471803691238  # 32 bits, so that n * LN2_HIGH is exact
LN2_LOW = 1.9082149292705877e-10
INVERSE_SQRT_2PI = 0.3989422804014327

HALF_POWERS = 0.5 ** np.arange(1024.0)
"""2**-n: the scaling of the exponential, as a table because a gather vectorises and `ldexp` does not."""

# "contract" allows fused multiply-add and nothing else: no reassociation, and NaN stays NaN.
_kernel = njit(cache=True, error_model="numpy", fastmath={"contract"})
_inlined = njit(cache=True, error_model="numpy", fastmath={"contract"}, inline="always")
"""For what the scenario loop calls: LLVM does not vectorise around a call."""


@_inlined
def normal_density(z: float) -> float:
    """phi(z) for 0 <= z <= Z_MAX, relative error < 1e-13 (absolute < 1e-16)."""
    y = 0.5 * z * z
    n = np.int32(y * INVERSE_LN2 + 0.5)
    r = (n * LN2_HIGH - y) + n * LN2_LOW  # in +-ln(2)/2
    p = 2.5114870219497476e-08
    p = p * r + 2.7632640675430235e-07
    p = p * r + 2.755722495611072e-06
    p = p * r + 2.480148547921643e-05
    p = p * r + 0.00019841269909219843
    p = p * r + 0.0013888888952318045
    p = p * r + 0.008333333333309526
    p = p * r + 0.04166666666648808
    p = p * r + 0.16666666666666702
    p = p * r + 0.5000000000000019
    p = p * r + 1.0
    p = p * r + 1.0
    # The mask keeps the index inside the table, whatever integer a NaN became.
    return float(p * HALF_POWERS[n & 1023] * INVERSE_SQRT_2PI)


@_inlined
def mills_ratio(z: float) -> float:
    """(1 - Phi(z)) / phi(z) for 0 <= z <= Z_MAX, relative error < 1e-15.

    A polynomial of degree 20 in 1/(z + 5), scaled to [-1, 1] over [0, 38].
    """
    t = 1.0 / (z + 5.0)
    u = 11.31578947368421 * t - 1.263157894736842
    p = 4.671614562149567e-10
    p = p * u + 3.0922906763085953e-09
    p = p * u - 7.667611671199303e-09
    p = p * u - 4.0297428915109605e-08
    p = p * u + 8.048348686736225e-08
    p = p * u + 3.821575285324178e-07
    p = p * u - 6.917825069842876e-07
    p = p * u - 3.844656564111545e-06
    p = p * u + 4.340440202626047e-06
    p = p * u + 4.335635858189345e-05
    p = p * u + 1.2301462593281499e-05
    p = p * u - 0.00047115949070912814
    p = p * u - 0.0012960148172961922
    p = p * u + 0.002087003691337601
    p = p * u + 0.02728829801714016
    p = p * u + 0.11401859100594797
    p = p * u + 0.3203998686201578
    p = p * u + 0.6925091085994673
    p = p * u + 1.2121548379946918
    p = p * u + 1.7597034788818604
    p = p * u + 2.1401207940171703
    return p * t


@_inlined
def clamped(z: float) -> float:
    """At most Z_MAX; NaN stays NaN, which `min` does not promise."""
    return Z_MAX if z > Z_MAX else z


@_inlined
def out_of_the_money(lo: float, x: float, w: float) -> float:
    """Undiscounted value of the out-of-the-money option; lo = min(F, K), x = ln(lo/hi) <= 0, w = vol sqrt(T).

    Zero where w <= 0. NaN in x or w gives NaN.
    """
    h = x / (1.0 if w <= 0.0 else w)
    d1 = h + 0.5 * w
    z1, z2 = clamped(abs(d1)), clamped(0.5 * w - h)
    density = lo * normal_density(z1)
    sign = 1.0 if d1 > 0.0 else -1.0
    base = lo if d1 > 0.0 else 0.0
    value = base - density * (mills_ratio(z2) + sign * mills_ratio(z1))
    return 0.0 if w <= 0.0 or value < 0.0 else value


@_kernel
def price_grid(
    forward: F64,
    strike: F64,
    years: F64,
    is_call: Bool,
    discount: F64,
    multiplier: F64,
    log_multiplier: F64,
    vol: F64,
    out: F64,
) -> None:
    """Write discounted prices of I instruments in S scenarios into `out`.

    Shapes: the first five (I,); multiplier of the forward and its logarithm (1, S) or (I, S); vol and out
    (I, S). All scenario rows are contiguous; the logarithm is an argument because rows usually share it.
    """
    scenarios = out.shape[1]
    for i in range(out.shape[0]):
        row = i if multiplier.shape[0] > 1 else 0
        root = math.sqrt(0.0 if years[i] < 0.0 else years[i])
        log_moneyness = np.log(forward[i] / strike[i])
        side = 1.0 if is_call[i] else -1.0
        for s in range(scenarios):
            f = forward[i] * multiplier[row, s]
            gain = side * (f - strike[i])
            lo = strike[i] if f > strike[i] else f
            x = -abs(log_moneyness + log_multiplier[row, s])
            value = out_of_the_money(lo, x, vol[i, s] * root)
            out[i, s] = discount[i] * (value + (gain if gain > 0.0 else 0.0))


@_kernel
def log_lo_over_hi(lo: float, hi: float) -> float:
    """ln(lo/hi) <= 0 with full relative precision also where lo and hi are close (hi - lo is exact there)."""
    if hi < 2.0 * lo:
        return math.log1p((lo - hi) / hi)
    return float(np.log(lo / hi))


@_kernel
def greeks(
    forward: F64,
    strike: F64,
    years: F64,
    is_call: Bool,
    discount: F64,
    vol: F64,
    out: F64,
) -> None:
    """Write price, delta, gamma, vega, theta of I instruments into the rows of `out`, shape (5, I)."""
    for i in range(out.shape[1]):
        f, k = forward[i], strike[i]
        t = 0.0 if years[i] < 0.0 else years[i]
        root = math.sqrt(t)
        w = vol[i] * root
        side = 1.0 if is_call[i] else -1.0
        lo, hi = (f, k) if f <= k else (k, f)
        x = log_lo_over_hi(lo, hi)
        price = discount[i] * (out_of_the_money(lo, x, w) + max(side * (f - k), 0.0))
        rate = -np.log(discount[i]) / t if t > 0.0 else 0.0
        if w <= 0.0:  # the limit: a step at the strike, half a delta on it
            upper = 1.0 if f > k else (0.5 if f == k else 0.0)
            density = INVERSE_SQRT_2PI * f if f == k else 0.0
            gamma = 0.0
        else:
            d1 = (x if f <= k else -x) / w + 0.5 * w
            z = clamped(abs(d1))
            tail = normal_density(z) * mills_ratio(z)
            upper = tail if d1 < 0.0 else 1.0 - tail
            density = f * normal_density(z) if f <= k else k * normal_density(clamped(abs(d1 - w)))
            gamma = density / (f * f * w)
        out[0, i] = price
        out[1, i] = discount[i] * (upper if is_call[i] else upper - 1.0)
        out[2, i] = discount[i] * gamma
        out[3, i] = discount[i] * density * root
        out[4, i] = rate * price - (discount[i] * density * vol[i] / (2.0 * root) if w > 0.0 else 0.0)


@_kernel
def solve_deviation(lo: float, x: float, target: float) -> float:
    """The w = vol sqrt(T) at which the out-of-the-money option is worth `target`, 0 < target < lo.

    Newton on the logarithm of the price (nearly linear in the wings), kept inside a bracket that always holds
    the root: a step that leaves it is replaced by bisection, so the loop ends whatever the input.
    """
    low = -2.0 * x / (Z_MAX + math.sqrt(Z_MAX * Z_MAX - 2.0 * x))  # d1 = -Z_MAX: worth less than any target
    high = max(1.0, 2.0 * low)
    while high < 256.0 and out_of_the_money(lo, x, high) < target:
        low, high = high, 2.0 * high
    w = min(max(math.sqrt(-2.0 * x) + 2.5 * target / lo, low), high)
    for _ in range(128):
        value = out_of_the_money(lo, x, w)
        if value < target:
            low = w
        else:
            high = w
        slope = lo * normal_density(clamped(abs(x / w + 0.5 * w)))
        step = value * math.log(target / value) / slope if value > 0.0 and slope > 0.0 else np.inf
        following = w + step
        if not low < following < high:
            following = 0.5 * (low + high)
        if abs(following - w) <= 2e-16 * w:
            return following
        w = following
    return w


@_kernel
def implied_vols(
    price: F64,
    forward: F64,
    strike: F64,
    years: F64,
    is_call: Bool,
    discount: F64,
    out: F64,
) -> None:
    """Write the volatility of each price, all shapes (I,); NaN outside no-arbitrage bounds and at expiry."""
    for i in range(out.shape[0]):
        f, k = forward[i], strike[i]
        lo, hi = (f, k) if f <= k else (k, f)
        gain = f - k if is_call[i] else k - f
        target = price[i] / discount[i]
        if gain > 0.0:
            target -= gain
            if abs(target) <= 4e-16 * hi:
                target = 0.0  # at intrinsic value within the rounding of that subtraction
        if not (0.0 <= target < lo and years[i] > 0.0):
            out[i] = np.nan
        elif target == 0.0:
            out[i] = 0.0
        else:
            out[i] = solve_deviation(lo, log_lo_over_hi(lo, hi), target) / math.sqrt(years[i])
