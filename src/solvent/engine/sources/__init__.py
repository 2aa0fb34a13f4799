"""Where markets come from."""
