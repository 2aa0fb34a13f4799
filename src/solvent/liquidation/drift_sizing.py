"""Drift v2 liquidation sizing: base to close, tokens to transfer, insurance fees, socialised losses.

Fixed point as named in each argument; integer division truncates as in the program, `_up` rounds up. A result
of None means that nothing bounds the amount (the program returns the type's maximum).
Source: drift-labs/protocol-v2, programs/drift/src/math/liquidation.rs.
"""

from solvent.domain.quantities import div_up, mul_div_up
from solvent.margin.rules.drift_v2 import BASE, PRICE, QUOTE, WEIGHT

FEE = 1_000_000
"""Precision of liquidation fees and multipliers."""
FEE_TO_MARGIN = FEE // WEIGHT
FEE_GRACE_SLOTS = 1_500
FEE_INCREASE_PER_SLOT = 1
"""1e-6 a slot."""
FUNDING_TO_QUOTE = 1_000
SMALL_SHORTAGE = 50 * QUOTE
"""Below this an account is liquidated all at once."""
PERCENT = 10_000
"""Precision of the share that may be liquidated."""


def base_to_cover_margin_shortage(
    shortage_1e6: int,
    ratio_1e4: int,
    fee_1e6: int,
    insurance_fee_1e6: int,
    price_1e6: int,
    quote_price_1e6: int,
) -> int | None:
    """Base (1e-9) to close so that the shortage is covered: shortage / (P Pq (ratio - fee) - P insurance fee).

    None where closing does not help: the fee eats the whole margin ratio, or the price is zero.
    """
    ratio_1e6 = ratio_1e4 * FEE_TO_MARGIN
    if price_1e6 == 0 or ratio_1e6 <= fee_1e6:
        return None
    freed = price_1e6 * quote_price_1e6 // PRICE * (ratio_1e6 - fee_1e6) // FEE
    freed -= price_1e6 * insurance_fee_1e6 // FEE
    return shortage_1e6 * BASE // freed if freed > 0 else None


