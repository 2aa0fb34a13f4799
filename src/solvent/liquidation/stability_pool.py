"""Liquity's stability pool: deposits absorb debt and share collateral, by one product and one sum."""

import msgspec

from solvent.domain.quantities import mul_div_down
from solvent.liquidation.reverted import require
from solvent.pools.fixed_point import WAD

SCALE = 10**9
"""The product is multiplied by it each time it would fall below it."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Source: liquity/dev, packages/contracts/contracts/StabilityPool.sol (version without epochs)."""

    least_deposits: int = WAD
    """Always stays in the pool, so the product never reaches 0."""
    gas_compensation_divisor: int = 200
    """One part of the collateral goes to whoever liquidates: 0.5 %."""


class Pool(msgspec.Struct, frozen=True):
    """State of the pool, 1e-18."""

    total: int = 0
    """Deposits."""
    product: int = WAD
    scale: int = 0
    """How often the product was multiplied by `SCALE`."""
    sums: tuple[int, ...] = (0,)
    """Collateral per unit deposited, by scale, 1e-36."""
    collateral_error: int = 0
    loss_error: int = 0


class Deposit(msgspec.Struct, frozen=True):
    """A deposit as recorded, with the pool's state then."""

    amount: int
    product: int
    sum: int
    scale: int


def deposit(pool: Pool, amount: int, held: Deposit | None = None) -> tuple[Pool, Deposit]:
    """Add to the pool; a depositor's earlier deposit is compounded into the new one (its gain paid first)."""
    kept = 0 if held is None else compounded_down(pool, held)
    added = msgspec.structs.replace(pool, total=pool.total + amount)
    return added, Deposit(kept + amount, pool.product, pool.sums[pool.scale], pool.scale)


def withdraw(params: Params, pool: Pool, held: Deposit, amount: int) -> tuple[Pool, Deposit, int]:
    """Take out up to `amount`; returns the pool, what stays, what was paid.

    Raises
    ------
    RevertedError
        MIN_LUSD_IN_SP where less than the least would stay in the pool.
    """
    compounded = compounded_down(pool, held)
    paid = min(amount, compounded)
    require(paid == 0 or pool.total - paid >= params.least_deposits, "MIN_LUSD_IN_SP")
    left = msgspec.structs.replace(pool, total=pool.total - paid)
    return left, Deposit(compounded - paid, pool.product, pool.sums[pool.scale], pool.scale), paid


def offset_most(params: Params, pool: Pool) -> int:
    """Debt that the pool can absorb: all but the least deposits."""
    most = pool.total - min(params.least_deposits, pool.total)
    return 0 if most * WAD <= pool.loss_error else most


def offset(pool: Pool, debt: int, collateral: int) -> Pool:
    """Burn `debt` from the deposits pro rata and share `collateral` among them.

    Parameters
    ----------
    debt : int
        Below the total of deposits.
    collateral : int
        After gas compensation.

    Notes
    -----
    Loss per unit is rounded up, gain per unit down, and each error is carried to the next call: deposits sum
    to what the pool holds within 1e-18 of the deposits before the loss.
    """
    if pool.total == 0 or debt == 0:
        return pool
    gain, gain_error = divmod(collateral * WAD + pool.collateral_error, pool.total)
    numerator = max(debt * WAD - pool.loss_error, 0)
    loss = numerator // pool.total + 1
    sums = [*pool.sums]
    sums[pool.scale] += gain * pool.product
    product, scale = pool.product * (WAD - loss) // WAD, pool.scale
    for times in (SCALE, SCALE**2):
        if product < SCALE:
            product, scale = pool.product * (WAD - loss) * times // WAD, scale + 1
            sums.append(0)
    return Pool(pool.total - debt, product, scale, tuple(sums), gain_error, loss * pool.total - numerator)


def compounded_down(pool: Pool, held: Deposit) -> int:
    """What is left of a deposit: d P / P0; 0 after two rescalings or below a billionth."""
    scales = pool.scale - held.scale
    if scales > 1 or held.amount == 0:
        return 0
    left = held.amount * pool.product // held.product // SCALE**scales
    return left if left >= held.amount // SCALE else 0


def collateral_gain_down(pool: Pool, held: Deposit) -> int:
    """Collateral that a deposit earned: d (S - S0) / P0, over at most one rescaling."""
    first = pool.sums[held.scale] - held.sum
    second = pool.sums[held.scale + 1] // SCALE if held.scale + 1 < len(pool.sums) else 0
    return held.amount * (first + second) // held.product // WAD


def liquidate(params: Params, pool: Pool, debt: int, collateral: int) -> tuple[Pool, int, int]:
    """Offset a trove as far as the pool reaches.

    Returns
    -------
    pool : Pool
    debt_left, collateral_left : int
        To be redistributed over the other troves.
    """
    compensated = collateral - collateral // params.gas_compensation_divisor
    absorbed = min(debt, offset_most(params, pool))
    shared = mul_div_down(compensated, absorbed, debt)
    return offset(pool, absorbed, shared), debt - absorbed, compensated - shared
