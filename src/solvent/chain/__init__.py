"""The chain: client, mirror, keeper, and a small chain of our own."""
