"""What things are worth: guarded prices, option values, collateral weights, price impact."""
