"""A policy's tables as the structs that the engine uses: read once, checked whole."""

from typing import Any

import msgspec

from solvent.domain.policy import Policy, parameters
from solvent.domain.universe import Universe
from solvent.errors import Problem, SolventError, problem, raise_if
from solvent.liquidation import deleveraging, sizing
from solvent.liquidation.auctions import AuctionParams
from solvent.liquidation.legs import PenaltySplit
from solvent.margin.rule import rule
from solvent.pools.insurance import InsuranceParams
from solvent.pools.interest import KinkedCurve
from solvent.valuation.guards import OracleParams


class LiquidationParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a shortfall is met; every step's method by its name."""

    sizing: str = "linear_programme"
    """Method of `liquidation.sizing.METHODS`."""
    buffer: float = 0.15
    """A liquidation ends at equity >= (1 + buffer) MM."""
    penalty_rate: float = 0.005
    """Of closed notional; part of the close-out cost in every margin."""
    split: PenaltySplit = PenaltySplit()
    release: float = 0.02
    """A margin call ends at equity >= (1 + release) IM, so that jitter of prices does not call again."""
    dust_usd: float = 500.0
    """An account that liquidation would leave with less exposure than this is closed in full."""
    auction_below: float = 0.5
    """Equity below this part of MM goes to auction instead of partial steps."""
    auction: AuctionParams = AuctionParams()
    insurance: InsuranceParams = InsuranceParams()
    deleveraging: str = "queue"
    """Method of `liquidation.deleveraging.METHODS`."""
    price_band: float = 0.03
    """Fills further from the guarded mark are refused for everyone."""
    impact_factor: float = 0.8
    """Y of the square-root law that the outside market takes liquidations at."""
    volatility_daily: float = 0.05
    """σ of that law where nothing better is known."""
    impact_most: float = 0.2
    """Cap of that law."""
    volume_usd_daily_default: float = 50_000_000.0
    """Traded a day where a market does not say."""
    steps_a_tick: int = 4
    """Most partial steps of one account within one tick."""

    def check(self, where: str = "policy liquidation") -> list[Problem]:
        """Everything unsafe, all at once."""
        rows: list[tuple[str, bool, str]] = [
            ("sizing", self.sizing in sizing.METHODS, f"one of {', '.join(sizing.METHODS)}"),
            ("deleveraging", self.deleveraging in deleveraging.METHODS, f"one of {', '.join(deleveraging.METHODS)}"),
            ("buffer", 0 < self.buffer <= 1, "above 0, at most 1"),
            ("penalty_rate", 0 <= self.penalty_rate <= 0.2, "from 0 to 0.2"),
            ("release", 0 <= self.release <= 1, "from 0 to 1"),
            ("dust_usd", self.dust_usd >= 0, "0 or more"),
            ("auction_below", 0 <= self.auction_below <= 1, "from 0 to 1"),
            ("price_band", 0 < self.price_band <= 0.5, "above 0, at most 0.5"),
            ("impact_factor", 0 <= self.impact_factor <= 10, "from 0 to 10"),
            ("volatility_daily", 0 <= self.volatility_daily <= 2, "from 0 to 2"),
            ("impact_most", 0 <= self.impact_most <= 0.5, "from 0 to 0.5"),
            ("volume_usd_daily_default", self.volume_usd_daily_default > 0, "above 0"),
            ("steps_a_tick", 1 <= self.steps_a_tick <= 100, "from 1 to 100"),
        ]
        found = [problem(where, None, field, getattr(self, field), ok) for field, good, ok in rows if not good]
        return found + self.split.check(where) + self.auction.check(where) + self.insurance.check(where)


class PoolParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Interest curves of the lending pools."""

    curve: KinkedCurve = KinkedCurve()
    """Of every asset that `assets` does not name."""
    assets: dict[str, KinkedCurve] = {}
    """By spot id."""

    def curve_of(self, id: str) -> KinkedCurve:
        """Curve of an asset."""
        return self.assets.get(id, self.curve)

    def check(self, where: str = "policy pools") -> list[Problem]:
        """Curves that cannot be."""
        found = self.curve.check(where)
        for id, curve in self.assets.items():
            found += curve.check(f"{where}.{id}")
        return found


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Caps of one instrument, in whole USD and whole coins or contracts; None is no cap."""

    owner_usd: int | None = None
    """Collateral or notional of all accounts of one owner."""
    owner_units: int | None = None
    total_usd: int | None = None
    """Deposits in all, or open interest."""
    total_units: int | None = None
    daily_usd: int | None = None
    """Deposits of one day."""
    second_person_usd: int | None = None
    """Larger deposits wait until another operator confirms them; None: one is enough."""

    sources: tuple[str, ...] | None = None
    """Whose prices of it count; None: everybody's."""

    def check(self, where: str) -> list[Problem]:
        """Caps below zero, sources without a name."""
        found = [
            problem(where, None, field, value, "0 or more, or nothing for no cap")
            for field, value in msgspec.structs.asdict(self).items()
            if isinstance(value, int) and value < 0
        ]
        if self.sources is not None and not (self.sources and all(self.sources)):
            found.append(problem(where, None, "sources", self.sources, "names, or nothing for all sources"))
        return found


class EngineParams(msgspec.Struct, frozen=True):
    """All that the engine reads from a policy beside the margin rule's own parameters."""

    oracle: OracleParams
    liquidation: LiquidationParams
    pools: PoolParams
    limits: dict[str, Limit]

    def sources(self) -> dict[str, tuple[str, ...]]:
        """Whose prices count, by id, where a listing names them."""
        return {id: limit.sources for id, limit in self.limits.items() if limit.sources}

    @classmethod
    def of(cls, policy: Policy, universe: Universe) -> "EngineParams":
        """Read and check every table of a policy. Raises SolventError with all problems at once."""
        oracle, found = _table(OracleParams, policy.oracle, f"policy {policy.name} oracle")
        liquidation, more = _table(LiquidationParams, policy.liquidation, f"policy {policy.name} liquidation")
        found += more
        pools, more = _table(PoolParams, policy.pools, f"policy {policy.name} pools")
        found += more
        limits: dict[str, Limit] = {}
        for id, table in policy.limits.items():
            limit, more = parameters(Limit, table, f"policy {policy.name} limits.{id}")
            found += more
            if limit is not None:
                found += limit.check(f"policy {policy.name} limits.{id}")
                limits[id] = limit
        found += check_rule(policy, universe)
        raise_if(found)
        assert oracle is not None and liquidation is not None and pools is not None  # noqa: PT018
        return cls(oracle, liquidation, pools, limits)


def _table(kind: type[Any], table: dict[str, Any], where: str) -> tuple[Any, list[Problem]]:
    made, found = parameters(kind, table, where)
    return made, found if made is None else made.check(where)


def check_rule(policy: Policy, universe: Universe) -> list[Problem]:
    """What is wrong with the margin table, by its own rule; some rules look at the other tables too."""
    try:
        chosen = rule(policy.rule)
    except SolventError as error:
        return list(error.problems)
    if check_policy := getattr(chosen, "check_policy", None):
        problems: list[Problem] = check_policy(policy, universe)
        return problems
    params, found = parameters(chosen.Params, policy.margin, f"policy {policy.name} margin", frozenset({"rule"}))
    return found if params is None else chosen.check(params, universe)
