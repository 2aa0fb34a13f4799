"""Policies that change while the venue runs: what may change, dry runs, ramps, evidence and proposals."""
