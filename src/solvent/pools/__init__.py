"""Lending pools and the insurance fund: interest curves, shares, payouts; integer arithmetic."""
