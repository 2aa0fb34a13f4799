"""Experiments on whole markets: contagion, cascades, collateral parameters by simulation."""
