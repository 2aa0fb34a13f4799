"""What an account must hold."""
