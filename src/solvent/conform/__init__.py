"""Reference vectors held against our functions."""
