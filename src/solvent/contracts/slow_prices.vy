# pragma version 0.4.3
"""
@title Slow prices: each follows its price within a day, by at most 6 % an hour
@license Apache-2.0
"""

from . import errors

BPS: constant(uint256) = 10_000
MASK_12: constant(uint256) = 2**12 - 1
MASK_48: constant(uint256) = 2**48 - 1
SLOW_DELAY_S: constant(uint256) = 86_400
SLOW_STEP_BPS_HOURLY: constant(uint256) = 600


@internal
@pure
def moved(old: uint256, price: uint256, confidence: uint256, elapsed: uint256) -> uint256:
    """
    @notice price 48 | slow price 48 | confidence 12 bits, the slow price moved toward the price.
    """
    errors.need(price != 0 and confidence <= BPS // 4, errors.BAD_PRICE)
    slow: uint256 = (old >> 48) & MASK_48
    if slow == 0:
        slow = price
    else:
        gap: uint256 = convert(abs(convert(price, int256) - convert(slow, int256)), uint256)
        step: uint256 = gap * min(elapsed, SLOW_DELAY_S) // SLOW_DELAY_S
        step = min(step, slow * SLOW_STEP_BPS_HOURLY * elapsed // (BPS * 3600))
        if price > slow:
            slow += step
        else:
            slow -= step
    return price | (slow << 48) | (min(confidence, MASK_12) << 96)