def liability_transfer_to_cover(
    shortage_1e6: int,
    asset_weight_1e4: int,
    asset_multiplier_1e6: int,
    liability_weight_1e4: int,
    liability_multiplier_1e6: int,
    liability_decimals: int,
    liability_price_1e6: int,
    insurance_fee_1e6: int,
) -> int | None:
    """Token amount of a borrow to repay so that the shortage is covered, at least one unit.

    shortage / (Pl (wl - wa am / lm - insurance fee wl)). None where repaying does not free margin.
    """
    if asset_weight_1e4 >= liability_weight_1e4:
        return None
    liability = liability_weight_1e4 * 10
    asset = asset_weight_1e4 * 10 * asset_multiplier_1e6 // liability_multiplier_1e6
    if asset >= liability:
        return None
    freed = liability_price_1e6 * (liability - asset)
    freed -= liability_price_1e6 * insurance_fee_1e6 // FEE * liability_weight_1e4 * 10
    if freed <= 0:
        return None
    numerator_scale = 10 ** max(0, liability_decimals - 6)
    denominator_scale = 10 ** max(0, 6 - liability_decimals)
    amount = shortage_1e6 * numerator_scale * PRICE * WEIGHT * 10 // freed
    return max(1, int(amount // denominator_scale))


def liability_implied_by_asset_up(
    asset_amount: int,
    asset_multiplier_1e6: int,
    asset_decimals: int,
    asset_price_1e6: int,
    liability_multiplier_1e6: int,
    liability_decimals: int,
    liability_price_1e6: int,
) -> int:
    """Borrow that an amount of collateral repays at the liquidation rate, rounded up."""
    numerator_scale = 10 ** max(0, liability_decimals - asset_decimals)
    denominator_scale = 10 ** max(0, asset_decimals - liability_decimals)
    value = asset_amount * numerator_scale * asset_price_1e6
    amount = mul_div_up(value, liability_multiplier_1e6, liability_price_1e6 * asset_multiplier_1e6)
    return int(div_up(amount, denominator_scale))


def asset_transfer_for_liability(
    asset_amount: int,
    asset_multiplier_1e6: int,
    asset_decimals: int,
    asset_price_1e6: int,
    liability_amount: int,
    liability_multiplier_1e6: int,
    liability_decimals: int,
    liability_price_1e6: int,
) -> int:
    """Collateral that pays for `liability_amount`; all of `asset_amount` where less than one USD would differ.

    The program scales the difference of tokens of more than six decimals up, not down; that is kept.
    """
    numerator_scale = 10 ** max(0, asset_decimals - liability_decimals)
    denominator_scale = 10 ** max(0, liability_decimals - asset_decimals)
    value = liability_amount * numerator_scale * liability_price_1e6 * asset_multiplier_1e6
    transfer = max(1, int(value // (asset_price_1e6 * liability_multiplier_1e6) // denominator_scale))
    difference = abs(transfer - asset_amount) * asset_price_1e6 // PRICE
    difference = int(difference * 10 ** max(0, asset_decimals - 6) // 10 ** max(0, 6 - asset_decimals))
    return asset_amount if difference < QUOTE else transfer


def perpetual_insurance_fee(
    shortage_1e6: int,
    base_1e9: int,
    ratio_1e4: int,
    fee_1e6: int,
    price_1e6: int,
    quote_price_1e6: int,
    fee_max_1e6: int,
) -> int:
    """Insurance fee (1e-6) that still leaves the shortage covered: min(cap, 0.95 (ratio - fee - shortage / value))."""
    ratio_1e6 = ratio_1e4 * FEE_TO_MARGIN
    if price_1e6 == 0 or quote_price_1e6 == 0 or base_1e9 == 0 or ratio_1e6 <= fee_1e6:
        return 0
    price = price_1e6 * quote_price_1e6 // PRICE
    if price == 0:
        return 0
    needed = shortage_1e6 * BASE // base_1e9 * PRICE // price
    return min(fee_max_1e6, max(0, ratio_1e6 - fee_1e6 - needed) * 19 // 20)


def spot_insurance_fee(
    shortage_1e6: int,
    token_amount: int,
    asset_weight_1e4: int,
    asset_multiplier_1e6: int,
    liability_weight_1e4: int,
    liability_multiplier_1e6: int,
    liability_decimals: int,
    liability_price_1e6: int,
    fee_max_1e6: int,
) -> int:
    """Insurance fee (1e-6) on a repaid borrow: min(cap, (wl - wa am / lm - shortage / value) / wl)."""
    if (
        asset_weight_1e4 >= liability_weight_1e4
        or liability_price_1e6 == 0
        or token_amount == 0
        or liability_multiplier_1e6 == 0
    ):
        return 0
    liability = liability_weight_1e4 * FEE_TO_MARGIN
    asset = asset_weight_1e4 * FEE_TO_MARGIN * asset_multiplier_1e6 // liability_multiplier_1e6
    needed = int(shortage_1e6 * FEE * 10**liability_decimals // token_amount // liability_price_1e6)
    return min(fee_max_1e6, max(0, max(0, liability - asset) - needed) * FEE // liability)


def liquidation_fee_by_age(base_1e6: int, max_1e6: int, last_active_slot: int, slot: int) -> int:
    """Liquidator's fee (1e-6): after a grace of 1,500 slots it rises by 1e-6 for each slot since last activity."""
    elapsed = slot - last_active_slot
    if elapsed < FEE_GRACE_SLOTS:
        return base_1e6
    return min(max_1e6, base_1e6 + elapsed * FEE_INCREASE_PER_SLOT)


def max_percent_to_liquidate(
    shortage_1e6: int, margin_freed_1e6: int, slots_elapsed: int, initial_1e4: int, duration_slots: int
) -> int:
    """Share (1e-4) of the shortage that may be freed now: initial share plus elapsed / duration, at most all."""
    if shortage_1e6 < SMALL_SHORTAGE:
        return PERCENT
    ramp = slots_elapsed * PERCENT // duration_slots if duration_slots > 0 else PERCENT
    freeable = (shortage_1e6 + margin_freed_1e6) * min(PERCENT, ramp + initial_1e4) // PERCENT
    return max(0, freeable - margin_freed_1e6) * PERCENT // shortage_1e6


def funding_delta_to_absorb_bankruptcy(loss_1e6: int, long_1e9: int, short_1e9: int) -> int:
    """Change of cumulative funding (1e-9) that spreads a loss over all open positions, rounded up."""
    return mul_div_up(abs(loss_1e6), BASE, abs(long_1e9) + abs(short_1e9)) * FUNDING_TO_QUOTE


def deposit_index_delta_to_absorb_borrow(loss: int, deposits: int, index_1e10: int) -> int:
    """Cut of the cumulative deposit index (1e-10) that spreads a lost borrow over depositors, rounded up.

    At most all but one unit of the index; zero where nobody has deposits.
    """
    if deposits == 0:
        return 0
    return min(mul_div_up(index_1e10, loss, deposits), max(0, index_1e10 - 1))
