"""Margin rules, one file each."""
