"""Solvent: margins, values and liquidates a book of leveraged crypto accounts, and explains every number."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from solvent.domain.book import Book
    from solvent.domain.market import Market
    from solvent.domain.policy import Policy
    from solvent.domain.universe import Universe
    from solvent.engine.assess import assess, explain
    from solvent.engine.compare import compare
    from solvent.engine.liquidation_prices import liquidation_prices
    from solvent.engine.replay import Run, replay
    from solvent.engine.what_if import Change, Deposit, Trade, what_if
    from solvent.errors import Problem, SolventError

__version__ = "0.1.0"

__all__ = [
    "Book",
    "Change",
    "Deposit",
    "Market",
    "Policy",
    "Problem",
    "Run",
    "SolventError",
    "Trade",
    "Universe",
    "__version__",
    "assess",
    "compare",
    "explain",
    "liquidation_prices",
    "replay",
    "what_if",
]

_HOME = {
    "Book": "solvent.domain.book",
    "Change": "solvent.engine.what_if",
    "Deposit": "solvent.engine.what_if",
    "Market": "solvent.domain.market",
    "Policy": "solvent.domain.policy",
    "Problem": "solvent.errors",
    "Run": "solvent.engine.replay",
    "SolventError": "solvent.errors",
    "Trade": "solvent.engine.what_if",
    "Universe": "solvent.domain.universe",
    "assess": "solvent.engine.assess",
    "compare": "solvent.engine.compare",
    "explain": "solvent.engine.assess",
    "liquidation_prices": "solvent.engine.liquidation_prices",
    "replay": "solvent.engine.replay",
    "what_if": "solvent.engine.what_if",
}
"""Each public name and the module it lives in, loaded at first use: `import solvent` itself loads nothing."""


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
