"""All cases that are known: the families' tables in one."""

from importlib import import_module
from importlib.util import find_spec

from solvent.conform.core import Adapter

FAMILIES = ("lending", "derivatives", "risk_systemic", "risk_collateral", "risk_statistics", "risk_models")
"""Modules of this room with a table `CASES`; one that is not installed is left out."""


def all_cases() -> dict[tuple[str, str], Adapter]:
    """(suite, fn) -> adapter over all families."""
    merged: dict[tuple[str, str], Adapter] = {}
    for family in FAMILIES:
        name = f"solvent.conform.{family}"
        if find_spec(name) is not None:
            merged |= import_module(name).CASES
    return merged
