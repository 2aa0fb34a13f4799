"""What happened, in integers."""
