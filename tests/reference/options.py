"""Black-76 to thirty digits: what an option is worth, and its delta."""

from fractions import Fraction
from typing import Any

from mpmath import mp, mpf

DIGITS = 30


def _real(x: Fraction) -> Any:
    return mpf(x.numerator) / x.denominator


def power(x: Fraction, exponent: Fraction) -> Fraction:
    """x ** exponent."""
    with mp.workdps(DIGITS):
        return _fraction(_real(x) ** _real(exponent))


def _fraction(x: Any) -> Fraction:
    sign, mantissa, exponent, _ = x._mpf_
    return (-1 if sign else 1) * int(mantissa) * Fraction(2) ** exponent


def worth(forward: Fraction, strike: Fraction, years: Fraction, vol: Fraction, call: bool) -> tuple[Fraction, Fraction]:
    """Undiscounted value and delta by the forward; without time or volatility the intrinsic value."""
    sign = 1 if call else -1
    if years <= 0 or vol <= 0:
        gain = sign * (forward - strike)
        return max(gain, Fraction(0)), Fraction(sign * (1 if gain > 0 else 0)) if gain else Fraction(sign, 2)
    with mp.workdps(DIGITS):
        F, K, w = _real(forward), _real(strike), _real(vol) * mp.sqrt(_real(years))
        d1 = mp.log(F / K) / w + w / 2
        up, down = mp.ncdf(sign * d1), mp.ncdf(sign * (d1 - w))
        return _fraction(sign * (F * up - K * down)), sign * _fraction(up)
