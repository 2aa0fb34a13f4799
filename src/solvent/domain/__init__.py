"""What things are: quantities, instruments, markets, books, policies; what can happen: commands and events."""
