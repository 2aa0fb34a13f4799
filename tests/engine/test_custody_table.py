"""Tables of custody: exact amounts by asset, and every row that is wrong."""

import polars as pl
import pytest
from tests.engine.desk import BTC, ETH, INSTRUMENTS, USDC

from solvent.domain.universe import Universe
from solvent.engine.custody_table import custody_table
from solvent.errors import SolventError

UNIVERSE = Universe(INSTRUMENTS)


def test_amounts_are_exact() -> None:
    frame = pl.DataFrame({" Asset": ["USDC", "BTC", "ETH"], "amount": ["12.000001", "0", "1.000000000000000001"]})
    assert custody_table(frame, "c.csv", UNIVERSE) == {USDC: 12_000_001, BTC: 0, ETH: 10**18 + 1}
    whole = pl.DataFrame({"asset": ["BTC"], "amount": [3]})
    assert custody_table(whole, "c.parquet", UNIVERSE) == {BTC: 3 * 10**8}


def test_all_that_is_wrong_at_once() -> None:
    frame = pl.DataFrame(
        {
            "asset": ["USDC", "USDC", "GOLD", "BTC/USDC:USDC", "BTC", "ETH"],
            "amount": ["1", "1", "1", "1", "0.000000001", "-1"],
        }
    )
    with pytest.raises(SolventError) as caught:
        custody_table(frame, "c.csv", UNIVERSE)
    assert [(each.row, each.field) for each in caught.value.problems] == [
        (2, "amount"), (3, "asset"), (4, "asset"), (5, "amount"), (6, "amount"),
    ]  # fmt: skip
    with pytest.raises(SolventError, match="amount"):
        custody_table(pl.DataFrame({"asset": ["BTC"]}), "c.csv", UNIVERSE)
