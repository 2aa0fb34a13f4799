"""How policies are made from evidence: tail models, liquidity, collateral, backtests."""
