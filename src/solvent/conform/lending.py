"""Cases of the lending vectors: pooled lending, vaults, bilateral margin and theory in one table."""

from collections.abc import Mapping
from typing import Any

from solvent.conform import lending_pools, lending_theory, lending_vaults
from solvent.conform.core import Adapter
from solvent.conform.values import Function
from solvent.liquidation.reverted import RevertedError


def _case(function: Function) -> Adapter:
    """An adapter that looks at `inputs` only; a call that the protocol refuses is a result too."""

    def adapter(vector: Mapping[str, Any], tables: Mapping[str, Any]) -> Any:
        try:
            return function(vector["inputs"])
        except RevertedError as refused:
            return {"revert": refused.reason}

    return adapter


CASES: dict[tuple[str, str], Adapter] = {
    (suite, fn): _case(function)
    for module in (lending_pools, lending_vaults, lending_theory)
    for suite, functions in module.FUNCTIONS.items()
    for fn, function in functions.items()
}
"""(suite, fn) -> adapter."""
