"""Adaptive policies beside a running engine: a jump of volatility, a quiet spell, a pump, a crash of the process."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.adaptive_desk import AdaptiveDesk

from solvent.domain import commands as c
from solvent.domain import events as e
from solvent.engine import start
from solvent.engine.adaptive.history import History, evidence_holds
from solvent.engine.adaptive.parameters import value_of
from solvent.engine.adaptive.proposer import TailProposer
from solvent.engine.adaptive.runner import Adapter
from solvent.engine.engine import Engine, Redecider, Submission, TickReport
from solvent.engine.files import read_policy
from solvent.engine.sources.simulated import Simulated, SimulationParams
from solvent.engine.sources.tick import SourcePrice, Tick
from solvent.engine.venue import VenueOptions, open_venue
from solvent.errors import SolventError
from solvent.ledger.journal import MemoryJournal
from solvent.ledger.recovery import recover, verify
from solvent.ledger.sqlite import SqliteJournal

MODEL = "fhs-ewma-97"
BTC_RANGE = "scan_range.BTC"


class Run:
    """A desk with an adapter whose market moves by a random walk that a test makes calm or wild."""

    def __init__(self, desk: AdaptiveDesk | None = None, every: int = 12, seed: int = 3) -> None:
        self.desk = desk or AdaptiveDesk()
        self.adapter = Adapter(self.desk.engine, every, TailProposer(MODEL))
        self.random = np.random.default_rng(seed)
        self.sent: list[e.Entry] = []
        self.reports: list[TickReport] = []
        self.volume = dict(self.desk.volumes)

    def go(self, ticks: int, scale: float) -> "Run":
        """Five minutes a tick, log returns of `scale`."""
        for _ in range(ticks):
            self.desk.now_ns += 300 * 10**9
            for asset in ("BTC", "ETH"):
                self.desk.prices[asset] *= float(np.exp(self.random.normal(0, scale)))
            prices = tuple(SourcePrice(name, "venue", price) for name, price in self.desk.prices.items())
            tick = Tick(self.desk.now_ns, prices, dict(self.volume), {"BTC": 0.6, "ETH": 0.6})
            self.reports.append(self.desk.engine.tick(self.adapter.before_tick(tick)))
            self.sent += self.adapter.after_tick()
        return self

    def events(self, kind: type[Any]) -> list[Any]:
        """Events of a kind that were sent or came with a tick."""
        entries = [*self.sent, *(entry for report in self.reports for entry in report.entries)]
        return [event for entry in entries for event in entry.events if isinstance(event, kind)]


def test_a_jump_of_volatility_raises_margins_on_evidence_that_the_journal_holds() -> None:
    run = Run().go(280, 0.001)
    assert run.events(e.Refused) == []
    before = run.desk.target()
    run.go(80, 0.02)
    raises = [event for event in run.events(e.PolicyProposed) if event.direction == "raise"]
    assert raises
    assert run.desk.target() > before
    assert before < run.desk.effect() < run.desk.target(), "positions are on their way"
    assert run.events(e.Refused) == []
    for event in run.events(e.PolicyProposed):
        assert evidence_holds(run.desk.engine.journal, event.evidence)
    assert recover(run.desk.engine.journal).hash() == run.desk.state.hash()
    assert verify(run.desk.engine.journal, redecide=Redecider()).problems == []


def test_a_quiet_spell_loosens_nothing_without_a_person() -> None:
    run = Run().go(500, 0.0002)
    assert run.desk.target() == run.desk.effect() == 0.16
    (proposal,) = run.events(e.PolicyProposed)
    assert proposal.direction == "loosen"
    assert isinstance(run.desk.by(c.ApprovePolicy(proposal.proposal), ""), e.Refused)
    assert isinstance(run.desk.by(c.ApprovePolicy(proposal.proposal), "ada"), e.PolicyApproved)
    assert run.desk.effect() == pytest.approx(0.11)


def test_a_pumped_volume_lowers_no_margin() -> None:
    run = Run(AdaptiveDesk(volume_usd_daily=2e8))
    whale = run.desk.trader("whale", 20e6, 500.0)
    run.go(20, 0.0)
    before = run.desk.exact(whale)
    run.volume = dict.fromkeys(run.volume, 1000000000000.0)
    run.go(300, 0.0)
    after = run.desk.exact(whale)
    assert after.initial_margin == before.initial_margin
    assert after.maintenance_margin == before.maintenance_margin


def test_the_same_pump_would_lower_margins_without_adaptive() -> None:
    desk = AdaptiveDesk(volume_usd_daily=2e8)
    whale = desk.trader("whale", 20e6, 500.0)
    before = desk.exact(whale).maintenance_margin
    desk.volumes = dict.fromkeys(desk.volumes, 1e12)
    desk.tick(5)
    assert desk.exact(whale).maintenance_margin < before


def test_a_run_that_is_taken_up_again_goes_on_with_the_same_evidence() -> None:
    run = Run().go(300, 0.001).go(12, 0.02)
    again = AdaptiveDesk.__new__(AdaptiveDesk)
    again.__dict__.update(run.desk.__dict__)
    again.engine = Engine(run.desk.engine.journal, clock=lambda: again.now_ns)
    assert again.state.hash() == run.desk.state.hash()
    adapter = Adapter(again.engine, 12, TailProposer(MODEL))
    assert again.state.hash() == run.desk.state.hash(), "adaptive is on already: nothing is sent"
    for asset in ("BTC", "ETH"):
        assert adapter.history.closes(asset) == run.adapter.history.closes(asset)
    target = again.target()
    resumed = Run(again)
    resumed.go(60, 0.02)
    assert again.target() > target
    assert verify(again.engine.journal, redecide=Redecider()).problems == []


def test_a_venue_on_a_file_is_the_same_after_recovery_and_decides_the_same_again(tmp_path: Path) -> None:
    store = str(tmp_path / "venue.journal")
    options = VenueOptions(store=store, accounts=20, assets=("BTC",), adaptive_every=6)
    hashes = []
    for _ in range(2):
        with open_venue(options) as venue:
            assert venue.adapter is not None
            for count, _report in enumerate(venue.run()):
                if count == 140:
                    break
            hashes.append(venue.engine.state.hash())
        options = VenueOptions(store=store, adaptive_every=6)
    journal = SqliteJournal(store)
    engine = Engine(journal)
    assert engine.state.adaptive is not None
    (waiting,) = engine.state.adaptive.pending
    (entry,) = engine.execute([Submission(c.ApprovePolicy(waiting.proposal), "risk", "ada")], engine.state.ts_ns)
    assert isinstance(entry.events[0], e.PolicyApproved), entry.events
    report = verify(journal, redecide=Redecider())
    assert report.problems == []
    assert report.state_hash == engine.state.hash().hex()
    assert value_of(engine.state.policy or read_policy("portfolio"), BTC_RANGE) < 0.16
    journal.close()


def test_the_simulated_market_s_crash_raises_margins() -> None:
    params = SimulationParams(crash_first_tick=270, crash_every_ticks=0, crash_depth=0.3)
    source = Simulated(("BTC",), seed=5, ticks=300, params=params)
    engine = Engine(MemoryJournal(), clock=lambda: engine.state.ts_ns)
    ticks = (start.with_cash(tick) for tick in source)
    first = next(ticks)
    prices = start.prices_of(first)
    start.begin(engine, read_policy("portfolio"), start.instruments_for(("BTC",), prices), first)
    start.load_generated(engine, prices, 50, 7, 1e6)
    adapter = Adapter(engine, 6, TailProposer(MODEL))
    entries: list[e.Entry] = []
    for tick in ticks:
        engine.tick(adapter.before_tick(tick))
        entries += adapter.after_tick()
    raises = [x for entry in entries for x in entry.events if isinstance(x, e.PolicyProposed) and x.target_policy]
    assert raises
    assert all(evidence_holds(engine.journal, each.evidence) for each in raises)
    assert recover(engine.journal).hash() == engine.state.hash()
    assert verify(engine.journal, redecide=Redecider()).problems == []


def test_a_venue_of_another_rule_says_that_it_cannot_adapt() -> None:
    with pytest.raises(SolventError, match="portfolio"):
        open_venue(VenueOptions(policy="dydx-v4", accounts=10, assets=("BTC",), adaptive_every=6))


def test_without_adaptive_nothing_of_it_is_in_the_journal() -> None:
    hashes = set()
    for _ in range(2):
        with open_venue(VenueOptions(accounts=10, assets=("BTC",))) as venue:
            for count, _report in enumerate(venue.run()):
                if count == 5:
                    break
            assert venue.adapter is None
            assert venue.engine.state.adaptive is None
            hashes.add(venue.engine.state.hash())
            assert History.read(venue.engine.journal).assets == ["BTC"]
    assert len(hashes) == 1
