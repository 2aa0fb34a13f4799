"""What it costs and how long it takes to sell: spreads, depth, impact, horizons, add-ons, tiers."""
