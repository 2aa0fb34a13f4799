"""Liquidation prices of frames or domain objects: what `import solvent` offers."""

from typing import TYPE_CHECKING

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.engine.assess import POLICY_DEFAULT, ArrowStream, inputs
from solvent.margin import crossings

if TYPE_CHECKING:
    import polars as pl


def liquidation_prices(
    book: Book | ArrowStream,
    market: Market | ArrowStream,
    policy: Policy | str = POLICY_DEFAULT,
    asset: str | None = None,
    *,
    exact: bool = True,
) -> "pl.DataFrame":
    """Every price at which an account turns liquidatable or ceases to be, all its other positions counted.

    Parameters
    ----------
    book, market, policy
        As for `assess`.
    asset : str, optional
        Whose price moves; `*` for a common factor on all assets that are no US dollar. By default each in turn.
    exact : bool
        Found by the exact form, to a millionth of the price or better; else interpolated, for large books.

    Returns
    -------
    polars.DataFrame
        Columns `account, asset, crossing_price, direction, factor, safe_factor`: see
        `solvent.margin.crossings.liquidation_prices`.

    Raises
    ------
    SolventError
        As `assess` does; for an asset without a price.
    """
    rows, prices, chosen = inputs(book, market, policy)
    return crossings.liquidation_prices(chosen, rows, prices, asset, exact=exact)
