"""Aave v3 to the last integer, on chain data: balances by index, account data as each revision rounds it."""

from collections.abc import Mapping, Sequence

import msgspec

from solvent.domain.quantities import mul_div_down, mul_div_up
from solvent.liquidation.close_factor import BEFORE_3_3, Outcome, Params, Position, liquidate
from solvent.margin.rules.aave_v3 import Debt, collateral_base_down, debt_base_up, health_factor_e18_down
from solvent.pools.fixed_point import BPS, RAY, UINT256_MAX, WAD, mul_div_half_up

SINCE_3_2, SINCE_3_3, SINCE_3_5 = 5, 6, 9
"""POOL_REVISION of the releases that changed e-modes, close factors and rounding."""


class Reserve(msgspec.Struct, frozen=True):
    """One asset of a pool, from its configuration word."""

    index: int
    asset: str
    a_token: str
    variable_debt: str
    stable_debt: str
    """Empty where the pool has no stable debt."""
    ltv_bps: int
    threshold_bps: int
    bonus_bps: int
    """10500 gives a liquidator 5 %."""
    protocol_fee_bps: int
    decimals: int
    e_mode: int
    active: bool
    paused: bool

    @property
    def unit(self) -> int:
        """Atoms of one unit."""
        return int(10**self.decimals)


class EMode(msgspec.Struct, frozen=True):
    """One efficiency mode before 3.2."""

    threshold_bps: int
    bonus_bps: int
    price: int
    """Of its own price source; 0 where it has none."""


class Rates(msgspec.Struct, frozen=True):
    """What changes with every block, by reserve."""

    price: Sequence[int]
    """1e-8 USD of one unit."""
    income_ray: Sequence[int]
    """Normalised income: balance of one scaled unit of a supplier."""
    debt_ray: Sequence[int]
    """Normalised variable debt."""
    e_modes: Mapping[int, EMode]


class Account(msgspec.Struct, frozen=True):
    """One account; balances by index of reserve, zeros left out."""

    user: str
    flags: int
    """Two bits a reserve: borrowed, and used as collateral."""
    e_mode: int
    supplied: Mapping[int, int]
    """Scaled balances of what is used as collateral."""
    borrowed: Mapping[int, int]
    """Scaled variable debts."""
    borrowed_stable: Mapping[int, int]
    """Stable debts in atoms, at the block that was read."""


class AccountData(msgspec.Struct, frozen=True):
    """As `getUserAccountData` answers."""

    collateral_base: int
    debt_base: int
    threshold_bps: int
    health_e18: int


def reserve_of(index: int, asset: str, word: int, tokens: tuple[str, ...]) -> Reserve:
    """A reserve from its configuration word (ReserveConfiguration.sol) and tokens (supply, stable, variable)."""

    def bits(start: int, count: int) -> int:
        return word >> start & (1 << count) - 1

    a_token, stable, variable = tokens
    return Reserve(
        index=index,
        asset=asset,
        a_token=a_token,
        variable_debt=variable,
        stable_debt="" if int(stable, 16) == 0 else stable,
        ltv_bps=bits(0, 16),
        threshold_bps=bits(16, 16),
        bonus_bps=bits(32, 16),
        protocol_fee_bps=bits(152, 16),
        decimals=bits(48, 8),
        e_mode=bits(168, 8),
        active=bool(bits(56, 1)),
        paused=bool(bits(60, 1)),
    )


def price_of(reserve: Reserve, rates: Rates, account: Account) -> int:
    """Price by which an account's balance is valued: its e-mode's own where that has one."""
    mode = rates.e_modes.get(account.e_mode)
    own = mode is not None and mode.price and reserve.e_mode == account.e_mode
    return mode.price if own and mode is not None else rates.price[reserve.index]


def terms_bps(reserve: Reserve, rates: Rates, account: Account) -> tuple[int, int]:
    """Threshold and bonus of a collateral for an account."""
    mode = rates.e_modes.get(account.e_mode)
    if mode is not None and account.e_mode and reserve.e_mode == account.e_mode:
        return mode.threshold_bps, mode.bonus_bps
    return reserve.threshold_bps, reserve.bonus_bps


