"""The public face of liquidation prices."""

import polars as pl
import pytest

import solvent


def test_frames_in_a_frame_out() -> None:
    """1 ETH at 2,000 with a threshold of 83 % bears 1,245 USDC down to 1,500."""
    book = pl.DataFrame({"account": ["ann", "ann"], "instrument": ["ETH", "USDC"], "quantity": ["1", "-1245"]})
    market = pl.DataFrame({"instrument": ["ETH", "USDC"], "price": ["2000", "1"]})
    found = solvent.liquidation_prices(book, market, "aave-v3")
    assert found.select("account", "asset", "direction").rows() == [("ann", "ETH", "down"), ("ann", "USDC", "up")]
    assert found["crossing_price"].to_list() == pytest.approx([1500, 2000 * 0.83 / 1245], abs=2e-6)
    joint = solvent.liquidation_prices(book, market, "aave-v3", "*", exact=False)
    assert joint["factor"].to_list() == pytest.approx([0.75], rel=1e-6)
