"""Figures and pages from frames."""
