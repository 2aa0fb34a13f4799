"""Networks from tables of who owes whom, and what a shock or a failure in them does, as frames."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from solvent.domain.columns import Faults, floats, table, texts
from solvent.errors import SolventError, problem
from solvent.lab.contagion import Clearing, Losses, Network, clear, debtrank, leverage, network, spectral_radius

if TYPE_CHECKING:
    import polars as pl

ALL = "*"
"""Key of a shock of every institution that is not named."""
INSTITUTIONS_MOST = 5_000
"""Matrices are dense."""


class Exposures(msgspec.Struct, frozen=True, eq=False):
    """A network and the names of its institutions."""

    names: tuple[str, ...]
    net: Network

    def index(self, name: str) -> int:
        """Place of an institution. Raises SolventError naming others."""
        if name not in self.names:
            raise SolventError(problem("network", None, "institution", name, f"one of {', '.join(self.names[:12])}"))
        return self.names.index(name)


def exposures_of(
    debts: Any, institutions: Any, debts_file: str = "exposures", institutions_file: str = "assets"
) -> Exposures:
    """A network out of two frames of any library that speaks Arrow.

    Parameters
    ----------
    debts : frame of `debtor, creditor, amount`
        USD, 0 or more; rows of the same pair add up. Who is named here alone has no external assets.
    institutions : frame of `institution, external_assets[, external_liabilities]`
        USD, 0 or more; a row an institution; no external liabilities where that cell is empty.
    debts_file, institutions_file : str
        How problems name them.

    Raises
    ------
    SolventError
        With all problems of both frames.
    """
    first, second = Faults(debts_file), Faults(institutions_file)
    owed = table(debts, ("debtor", "creditor", "amount"), (), first)
    own = table(institutions, ("institution", "external_assets"), ("external_liabilities",), second)
    debtor, creditor, name = texts(owed["debtor"]), texts(owed["creditor"]), texts(own["institution"])
    for faults, column in ((first, debtor), (first, creditor), (second, name)):
        faults.rows(column.is_null().to_numpy(), column.name, column, "a name")
    amount = _amounts(owed, "amount", first)
    assets = _amounts(own, "external_assets", second)
    outside = 0 * assets
    if "external_liabilities" in own.columns:
        outside = _amounts(own.with_columns(own["external_liabilities"].fill_null(0)), "external_liabilities", second)
    first.rows((debtor == creditor).fill_null(False).to_numpy(), "creditor", creditor, "another than the debtor")
    second.rows((name.is_duplicated() & name.is_not_null()).to_numpy(), "institution", name, "a row an institution")
    first.found += second.found
    first.stop()
    names = tuple(dict.fromkeys([*name.to_list(), *debtor.to_list(), *creditor.to_list()]))
    if not 0 < len(names) <= INSTITUTIONS_MOST:
        wanted = f"from 1 to {INSTITUTIONS_MOST}"
        raise SolventError(problem(institutions_file, None, "institutions", len(names), wanted))
    place = {each: i for i, each in enumerate(names)}
    rows, columns = ([place[each] for each in column.to_list()] for column in (debtor, creditor))
    matrix = np.zeros((len(names), len(names)))
    np.add.at(matrix, (rows, columns), amount)
    rest = np.zeros(len(names) - len(assets))
    return Exposures(names, network(matrix, np.concatenate([assets, rest]), np.concatenate([outside, rest])))


def _amounts(frame: "pl.DataFrame", name: str, faults: Faults) -> Any:
    """Finite amounts of 0 or more; an empty cell is a fault."""
    values, _ = floats(frame[name])
    bad = ~(values >= 0) | ~np.isfinite(values)
    faults.rows(bad, name, frame[name], "an amount of 0 or more")
    return np.where(bad, 0.0, values)


def shocked(held: Exposures, losses: Mapping[str, float]) -> Network:
    """The network with parts of external assets lost.

    losses: part in [0, 1] by institution; `*` for all others. Raises SolventError with every fault.
    """
    unknown = [each for each in losses if each != ALL and each not in held.names]
    found = [problem("shock", None, "institution", each, f"one of {', '.join(held.names[:12])}") for each in unknown]
    found += [
        problem("shock", None, name, part, "a part from 0 to 1") for name, part in losses.items() if not 0 <= part <= 1
    ]
    if found:
        raise SolventError(*found)
    kept = 1 - np.array([losses.get(name, losses.get(ALL, 0.0)) for name in held.names])
    return held.net._replace(external_assets=held.net.external_assets * kept)


class Outcome(msgspec.Struct, frozen=True, eq=False):
    """What a shock does: two readings of it."""

    cleared: Clearing
    """All debts settled at once: what is really paid."""
    marked: Losses
    """Claims marked down with the equity of their debtors: what is lost while nobody has failed yet."""
    spectral_radius: float
    """Of the leverage matrix; from 1 on small losses grow by themselves."""
    frame: "pl.DataFrame"
    """A row an institution; see `outcome`."""


def outcome(held: Exposures, losses: Mapping[str, float], alpha: float = 1.0, beta: float = 1.0) -> Outcome:
    """Clear a shocked network and follow its losses by DebtRank.

    losses: as for `shocked`. alpha, beta: recoveries, as for `clear`.

    The frame has columns `institution, obligations_usd, equity_usd` (book, before), `payment_usd, paid` (part of what
    is owed), `defaulted, equity_after_usd`, and `debtrank` (relative loss of equity in [0, 1]). Raises SolventError.
    """
    import polars as pl

    after = shocked(held, losses)
    cleared = clear(after, alpha, beta)
    equity = held.net.equity
    lost = held.net.external_assets - after.external_assets
    initial = np.where(equity > 0, np.minimum(lost / np.where(equity > 0, equity, 1.0), 1.0), 1.0)
    matrix = leverage(held.net)
    marked = debtrank(matrix, initial)
    owed = held.net.obligations
    frame = pl.DataFrame(
        {
            "institution": held.names,
            "obligations_usd": owed,
            "equity_usd": equity,
            "payment_usd": cleared.payments,
            "paid": np.where(owed > 0, cleared.payments / np.where(owed > 0, owed, 1.0), 1.0),
            "defaulted": cleared.defaulted,
            "equity_after_usd": cleared.equity,
            "debtrank": marked.loss,
        }
    )
    return Outcome(cleared, marked, spectral_radius(matrix), frame)


def failures(held: Exposures, which: Sequence[str], alpha: float = 1.0, beta: float = 1.0) -> "pl.DataFrame":
    """Each of some institutions loses all its external assets, alone: whom does it drag down?

    which: names. alpha, beta: recoveries, as for `clear`. Columns `institution, obligations_usd, defaults` (of others
    that did not default before), `unpaid_usd` (to insiders and outsiders, less what was unpaid before) and `debtrank`
    (part of the others' equity lost). Most harmful first. Raises SolventError.
    """
    import polars as pl

    before = clear(held.net, alpha, beta)
    matrix, equity = leverage(held.net), np.maximum(held.net.equity, 0.0)
    failed = (held.net.equity <= 0).astype(np.float64)
    rows = []
    for name in which:
        i = held.index(name)
        after = clear(shocked(held, {name: 1.0}), alpha, beta)
        fresh = after.defaulted & ~before.defaulted
        fresh[i] = False
        others = np.delete(equity, i)
        start = failed.copy()
        start[i] = 1.0
        loss = np.delete(debtrank(matrix, start).loss, i)
        part = float((loss * others).sum() / others.sum()) if others.any() else 0.0
        unpaid = float((before.payments - after.payments).sum())
        rows.append((name, float(held.net.obligations[i]), int(fresh.sum()), unpaid, part))
    columns = ["institution", "obligations_usd", "defaults", "unpaid_usd", "debtrank"]
    return pl.DataFrame(rows, columns, orient="row").sort("debtrank", "unpaid_usd", descending=True)
