"""The insurance fund: what it pays for a deficit, capped by owner, instrument and day; never below zero."""

from collections.abc import Iterator, Mapping

import msgspec

from solvent.domain.quantities import mul_div_down, mul_div_up
from solvent.errors import Problem, problem


class InsuranceParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Most that the fund pays within one day; None is no cap but the fund itself."""

    owner_cap_usd_daily: int | None = None
    """For all accounts of one owner."""
    instrument_cap_usd_daily: int | None = None
    """For losses of one instrument."""
    cap_usd_daily: int | None = None
    """For everything."""

    def check(self, where: str = "liquidation") -> list[Problem]:
        """Negative caps."""
        return [
            problem(where, None, field, value, "whole USD from 0, or nothing for no cap")
            for field, value in msgspec.structs.asdict(self).items()
            if value is not None and value < 0
        ]


class Spent(msgspec.Struct, frozen=True):
    """What the fund paid on `day`, as values (see `pay`); another day starts from nothing."""

    day: int = 0
    total: int = 0
    by_owner: dict[str, int] = {}
    by_instrument: dict[int, int] = {}


class Claim(msgspec.Struct, frozen=True):
    """A deficit that the fund is asked to cover."""

    owner: str
    instrument: int
    """Instrument that lost the money; -1 for a debt that no instrument explains."""
    asset: int
    """Asset of the deficit."""
    atoms: int
    """Its size, > 0."""
    day: int
    """Day number of the block, for the daily caps."""


class Payout(msgspec.Struct, frozen=True):
    """What the fund paid: `covered_atoms + rest_atoms` is the claim, in the asset of the deficit."""

    paid: dict[int, int]
    """Atoms by asset that leave the fund, the asset of the deficit first."""
    covered_atoms: int
    rest_atoms: int
    balances: dict[int, int]
    """The fund after it."""
    spent: Spent
    """What the day's caps have been used for after it."""


def pay(
    balances: Mapping[int, int],
    values: Mapping[int, int],
    params: InsuranceParams,
    spent: Spent,
    claim: Claim,
    *,
    usd: int,
) -> Payout:
    """Cover a claim in its own asset first, then in others at the given values without haircut.

    What is paid in another asset is rounded up for the claimant; what a whole balance covers is rounded down.
    Other assets go largest value first, ties by index, so that few of them are touched.

    Parameters
    ----------
    balances: atoms >= 0 by asset.
    values: value of one atom by asset, as integers of one common unit, the finer the better (1e-30 USD
        leaves nine digits to an atom of a 1e-18 coin of a cent). An asset without a value is not used; the
        claim's own must have one.
    params: the caps.
    spent: what the day has used so far, in the same unit.
    usd: how many units of value are one USD.
    """
    if claim.day != spent.day:
        spent = Spent(day=claim.day)
    value = values[claim.asset]
    coverable = min(claim.atoms, _allowance(params, spent, claim, usd, claim.atoms * value) // value)
    after, paid, rest = dict(balances), dict[int, int](), coverable
    for asset in _order(balances, values, claim.asset):
        needed = mul_div_up(rest, value, values[asset])
        atoms = min(needed, balances[asset])
        covers = rest if atoms == needed else mul_div_down(atoms, values[asset], value)
        if covers:
            paid[asset], after[asset], rest = atoms, balances[asset] - atoms, rest - covers
        if not rest:
            break
    covered = coverable - rest
    return Payout(paid, covered, claim.atoms - covered, after, _spend(spent, claim, covered * value))


def _allowance(params: InsuranceParams, spent: Spent, claim: Claim, usd: int, wanted: int) -> int:
    """Value that all three caps still allow; `wanted` where there is no cap."""
    caps = (
        (params.owner_cap_usd_daily, spent.by_owner.get(claim.owner, 0)),
        (params.instrument_cap_usd_daily, spent.by_instrument.get(claim.instrument, 0)),
        (params.cap_usd_daily, spent.total),
    )
    return min((max(cap * usd - used, 0) for cap, used in caps if cap is not None), default=wanted)


def _order(balances: Mapping[int, int], values: Mapping[int, int], own: int) -> Iterator[int]:
    """Assets that can pay: the claim's own, then by falling value of the balance."""
    usable = [asset for asset, atoms in balances.items() if atoms > 0 and values.get(asset, 0) > 0]
    yield from sorted(usable, key=lambda asset: (asset != own, -balances[asset] * values[asset], asset))


def _spend(spent: Spent, claim: Claim, value: int) -> Spent:
    if not value:
        return spent
    return Spent(
        day=spent.day,
        total=spent.total + value,
        by_owner=spent.by_owner | {claim.owner: spent.by_owner.get(claim.owner, 0) + value},
        by_instrument=spent.by_instrument | {claim.instrument: spent.by_instrument.get(claim.instrument, 0) + value},
    )


METHODS = {"own_asset_first": pay}
"""Ways of paying that a policy can name."""
