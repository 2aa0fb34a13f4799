"""What is gathered of a running engine agrees with its state, and is shown only once it is durable."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import pytest

from solvent.cli.live import View
from solvent.cli.watch import TAPE_OF_A_KIND, WORST, Watch, latency_of, worst_rows
from solvent.engine.engine import Engine, TickReport
from solvent.engine.record import BANDS
from solvent.engine.summary import fund_usd
from solvent.engine.venue import VenueOptions, open_venue
from solvent.ledger.records import HEALTHY
from solvent.margin.statement import Statement

TICKS = 45
"""Past the gap of the crash."""


class Watched(NamedTuple):
    engine: Engine
    reports: list[TickReport]
    views: list[View]
    stages: list[dict[str, int]]


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    wall = iter(range(10**6))
    with open_venue(VenueOptions(accounts=400, insurance_usd=1e5)) as venue:
        engine = venue.engine
        watch = Watch(engine, "a \x1b[31mmarket", "memory", wall=lambda: float(next(wall)))
        found = Watched(engine, [], [watch.view], [])
        engine.listeners += [
            watch.add,
            lambda report: found.stages.append(
                dict(Counter(each.stage for each in engine.state.accounts if each.stage != HEALTHY))
            ),
        ]
        for report in islice(venue.run(), TICKS):
            found.reports.append(report)
            found.views.append(watch.view)
        yield found


def test_every_view_is_of_the_block_just_made_durable(watched: Watched) -> None:
    assert [view.height for view in watched.views[1:]] == [report.height for report in watched.reports]
    assert [view.ts_ns for view in watched.views[1:]] == [report.ts_ns for report in watched.reports]
    assert watched.views[0].ticks == 0
    assert watched.views[0].height == watched.reports[0].height - 1


def test_views_agree_with_the_state(watched: Watched) -> None:
    last = watched.views[-1]
    state, risk = watched.engine.state, watched.engine.risk
    assert last.fund_usd == fund_usd(state, risk) == last.fund_history[-1]
    assert last.accounts == len(state.accounts) == sum(count for _, count in last.bands)
    assert [view.stages for view in watched.views[1:]] == watched.stages
    market = risk.market
    assert market is not None
    assert {each.asset: each.price_usd for each in last.prices} == dict(
        zip(market.universe.assets, market.index_usd.tolist(), strict=True)
    )
    assert last.prices[-1].asset == "USDC"  # what moves comes first
    assert len(last.prices[0].history) == TICKS


def test_the_crash_is_seen(watched: Watched) -> None:
    last = watched.views[-1]
    assert last.liquidations > 100
    assert last.shortfall_usd > 0
    assert last.fund_usd < last.fund_start_usd == 1e5
    assert last.prices[0].change < -0.25
    assert last.bad_debt_usd == 0
    assert max(dict(view.bands).get(BANDS[0], 0) for view in watched.views[1:]) > 10


def test_the_worst_accounts_are_the_worst_and_liquidation_mended_them(watched: Watched) -> None:
    for view, report in zip(watched.views[1:], watched.reports, strict=True):
        statement = report.statement
        assert statement is not None
        healths = [each.health for each in view.worst if each.equity >= 0]
        assert healths == sorted(healths)
        assert len(view.worst) == WORST
        held = statement.health[(statement.maintenance_margin > 0) & (statement.equity >= 0)]
        assert healths[:1] in ([], [held.min()])  # at the gap there are only insolvent ones
        assert all(each.health_now > 1.1 for each in view.worst if each.health < 1 and each.stage == "called")
    assert any(each.health < 1 for view in watched.views for each in view.worst)


def test_a_tick_puts_its_largest_events_on_the_tape_and_sums_up_the_rest(watched: Watched) -> None:
    for view in watched.views[1:]:
        kinds: dict[str, list[float]] = {}
        for line in view.tape:
            if line.ts_ns == view.ts_ns and line.usd is not None:
                kinds.setdefault(line.kind, []).append(line.usd)
        for amounts in kinds.values():
            assert len(amounts) <= TAPE_OF_A_KIND + 1
            assert amounts[:TAPE_OF_A_KIND] == sorted(amounts[:TAPE_OF_A_KIND], reverse=True)
    told = {line.kind for view in watched.views for line in view.tape}
    assert {"liquidation", "insurance"} <= told
    assert any(line.who.endswith("more") for view in watched.views for line in view.tape)


def test_rates_are_of_wall_time(watched: Watched) -> None:
    # The clock of this test moves a second each time that it is asked: twice a tick.
    last = watched.views[-1]
    recent = [len(report.entries) for report in watched.reports[-6:]]
    assert min(recent) / 2 <= last.commands_per_s <= max(recent) / 2
    assert last.commands == sum(len(report.entries) for report in watched.reports)


def test_what_a_terminal_would_obey_is_written_out(watched: Watched) -> None:
    assert watched.views[-1].source == r"a \x1b[31mmarket"


def test_insolvent_accounts_come_first_by_shortfall_and_idle_ones_not_at_all() -> None:
    def column(*values: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return np.array(values)

    equity = column(10.0, -5.0, 50.0, -50.0, 0.0)
    margin = column(20.0, 1.0, 25.0, 100.0, 0.0)
    none = column(0, 0, 0, 0, 0)
    statement = Statement(
        np.arange(5), equity, margin, margin, none, none, none, np.zeros(5, np.int64), np.ones(5, np.bool_)
    )
    assert worst_rows(statement, 10).tolist() == [3, 1, 0, 2]
    assert worst_rows(statement, 2).tolist() == [3, 1]


def test_latencies_are_percentiles() -> None:
    assert latency_of([k / 100 for k in range(101)]) == pytest.approx((0.5, 0.99))
    assert latency_of([]) == (0.0, 0.0)
