"""Fixed point as protocols compute it: scales, half-up products, division toward zero, powers."""

WAD = 10**18
"""One, in 18 decimals."""
RAY = 10**27
"""One, in 27 decimals."""
RAD = 10**45
"""One, in 45 decimals: a wad times a ray."""
BPS = 10**4
"""One, in basis points."""
YEAR_S = 31_536_000
"""365 days."""
UINT256_MAX = 2**256 - 1


def mul_div_half_up(a: int, b: int, c: int) -> int:
    """round(a b / c), halves up; a, b >= 0, c > 0."""
    return (a * b + c // 2) // c


def div_to_zero(a: int, b: int) -> int:
    """a / b toward zero, as the EVM divides signed integers; b != 0."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def mul_div_to_zero(a: int, b: int, c: int) -> int:
    """a b / c toward zero; c != 0."""
    return div_to_zero(a * b, c)


def power_half_up(x: int, exponent: int, one: int) -> int:
    """x ** exponent in fixed point, by repeated squaring, halves up at each product.

    Parameters
    ----------
    x : int
        Base, in units of `one`.
    exponent : int
        At least 0.
    one : int
        The scale: `RAY` for Maker, `WAD` for Liquity.

    Notes
    -----
    The order of squarings and so every rounding is that of `rpow` (makerdao/dss, src/abaci.sol) and of
    `_decPow` (liquity/bold, contracts/src/Dependencies/LiquityMath.sol).
    """
    result = x if exponent % 2 else one
    exponent //= 2
    while exponent:
        x = mul_div_half_up(x, x, one)
        if exponent % 2:
            result = mul_div_half_up(result, x, one)
        exponent //= 2
    return result
