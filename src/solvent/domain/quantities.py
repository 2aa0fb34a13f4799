"""Exact quantities: integer atoms in the ledger, integer lots in the book, rounding named by its direction."""

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import NewType

Atoms = NewType("Atoms", int)
"""An asset's smallest unit; |x| < `ATOM_BOUND`."""
Lots = NewType("Lots", int)
"""Whole lots of an instrument; |x| < `LOT_BOUND`."""

ATOM_BOUND = 2**127
LOT_BOUND = 2**63
MICRO = 10**6
"""Verdicts stand in integers of 1e-6 USD."""

_DIGITS_MOST = 38
_FLOAT_TOLERANCE = Fraction(1, 10**9)


def mul_div_down(a: int, b: int, c: int) -> int:
    """floor(a b / c) in exact integers, toward minus infinity for every sign; c > 0."""
    return a * b // c


def mul_div_up(a: int, b: int, c: int) -> int:
    """ceil(a b / c) in exact integers, toward plus infinity for every sign; c > 0."""
    return -(-a * b // c)


def div_down(a: int, b: int) -> int:
    """floor(a / b); b > 0."""
    return a // b


def div_up(a: int, b: int) -> int:
    """ceil(a / b); b > 0."""
    return -(-a // b)


def fraction_down(x: Fraction, scale: int = 1) -> int:
    """floor(x scale)."""
    return x.numerator * scale // x.denominator


def fraction_up(x: Fraction, scale: int = 1) -> int:
    """ceil(x scale)."""
    return -(-x.numerator * scale // x.denominator)


def exact(value: object) -> Fraction:
    """A quantity of a file as an exact fraction.

    Takes an int, a Decimal, a float or text of at most 38 digits without exponent. Raises ValueError with
    the reason for anything else, NaN and infinities included.
    """
    if isinstance(value, bool) or value is None:
        raise ValueError("a decimal number")
    if isinstance(value, int):
        text = str(value)
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError("a finite decimal number")
        return Fraction(value)
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("a finite decimal number")
        if abs(value.adjusted()) > _DIGITS_MOST:  # before its digits are written out: 1E+999999999 is a gigabyte
            raise ValueError(f"a decimal number of at most {_DIGITS_MOST} digits")
        text = format(value, "f")
    else:
        text = str(value).strip()
    digits = text.removeprefix("-").removeprefix("+").replace(".", "", 1)
    if not digits.isascii() or not digits.isdigit():
        raise ValueError("a decimal number without exponent")
    if len(digits.strip("0")) > _DIGITS_MOST or len(digits) > 2 * _DIGITS_MOST:
        raise ValueError(f"a decimal number of at most {_DIGITS_MOST} digits")
    try:
        return Fraction(Decimal(text))
    except InvalidOperation:  # pragma: no cover - the digits were checked above
        raise ValueError("a decimal number") from None


def whole(value: object, unit: Fraction, what: str = "lots") -> int:
    """`value` as a whole number of `unit`s.

    Text, int and Decimal must divide exactly; a float is taken within 1e-9 relative of a whole number.
    Raises ValueError saying what would be accepted.
    """
    count = exact(value) / unit
    nearest = round(count)
    if count == nearest:
        return nearest
    if isinstance(value, float) and abs(count - nearest) <= _FLOAT_TOLERANCE * abs(count):
        return nearest
    raise ValueError(f"a multiple of {decimal_text(unit)} (whole {what})")


def decimal_text(x: Fraction, digits_most: int = 18) -> str:
    """A fraction as plain decimal text without exponent, rounded to `digits_most` decimals."""
    scaled = round(x * 10**digits_most)
    sign = "-" if scaled < 0 else ""
    body = str(abs(scaled)).rjust(digits_most + 1, "0")
    head, tail = body[: len(body) - digits_most], body[len(body) - digits_most :].rstrip("0")
    return f"{sign}{head}.{tail}" if tail else f"{sign}{head}"
