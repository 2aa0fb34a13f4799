"""Owners of balances that are not accounts: negative indices beside the accounts' own 0, 1, 2, ..."""

MARKET = -1
"""The outside market: unlimited credit, never margined."""
OUTSIDE = -2
"""Where deposits come from and withdrawals go to."""
INSURANCE = -3
FEES = -4
ROUNDING = -5
"""What rounding left over; swept into insurance daily."""
IN_TRANSIT = -6
POOL = -7
"""Lenders of an asset: their value; the pool's cash is this less the loans."""

NAMES = {
    MARKET: "market",
    OUTSIDE: "outside",
    INSURANCE: "insurance",
    FEES: "fees",
    ROUNDING: "rounding",
    IN_TRANSIT: "in_transit",
    POOL: "pool",
}
