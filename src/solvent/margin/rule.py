"""What a margin rule is, and the rules by name."""

from importlib.metadata import entry_points
from typing import Any, ClassVar, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.domain.book import Book
from solvent.domain.market import Market
from solvent.domain.policy import Policy
from solvent.domain.universe import Universe
from solvent.errors import Problem, SolventError, problem
from solvent.margin.statement import ExactStatement, Explanation, Statement

I64 = NDArray[np.int64]


class Prepared(Protocol):
    """A rule with the work done that all accounts share."""

    def digest(self) -> str:
        """Hexadecimal digest of the shared integers that exact verdicts use; stands in the mark event."""
        ...

    def assess(self, book: Book, accounts: I64 | None = None) -> Statement:
        """Statement of `accounts` (all of the book by default)."""
        ...

    def exact(self, book: Book, account: int) -> ExactStatement:
        """The integer form of one account: what decides."""
        ...

    def explain(self, book: Book, account: int) -> Explanation:
        """Every term of one account."""
        ...


class Rule(Protocol):
    """A margin rule: stateless, named, with a struct of parameters."""

    name: ClassVar[str]
    Params: ClassVar[type[msgspec.Struct]]
    needs: ClassVar[frozenset[str]]
    """Market fields without which it cannot run."""

    def check(self, params: Any, universe: Universe) -> list[Problem]:
        """Everything unsafe in the parameters or not marginable in the universe."""
        ...

    def prepare(self, universe: Universe, market: Market, policy: Policy) -> Prepared:
        """Do the work that all accounts share. Raises SolventError with all problems."""
        ...


BUILT_IN = {
    "portfolio": "solvent.margin.rules.portfolio.rule:Portfolio",
    "dydx-v4": "solvent.margin.rules.dydx_v4:DydxRule",
    "hyperliquid": "solvent.margin.rules.hyperliquid:HyperliquidRule",
    "hyperliquid-pm": "solvent.margin.rules.hyperliquid:HyperliquidPortfolioRule",
    "binance": "solvent.margin.rules.binance:BinanceRule",
    "bybit": "solvent.margin.rules.bybit:BybitRule",
    "synthetix-v3": "solvent.margin.rules.synthetix_v3:SynthetixRule",
    "vega": "solvent.margin.rules.vega:VegaRule",
    "aave-v3": "solvent.margin.rules.aave_v3:AaveV3",
    "aave-v4": "solvent.margin.rules.aave_v4:AaveV4",
    "compound-v3": "solvent.margin.rules.compound_v3:CompoundV3",
    "morpho-blue": "solvent.margin.rules.morpho_blue:MorphoBlue",
    "euler-v2": "solvent.margin.rules.euler_v2:EulerV2",
    "maker": "solvent.margin.rules.maker:Maker",
    "liquity-v1": "solvent.margin.rules.liquity:LiquityV1",
    "liquity-v2": "solvent.margin.rules.liquity:LiquityV2",
    "crvusd": "solvent.margin.rules.crvusd:Crvusd",
    "silo-v2": "solvent.margin.rules.silo_v2:SiloV2",
    "gearbox-v3": "solvent.margin.rules.gearbox_v3:GearboxV3",
    "drift-v2": "solvent.margin.rules.drift_v2:DriftRule",
    "mango-v4": "solvent.margin.rules.mango_v4:MangoRule",
    "isda-csa": "solvent.margin.rules.isda_csa:IsdaCsa",
    "paradex": "solvent.margin.rules.paradex:ParadexRule",
    "okx-pm": "solvent.margin.rules.okx_pm:OkxRule",
    "span16": "solvent.margin.rules.span16:SpanRule",
    "deribit-pme": "solvent.margin.rules.deribit_pme:DeribitRule",
    "derive-srm": "solvent.margin.rules.derive_srm:SrmRule",
    "derive-pmrm": "solvent.margin.rules.derive_pmrm:DerivePmrmRule",
    "derive-pmrm2": "solvent.margin.rules.derive_pmrm2:DerivePmrm2Rule",
}
"""Rules by name; loaded when used."""


def rule(name: str) -> Rule:
    """The rule of that name: built in, or from an entry point of group `solvent.rules`.

    Raises SolventError naming the rules there are. A built-in name cannot be replaced.
    """
    if name in BUILT_IN:
        from importlib import import_module

        module, _, attribute = BUILT_IN[name].partition(":")
        found: Rule = getattr(import_module(module), attribute)()
        return found
    for entry in entry_points(group="solvent.rules"):
        if entry.name == name:
            plugged: Rule = entry.load()()
            return plugged
    known = sorted({*BUILT_IN, *(entry.name for entry in entry_points(group="solvent.rules"))})
    raise SolventError(problem("policy", None, "margin.rule", name, f"one of {', '.join(known)}"))
