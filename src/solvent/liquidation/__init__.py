"""What to do about a shortfall."""
