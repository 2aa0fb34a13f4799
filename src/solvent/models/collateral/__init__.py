"""What counts as collateral, for how much, up to what size, and why."""
