"""A desk whose policy may change while it runs, and proposals as a proposer sends them."""

from typing import Any

from tests.engine.desk import PERP, USDC, Desk, usdc

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.domain.adaptive import Adaptive, AdaptiveParams, Evidence, EvidenceRow
from solvent.domain.policy import Policy
from solvent.engine.adaptive.parameters import value_of
from solvent.engine.engine import Submission

BTC_RANGE = "scan_range.BTC"
HOURS = 60


def evidence(margin: float = 0.5, assets: tuple[str, ...] = ("BTC", "ETH"), **row: Any) -> Evidence:
    """A model that calls for `margin` on both sides of each asset and whose backtest holds."""
    figures = {"core": margin, "level": 0.99, "observations": 500, "exceptions": 5, "tested": 500, "kupiec_p": 1.0}
    rows = tuple(
        EvidenceRow(asset=a, side=s, margin=margin, **{**figures, **row}) for a in assets for s in ("long", "short")
    )
    return Evidence("a model", "0" * 64, 0, 1, rows)


class AdaptiveDesk(Desk):
    """A desk at which adaptive is on."""

    def __init__(self, params: AdaptiveParams | None = None, policy: Policy | None = None, **more: Any) -> None:
        super().__init__(policy, **more)
        self.params = params or AdaptiveParams()
        self.ok(c.EnableAdaptive(self.params))

    @property
    def adaptive(self) -> Adaptive:
        found: Adaptive = self.state.adaptive
        return found

    def by(self, command: c.Command, caller: str, origin: c.Origin = "risk") -> Any:
        """The one event of a command that somebody sends."""
        (entry,) = self.engine.execute([Submission(command, origin, caller)], self.now_ns)
        (event,) = entry.events
        return event

    def propose(
        self, caller: str = "", origin: c.Origin = "engine", proof: Evidence | None = None, **values: float
    ) -> Any:
        """Propose scan ranges by asset; the event."""
        changes = tuple((f"scan_range.{asset}", value) for asset, value in values.items())
        loosens = any(value < self.target(asset) for asset, value in values.items())
        return self.by(c.ProposePolicy(changes, proof or evidence(0.01 if loosens else 0.9)), caller, origin)

    def target(self, asset: str = "BTC") -> float:
        """The scan range that new risk has."""
        return value_of(self.state.target or self.state.policy, f"scan_range.{asset}")

    def effect(self, asset: str = "BTC") -> float:
        """The scan range that existing positions have."""
        return value_of(self.state.policy, f"scan_range.{asset}")

    def trader(self, name: str, usd: float, coins: float) -> int:
        """An account with a perpetual position at the mark against the outside market."""
        return self.load(name, {USDC: usdc(usd)}, {PERP: round(coins * 100_000)})

    def pass_hours(self, hours: float, step_minutes: float = 30.0, **prices: float) -> list[e.Event]:
        """Ticks over some hours; all their events."""
        found: list[e.Event] = []
        for _ in range(round(hours * HOURS / step_minutes)):
            found += [event for entry in self.tick(step_minutes, **prices).entries for event in entry.events]
        return found