def supplied_atoms(scaled: int, income_ray: int, revision: int) -> int:
    """Balance of a supplier: half up, down since 3.5."""
    return mul_div_down(scaled, income_ray, RAY) if revision >= SINCE_3_5 else mul_div_half_up(scaled, income_ray, RAY)


def owed_atoms(scaled: int, debt_ray: int, revision: int) -> int:
    """Variable debt: half up, up since 3.5."""
    return mul_div_up(scaled, debt_ray, RAY) if revision >= SINCE_3_5 else mul_div_half_up(scaled, debt_ray, RAY)


def debts_of(reserves: Sequence[Reserve], rates: Rates, account: Account, revision: int) -> dict[int, int]:
    """Debts in atoms by index of reserve."""
    return {
        each: owed_atoms(account.borrowed.get(each, 0), rates.debt_ray[each], revision)
        + account.borrowed_stable.get(each, 0)
        for each in sorted({*account.borrowed, *account.borrowed_stable})
    }


def account_data(reserves: Sequence[Reserve], rates: Rates, account: Account, revision: int) -> AccountData:
    """Collateral, debt, mean threshold and health factor of an account.

    Before 3.5 debt is rounded down, the mean threshold down to a basis point, and the health factor half up; since
    then as `solvent.margin.rules.aave_v3` has it.

    Notes
    -----
    GenericLogic.calculateUserAccountData of aave/aave-v3-core 1.19 and of aave-dao/aave-v3-origin.
    """
    since_3_5 = revision >= SINCE_3_5
    collateral = weighted = debt = 0
    for index, scaled in account.supplied.items():
        reserve = reserves[index]
        if not reserve.threshold_bps:
            continue
        atoms = supplied_atoms(scaled, rates.income_ray[index], revision)
        value = collateral_base_down(atoms, price_of(reserve, rates, account), reserve.unit)
        collateral += value
        weighted += value * terms_bps(reserve, rates, account)[0]
    to_base = debt_base_up if since_3_5 else collateral_base_down
    for index, atoms in debts_of(reserves, rates, account, revision).items():
        debt += to_base(atoms, price_of(reserves[index], rates, account), reserves[index].unit)
    threshold = weighted // collateral if collateral else 0
    if debt == 0:
        health = UINT256_MAX
    elif since_3_5:
        health = health_factor_e18_down(weighted, debt)
    else:
        health = mul_div_half_up(mul_div_half_up(collateral, threshold, BPS), WAD, debt)
    return AccountData(collateral, debt, threshold, health)


def liquidation(
    reserves: Sequence[Reserve],
    rates: Rates,
    account: Account,
    collateral: int,
    debt: int,
    debt_to_cover: int | None,
    revision: int,
) -> Outcome:
    """What a liquidation call would repay and seize.

    Parameters
    ----------
    collateral, debt : int
        Indices of reserves.
    debt_to_cover : int or None
        Atoms; None for as much as is allowed.

    Raises
    ------
    RevertedError
        As the pool would revert.
    """
    seized, owed = reserves[collateral], debts_of(reserves, rates, account, revision)
    threshold, bonus = terms_bps(seized, rates, account)
    data = account_data(reserves, rates, account, revision)
    held = supplied_atoms(account.supplied[collateral], rates.income_ray[collateral], revision)
    price = price_of(seized, rates, account)
    held_base = collateral_base_down(held, price, seized.unit)
    position = Position(
        collateral_balance=held,
        collateral_price=price,
        collateral_unit=seized.unit,
        liquidation_threshold_bps=threshold,
        liquidation_bonus_bps=bonus,
        liquidation_protocol_fee_bps=seized.protocol_fee_bps,
        debts=tuple(Debt(n, price_of(reserves[i], rates, account), reserves[i].unit) for i, n in owed.items()),
        other_collateral_base=data.collateral_base - held_base,
        other_weighted_base_bps=data.collateral_base * data.threshold_bps - held_base * threshold,
    )
    params = Params() if revision >= SINCE_3_3 else BEFORE_3_3
    return liquidate(params, position, list(owed).index(debt), debt_to_cover)
