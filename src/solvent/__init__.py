"""Solvent: margins, values and liquidates a book of leveraged crypto accounts, and explains every number."""

__version__ = "0.1.0"
