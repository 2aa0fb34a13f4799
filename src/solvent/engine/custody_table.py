"""What custody says that it holds, as a table: `asset, amount`, the amount in coins."""

from fractions import Fraction

import polars as pl

from solvent.domain.instruments import Spot
from solvent.domain.quantities import whole
from solvent.domain.universe import Universe
from solvent.errors import Problem, problem, raise_if

COLUMNS = ("asset", "amount")


def custody_table(frame: pl.DataFrame, file: str, universe: Universe) -> dict[int, int]:
    """Atoms by asset (index of its spot instrument). An asset that is not named is not in it.

    frame: columns `asset` (a spot's id) and `amount` (0 or more, no finer than an atom). Raises SolventError with
    every row that is wrong.
    """
    names = {name.strip().lower(): name for name in frame.columns}
    raise_if([problem(file, None, "column", "missing", each) for each in COLUMNS if each not in names])
    found: dict[int, int] = {}
    faults: list[Problem] = []
    assets, amounts = (frame[names[each]].to_list() for each in COLUMNS)
    for row, (asset, amount) in enumerate(zip(assets, amounts, strict=True), 1):
        try:
            index = _asset(str(asset), universe)
            if index in found:
                raise ValueError("each asset once")
            found[index] = _atoms(amount, universe.spot_of(index))
        except _WrongAsset as error:
            faults.append(problem(file, row, "asset", asset, str(error)))
        except ValueError as error:
            faults.append(problem(file, row, "amount", amount, str(error)))
    raise_if(faults)
    return found


class _WrongAsset(ValueError):
    pass


def _asset(name: str, universe: Universe) -> int:
    index = universe.index(name) if name in universe else None
    if index is None or not isinstance(universe[index], Spot):
        raise _WrongAsset(f"one of {', '.join(each.id for each in universe if isinstance(each, Spot))}")
    return index


def _atoms(amount: object, spot: Spot) -> int:
    atoms = whole(amount, Fraction(1, 10**spot.decimals), "atoms")
    if atoms < 0:
        raise ValueError("0 or more")
    return atoms
